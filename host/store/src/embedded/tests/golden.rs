//! A data directory that was written by format 1, opened on every build: whoever has one can go on with it.
//!
//! It has everything a directory can have: rows of every kind, a run, packs, a journal with several segments, a blob.
//! When a format changes, the old directory stays and is still opened; a new one is written beside it
//! (`cargo test -p sluice-store -- --ignored writes_the_golden_directory`) and never again.

use std::fs;
use std::path::{Path, PathBuf};

use model::state::State;
use model::task::LogLevel;

use super::super::disk::{Disk, RealDisk};
use super::super::journal::StoreId;
use super::super::manifest::{FORMAT, Manifest};
use super::*;
use crate::conformance::samples::*;
use crate::query::LogFilter;
use crate::rows::*;
use crate::{Query, View};

const CONTENT: &str = "content of a file\n";

fn golden(format: u16) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{format}"))
}

fn large() -> String {
    (0..1_300).map(|number| format!("{number} ")).collect()
}

/// A row of every kind that is put.
fn rows(blob: &BlobInfo) -> Vec<Row> {
    let mut full = execution("x", &flow_key("a.b", "f"), 5, State::Failed);
    full.record.labels = vec![label("k", "v")];
    full.record.inputs.insert("n".into(), expr::Value::Int(i64::MAX));
    full.lock = Some(Arc::default());
    let mut long = setting("large");
    long.value = payload(&large());
    vec![
        flow("a.b", "f", 3).into(),
        full.into(),
        snapshot("x", 1000).into(),
        task_run("x", "r", 1).into(),
        job("x", "r", 1).into(),
        timer(to("x"), "t", 1).into(),
        trigger("a", "f", "t", Some(3)).into(),
        kv("a", "k\0zero", -1).into(),
        secret("a", "TOKEN").into(),
        file("main/a/é.txt", blob.clone()).into(),
        node("n1").into(),
        audit(1, "a").into(),
        document("a", "app", "d").into(),
        setting("plugin/pin/git").into(),
        long.into(),
    ]
}

fn held() -> UniqueKey {
    unique(UniqueName::Slot(flow_key("a", "f"), 3), "x")
}

fn lines(part: &str) -> Vec<LogLine> {
    (0..8).map(|number| line(to("x"), number, LogLevel::Info, &format!("{part} line {number}"))).collect()
}

async fn write(path: &Path) {
    let disk = RealDisk::new(path).unwrap();
    for folder in ["journal", "runs", "packs"] {
        disk.make_folder(folder).unwrap();
    }
    // Not drawn, so that it is the same whenever it is written.
    Manifest::new(StoreId(*b"a golden store..")).write(&disk).unwrap();
    let store = EmbeddedStore::open(Arc::new(disk), &RunsShelf, Options { segment_bytes: 700, ..by_hand() }).unwrap().0;
    let mut writer = store.write_blob(at(0)).await.unwrap();
    writer.write(CONTENT.into()).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let mut batch = puts(rows(&blob));
    batch.put(setting("goes"));
    batch.append(execution_id("x"), 0, vec![(at(7), payload("c")), (at(8), payload("d"))]);
    batch.send(message(&to("x"), "m")).send(message(&to("x"), "drained")).take(held());
    store.commit(batch).await.unwrap();
    store.append_logs(lines("run")).await.unwrap();
    store.append_metrics(vec![metric("x", "rows", 0.1)]).await.unwrap();
    store.checkpoint().unwrap();
    let mut batch = crate::Batch::new();
    batch.delete(Key::Setting("goes".into())).put(setting("comes"));
    batch.drain(MessageKey { to: to("x"), unique: "drained".into() });
    for batch in [batch, puts([setting("last").into()])] {
        let lsn = store.commit(batch).await.unwrap();
        store.durable(lsn).await.unwrap();
    }
    let lsn = store.append_logs(lines("journal")).await.unwrap();
    store.durable(lsn).await.unwrap();
    drop(store);
    fs::remove_file(path.join("lock")).unwrap();
}

