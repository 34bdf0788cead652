//! Packs: one that came is looked through and indexed, one that goes is written (`gitformat-pack`). gitoxide's own way from a pack to its index
//! needs temporary files and does not compile for a guest; decoding objects and deltas is its, their order and the index are here.

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Deref;
use std::rc::Rc;

use gix_hash::{Kind as Hash, ObjectId};
use gix_object::Kind;
use gix_pack::data::entry::Header;
use gix_pack::{data, index};
use sluice_sdk::Failure;

use super::{DELTA_BYTES_MAX, OBJECT_BYTES_MAX};
use crate::failures::{self, chain, fault};

/// Most objects of one pack: what is remembered of each until the index is made is about 100 bytes.
const OBJECTS_MAX: u32 = 2_000_000;
/// Bytes of the digest behind a pack.
const DIGEST_BYTES: usize = 20;
/// No object.
const NONE: u32 = u32::MAX;

/// Bytes of a pack or an index, which whoever reads objects and whoever writes files share: a pack is too large to be there twice.
#[derive(Clone, Debug)]
pub struct Bytes(Rc<Vec<u8>>);

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Rc::new(bytes))
    }
}

/// A pack that was looked through.
pub struct Indexed {
    pub data: data::File<Bytes>,
    pub index: index::File<Bytes>,
    /// The bytes of the index.
    pub bytes: Bytes,
}

fn broken(error: gix_error::Error) -> Failure {
    let code = if error.is_resource_exhausted() { failures::TOO_LARGE } else { failures::CORRUPT };
    damaged(code, &chain(&error))
}

fn damaged(code: &str, why: &str) -> Failure {
    fault(code, format!("the objects that the server gave cannot be used: {why}; hint: have its owner run `git fsck`"))
}

/// Indexes a pack. Every object is put together and hashed; what is cut off, damaged or too large is refused.
pub fn indexed(pack: &Bytes) -> Result<Indexed, Failure> {
    let data = data::File::from_data(pack.clone(), "pack".into(), Hash::Sha1).map_err(broken)?;
    let data = data.with_alloc_limit_bytes(Some(DELTA_BYTES_MAX));
    if data.num_objects() > OBJECTS_MAX {
        let message = format!(
            "{} objects came, at most {OBJECTS_MAX} are taken; hint: take less history with `depth`",
            data.num_objects()
        );
        return Err(fault(failures::TOO_LARGE, message));
    }
    let (body, trailer) = pack.split_at(pack.len().saturating_sub(DIGEST_BYTES));
    let digest = hashed(body)?;
    if digest.as_slice() != trailer {
        return Err(damaged(failures::CORRUPT, "they were cut off or changed on their way"));
    }
    let mut entries = Entries::scanned(&data, body)?;
    entries.resolve(&data)?;
    let bytes = Bytes::from(entries.encoded(&digest)?);
    let index = index::File::from_data(bytes.clone(), "index".into(), Hash::Sha1).map_err(broken)?;
    Ok(Indexed { data, index, bytes })
}

fn hashed(bytes: &[u8]) -> Result<ObjectId, Failure> {
    let mut hasher = gix_hash::hasher(Hash::Sha1);
    hasher.update(bytes);
    hasher.try_finalize().map_err(broken)
}

/// What is known of the objects of a pack, in the order of their offsets.
struct Entries {
    offsets: Vec<u64>,
    crcs: Vec<u32>,
    ids: Vec<Option<ObjectId>>,
    /// The first delta on each, and the next delta on the same base.
    deltas: Vec<u32>,
    siblings: Vec<u32>,
    /// Deltas on objects that are named by their hash.
    by_id: HashMap<ObjectId, Vec<u32>>,
}

