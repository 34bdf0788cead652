//! What can be done with a data directory that nobody has open.

use std::fs;
use std::path::Path;

use super::super::disk::simulated::Dice;
use super::*;
use crate::conformance::samples::*;
use crate::rows::Setting;
use crate::{Query, View};

fn options() -> Options {
    Options { reserve_bytes: 0, segment_bytes: 2_000, ..Options::default() }
}

/// A directory with runs, packs, blobs and a journal of several segments that was not closed in order.
async fn filled(path: &Path) {
    let (store, _) = EmbeddedStore::open_folder(path, options()).unwrap();
    for number in 0..60 {
        let mut row = setting(&format!("s{number:02}"));
        row.value = payload(&"v".repeat(if number % 10 == 0 { 6_000 } else { 40 }));
        let run = task_run("x", &format!("run-{number}"), number);
        let lsn = store.commit(puts([row.into(), run.into()])).await.unwrap();
        store.durable(lsn).await.unwrap();
        if number == 20 || number == 30 {
            store.checkpoint().unwrap();
        }
    }
    let mut writer = store.write_blob(at(0)).await.unwrap();
    writer.write("content of a file".into()).await.unwrap();
    let info = writer.finish().await.unwrap();
    let lsn = store.commit(puts([file("main/a.txt", info).into()])).await.unwrap();
    store.durable(lsn).await.unwrap();
}

async fn names(path: &Path) -> usize {
    let (store, _) = EmbeddedStore::open_folder(path, options()).unwrap();
    let store: &dyn Store = &store;
    store.all::<Setting>(View::Newest, Query::Settings { prefix: "".into() }, 1_000).await.unwrap().len()
}

fn contents(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => {
                    let name = entry.path().strip_prefix(path).unwrap().display().to_string();
                    found.push((name, fs::read(entry.path()).unwrap()));
                }
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn verify_finds_every_damage_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let before = contents(folder.path());
    let sound = verify(folder.path()).unwrap();
    assert!(sound.is_sound(), "{sound}");
    assert_eq!((sound.last, sound.rows, sound.blobs), (61, 121, 1), "{sound}");
    assert!(sound.values >= 3 && sound.commits == 30 && sound.entries > 60, "{sound}");
    assert!(serde_json::to_string(&sound).unwrap().contains("\"problems\":[]"));
    assert_eq!(contents(folder.path()), before);
    let mut dice = Dice::new(5);
    let mut expected = Vec::new();
    for (name, content) in &before {
        if ["lock", "manifest"].contains(&name.as_str()) {
            continue;
        }
        let mut damaged = content.clone();
        let at = dice.below(content.len() as u64) as usize;
        damaged[at] ^= 8;
        fs::write(folder.path().join(name), &damaged).unwrap();
        let found = verify(folder.path()).unwrap();
        // The newest segment may end in what was never synced, and the tip only guards other files.
        let excused = name.ends_with("tip") || found.notes.iter().any(|note| note.contains(name.as_str()));
        let named = found.problems.iter().any(|problem| problem.file == *name && problem.what.contains("hint:"));
        assert!(named || excused, "{name} at {at}: {found}");
        if !excused {
            expected.push(name.clone());
        }
        fs::write(folder.path().join(name), content).unwrap();
    }
    assert!(expected.len() > 8, "{expected:?}");
    // All at once: every one of them is named.
    for name in &expected {
        let mut damaged = fs::read(folder.path().join(name)).unwrap();
        let at = damaged.len() / 2;
        damaged[at] ^= 1;
        fs::write(folder.path().join(name), damaged).unwrap();
    }
    let found = verify(folder.path()).unwrap();
    let unnamed: Vec<_> =
        expected.iter().filter(|name| !found.problems.iter().any(|problem| problem.file == **name)).collect();
    assert!(unnamed.is_empty(), "{unnamed:?}: {found}");
}

#[tokio::test]
async fn tools_refuse_a_directory_in_use_and_what_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let error = verify(&folder.path().join("missing")).unwrap_err().to_string();
    assert!(error.contains("missing") && error.contains("hint:"), "{error}");
    assert!(!folder.path().join("missing").exists());
    let nothing = verify(folder.path()).unwrap();
    assert!(!nothing.is_sound() && nothing.to_string().contains("not a data directory"), "{nothing}");
    let error = stats(folder.path()).unwrap_err().to_string();
    assert!(error.contains("`manifest` is missing") && error.contains("hint:"), "{error}");
    assert!(rebuild(folder.path(), Index::Runs).is_err() && repair(folder.path(), AcceptLoss::Yes).is_err());
    let (store, _) = EmbeddedStore::open_folder(folder.path(), options()).unwrap();
    for error in [
        verify(folder.path()).map(drop).unwrap_err(),
        stats(folder.path()).map(drop).unwrap_err(),
        rebuild(folder.path(), Index::Runs).map(drop).unwrap_err(),
        repair(folder.path(), AcceptLoss::Yes).map(drop).unwrap_err(),
    ] {
        assert!(error.to_string().contains("another process has this store open"), "{error}");
    }
    drop(store);
    verify(folder.path()).unwrap();
}

