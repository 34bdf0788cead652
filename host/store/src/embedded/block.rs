//! Blocks: how runs and packs keep their content. Compressed where that helps, each with a checksum of its stored form,
//! so that nothing is ever unpacked, let alone believed, that is not what was written.

use std::cell::RefCell;

use zstd::bulk::Decompressor;

use super::disk::{DiskFile, failed};
use crate::error::Error;

/// raw length, stored length, checksum of both and of the content.
pub const HEAD: usize = 4 + 4 + 4;
/// How hard runs are compressed: they are written at every checkpoint and rewritten by merges, so speed counts.
pub const QUICK: i32 = 1;
/// How hard packs are compressed: they are written once.
pub const THOROUGH: i32 = 3;
/// Shorter content is kept as it is: there is nothing to gain.
const COMPRESSED_FROM: usize = 64;

thread_local! {
    /// Making one costs about as much as unpacking a block.
    static UNPACKER: RefCell<Decompressor<'static>> = RefCell::default();
}

/// Compresses blocks one after the other.
pub struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    /// A compressor of a level.
    pub fn new(level: i32) -> std::io::Result<Self> {
        zstd::bulk::Compressor::new(level).map(Self)
    }

    /// The stored form of a block.
    pub fn block(&mut self, raw: &[u8]) -> std::io::Result<Vec<u8>> {
        let raw_len = u32::try_from(raw.len()).map_err(std::io::Error::other)?;
        let compressed = if raw.len() < COMPRESSED_FROM { None } else { Some(self.0.compress(raw)?) };
        // As long as before: kept as it was. That is how it is told apart.
        let content = compressed.as_deref().filter(|compressed| compressed.len() < raw.len()).unwrap_or(raw);
        let mut block = Vec::with_capacity(HEAD + content.len());
        block.extend_from_slice(&raw_len.to_le_bytes());
        block.extend_from_slice(&(content.len() as u32).to_le_bytes());
        block.extend_from_slice(&checksum(&block, content).to_le_bytes());
        block.extend_from_slice(content);
        Ok(block)
    }
}

fn checksum(lengths: &[u8], content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(lengths), content)
}

/// Damage at an offset of a file.
pub fn damaged(name: &str, offset: u64, what: &str) -> Error {
    Error::Corrupt { what: format!("`{name}` at offset {offset}: {what}\nhint: restore the file from a copy") }
}

/// Exactly so many bytes at an offset.
pub fn read_exactly(file: &dyn DiskFile, name: &str, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; len];
    let read = file.read_at(offset, &mut bytes).map_err(failed(name))?;
    if read < len { Err(damaged(name, offset, "it ends too early")) } else { Ok(bytes) }
}

/// The block at an offset, unpacked, and where it ends. `end`: where the blocks of the file end.
pub fn read(file: &dyn DiskFile, name: &str, offset: u64, end: u64) -> Result<(Vec<u8>, u64), Error> {
    let wrong = |what: &str| damaged(name, offset, what);
    let head = read_exactly(file, name, offset, HEAD)?;
    let mut numbers = head.chunks_exact(4).filter_map(|chunk| Some(u32::from_le_bytes(*chunk.first_chunk()?)));
    let (Some(raw_len), Some(len), Some(expected)) = (numbers.next(), numbers.next(), numbers.next()) else {
        return Err(wrong("a block has no head"));
    };
    let next = offset + HEAD as u64 + u64::from(len);
    // A damaged length must not become a huge buffer.
    if next > end {
        return Err(wrong("a block runs over the end of the blocks"));
    }
    let content = read_exactly(file, name, offset + HEAD as u64, len as usize)?;
    if checksum(head.get(..8).unwrap_or_default(), &content) != expected {
        return Err(wrong("the checksum of a block does not fit"));
    }
    if len == raw_len {
        return Ok((content, next));
    }
    let raw = UNPACKER
        .with_borrow_mut(|unpacker| unpacker.decompress(&content, raw_len as usize))
        .map_err(|error| wrong(&format!("a block cannot be unpacked: {error}")))?;
    if raw.len() == raw_len as usize { Ok((raw, next)) } else { Err(wrong("a block is not as long as it was")) }
}
