//! What was done to a registry, by whom and when: `journal.jsonl` in its folder, one JSON object a line, only ever appended to, under the
//! registry's lock. A last line without its end was never acknowledged: it is passed over, and cut off before the next is written.
//!
//! ```json
//! {"at":"2026-01-05T10:00:00Z","actor":"cli","action":"plugin.install","subject":"mail 1.2.0","details":{"sha256":"9f86…"}}
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use model::lock::Digest;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::folder::sync_folder;
use crate::name::PluginName;
use crate::registry::read_bounded;

/// Its name in the registry's folder.
pub(crate) const JOURNAL_FILE: &str = "journal.jsonl";
/// Largest journal: some hundred thousand entries. It is read whole whenever it has changed.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// A version was put into the registry.
pub const INSTALL: &str = "plugin.install";
/// A version was taken out.
pub const UNINSTALL: &str = "plugin.uninstall";
/// Somebody approved what a version asks for.
pub const APPROVE: &str = "plugin.approve";
/// Somebody took an approval back.
pub const WITHDRAW: &str = "plugin.withdraw";

/// Who does something, and when.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    pub actor: &'a str,
    pub at: Timestamp,
}

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    pub actor: String,
    /// [`INSTALL`] and its like: an open list.
    pub action: String,
    /// `mail 1.2.0`
    pub subject: String,
    #[serde(default)]
    pub details: Details,
}

impl Entry {
    pub(crate) fn new(action: &str, plugin: &PluginName, version: &Version, details: Details, by: By<'_>) -> Self {
        let (actor, subject) = (by.actor.to_owned(), format!("{plugin} {version}"));
        Self { at: by.at, actor, action: action.to_owned(), subject, details }
    }
}

/// What there is to say of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Details {
    /// The component. What is decided about a version is decided about these bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Where it came from: a file's name, a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The key that its signature was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Whether it was approved by being installed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub approved: bool,
    /// What it asked for beyond the approved versions of then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What later versions add.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What a journal was like when it was looked at: it has changed if this has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(u64, Option<SystemTime>)>);

/// The journal of one registry.
#[derive(Debug)]
pub(crate) struct Journal {
    root: PathBuf,
    path: PathBuf,
}

impl Journal {
    pub(crate) fn of(root: &Path) -> Self {
        Self { root: root.to_owned(), path: root.join(JOURNAL_FILE) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp(fs::metadata(&self.path).ok().map(|meta| (meta.len(), meta.modified().ok())))
    }

    /// Everything in it, oldest first, and every line that cannot be read, which hides no other.
    pub(crate) fn read(&self) -> Result<(Vec<Entry>, Vec<Error>), Error> {
        if !self.path.exists() {
            return Ok((Vec::new(), Vec::new()));
        }
        let bytes = read_bounded(&self.path, JOURNAL_BYTES_MAX)?;
        let whole = bytes.get(..whole_lines(&bytes)).unwrap_or_default();
        let (mut entries, mut problems) = (Vec::new(), Vec::new());
        for (index, line) in whole.split_inclusive(|byte| *byte == b'\n').enumerate() {
            match serde_json::from_slice(line) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    let reason = format!("line {} is no entry: {error}", index + 1);
                    problems.push(Error::JournalDamaged { path: self.path.clone(), reason });
                }
            }
        }
        Ok((entries, problems))
    }

    /// Adds entries, all or none. The caller holds the registry's lock.
    pub(crate) fn append(&self, entries: &[Entry]) -> Result<(), Error> {
        let mut text = String::new();
        for entry in entries {
            text.push_str(&serde_json::to_string(entry).expect("an entry has nothing that JSON cannot say"));
            text.push('\n');
        }
        let before = match self.path.exists() {
            true => whole_lines(&read_bounded(&self.path, JOURNAL_BYTES_MAX)?) as u64,
            false => 0,
        };
        if before + text.len() as u64 > JOURNAL_BYTES_MAX {
            let full = io::Error::other(format!(
                "it may have {} MiB; move it aside to begin another",
                JOURNAL_BYTES_MAX >> 20
            ));
            return Err(Error::io("append to", &self.path)(full));
        }
        let appended = self.write_from(before, text.as_bytes());
        if appended.is_err() {
            // Nothing was acknowledged, so nothing of it may stay. The caller undoes what it says.
            let _ = self.cut(before);
        }
        appended
    }

    fn write_from(&self, start: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.open()?;
        let mut write = || {
            file.set_len(start)?;
            file.seek(SeekFrom::Start(start))?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(Error::io("append to", &self.path))?;
        sync_folder(&self.root)
    }

    fn cut(&self, length: u64) -> Result<(), Error> {
        match length {
            0 => fs::remove_file(&self.path).map_err(Error::io("remove", &self.path)),
            _ => self.open()?.set_len(length).map_err(Error::io("cut", &self.path)),
        }
    }

    fn open(&self) -> Result<File, Error> {
        let options = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path);
        options.map_err(Error::io("open", &self.path))
    }
}