/// Everything that `write` has written is there, and nothing else.
async fn check(embedded: &EmbeddedStore) {
    let store: &dyn Store = embedded;
    let blob = store.find::<File>(View::Durable, Key::File("main/a/é.txt".into())).await.unwrap().unwrap();
    let mut reader = store.read_blob(blob.content.id.clone(), 0).await.unwrap().unwrap();
    assert_eq!(reader.read().await.unwrap().unwrap(), CONTENT);
    let changes = [(1, 7, "c"), (2, 8, "d")].map(|(sequence, seconds, text)| {
        Change { execution: execution_id("x"), sequence, at: at(seconds), change: payload(text) }.into()
    });
    for row in rows(&blob.content).into_iter().chain(changes).chain([held().into(), setting("comes").into()]) {
        let found = store.get(View::Durable, row.key()).await.unwrap().unwrap_or_else(|| panic!("no {}", row.key()));
        assert_eq!(found.row, row);
    }
    let all = |query: Query| async move { store.all::<Setting>(View::Durable, query, 100).await.unwrap() };
    let names: Vec<String> =
        all(Query::Settings { prefix: "".into() }).await.iter().map(|row| row.name.to_string()).collect();
    assert_eq!(names, ["comes", "large", "last", "plugin/pin/git"]);
    let logs = store.all::<LogLine>(View::Durable, Query::Logs(LogFilter::of(to("x"), 0)), 100).await.unwrap();
    let found: Vec<&str> = logs.iter().map(|line| &*line.message).collect();
    let expected: Vec<String> =
        [lines("run"), lines("journal")].concat().iter().map(|line| line.message.to_string()).collect();
    assert_eq!(found, expected);
    let inbox = store.all::<Message>(View::Durable, Query::Inbox(to("x")), 10).await.unwrap();
    assert_eq!(inbox.iter().map(|message| &*message.key.unique).collect::<Vec<_>>(), ["m"]);
    let metrics = Query::Metrics { execution: execution_id("x"), after: 0 };
    assert_eq!(store.all::<Metric>(View::Durable, metrics, 10).await.unwrap()[0].value, 0.1);
}

#[test]
fn directories_of_every_format_are_kept() {
    for format in 1..=FORMAT {
        assert!(golden(format).join("manifest").exists(), "no golden directory of format {format}: write one");
    }
}

#[tokio::test]
async fn golden_directories_open_and_go_on() {
    for format in 1..=FORMAT {
        for index in [Index::Runs, Index::Sled] {
            let folder = tempfile::tempdir().unwrap();
            on_sled::copy(&golden(format), folder.path());
            let found = verify(folder.path()).unwrap();
            assert!(found.is_sound(), "{found}");
            let options = || Options { index, reserve_bytes: 0, ..Options::default() };
            let (store, report) = EmbeddedStore::open_folder(folder.path(), options()).unwrap();
            assert_eq!((report.created, report.cut, report.last.0), (false, None, 6));
            check(&store).await;
            store.commit(puts([setting("last").into()])).await.unwrap();
            store.close().unwrap();
            check(&EmbeddedStore::open_folder(folder.path(), options()).unwrap().0).await;
        }
    }
}

#[tokio::test]
async fn golden_directory_is_what_this_program_writes() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path()).await;
    check(&EmbeddedStore::open_folder(folder.path(), Options { reserve_bytes: 0, ..Options::default() }).unwrap().0)
        .await;
    let total: u64 = stats(&golden(FORMAT)).unwrap().disk_bytes;
    assert!(total < 20_000, "{total} bytes are too many to keep in the repository");
}

#[tokio::test]
#[ignore = "writes the directory of the present format anew: only before that format is released"]
async fn writes_the_golden_directory() {
    let path = golden(FORMAT);
    if path.exists() {
        fs::remove_dir_all(&path).unwrap();
    }
    write(&path).await;
}
