//! `sluice:host/files`: the internal storage by URI, answered by the server. Names are checked here; which URIs a run may see is not.

use super::answer;
use crate::bindings::sluice::host::{errors::Error, files};
use crate::calls::{Opaque, Shared};
use crate::grants::{Access, Need};
use crate::limits;
use crate::services::{FileTarget, FileWriter, HostError};
use crate::state::State;
use crate::tape::Call;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wasmtime::component::Resource;

/// A URI; longer ones are refused.
const URI_BYTES: usize = 4_096;
/// A file's name, as most file systems have it.
const NAME_BYTES: usize = 255;

const fn call(function: &'static str) -> Call {
    Call::new("sluice:host/files", function)
}

/// A file being written. `None` inside: it was finished.
pub struct Writer(Option<Box<dyn FileWriter>>);

fn good_uri(uri: &str) -> Result<(), HostError> {
    if uri.is_empty() || uri.len() > URI_BYTES {
        return Err(HostError::bad_argument(format!("a URI has 1 to {URI_BYTES} bytes, this one has {}", uri.len())));
    }
    Ok(())
}

fn good_name(name: &str) -> Result<(), HostError> {
    let clean = !name.is_empty()
        && name.len() <= NAME_BYTES
        && name != "."
        && name != ".."
        && !name.chars().any(|sign| sign == '/' || sign == '\\' || sign.is_control());
    if clean {
        return Ok(());
    }
    Err(HostError::bad_argument(format!(
        "`{}` is no file name: 1 to {NAME_BYTES} bytes, no separator, no control character",
        name.escape_debug()
    )))
}

/// What the URIs of namespace files begin with.
const NAMESPACE_FILES: &str = "nsfile://";

fn target_of(text: &str) -> Result<FileTarget, HostError> {
    match text.starts_with(NAMESPACE_FILES) {
        true => good_uri(text).map(|()| FileTarget::Namespace(text.to_owned())),
        false => good_name(text).map(|()| FileTarget::Run(text.to_owned())),
    }
}

/// Changing the files of a namespace is more than writing files of the run.
fn needed(uri: &str) -> Need<'static> {
    match uri.starts_with(NAMESPACE_FILES) {
        true => Need::NamespaceFiles,
        false => Need::Files(Access::Write),
    }
}

fn finished() -> HostError {
    HostError::bad_argument("the file is finished; hint: create another one")
}

/// Room for one more file of the run.
fn room_for_file(shared: &Shared) -> Result<(), HostError> {
    let most = shared.limits.storage_files;
    if shared.marks.storage_files.fetch_add(1, Ordering::Relaxed) < most {
        return Ok(());
    }
    Err(HostError::limit(format!(
        "a run makes at most {most} files in the internal storage; hint: put many small files into one"
    )))
}

fn room_for_bytes(shared: &Shared, length: usize) -> Result<(), HostError> {
    let (length, most) = (length as u64, shared.limits.storage_bytes);
    if shared.marks.storage_bytes.fetch_add(length, Ordering::Relaxed).saturating_add(length) <= most {
        return Ok(());
    }
    Err(HostError::limit(format!(
        "a run writes at most {most} bytes to the internal storage; hint: split the work over several tasks"
    )))
}

impl files::Host for State {
    async fn size(&mut self, uri: String) -> wasmtime::Result<Result<u64, Error>> {
        let shared = self.shared.clone();
        let work = async {
            good_uri(&uri)?;
            shared.services.file_size(uri.clone()).await
        };
        answer(shared.perform(call("size"), &[uri.as_bytes()], Need::Files(Access::Read), work).await)
    }

