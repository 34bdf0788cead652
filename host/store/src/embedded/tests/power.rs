//! Power cuts: nothing that was acknowledged is lost, nothing is half there, whatever is left of the disk.
//!
//! `STORE_CUTS` sets how many cuts a campaign makes; the last line says where they were.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::super::disk::simulated::{Deed, Dice, Faults};
use super::world::{Life, SIZES, World};
use super::*;
use crate::Batch;
use crate::conformance::samples::*;
use crate::rows::{Key, Row};

/// Cuts of one life.
const CUTS: u64 = 4;

fn cuts() -> u64 {
    std::env::var("STORE_CUTS").ok().and_then(|number| number.parse().ok()).unwrap_or(160)
}

fn run<F: std::future::Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What things are looked up in: each life keeps to one.
enum Below {
    Runs,
    Simulated(SimulatedBase),
    Sled(tempfile::TempDir),
}

impl Below {
    fn of(seed: u64) -> Self {
        match seed % 20 {
            19 => Below::Sled(tempfile::tempdir().unwrap()),
            number if number % 2 == 0 => Below::Runs,
            _ => Below::Simulated(SimulatedBase::default()),
        }
    }

    fn shelf(&self) -> Box<dyn Shelf> {
        match self {
            Below::Runs => Box::new(RunsShelf),
            Below::Simulated(base) => Box::new(base.clone()),
            Below::Sled(folder) => Box::new(SledShelf::new(folder.path().join("index"))),
        }
    }

    /// What is left of it after the power was cut.
    fn after_power_cut(self, dice: &mut Dice) -> Self {
        let left = [Left::All, Left::All, Left::Older, Left::Nothing, Left::Broken][dice.below(5) as usize];
        match self {
            Below::Runs => Below::Runs,
            Below::Simulated(base) => Below::Simulated(base.after_power_cut(left)),
            Below::Sled(folder) => {
                spoil(&folder.path().join("index"), left, dice);
                Below::Sled(folder)
            }
        }
    }
}

fn spoil(index: &Path, left: Left, dice: &mut Dice) {
    let db = index.join("db");
    match left {
        Left::Nothing if index.exists() => fs::remove_dir_all(index).unwrap(),
        Left::Older | Left::Broken if db.exists() => {
            let mut content = fs::read(&db).unwrap();
            let used = content.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64;
            let at = dice.below(used + 1) as usize;
            let upto = if left == Left::Older { content.len() } else { (at + 4096).min(content.len()) };
            content[at..upto].fill(0);
            fs::write(&db, content).unwrap();
        }
        _ => {}
    }
}

/// Which boundary a cut was at.
fn boundary(cut: Option<(Deed, String)>) -> &'static str {
    let Some((deed, name)) = cut else { return "between two deeds" };
    match (name.split('/').next().unwrap_or_default(), deed) {
        ("journal", Deed::Remove) => "journal removed",
        ("journal", Deed::Write | Deed::Sync) if name.ends_with(".log") => "journal append",
        ("journal", _) => "segment change",
        ("runs" | "packs", Deed::Remove) => "compaction, old files removed",
        ("runs", _) => "run write",
        ("packs", _) => "pack write",
        ("blobs", Deed::Rename | Deed::Sync) => "blob finish",
        ("blobs", Deed::Remove) => "blob removed",
        ("blobs", _) => "blob write",
        ("manifest.new", Deed::Make | Deed::Write | Deed::Sync) => "manifest write",
        ("manifest" | "manifest.new" | "", _) => "manifest rename",
        _ => "elsewhere",
    }
}

