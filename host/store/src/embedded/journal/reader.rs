//! Reads the journal at start, and decides what damage means.
//!
//! What was never synced may be cut: the tail of the newest segment. What was synced is never thrown away in silence:
//! damage before a proof of a sync is an error that names file and offset. Looking decides; only `read` then cuts.

use super::{FOLDER, FORMAT, HEADER, MAGIC, RECORD, RecordKind, StoreId, TIP, checksum_of, read_tip, segment_name};
use crate::Lsn;
use crate::embedded::disk::{Disk, failed, read_all};
use crate::error::Error;

/// How far ahead a number may be to count as a record when looking for one behind damage.
const PLAUSIBLE_AHEAD: u64 = 1 << 32;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The last commit before the first damage.
    pub last: Lsn,
    /// Commits that were given to the caller.
    pub replayed: u64,
    /// The segments, oldest first.
    pub segments: Vec<SegmentInfo>,
    /// A tail that was never synced.
    pub cut: Option<Cut>,
    /// Everything that is not as it was written, in the order of the commits.
    pub damage: Vec<Damage>,
    /// The highest commit that can still be read, behind damage as well.
    pub highest: Lsn,
    /// A commit that the tip knows to have been safe.
    pub safe: Lsn,
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    pub name: String,
    pub first: Lsn,
    pub bytes: u64,
}

/// A tail that may be cut, because it was never synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub name: String,
    pub offset: u64,
    pub bytes: u64,
}

/// A place that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub name: String,
    pub offset: u64,
    /// The first commit that cannot be read there.
    pub next: Lsn,
    /// What is wrong, and what to do.
    pub what: String,
}

impl Damage {
    fn new(name: &str, offset: usize, next: Lsn, what: impl Into<String>) -> Self {
        Self { name: name.to_owned(), offset: offset as u64, next, what: what.into() }
    }

    /// As an error.
    pub fn error(&self) -> Error {
        Error::Corrupt { what: format!("`{}` at offset {}: {}", self.name, self.offset, self.what) }
    }
}

/// Reads all commits after `after`, oldest first, cuts a torn tail, and makes safe what it has read.
pub fn read(
    disk: &dyn Disk,
    store: StoreId,
    after: Lsn,
    each: impl FnMut(Lsn, &[u8]) -> Result<(), Error>,
) -> Result<Found, Error> {
    let mut found = look(disk, store, after, each)?;
    if let Some(damage) = found.damage.first() {
        return Err(damage.error());
    }
    match found.cut.as_ref().map(|cut| (&cut.name, cut.offset)) {
        Some((name, 0)) => {
            // Made, but its header never synced: then nothing in it was either.
            disk.remove(name).map_err(failed(name))?;
            found.segments.pop();
        }
        Some((name, offset)) => disk.open(name).and_then(|file| file.truncate(offset)).map_err(failed(name))?,
        None => {}
    }
    disk.sync_folder(FOLDER).map_err(failed(FOLDER))?;
    if let Some(newest) = found.segments.last() {
        write_again(disk, newest).map_err(failed(&newest.name))?;
    }
    Ok(found)
}

/// What an earlier process wrote and did not sync reads like all else, and may be in the cache of the system alone: whoever relied on it
/// could lose it with the power. After a sync that failed the system even takes it for safe. So it is written once more, and synced.
fn write_again(disk: &dyn Disk, newest: &SegmentInfo) -> std::io::Result<()> {
    let file = disk.open(&newest.name)?;
    let content = read_all(file.as_ref())?;
    file.write_at(0, &content)?;
    if (content.len() as u64) > newest.bytes {
        // Room that was made ahead, and nobody needs any more: the next group begins a segment.
        file.truncate(newest.bytes)?;
    }
    file.sync()
}

