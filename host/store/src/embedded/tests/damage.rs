//! Damaged files, full disks, failing syncs, foreign folders.

use super::super::disk::Disk;
use super::super::disk::simulated::{Dice, Faults};
use super::*;
use crate::conformance::samples::*;
use crate::rows::{Key, Setting};
use crate::{Batch, Health, Query, View};

async fn names(store: &EmbeddedStore) -> Vec<String> {
    try_names(store).await.unwrap()
}

async fn try_names(store: &EmbeddedStore) -> Result<Vec<String>, Error> {
    let store: &dyn Store = store;
    let rows = store.all::<Setting>(View::Newest, Query::Settings { prefix: "".into() }, 1_000).await?;
    Ok(rows.iter().map(|row| row.name.to_string()).collect())
}

async fn put(store: &EmbeddedStore, name: &str) -> Result<crate::Lsn, Error> {
    let lsn = store.commit(puts([setting(name).into()])).await?;
    store.durable(lsn).await?;
    Ok(lsn)
}

/// A store with runs and a journal, closed in order or not.
async fn filled(ordered: bool) -> (SimulatedDisk, SimulatedBase) {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    let store = open(&disk, &base, by_hand());
    for number in 0..60 {
        put(&store, &format!("s{number:02}")).await.unwrap();
        if number % 25 == 24 {
            store.checkpoint().unwrap();
        }
    }
    if ordered {
        store.close().unwrap();
    }
    (disk, base)
}

#[tokio::test]
async fn damaged_files_are_never_a_silent_loss() {
    let (mut opened, mut refused, mut rounds) = (0, 0, 0);
    for ordered in [true, false] {
        let (whole, base) = filled(ordered).await;
        let expected: Vec<String> = (0..60).map(|number| format!("s{number:02}")).collect();
        let mut dice = Dice::new(1);
        for (name, len) in whole.files() {
            for _ in 0..90 {
                rounds += 1;
                let disk = whole.copy();
                let at = dice.below(len as u64) as usize;
                let what = dice.below(3);
                disk.damage(&name, |content| match what {
                    0 => content[at] ^= 1 << dice.below(8),
                    1 => content.truncate(at),
                    _ => {
                        let upto = (at + 200).min(content.len());
                        content[at..upto].fill(0);
                    }
                });
                // The index is gone as well: everything must come from the files.
                let base = base.after_power_cut(if dice.below(2) == 0 { Left::All } else { Left::Nothing });
                let shelf: &dyn Shelf = if dice.below(3) == 0 { &RunsShelf } else { &base };
                match try_open(&disk, shelf, by_hand()) {
                    Ok((store, report)) => {
                        opened += 1;
                        // What is looked up in a damaged place of a run says so when it is looked up.
                        let found = match try_names(&store).await {
                            Ok(found) => found,
                            Err(error) => {
                                refused += 1;
                                assert!(
                                    name.starts_with("runs/") && error.to_string().contains(&name),
                                    "{name}: {error}"
                                );
                                continue;
                            }
                        };
                        // The tail of a journal that nothing follows may be one that was never synced: it is cut,
                        // and the report says so. Everything else is all there.
                        let tail = report.cut.is_some() && expected.starts_with(&found) && found.len() >= 50;
                        assert!(
                            found == expected || (tail && !ordered),
                            "{name} at {at} ({what}): {} of 60, {report}",
                            found.len()
                        );
                    }
                    Err(Error::Corrupt { what }) => {
                        refused += 1;
                        assert!(what.contains('`'), "names no file: {what}");
                    }
                    Err(other) => panic!("{name}: {other}"),
                }
            }
        }
    }
    assert!(rounds >= 500 && opened > 20 && refused > 100, "{rounds}: {opened} opened, {refused} refused");
}

#[tokio::test]
async fn damaged_index_is_rebuilt() {
    for left in [Left::Older, Left::Nothing, Left::Broken] {
        let (disk, base) = filled(false).await;
        let (store, report) = try_open(&disk, &base.after_power_cut(left), by_hand()).unwrap();
        assert!(report.rebuilt.is_some(), "{left:?}");
        assert_eq!(names(&store).await.len(), 60);
        store.verify().unwrap();
    }
}

#[tokio::test]
async fn damaged_run_is_written_anew_from_the_index() {
    let (disk, base) = filled(false).await;
    let run = disk.files().into_iter().find(|(name, _)| name.starts_with("runs/")).unwrap().0;
    disk.damage(&run, |content| content[100] ^= 1);
    let store = open(&disk, &base, by_hand());
    assert!(store.verify().is_err());
    // Merging comes across it.
    for number in 0..70 {
        put(&store, &format!("t{number}")).await.unwrap();
        store.checkpoint().unwrap();
    }
    store.verify().unwrap();
    drop(store);
    let store = open(&disk, &base.after_power_cut(Left::Nothing), by_hand());
    assert_eq!(names(&store).await.len(), 130);
}

