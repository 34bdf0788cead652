//! Damaged files: each is repaired without a loss, or refused with the name of the file. Nothing is lost in silence.
//!
//! `STORE_DAMAGES` sets how many files a campaign damages; the last line says what became of them.

use std::collections::BTreeMap;

use super::super::disk::Disk;
use super::super::disk::simulated::Dice;
use super::world::{Life, World};
use super::*;
use crate::conformance::samples::*;
use crate::rows::Setting;
use crate::{Query, View};

fn damages() -> u64 {
    std::env::var("STORE_DAMAGES").ok().and_then(|number| number.parse().ok()).unwrap_or(200)
}

/// A store with everything a store can have, closed in order or not.
async fn filled(seed: u64, ordered: bool) -> (SimulatedDisk, SimulatedBase, World) {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    let store = open(&disk, &base, Options { segment_bytes: 12_000, ..by_hand() });
    let mut life = Life::new(seed, 3_000);
    life.live(&store, 150).await.unwrap();
    store.durable(store.head()).await.unwrap();
    if ordered {
        store.close().unwrap();
    } else {
        // As when nobody has written for a while.
        store.inner.rest();
    }
    (disk, base, life.world())
}

/// What is done to a file.
const DAMAGES: [&str; 5] = ["a bit flipped", "4 KB zeroed", "cut", "missing", "of another store"];

fn spoil(disk: &SimulatedDisk, other: &SimulatedDisk, name: &str, damage: &str, dice: &mut Dice) {
    match damage {
        "missing" => disk.remove(name).unwrap(),
        "of another store" => {
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let same = |found: &&(String, usize)| found.0.rsplit_once('/').map_or("", |(folder, _)| folder) == folder;
            let there = other.files();
            let exact = there.iter().find(|(found, _)| found == name);
            if let Some((found, _)) = exact.or_else(|| there.iter().find(same)) {
                disk.take_file(other, found, name);
            }
        }
        _ => disk.damage(name, |content| {
            if content.is_empty() {
                return;
            }
            let at = dice.below(content.len() as u64) as usize;
            match damage {
                "a bit flipped" => content[at] ^= 1 << dice.below(8),
                "cut" => content.truncate(at),
                _ => {
                    let page = at / 4096 * 4096;
                    let upto = (page + 4096).min(content.len());
                    content[page..upto].fill(0);
                }
            }
        }),
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a campaign says what it has counted")]
async fn damaged_files_are_never_a_silent_loss() {
    let mut dice = Dice::new(1);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut files: BTreeMap<String, u64> = BTreeMap::new();
    let mut rounds = 0;
    for seed in 0.. {
        let ordered = seed % 2 == 0;
        let (whole, base, expected) = filled(seed, ordered).await;
        let (other, _, _) = filled(seed + 1_000, ordered).await;
        let all: Vec<String> = whole.files().into_iter().map(|(name, _)| name).collect();
        // There are many blobs, and all are alike.
        let (blobs, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|name| name.starts_with("blobs/"));
        let all: Vec<String> = others.into_iter().chain(blobs.into_iter().take(3)).collect();
        for name in &all {
            for damage in DAMAGES {
                if rounds >= damages() {
                    break;
                }
                rounds += 1;
                *files.entry(name.split('/').next().unwrap_or_default().to_owned()).or_default() += 1;
                let disk = whole.copy();
                spoil(&disk, &other, name, damage, &mut dice);
                let what = format!("seed {seed}, {name}, {damage}");
                *counts.entry(outcome(&disk, &base, &expected, name, &mut dice, &what).await).or_default() += 1;
            }
        }
        if rounds >= damages() {
            break;
        }
    }
    println!("{rounds} damaged files, 0 lost in silence: {counts:?}; of {files:?}");
    assert!(counts["refused at the start"] > rounds / 5 && counts["as it was"] > 10, "{counts:?}");
}

/// What became of a damaged store. Panics if something is gone without a word.
async fn outcome(
    disk: &SimulatedDisk,
    base: &SimulatedBase,
    expected: &World,
    name: &str,
    dice: &mut Dice,
    what: &str,
) -> &'static str {
    // The index may be gone as well: everything must come from the files.
    let base = base.after_power_cut(if dice.below(2) == 0 { Left::All } else { Left::Nothing });
    let shelf: &dyn Shelf = if dice.below(3) > 0 { &RunsShelf } else { &base };
    let (store, report) = match try_open(disk, shelf, by_hand()) {
        Ok(opened) => opened,
        Err(error) => {
            let error = error.to_string();
            assert!(
                error.contains('`') && error.contains("hint:"),
                "{what}: says neither file nor what to do: {error}"
            );
            return "refused at the start";
        }
    };
    match world::read(&store).await {
        Ok(found) => {
            assert!(found == *expected, "{what}: lost without a word; {report}");
            match report.cut.is_some() || report.rebuilt.is_some() || !report.removed.is_empty() {
                true => "repaired without loss",
                false => "as it was",
            }
        }
        // What is looked up in a damaged place says so when it is looked up.
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains(name) || error.contains("blobs/"), "{what}: names no file: {error}");
            "refused when it is read"
        }
    }
}

