//! `storage.Concat` and `storage.Reverse`.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use sluice_sdk::files::{self, Writer};
use sluice_sdk::prelude::*;

use crate::items::made_of;
use crate::rows::name;

/// One read of a file.
const PIECE_BYTES: usize = 64 << 10;
/// Longest row of a file that is reversed.
const ROW_MAX_BYTES: usize = 16 << 20;

#[properties]
pub struct Concat {
    /// The files, in order: a list of URIs, or its JSON.
    files: Vec<String>,
    /// What is written after each file; nothing if not given.
    separator: Option<String>,
    /// The end of the new file's name.
    #[default(".tmp")]
    extension: String,
}

#[outputs]
pub struct Joined {
    /// The new file.
    uri: String,
}

/// Write several files one after the other into one.
///
/// # Two reports
/// ```yaml
/// id: both
/// type: io.kestra.plugin.core.storage.Concat
/// files:
///   - "{{ outputs.monday.uri }}"
///   - "{{ outputs.tuesday.uri }}"
/// separator: "\n"
/// extension: .txt
/// ```
#[task("io.kestra.plugin.core.storage.Concat", aliases = ["io.kestra.core.tasks.storages.Concat"])]
pub fn concat(properties: Concat) -> Result<Joined, Failure> {
    let mut out = files::create(&name("concat", &properties.extension))?;
    let separator = properties.separator.unwrap_or_default();
    for uri in &properties.files {
        std::io::copy(&mut files::open(uri)?, &mut out)?;
        out.write_all(separator.as_bytes())?;
    }
    Ok(Joined { uri: out.finish()? })
}

#[properties]
pub struct Reverse {
    /// The file.
    from: String,
    /// What is written after each row.
    #[default("\n")]
    separator: String,
    /// How the file's text is encoded. Rows are found in every encoding that has ASCII in it.
    #[default("UTF-8")]
    charset: String,
}

/// Turn a file around: its last row first.
///
/// # The newest line first
/// ```yaml
/// id: newest
/// type: io.kestra.plugin.core.storage.Reverse
/// from: "{{ outputs.logs.uri }}"
/// ```
#[task("io.kestra.plugin.core.storage.Reverse", aliases = ["io.kestra.core.tasks.storages.Reverse"])]
pub fn reverse(properties: Reverse) -> Result<Joined, Failure> {
    let charset = properties.charset.to_ascii_uppercase();
    if charset.starts_with("UTF-16") || charset.starts_with("UTF-32") {
        return Err(Failure::bad_property(format!(
            "property `charset`: rows are not found in `{}`; hint: convert the file to UTF-8",
            properties.charset
        )));
    }
    let mut out = std::io::BufWriter::new(files::create(&made_of(&properties.from, "reverse"))?);
    let mut from = files::open(&properties.from)?;
    let mut begin = from.size();
    // What is known of the row that reaches back beyond what was read.
    let mut rest: Vec<u8> = Vec::new();
    let mut at_end = true;
    while begin > 0 {
        let length = begin.min(PIECE_BYTES as u64);
        begin -= length;
        from.seek(SeekFrom::Start(begin))?;
        let mut piece = vec![0; usize::try_from(length).unwrap_or(PIECE_BYTES)];
        from.read_exact(&mut piece)?;
        let mut end = piece.len();
        while let Some(at) = piece.get(..end).and_then(|piece| piece.iter().rposition(|byte| *byte == b'\n')) {
            let mut row = piece.get(at + 1..end).unwrap_or_default().to_vec();
            row.append(&mut rest);
            // The end of the last row begins no other.
            if !(at_end && row.is_empty()) {
                write_row(&mut out, &row, &properties.separator)?;
            }
            at_end = false;
            end = at;
        }
        let mut row = piece.get(..end).unwrap_or_default().to_vec();
        row.append(&mut rest);
        if row.len() > ROW_MAX_BYTES {
            let message = format!("a row of `{}` has more than {ROW_MAX_BYTES} bytes", properties.from);
            return Err(Failure::new("ROW_TOO_LONG", message).retryable(false));
        }
        rest = row;
    }
    if from.size() > 0 {
        write_row(&mut out, &rest, &properties.separator)?;
    }
    let writer: Writer = out.into_inner().map_err(|error| Failure::from(error.into_error()))?;
    Ok(Joined { uri: writer.finish()? })
}

fn write_row(out: &mut impl std::io::Write, row: &[u8], separator: &str) -> Result<(), Failure> {
    out.write_all(row.strip_suffix(b"\r").unwrap_or(row))?;
    out.write_all(separator.as_bytes())?;
    Ok(())
}
