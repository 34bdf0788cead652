//! Checkpoints: what the overlay holds becomes a run and goes into the index; then the journal before it can go.
//!
//! The order is what makes it safe at every step: the commits are durable, packs and run are safe, the manifest names
//! them, the index has it, and only then is anything removed. The index is never ahead of the runs; where a crash leaves
//! it behind, the next start brings it up.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::base::{Change, to_entry, to_value};
use super::disk::failed;
use super::manifest::{Manifest, RunInfo};
use super::packs::{self, PackInfo, PackSet};
use super::recovery::COPIED_AT_ONCE;
use super::runs::{self, Merged, Reader, RunEntry, Value, unpacked};
use super::store::{Core, Inner, lock};
use crate::Lsn;
use crate::error::Error;
use crate::index::keys;
use crate::index::table::{Entry, Table};

/// Most merges after one checkpoint: one for the runs, another for packs that turn out to be mostly dead.
const MERGES_AT_ONCE: usize = 3;
/// After all keys of rows and index entries.
pub const KEYS_END: &[u8] = &[0xf0];

impl Inner {
    /// Makes a checkpoint of everything that is committed now.
    pub fn checkpoint(&self) -> Result<(), Error> {
        let _one_at_a_time = lock(&self.checkpointing);
        let upto = self.freeze();
        self.wait_durable(upto)?;
        let frozen = self.read().frozen.as_ref().map(|(table, _)| Arc::clone(table));
        if let Some(frozen) = frozen {
            self.apply_frozen(&frozen, upto)?;
            drop(frozen);
            self.write().frozen = None;
            self.gauges.waiting_keys.store(0, std::sync::atomic::Ordering::Relaxed);
        }
        lock(&self.writer).forget(upto)?;
        self.merge_runs()
    }

    /// Puts the overlay aside, unless one is aside already from a checkpoint that failed. Up to which commit it is.
    fn freeze(&self) -> Lsn {
        let checkpoint = lock(&self.manifest).checkpoint;
        let mut core = self.write();
        if let Some((_, upto)) = &core.frozen {
            return *upto;
        }
        let upto = core.head;
        // Commits that changed nothing have numbers too: without them in a run the journal could not go.
        if upto > checkpoint {
            let empty = Core::empty_overlay(core.durable);
            let overlay = std::mem::replace(&mut core.overlay, empty);
            core.frozen = Some((Arc::new(overlay), upto));
        }
        upto
    }

    fn apply_frozen(&self, frozen: &Table, upto: Lsn) -> Result<(), Error> {
        let mut manifest = lock(&self.manifest).clone();
        let entries = || {
            let known = frozen.known_range(&[], KEYS_END, upto);
            known.filter_map(|(key, entry)| self.run_entry(key, entry))
        };
        if upto > manifest.checkpoint {
            let range = (manifest.checkpoint, upto);
            manifest.runs.push(runs::write(self.disk.as_ref(), self.store, range, &self.numbers, &[], entries())?);
            manifest.checkpoint = upto;
            self.replace_manifest(manifest)?;
        }
        let before = self.base.applied();
        if self.base_is_copy && upto > before {
            let mut changes: Vec<Change> = Vec::new();
            for entry in entries() {
                let entry = entry?;
                changes.push((entry.key, entry.value.here()));
                if changes.len() >= COPIED_AT_ONCE {
                    // It has all of it only with the last part: a crash now means bringing it up from the run.
                    self.base.apply(before, std::mem::take(&mut changes))?;
                }
            }
            self.base.apply(upto, changes)?;
        }
        Ok(())
    }

    fn replace_manifest(&self, mut manifest: Manifest) -> Result<(), Error> {
        manifest.known = manifest.known.max(self.read().durable);
        manifest.next_file = self.numbers.next();
        manifest.write(self.disk.as_ref())?;
        self.base.runs_changed(&manifest)?;
        *lock(&self.manifest) = manifest;
        Ok(())
    }

    /// What a key becomes; `None`: it came and went since the last checkpoint, nobody need know.
    fn run_entry(&self, key: &[u8], entry: Option<&Entry>) -> Option<Result<RunEntry, Error>> {
        let value = match entry {
            Some(entry) => to_value(entry).map(Value::Here),
            None => match self.base.get(key) {
                Ok(None) => return None,
                Ok(Some(old)) => Ok(Value::Removed { bytes: u32::try_from(old.len()).unwrap_or(u32::MAX) }),
                // Damaged where it may be: removed all the same, and no reason to make no checkpoint.
                Err(Error::Corrupt { .. }) => Ok(Value::Removed { bytes: 0 }),
                Err(error) => Err(error),
            },
        };
        Some(value.map(|value| RunEntry { key: key.into(), value }))
    }

    /// Merges runs that have become alike, so that space and the time of a rebuild follow what is live.
    fn merge_runs(&self) -> Result<(), Error> {
        for _ in 0..MERGES_AT_ONCE {
            let manifest = lock(&self.manifest).clone();
            match runs::to_merge(&manifest.runs) {
                Some(from) if self.merge_from(manifest, from)? => {}
                _ => break,
            }
        }
        Ok(())
    }