/// One life with several power cuts; panics with what was lost.
async fn life(seed: u64, counts: &mut BTreeMap<&'static str, u64>) {
    let mut disk = SimulatedDisk::new();
    let mut below = Below::of(seed);
    let mut life = Life::new(seed, SIZES[seed as usize % SIZES.len()]);
    for cut in 0..CUTS {
        let off_at = life.dice.below(90);
        disk.set_faults(Faults { power_off_at: Some(disk.operations() + off_at), ..Faults::default() });
        if let Ok((store, _)) = try_open(&disk, below.shelf().as_ref(), by_hand()) {
            if let Err(error) = life.live(&store, 60).await {
                assert!(disk.cut_at().is_some(), "seed {seed}, cut {cut}: failed with the power on: {error}");
            }
            // Dropped as a process is that loses its power: nothing is written any more.
            disk.set_faults(Faults { power_off_at: Some(0), ..Faults::default() });
        }
        *counts.entry(boundary(disk.cut_at())).or_default() += 1;
        disk = disk.after_power_cut(life.dice.roll());
        below = below.after_power_cut(&mut life.dice);
        let (store, report) = match try_open(&disk, below.shelf().as_ref(), by_hand()) {
            Ok(opened) => opened,
            Err(error) => panic!("seed {seed}, cut {cut}: does not open: {error}"),
        };
        let found = world::read(&store).await.unwrap_or_else(|error| panic!("seed {seed}, cut {cut}: {error}"));
        let place = life.worlds.iter().rposition(|world| *world == found);
        let Some(place) = place.filter(|place| *place >= life.acknowledged) else {
            panic!(
                "seed {seed}, cut {cut}: found {place:?} of {}, acknowledged {}: {report}",
                life.worlds.len() - 1,
                life.acknowledged
            );
        };
        store.verify().unwrap_or_else(|error| panic!("seed {seed}, cut {cut}: {error}"));
        life.worlds.truncate(place + 1);
        life.acknowledged = place;
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a campaign says what it has counted")]
fn nothing_acknowledged_is_lost_in_power_cuts() {
    let mut counts = BTreeMap::new();
    for seed in 0..cuts().div_ceil(CUTS) {
        run(life(seed, &mut counts));
    }
    let all: u64 = counts.values().sum();
    println!("{all} power cuts, 0 acknowledged commits lost, 0 stores that did not open; at {counts:?}");
    if all >= 160 {
        for kind in ["journal append", "segment change", "run write", "pack write", "manifest rename", "blob finish"] {
            assert!(counts.contains_key(kind), "no cut at {kind}: {counts:?}");
        }
    }
}

#[test]
fn every_step_of_a_checkpoint_survives_a_power_cut() {
    // The power goes before each operation in turn of a history that is the same each time.
    let mut counts = BTreeMap::new();
    for off_at in 0.. {
        let disk = SimulatedDisk::new();
        let base = SimulatedBase::default();
        disk.set_faults(Faults { power_off_at: Some(off_at), ..Faults::default() });
        let mut life = Life::new(7, 5_000);
        let ended = run(async {
            let Ok((store, _)) = try_open(&disk, &base, by_hand()) else { return false };
            for _ in 0..4 {
                for _ in 0..3 {
                    let (batch, world) = life.batch();
                    if store.commit(batch).await.is_err() {
                        return false;
                    }
                    life.worlds.push(world);
                }
                if store.durable(store.head()).await.is_err() {
                    return false;
                }
                life.acknowledged = life.worlds.len() - 1;
                if store.checkpoint().is_err() {
                    return false;
                }
            }
            true
        });
        *counts.entry(boundary(disk.cut_at())).or_insert(0) += 1;
        for seed in 0..4 {
            for left in [Some(Left::All), Some(Left::Older), Some(Left::Nothing), Some(Left::Broken), None] {
                let (disk, base) = (disk.after_power_cut(seed), left.map(|left| base.after_power_cut(left)));
                // Without an index of its own: the one that the runs are.
                let shelf: &dyn Shelf = base.as_ref().map_or(&RunsShelf, |base| base);
                let opened = try_open(&disk, shelf, by_hand());
                let (store, report) =
                    opened.unwrap_or_else(|error| panic!("cut at {off_at}, seed {seed}, {left:?}: {error}"));
                let found: World = run(world::read(&store)).unwrap();
                let place = life.worlds.iter().rposition(|world| *world == found);
                assert!(
                    place >= Some(life.acknowledged),
                    "cut at {off_at}, seed {seed}, {left:?}: {place:?}: {report}"
                );
                store.verify().unwrap();
            }
        }
        if ended {
            assert!(off_at > 80, "only {off_at} operations");
            assert!(counts["compaction, old files removed"] > 2 && counts["pack write"] > 2, "{counts:?}");
            break;
        }
    }
}

#[test]
fn numbers_go_on_after_a_restart() {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    run(async {
        for round in 1..=5 {
            let store = open(&disk, &base, by_hand());
            let lsn = store.commit(puts([setting("s").into()])).await.unwrap();
            assert_eq!(lsn.0, round);
            store.durable(lsn).await.unwrap();
            if round % 2 == 0 {
                store.close().unwrap();
            }
        }
    });
}

#[test]
fn work_that_came_and_went_never_reaches_the_index() {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    let store = open(&disk, &base, by_hand());
    run(async {
        for number in 0..50 {
            let name = number.to_string();
            store.commit(puts([job("x", &name, 0).into(), timer(to("x"), &name, 1).into()])).await.unwrap();
            let mut batch = Batch::new();
            batch.delete(Key::Job(job_key("x", &name)));
            batch.delete(Row::from(timer(to("x"), &name, 1)).key());
            store.commit(batch).await.unwrap();
        }
    });
    store.checkpoint().unwrap();
    assert_eq!((store.stats().index_bytes, store.inner.base.first(&[], &[255]).unwrap()), (0, None));
    assert_eq!(store.stats().overlay_keys, 0);
}

#[test]
fn commits_that_change_nothing_are_no_gap() {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    run(async {
        let store = open(&disk, &base, Options { segment_bytes: 1, ..by_hand() });
        for round in 0..4 {
            // Nothing is there to be cleared.
            store.clear(crate::Clear::Logs(to("x"))).await.unwrap();
            store.checkpoint().unwrap();
            let lsn = store.commit(puts([setting(&format!("s{round}")).into()])).await.unwrap();
            store.durable(lsn).await.unwrap();
        }
    });
    let store = open(&disk, &base, by_hand());
    assert_eq!((store.head().0, run(world::read(&store)).unwrap().settings.len()), (8, 4));
}
