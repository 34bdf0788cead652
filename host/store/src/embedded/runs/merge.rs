//! Several runs as one, and when to make them one.

use std::collections::BTreeSet;
use std::iter::Peekable;

use super::{RunEntry, Value};
use crate::embedded::manifest::RunInfo;
use crate::embedded::packs::PackInfo;
use crate::error::Error;
use crate::index::encode::KeyBuf;

/// Several sorted runs as one: of each key the entry of the latest run.
pub struct Merged<I: Iterator<Item = Result<RunEntry, Error>>> {
    /// Oldest first.
    runs: Vec<Peekable<I>>,
    /// Whether removals are left out: nothing older is there that they would remove.
    whole: bool,
}

impl<I: Iterator<Item = Result<RunEntry, Error>>> Merged<I> {
    /// Merges runs, oldest first. `whole`: nothing is older than the first.
    pub fn new(runs: impl IntoIterator<Item = I>, whole: bool) -> Self {
        Self { runs: runs.into_iter().map(Iterator::peekable).collect(), whole }
    }

    fn step(&mut self) -> Result<Option<RunEntry>, Error> {
        let mut least: Option<KeyBuf> = None;
        for run in &mut self.runs {
            match run.peek() {
                Some(Ok(entry)) if least.as_ref().is_none_or(|least| entry.key < *least) => {
                    least = Some(entry.key.clone())
                }
                Some(Err(_)) => return run.next().transpose(),
                _ => {}
            }
        }
        let Some(key) = least else { return Ok(None) };
        let mut latest = None;
        for run in &mut self.runs {
            if let Some(Ok(entry)) = run.next_if(|entry| matches!(entry, Ok(entry) if entry.key == key)) {
                latest = Some(entry);
            }
        }
        Ok(latest)
    }
}

impl<I: Iterator<Item = Result<RunEntry, Error>>> Iterator for Merged<I> {
    type Item = Result<RunEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Ok(Some(RunEntry { value: Value::Removed { .. }, .. })) if self.whole => {}
                other => return other.transpose(),
            }
        }
    }
}

/// How much larger the older of two neighbours may be and still be merged: bounds the runs to about one and a half times
/// what is live, their number to a few, and what merging writes to a few times what was written.
const MERGE_RATIO: u64 = 2;

/// Which runs to merge: the latest ones, from this place on. `None`: they are fine. A run counts for the values it
/// holds, those in packs included, and for what it removes.
pub fn to_merge(runs: &[RunInfo]) -> Option<usize> {
    let last = runs.len().checked_sub(1)?;
    let (mut from, mut weight) = (last, runs.get(last)?.weight);
    while let Some(older) = from.checked_sub(1).and_then(|at| runs.get(at)) {
        if older.weight > weight.saturating_mul(MERGE_RATIO) {
            break;
        }
        weight += older.weight;
        from -= 1;
    }
    if from < last {
        return Some(from);
    }
    // A pack that is mostly dead takes room: its run is written anew, with what is left of it in another pack.
    runs.iter().rposition(|run| run.packs.iter().any(PackInfo::mostly_dead))
}

/// A pack of fewer bytes of values is copied along when its run is merged with another: or there would be as many open
/// files as there were checkpoints. About what a checkpoint holds, so that a value is copied once or twice in its life.
const SMALL_PACK: u64 = 64 << 20;

/// The numbers of the packs that are not kept when these runs become one.
pub fn to_copy(runs: &[RunInfo]) -> BTreeSet<u64> {
    let packs = || runs.iter().flat_map(|run| &run.packs);
    let small = |pack: &&PackInfo| pack.value_bytes < SMALL_PACK;
    let several = packs().filter(small).count() > 1;
    packs().filter(|pack| pack.mostly_dead() || several && small(pack)).map(|pack| pack.number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lsn;

    #[test]
    fn neighbours_merge_when_alike() {
        let run = |weight| RunInfo { weight, ..RunInfo::empty(1, Lsn(0), Lsn(0)) };
        for (bytes, expected) in [
            (&[][..], None),
            (&[100], None),
            (&[100, 10], None),
            (&[100, 10, 10], Some(1)),
            (&[100, 60, 10, 10], Some(2)),
            (&[100, 40, 30, 10, 5], Some(0)),
            (&[10, 100], Some(0)),
        ] {
            assert_eq!(to_merge(&bytes.iter().map(|bytes| run(*bytes)).collect::<Vec<_>>()), expected, "{bytes:?}");
        }
    }
}
