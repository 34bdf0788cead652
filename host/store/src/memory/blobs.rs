//! Blobs in memory: pieces by the hash of the whole.

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::rows::{BlobId, BlobInfo};
use crate::store::{Answer, BLOB_PIECE, BlobReader, BlobWriter};

/// All blobs.
#[derive(Debug, Default)]
pub struct Blobs {
    all: Arc<Mutex<HashMap<BlobId, Blob>>>,
}

#[derive(Clone, Debug)]
struct Blob {
    content: Bytes,
    written: Timestamp,
}

fn lock(all: &Mutex<HashMap<BlobId, Blob>>) -> MutexGuard<'_, HashMap<BlobId, Blob>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Blobs {
    /// A new blob.
    pub fn writer(&self, now: Timestamp) -> Box<dyn BlobWriter> {
        Box::new(Writer { all: Arc::clone(&self.all), content: Vec::new(), hash: Sha256::new(), now })
    }

    /// A blob from an offset on.
    pub fn reader(&self, id: &BlobId, offset: u64) -> Option<Box<dyn BlobReader>> {
        let content = lock(&self.all).get(id)?.content.clone();
        let at = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        Some(Box::new(Reader { rest: content.slice(at..), size_bytes: content.len() as u64 }))
    }

    /// Removes old blobs that nothing names.
    pub fn collect(&self, before: Timestamp, named: impl Fn(&BlobId) -> Result<bool, Error>) -> Result<usize, Error> {
        let old: Vec<BlobId> = {
            let all = lock(&self.all);
            all.iter().filter(|(_, blob)| blob.written < before).map(|(id, _)| id.clone()).collect()
        };
        let mut removed = 0;
        for id in old {
            if !named(&id)? {
                removed += usize::from(lock(&self.all).remove(&id).is_some());
            }
        }
        Ok(removed)
    }
}

struct Writer {
    all: Arc<Mutex<HashMap<BlobId, Blob>>>,
    content: Vec<u8>,
    hash: Sha256,
    now: Timestamp,
}

impl BlobWriter for Writer {
    fn write(&mut self, piece: Bytes) -> Answer<'_, ()> {
        self.hash.update(&piece);
        self.content.extend_from_slice(&piece);
        Box::pin(ready(Ok(())))
    }

    fn finish(self: Box<Self>) -> Answer<'static, BlobInfo> {
        let id = BlobId(crate::hex(&self.hash.finalize()).into());
        let info = BlobInfo { id: id.clone(), size_bytes: self.content.len() as u64 };
        // Written again counts as new: whoever wrote it now is about to name it.
        lock(&self.all).insert(id, Blob { content: self.content.into(), written: self.now });
        Box::pin(ready(Ok(info)))
    }
}

struct Reader {
    rest: Bytes,
    size_bytes: u64,
}

impl BlobReader for Reader {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read(&mut self) -> Answer<'_, Option<Bytes>> {
        let piece = self.rest.split_to(self.rest.len().min(BLOB_PIECE));
        Box::pin(ready(Ok(Some(piece).filter(|piece| !piece.is_empty()))))
    }
}
