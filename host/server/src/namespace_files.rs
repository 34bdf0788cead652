//! Files of namespaces, as people deal with them: listed, read, written, moved, deleted, searched, packed. What tasks do with them is the
//! worker's. A folder is what several paths begin with; one that is made empty gets a file [`KEEP`], as in Git.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use model::ids::{Namespace, TENANT};
use store::rows::{self, Key};
use store::{Batch, BlobReader, Query, View};

use crate::archive::{self, Entry};
use crate::error::Error;
use crate::node::Node;
use crate::readable::namespace_folder;
use crate::secrets::place;

/// What makes an empty folder.
pub const KEEP: &str = ".keep";
/// Most files of one listing, move or archive.
const FILES_MAX: usize = 100_000;
/// Most bytes of one archive that is packed: it is in memory.
const PACKED_BYTES_MAX: u64 = 256 << 20;
/// Longest path, in bytes, and most parts of it.
const PATH_BYTES_MAX: usize = 1_024;
const PARTS_MAX: usize = 64;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its last part.
    pub name: String,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// `None`: a folder.
    pub size_bytes: Option<u64>,
}

/// A path in the files of a namespace.
pub(crate) struct At {
    /// What the stored paths of the namespace's files begin with.
    root: String,
    /// Without a separator at either end; empty: all of them.
    path: String,
}

impl At {
    fn new(namespace: &str, path: &str) -> Result<Self, Error> {
        let namespace: Namespace = place(namespace)?.namespace;
        let path = path.trim_matches('/');
        let wrong = |why: &str| {
            let message = format!("`{}` is no path of a file: {why}", path.escape_debug());
            Err(Error::bad_request("file.path", message))
        };
        if path.len() > PATH_BYTES_MAX || path.split('/').count() > PARTS_MAX {
            return wrong(&format!("it has at most {PATH_BYTES_MAX} bytes and {PARTS_MAX} parts"));
        }
        if !path.is_empty() && path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return wrong("each part is a name, and `.` and `..` are none");
        }
        if path.chars().any(|c| c == '\\' || c.is_control()) {
            return wrong("it has letters that names have not");
        }
        Ok(Self { root: format!("{TENANT}/{}", namespace_folder(&namespace)), path: path.to_owned() })
    }

    /// The same, of one file.
    pub(crate) fn file(namespace: &str, path: &str) -> Result<Self, Error> {
        let at = Self::new(namespace, path)?;
        match at.path.is_empty() || path.ends_with('/') {
            true => Err(Error::bad_request("file.path", format!("`{}` names no file", path.escape_debug()))),
            false => Ok(at),
        }
    }

    /// The whole path, as it is stored.
    pub(crate) fn stored(&self) -> String {
        format!("{}{}", self.root, self.path)
    }

    /// What the stored paths within it begin with.
    fn within(&self) -> String {
        match self.path.is_empty() {
            true => self.root.clone(),
            false => format!("{}/", self.stored()),
        }
    }

    fn missing(&self) -> Error {
        Error::NotFound(format!("there is no file or folder `{}`", self.path))
    }
}

impl Node {
    /// The content of a file piece by piece, and its size in bytes.
    pub async fn open_namespace_file(&self, namespace: &str, path: &str) -> Result<(u64, Box<dyn BlobReader>), Error> {
        let at = At::file(namespace, path)?;
        let file = self.stored_file(&at.stored()).await?.ok_or_else(|| at.missing())?;
        let reader = self.store.read_blob(file.content.id.clone(), 0).await?.ok_or_else(|| at.missing())?;
        Ok((file.content.size_bytes, reader))
    }

    /// What is at a path.
    pub async fn namespace_file(&self, namespace: &str, path: &str) -> Result<Found, Error> {
        let at = At::new(namespace, path)?;
        if let Some(file) = self.stored_file(&at.stored()).await? {
            return Ok(found(&at.path, std::slice::from_ref(&file), true));
        }
        let files = self.files_within(&at.within()).await?;
        match files.is_empty() && !at.path.is_empty() {
            true => Err(at.missing()),
            false => Ok(found(&at.path, &files, false)),
        }
    }