/// Looks at all commits after `after`, oldest first, and changes nothing. `each` gets those before the first damage.
pub fn look(
    disk: &dyn Disk,
    store: StoreId,
    after: Lsn,
    mut each: impl FnMut(Lsn, &[u8]) -> Result<(), Error>,
) -> Result<Found, Error> {
    let mut found = Found { last: after, highest: after, ..Found::default() };
    let segments = list(disk)?;
    let newest = segments.len().saturating_sub(1);
    for (at, (name, first)) in segments.iter().enumerate() {
        // A segment that ends before `after` is done with: the next one tells where it ends.
        if segments.get(at + 1).is_some_and(|(_, next)| next.0 <= after.0 + 1) {
            let bytes = disk.open(name).and_then(|file| file.size()).map_err(failed(name))?;
            found.segments.push(SegmentInfo { name: name.clone(), first: *first, bytes });
            continue;
        }
        let expected = found.highest.0 + 1;
        if first.0 > expected && found.damage.last().is_none_or(|damage| damage.next.0 <= found.highest.0) {
            found.damage.push(Damage::new(
                name,
                0,
                Lsn(expected),
                format!(
                    "commits {expected} to {} are missing before it\nhint: put the missing file back, it comes before this one in `{FOLDER}`",
                    first.0 - 1
                ),
            ));
        }
        look_at_segment(disk, store, (name, *first), at == newest, &mut found, &mut each)?;
    }
    let Some(tip) = read_tip(disk)? else { return Ok(found) };
    found.safe = tip.safe;
    let name = segment_name(tip.newest);
    if tip.newest > Lsn::START && segments.iter().all(|(_, first)| *first != tip.newest) {
        let what = "the file is missing\nhint: put it back, the newest commits are in it";
        found.damage.push(Damage::new(&name, 0, Lsn(found.highest.0 + 1), what));
    } else if found.last < tip.safe && found.damage.is_empty() {
        // Not a torn tail: what is gone was there when the tip was written.
        let (next, offset) = (Lsn(found.last.0 + 1), found.cut.take().map_or(0, |cut| cut.offset));
        let (name, offset) = match found.segments.last() {
            Some(segment) => (segment.name.as_str(), offset.max(segment.bytes)),
            None => (name.as_str(), 0),
        };
        let what = format!(
            "commits {next} to {} are missing, but were synced\nhint: restore the file from a copy; `sluice store repair --accept-loss` gives up what is missing",
            tip.safe
        );
        let damage = Damage::new(name, offset as usize, next, what);
        found.damage.push(damage);
    }
    Ok(found)
}

/// Removes segments that hold nothing after a commit, but for the newest `keep`, of which nobody knows where they end.
pub fn remove_upto(disk: &dyn Disk, segments: &mut Vec<SegmentInfo>, upto: Lsn, keep: usize) -> Result<usize, Error> {
    let mut removed = 0;
    while segments.len() > keep {
        let Some(oldest) = segments.first() else { break };
        if segments.get(1).is_some_and(|next| next.first.0 > upto.0 + 1) {
            break;
        }
        disk.remove(&oldest.name).map_err(failed(&oldest.name))?;
        segments.remove(0);
        removed += 1;
    }
    if removed > 0 {
        disk.sync_folder(FOLDER).map_err(failed(FOLDER))?;
    }
    Ok(removed)
}

fn list(disk: &dyn Disk) -> Result<Vec<(String, Lsn)>, Error> {
    let mut segments = Vec::new();
    for name in disk.list(FOLDER).map_err(failed(FOLDER))? {
        if name == TIP || name == format!("{TIP}.new") {
            continue;
        }
        let number = name.strip_suffix(".log").and_then(|number| u64::from_str_radix(number, 16).ok());
        match number.map(Lsn).filter(|first| segment_name(*first) == format!("{FOLDER}{name}")) {
            Some(first) => segments.push((format!("{FOLDER}{name}"), first)),
            None => {
                return Err(Error::Corrupt {
                    what: format!("`{FOLDER}{name}` is no journal segment\nhint: move it away"),
                });
            }
        }
    }
    segments.sort_by_key(|(_, first)| *first);
    Ok(segments)
}

