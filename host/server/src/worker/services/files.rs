//! `sluice:host/files` for one run. Files of the run are there at once; files of a namespace, and what is deleted, wait for its good end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use model::ids::{Namespace, TENANT};
use runtime::{FileTarget, FileWriter, HostError, Soon};
use store::rows::{self, BlobInfo, Key};
use store::{BlobWriter, Query, View};

use super::{RunServices, host};
use crate::node::Node;
use crate::readable::{NAMESPACE_SCHEME, SCHEME, folder_of, namespace_file, namespace_folder};
use crate::worker::kept::{Keeping, Write};

/// URIs of one answer (`wit/host`, files.find).
const FOUND_MAX: usize = 1_000;
/// Files that are looked through for an answer.
const FILES_MAX: usize = 100_000;

impl RunServices {
    /// The file that a URI names, as this run sees it.
    pub(super) async fn file(&self, uri: &str) -> Result<Arc<rows::File>, HostError> {
        let path = self.readable_path(uri).await?;
        self.at(&path).await?.ok_or_else(|| HostError::not_found(format!("there is no file `{uri}`")))
    }

    pub(super) async fn read_file(&self, uri: String, offset: u64, length: u32) -> Result<Vec<u8>, HostError> {
        let file = self.file(&uri).await?;
        let reader = self.node.store.read_blob(file.content.id.clone(), offset).await.map_err(host)?;
        let Some(mut reader) = reader else {
            return Err(HostError::host(format!("the content of `{uri}` is gone")));
        };
        let mut read = Vec::new();
        while let Some(piece) = reader.read().await.map_err(host)? {
            let room = (length as usize).saturating_sub(read.len());
            read.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
            if read.len() >= length as usize {
                break;
            }
        }
        Ok(read)
    }

    pub(super) async fn create_file(&self, target: FileTarget) -> Result<Box<dyn FileWriter>, HostError> {
        let place = self.place_of(target)?;
        let blob = self.node.store.write_blob(self.node.now()).await.map_err(host)?;
        Ok(Box::new(Writer { node: self.node.clone(), keeping: self.keeping.clone(), place, blob: Some(blob) }))
    }

    pub(super) async fn copy_file(&self, source: String, target: FileTarget) -> Result<String, HostError> {
        let place = self.place_of(target)?;
        let content = self.file(&source).await?.content.clone();
        place.put(&self.node, &self.keeping, content).await
    }

    pub(super) async fn delete_file(&self, uri: String) -> Result<bool, HostError> {
        let path = match namespace_file(&uri, self.reach.own()) {
            Some((namespace, path)) if self.reaches(namespace.as_str()) => full(&namespace, &path),
            Some((namespace, _)) => return Err(super::kv::refused(namespace.as_str())),
            None => {
                let own = self.own_folder();
                let path = uri.strip_prefix(SCHEME).filter(|path| path.starts_with(&own) && is_clean(path));
                let path = path.ok_or_else(|| {
                    HostError::not_granted(format!("`{uri}` is not a file of this execution: only those are deleted"))
                })?;
                format!("{TENANT}/{path}")
            }
        };
        if self.at(&path).await?.is_none() {
            return Ok(false);
        }
        self.keeping.set_file(path.into(), Write::Delete)?;
        Ok(true)
    }

