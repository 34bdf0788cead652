//! What cannot be opened is refused in words: which file, where, and what to do.

use std::fs;

use super::super::disk::Disk;
use super::super::disk::simulated::Faults;
use super::*;
use crate::conformance::samples::*;
use crate::embedded::journal::end_of;
use crate::{Health, View};

/// A directory with runs, a pack and a journal.
async fn filled() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let store = open(&disk, &RunsShelf, Options { segment_bytes: 500, ..by_hand() });
    for number in 0..20 {
        let mut row = setting(&format!("s{number:02}"));
        row.value = payload(&"v".repeat(if number == 3 { 8_000 } else { 20 }));
        let lsn = store.commit(puts([row.into()])).await.unwrap();
        store.durable(lsn).await.unwrap();
        if number == 9 {
            store.checkpoint().unwrap();
        }
    }
    disk
}

fn file(disk: &SimulatedDisk, folder: &str, number: usize) -> String {
    let named = |name: &String| name.starts_with(folder) && !name.ends_with("tip");
    disk.files().into_iter().map(|(name, _)| name).filter(named).nth(number).unwrap()
}

/// Why it does not open; it says all of these, and what to do.
fn refusal(disk: &SimulatedDisk, says: &[&str]) -> String {
    let error = try_open(disk, &RunsShelf, by_hand()).err().expect("it opens").to_string();
    for said in says.iter().chain(&["hint:"]) {
        assert!(error.contains(said), "does not say `{said}`: {error}");
    }
    error
}

#[tokio::test]
async fn directory_of_another_program() {
    let disk = SimulatedDisk::new();
    disk.create("photos.zip").unwrap();
    refusal(&disk, &["`photos.zip`", "not a store", "empty directory"]);
    assert_eq!(disk.files().len(), 1, "nothing was made in it");
}

#[tokio::test]
async fn missing_manifest() {
    let disk = filled().await;
    disk.remove("manifest").unwrap();
    refusal(&disk, &["`manifest` is missing", "journal/"]);
}

#[tokio::test]
async fn newer_manifest() {
    let disk = filled().await;
    disk.damage("manifest", |content| {
        let text = String::from_utf8(content.clone()).unwrap().replace("\"format\": 1", "\"format\": 2");
        *content = text.into_bytes();
    });
    refusal(&disk, &["the data directory", "format 2", "up to 1", "use the version that wrote it"]);
}

#[tokio::test]
async fn newer_files() {
    let disk = filled().await;
    // magic, format: looked at before anything else, what follows may be laid out otherwise.
    for (folder, number) in [("journal/", 1), ("runs/", 0), ("packs/", 0)] {
        let disk = disk.copy();
        let name = file(&disk, folder, number);
        disk.damage(&name, |content| content[8] = 7);
        refusal(&disk, &[&name, "format 7", "up to 1", "use the version that wrote it"]);
    }
}

#[tokio::test]
async fn newer_row_in_the_journal() {
    let disk = filled().await;
    let name = file(&disk, "journal/", 1);
    // header; length, checksum, number, group, kind; PUT, length; kind, format.
    let record = super::super::journal::SEGMENT_HEADER as usize;
    disk.damage(&name, |content| {
        content[record + 25 + 5 + 2] = 9;
        let len = u32::from_le_bytes(content[record..record + 4].try_into().unwrap()) as usize;
        let sum = crc32c::crc32c_append(
            crc32c::crc32c(&content[record..record + 4]),
            &content[record + 8..record + 25 + len],
        );
        content[record + 4..record + 8].copy_from_slice(&sum.to_le_bytes());
    });
    refusal(&disk, &[&name, &format!("offset {record}"), "`Setting`", "format 9", "use the version that wrote it"]);
}

#[tokio::test]
async fn newer_row_in_a_run() {
    let (disk, base) = (SimulatedDisk::new(), SimulatedBase::default());
    let store = open(&disk, &base, by_hand());
    let mut value = super::super::base::to_value(&crate::index::table::Entry::Row(crate::Stored {
        version: crate::Lsn(1),
        row: setting("s").into(),
    }))
    .unwrap();
    value[11] = 9;
    let key = crate::index::keys::key_bytes(&crate::Key::Setting("s".into()));
    store.inner.base.apply(crate::Lsn(0), vec![(key, Some(value))]).unwrap();
    let error = store.get(View::Newest, crate::Key::Setting("s".into())).await.unwrap_err().to_string();
    assert!(error.contains("`Setting`") && error.contains("format 9") && error.contains("hint:"), "{error}");
}

