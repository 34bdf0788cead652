//! How ForEachItem cuts a file of rows into batches: read from properties, row by row told which batch is next, and where the batches are.
//!
//! Never reads or writes the file: that is the shell's.

use expr::{Map, Value};
use serde::{Deserialize, Serialize};

/// Batches one file may be cut into: each is an execution, and how it ended is kept in the state.
pub const BATCHES_MAX: u32 = 100_000;

/// Partitions one file may be dealt out to: each is a file that is open until the last row is dealt.
pub const PARTITIONS_MAX: u32 = 1_000;

/// What rows end with, unless a flow says otherwise.
const SEPARATOR: &str = "\n";

/// How a file is cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batching {
    pub by: BatchBy,
    /// What rows end with. The last row of a file may lack it; every row of a batch gets it.
    pub separator: String,
}

/// What a batch is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchBy {
    /// So many rows each, the last one fewer.
    Rows(u64),
    /// No row is added to a batch that has reached so many bytes, separators included.
    Bytes(u64),
    /// So many batches, rows dealt out in turn; with fewer rows there are fewer batches.
    Partitions(u32),
}

/// The batches of a file: batch `i`, counted from 0, is the file `{prefix}{i}{suffix}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batches {
    pub prefix: String,
    pub suffix: String,
    /// 0 for a file without rows.
    pub count: u32,
    /// URI of a file that names every batch, one URI a line.
    pub list: String,
}

impl Batches {
    /// The URI of a batch.
    pub fn uri(&self, batch: u32) -> String {
        format!("{}{batch}{}", self.prefix, self.suffix)
    }
}

impl Batching {
    /// Reads `rows`, `bytes`, `partitions` and `separator`, rendered or without expressions. Where several are given, the first of
    /// bytes, partitions, rows counts (Kestra's order). The reason ends a sentence that begins with the name of the property.
    pub fn read(batch: &Map) -> Result<Self, String> {
        let given = |name: &str| batch.get(name).filter(|value| !value.is_null());
        let by =
            match (given("bytes"), given("partitions"), given("rows")) {
                (Some(bytes), _, _) => BatchBy::Bytes(size(bytes).ok_or_else(|| {
                    "`batch.bytes` must be a size of at least one byte (hint: write for example `1024` or `10KB`)"
                        .to_owned()
                })?),
                (None, Some(partitions), _) => {
                    let count = positive(partitions).and_then(|count| u32::try_from(count).ok());
                    let count = count.filter(|count| *count <= PARTITIONS_MAX);
                    BatchBy::Partitions(count.ok_or_else(|| {
                        format!("`batch.partitions` must be a whole number from 1 to {PARTITIONS_MAX}")
                    })?)
                }
                (None, None, Some(rows)) => BatchBy::Rows(
                    positive(rows).ok_or_else(|| "`batch.rows` must be a whole number of at least 1".to_owned())?,
                ),
                (None, None, None) => BatchBy::Rows(1),
            };
        let separator = match given("separator") {
            None => SEPARATOR.to_owned(),
            Some(text) => match text.as_str() {
                Some(text) if !text.is_empty() => text.to_owned(),
                _ => return Err("`batch.separator` must be a text that is not empty".to_owned()),
            },
        };
        Ok(Self { by, separator })
    }

    /// Deals rows out, from the first.
    pub fn deal(&self) -> Deal {
        Deal { by: self.by, separator_bytes: self.separator.len() as u64, batch: None, rows: 0, bytes: 0, count: 0 }
    }
}

/// Says for one row after the other which batch it belongs to.
#[derive(Clone, Debug)]
pub struct Deal {
    by: BatchBy,
    separator_bytes: u64,
    /// Where the last row went.
    batch: Option<u32>,
    /// What that batch holds.
    rows: u64,
    bytes: u64,
    count: u32,
}