#[tokio::test]
async fn full_disk_refuses_and_resumes() {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    let options = Options { reserve_bytes: 20_000, checkpoint_keys: 1_000_000, ..Options::default() };
    disk.set_faults(Faults { capacity_bytes: Some(60_000), ..Faults::default() });
    let store = open(&disk, &base, options);
    let mut written = 0;
    let error = loop {
        match put(&store, &format!("s{written:05}")).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 10_000);
    };
    assert!(matches!(&error, Error::Full { reason } if !reason.is_empty()), "{error}");
    assert!(matches!(store.health(), Health::ReadOnly { .. }));
    assert!(names(&store).await.len() >= written, "reading goes on");
    disk.set_faults(Faults::default());
    let mut rounds = 0;
    while put(&store, "after").await.is_err() {
        rounds += 1;
        assert!(rounds < 100, "did not resume");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(store.health(), Health::Ready);
    drop(store);
    let store = open(&disk, &base, by_hand());
    assert!(names(&store).await.len() > written);
}

#[tokio::test]
async fn failed_sync_ends_writing_for_ever() {
    for pace in [Pace::ByHand, Pace::Threads] {
        let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
        let store = open(&disk, &base, Options { pace, ..by_hand() });
        put(&store, "kept").await.unwrap();
        disk.set_faults(Faults { failing_syncs: 1, ..Faults::default() });
        assert!(matches!(put(&store, "lost").await, Err(Error::ReadOnly { .. })));
        assert!(matches!(store.health(), Health::Failed { .. }));
        for _ in 0..3 {
            assert!(matches!(put(&store, "late").await, Err(Error::ReadOnly { .. })));
        }
        let lsn = store.head();
        assert!(store.durable(lsn).await.is_err());
        let clients: Option<_> = store.get(View::Durable, Key::Setting("lost".into())).await.unwrap();
        assert!(clients.is_none());
        drop(store);
        for seed in 0..20 {
            let store = open(&disk.after_power_cut(seed), &base, by_hand());
            assert_eq!(names(&store).await, ["kept"]);
        }
    }
}

#[tokio::test]
async fn foreign_folders_and_second_servers_are_refused() {
    let disk = SimulatedDisk::new();
    disk.create("photos.zip").unwrap();
    let error = try_open(&disk, &SimulatedBase::default(), by_hand()).err().unwrap().to_string();
    assert!(error.contains("photos.zip") && error.contains("hint:"), "{error}");
    let (disk, base) = filled(false).await;
    let first = open(&disk, &base, by_hand());
    let error = try_open(&disk, &base, by_hand()).err().unwrap();
    assert!(matches!(&error, Error::Io { path, .. } if path == "lock"), "{error}");
    drop(first);
    disk.remove("manifest").unwrap();
    let error = try_open(&disk, &base, by_hand()).err().unwrap().to_string();
    assert!(error.contains("is missing"), "{error}");
}

#[tokio::test]
async fn commits_wait_for_a_disk_that_cannot_keep_up() {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    // By hand nothing is written unless somebody waits: all that moves the journal here is the limit of the queue.
    let store = open(&disk, &base, Options { segment_bytes: 1 << 30, ..by_hand() });
    let mut batch = Batch::new();
    let changes = (0..64).map(|_| (at(0), payload(&"x".repeat(100_000)))).collect();
    batch.append(execution_id("x"), 0, changes);
    for number in 0..12 {
        let id = number.to_string();
        let mut batch = batch.clone();
        if let Some(crate::Step::Append { execution, .. }) = batch.steps.first_mut() {
            *execution = execution_id(&id);
        }
        store.commit(batch).await.unwrap();
    }
    let stats = store.stats();
    assert!(stats.durable > crate::Lsn::START && stats.durable < stats.head, "{stats:?}");
}

#[tokio::test]
async fn space_follows_what_is_live() {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    let store = open(&disk, &base, by_hand());
    for round in 0..200 {
        let mut batch = Batch::new();
        for number in 0..20 {
            let mut row = setting(&format!("s{number}"));
            row.value = payload(&format!("{round}{}", "x".repeat(200)));
            batch.put(row);
        }
        let lsn = store.commit(batch).await.unwrap();
        store.durable(lsn).await.unwrap();
        if round % 5 == 4 {
            store.checkpoint().unwrap();
        }
    }
    store.checkpoint().unwrap();
    let used: usize = disk.files().iter().map(|(_, len)| len).sum();
    let live = 20 * 330;
    assert!(used <= 4 * live, "{used} bytes for {live}");
}
