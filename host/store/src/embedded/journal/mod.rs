//! The journal: the truth of the embedded store. Append-only segments of records, each with its number and checksum.
//!
//! A segment is `header, record*`. Its header names the store and the first commit in it; a record is one commit, or a
//! mark. Records are written in groups, one write and one sync each, and every record says with which commit its group
//! began: so a record proves that everything before its group was synced. That tells a torn tail, which is cut, from
//! damage in the middle, which is refused. Zeros at the end of a segment are room made ahead of groups, so that a sync
//! need not write a new length down as well. A mark is an empty record written when nothing else follows a sync. The
//! tip, a file of its own, names the newest segment, so that a missing one is noticed too.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

use reader::remove_upto;
pub use reader::{Cut, SegmentInfo, look, read};
pub use writer::{Options, WriteError, Writer};

use super::disk::{Disk, failed, read_all, replace};
use crate::Lsn;
use crate::codec::{decode_row, encode_row};
use crate::error::Error;
use crate::index::stage::Effect;

/// Where the segments are.
pub const FOLDER: &str = "journal/";
/// The format this program writes.
pub const FORMAT: u16 = 1;

const MAGIC: [u8; 8] = *b"SLUICEJL";
/// magic, format, checksum of what follows, store, first commit.
const HEADER: usize = 8 + 2 + 4 + 16 + 8;
/// Where the records of a segment begin.
pub const SEGMENT_HEADER: u64 = HEADER as u64;
/// length of the payload, checksum of everything else, number, group, kind.
const RECORD: usize = 4 + 4 + 8 + 8 + 1;

/// Which store a file belongs to: given once, when the store is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreId(pub [u8; 16]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordKind {
    Commit = 0,
    Mark = 1,
}

/// The file that names the newest segment.
const TIP: &str = "tip";

/// What the tip says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tip {
    /// The first commit of the newest segment; 0: there is no segment.
    newest: Lsn,
    /// A commit that was safe when the tip was written.
    safe: Lsn,
}

/// Says which segment is the newest, if there is one, and which commit is safe for certain.
pub fn write_tip(disk: &dyn Disk, newest: Option<Lsn>, safe: Lsn) -> std::io::Result<()> {
    let text = format!("{:016x} {:016x}", newest.unwrap_or_default().0, safe.0);
    replace(disk, FOLDER, TIP, format!("{text} {:08x}\n", crc32c::crc32c(text.as_bytes())).as_bytes())
}

/// The tip; `None`: there is none, or it is damaged.
fn read_tip(disk: &dyn Disk) -> Result<Option<Tip>, Error> {
    let name = format!("{FOLDER}{TIP}");
    let content = match disk.open(&name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.and_then(|file| read_all(file.as_ref())).map_err(failed(&name))?,
    };
    let text = String::from_utf8_lossy(&content);
    let Some((numbers, checksum)) = text.trim_end().rsplit_once(' ') else { return Ok(None) };
    // It only guards against what else would go unnoticed: damaged, it must not keep a whole journal from being read.
    if checksum != format!("{:08x}", crc32c::crc32c(numbers.as_bytes())) {
        return Ok(None);
    }
    let number = |text: &str| u64::from_str_radix(text, 16).ok().map(Lsn);
    let tip =
        numbers.split_once(' ').and_then(|(newest, safe)| Some(Tip { newest: number(newest)?, safe: number(safe)? }));
    Ok(tip)
}

/// The name of the segment that begins with a commit.
pub fn segment_name(first: Lsn) -> String {
    format!("{FOLDER}{:016x}.log", first.0)
}

fn header(store: StoreId, first: Lsn) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let (magic, rest) = header.split_at_mut(8);
    magic.copy_from_slice(&MAGIC);
    let (format, rest) = rest.split_at_mut(2);
    format.copy_from_slice(&FORMAT.to_le_bytes());
    let (checksum, rest) = rest.split_at_mut(4);
    let (id, lsn) = rest.split_at_mut(16);
    id.copy_from_slice(&store.0);
    lsn.copy_from_slice(&first.0.to_le_bytes());
    checksum.copy_from_slice(&crc32c::crc32c(&[&FORMAT.to_le_bytes()[..], id, lsn].concat()).to_le_bytes());
    header
}

/// Appends a record.
fn push_record(
    out: &mut Vec<u8>,
    lsn: Lsn,
    group: Lsn,
    kind: RecordKind,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&lsn.0.to_le_bytes());
    out.extend_from_slice(&group.0.to_le_bytes());
    out.push(kind as u8);
    payload(out)?;
    let len = out.len() - start - RECORD;
    let len =
        u32::try_from(len).map_err(|_| Error::Limit { what: "a commit", found: len, limit: u32::MAX as usize })?;
    let (head, rest) = out.split_at_mut(start + 8);
    let (_, head) = head.split_at_mut(start);
    let (length, checksum) = head.split_at_mut(4);
    length.copy_from_slice(&len.to_le_bytes());
    checksum.copy_from_slice(&checksum_of(len, rest).to_le_bytes());
    Ok(())
}

fn checksum_of(len: u32, rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&len.to_le_bytes()), rest)
}

const PUT: u8 = 0;
const DELETE: u8 = 1;

/// Appends what a commit does.
fn push_effects(out: &mut Vec<u8>, effects: &[Effect]) -> Result<(), Error> {
    for effect in effects {
        let start = out.len();
        match effect {
            Effect::Put(row) => {
                out.extend_from_slice(&[PUT, 0, 0, 0, 0]);
                encode_row(row, out)?;
            }
            Effect::Delete(key) => {
                out.extend_from_slice(&[DELETE, 0, 0, 0, 0]);
                out.extend_from_slice(key);
            }
        }
        let len = out.len() - start - 5;
        let len =
            u32::try_from(len).map_err(|_| Error::Limit { what: "a row", found: len, limit: u32::MAX as usize })?;
        if let Some(place) = out.get_mut(start + 1..start + 5) {
            place.copy_from_slice(&len.to_le_bytes());
        }
    }
    Ok(())
}

/// What a commit does, read back.
pub fn effects(mut payload: &[u8]) -> Result<Vec<Effect>, Error> {
    let short = || Error::Corrupt { what: "a commit in the journal ends in the middle of a row".into() };
    let mut effects = Vec::new();
    while let Some((kind, rest)) = payload.split_first() {
        let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (content, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(short)?;
        effects.push(match *kind {
            PUT => Effect::Put(decode_row(content)?),
            DELETE => Effect::Delete(content.into()),
            other => {
                return Err(Error::Corrupt { what: format!("a commit in the journal has an effect of kind {other}") });
            }
        });
        payload = rest;
    }
    Ok(effects)
}

/// Where the records of a segment end, and the room that was made ahead begins.
#[cfg(test)]
pub fn end_of(content: &[u8]) -> usize {
    content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}
