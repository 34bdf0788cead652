//! Which files of executions an execution may read: its own, those of its flow, and those of the executions it was made for.

use model::ids::{ExecutionId, FlowKey, Namespace};
use store::rows::{self, Key};
use store::{BlobReader, View};

use crate::error::Error;
use crate::node::Node;

/// What the URIs of stored files begin with.
pub(crate) const SCHEME: &str = "kestra:///";
/// What the URIs of namespace files begin with.
pub(crate) const NAMESPACE_SCHEME: &str = "nsfile://";
/// The folder of a namespace that holds its files.
const NAMESPACE_FOLDER: &str = "_files";
/// How many executions up it is looked: deeper nesting of subflows is refused by the engine.
const DEPTH_MAX: usize = 64;

/// Where the files of an execution are: `<namespace>/<flow>/executions/<id>/`.
pub(crate) fn folder_of(flow: &FlowKey, id: &ExecutionId) -> String {
    format!("{}/{}/executions/{id}/", flow.namespace.as_str().replace('.', "/"), flow.id)
}

/// The part of a file's path that names its task. Kestra writes it so.
pub(crate) fn task_folder(task: &str) -> String {
    task.replace('_', "-")
}

/// The namespace and the path that a URI of a namespace's file names, without a leading separator; `own` is meant where none is named.
/// The path may be empty: then it is the namespace's folder.
pub(crate) fn namespace_file(uri: &str, own: &Namespace) -> Option<(Namespace, String)> {
    let (namespace, path) = uri.strip_prefix(NAMESPACE_SCHEME)?.split_once('/')?;
    let named = !namespace.is_empty();
    if named && namespace.split('.').any(|part| part.is_empty() || part.contains(['\\', '%'])) {
        return None;
    }
    let path = path.trim_start_matches('/');
    let clean = !path.split('/').any(|part| matches!(part, "." | "..")) && !path.contains("//");
    let namespace = if named { Namespace::trusted(namespace) } else { own.clone() };
    clean.then(|| (namespace, path.to_owned()))
}

/// Where a namespace's files are: `<namespace>/_files/`.
pub(crate) fn namespace_folder(namespace: &Namespace) -> String {
    format!("{}/{NAMESPACE_FOLDER}/", namespace.as_str().replace('.', "/"))
}

impl Node {
    /// The content of a file that an execution may read, if it is not longer than `most_bytes`.
    pub async fn read_file(&self, id: &ExecutionId, uri: &str, most_bytes: usize) -> Result<Vec<u8>, Error> {
        let (size_bytes, mut reader) = self.open_file(id, uri).await?;
        if size_bytes > most_bytes as u64 {
            return Err(Error::TooLarge(format!("`{uri}` has {size_bytes} bytes, more than {most_bytes}")));
        }
        let mut content = Vec::new();
        while let Some(piece) = reader.read().await? {
            content.extend_from_slice(&piece);
        }
        Ok(content)
    }

    /// The size of a file that an execution may read, in bytes, and its content piece by piece.
    pub(crate) async fn open_file(&self, id: &ExecutionId, uri: &str) -> Result<(u64, Box<dyn BlobReader>), Error> {
        let missing = || Error::NotFound(format!("execution `{id}` has no file `{uri}`"));
        let path = self.readable(uri, id).await?.ok_or_else(missing)?;
        let key = Key::File(format!("{}/{path}", model::ids::TENANT).into());
        let file = self.store.find::<rows::File>(View::Durable, key).await?.ok_or_else(missing)?;
        let reader = self.store.read_blob(file.content.id.clone(), 0).await?.ok_or_else(missing)?;
        Ok((file.content.size_bytes, reader))
    }

    /// The path of a URI that an execution may read. Files of any namespace are, for whoever wrote the flow named it.
    pub(crate) async fn readable(&self, uri: &str, id: &ExecutionId) -> Result<Option<String>, Error> {
        if uri.starts_with(NAMESPACE_SCHEME) {
            let found = self.store.find::<rows::Execution>(View::Newest, Key::Execution(id.clone())).await?;
            let named = found.and_then(|row| namespace_file(uri, &row.record.flow.namespace));
            return Ok(named.filter(|(_, path)| !path.is_empty()).map(|(ns, path)| namespace_folder(&ns) + &path));
        }
        let Some(path) = uri.strip_prefix(SCHEME) else { return Ok(None) };
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Ok(None);
        }
        let mut next = Some(id.clone());
        for _ in 0..DEPTH_MAX {
            let Some(id) = next else { break };
            let found = self.store.find::<rows::Execution>(View::Newest, Key::Execution(id.clone())).await?;
            let Some(row) = found else { break };
            let record = &row.record;
            if path.starts_with(&folder_of(&record.flow, &id)) {
                return Ok(Some(path.to_owned()));
            }
            // A replay reads what the original made.
            let original = record.original.as_ref().filter(|original| **original != id);
            if original.is_some_and(|original| path.starts_with(&folder_of(&record.flow, original))) {
                return Ok(Some(path.to_owned()));
            }
            next = record.parent.as_ref().map(|parent| parent.execution.clone());
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_namespace_files_are_read() {
        let check = |uri: &str, expected: Option<(&str, &str)>| {
            let found = namespace_file(uri, &Namespace::trusted("own.ns"));
            let found = found.as_ref().map(|(namespace, path)| (namespace.as_str(), path.as_str()));
            assert_eq!(found, expected, "{uri}");
        };
        check("nsfile:///a/b.txt", Some(("own.ns", "a/b.txt")));
        check("nsfile:////a/b.txt", Some(("own.ns", "a/b.txt")));
        check("nsfile://other.ns/a", Some(("other.ns", "a")));
        check("nsfile:///", Some(("own.ns", "")));
        check("nsfile://other", None);
        check("nsfile:///a/../b", None);
        check("nsfile:///./a", None);
        check("nsfile://../a", None);
        check("nsfile://a..b/c", None);
        check("kestra:///a", None);
        assert_eq!(namespace_folder(&Namespace::trusted("a.b")), "a/b/_files/");
    }
}
