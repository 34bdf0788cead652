//! The files of a ForEachItem: a file cut into batches, and what its executions gave gathered into one. Streams: holds a row and some
//! buffers, never a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use engine::{Event, JobId, State};
use expr::Value;
use model::batch::{BATCHES_MAX, BatchBy, Batches, Batching};
use model::execution::Failure;
use model::ids::{ExecutionId, TENANT};
use store::rows::{self, Key};
use store::{Batch, BlobWriter, View};

use crate::mailbox::Envelope;
use crate::node::Node;
use crate::readable::{folder_of, task_folder};

/// Longest row: it is held in memory while it is looked for its end.
const ROW_MAX_BYTES: usize = 16 << 20;
/// What is collected for a batch before it is written.
const BUFFER_BYTES: usize = 64 << 10;
/// Files named in one commit.
const FILES_PER_COMMIT: usize = 1_000;

/// Where the files of a job go.
struct Folder {
    /// `<namespace>/<flow>/executions/<id>/tasks/<task>/<run>`.
    path: String,
}

impl Node {
    /// Does `Command::Split` and posts its answer.
    pub(crate) async fn split_items(self: Arc<Self>, state: State, job: JobId, items: String, batching: Batching) {
        let Some(id) = state.execution().map(|execution| execution.id.clone()) else { return };
        let result = self.cut(&folder(&state, &job), &id, &items, &batching).await;
        self.post(&id, Envelope::event(Event::Split { job, result }));
    }

    /// Does `Command::Merge` and posts its answer.
    pub(crate) async fn merge_outputs(self: Arc<Self>, state: State, job: JobId, children: Vec<ExecutionId>) {
        let Some(id) = state.execution().map(|execution| execution.id.clone()) else { return };
        let result = self.gather(&folder(&state, &job), &children).await;
        self.post(&id, Envelope::event(Event::Merged { job, result }));
    }

    async fn cut(
        &self,
        folder: &Folder,
        id: &ExecutionId,
        items: &str,
        batching: &Batching,
    ) -> Result<Batches, Failure> {
        let path = self.readable(items, id).await.map_err(|error| Failure::new("files", error.to_string()))?;
        let path = path.ok_or_else(|| {
            Failure::new("no-file", format!("`items` is `{items}`, which is not a file that this execution may read"))
        })?;
        let key = Key::File(format!("{TENANT}/{path}").into());
        let file = self.store.find::<rows::File>(View::Newest, key).await.map_err(broken)?;
        let file = file.ok_or_else(|| Failure::new("no-file", format!("there is no file `{items}`")))?;
        let reader = self.store.read_blob(file.content.id.clone(), 0).await.map_err(broken)?;
        let mut reader = reader.ok_or_else(|| Failure::new("no-file", format!("the content of `{items}` is gone")))?;
        let name = path.rsplit('/').next().unwrap_or_default();
        let suffix = name.rsplit_once('.').map(|(_, extension)| format!(".{extension}")).unwrap_or_default();
        let mut pieces = Pieces::new(self, folder, suffix, batching);
        let mut rest: Vec<u8> = Vec::new();
        while let Some(piece) = reader.read().await.map_err(broken)? {
            // A separator may lie across two pieces.
            let mut from = rest.len().saturating_sub(batching.separator.len().saturating_sub(1));
            rest.extend_from_slice(&piece);
            let mut begun = 0;
            while let Some(at) = find(rest.get(from..).unwrap_or_default(), batching.separator.as_bytes()) {
                pieces.row(rest.get(begun..from + at).unwrap_or_default()).await?;
                begun = from + at + batching.separator.len();
                from = begun;
            }
            rest.drain(..begun);
            if rest.len() > ROW_MAX_BYTES {
                return Err(Failure::new(
                    "row-too-long",
                    format!("a row of `{items}` has more than {ROW_MAX_BYTES} bytes; hint: check `batch.separator`"),
                ));
            }
        }
        if !rest.is_empty() {
            pieces.row(&rest).await?;
        }
        pieces.finish().await
    }

    async fn gather(&self, folder: &Folder, children: &[ExecutionId]) -> Result<Option<String>, Failure> {
        let mut blob: Option<Box<dyn BlobWriter>> = None;
        for child in children {
            let found = self.store.find::<rows::Execution>(View::Newest, Key::Execution(child.clone())).await;
            let Some(row) = found.map_err(broken)?.filter(|row| !row.record.outputs.is_empty()) else { continue };
            let line = Value::from(row.record.outputs.clone()).to_json().to_string() + "\n";
            if blob.is_none() {
                blob = Some(self.store.write_blob(self.now()).await.map_err(broken)?);
            }
            if let Some(blob) = &mut blob {
                blob.write(Bytes::from(line)).await.map_err(broken)?;
            }
        }
        let Some(blob) = blob else { return Ok(None) };
        let path = format!("{}/outputs.ion", folder.path);
        let mut batch = Batch::new();
        batch.put(self.file(&path, blob.finish().await.map_err(broken)?));
        self.store.commit(batch).await.map_err(broken)?;
        Ok(Some(format!("kestra:///{path}")))
    }