    /// Makes the runs from a place on one; without what is dead in their packs, where that is most of it. Whether it
    /// could be done.
    fn merge_from(&self, manifest: Manifest, from: usize) -> Result<bool, Error> {
        let (run, from) = match self.merged(&manifest, from) {
            Ok(run) => (run, from),
            // A damaged run is no loss while a copy has it all: it is written anew from there.
            Err(Error::Corrupt { what }) if self.base_is_copy => {
                tracing::error!(%what, "a run is damaged; it is written anew from the index");
                (self.run_of_base()?, 0)
            }
            // Nothing more is lost by leaving it as it is.
            Err(Error::Corrupt { what }) => {
                tracing::error!(%what, "a run is damaged and stays as it is");
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let mut next = manifest.clone();
        let kept: BTreeSet<u64> = run.packs.iter().map(|pack| pack.number).collect();
        let replaced: Vec<_> = next.runs.drain(from..).collect();
        let packs = replaced.iter().flat_map(|old| &old.packs).filter(|pack| !kept.contains(&pack.number));
        let gone: Vec<String> = packs.map(PackInfo::name).collect();
        let gone: Vec<String> = replaced.iter().map(RunInfo::name).chain(gone).collect();
        next.runs.push(run);
        self.replace_manifest(next)?;
        for name in &gone {
            self.disk.remove(name).map_err(failed(name))?;
        }
        for folder in [runs::FOLDER, packs::FOLDER] {
            self.disk.sync_folder(folder).map_err(failed(folder))?;
        }
        Ok(true)
    }

    fn merged(&self, manifest: &Manifest, from: usize) -> Result<RunInfo, Error> {
        let (disk, store) = (self.disk.as_ref(), self.store);
        let parts = manifest.runs.get(from..).unwrap_or_default();
        let after = parts.first().map_or(Lsn::START, |run| run.after);
        let readers: Vec<Reader> = parts.iter().map(|run| Reader::open(disk, store, run)).collect::<Result<_, _>>()?;
        let copied = runs::to_copy(parts);
        let known: Vec<PackInfo> = parts.iter().flat_map(|run| run.packs.clone()).collect();
        let packs = PackSet::default().with(disk, store, known.iter().filter(|pack| copied.contains(&pack.number)))?;
        let entries = unpacked(Merged::new(readers, from == 0), &packs, |pack| copied.contains(&pack));
        runs::write(disk, store, (after, manifest.checkpoint), &self.numbers, &known, entries)
    }

    /// All of the index as one run, after looking at all of it.
    fn run_of_base(&self) -> Result<RunInfo, Error> {
        self.base.verify()?;
        let applied = self.base.applied();
        let mut from: Vec<u8> = Vec::new();
        let entries = std::iter::from_fn(|| {
            let (key, value) = match self.base.first(&from, KEYS_END) {
                Ok(pair) => pair?,
                Err(error) => return Some(Err(error)),
            };
            from = [&*key, &[0]].concat();
            Some(Ok(RunEntry { key, value: Value::Here(value) }))
        });
        runs::write(self.disk.as_ref(), self.store, (Lsn::START, applied), &self.numbers, &[], entries)
    }

    /// Looks at everything that is stored: runs, index, and that the lists say what the rows say.
    pub fn verify(&self) -> Result<(), Error> {
        let _no_checkpoint = lock(&self.checkpointing);
        let manifest = lock(&self.manifest).clone();
        self.base.verify()?;
        let readers: Result<Vec<Reader>, Error> =
            manifest.runs.iter().map(|run| Reader::open(self.disk.as_ref(), self.store, run)).collect();
        let wrong = |what: &str| Error::Corrupt { what: format!("the index does not fit the runs: {what}") };
        let mut from: Vec<u8> = Vec::new();
        let (mut entries, mut expected) = (0_u64, 0_u64);
        let packs = PackSet::default().with(self.disk.as_ref(), self.store, manifest.packs())?;
        for entry in unpacked(Merged::new(readers?, true), &packs, |_| true) {
            let entry = entry?;
            let value = entry.value.here().unwrap_or_default();
            if self.base.first(&from, KEYS_END)? != Some((entry.key.clone(), value.clone())) {
                return Err(wrong("a key has another value"));
            }
            from = [&*entry.key, &[0]].concat();
            match to_entry(&value)? {
                Entry::Points(_) => entries += 1,
                Entry::Row(stored) => {
                    for index in keys::entries(&stored.row) {
                        let points = self.base.get(&index)?;
                        if points != Some(to_value(&Entry::Points(Arc::from(&*entry.key)))?) {
                            return Err(wrong(&format!("`{}` is not in all its lists", stored.row.key())));
                        }
                        expected += 1;
                    }
                }
            }
        }
        if self.base.first(&from, KEYS_END)?.is_some() {
            return Err(wrong("it has a key that no run has"));
        }
        if entries != expected {
            return Err(wrong(&format!("the lists have {entries} entries, the rows need {expected}")));
        }
        Ok(())
    }
}