impl Deal {
    /// The batch of the next row, whose text has so many bytes. `None`: it would be one batch too many ([`BATCHES_MAX`]).
    pub fn next(&mut self, bytes: u64) -> Option<u32> {
        let batch = match (self.by, self.batch) {
            (_, None) => 0,
            (BatchBy::Rows(most), Some(last)) => last.checked_add(u32::from(self.rows >= most))?,
            (BatchBy::Bytes(most), Some(last)) => last.checked_add(u32::from(self.bytes >= most))?,
            (BatchBy::Partitions(count), Some(last)) => (last + 1) % count.max(1),
        };
        if batch >= BATCHES_MAX {
            return None;
        }
        if self.batch != Some(batch) {
            (self.rows, self.bytes) = (0, 0);
        }
        self.batch = Some(batch);
        self.rows += 1;
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(self.separator_bytes);
        self.count = self.count.max(batch + 1);
        Some(batch)
    }

    /// How many batches there are so far.
    pub fn count(&self) -> u32 {
        self.count
    }
}

fn positive(value: &Value) -> Option<u64> {
    let number = match value.as_str() {
        Some(text) => text.trim().parse().ok()?,
        None => value.as_i64()?,
    };
    u64::try_from(number).ok().filter(|number| *number > 0)
}

/// Bytes as a number, or as text with a unit of 1,024s.
fn size(value: &Value) -> Option<u64> {
    let Some(text) = value.as_str() else { return positive(value) };
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" => 1 << 10,
        "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batching(properties: &[(&str, Value)]) -> Result<Batching, String> {
        Batching::read(&properties.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }

    fn dealt(property: (&str, Value), rows: &[u64]) -> Vec<u32> {
        let mut deal = batching(&[property]).unwrap().deal();
        let dealt: Vec<u32> = rows.iter().map(|bytes| deal.next(*bytes).unwrap()).collect();
        assert_eq!(deal.count(), dealt.iter().max().map_or(0, |last| last + 1));
        dealt
    }

    #[test]
    fn rows_are_dealt_as_the_property_says() {
        assert_eq!(dealt(("rows", Value::Int(2)), &[9; 5]), [0, 0, 1, 1, 2]);
        assert_eq!(dealt(("rows", Value::text("1")), &[0, 0]), [0, 1]);
        // A separator counts; a batch takes rows until it has reached its size.
        assert_eq!(dealt(("bytes", Value::Int(10)), &[9, 9, 4, 4, 30, 1]), [0, 1, 2, 2, 3, 4]);
        assert_eq!(dealt(("bytes", Value::text("1 KB")), &[1_022, 0, 0]), [0, 0, 1]);
        assert_eq!(dealt(("partitions", Value::Int(3)), &[1; 7]), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(dealt(("partitions", Value::Int(3)), &[1; 2]), [0, 1]);
        assert_eq!(dealt(("separator", Value::text(";")), &[1, 1]), [0, 1]);
        assert!(dealt(("rows", Value::Int(2)), &[]).is_empty());
    }

    #[test]
    fn there_are_only_so_many_batches() {
        let mut deal = batching(&[]).unwrap().deal();
        assert!((0..BATCHES_MAX).all(|_| deal.next(1).is_some()));
        assert_eq!(deal.next(1), None);
        assert_eq!(deal.count(), BATCHES_MAX);
    }

    #[test]
    fn bytes_come_before_partitions_and_rows() {
        let all = [("rows", Value::Int(1)), ("partitions", Value::Int(2)), ("bytes", Value::text("2m"))];
        assert_eq!(batching(&all).unwrap().by, BatchBy::Bytes(2 << 20));
        assert_eq!(batching(&all[..2]).unwrap().by, BatchBy::Partitions(2));
        assert_eq!(batching(&[]).unwrap(), Batching { by: BatchBy::Rows(1), separator: "\n".to_owned() });
    }

    #[test]
    fn what_cannot_be_dealt_by_is_refused() {
        let cases = [
            ("rows", Value::Int(0)),
            ("rows", Value::text("many")),
            ("rows", Value::Bool(true)),
            ("partitions", Value::Int(-1)),
            ("partitions", Value::Int(1_001)),
            ("bytes", Value::text("10 parsecs")),
            ("bytes", Value::text("0")),
            ("bytes", Value::text("KB")),
            ("bytes", Value::text("99999999999999999999GB")),
            ("separator", Value::text("")),
            ("separator", Value::Int(1)),
        ];
        for case in cases {
            let problem = batching(std::slice::from_ref(&case)).unwrap_err();
            assert!(problem.contains(&format!("`batch.{}`", case.0)), "{case:?}: {problem}");
        }
    }
}