    /// What is directly in a folder, by name, folders first.
    pub async fn files_of_folder(&self, namespace: &str, path: &str) -> Result<Vec<Found>, Error> {
        let at = At::new(namespace, path)?;
        let within = at.within();
        let files = self.files_within(&within).await?;
        if files.is_empty() && !at.path.is_empty() {
            return Err(at.missing());
        }
        let mut folders: BTreeMap<String, Vec<Arc<rows::File>>> = BTreeMap::new();
        let mut direct = Vec::new();
        for file in files {
            let Some(rest) = file.path.strip_prefix(&within).map(str::to_owned) else { continue };
            match rest.split_once('/') {
                Some((folder, _)) => folders.entry(folder.to_owned()).or_default().push(file),
                None if rest == KEEP => {}
                None => direct.push(found(&rest, std::slice::from_ref(&file), true)),
            }
        }
        let folders = folders.iter().map(|(name, files)| found(name, files, false));
        Ok(folders.chain(direct).collect())
    }

    /// The paths of files that have a part, without regard to case.
    pub async fn search_namespace_files(&self, namespace: &str, part: &str) -> Result<Vec<String>, Error> {
        let at = At::new(namespace, "")?;
        let part = part.to_lowercase();
        let files = self.files_within(&at.root).await?;
        let paths = files.iter().filter_map(|file| file.path.strip_prefix(&at.root));
        let named = paths.filter(|path| path.to_lowercase().contains(&part) && !is_keep(path));
        Ok(named.map(|path| format!("/{path}")).collect())
    }

    /// Writes files, all or none, over what is there.
    pub async fn write_namespace_files(&self, namespace: &str, files: Vec<(String, Bytes)>) -> Result<(), Error> {
        let mut places = BTreeMap::new();
        for (path, content) in files {
            let at = At::file(namespace, &path)?;
            self.may_be_file(&at).await?;
            places.insert(at.stored(), content);
        }
        let now = self.now();
        let mut batch = Batch::new();
        for (path, content) in places {
            let mut blob = self.store.write_blob(now).await?;
            blob.write(content).await?;
            let content = blob.finish().await?;
            let before = self.stored_file(&path).await?;
            let created = before.map_or(now, |file| file.created);
            batch.put(rows::File { path: path.into(), content, created, updated: now, metadata: BTreeMap::new() });
        }
        self.keep(batch).await
    }

    /// Writes the files of an archive into a folder, all or none. How many.
    pub async fn unpack_namespace_files(&self, namespace: &str, folder: &str, packed: Bytes) -> Result<usize, Error> {
        let at = At::new(namespace, folder)?;
        let entries = self.blocking(move || archive::unpack(&packed, PACKED_BYTES_MAX)).await??;
        let count = entries.len();
        let path = |name: String| if at.path.is_empty() { name } else { format!("{}/{name}", at.path) };
        let files = entries.into_iter().map(|entry| (path(entry.name), Bytes::from(entry.content)));
        self.write_namespace_files(namespace, files.collect()).await?;
        Ok(count)
    }

    /// Makes a folder.
    pub async fn make_namespace_folder(&self, namespace: &str, path: &str) -> Result<(), Error> {
        let at = At::file(namespace, path.trim_end_matches('/'))?;
        if !self.files_within(&at.within()).await?.is_empty() {
            let message = format!("folder `{}` exists already", at.path);
            return Err(Error::Conflict { code: "file.exists", message });
        }
        self.write_namespace_files(namespace, vec![(format!("{}/{KEEP}", at.path), Bytes::new())]).await
    }

    /// Gives a file, or a folder with all in it, another path.
    pub async fn move_namespace_files(&self, namespace: &str, from: &str, to: &str) -> Result<(), Error> {
        let (from, to) =
            (At::file(namespace, from.trim_end_matches('/'))?, At::file(namespace, to.trim_end_matches('/'))?);
        if to.path == from.path || to.path.starts_with(&format!("{}/", from.path)) {
            let message = format!("`{}` cannot be moved to `{}`, which is in it", from.path, to.path);
            return Err(Error::bad_request("file.path", message));
        }
        if self.stored_file(&to.stored()).await?.is_some() || !self.files_within(&to.within()).await?.is_empty() {
            let message = format!("`{}` exists already; hint: delete it first", to.path);
            return Err(Error::Conflict { code: "file.exists", message });
        }
        self.may_be_file(&to).await?;
        let mut moved: Vec<Arc<rows::File>> = self.stored_file(&from.stored()).await?.into_iter().collect();
        moved.extend(self.files_within(&from.within()).await?);
        if moved.is_empty() {
            return Err(from.missing());
        }
        let mut batch = Batch::new();
        for file in moved {
            let rest = file.path.strip_prefix(&from.stored()).unwrap_or_default();
            batch.delete(Key::File(file.path.clone()));
            batch.put(rows::File { path: format!("{}{rest}", to.stored()).into(), ..(*file).clone() });
        }
        self.keep(batch).await
    }