#[tokio::test]
async fn damaged_index_is_rebuilt() {
    for left in [Left::Older, Left::Nothing, Left::Broken] {
        let (disk, base, expected) = filled(3, false).await;
        let (store, report) = try_open(&disk, &base.after_power_cut(left), by_hand()).unwrap();
        assert!(report.rebuilt.is_some(), "{left:?}");
        assert_eq!(world::read(&store).await.unwrap(), expected);
        store.verify().unwrap();
    }
}

#[tokio::test]
async fn damaged_run_is_written_anew_from_the_index() {
    let (disk, base, expected) = filled(9, false).await;
    let run = disk.files().into_iter().find(|(name, _)| name.starts_with("runs/")).unwrap().0;
    disk.damage(&run, |content| content[100] ^= 1);
    let store = open(&disk, &base, by_hand());
    assert!(store.verify().is_err());
    // Merging comes across it.
    for number in 0..70 {
        let lsn = store.commit(puts([setting(&format!("t{number}")).into()])).await.unwrap();
        store.durable(lsn).await.unwrap();
        store.checkpoint().unwrap();
    }
    store.verify().unwrap();
    drop(store);
    let store = open(&disk, &base.after_power_cut(Left::Nothing), by_hand());
    let found = world::read(&store).await.unwrap();
    assert_eq!((found.settings.len(), &found.logs), (expected.settings.len() + 70, &expected.logs));
    let store: &dyn Store = &store;
    let new = store.all::<Setting>(View::Newest, Query::Settings { prefix: "t".into() }, 100).await.unwrap();
    assert_eq!(new.len(), 70);
}

#[tokio::test]
async fn damaged_pack_is_named_and_the_rest_is_read() {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    let store = open(&disk, &base, by_hand());
    let mut batch = crate::Batch::new();
    for number in 0..40 {
        let mut row = setting(&format!("s{number}"));
        row.value = payload(&format!("{number}").repeat(30_000));
        batch.put(row).put(setting(&format!("t{number}")));
    }
    store.commit(batch).await.unwrap();
    store.close().unwrap();
    let (pack, len) = disk.files().into_iter().find(|(name, _)| name.starts_with("packs/")).unwrap();
    disk.damage(&pack, |content| content[len / 2] ^= 1);
    let store = open(&disk, &RunsShelf, by_hand());
    let (mut read, mut refused) = (0, 0);
    for number in 0..40 {
        let name = |prefix: &str| crate::Key::Setting(format!("{prefix}{number}").into());
        assert!(store.get(View::Durable, name("t")).await.unwrap().is_some());
        match store.get(View::Durable, name("s")).await {
            Ok(found) => read += usize::from(found.is_some()),
            Err(error) => {
                refused += 1;
                let error = error.to_string();
                assert!(error.contains(&pack) && error.contains("at offset") && error.contains("hint:"), "{error}");
            }
        }
    }
    assert_eq!((read, refused), (39, 1));
}