    async fn read(&mut self, uri: String, offset: u64, length: u32) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let shared = self.shared.clone();
        let length = length.min(limits::FILE_READ_BYTES);
        let work = async {
            good_uri(&uri)?;
            let mut bytes = shared.services.file_read(uri.clone(), offset, length).await?;
            bytes.truncate(length as usize);
            Ok(bytes)
        };
        let arguments = [uri.as_bytes(), &offset.to_le_bytes(), &length.to_le_bytes()];
        answer(shared.perform(call("read"), &arguments, Need::Files(Access::Read), work).await)
    }

    async fn create(&mut self, target: String) -> wasmtime::Result<Result<Resource<Writer>, Error>> {
        let shared = self.shared.clone();
        let work = async {
            let target = target_of(&target)?;
            room_for_file(&shared)?;
            shared.services.file_create(target).await.map(Opaque)
        };
        match shared.perform(call("create"), &[target.as_bytes()], needed(&target), work).await {
            Ok(Opaque(writer)) => Ok(Ok(self.table.push(Writer(Some(writer)))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn copy(&mut self, source: String, target: String) -> wasmtime::Result<Result<String, Error>> {
        let shared = self.shared.clone();
        let work = async {
            good_uri(&source)?;
            let target = target_of(&target)?;
            room_for_file(&shared)?;
            shared.services.file_copy(source.clone(), target).await
        };
        let arguments = [source.as_bytes(), target.as_bytes()];
        answer(shared.perform(call("copy"), &arguments, needed(&target), work).await)
    }

    async fn delete(&mut self, uri: String) -> wasmtime::Result<Result<bool, Error>> {
        let shared = self.shared.clone();
        let work = async {
            good_uri(&uri)?;
            shared.services.file_delete(uri.clone()).await
        };
        answer(shared.perform(call("delete"), &[uri.as_bytes()], needed(&uri), work).await)
    }

    async fn make_executable(&mut self, path: String) -> wasmtime::Result<Result<(), Error>> {
        let shared = self.shared.clone();
        let work = async {
            good_uri(&path)?;
            let root =
                shared.working_dir.clone().ok_or_else(|| HostError::not_found("this run has no working directory"))?;
            let told = path.clone();
            let marked = tokio::task::spawn_blocking(move || crate::directory::make_executable(&root, &told)).await;
            let marked = marked.map_err(|error| HostError::host(error.to_string()))?;
            marked.map_err(|error| {
                HostError::bad_argument(format!("`{}` cannot be made a program: {error}", path.escape_debug()))
            })
        };
        answer(shared.perform(call("make-executable"), &[path.as_bytes()], Need::WorkingDir, work).await)
    }

    async fn find(&mut self, prefix: String, after: Option<String>) -> wasmtime::Result<Result<Vec<String>, Error>> {
        let shared = self.shared.clone();
        let work = async {
            if !prefix.is_empty() {
                good_uri(&prefix)?;
            }
            shared.services.file_find(prefix.clone(), after.clone()).await
        };
        let arguments = [prefix.as_bytes(), after.as_deref().unwrap_or_default().as_bytes()];
        answer(shared.perform(call("find"), &arguments, Need::Files(Access::Read), work).await)
    }
}

impl files::HostWriter for State {
    async fn write(&mut self, this: Resource<Writer>, bytes: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        let shared: Arc<Shared> = self.shared.clone();
        let writer = self.table.get_mut(&this)?;
        let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
        let work = async {
            let writer = writer.0.as_mut().ok_or_else(finished)?;
            room_for_bytes(&shared, bytes.len())?;
            writer.write(bytes).await
        };
        answer(shared.perform(call("writer.write"), &[&digest], Need::Files(Access::Write), work).await)
    }

    async fn finish(&mut self, this: Resource<Writer>) -> wasmtime::Result<Result<String, Error>> {
        let shared = self.shared.clone();
        let taken = self.table.get_mut(&this)?.0.take();
        let work = async { taken.ok_or_else(finished)?.finish().await };
        answer(shared.perform(call("writer.finish"), &[], Need::Files(Access::Write), work).await)
    }

    async fn drop(&mut self, this: Resource<Writer>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::good_name;

    #[test]
    fn names_are_one_clean_segment() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a\0b", "a\nb"] {
            assert!(good_name(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a.txt", "ä b.json", "..a"] {
            assert!(good_name(good).is_ok(), "{good:?}");
        }
    }
}
