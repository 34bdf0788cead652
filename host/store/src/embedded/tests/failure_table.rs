//! The failure table, line by line, for what is the store's: each before and after its commit point.

use std::time::Duration;

use super::super::disk::Disk;
use super::super::disk::simulated::Faults;
use super::super::{journal, offline};
use super::world::{Life, World};
use super::*;
use crate::conformance::samples::*;
use crate::rows::{BlobInfo, File, Key, Setting};
use crate::{Health, Lsn, Query, View};

async fn names(store: &EmbeddedStore) -> Vec<String> {
    let store: &dyn Store = store;
    let rows = store.all::<Setting>(View::Newest, Query::Settings { prefix: "".into() }, 10_000).await.unwrap();
    rows.iter().map(|row| row.name.to_string()).collect()
}

async fn put(store: &EmbeddedStore, name: &str) -> Result<Lsn, Error> {
    let lsn = store.commit(puts([setting(name).into()])).await?;
    store.durable(lsn).await?;
    Ok(lsn)
}

async fn write_blob(store: &EmbeddedStore, content: &str) -> Result<BlobInfo, Error> {
    let mut writer = store.write_blob(at(0)).await?;
    writer.write(content.to_owned().into()).await?;
    writer.finish().await
}

async fn read_blob(store: &EmbeddedStore, info: &BlobInfo) -> Result<Option<String>, Error> {
    let Some(mut reader) = store.read_blob(info.id.clone(), 0).await? else { return Ok(None) };
    let mut content = Vec::new();
    while let Some(piece) = reader.read().await? {
        content.extend_from_slice(&piece);
    }
    Ok(Some(String::from_utf8(content).unwrap()))
}

/// The disk as it is left when the power goes before each operation in turn of the same history, until it is lived to
/// its end.
async fn at_every_operation<T>(
    live: impl AsyncFn(&SimulatedDisk) -> Result<T, Error>,
    mut check: impl AsyncFnMut(SimulatedDisk, Option<T>),
) {
    for off_at in 0.. {
        let disk = SimulatedDisk::new();
        disk.set_faults(Faults { power_off_at: Some(off_at), ..Faults::default() });
        let lived = live(&disk).await;
        let ended = disk.cut_at().is_none();
        assert!(lived.is_ok() == ended, "fails only without power");
        let mut lived = lived.ok();
        for seed in 0..4 {
            check(disk.after_power_cut(seed), if seed == 0 { lived.take() } else { None }).await;
        }
        if ended {
            assert!(off_at > 5, "only {off_at} operations");
            return;
        }
    }
}

#[tokio::test]
async fn f08_blob_written_and_commit_not_done() {
    let live = async |disk: &SimulatedDisk| {
        let (store, _) = try_open(disk, &RunsShelf, by_hand())?;
        write_blob(&store, "nobody names it").await
    };
    let mut whole = 0;
    at_every_operation(live, async |disk, _| {
        // Before and after the blob is finished: all of it is there, or nothing; and it goes once it is old.
        let store = open(&disk, &RunsShelf, by_hand());
        let found = world::read(&store).await.unwrap();
        assert_eq!(found, World::default());
        let left = || disk.files().into_iter().filter(|(name, _)| name.starts_with("blobs/")).collect::<Vec<_>>();
        for (name, len) in left() {
            assert!(!name.starts_with("blobs/new/") && len == "nobody names it".len(), "{name}: {len}");
            whole += 1;
        }
        store.collect_blobs(at(-1)).await.unwrap();
        assert!(left().len() <= 1, "young ones stay: their commit may be on its way");
        store.collect_blobs(at(24 * 3_600)).await.unwrap();
        assert_eq!(left(), []);
    })
    .await;
    assert!(whole > 0, "none was finished");
}