impl Entries {
    /// Walks a pack from entry to entry. Objects that are whole get their names.
    fn scanned(data: &data::File<Bytes>, body: &[u8]) -> Result<Self, Failure> {
        let count = data.num_objects() as usize;
        let mut all = Self {
            offsets: Vec::with_capacity(count),
            crcs: Vec::with_capacity(count),
            ids: vec![None; count],
            deltas: vec![NONE; count],
            siblings: vec![NONE; count],
            by_id: HashMap::new(),
        };
        let mut inflate = gix_zlib::Inflate::default();
        let mut buffer = Vec::new();
        let mut offset = data::header::SIZE as u64;
        for number in 0..count {
            let entry = data.entry(offset).map_err(broken)?;
            let size = usize::try_from(entry.decompressed_size).unwrap_or(usize::MAX);
            if size > OBJECT_BYTES_MAX {
                let message = format!("an object of {size} bytes came, at most {OBJECT_BYTES_MAX} are taken");
                return Err(fault(failures::TOO_LARGE, message));
            }
            buffer.resize(size, 0);
            let consumed = data.decompress_entry(&entry, &mut inflate, &mut buffer).map_err(broken)?;
            let end = entry.data_offset + consumed as u64;
            let raw = usize::try_from(offset)
                .ok()
                .zip(usize::try_from(end).ok())
                .and_then(|(start, end)| body.get(start..end));
            let raw = raw.ok_or_else(|| damaged(failures::CORRUPT, "an object ends behind their end"))?;
            all.offsets.push(offset);
            all.crcs.push(crc32fast::hash(raw));
            match entry.header {
                Header::OfsDelta { base_distance } => {
                    let base = Header::verified_base_pack_offset(offset, base_distance)
                        .and_then(|base| all.offsets.binary_search(&base).ok());
                    let base = base.ok_or_else(|| damaged(failures::CORRUPT, "a delta is on nothing"))?;
                    all.hang(number as u32, base);
                }
                Header::RefDelta { base_id } => all.by_id.entry(base_id).or_default().push(number as u32),
                whole => {
                    let kind = whole.as_kind().ok_or_else(|| damaged(failures::CORRUPT, "an object is of no kind"))?;
                    all.name(number, kind, &buffer)?;
                }
            }
            offset = end;
        }
        if offset != body.len() as u64 {
            return Err(damaged(failures::CORRUPT, "there is more behind the last object"));
        }
        Ok(all)
    }

    fn hang(&mut self, delta: u32, base: usize) {
        if let (Some(first), Some(next)) = (self.deltas.get_mut(base), self.siblings.get_mut(delta as usize)) {
            *next = std::mem::replace(first, delta);
        }
    }

    fn name(&mut self, number: usize, kind: Kind, bytes: &[u8]) -> Result<(), Failure> {
        let id = gix_object::compute_hash(Hash::Sha1, kind, bytes).map_err(broken)?;
        if let Some(slot) = self.ids.get_mut(number) {
            *slot = Some(id);
        }
        for delta in self.by_id.remove(&id).unwrap_or_default() {
            self.hang(delta, number);
        }
        Ok(())
    }

    /// Puts deltas together, each on the object before it, and names them.
    fn resolve(&mut self, data: &data::File<Bytes>) -> Result<(), Failure> {
        let mut inflate = gix_zlib::Inflate::default();
        // A base that is named by its hash may stand before its delta.
        for number in 0..self.offsets.len() {
            let Some(id) = self.ids.get(number).copied().flatten().filter(|_| !self.by_id.is_empty()) else { continue };
            for delta in self.by_id.remove(&id).unwrap_or_default() {
                self.hang(delta, number);
            }
        }
        // Bases with deltas that are left, from an object that is whole down to the one at hand. A base goes with its last delta, so a chain of
        // them, each on the one before, is in memory twice, and not as often as it is long.
        let mut open: Vec<(Rc<Vec<u8>>, Kind, u32)> = Vec::new();
        for root in 0..self.offsets.len() {
            let first = self.deltas.get(root).copied().unwrap_or(NONE);
            if first == NONE || self.ids.get(root).copied().flatten().is_none() || !self.is_whole(data, root)? {
                continue;
            }
            let entry = self.entry(data, root)?;
            let kind = entry.header.as_kind().ok_or_else(|| damaged(failures::CORRUPT, "an object is of no kind"))?;
            let mut bytes =
                vec![0; usize::try_from(entry.decompressed_size).unwrap_or(usize::MAX).min(OBJECT_BYTES_MAX)];
            data.decompress_entry(&entry, &mut inflate, &mut bytes).map_err(broken)?;
            open.push((Rc::new(bytes), kind, first));
            while let Some((base, kind, delta)) = open.pop() {
                let next = self.siblings.get(delta as usize).copied().unwrap_or(NONE);
                if next != NONE {
                    open.push((base.clone(), kind, next));
                }
                let bytes = self.applied(data, delta as usize, &base, kind, &mut inflate)?;
                drop(base);
                self.name(delta as usize, kind, &bytes)?;
                let first = self.deltas.get(delta as usize).copied().unwrap_or(NONE);
                if first != NONE {
                    open.push((Rc::new(bytes), kind, first));
                }
            }
        }
        match self.ids.iter().all(Option::is_some) {
            true => Ok(()),
            false => Err(damaged(failures::CORRUPT, "a delta is on an object that is not there")),
        }
    }

    fn entry(&self, data: &data::File<Bytes>, number: usize) -> Result<data::Entry, Failure> {
        let offset = self.offsets.get(number).copied().unwrap_or_default();
        data.entry(offset).map_err(broken)
    }

    fn is_whole(&self, data: &data::File<Bytes>, number: usize) -> Result<bool, Failure> {
        Ok(self.entry(data, number)?.header.is_base())
    }