    pub(super) async fn find_files(&self, prefix: String, after: Option<String>) -> Result<Vec<String>, HostError> {
        // What stands before a path in its URI, and before it in the store.
        let (shown, stored, path) = if prefix.is_empty() {
            (SCHEME.to_owned(), format!("{TENANT}/"), self.own_folder())
        } else if let Some((namespace, path)) = namespace_file(&prefix, self.reach.own()) {
            if !self.may_read(namespace.as_str()) {
                return Err(super::kv::refused(namespace.as_str()));
            }
            let named =
                prefix.get(NAMESPACE_SCHEME.len()..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
            (format!("{NAMESPACE_SCHEME}{named}/"), full(&namespace, ""), path)
        } else {
            let own = self.own_folder();
            let path = prefix.strip_prefix(SCHEME).filter(|path| path.starts_with(&own) && is_clean(path));
            let path = path.ok_or_else(|| {
                HostError::not_granted(format!("`{prefix}` is not in this execution; hint: leave the prefix empty"))
            })?;
            (SCHEME.to_owned(), format!("{TENANT}/"), path.to_owned())
        };
        let whole = format!("{stored}{path}");
        let query = Query::Files { prefix: whole.as_str().into() };
        let rows = self.node.store.all::<rows::File>(View::Newest, query, FILES_MAX).await.map_err(host)?;
        let mut paths: BTreeSet<Arc<str>> = rows.iter().map(|row| row.path.clone()).collect();
        for (path, write) in self.keeping.files_in(&whole) {
            match write {
                Write::Put(_) => paths.insert(path),
                Write::Delete => paths.remove(&path),
            };
        }
        let uris = paths.iter().filter_map(|path| path.strip_prefix(&stored)).map(|path| format!("{shown}{path}"));
        Ok(uris.filter(|uri| after.as_ref().is_none_or(|after| uri > after)).take(FOUND_MAX).collect())
    }

    /// The stored path of a URI that this run may read.
    async fn readable_path(&self, uri: &str) -> Result<String, HostError> {
        if let Some((namespace, path)) = namespace_file(uri, self.reach.own()) {
            if !self.may_read(namespace.as_str()) {
                return Err(super::kv::refused(namespace.as_str()));
            }
            return Ok(full(&namespace, &path));
        }
        let readable = self.node.readable(uri, &self.execution.id).await;
        let path = readable.map_err(|error| HostError::host(error.to_string()))?;
        let path = path.ok_or_else(|| HostError::not_granted(format!("`{uri}` is not a file of this execution")))?;
        Ok(format!("{TENANT}/{path}"))
    }

    async fn at(&self, path: &str) -> Result<Option<Arc<rows::File>>, HostError> {
        match self.keeping.file(path) {
            Some(Write::Put(file)) => return Ok(Some(Arc::new(file))),
            Some(Write::Delete) => return Ok(None),
            None => {}
        }
        let found = self.node.store.find::<rows::File>(View::Newest, Key::File(path.into())).await.map_err(host)?;
        Ok(found.map(|file| file.row))
    }

    fn place_of(&self, target: FileTarget) -> Result<Place, HostError> {
        match target {
            FileTarget::Run(name) => {
                let path = format!("{}/{name}", self.folder);
                Ok(Place { path: format!("{TENANT}/{path}").into(), uri: format!("{SCHEME}{path}"), at_once: true })
            }
            FileTarget::Namespace(uri) => {
                let named = namespace_file(&uri, self.reach.own()).filter(|(_, path)| {
                    !path.is_empty() && !path.ends_with('/') && !path.chars().any(|c| c == '\\' || c.is_control())
                });
                let (namespace, path) = named.ok_or_else(|| {
                    HostError::bad_argument(format!("`{}` names no file of a namespace", uri.escape_debug()))
                })?;
                if !self.reaches(namespace.as_str()) {
                    return Err(super::kv::refused(namespace.as_str()));
                }
                Ok(Place { path: full(&namespace, &path).into(), uri, at_once: false })
            }
        }
    }

    /// Where the files of this execution are.
    fn own_folder(&self) -> String {
        folder_of(&self.execution.flow, &self.execution.id)
    }
}

/// Where a file goes.
struct Place {
    path: Arc<str>,
    uri: String,
    /// A file of the run; others wait for its good end.
    at_once: bool,
}

impl Place {
    async fn put(&self, node: &Node, keeping: &Keeping, content: BlobInfo) -> Result<String, HostError> {
        let now = node.now();
        let before = node.store.find::<rows::File>(View::Newest, Key::File(self.path.clone())).await.map_err(host)?;
        let row = rows::File {
            path: self.path.clone(),
            content,
            created: before.map_or(now, |file| file.created),
            updated: now,
            metadata: BTreeMap::new(),
        };
        if self.at_once {
            let mut batch = store::Batch::new();
            batch.put(row);
            node.store.commit(batch).await.map_err(host)?;
        } else {
            keeping.set_file(self.path.clone(), Write::Put(row))?;
        }
        Ok(self.uri.clone())
    }
}

/// A file of a run being written.
struct Writer {
    node: Arc<Node>,
    keeping: Arc<Keeping>,
    place: Place,
    blob: Option<Box<dyn BlobWriter>>,
}

impl FileWriter for Writer {
    fn write<'a>(&'a mut self, bytes: Vec<u8>) -> Soon<'a, Result<(), HostError>> {
        Box::pin(async move {
            let blob = self.blob.as_mut().ok_or_else(|| HostError::bad_argument("the file is finished"))?;
            blob.write(Bytes::from(bytes)).await.map_err(host)
        })
    }

    fn finish<'a>(&'a mut self) -> Soon<'a, Result<String, HostError>> {
        Box::pin(async move {
            let blob = self.blob.take().ok_or_else(|| HostError::bad_argument("the file is finished"))?;
            let content = blob.finish().await.map_err(host)?;
            self.place.put(&self.node, &self.keeping, content).await
        })
    }
}

/// The stored path of a namespace's file.
fn full(namespace: &Namespace, path: &str) -> String {
    format!("{TENANT}/{}{path}", namespace_folder(namespace))
}

fn is_clean(path: &str) -> bool {
    !path.split('/').any(|part| matches!(part, "." | ".."))
}
