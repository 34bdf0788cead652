//! Bounds: of what waits for the disk, and of what the disk holds.

use super::*;
use crate::conformance::samples::*;
use crate::rows::Key;
use crate::{Batch, Clear};

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
async fn journal_of_short_lives_does_not_grow_for_ever() {
    let disk = SimulatedDisk::new();
    for number in 0..10 {
        let store = try_open(&disk, &RunsShelf, by_hand()).unwrap().0;
        let mut batch = Batch::new();
        batch.put(setting(&format!("s{number}")));
        store.durable(store.commit(batch).await.unwrap()).await.unwrap();
        // No life is long enough for a checkpoint.
        drop(store);
    }
    let options = Options { checkpoint_keys: 10, ..Options::default() };
    let (store, report) = try_open(&disk, &RunsShelf, options.clone()).unwrap();
    assert!(report.settled.is_some() && report.to_string().contains("the journal was long"), "{report}");
    assert_eq!((store.stats().checkpoint, store.stats().overlay_keys), (store.stats().head, 0));
    drop(store);
    let (_, report) = try_open(&disk, &RunsShelf, options).unwrap();
    assert_eq!((report.settled, report.replayed, report.last.0), (None, 0, 10));
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

#[tokio::test]
async fn cleared_logs_and_dead_values_give_their_room_back() {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    let store = open(&disk, &base, by_hand());
    let used = || disk.files().iter().map(|(_, len)| *len as u64).sum::<u64>();
    let mut random = super::super::disk::simulated::Dice::new(4);
    // What cannot be compressed, so that bytes on disk say something.
    let mut text = |len: usize| -> String { (0..len).map(|_| char::from(33 + random.below(90) as u8)).collect() };
    for round in 0..10 {
        for target in 0..10 {
            let lines = (0..5)
                .map(|_| line(to(&format!("x{target}")), round, model::task::LogLevel::Info, &text(300)))
                .collect();
            store.append_logs(lines).await.unwrap();
            let mut row = setting(&format!("s{}", round * 10 + target));
            row.value = payload(&text(20_000));
            store.commit(puts([row.into()])).await.unwrap();
        }
        store.checkpoint().unwrap();
    }
    let (full, packs) = (used(), store.stats().pack_bytes);
    assert!(packs > 1_600_000 && full < packs * 11 / 10, "{full}, {packs}");
    // Most of it dies, a little at a time.
    for number in 0..92 {
        let mut batch = Batch::new();
        batch.delete(Key::Setting(format!("s{number}").into()));
        store.commit(batch).await.unwrap();
        if number % 10 == 0 {
            store.checkpoint().unwrap();
        }
    }
    store.checkpoint().unwrap();
    let live = 8 * 20_000 + 500 * 400;
    assert!(used() < 4 * live, "{} of {full} for {live}", used());
    for target in 0..10 {
        store.clear(Clear::Logs(to(&format!("x{target}")))).await.unwrap();
    }
    store.checkpoint().unwrap();
    assert!(used() < 2 * 8 * 20_000, "{}", used());
    store.verify().unwrap();
    drop(store);
    let store = open(&disk, &base.after_power_cut(Left::Nothing), by_hand());
    assert_eq!(world::read(&store).await.unwrap().settings.len(), 8);
}

#[tokio::test]
async fn store_at_rest_empties_its_journal() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, &RunsShelf, Options { segment_bytes: 1 << 20, ..by_hand() });
    for number in 0..200 {
        let mut row = setting(&format!("s{}", number % 20));
        row.value = payload(&"v".repeat(10_000));
        store.commit(puts([row.into()])).await.unwrap();
    }
    store.durable(store.head()).await.unwrap();
    assert!(store.stats().journal_bytes > 2_000_000);
    drop(store);
    let store = open(&disk, &RunsShelf, Options { reserve_bytes: 0, ..Options::default() });
    let lsn = store.commit(puts([setting("last").into()])).await.unwrap();
    store.durable(lsn).await.unwrap();
    let began = std::time::Instant::now();
    while store.stats().journal_bytes > 0 {
        assert!(began.elapsed().as_secs() < 30, "the journal stays: {:?}", store.stats());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(store.stats().checkpoint, lsn);
}
