//! One bit of one file is not as it was written: whoever opens the store is told, or finds everything as it was. Damages a copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::ids::ExecutionId;
use server::Seen;
use store::embedded::disk::simulated::SimulatedDisk;
use store::embedded::{EmbeddedStore, Options, RunsShelf};

use super::books::Books;
use super::dice::Dice;
use super::flows::Drawn;

/// Flips a bit of a copy of the disk, and looks at what is read from it.
pub async fn check(
    disk: &SimulatedDisk,
    options: Options,
    dice: &Dice,
    flows: &[Drawn],
    expected: &BTreeMap<ExecutionId, Seen>,
) -> Result<(), String> {
    let damaged = disk.copy();
    let files = damaged.files();
    // The end of the newest segment is what a torn write looks like; it is cut, and may be.
    let newest = files.iter().map(|(name, _)| name).filter(|name| name.ends_with(".log")).max();
    let whole = files.iter().filter(|(name, size)| *size > 0 && Some(name) != newest);
    let fit: Vec<&(String, usize)> =
        whole.filter(|(name, _)| name.ends_with(".log") || name.ends_with(".run")).collect();
    if fit.is_empty() {
        return Ok(());
    }
    let (name, size) = dice.pick(&fit);
    let (at, bit) = (dice.below(*size as u64) as usize, dice.below(8));
    damaged.damage(name, |content| {
        if let Some(byte) = content.get_mut(at) {
            *byte ^= 1 << bit;
        }
    });
    let Ok((store, _)) = EmbeddedStore::open(Arc::new(damaged), &RunsShelf, options) else { return Ok(()) };
    let Ok(found) = Books::read(&store, flows).await else { return Ok(()) };
    let same = |(id, seen): (&ExecutionId, &Seen)| {
        expected.get(id).is_some_and(|known| known.execution == seen.execution && known.runs == seen.runs)
    };
    match found.executions.len() == expected.len() && found.executions.iter().all(same) {
        true => Ok(()),
        false => Err(format!("bit {bit} at {at} of `{name}` was flipped, and nobody noticed")),
    }
}
