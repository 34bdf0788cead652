//! The objects of a repository in memory: a fetched pack with its index, and objects made here. Every object that is read was hashed when the
//! pack was indexed, so what a name says is what is there.

pub mod commit;
pub mod names;
pub mod pack;
pub mod tree;

use std::cell::RefCell;
use std::collections::BTreeMap;

use gix_hash::{Kind as Hash, ObjectId, oid};
use gix_object::Kind;
use gix_pack::cache::lru::MemoryCappedHashmap;
use gix_pack::{data, index};
use sluice_sdk::Failure;

use crate::failures::{self, chain, fault};
use pack::{Bytes, Indexed};

/// Bytes of decoded objects that are kept, because deltas build on them.
const CACHE_BYTES: usize = 16 << 20;
/// Largest object.
pub const OBJECT_BYTES_MAX: usize = 64 << 20;
/// Most memory that an object takes while it is put together of a base and deltas.
pub const DELTA_BYTES_MAX: usize = 80 << 20;

/// The objects of one repository.
pub struct Objects {
    pack: Option<Pack>,
    made: BTreeMap<ObjectId, (Kind, Vec<u8>)>,
}

struct Pack {
    data: data::File<Bytes>,
    index: index::File<Bytes>,
    files: (Bytes, Bytes),
    reading: RefCell<Reading>,
}

/// What reading needs beside the pack.
struct Reading {
    inflate: gix_zlib::Inflate,
    cache: MemoryCappedHashmap,
}

impl Objects {
    /// Of a repository that has none.
    pub fn none() -> Self {
        Self { pack: None, made: BTreeMap::new() }
    }

    /// Those of a pack. Each one is put together and hashed.
    pub fn of(pack: Vec<u8>) -> Result<Self, Failure> {
        let pack = Bytes::from(pack);
        let Indexed { data, index, bytes } = pack::indexed(&pack)?;
        let reading = Reading { inflate: gix_zlib::Inflate::default(), cache: MemoryCappedHashmap::new(CACHE_BYTES) };
        Ok(Self {
            pack: Some(Pack { data, index, files: (pack, bytes), reading: RefCell::new(reading) }),
            made: BTreeMap::new(),
        })
    }

    /// The pack and its index, as files have them.
    pub fn pack(&self) -> Option<(&[u8], &[u8])> {
        self.pack.as_ref().map(|pack| (&*pack.files.0, &*pack.files.1))
    }

    /// Whether an object is here.
    pub fn has(&self, id: &oid) -> bool {
        self.made.contains_key(id) || self.pack.as_ref().is_some_and(|pack| pack.index.lookup(id).is_some())
    }

    /// The one commit whose name begins so.
    pub fn by_prefix(&self, prefix: &str) -> Result<Option<ObjectId>, Failure> {
        let (Ok(prefix), Some(pack)) = (gix_hash::Prefix::from_hex_nonempty(prefix), &self.pack) else {
            return Ok(None);
        };
        match pack.index.lookup_prefix(prefix, None) {
            None => Ok(None),
            Some(Ok(at)) => Ok(Some(pack.index.oid_at_index(at).to_owned())),
            Some(Err(())) => {
                let message = format!("several objects begin with `{prefix}`; hint: write more of the name");
                Err(fault(failures::COMMIT, message))
            }
        }
    }

    /// Reads an object.
    pub fn read(&self, id: &oid) -> Result<(Kind, Vec<u8>), Failure> {
        let found = self.find(id).map_err(|error| corrupt(id, &chain(&error)))?;
        found.ok_or_else(|| corrupt(id, "it is not there"))
    }

    /// Reads an object that is of one kind.
    pub fn read_as(&self, kind: Kind, id: &oid) -> Result<Vec<u8>, Failure> {
        match self.read(id)? {
            (found, bytes) if found == kind => Ok(bytes),
            (found, _) => Err(corrupt(id, &format!("it is a {found} where a {kind} is expected"))),
        }
    }

    /// Keeps an object made here.
    pub fn make(&mut self, kind: Kind, bytes: Vec<u8>) -> Result<ObjectId, Failure> {
        let id = gix_object::compute_hash(Hash::Sha1, kind, &bytes)
            .map_err(|error| fault(failures::CORRUPT, format!("an object cannot be named: {}", chain(&error))))?;
        if !self.has(&id) {
            self.made.insert(id, (kind, bytes));
        }
        Ok(id)
    }

    /// What was made here, for a server that does not have it.
    pub fn made(&self) -> impl ExactSizeIterator<Item = (Kind, &[u8])> {
        self.made.values().map(|(kind, bytes)| (*kind, bytes.as_slice()))
    }

    fn find(&self, id: &oid) -> gix_error::Result<Option<(Kind, Vec<u8>)>> {
        if let Some((kind, bytes)) = self.made.get(id) {
            return Ok(Some((*kind, bytes.clone())));
        }
        let Some(pack) = &self.pack else { return Ok(None) };
        let Some(at) = pack.index.lookup(id) else { return Ok(None) };
        let entry = pack.data.entry(pack.index.pack_offset_at_index(at))?;
        let mut bytes = Vec::new();
        let Reading { inflate, cache } = &mut *pack.reading.borrow_mut();
        // Bases that are named by their hash are in the pack as well: it was asked for whole.
        let base = |id: &oid, _: &mut Vec<u8>| {
            let at = pack.index.lookup(id).map(|at| pack.index.pack_offset_at_index(at));
            at.map(|offset| pack.data.entry(offset).map(data::decode::entry::ResolvedBase::InPack)).transpose()
        };
        let outcome = pack.data.decode_entry(entry, &mut bytes, inflate, &base, cache)?;
        Ok(Some((outcome.kind, bytes)))
    }
}

impl gix_object::Find for Objects {
    fn try_find<'a>(&self, id: &oid, buffer: &'a mut Vec<u8>) -> gix_error::Result<Option<gix_object::Data<'a>>> {
        Ok(self.find(id)?.map(|(kind, bytes)| {
            *buffer = bytes;
            gix_object::Data::new(buffer, kind, Hash::Sha1)
        }))
    }
}

pub(crate) fn corrupt(id: &oid, why: &str) -> Failure {
    fault(
        failures::CORRUPT,
        format!("object `{id}` of the repository cannot be used: {why}; hint: have its owner run `git fsck`"),
    )
}