#[tokio::test]
async fn second_process() {
    let disk = filled().await;
    let first = open(&disk, &RunsShelf, by_hand());
    let error = try_open(&disk, &RunsShelf, by_hand()).err().unwrap().to_string();
    assert!(error.contains("`lock`") && error.contains("another process"), "{error}");
    drop(first);
    open(&disk, &RunsShelf, by_hand());
    let folder = tempfile::tempdir().unwrap();
    let _first = EmbeddedStore::open_folder(folder.path(), Options::default()).unwrap();
    let error = EmbeddedStore::open_folder(folder.path(), Options::default()).err().unwrap().to_string();
    assert!(error.contains("another process") && error.contains("hint:"), "{error}");
}

#[tokio::test]
async fn read_only_directory() {
    let disk = filled().await;
    disk.set_faults(Faults { read_only: true, ..Faults::default() });
    refusal(&disk, &["`lock`", "read-only", "mount its file system"]);
    // A file where the directory should be, and a directory in nothing.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    for path in [path.clone(), path.join("below")] {
        let error = EmbeddedStore::open_folder(&path, Options::default()).err().unwrap().to_string();
        assert!(error.contains(&path.display().to_string()) && error.contains("hint:"), "{error}");
    }
}

#[tokio::test]
async fn full_disk_at_the_start() {
    let disk = SimulatedDisk::new();
    disk.set_faults(Faults { capacity_bytes: Some(10), ..Faults::default() });
    refusal(&disk, &["`manifest`", "no space left", "free space on its disk"]);
    // What is there can be read, and is written to once there is room.
    let disk = filled().await;
    disk.set_faults(Faults { capacity_bytes: Some(1), ..Faults::default() });
    let (store, report) = try_open(&disk, &RunsShelf, Options { reserve_bytes: 1_000, ..by_hand() }).unwrap();
    assert!(
        report.crowded == Some((0, 1_000)) && report.to_string().contains("read-only until there is room"),
        "{report}"
    );
    assert!(matches!(store.health(), Health::ReadOnly { .. }));
    assert_eq!(world::read(&store).await.unwrap().settings.len(), 20);
    assert!(matches!(store.commit(puts([setting("x").into()])).await, Err(Error::Full { .. })));
    assert!(store.checkpoint().is_err(), "there is no room for it");
    disk.set_faults(Faults::default());
    store.inner.look_at_room();
    let lsn = store.commit(puts([setting("x").into()])).await.unwrap();
    store.durable(lsn).await.unwrap();
    store.close().unwrap();
}

#[tokio::test]
async fn missing_segments_runs_and_packs() {
    let disk = filled().await;
    for (folder, number, says) in
        [("journal/", 1, "are missing before it"), ("runs/", 0, "is missing"), ("packs/", 0, "is missing")]
    {
        let disk = disk.copy();
        let name = file(&disk, folder, number);
        disk.remove(&name).unwrap();
        let error = refusal(&disk, &[says]);
        assert!(error.contains(&name) || folder == "journal/", "{error}");
    }
    let newest = disk.files().into_iter().rfind(|(name, _)| name.ends_with(".log")).unwrap().0;
    disk.remove(&newest).unwrap();
    refusal(&disk, &[&newest, "missing", "the newest commits are in it"]);
}

#[tokio::test]
async fn damage_in_the_middle() {
    let disk = filled().await;
    let name = file(&disk, "journal/", 1);
    disk.damage(&name, |content| content[120] ^= 1);
    refusal(&disk, &[&name, "at offset", "commits", "were synced"]);
    let disk = filled().await;
    let name = file(&disk, "runs/", 0);
    disk.damage(&name, |content| content.truncate(content.len() - 1));
    refusal(&disk, &[&name, "at offset", "bytes of"]);
}

#[tokio::test]
async fn foreign_file_in_the_journal() {
    let disk = filled().await;
    disk.create("journal/notes.txt").unwrap();
    refusal(&disk, &["`journal/notes.txt`", "move it away"]);
}

#[tokio::test]
async fn report_tells_what_was_found_and_done() {
    let disk = filled().await;
    disk.create("runs/00000000000000ff.run.new").unwrap();
    disk.create("packs/00000000000000fe.pack").unwrap();
    let (newest, mut len) = disk.files().into_iter().rfind(|(name, _)| name.ends_with(".log")).unwrap();
    disk.damage(&newest, |content| {
        len = end_of(content);
        content.truncate(len);
        content.extend_from_slice(b"half a record");
    });
    let (_, report) = try_open(&disk, &RunsShelf, by_hand()).unwrap();
    let text = report.to_string();
    for said in [
        "opened at commit 20",
        "1 runs and 1 packs up to commit 10",
        "10 commits from",
        "removed 2 leftovers",
        "runs/00000000000000ff.run.new",
        &newest,
        &format!("offset {len}"),
        "13 bytes",
        "never synced",
    ] {
        assert!(text.contains(said), "does not say `{said}`: {text}");
    }
    let (_, report) = try_open(&SimulatedDisk::new(), &RunsShelf, by_hand()).unwrap();
    assert_eq!(report.to_string(), "made a new store");
}