#[tokio::test]
async fn f09_commit_done_and_blob_missing() {
    let live = async |disk: &SimulatedDisk| {
        let (store, _) = try_open(disk, &RunsShelf, by_hand())?;
        let info = write_blob(&store, "content").await?;
        let lsn = store.commit(puts([file("main/a", info.clone()).into()])).await?;
        store.durable(lsn).await?;
        Ok(info)
    };
    let mut named = 0;
    at_every_operation(live, async |disk, acknowledged| {
        // Whatever names it finds it: it was safe before.
        let store = open(&disk, &RunsShelf, by_hand());
        let row = (&store as &dyn Store).find::<File>(View::Durable, Key::File("main/a".into())).await.unwrap();
        assert!(row.is_some() || acknowledged.is_none());
        if let Some(row) = row {
            named += 1;
            assert_eq!(read_blob(&store, &row.content).await.unwrap().as_deref(), Some("content"));
        }
    })
    .await;
    assert!(named > 0);
    // Taken away by somebody else: reading says so, and so does looking at everything.
    let disk = SimulatedDisk::new();
    let info = live(&disk).await.unwrap();
    let name = super::super::blobs::name_of(&info.id);
    disk.damage(&name, |content| content[0] ^= 1);
    let error = read_blob(&open(&disk, &RunsShelf, by_hand()), &info).await.unwrap_err().to_string();
    assert!(error.contains(&name) && error.contains("hint:"), "{error}");
    disk.remove(&name).unwrap();
    assert_eq!(read_blob(&open(&disk, &RunsShelf, by_hand()), &info).await.unwrap(), None);
    let shared: super::super::disk::SharedDisk = Arc::new(disk);
    let found = offline::verify_disk(&shared).unwrap();
    assert!(found.problems.iter().any(|problem| problem.file == name && problem.what.contains("main/a")), "{found}");
}

