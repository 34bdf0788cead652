//! The base that is the runs themselves: nothing is kept twice, nothing is rebuilt, and every block that is read is
//! checked.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Base, Change, Opening, Pair, Shelf};
use crate::Lsn;
use crate::embedded::disk::SharedDisk;
use crate::embedded::journal::StoreId;
use crate::embedded::manifest::Manifest;
use crate::embedded::packs::PackSet;
use crate::embedded::runs::{Lookup, Reader, RunSet, unpacked};
use crate::error::Error;
use crate::index::table::Stretch;

/// Looks things up in the runs.
#[derive(Debug)]
pub struct RunsShelf;

struct RunsBase {
    disk: SharedDisk,
    store: StoreId,
    now: RwLock<(RunSet, Manifest)>,
}

impl Shelf for RunsShelf {
    fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn Base>, Error> {
        let base = RunsBase {
            disk: opening.disk.clone(),
            store: opening.store,
            now: RwLock::new((RunSet::new(Vec::new(), PackSet::default()), Manifest::new(opening.store))),
        };
        base.runs_changed(opening.manifest)?;
        Ok(Arc::new(base))
    }

    fn start_over(&self, opening: &Opening<'_>) -> Result<Arc<dyn Base>, Error> {
        // There is nothing to start over: what is wrong with it is wrong with the runs.
        self.open(opening)
    }

    fn is_copy(&self) -> bool {
        false
    }
}

impl RunsBase {
    fn with<T>(&self, ask: impl FnOnce(&RunSet) -> Result<T, Error>) -> Result<T, Error> {
        ask(&self.now.read().unwrap_or_else(PoisonError::into_inner).0)
    }
}

impl Base for RunsBase {
    fn applied(&self) -> Lsn {
        self.now.read().unwrap_or_else(PoisonError::into_inner).1.checkpoint
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.with(|runs| runs.get(key))
    }

    fn first(&self, from: &[u8], upto: &[u8]) -> Result<Option<Pair>, Error> {
        self.with(|runs| runs.first(from, upto))
    }

    fn last(&self, from: &[u8], upto: &[u8]) -> Result<Option<Pair>, Error> {
        self.with(|runs| runs.last(from, upto))
    }

    fn stretch(&self, from: &[u8], upto: &[u8], most: usize) -> Result<Stretch<Vec<u8>>, Error> {
        self.with(|runs| runs.stretch(from, upto, most))
    }

    fn runs_changed(&self, manifest: &Manifest) -> Result<(), Error> {
        let (known, packs) = {
            let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
            (now.0.runs().to_vec(), now.0.packs().clone())
        };
        let packs = packs.with(self.disk.as_ref(), self.store, manifest.packs())?;
        let runs = manifest.runs.iter().map(|info| match known.iter().find(|run| run.name() == info.name()) {
            Some(run) => Ok(Arc::clone(run)),
            None => Lookup::open(self.disk.as_ref(), self.store, info).map(Arc::new),
        });
        let runs = runs.collect::<Result<Vec<_>, Error>>()?;
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        *now = (now.0.with(runs, packs), manifest.clone());
        Ok(())
    }

    fn apply(&self, _: Lsn, _: Vec<Change>) -> Result<(), Error> {
        // The runs have it already.
        Ok(())
    }

    fn verify(&self) -> Result<(), Error> {
        let (manifest, packs) = {
            let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
            (now.1.clone(), now.0.packs().clone())
        };
        for run in &manifest.runs {
            let entries = Reader::open(self.disk.as_ref(), self.store, run)?;
            unpacked(entries, &packs, |_| true).try_for_each(|entry| entry.map(drop))?;
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        0
    }

    fn close(&self) {}
}