fn look_at_segment(
    disk: &dyn Disk,
    store: StoreId,
    (name, first): (&str, Lsn),
    newest: bool,
    found: &mut Found,
    each: &mut impl FnMut(Lsn, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = disk.open(name).map_err(failed(name))?;
    let content = read_all(file.as_ref()).map_err(failed(name))?;
    found.segments.push(SegmentInfo { name: name.to_owned(), first, bytes: content.len() as u64 });
    let header = check_header(&content, store, first);
    if let Err(Wrong::Newer(format)) = header {
        return Err(crate::embedded::newer(name, format, FORMAT));
    }
    if header.is_err() {
        if newest && first.0 == found.last.0 + 1 && find_record(&content, 0, found.last, |_| true).is_none() {
            found.cut = Some(Cut { name: name.to_owned(), offset: 0, bytes: content.len() as u64 });
            return Ok(());
        }
        let what = "the header is not that of a segment of this store\nhint: restore the file from a copy";
        found.damage.push(Damage::new(name, 0, first, what));
    }
    let mut offset = HEADER;
    let mut end = content.len();
    let mut next = first;
    while offset < content.len() {
        if let Some(record) = record_at(&content, offset).filter(|record| record.lsn == next) {
            if record.kind == RecordKind::Commit {
                found.highest = found.highest.max(record.lsn);
                if record.lsn > found.last && found.damage.is_empty() {
                    each(record.lsn, record.payload).map_err(|error| within(name, offset, record.lsn, error))?;
                    found.last = record.lsn;
                    found.replayed += 1;
                }
                next = Lsn(next.0 + 1);
            }
            offset += RECORD + record.payload.len();
            continue;
        }
        if content.get(offset..).is_some_and(|rest| rest.iter().all(|byte| *byte == 0)) {
            // Room that was made ahead. Had there been groups, what follows or the tip would tell.
            end = offset;
            break;
        }
        let behind = find_record(&content, offset + 1, Lsn(next.0 - 1), |_| true);
        // Only what was followed by another group is known to have been synced.
        let proof = find_record(&content, offset + 1, Lsn(next.0 - 1), |record| !newest || record.group > next);
        match (proof, &behind) {
            (Some((at, record)), _) => found.damage.push(Damage::new(
                name,
                offset,
                next,
                format!(
                    "commits {next} to {} are damaged, but were synced: commit {} at offset {at} came after\nhint: restore the file from a copy; `sluice store repair --accept-loss` gives up what is damaged",
                    record.lsn.0.saturating_sub(1).max(next.0),
                    record.lsn
                ),
            )),
            (None, _) if !newest => found.damage.push(Damage::new(
                name,
                offset,
                next,
                format!("commits from {next} on are damaged, but were synced\nhint: restore the file from a copy; `sluice store repair --accept-loss` gives up what is damaged"),
            )),
            (None, _) => {
                let bytes = (content.len() - offset) as u64;
                // Behind damage a torn tail is nobody's business: all of it goes.
                if found.damage.is_empty() {
                    found.cut = Some(Cut { name: name.to_owned(), offset: offset as u64, bytes });
                }
                break;
            }
        }
        // What is whole behind the damage is looked at as well.
        match behind {
            Some((at, record)) => (offset, next) = (at, record.lsn),
            None => break,
        }
    }
    if let Some(segment) = found.segments.last_mut() {
        segment.bytes = found.cut.as_ref().map_or(end as u64, |cut| cut.offset);
    }
    Ok(())
}

/// A commit that was written as it is there and yet cannot be read: by a newer program, or a defect.
fn within(name: &str, offset: usize, lsn: Lsn, error: Error) -> Error {
    match error {
        Error::Newer { .. } => Error::Corrupt { what: format!("`{name}` at offset {offset}: commit {lsn}: {error}") },
        other => other,
    }
}

enum Wrong {
    Newer(u16),
    Damaged,
}

fn check_header(content: &[u8], store: StoreId, first: Lsn) -> Result<(), Wrong> {
    let found = content.get(..HEADER).ok_or(Wrong::Damaged)?;
    let (magic, rest) = found.split_at(8);
    let (format, _) = rest.split_first_chunk::<2>().ok_or(Wrong::Damaged)?;
    if magic == MAGIC && u16::from_le_bytes(*format) > FORMAT {
        return Err(Wrong::Newer(u16::from_le_bytes(*format)));
    }
    if *found == super::header(store, first) { Ok(()) } else { Err(Wrong::Damaged) }
}

struct Record<'a> {
    lsn: Lsn,
    group: Lsn,
    kind: RecordKind,
    payload: &'a [u8],
}

fn record_at(content: &[u8], offset: usize) -> Option<Record<'_>> {
    let (len, rest) = content.get(offset..)?.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let len = u32::from_le_bytes(*len);
    let covered = rest.get(..RECORD - 8 + len as usize)?;
    let (lsn, after) = covered.split_first_chunk::<8>()?;
    let (group, after) = after.split_first_chunk::<8>()?;
    let (kind, payload) = after.split_first()?;
    let (lsn, group) = (Lsn(u64::from_le_bytes(*lsn)), Lsn(u64::from_le_bytes(*group)));
    let kind = match kind {
        0 => RecordKind::Commit,
        1 => RecordKind::Mark,
        _ => return None,
    };
    // The cheap test first: behind damage every offset is tried.
    (group <= lsn && checksum_of(len, covered) == u32::from_le_bytes(*checksum)).then_some(Record {
        lsn,
        group,
        kind,
        payload,
    })
}

/// The first whole record from an offset on whose number is after `last` and that is what is looked for.
fn find_record<'a>(
    content: &'a [u8],
    from: usize,
    last: Lsn,
    wanted: impl Fn(&Record<'a>) -> bool,
) -> Option<(usize, Record<'a>)> {
    (from..content.len()).find_map(|offset| {
        let lsn = content.get(offset + 8..offset + 16)?.first_chunk::<8>().map(|lsn| u64::from_le_bytes(*lsn))?;
        if lsn <= last.0 || lsn - last.0 > PLAUSIBLE_AHEAD {
            return None;
        }
        record_at(content, offset).filter(&wanted).map(|record| (offset, record))
    })
}