#[tokio::test]
async fn f09_replaced_content_stays_until_its_end_is_durable() {
    let live = async |disk: &SimulatedDisk| {
        let (store, _) = try_open(disk, &RunsShelf, by_hand())?;
        for content in ["old", "new"] {
            let info = write_blob(&store, content).await?;
            store.commit(puts([file("main/a", info).into()])).await?;
        }
        store.collect_blobs(at(1)).await
    };
    at_every_operation(live, async |disk, collected| {
        assert!(collected.is_none_or(|number| number == 1));
        let store = open(&disk, &RunsShelf, by_hand());
        let row = (&store as &dyn Store).find::<File>(View::Durable, Key::File("main/a".into())).await.unwrap();
        if let Some(row) = row {
            assert!(read_blob(&store, &row.content).await.unwrap().is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn f20_disk_full_in_journal_append() {
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
    assert!(error.to_string().contains("hint:"), "{error}");
    assert!(matches!(store.health(), Health::ReadOnly { .. }));
    assert!(names(&store).await.len() >= written, "reading goes on");
    disk.set_faults(Faults::default());
    let mut rounds = 0;
    while put(&store, "after").await.is_err() {
        rounds += 1;
        assert!(rounds < 100, "did not resume");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(store.health(), Health::Ready);
    drop(store);
    let store = open(&disk, &base, by_hand());
    assert!(names(&store).await.len() > written);
}

#[tokio::test]
async fn f20_disk_full_at_any_write() {
    // By hand, with every amount of room: in an append, a new segment, a checkpoint, a merge.
    for capacity in (600..9_000).step_by(170) {
        let disk = SimulatedDisk::new();
        disk.set_faults(Faults { capacity_bytes: Some(capacity), ..Faults::default() });
        let Ok((store, _)) = try_open(&disk, &RunsShelf, Options { segment_bytes: 700, ..by_hand() }) else { continue };
        let mut acknowledged: Vec<String> = Vec::new();
        let mut refused = 0;
        for number in 0..40 {
            let name = format!("s{number:02}");
            match put(&store, &name).await {
                Ok(_) => acknowledged.push(name),
                Err(Error::Full { .. }) => refused += 1,
                Err(error) => panic!("{capacity}: {error}"),
            }
            if number % 6 == 5 {
                // It may find no room; then it is made later.
                drop(store.checkpoint());
            }
        }
        let found = names(&store).await;
        assert!(acknowledged.iter().all(|name| found.contains(name)), "{capacity}: reading goes on");
        disk.set_faults(Faults::default());
        store.durable(store.head()).await.unwrap();
        put(&store, "after").await.unwrap_or_else(|error| panic!("{capacity}: does not resume: {error}"));
        acknowledged.push("after".into());
        store.checkpoint().unwrap();
        drop(store);
        let store = open(&disk.after_power_cut(capacity), &RunsShelf, by_hand());
        let found = names(&store).await;
        let lost: Vec<_> = acknowledged.iter().filter(|name| !found.contains(name)).collect();
        assert!(lost.is_empty(), "{capacity}: {lost:?}, {refused} refused");
    }
}

#[tokio::test]
async fn f21_sync_fails() {
    for pace in [Pace::ByHand, Pace::Threads] {
        let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
        let store = open(&disk, &base, Options { pace, ..by_hand() });
        put(&store, "kept").await.unwrap();
        disk.set_faults(Faults { failing_syncs: 1, ..Faults::default() });
        assert!(matches!(put(&store, "lost").await, Err(Error::ReadOnly { .. })));
        assert!(matches!(store.health(), Health::Failed { .. }));
        for _ in 0..3 {
            // The disk would take it now. It is never tried again: nobody knows what is there.
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
async fn f22_torn_tail_of_the_last_segment() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, &RunsShelf, Options { segment_bytes: 1 << 20, ..by_hand() });
    put(&store, "one").await.unwrap();
    put(&store, "two").await.unwrap();
    let segment = |disk: &SimulatedDisk| disk.files().into_iter().find(|(name, _)| name.ends_with(".log")).unwrap();
    let (name, synced) = segment(&disk);
    store.commit(puts([setting("three").into()])).await.unwrap();
    store.durable(store.head()).await.unwrap();
    let (_, len) = segment(&disk);
    drop(store);
    // Before: the record was never whole. After: it is, and stays.
    for cut in synced..=len {
        let disk = disk.copy();
        disk.damage(&name, |content| content.truncate(cut));
        let (store, report) = try_open(&disk, &RunsShelf, by_hand()).unwrap();
        let expected: &[&str] = if cut < len { &["one", "two"] } else { &["one", "three", "two"] };
        assert_eq!(names(&store).await, expected);
        assert_eq!(report.cut.is_some(), cut > synced && cut < len, "{cut}: {report}");
        if let Some(cut) = &report.cut {
            assert!(cut.contains(&name) && cut.contains(&format!("offset {synced}")), "{cut}");
        }
        put(&store, "next").await.unwrap();
    }
}

#[tokio::test]
async fn f23_corruption_in_the_middle() {
    let disk = SimulatedDisk::new();
    let store = open(&disk, &RunsShelf, Options { segment_bytes: 500, ..by_hand() });
    for number in 0..30 {
        put(&store, &format!("s{number:02}")).await.unwrap();
    }
    drop(store);
    let segments: Vec<String> =
        disk.files().into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".log")).collect();
    assert!(segments.len() > 3, "{segments:?}");
    for name in &segments[..segments.len() - 1] {
        let disk = disk.copy();
        disk.damage(name, |content| content[200] ^= 1);
        let error = try_open(&disk, &RunsShelf, by_hand()).err().unwrap().to_string();
        assert!(error.contains(name) && error.contains("at offset") && error.contains("commits"), "{error}");
        assert!(error.contains("hint:") && error.contains("--accept-loss"), "{error}");
        // Nothing was changed by refusing, and nothing is given up before a human says so.
        assert_eq!(try_open(&disk, &RunsShelf, by_hand()).err().unwrap().to_string(), error);
        let shared: super::super::disk::SharedDisk = Arc::new(disk.clone());
        let would = offline::repair_disk(&shared, AcceptLoss::No).unwrap();
        assert!(!would.done && try_open(&disk, &RunsShelf, by_hand()).is_err());
        let done = offline::repair_disk(&shared, AcceptLoss::Yes).unwrap();
        assert_eq!((done.given_up, done.last), (would.given_up, would.last));
        let store = open(&disk, &RunsShelf, by_hand());
        let kept: Vec<String> = (0..done.last).map(|number| format!("s{number:02}")).collect();
        assert_eq!(names(&store).await, kept);
        assert_eq!(done.given_up, Some((done.last + 1, 30)));
        put(&store, "goes on").await.unwrap();
    }
}

#[tokio::test]
async fn f23_repair_survives_a_power_cut_at_any_step() {
    let damaged = SimulatedDisk::new();
    let store = open(&damaged, &RunsShelf, Options { segment_bytes: 1_000, ..by_hand() });
    for number in 0..12 {
        put(&store, &format!("s{number:02}")).await.unwrap();
    }
    drop(store);
    let name = damaged.files().into_iter().filter(|(name, _)| name.ends_with(".log")).nth(1).unwrap().0;
    damaged.damage(&name, |content| content[100] ^= 1);
    let shared: super::super::disk::SharedDisk = Arc::new(damaged.clone());
    let last = offline::repair_disk(&shared, AcceptLoss::No).unwrap().last;
    for off_at in 0.. {
        let disk = damaged.copy();
        disk.set_faults(Faults { power_off_at: Some(off_at), ..Faults::default() });
        let shared: super::super::disk::SharedDisk = Arc::new(disk.clone());
        let ended = offline::repair_disk(&shared, AcceptLoss::Yes).is_ok();
        for seed in 0..4 {
            let left = disk.after_power_cut(seed);
            let shared: super::super::disk::SharedDisk = Arc::new(left.clone());
            offline::repair_disk(&shared, AcceptLoss::Yes).unwrap();
            let found = names(&open(&left, &RunsShelf, by_hand())).await;
            assert_eq!(found.len() as u64, last, "cut at {off_at}");
        }
        if ended {
            break;
        }
    }
}

#[tokio::test]
async fn f24_index_corrupt_short_missing_or_foreign() {
    use std::fs;
    let whole = tempfile::tempdir().unwrap();
    let options = || Options { index: Index::Sled, reserve_bytes: 0, ..Options::default() };
    let expected = {
        let (store, _) = EmbeddedStore::open_folder(whole.path(), options()).unwrap();
        let mut life = Life::new(24, 3_000);
        life.live(&store, 120).await.unwrap();
        store.checkpoint().unwrap();
        life.live(&store, 20).await.unwrap();
        store.close().unwrap();
        life.world()
    };
    for what in ["corrupt", "short", "missing", "empty", "foreign", "panicked before"] {
        let folder = tempfile::tempdir().unwrap();
        on_sled::copy(whole.path(), folder.path());
        let (index, db) = (folder.path().join("index"), folder.path().join("index/db"));
        let content = fs::read(&db).unwrap();
        match what {
            "corrupt" => {
                let mut content = content;
                let used = content.iter().rposition(|byte| *byte != 0).unwrap();
                content[used / 2..used / 2 + 64].fill(0xa5);
                fs::write(&db, content).unwrap();
            }
            "short" => fs::write(&db, &content[..content.len() / 2]).unwrap(),
            "missing" => fs::remove_dir_all(&index).unwrap(),
            "empty" => fs::write(&db, "").unwrap(),
            "foreign" => fs::write(&db, "not a database").unwrap(),
            _ => fs::write(folder.path().join("index.unsound"), "sled panicked\n").unwrap(),
        }
        let (store, report) = EmbeddedStore::open_folder(folder.path(), options()).unwrap();
        assert!(report.rebuilt.is_some(), "{what}: {report}");
        assert_eq!(world::read(&store).await.unwrap(), expected, "{what}");
        store.verify().unwrap();
    }
}

#[tokio::test]
async fn f30_crash_in_checkpoint_segment_removal_or_rebuild() {
    let live = async |disk: &SimulatedDisk| {
        let (store, _) = try_open(disk, &RunsShelf, Options { segment_bytes: 600, ..by_hand() })?;
        for number in 0..9 {
            put(&store, &format!("s{number}")).await?;
            if number % 2 == 1 {
                store.checkpoint()?;
            }
        }
        drop(store);
        let shared: super::super::disk::SharedDisk = Arc::new(disk.clone());
        offline::rebuild_disk(&shared)
    };
    at_every_operation(live, async |disk, _| {
        let store = open(&disk, &RunsShelf, by_hand());
        let found = names(&store).await;
        // What is there is the beginning of what was written; the old checkpoint or the new one counts, never half.
        let expected: Vec<String> = (0..found.len()).map(|number| format!("s{number}")).collect();
        assert_eq!(found, expected);
        store.verify().unwrap();
        put(&store, "after").await.unwrap();
        store.close().unwrap();
        let files = disk.files();
        assert!(!files.iter().any(|(name, _)| name.ends_with(".new")), "{files:?}");
    })
    .await;
    assert_eq!(journal::FORMAT, 1, "a migration has to be cut here as well, once there is one");
}