/// How many bytes are lines with an end.
fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn entry(subject: &str) -> Entry {
        let details = Details { approved: true, ..Details::default() };
        let (at, actor) = (Timestamp::UNIX_EPOCH, "ada".to_owned());
        Entry { at, actor, action: INSTALL.to_owned(), subject: subject.to_owned(), details }
    }

    fn subjects(journal: &Journal) -> Vec<String> {
        let (entries, problems) = journal.read().unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        entries.into_iter().map(|entry| entry.subject).collect()
    }

    #[test]
    fn entries_are_lines_in_the_order_they_came() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::of(folder.path());
        assert!(subjects(&journal).is_empty());
        let empty = journal.stamp();
        journal.append(&[entry("mail 1.0.0")]).unwrap();
        journal.append(&[entry("mail 1.1.0"), entry("mail 1.2.0")]).unwrap();
        assert_eq!(subjects(&journal), ["mail 1.0.0", "mail 1.1.0", "mail 1.2.0"]);
        assert_ne!(journal.stamp(), empty);
        let text = fs::read_to_string(journal.path()).unwrap();
        let first = r#"{"at":"1970-01-01T00:00:00Z","actor":"ada","action":"plugin.install","subject":"mail 1.0.0","details":{"approved":true}}"#;
        assert_eq!(text.lines().next(), Some(first));
    }

    #[test]
    fn torn_last_line_is_passed_over_and_cut_off_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::of(folder.path());
        journal.append(&[entry("mail 1.0.0")]).unwrap();
        let whole = fs::read(journal.path()).unwrap();
        // Without its end even a whole object is no entry; zeros are what a crash leaves of a file that was made longer.
        for torn in [&b"{\"at\":\"19"[..], &whole[..whole.len() - 1], b"\0\0\0\0"] {
            fs::write(journal.path(), [&whole[..], torn].concat()).unwrap();
            assert_eq!(subjects(&journal), ["mail 1.0.0"]);
            journal.append(&[entry("mail 1.1.0")]).unwrap();
            assert_eq!(subjects(&journal), ["mail 1.0.0", "mail 1.1.0"]);
        }
        fs::write(journal.path(), b"{").unwrap();
        journal.append(&[entry("mail 2.0.0")]).unwrap();
        assert_eq!(subjects(&journal), ["mail 2.0.0"]);
    }

    #[test]
    fn damaged_line_hides_no_other_and_what_is_not_known_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::of(folder.path());
        let later = json!({ "at": "2026-01-01T00:00:00Z", "actor": "a", "action": "plugin.dance", "subject": "x", "details": { "steps": 3 } });
        let known = serde_json::to_string(&entry("mail 1.0.0")).unwrap();
        fs::write(journal.path(), format!("{known}\nbroken\n{later}\n")).unwrap();
        let (entries, problems) = journal.read().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(serde_json::to_value(&entries[1]).unwrap(), later);
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(problem.code(), "REGISTRY_JOURNAL_DAMAGED");
        assert!(problem.to_string().contains("journal.jsonl` is damaged: line 2 is no entry"), "{problem}");
    }

    #[test]
    fn what_cannot_be_appended_leaves_the_journal_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::of(folder.path());
        journal.append(&[entry("mail 1.0.0")]).unwrap();
        let before = fs::read(journal.path()).unwrap();
        let mut long = entry("mail 1.1.0");
        long.details.reason = Some("x".repeat(JOURNAL_BYTES_MAX as usize));
        let refused = journal.append(&[entry("mail 1.0.1"), long]).unwrap_err();
        assert!(refused.to_string().contains("it may have 64 MiB"), "{refused}");
        assert_eq!(fs::read(journal.path()).unwrap(), before);
    }
}
