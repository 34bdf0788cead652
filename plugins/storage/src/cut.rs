//! `storage.Split`.

use std::io::{BufWriter, Write as _};

use serde_json::Value;
use sluice_sdk::files::{self, Writer};
use sluice_sdk::prelude::*;

use crate::rows::{Rows, extension, name};

/// Files one file may be cut into: their URIs are an output.
const PARTS_MAX: usize = 10_000;
/// Partitions: each is a file that is open until the last row is dealt.
const PARTITIONS_MAX: u64 = 1_000;

#[properties]
pub struct Split {
    /// The file.
    from: String,
    /// The size of a part: `1024`, `10KB`, `1MB`. No row is cut.
    #[schemars(extend("type" = ["string", "number", "null"]))]
    bytes: Option<Value>,
    /// How many parts; rows are dealt out in turn.
    partitions: Option<u64>,
    /// Rows of a part.
    rows: Option<u64>,
    /// What is written after each row.
    #[default("\n")]
    separator: String,
}

#[outputs]
pub struct Parts {
    /// The parts, in order.
    uris: Vec<String>,
}

/// Cut a file into several: by size, by rows, or into so many.
///
/// # A thousand rows each
/// ```yaml
/// id: parts
/// type: io.kestra.plugin.core.storage.Split
/// from: "{{ inputs.file }}"
/// rows: 1000
/// ```
#[task("io.kestra.plugin.core.storage.Split", aliases = ["io.kestra.core.tasks.storages.Split"])]
pub fn split(properties: Split) -> Result<Parts, Failure> {
    let mut cut = Cut {
        suffix: extension(&properties.from).to_owned(),
        separator: properties.separator,
        open: Vec::new(),
        uris: Vec::new(),
    };
    let mut rows = Rows::open(&properties.from)?;
    if let Some(bytes) = &properties.bytes {
        let limit = size(bytes).ok_or_else(|| {
            Failure::bad_property("property `bytes`: a size of at least one byte is wanted, as `1024` or `10KB`")
        })?;
        let mut filled = 0;
        while let Some(row) = rows.next()? {
            let length = (row.len() + cut.separator.len()) as u64;
            if cut.open.is_empty() || filled + length > limit {
                cut.another()?;
                filled = 0;
            }
            filled += length;
            cut.write(0, row)?;
        }
    } else if let Some(partitions) = properties.partitions {
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            let message = format!("property `partitions`: a whole number from 1 to {PARTITIONS_MAX} is wanted");
            return Err(Failure::bad_property(message));
        }
        let mut next = 0;
        while let Some(row) = rows.next()? {
            if next == cut.open.len() {
                cut.open()?;
            }
            cut.write(next, row)?;
            next = (next + 1) % usize::try_from(partitions).unwrap_or(1);
        }
    } else if let Some(limit) = properties.rows {
        if limit == 0 {
            return Err(Failure::bad_property("property `rows`: a whole number of at least 1 is wanted"));
        }
        let mut filled = limit;
        while let Some(row) = rows.next()? {
            if filled == limit {
                cut.another()?;
                filled = 0;
            }
            filled += 1;
            cut.write(0, row)?;
        }
    } else {
        return Err(Failure::bad_property("one of `bytes`, `partitions` and `rows` is wanted"));
    }
    cut.close()?;
    Ok(Parts { uris: cut.uris })
}

/// The parts being written.
struct Cut {
    suffix: String,
    separator: String,
    open: Vec<BufWriter<Writer>>,
    uris: Vec<String>,
}

impl Cut {
    fn open(&mut self) -> Result<(), Failure> {
        let number = self.uris.len() + self.open.len();
        if number >= PARTS_MAX {
            let message = format!("the file has more than {PARTS_MAX} parts; hint: make them larger");
            return Err(Failure::new("TOO_MANY_PARTS", message).retryable(false));
        }
        self.open.push(BufWriter::new(files::create(&name(&number.to_string(), &self.suffix))?));
        Ok(())
    }

    /// The one open part is done, and the next begins.
    fn another(&mut self) -> Result<(), Failure> {
        self.close()?;
        self.open()
    }

    fn write(&mut self, part: usize, row: &[u8]) -> Result<(), Failure> {
        if let Some(out) = self.open.get_mut(part) {
            out.write_all(row)?;
            out.write_all(self.separator.as_bytes())?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Failure> {
        for out in std::mem::take(&mut self.open) {
            let writer = out.into_inner().map_err(|error| Failure::from(error.into_error()))?;
            self.uris.push(writer.finish()?);
        }
        Ok(())
    }
}

/// Bytes of a size as flows write it.
fn size(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_ascii_uppercase(),
        _ => return None,
    };
    let end = text.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "K" | "KB" => 1 << 10,
        "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        "T" | "TB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|size| *size > 0)
}
