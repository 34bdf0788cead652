//! The embedded store as it is used: the real disk, sled below.

use std::fs;
use std::path::Path;

use super::super::disk::RealDisk;
use super::super::disk::simulated::Dice;
use super::*;
use crate::conformance::samples::*;
use crate::rows::Setting;
use crate::{Query, View};

fn on_disk(path: &Path, options: Options) -> Result<(EmbeddedStore, Report), Error> {
    let disk = RealDisk::new(path).unwrap();
    EmbeddedStore::open(Arc::new(disk), &SledShelf::new(path.join("index")), options)
}

mod suite {
    use super::*;

    /// A store whose folder goes when it does.
    struct Temporary(#[expect(dead_code, reason = "held for its drop")] tempfile::TempDir);

    #[test]
    fn every_case_on_sled() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        for (name, case) in crate::conformance::CASES {
            let folder = tempfile::tempdir().unwrap();
            let options = Options { checkpoint_keys: 50, reserve_bytes: 0, ..Options::default() };
            let store: Arc<dyn Store> = Arc::new(on_disk(folder.path(), options).unwrap().0);
            let _kept = Temporary(folder);
            let run = runtime.block_on(runtime.spawn(case(store)));
            assert!(run.is_ok(), "{name}");
        }
    }
}

async fn fill(store: &EmbeddedStore, from: usize, upto: usize) {
    let mut last = None;
    for number in from..upto {
        let mut row = setting(&format!("s{number:04}"));
        // Some are larger than sled takes in one piece.
        row.value = payload(&"v".repeat(if number % 50 == 7 { 100_000 } else { 20 }));
        last = Some(store.commit(puts([row.into()])).await.unwrap());
    }
    store.durable(last.unwrap()).await.unwrap();
}

async fn sizes(store: &EmbeddedStore) -> Vec<usize> {
    let store: &dyn Store = store;
    let rows = store.all::<Setting>(View::Newest, Query::Settings { prefix: "".into() }, 10_000).await.unwrap();
    rows.iter().map(|row| row.value.json.len()).collect()
}

fn expected(count: usize) -> Vec<usize> {
    (0..count).map(|number| if number % 50 == 7 { 100_002 } else { 22 }).collect()
}

#[tokio::test]
async fn survives_restarts_in_and_out_of_order() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let (store, report) = on_disk(folder.path(), Options { reserve_bytes: 0, ..Options::default() }).unwrap();
        assert_eq!(sizes(&store).await, expected(round * 100));
        assert_eq!(report.rebuilt, None, "round {round}");
        assert_eq!(report.created, round == 0);
        fill(&store, round * 100, round * 100 + 100).await;
        match round % 3 {
            0 => store.close().unwrap(),
            1 => {
                store.checkpoint().unwrap();
                store.verify().unwrap();
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn damaged_sled_files_are_noticed_and_rebuilt() {
    let whole = tempfile::tempdir().unwrap();
    {
        let (store, _) = on_disk(whole.path(), Options { reserve_bytes: 0, ..Options::default() }).unwrap();
        fill(&store, 0, 300).await;
        store.checkpoint().unwrap();
        fill(&store, 300, 400).await;
        store.close().unwrap();
    }
    let mut dice = Dice::new(3);
    let mut rebuilt = 0;
    for round in 0..24 {
        let folder = tempfile::tempdir().unwrap();
        copy(whole.path(), folder.path());
        // As if it had not been closed in order: then only the sum over all pairs can tell.
        if round % 2 == 0 {
            fs::remove_file(folder.path().join("index.seal")).unwrap();
        }
        let db = folder.path().join("index/db");
        let mut content = fs::read(&db).unwrap();
        let used = content.iter().rposition(|byte| *byte != 0).unwrap();
        let at = dice.below(used as u64) as usize;
        match round % 4 {
            0 | 1 => content[at] ^= 1 << dice.below(8),
            2 => content.truncate(at),
            _ => content[at..(at + 4096).min(used)].fill(0),
        }
        fs::write(&db, content).unwrap();
        let (store, report) = on_disk(folder.path(), Options { reserve_bytes: 0, ..Options::default() }).unwrap();
        rebuilt += usize::from(report.rebuilt.is_some());
        assert_eq!(sizes(&store).await, expected(400), "round {round}: {report}");
        store.verify().unwrap();
    }
    assert!(rebuilt > 5, "{rebuilt}");
}

#[tokio::test]
async fn missing_or_foreign_index_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (store, _) = on_disk(folder.path(), Options { reserve_bytes: 0, ..Options::default() }).unwrap();
        fill(&store, 0, 200).await;
        store.close().unwrap();
    }
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    {
        let (store, report) = on_disk(folder.path(), Options { reserve_bytes: 0, ..Options::default() }).unwrap();
        assert!(report.rebuilt.is_some());
        assert_eq!(sizes(&store).await, expected(200));
    }
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    fs::create_dir(folder.path().join("index")).unwrap();
    fs::write(folder.path().join("index/db"), "not a database").unwrap();
    let (store, report) = on_disk(folder.path(), Options { reserve_bytes: 0, ..Options::default() }).unwrap();
    assert!(report.rebuilt.is_some());
    assert!(folder.path().join("index.damaged").exists(), "kept for who wants to look");
    assert_eq!(sizes(&store).await, expected(200));
}

#[tokio::test]
async fn second_server_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = on_disk(folder.path(), Options::default()).unwrap();
    let error = on_disk(folder.path(), Options::default()).err().unwrap().to_string();
    assert!(error.contains("lock") && error.contains("another process"), "{error}");
    drop(first);
    on_disk(folder.path(), Options::default()).unwrap();
}

pub fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
