//! Looks single keys up in runs: the filter first, then the one block that can have it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::filter::hash;
use super::reader::RunFile;
use super::{RunEntry, Value, pop};
use crate::embedded::base::Pair;
use crate::embedded::cache;
use crate::embedded::disk::Disk;
use crate::embedded::journal::StoreId;
use crate::embedded::manifest::RunInfo;
use crate::embedded::packs::PackSet;
use crate::error::Error;
use crate::index::encode::{KeyBuf, key_of};
use crate::index::table::Stretch;

/// What blocks in memory may take in all: the hot end of a store, not all of it.
const CACHE_BYTES: usize = 64 << 20;

/// A run that can be looked things up in.
pub struct Lookup {
    run: RunFile,
    /// Tells its blocks from those of others in the cache.
    id: u64,
    blocks: Vec<BlockAt>,
}

type Block = Arc<Vec<RunEntry>>;
type Cache = cache::Cache<(u64, usize), Vec<RunEntry>>;

impl Lookup {
    /// Opens a run that the manifest names.
    pub fn open(disk: &dyn Disk, store: StoreId, info: &RunInfo) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let run = RunFile::open(disk, store, info)?;
        let blocks = block_index(&run)?;
        Ok(Self { run, id: NEXT.fetch_add(1, Ordering::Relaxed), blocks })
    }

    /// Its file.
    pub fn name(&self) -> &str {
        &self.run.name
    }

    /// The block that has a key, if any has.
    fn place(&self, key: &[u8]) -> usize {
        self.blocks.partition_point(|(first, _)| **first <= *key).saturating_sub(1)
    }

    fn block(&self, cache: &Cache, number: usize) -> Result<Option<Block>, Error> {
        let Some((_, offset)) = self.blocks.get(number) else { return Ok(None) };
        if let Some(block) = cache.get(&(self.id, number)) {
            return Ok(Some(block));
        }
        let (bytes, _) = self.run.block(*offset)?;
        let mut rest = bytes.as_slice();
        let mut entries: Vec<RunEntry> = Vec::new();
        while !rest.is_empty() {
            let before = entries.last().map(|entry| &*entry.key).unwrap_or_default();
            entries.push(pop(&mut rest, before).ok_or_else(|| self.run.damaged(*offset, "an entry does not fit"))?);
        }
        let block = Arc::new(entries);
        cache.put((self.id, number), Arc::clone(&block), bytes.len(), CACHE_BYTES);
        Ok(Some(block))
    }

    fn get(&self, cache: &Cache, key: &[u8], hash: u64) -> Result<Option<RunEntry>, Error> {
        if self.run.filter.as_ref().is_some_and(|filter| !filter.may_have(hash)) {
            return Ok(None);
        }
        let Some(block) = self.block(cache, self.place(key))? else { return Ok(None) };
        let found = block.binary_search_by(|entry| (*entry.key).cmp(key)).ok();
        Ok(found.and_then(|at| block.get(at)).cloned())
    }

    fn first(&self, cache: &Cache, from: &[u8], upto: &[u8]) -> Result<Option<RunEntry>, Error> {
        let mut number = self.place(from);
        while let Some(block) = self.block(cache, number)? {
            let at = block.partition_point(|entry| *entry.key < *from);
            if let Some(entry) = block.get(at) {
                return Ok((*entry.key < *upto).then(|| entry.clone()));
            }
            number += 1;
        }
        Ok(None)
    }

    fn stretch(&self, cache: &Cache, from: &[u8], upto: &[u8], most: usize) -> Result<Stretch<Value>, Error> {
        let mut number = self.place(from);
        let mut found: Vec<(KeyBuf, Value)> = Vec::new();
        while let Some(block) = self.block(cache, number)? {
            let at = if found.is_empty() { block.partition_point(|entry| *entry.key < *from) } else { 0 };
            for entry in block.iter().skip(at) {
                if *entry.key >= *upto {
                    return Ok(Stretch { found, next: None });
                }
                if found.len() == most {
                    return Ok(Stretch { found, next: Some(entry.key.clone()) });
                }
                found.push((key_of(&entry.key), entry.value.clone()));
            }
            number += 1;
        }
        Ok(Stretch { found, next: None })
    }

    fn last(&self, cache: &Cache, from: &[u8], upto: &[u8]) -> Result<Option<RunEntry>, Error> {
        let mut number = self.place(upto);
        loop {
            let Some(block) = self.block(cache, number)? else { return Ok(None) };
            let at = block.partition_point(|entry| *entry.key < *upto);
            if let Some(entry) = at.checked_sub(1).and_then(|at| block.get(at)) {
                return Ok((*entry.key >= *from).then(|| entry.clone()));
            }
            match number.checked_sub(1) {
                Some(before) => number = before,
                None => return Ok(None),
            }
        }
    }
}

