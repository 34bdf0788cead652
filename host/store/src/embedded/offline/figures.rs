//! Counts what is in a data directory: rows by kind, bytes by kind of file, and how much of the disk is alive.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Looked, files};
use crate::embedded::base::to_value;
use crate::embedded::checkpoint::KEYS_END;
use crate::embedded::disk::SharedDisk;
use crate::embedded::manifest;
use crate::error::Error;
use crate::index::table::{Entry, Ordered};
use crate::rows::Row;

/// What is in a data directory, in figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The format of the directory, the program that last wrote it, and the store's own number.
    pub format: u16,
    pub program: String,
    pub store: String,
    /// The last commit, and the one up to which everything is in runs.
    pub last: u64,
    pub checkpoint: u64,
    /// By kind of row.
    pub rows: BTreeMap<String, RowFigures>,
    /// Entries of lists.
    pub entries: u64,
    /// By kind of file.
    pub files: BTreeMap<String, FileFigures>,
    /// Rows as they are stored, and the content of files that rows name: what the disk is for.
    pub live_bytes: u64,
    pub disk_bytes: u64,
}

/// Rows of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowFigures {
    pub rows: u64,
    pub bytes: u64,
}

/// Files of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFigures {
    pub files: u64,
    pub bytes: u64,
}

impl Figures {
    /// Bytes on disk for each live byte.
    pub fn disk_per_live(&self) -> f64 {
        self.disk_bytes as f64 / self.live_bytes.max(1) as f64
    }

    /// Counts files outside of the store's own disk.
    pub(super) fn add_files(&mut self, kind: &str, path: &Path) {
        let Ok(entries) = std::fs::read_dir(path) else { return };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            match metadata.is_dir() {
                true => self.add_files(kind, &entry.path()),
                false => self.add_file(kind, metadata.len()),
            }
        }
    }

    fn add_file(&mut self, kind: &str, bytes: u64) {
        let figures = self.files.entry(kind.to_owned()).or_default();
        figures.files += 1;
        figures.bytes += bytes;
        self.disk_bytes += bytes;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "format {} of sluice {}, store {}", self.format, self.program, self.store)?;
        writeln!(f, "last commit {}, in runs up to {}", self.last, self.checkpoint)?;
        for (kind, figures) in &self.rows {
            writeln!(f, "{:>12} {kind}, {} bytes", figures.rows, figures.bytes)?;
        }
        writeln!(f, "{:>12} entries of lists", self.entries)?;
        for (kind, figures) in &self.files {
            writeln!(f, "{:>12} bytes in {} files of {kind}", figures.bytes, figures.files)?;
        }
        write!(
            f,
            "{} bytes on disk for {} live bytes: {:.2} for one",
            self.disk_bytes,
            self.live_bytes,
            self.disk_per_live()
        )
    }
}

/// Counts what is on a disk.
pub fn figures(disk: &SharedDisk) -> Result<Figures, Error> {
    let looked = Looked::at(disk)?;
    let mut figures = Figures {
        format: looked.manifest.format,
        program: looked.manifest.program.clone(),
        store: looked.manifest.store.clone(),
        last: looked.last.0,
        checkpoint: looked.manifest.checkpoint.0,
        ..Figures::default()
    };
    let layers = looked.layers();
    let mut from: Vec<u8> = Vec::new();
    while let Some((key, entry)) = layers.first(&from, KEYS_END)? {
        match &entry {
            Entry::Points(_) => figures.entries += 1,
            Entry::Row(stored) => {
                let bytes = (key.len() + to_value(&entry)?.len()) as u64;
                let rows = figures.rows.entry(format!("{:?}", stored.row.kind()).to_lowercase()).or_default();
                rows.rows += 1;
                rows.bytes += bytes;
                figures.live_bytes += bytes;
                if let Row::File(file) = &stored.row {
                    figures.live_bytes += file.content.size_bytes;
                }
            }
        }
        from = [&*key, &[0]].concat();
    }
    for (name, bytes) in files(disk.as_ref(), "")? {
        let kind = match name.split_once('/') {
            // It lies in the same folder, but is not part of what the disk of the store sees.
            Some(("index", _)) => continue,
            Some((folder, _)) => folder,
            None if name == manifest::NAME => manifest::NAME,
            None => "other",
        };
        figures.add_file(kind, bytes);
    }
    Ok(figures)
}
