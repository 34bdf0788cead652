//! The journal on the simulated disk: what is safe, what is cut, what is refused.

use std::sync::Arc;

use super::reader::Found;
use super::*;
use crate::conformance::samples::setting;
use crate::embedded::disk::simulated::{Faults, SimulatedDisk};

const STORE: StoreId = StoreId(*b"the store's id..");

fn commit(lsn: u64) -> (Lsn, Vec<Effect>) {
    let name = format!("setting-{lsn}-{}", "x".repeat(lsn as usize % 500));
    (Lsn(lsn), vec![Effect::Put(setting(&name).into()), Effect::Delete(b"key"[..].into())])
}

fn writer(disk: &SimulatedDisk, found: Found) -> Writer {
    let options = Options { segment_bytes: 2_000 };
    Writer::new(Arc::new(disk.clone()), STORE, options, found.segments, found.last)
}

type Commits = Vec<(Lsn, Vec<Effect>)>;

fn read_commits(disk: &SimulatedDisk) -> Result<(Found, Commits), Error> {
    let mut commits = Vec::new();
    let found = read(disk, STORE, Lsn(0), |lsn, payload| {
        commits.push((lsn, effects(payload)?));
        Ok(())
    })?;
    Ok((found, commits))
}

/// Groups of the given sizes, each synced.
fn written(groups: &[u64], mark: bool) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let mut writer = writer(&disk, Found::default());
    let mut next = 1;
    for size in groups {
        let group: Vec<_> = (next..next + size).map(commit).collect();
        next += size;
        assert_eq!(writer.write(&group).unwrap(), Lsn(next - 1));
    }
    if mark {
        writer.mark();
    }
    disk
}

fn segments(disk: &SimulatedDisk) -> Vec<(String, usize)> {
    let logs = disk.files().into_iter().filter(|(name, _)| name.ends_with(".log"));
    logs.map(|(name, len)| {
        let mut end = len;
        disk.damage(&name, |content| end = end_of(content));
        (name, end)
    })
    .collect()
}

fn newest(disk: &SimulatedDisk) -> (String, usize) {
    segments(disk).pop().unwrap()
}

#[test]
fn what_was_written_comes_back() {
    let disk = written(&[1, 5, 20, 1, 1], true);
    let (found, commits) = read_commits(&disk).unwrap();
    assert_eq!((found.last, found.cut.clone()), (Lsn(28), None));
    assert_eq!(commits, (1..=28).map(commit).collect::<Vec<_>>());
    assert!(found.segments.len() > 1, "segments end");
    let mut writer = writer(&disk, found);
    writer.write(&[commit(29)]).unwrap();
    assert_eq!(read_commits(&disk).unwrap().1.len(), 29);
}

#[test]
fn torn_tail_is_cut() {
    let whole = written(&[3, 3], false);
    let (name, len) = newest(&whole);
    let before = written(&[3], false);
    let (_, synced) = newest(&before);
    for cut in (synced..len).step_by(3) {
        let disk = whole.copy();
        disk.damage(&name, |content| content.truncate(cut));
        let (found, commits) = read_commits(&disk).unwrap();
        assert!(commits.len() >= 3 && commits.len() < 6);
        assert_eq!(commits, (1..=commits.len() as u64).map(commit).collect::<Vec<_>>());
        assert_eq!(
            found.cut.is_some(),
            read_commits(&whole.copy()).unwrap().0.last != found.last && cut != found.segments[0].bytes as usize
        );
        // Read again, there is nothing left to cut.
        assert_eq!(read_commits(&disk).unwrap().0.cut, None);
    }
}