    /// Deletes a file, or a folder with all in it. How many files.
    pub async fn delete_namespace_files(&self, namespace: &str, path: &str) -> Result<usize, Error> {
        let at = At::file(namespace, path.trim_end_matches('/'))?;
        let mut gone: Vec<Arc<rows::File>> = self.files_within(&at.within()).await?;
        gone.extend(self.stored_file(&at.stored()).await?);
        if gone.is_empty() {
            return Err(at.missing());
        }
        let mut batch = Batch::new();
        for file in &gone {
            batch.delete(Key::File(file.path.clone()));
        }
        self.keep(batch).await?;
        Ok(gone.len())
    }

    /// All files of a namespace as a ZIP archive.
    pub async fn pack_namespace_files(&self, namespace: &str) -> Result<Vec<u8>, Error> {
        let at = At::new(namespace, "")?;
        let files = self.files_within(&at.root).await?;
        let size_bytes: u64 = files.iter().map(|file| file.content.size_bytes).sum();
        if size_bytes > PACKED_BYTES_MAX {
            let message = format!(
                "the files of namespace `{namespace}` have {size_bytes} bytes, and an archive has at most {PACKED_BYTES_MAX}; \
                 hint: read them one by one"
            );
            return Err(Error::TooLarge(message));
        }
        let mut entries = Vec::new();
        for file in files {
            let Some(name) = file.path.strip_prefix(&at.root) else { continue };
            let Some(mut reader) = self.store.read_blob(file.content.id.clone(), 0).await? else { continue };
            let mut content = Vec::new();
            while let Some(piece) = reader.read().await? {
                content.extend_from_slice(&piece);
            }
            entries.push(Entry { name: name.to_owned(), content });
        }
        self.blocking(move || archive::pack(entries)).await?
    }

    /// Nothing on the way to a file may be a file, and where it is to be may be no folder.
    async fn may_be_file(&self, at: &At) -> Result<(), Error> {
        let in_the_way =
            |path: &str, what: &str| Error::Conflict { code: "file.exists", message: format!("`{path}` is a {what}") };
        if !self.files_within(&at.within()).await?.is_empty() {
            return Err(in_the_way(&at.path, "folder"));
        }
        for (end, _) in at.path.match_indices('/') {
            let above = at.path.get(..end).unwrap_or_default();
            if self.stored_file(&format!("{}{above}", at.root)).await?.is_some() {
                return Err(in_the_way(above, "file"));
            }
        }
        Ok(())
    }

    async fn stored_file(&self, path: &str) -> Result<Option<Arc<rows::File>>, Error> {
        let found = self.store.find::<rows::File>(View::Newest, Key::File(path.into())).await?;
        Ok(found.map(|found| found.row))
    }

    pub(crate) async fn files_within(&self, prefix: &str) -> Result<Vec<Arc<rows::File>>, Error> {
        let query = Query::Files { prefix: prefix.into() };
        let rows = self.store.all::<rows::File>(View::Newest, query, FILES_MAX).await?;
        Ok(rows.into_iter().map(|row| row.row).collect())
    }
}

fn is_keep(path: &str) -> bool {
    path.rsplit('/').next() == Some(KEEP)
}

/// A file, or a folder of these files.
fn found(path: &str, files: &[Arc<rows::File>], is_file: bool) -> Found {
    let created = files.iter().map(|file| file.created).min().unwrap_or(Timestamp::UNIX_EPOCH);
    let updated = files.iter().map(|file| file.updated).max().unwrap_or(created);
    let size_bytes = files.first().filter(|_| is_file).map(|file| file.content.size_bytes);
    Found { name: path.rsplit('/').next().unwrap_or_default().to_owned(), created, updated, size_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_nowhere_else() {
        let check = |path: &str, good: bool| assert_eq!(At::file("a.b", path).is_ok(), good, "{path}");
        for path in ["a", "/a/b.txt", "a b/ü", "..a/b.."] {
            check(path, true);
        }
        for path in ["", "/", "a/", "../a", "a/../b", "./a", "a//b", "a\\b", "a\0"] {
            check(path, false);
        }
        check(&"a/".repeat(64), false);
        assert!(At::new("a..b", "x").is_err());
        assert_eq!(At::new("a.b", "/").expect("all of them").within(), "main/a/b/_files/");
    }
}
