//! Checkpoints: what the overlay holds becomes a run and goes into the index; then the journal before it can go.
//!
//! The order is what makes it safe at every step: the commits are durable, the run is safe, the manifest names it, the
//! index has it, and only then is anything removed. The index is never ahead of the runs; where a crash leaves it
//! behind, the next start brings it up.

use std::sync::Arc;

use super::base::{Change, to_entry, to_value};
use super::disk::failed;
use super::manifest::Manifest;
use super::runs::{self, Merged, Reader, RunEntry};
use super::store::{Core, Inner, lock};
use crate::Lsn;
use crate::error::Error;
use crate::index::keys;
use crate::index::table::{Entry, Table};

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
        }
        lock(&self.writer).forget(upto)?;
        self.merge_runs()
    }

    /// Puts the overlay aside, unless one is aside already from a checkpoint that failed. Up to which commit it is.
    fn freeze(&self) -> Lsn {
        let mut core = self.write();
        if let Some((_, upto)) = &core.frozen {
            return *upto;
        }
        let upto = core.head;
        if core.overlay.len() > 0 {
            let empty = Core::empty_overlay(core.durable);
            let overlay = std::mem::replace(&mut core.overlay, empty);
            core.frozen = Some((Arc::new(overlay), upto));
        }
        upto
    }

    fn apply_frozen(&self, frozen: &Table, upto: Lsn) -> Result<(), Error> {
        let mut manifest = lock(&self.manifest).clone();
        if upto > manifest.checkpoint {
            let changes =
                frozen.known_range(&[], KEYS_END, upto).filter_map(|(key, entry)| self.base_change(key, entry));
            let entries = changes.map(|change| change.map(|(key, value)| RunEntry { key, value }));
            let run = runs::write(self.disk.as_ref(), self.store, (manifest.checkpoint, upto), entries)?;
            manifest.runs.push(run);
            manifest.checkpoint = upto;
            self.replace_manifest(manifest)?;
        }
        if upto > self.base.applied() {
            let changes =
                frozen.known_range(&[], KEYS_END, upto).filter_map(|(key, entry)| self.base_change(key, entry));
            self.base.apply(upto, changes.collect::<Result<_, _>>()?)?;
        }
        Ok(())
    }

    fn replace_manifest(&self, mut manifest: Manifest) -> Result<(), Error> {
        manifest.known = manifest.known.max(self.read().durable);
        manifest.write(self.disk.as_ref())?;
        self.base.runs_changed(&manifest)?;
        *lock(&self.manifest) = manifest;
        Ok(())
    }

    /// What a key becomes; `None`: it came and went since the last checkpoint, nobody need know.
    fn base_change(&self, key: &[u8], entry: Option<&Entry>) -> Option<Result<Change, Error>> {
        match entry {
            Some(entry) => Some(to_value(entry).map(|value| (key.into(), Some(value)))),
            None => match self.base.get(key) {
                Ok(None) => None,
                Ok(Some(_)) => Some(Ok((key.into(), None))),
                Err(error) => Some(Err(error)),
            },
        }
    }

    /// Merges runs that have become alike, so that space and the time of a rebuild follow what is live.
    fn merge_runs(&self) -> Result<(), Error> {
        let manifest = lock(&self.manifest).clone();
        let Some(from) = runs::to_merge(&manifest.runs) else { return Ok(()) };
        let parts = manifest.runs.get(from..).unwrap_or_default();
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return Ok(()) };
        let readers: Result<Vec<Reader>, Error> =
            parts.iter().map(|run| Reader::open(self.disk.as_ref(), self.store, run)).collect();
        let merged = readers.and_then(|readers| {
            let entries = Merged::new(readers, from == 0);
            runs::write(self.disk.as_ref(), self.store, (first.after, last.upto), entries)
        });
        let (run, from) = match merged {
            Ok(run) => (run, from),
            // A damaged run is no loss while a copy has it all: it is written anew from there.
            Err(Error::Corrupt { what }) if self.base_is_copy => {
                tracing::error!(%what, "a run is damaged; it is written anew from the index");
                (self.run_of_base()?, 0)
            }
            // Nothing more is lost by leaving it as it is.
            Err(Error::Corrupt { what }) => {
                tracing::error!(%what, "a run is damaged and stays as it is");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut next = manifest.clone();
        let replaced: Vec<_> = next.runs.drain(from..).filter(|old| old.name != run.name).collect();
        next.runs.push(run);
        self.replace_manifest(next)?;
        for old in replaced {
            self.disk.remove(&old.name).map_err(failed(&old.name))?;
        }
        self.disk.sync_folder(runs::FOLDER).map_err(failed(runs::FOLDER))
    }

    /// All of the index as one run, after looking at all of it.
    fn run_of_base(&self) -> Result<super::manifest::RunInfo, Error> {
        self.base.verify()?;
        let applied = self.base.applied();
        let mut from: Vec<u8> = Vec::new();
        let entries = std::iter::from_fn(|| {
            let (key, value) = match self.base.first(&from, KEYS_END) {
                Ok(pair) => pair?,
                Err(error) => return Some(Err(error)),
            };
            from = [&*key, &[0]].concat();
            Some(Ok(RunEntry { key, value: Some(value) }))
        });
        runs::write(self.disk.as_ref(), self.store, (Lsn::START, applied), entries)
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
        for entry in Merged::new(readers?, true) {
            let entry = entry?;
            let value = entry.value.unwrap_or_default();
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
