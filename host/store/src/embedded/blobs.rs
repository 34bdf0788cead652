//! Blobs as files: written under a temporary name, synced, and named after their hash; read back against it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::disk::{Disk, DiskFile, SharedDisk, failed};
use crate::error::Error;
use crate::rows::{BlobId, BlobInfo};
use crate::store::{Answer, BLOB_PIECE, BlobReader, BlobWriter};

/// Where they are.
pub const FOLDER: &str = "blobs/";
/// Blobs that are being written. What is left here at a start belongs to nobody.
pub const UNFINISHED: &str = "blobs/new/";

/// All blobs.
pub struct DiskBlobs {
    shared: Arc<Shared>,
}

struct Shared {
    disk: SharedDisk,
    next: AtomicU64,
    /// Held while a blob gets its name or loses it, so that none is removed that was just written again.
    naming: Mutex<()>,
}

impl Shared {
    fn naming(&self) -> MutexGuard<'_, ()> {
        self.naming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_id(id: &BlobId) -> bool {
    id.0.len() == 64 && id.0.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn folder_of(id: &BlobId) -> String {
    format!("{FOLDER}{}/", id.0.get(..2).unwrap_or_default())
}

/// The file of a blob.
pub fn name_of(id: &BlobId) -> String {
    format!("{}{}", folder_of(id), id.0)
}

/// Whether a blob is there, as long as it was written.
pub fn is_there(disk: &dyn Disk, blob: &BlobInfo) -> Result<bool, Error> {
    let name = name_of(&blob.id);
    match disk.open(&name).and_then(|file| file.size()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        size => size.map(|size| size == blob.size_bytes).map_err(failed(&name)),
    }
}

impl DiskBlobs {
    /// Those of a disk, without what was never finished.
    pub fn new(disk: SharedDisk) -> Result<Self, Error> {
        for name in disk.list(UNFINISHED).map_err(failed(UNFINISHED))? {
            let name = format!("{UNFINISHED}{name}");
            disk.remove(&name).map_err(failed(&name))?;
        }
        disk.make_folder(UNFINISHED).map_err(failed(UNFINISHED))?;
        // A blob is only as safe as the folders it is in.
        disk.sync_folder(FOLDER).and_then(|()| disk.sync_folder("")).map_err(failed(FOLDER))?;
        Ok(Self { shared: Arc::new(Shared { disk, next: AtomicU64::new(0), naming: Mutex::new(()) }) })
    }

    /// A new blob.
    pub fn writer(&self, now: Timestamp) -> Result<Box<dyn BlobWriter>, Error> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{UNFINISHED}{number}");
        let file = self.shared.disk.create(&name).map_err(failed(&name))?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(Writer { shared, name, file, now, size_bytes: 0, hash: Sha256::new(), finished: false }))
    }

    /// A blob from an offset on.
    pub fn reader(&self, id: &BlobId, offset: u64) -> Result<Option<Box<dyn BlobReader>>, Error> {
        if !is_id(id) {
            return Ok(None);
        }
        let name = name_of(id);
        let file = match self.shared.disk.open(&name) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed(&name))?,
        };
        let size_bytes = file.size().map_err(failed(&name))?;
        // Only who reads all of it can tell whether it is what was written.
        let hash = (offset == 0).then(Sha256::new);
        Ok(Some(Box::new(Reader { name, file, offset, size_bytes, hash, id: id.clone() })))
    }

    /// Removes old blobs that nothing names.
    pub fn collect(&self, before: Timestamp, named: impl Fn(&BlobId) -> Result<bool, Error>) -> Result<usize, Error> {
        let disk = &self.shared.disk;
        let mut removed = 0;
        for folder in disk.list(FOLDER).map_err(failed(FOLDER))? {
            let folder = format!("{FOLDER}{folder}/");
            for name in disk.list(&folder).map_err(failed(&folder))? {
                let (id, name) = (BlobId(name.as_str().into()), format!("{folder}{name}"));
                if !is_id(&id) || disk.modified(&name).map_err(failed(&name))? >= before || named(&id)? {
                    continue;
                }
                let _naming = self.shared.naming();
                if disk.modified(&name).map_err(failed(&name))? < before && !named(&id)? {
                    disk.remove(&name).map_err(failed(&name))?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

struct Writer {
    shared: Arc<Shared>,
    name: String,
    file: Box<dyn DiskFile>,
    now: Timestamp,
    size_bytes: u64,
    hash: Sha256,
    finished: bool,
}

impl Writer {
    fn end(&mut self) -> Result<BlobInfo, Error> {
        let disk = &self.shared.disk;
        let hash = std::mem::take(&mut self.hash).finalize();
        let id = BlobId(crate::hex(&hash).into());
        let (folder, last) = (folder_of(&id), format!("{}{}", folder_of(&id), id.0));
        self.file.set_modified(self.now).and_then(|()| self.file.sync()).map_err(failed(&self.name))?;
        disk.make_folder(&folder).and_then(|()| disk.sync_folder(FOLDER)).map_err(failed(&folder))?;
        let _naming = self.shared.naming();
        // Written before: this one takes its place, the same but newer, so that it is not collected.
        disk.rename(&self.name, &last).map_err(failed(&last))?;
        self.finished = true;
        disk.sync_folder(&folder).map_err(failed(&folder))?;
        Ok(BlobInfo { id, size_bytes: self.size_bytes })
    }
}

impl BlobWriter for Writer {
    fn write(&mut self, piece: Bytes) -> Answer<'_, ()> {
        self.hash.update(&piece);
        let written = self.file.write_at(self.size_bytes, &piece).map_err(|error| match error.kind() {
            std::io::ErrorKind::StorageFull => Error::Full { reason: format!("`{}`: {error}", self.name) },
            _ => failed(&self.name)(error),
        });
        self.size_bytes += piece.len() as u64;
        Box::pin(std::future::ready(written))
    }

    fn finish(mut self: Box<Self>) -> Answer<'static, BlobInfo> {
        Box::pin(async move {
            // It syncs: not on a thread that others wait for.
            match tokio::task::spawn_blocking(move || self.end()).await {
                Ok(info) => info,
                Err(error) => Err(Error::ReadOnly { reason: format!("a blob was not finished: {error}") }),
            }
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            // What stays after a crash here is removed at the next start.
            drop(self.shared.disk.remove(&self.name));
        }
    }
}

struct Reader {
    name: String,
    file: Box<dyn DiskFile>,
    offset: u64,
    size_bytes: u64,
    hash: Option<Sha256>,
    id: BlobId,
}

impl Reader {
    fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        let mut piece = vec![0; BLOB_PIECE];
        let read = self.file.read_at(self.offset, &mut piece).map_err(failed(&self.name))?;
        piece.truncate(read);
        self.offset += read as u64;
        if read > 0 {
            if let Some(hash) = &mut self.hash {
                hash.update(&piece);
            }
            return Ok(Some(piece.into()));
        }
        let found = self.hash.take().map(|hash| crate::hex(&hash.finalize()));
        if found.is_some_and(|found| found != *self.id.0) {
            return Err(Error::Corrupt {
                what: format!("`{}` is not what was written\nhint: restore it from a copy", self.name),
            });
        }
        Ok(None)
    }
}

impl BlobReader for Reader {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read(&mut self) -> Answer<'_, Option<Bytes>> {
        Box::pin(std::future::ready(self.piece()))
    }
}