#[test]
fn damage_before_a_synced_group_is_refused() {
    for (mark, groups) in [(false, &[2, 3, 1][..]), (true, &[2, 4][..])] {
        let whole = written(groups, mark);
        let (name, _) = newest(&whole);
        let last_group = if mark { usize::MAX } else { newest(&written(&groups[..groups.len() - 1], false)).1 };
        let end = if mark { newest(&written(groups, false)).1 } else { last_group };
        for offset in (0..end).step_by(3) {
            let disk = whole.copy();
            disk.damage(&name, |content| content[offset] ^= 0x10);
            let error = read_commits(&disk).unwrap_err();
            assert!(
                matches!(&error, Error::Corrupt { what } if what.contains(&name) && what.contains("hint:")),
                "{offset}: {error}"
            );
        }
    }
}

#[test]
fn damage_in_an_older_segment_is_refused() {
    let whole = written(&[20, 20, 20, 20], false);
    let names: Vec<String> = segments(&whole).into_iter().map(|(name, _)| name).collect();
    assert!(names.len() > 2);
    let oldest = names[0].clone();
    let len = segments(&whole)[0].1;
    for offset in (0..len).step_by(7) {
        let disk = whole.copy();
        disk.damage(&oldest, |content| content[offset] ^= 1);
        assert!(read_commits(&disk).is_err(), "flip at {offset}");
        let disk = whole.copy();
        disk.damage(&oldest, |content| content.truncate(offset));
        assert!(read_commits(&disk).is_err(), "cut at {offset}");
    }
    let disk = whole.copy();
    use crate::embedded::disk::Disk;
    disk.remove(&names[1]).unwrap();
    let error = read_commits(&disk).unwrap_err().to_string();
    assert!(error.contains("are missing") && error.contains(&names[2]), "{error}");
    let disk = whole.copy();
    let newest = newest(&disk).0;
    disk.remove(&newest).unwrap();
    let error = read_commits(&disk).unwrap_err().to_string();
    assert!(error.contains("is missing") && error.contains(&newest), "{error}");
}

#[test]
fn foreign_and_newer_segments_are_refused() {
    let disk = written(&[2, 2], false);
    let other = read(&disk, StoreId([7; 16]), Lsn(0), |_, _| Ok(()));
    assert!(matches!(other, Err(Error::Corrupt { .. })));
    let (name, _) = newest(&disk);
    disk.damage(&name, |content| content[8] = 9);
    let error = read_commits(&disk).unwrap_err().to_string();
    assert!(error.contains("format 9"), "{error}");
    use crate::embedded::disk::Disk;
    let disk = written(&[1], false);
    disk.create("journal/notes.txt").unwrap();
    assert!(read_commits(&disk).unwrap_err().to_string().contains("notes.txt"));
}

#[test]
fn power_cuts_keep_what_was_synced() {
    // The power goes before each operation in turn, and each time the disk keeps something else.
    let mut cuts = 0;
    for off_at in 0.. {
        let disk = SimulatedDisk::new();
        disk.set_faults(Faults { power_off_at: Some(off_at), ..Faults::default() });
        let mut writer = writer(&disk, Found::default());
        let mut safe = 0;
        let mut next = 1;
        for size in [1, 4, 9, 1, 1, 12, 2] {
            let group: Vec<_> = (next..next + size).map(commit).collect();
            next += size;
            match writer.write(&group) {
                Ok(last) => safe = last.0,
                Err(_) => break,
            }
            writer.mark();
        }
        for seed in 0..20 {
            let left = disk.after_power_cut(seed);
            let (found, commits) =
                read_commits(&left).unwrap_or_else(|error| panic!("cut {off_at} seed {seed}: {error}"));
            assert!(found.last.0 >= safe, "cut {off_at} seed {seed}: {} of {safe}", found.last);
            assert_eq!(commits, (1..=found.last.0).map(commit).collect::<Vec<_>>());
            cuts += 1;
        }
        if safe == 30 {
            break;
        }
    }
    assert!(cuts > 300);
}