#[tokio::test]
async fn figures_count_rows_files_and_what_is_alive() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let figures = stats(folder.path()).unwrap();
    assert_eq!((figures.last, figures.checkpoint), (61, 31));
    assert_eq!((figures.rows["setting"].rows, figures.rows["taskrun"].rows, figures.rows["file"].rows), (60, 60, 1));
    assert!(figures.rows["setting"].bytes > 6 * 6_000 && figures.entries == 61, "{figures}");
    assert_eq!((figures.files["blobs"].files, figures.files["manifest"].files), (1, 1));
    assert!(figures.files["packs"].bytes > 0 && figures.files["journal"].files > 3, "{figures}");
    let on_disk: u64 = contents(folder.path()).iter().map(|(_, content)| content.len() as u64).sum();
    assert_eq!(figures.disk_bytes, on_disk);
    assert!(figures.live_bytes > 40_000 && figures.disk_per_live() < 4.0, "{figures}");
    assert!(figures.to_string().contains("live bytes"));
}

#[tokio::test]
async fn rebuild_makes_lists_and_filters_again() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let runs = || contents(&folder.path().join("runs"));
    for (name, content) in runs() {
        let path = folder.path().join("runs").join(name);
        let mut damaged = content.clone();
        let end = damaged.len();
        // Footer, filter, and perhaps the block index: all that is not rows.
        damaged[end - 60..].fill(0);
        fs::write(path, damaged).unwrap();
    }
    assert!(!verify(folder.path()).unwrap().is_sound());
    assert!(EmbeddedStore::open_folder(folder.path(), options()).is_err());
    for index in [Index::Runs, Index::Sled] {
        let rebuilt = rebuild(folder.path(), index).unwrap();
        assert_eq!((rebuilt.rows, rebuilt.entries, rebuilt.entries_before), (62, 31, 31), "{rebuilt}");
        assert_eq!(rebuilt.index.is_some(), index == Index::Sled);
        let found = verify(folder.path()).unwrap();
        assert!(found.is_sound() && found.rows == 121, "{found}");
        assert_eq!(runs().len(), 1);
    }
    assert_eq!(names(folder.path()).await, 60);
    let (store, report) =
        EmbeddedStore::open_folder(folder.path(), Options { index: Index::Sled, ..options() }).unwrap();
    assert_eq!(report.rebuilt, None);
    store.verify().unwrap();
}

#[tokio::test]
async fn repair_gives_up_what_it_says_and_keeps_the_files() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let sound = repair(folder.path(), AcceptLoss::Yes).unwrap();
    assert!(!sound.done && sound.given_up.is_none(), "{sound}");
    let mut segments: Vec<_> =
        contents(&folder.path().join("journal")).into_iter().filter(|(name, _)| name.ends_with(".log")).collect();
    segments.sort();
    assert!(segments.len() > 4);
    let (name, content) = segments[segments.len() / 2].clone();
    let path = folder.path().join("journal").join(&name);
    let mut damaged = content.clone();
    let at = damaged.len() / 2;
    damaged[at] ^= 1;
    fs::write(&path, damaged).unwrap();
    let error = EmbeddedStore::open_folder(folder.path(), options()).err().unwrap().to_string();
    assert!(error.contains(&name) && error.contains("at offset") && error.contains("--accept-loss"), "{error}");
    let before = contents(folder.path());
    let would = repair(folder.path(), AcceptLoss::No).unwrap();
    assert!(!would.done && would.given_up.is_some());
    assert_eq!(contents(folder.path()), before, "only said");
    let done = repair(folder.path(), AcceptLoss::Yes).unwrap();
    assert_eq!((done.done, done.given_up, done.last), (true, would.given_up, would.last));
    let (from, upto) = done.given_up.unwrap();
    assert_eq!((from, upto), (done.last + 1, 61), "{done}");
    assert_eq!(done.kept_aside.len(), segments.len() - segments.len() / 2);
    for kept in &done.kept_aside {
        let name = format!("journal/{}", kept.rsplit('/').next().unwrap());
        let original = before.iter().find(|(before, _)| *before == name).unwrap();
        assert_eq!(fs::read(folder.path().join(kept)).unwrap(), original.1);
    }
    assert!(verify(folder.path()).unwrap().is_sound());
    // One setting a commit, and the first ones are in runs.
    assert_eq!(names(folder.path()).await as u64, done.last);
    assert_eq!(repair(folder.path(), AcceptLoss::Yes).unwrap().given_up, None);
}

#[tokio::test]
async fn missing_end_of_the_journal_can_be_given_up() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let newest =
        contents(&folder.path().join("journal")).into_iter().rfind(|(name, _)| name.ends_with(".log")).unwrap();
    fs::remove_file(folder.path().join("journal").join(&newest.0)).unwrap();
    let error = EmbeddedStore::open_folder(folder.path(), options()).err().unwrap().to_string();
    assert!(error.contains(&newest.0) && error.contains("missing") && error.contains("hint:"), "{error}");
    let done = repair(folder.path(), AcceptLoss::Yes).unwrap();
    assert!(done.done && done.last < 61, "{done}");
    assert!(verify(folder.path()).unwrap().is_sound());
    assert!(names(folder.path()).await > 40);
}