/// The first key of a block, and where it is.
type BlockAt = (KeyBuf, u64);

/// All blocks of a run, in order.
pub fn block_index(run: &RunFile) -> Result<Vec<BlockAt>, Error> {
    let mut blocks = Vec::new();
    let mut rest = run.index.as_slice();
    while !rest.is_empty() {
        let block = take_block(&mut rest).ok_or_else(|| run.damaged(run.blocks_end, "the block index does not fit"))?;
        blocks.push(block);
    }
    Ok(blocks)
}

fn take_block(rest: &mut &[u8]) -> Option<BlockAt> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let (key, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    let (offset, after) = after.split_first_chunk::<8>()?;
    *rest = after;
    Some((key.into(), u64::from_le_bytes(*offset)))
}

/// Runs that follow each other, as one ordered map.
pub struct RunSet {
    /// Oldest first.
    runs: Vec<Arc<Lookup>>,
    packs: PackSet,
    cache: Arc<Cache>,
}

impl RunSet {
    /// Runs, oldest first, and the packs they refer to.
    pub fn new(runs: Vec<Arc<Lookup>>, packs: PackSet) -> Self {
        Self { runs, packs, cache: Arc::default() }
    }

    /// Other runs with the same cache.
    pub fn with(&self, runs: Vec<Arc<Lookup>>, packs: PackSet) -> Self {
        Self { runs, packs, cache: Arc::clone(&self.cache) }
    }

    /// The packs.
    pub fn packs(&self) -> &PackSet {
        &self.packs
    }

    fn value(&self, value: Value) -> Result<Option<Vec<u8>>, Error> {
        match value {
            Value::Here(value) => Ok(Some(value)),
            Value::Packed(place) => self.packs.get(&place).map(Some),
            Value::Removed { .. } => Ok(None),
        }
    }

    /// The runs, oldest first.
    pub fn runs(&self) -> &[Arc<Lookup>] {
        &self.runs
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let hash = hash(key);
        for run in self.runs.iter().rev() {
            if let Some(entry) = run.get(&self.cache, key, hash)? {
                return self.value(entry.value);
            }
        }
        Ok(None)
    }

    /// The first key in `from..upto`.
    pub fn first(&self, from: &[u8], upto: &[u8]) -> Result<Option<Pair>, Error> {
        let mut from = from.to_vec();
        loop {
            let mut best: Option<RunEntry> = None;
            for run in self.runs.iter().rev() {
                // Only a smaller key is better; of equal ones the later run was first.
                let end = best.as_ref().map_or(upto, |best| &best.key);
                if let Some(entry) = run.first(&self.cache, &from, end)? {
                    best = Some(entry);
                }
            }
            let Some(RunEntry { key, value }) = best else { return Ok(None) };
            match self.value(value)? {
                Some(value) => return Ok(Some((key, value))),
                None => from = [&*key, &[0]].concat(),
            }
        }
    }

    /// The first keys in `from..upto`.
    pub fn stretch(&self, from: &[u8], upto: &[u8], most: usize) -> Result<Stretch<Vec<u8>>, Error> {
        let mut layers: Vec<Stretch<Value>> = Vec::with_capacity(self.runs.len());
        for run in self.runs.iter().rev() {
            // Beyond where another has stopped nothing counts.
            let end = layers.iter().filter_map(|layer| layer.next.as_deref()).min().unwrap_or(upto);
            layers.push(run.stretch(&self.cache, from, end, most)?);
        }
        Stretch::merged(layers).filtered(|value| self.value(value))
    }

    /// The last key in `from..upto`.
    pub fn last(&self, from: &[u8], upto: &[u8]) -> Result<Option<Pair>, Error> {
        let mut upto = upto.to_vec();
        loop {
            let mut best: Option<RunEntry> = None;
            for run in self.runs.iter().rev() {
                let start = best.as_ref().map_or_else(|| from.to_vec(), |best| [&*best.key, &[0]].concat());
                if let Some(entry) = run.last(&self.cache, &start, &upto)? {
                    best = Some(entry);
                }
            }
            let Some(RunEntry { key, value }) = best else { return Ok(None) };
            match self.value(value)? {
                Some(value) => return Ok(Some((key, value))),
                None => upto = key.into_vec(),
            }
        }
    }
}