#[test]
fn failed_sync_is_fatal_and_full_disk_is_not() {
    let disk = SimulatedDisk::new();
    let mut first = writer(&disk, Found::default());
    first.write(&[commit(1)]).unwrap();
    let used: usize = disk.files().iter().map(|(_, len)| len).sum();
    disk.set_faults(Faults { capacity_bytes: Some(used as u64 + 40), ..Faults::default() });
    // The room that was made ahead is still there.
    let next = (2..).find(|next| first.write(&[commit(*next)]).is_err()).unwrap();
    assert!(next > 2);
    for _ in 0..3 {
        assert!(matches!(first.write(&[commit(next)]), Err(WriteError::Full(_))));
        assert_eq!(read_commits(&disk.copy()).unwrap().0.last, Lsn(next - 1));
    }
    disk.set_faults(Faults::default());
    first.write(&[commit(next), commit(next + 1)]).unwrap();
    disk.set_faults(Faults { failing_syncs: 1, ..Faults::default() });
    assert!(matches!(first.write(&[commit(next + 2)]), Err(WriteError::Fatal(Error::Io { .. }))));
    for seed in 0..50 {
        let found = read_commits(&disk.after_power_cut(seed)).unwrap().0;
        assert_eq!(found.last, Lsn(next + 1));
    }
}

#[test]
fn room_made_ahead_is_no_damage_and_does_not_stay() {
    let disk = written(&[3, 3], false);
    let (name, end) = newest(&disk);
    let lengths = |disk: &SimulatedDisk| -> Vec<usize> {
        disk.files().into_iter().filter(|(name, _)| name.ends_with(".log")).map(|(_, len)| len).collect()
    };
    assert!(lengths(&disk)[0] > end);
    // After a crash the room is cut off, and nothing is said to be torn.
    let (found, commits) = read_commits(&disk).unwrap();
    assert_eq!((found.cut.clone(), commits.len(), found.segments[0].bytes), (None, 6, end as u64));
    assert_eq!(lengths(&disk), [end]);
    // A segment that is full, and one at rest, have none.
    let mut writer = writer(&disk, found);
    writer.write(&(7..40).map(commit).collect::<Vec<_>>()).unwrap();
    writer.write(&[commit(40)]).unwrap();
    writer.rest().unwrap();
    let ends: Vec<usize> = segments(&disk).into_iter().map(|(_, end)| end).collect();
    assert_eq!(lengths(&disk), ends);
    assert!(ends.len() > 2);
    // Zeros where groups were synced are damage as ever.
    disk.damage(&name, |content| content[end - 200..].fill(0));
    assert!(read_commits(&disk).is_err());
}

#[test]
fn segments_go_when_they_are_done_with() {
    let disk = written(&[10, 10, 10, 10], false);
    let (found, _) = read_commits(&disk).unwrap();
    let mut segments = found.segments;
    let count = segments.len();
    let second = segments[1].first;
    assert_eq!(remove_upto(&disk, &mut segments, Lsn(second.0 - 2), 1).unwrap(), 0);
    assert_eq!(remove_upto(&disk, &mut segments, Lsn(second.0 - 1), 1).unwrap(), 1);
    assert_eq!(remove_upto(&disk, &mut segments, Lsn(40), 1).unwrap(), count - 2);
    let mut seen = Vec::new();
    let found = read(&disk, STORE, Lsn(35), |lsn, _| {
        seen.push(lsn.0);
        Ok(())
    });
    assert_eq!(found.unwrap().last, Lsn(40));
    assert_eq!(seen, (36..=40).collect::<Vec<_>>());
}

#[test]
fn segment_without_commits_is_written_on() {
    // The power goes between the making of a segment and its first record.
    let disk = written(&[3], false);
    let (name, _) = newest(&disk);
    disk.damage(&name, |content| content.truncate(HEADER));
    let (found, _) = read_commits(&disk).unwrap();
    assert_eq!((found.last, found.segments.len()), (Lsn(0), 1));
    writer(&disk, found).write(&[commit(1), commit(2)]).unwrap();
    assert_eq!(read_commits(&disk).unwrap().0.last, Lsn(2));
}
