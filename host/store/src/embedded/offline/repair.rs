//! Gives up what is damaged in the journal, because a human says so: cuts it at the first damage, keeps the files as
//! they were aside, and says exactly what is gone. Never touches runs or packs: what is wrong with those is restored
//! from a copy, or rebuilt.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::manifest_of;
use crate::embedded::disk::{Disk, SharedDisk, failed, read_all};
use crate::embedded::journal;
use crate::embedded::manifest::Manifest;
use crate::error::Error;

/// Where files are kept as they were.
const ASIDE: &str = "damaged";

/// Says that somebody knows what is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptLoss {
    /// Only says what would be given up.
    No,
    /// Gives it up.
    Yes,
}

/// What was given up, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Whether it was done.
    pub done: bool,
    /// The last commit that stays.
    pub last: u64,
    /// The first and the last commit that are given up, as far as anybody knows; `None`: nothing is.
    pub given_up: Option<(u64, u64)>,
    /// The damage, in the order of the commits.
    pub damage: Vec<String>,
    /// Where the files as they were are kept.
    pub kept_aside: Vec<String>,
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for damage in &self.damage {
            writeln!(f, "{damage}")?;
        }
        let Some((from, upto)) = self.given_up else { return write!(f, "the journal is sound: nothing to give up") };
        let count = upto - from + 1;
        match self.done {
            false => write!(
                f,
                "giving up would lose commits {from} to {upto} ({count}): the store would end at {}",
                self.last
            ),
            true => {
                writeln!(f, "gave up commits {from} to {upto} ({count}): the store ends at commit {}", self.last)?;
                write!(f, "kept as they were: {}", self.kept_aside.join(", "))
            }
        }
    }
}

/// Cuts the journal of a disk at its first damage.
pub fn repair(shared: &SharedDisk, accept: AcceptLoss) -> Result<Repaired, Error> {
    let disk = shared.as_ref();
    let mut manifest = manifest_of(disk)?;
    let found = journal::look(disk, manifest.store_id()?, manifest.checkpoint, |_, _| Ok(()))?;
    let mut repaired = Repaired { last: found.last.0, ..Repaired::default() };
    let highest =
        found.highest.max(manifest.known).max(found.damage.iter().map(|damage| damage.next).max().unwrap_or_default());
    if found.damage.is_empty() && found.last >= manifest.known {
        return Ok(repaired);
    }
    repaired.damage = found.damage.iter().map(|damage| damage.error().to_string()).collect();
    if repaired.damage.is_empty() {
        let error = crate::embedded::recovery::too_short(found.last, manifest.known, found.cut.as_ref());
        repaired.damage.push(error.to_string());
    }
    repaired.given_up = Some((found.last.0 + 1, highest.0));
    if accept == AcceptLoss::No {
        return Ok(repaired);
    }
    let (kept, cut): (Vec<_>, Vec<_>) = match found.damage.first() {
        None => (found.segments, Vec::new()),
        Some(damage) => found.segments.into_iter().partition(|segment| segment.name < damage.name),
    };
    let offset = found.damage.first().map_or(0, |damage| damage.offset);
    // First all copies are safe; every step after that can be done again.
    let folder = aside(disk, &manifest)?;
    for segment in &cut {
        repaired.kept_aside.push(keep(disk, &folder, &segment.name)?);
    }
    let mut newest = kept.last().map(|segment| segment.first);
    for segment in cut.iter().rev() {
        let is_damaged = found.damage.first().is_some_and(|damage| damage.name == segment.name);
        if is_damaged && offset >= journal::SEGMENT_HEADER {
            let file = disk.open(&segment.name).map_err(failed(&segment.name))?;
            file.truncate(offset).and_then(|()| file.sync()).map_err(failed(&segment.name))?;
            newest = Some(segment.first);
        } else {
            disk.remove(&segment.name).map_err(failed(&segment.name))?;
        }
    }
    disk.sync_folder(journal::FOLDER).map_err(failed(journal::FOLDER))?;
    journal::write_tip(disk, newest, found.last).map_err(failed(journal::FOLDER))?;
    manifest.known = found.last;
    manifest.write(disk)?;
    repaired.done = true;
    Ok(repaired)
}

/// A new folder to keep files in.
fn aside(disk: &dyn Disk, manifest: &Manifest) -> Result<String, Error> {
    let there = disk.list(ASIDE).map_err(failed(ASIDE))?.len();
    let folder = format!("{ASIDE}/{there}-commit-{}/", manifest.known);
    disk.make_folder(&folder).map_err(failed(&folder))?;
    disk.sync_folder("").map_err(failed("."))?;
    disk.sync_folder(&format!("{ASIDE}/")).map_err(failed(ASIDE))?;
    Ok(folder)
}

/// Copies a file into a folder, and makes the copy safe.
fn keep(disk: &dyn Disk, folder: &str, name: &str) -> Result<String, Error> {
    let copy = format!("{folder}{}", name.rsplit('/').next().unwrap_or(name));
    let content = disk.open(name).and_then(|file| read_all(file.as_ref())).map_err(failed(name))?;
    let file = disk.create(&copy).map_err(failed(&copy))?;
    file.write_at(0, &content).and_then(|()| file.sync()).map_err(failed(&copy))?;
    disk.sync_folder(folder).map_err(failed(folder))?;
    Ok(copy)
}
