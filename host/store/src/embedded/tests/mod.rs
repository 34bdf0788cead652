//! The embedded store against the suite, and through power cuts, damage and full disks on the simulated disk.

mod damage;
mod failure_table;
mod golden;
mod kill;
mod limits;
mod on_sled;
mod power;
mod refusals;
mod tools;
mod world;

use std::sync::Arc;

use super::disk::simulated::SimulatedDisk;
use super::*;
use crate::Store;
use crate::error::Error;

/// Everything by hand, in small files, so that all that can happen happens soon.
fn by_hand() -> Options {
    Options { pace: Pace::ByHand, segment_bytes: 3_000, reserve_bytes: 0, ..Options::default() }
}

fn open(disk: &SimulatedDisk, base: &dyn Shelf, options: Options) -> EmbeddedStore {
    try_open(disk, base, options).unwrap().0
}

fn try_open(disk: &SimulatedDisk, base: &dyn Shelf, options: Options) -> Result<(EmbeddedStore, Report), Error> {
    EmbeddedStore::open(Arc::new(disk.clone()), base, options)
}

mod suite {
    use super::*;
    crate::conformance_tests!(|| async {
        Arc::new(open(&SimulatedDisk::new(), &SimulatedBase::default(), Options::default())) as Arc<dyn Store>
    });
}

/// The same, looking things up in the runs.
mod suite_on_runs {
    use super::*;
    crate::conformance_tests!(|| async {
        let options = Options { checkpoint_keys: 3, segment_bytes: 2_000, ..Options::default() };
        Arc::new(open(&SimulatedDisk::new(), &RunsShelf, options)) as Arc<dyn Store>
    });
}

/// With a checkpoint after nearly every group, so that reads go through all layers.
mod suite_with_checkpoints {
    use super::*;
    crate::conformance_tests!(|| async {
        let options = Options { checkpoint_keys: 3, segment_bytes: 2_000, ..Options::default() };
        Arc::new(open(&SimulatedDisk::new(), &SimulatedBase::default(), options)) as Arc<dyn Store>
    });
}
