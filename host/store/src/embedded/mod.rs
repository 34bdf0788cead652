//! The embedded store: one folder, no server. Its own journal is the truth; what is read comes from an overlay of what
//! is newest over an index that can be rebuilt.
//!
//! A commit goes into the overlay and is queued for the journal; a group of them becomes durable with one write and one
//! sync. At a checkpoint the overlay is frozen, written as a sorted run, applied to the index and forgotten; then the
//! journal before it goes. Runs and journal together hold everything; the index never holds anything alone.
//!
//! Large values and lines of log are written into packs at the checkpoint, beside the run that refers to them, and not
//! before the sync of each group: that would be two syncs in place of one (measured with a raw log: half the commits a
//! second), with a few lines to compress at a time. Until then the journal has them, so nothing is lost by waiting.
//!
//! What things are looked up in is [`Index`]: the runs themselves, or sled. ARCHITECTURE.md has the figures that made
//! the runs the default.
//!
//! Never: acknowledge before a sync, try a failed sync again, throw damaged data away without a human.

mod base;
mod blobs;
mod block;
mod cache;
mod checkpoint;
pub mod disk;
mod journal;
mod layers;
mod manifest;
mod offline;
mod packs;
mod pump;
mod recovery;
mod runs;
mod store;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "simulated"))]
pub use base::simulated::{Left, SimulatedBase};
pub use base::{RunsShelf, Shelf, SledShelf};
pub use offline::{
    AcceptLoss, Figures, FileFigures, Problem, Rebuilt, Repaired, RowFigures, Verification, rebuild, repair, stats,
    verify,
};
pub use recovery::Report;
pub use store::{EmbeddedStore, Index, Options, Pace, Stats};

use crate::error::Error;

/// A file that a newer program wrote.
fn newer(name: &str, found: u16, known: u16) -> Error {
    Error::Corrupt {
        what: format!(
            "`{name}` has format {found}, this program knows up to {known}\nhint: use the version that wrote it, or a newer one"
        ),
    }
}