    fn file(&self, path: &str, content: rows::BlobInfo) -> rows::File {
        let now = self.now();
        let path = format!("{TENANT}/{path}").into();
        rows::File { path, content, created: now, updated: now, metadata: BTreeMap::new() }
    }
}

/// The batches being written.
struct Pieces<'a> {
    node: &'a Node,
    folder: &'a Folder,
    suffix: String,
    batching: &'a Batching,
    deal: model::batch::Deal,
    open: BTreeMap<u32, (Box<dyn BlobWriter>, Vec<u8>)>,
    named: Batch,
}

impl<'a> Pieces<'a> {
    fn new(node: &'a Node, folder: &'a Folder, suffix: String, batching: &'a Batching) -> Self {
        let deal = batching.deal();
        Self { node, folder, suffix, batching, deal, open: BTreeMap::new(), named: Batch::new() }
    }

    async fn row(&mut self, row: &[u8]) -> Result<(), Failure> {
        let batch = self.deal.next(row.len() as u64).ok_or_else(|| {
            Failure::new(
                "too-many-batches",
                format!("the file has more than {BATCHES_MAX} batches; hint: make them larger"),
            )
        })?;
        // But for partitions, rows come batch by batch.
        if !matches!(self.batching.by, BatchBy::Partitions(_)) && !self.open.contains_key(&batch) {
            self.close_all().await?;
        }
        if !self.open.contains_key(&batch) {
            let blob = self.node.store.write_blob(self.node.now()).await.map_err(broken)?;
            self.open.insert(batch, (blob, Vec::new()));
        }
        let Some((blob, buffer)) = self.open.get_mut(&batch) else { return Ok(()) };
        buffer.extend_from_slice(row);
        buffer.extend_from_slice(self.batching.separator.as_bytes());
        if buffer.len() >= BUFFER_BYTES {
            blob.write(Bytes::from(std::mem::take(buffer))).await.map_err(broken)?;
        }
        Ok(())
    }

    async fn close_all(&mut self) -> Result<(), Failure> {
        for (batch, (mut blob, buffer)) in std::mem::take(&mut self.open) {
            blob.write(Bytes::from(buffer)).await.map_err(broken)?;
            let content = blob.finish().await.map_err(broken)?;
            let path = format!("{}/{batch}{}", self.folder.path, self.suffix);
            self.named.put(self.node.file(&path, content));
        }
        if self.named.steps.len() >= FILES_PER_COMMIT {
            self.node.store.commit(std::mem::take(&mut self.named)).await.map_err(broken)?;
        }
        Ok(())
    }

    /// Writes what is left, and the list of all batches.
    async fn finish(mut self) -> Result<Batches, Failure> {
        self.close_all().await?;
        let uri = |name: &str| format!("kestra:///{}/{name}", self.folder.path);
        let batches =
            Batches { prefix: uri(""), suffix: self.suffix.clone(), count: self.deal.count(), list: uri("list.txt") };
        let mut blob = self.node.store.write_blob(self.node.now()).await.map_err(broken)?;
        for batch in 0..batches.count {
            blob.write(Bytes::from(batches.uri(batch) + "\n")).await.map_err(broken)?;
        }
        let content = blob.finish().await.map_err(broken)?;
        self.named.put(self.node.file(&format!("{}/list.txt", self.folder.path), content));
        self.node.store.commit(self.named).await.map_err(broken)?;
        Ok(batches)
    }
}

fn folder(state: &State, job: &JobId) -> Folder {
    let flow = &state.flow().key;
    let id = state.execution().map_or_else(|| ExecutionId::trusted(""), |execution| execution.id.clone());
    let task = state.run(&job.run).map(|run| run.task.to_string()).unwrap_or_default();
    Folder { path: format!("{}tasks/{}/{}", folder_of(flow, &id), task_folder(&task), job.run) }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let (first, rest) = wanted.split_first()?;
    let mut from = 0;
    while let Some(at) = text.get(from..)?.iter().position(|byte| byte == first) {
        let start = from + at;
        if text.get(start + 1..).is_some_and(|text| text.starts_with(rest)) {
            return Some(start);
        }
        from = start + 1;
    }
    None
}

fn broken(error: store::Error) -> Failure {
    Failure::new("files", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_found() {
        let check = |text: &str, wanted: &str, at: Option<usize>| {
            assert_eq!(find(text.as_bytes(), wanted.as_bytes()), at, "{text:?} {wanted:?}");
        };
        check("ab\ncd", "\n", Some(2));
        check("aab", "ab", Some(1));
        check("aaa", "ab", None);
        check("", "ab", None);
        check("a|", "||", None);
    }
}