    /// A delta on its base.
    fn applied(
        &self,
        data: &data::File<Bytes>,
        number: usize,
        base: &[u8],
        kind: Kind,
        inflate: &mut gix_zlib::Inflate,
    ) -> Result<Vec<u8>, Failure> {
        // Named by a hash, the base is asked for; by its offset, the decoder would put it together once more.
        let mut entry = self.entry(data, number)?;
        entry.header = Header::RefDelta { base_id: ObjectId::null(Hash::Sha1) };
        let given = |_: &gix_hash::oid, out: &mut Vec<u8>| {
            out.clear();
            out.extend_from_slice(base);
            Ok(Some(data::decode::entry::ResolvedBase::OutOfPack { kind, end: base.len() }))
        };
        let mut bytes = Vec::new();
        data.decode_entry(entry, &mut bytes, inflate, &given, &mut gix_pack::cache::Never).map_err(broken)?;
        Ok(bytes)
    }

    /// The index, version 2.
    fn encoded(&self, pack: &ObjectId) -> Result<Vec<u8>, Failure> {
        let mut rows: Vec<(ObjectId, u32, u64)> = Vec::with_capacity(self.offsets.len());
        for ((id, crc), offset) in self.ids.iter().zip(&self.crcs).zip(&self.offsets) {
            rows.extend(id.map(|id| (id, *crc, *offset)));
        }
        rows.sort_unstable();
        let mut bytes = Vec::with_capacity(1_072 + rows.len() * 28);
        bytes.extend_from_slice(b"\xfftOc\0\0\0\x02");
        let mut at = 0;
        for first in 0..=u8::MAX {
            while rows.get(at).is_some_and(|(id, _, _)| id.first_byte() <= first) {
                at += 1;
            }
            bytes.extend_from_slice(&(at as u32).to_be_bytes());
        }
        rows.iter().for_each(|(id, _, _)| bytes.extend_from_slice(id.as_slice()));
        rows.iter().for_each(|(_, crc, _)| bytes.extend_from_slice(&crc.to_be_bytes()));
        // A pack that fits into memory has no offset of more than 31 bits.
        rows.iter().for_each(|(_, _, offset)| bytes.extend_from_slice(&(*offset as u32).to_be_bytes()));
        bytes.extend_from_slice(pack.as_slice());
        let digest = hashed(&bytes)?;
        bytes.extend_from_slice(digest.as_slice());
        Ok(bytes)
    }
}

/// Objects as a pack, each of them whole.
pub fn written<'a>(objects: impl ExactSizeIterator<Item = (Kind, &'a [u8])>) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| fault(failures::CORRUPT, format!("a pack cannot be written: {error}"));
    let count =
        u32::try_from(objects.len()).map_err(|_| fault(failures::TOO_LARGE, "too many objects for one pack"))?;
    let mut pack = data::header::encode(data::Version::V2, count).to_vec();
    for (kind, bytes) in objects {
        let header = match kind {
            Kind::Blob => Header::Blob,
            Kind::Tree => Header::Tree,
            Kind::Commit => Header::Commit,
            Kind::Tag => Header::Tag,
        };
        header.write_to(bytes.len() as u64, &mut pack).map_err(failed)?;
        let mut deflate = gix_zlib::stream::deflate::Write::new(pack, gix_zlib::Compression::default());
        deflate.write_all(bytes).and_then(|()| deflate.flush()).map_err(failed)?;
        pack = deflate.into_inner();
    }
    let digest = hashed(&pack)?;
    pack.extend_from_slice(digest.as_slice());
    Ok(pack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Objects;

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_refused() {
        let mut made = Objects::none();
        let contents = [&b"one"[..], b"", &[0; 70_000]];
        let ids: Vec<_> = contents.iter().map(|bytes| made.make(Kind::Blob, bytes.to_vec()).expect("made")).collect();
        let pack = written(made.made()).expect("written");
        let objects = Objects::of(pack.clone()).expect("whole");
        for id in &ids {
            assert_eq!(objects.read(id).expect("there"), made.read(id).expect("made"));
        }
        assert_eq!(objects.by_prefix(&ids[0].to_string()[..7]).expect("one"), Some(ids[0]));
        assert!(!objects.has(&ObjectId::null(Hash::Sha1)));
        for at in 0..pack.len() {
            let mut damaged = pack.clone();
            damaged[at] ^= 0x10;
            let failure = Objects::of(damaged).err().unwrap_or_else(|| panic!("byte {at} does not matter"));
            assert!([failures::CORRUPT, failures::TOO_LARGE].contains(&failure.code()), "{failure}");
        }
        for length in [0, 5, 12, 31, pack.len() - 1] {
            assert_eq!(Objects::of(pack[..length].to_vec()).err().expect("cut off").code(), failures::CORRUPT);
        }
    }
}
