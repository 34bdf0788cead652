//! What a task tells of a plan: a file of JSON lines, counts, and a table in the log. One format for all tasks, done or only looked at.

use std::io::Write;

use serde_json::{Value, json};
use sluice_sdk::files;
use sluice_sdk::prelude::*;

use super::model::{Key, Side};
use super::plan::{Action, Plan, Target, Why};
use super::{diff, repository::Repository};
use crate::failures;

/// Rows of the table in the log; the file has them all.
const SHOWN_MAX: usize = 100;

/// One thing that changes, or stays for a reason.
#[derive(Clone, Debug)]
pub struct Row {
    /// Where it is, from the root of the repository.
    pub file: String,
    /// Which thing; `None`: a file that is none.
    pub key: Option<Key>,
    pub action: &'static str,
    pub lines: Option<(u32, u32)>,
    /// Why it stays, or is left out.
    pub note: Option<String>,
}

/// How much of what.
#[outputs]
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Things that were not there.
    pub added: u64,
    /// Things that are different now.
    pub updated: u64,
    /// Things that went.
    pub deleted: u64,
    /// Things that are the same on both sides.
    pub unchanged: u64,
    /// Things that the source does not have, and that stay.
    pub kept: u64,
    /// Things that are not valid, and were left out.
    pub skipped: u64,
}

/// All that there is to tell.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub rows: Vec<Row>,
    pub summary: Summary,
}

impl Report {
    /// Of a plan, before or after it was carried out.
    pub fn of(plan: &Plan, target: Target, source: &Side, there: &Side, path: impl Fn(&Key) -> String) -> Self {
        let mut report = Self {
            summary: Summary { unchanged: plan.unchanged as u64, kept: plan.kept.len() as u64, ..Summary::default() },
            rows: Vec::new(),
        };
        for step in &plan.steps {
            let content = |side: &Side| side.get(&step.key).map(|version| version.content.clone()).unwrap_or_default();
            let (before, after) = match step.action {
                Action::Delete => (content(there), Vec::new()),
                _ => (content(there), content(source)),
            };
            report.push(path(&step.key), Some(step.key.clone()), step.action, target, diff::lines(&before, &after));
        }
        for kept in &plan.kept {
            let note = match kept.why {
                Why::Asked => continue,
                Why::Protected => format!("{}: its namespace is protected", failures::PROTECTED),
                Why::Own => "it is the flow at work".to_owned(),
            };
            report.rows.push(Row {
                file: path(&kept.key),
                key: Some(kept.key.clone()),
                action: "KEPT",
                lines: None,
                note: Some(note),
            });
        }
        report
    }

    /// Adds a thing that changes.
    pub fn push(&mut self, file: String, key: Option<Key>, action: Action, target: Target, lines: Option<(u32, u32)>) {
        let action = match (action, target) {
            (Action::Add, _) => "ADDED",
            (Action::Update, Target::Repository) => "UPDATED_GIT",
            (Action::Update, Target::Engine) => "UPDATED_KES",
            (Action::Delete, Target::Repository) => "DELETED_GIT",
            (Action::Delete, Target::Engine) => "DELETED_KES",
        };
        match action {
            "ADDED" => self.summary.added += 1,
            "UPDATED_GIT" | "UPDATED_KES" => self.summary.updated += 1,
            _ => self.summary.deleted += 1,
        }
        self.rows.push(Row { file, key, action, lines, note: None });
    }

    /// Things that change.
    pub fn changes(&self) -> u64 {
        self.summary.added + self.summary.updated + self.summary.deleted
    }

    /// A thing that was planned is left out after all.
    pub fn skip(&mut self, key: &Key, why: &str) {
        for row in self.rows.iter_mut().filter(|row| row.key.as_ref() == Some(key)) {
            match row.action {
                "ADDED" => self.summary.added -= 1,
                "UPDATED_GIT" | "UPDATED_KES" => self.summary.updated -= 1,
                _ => continue,
            }
            self.summary.skipped += 1;
            (row.action, row.lines, row.note) = ("SKIPPED", None, Some(why.to_owned()));
        }
    }

    /// Stores the rows. The URI of the file.
    pub fn store(&self, revisions: &[(Key, u64)]) -> Result<String, Failure> {
        let mut file = files::create("diff.jsonl")?;
        for row in &self.rows {
            let revision =
                revisions.iter().find(|(key, _)| row.key.as_ref() == Some(key)).map(|(_, revision)| *revision);
            let mut line = row.json(revision).to_string();
            line.push('\n');
            file.write_all(line.as_bytes())?;
        }
        file.finish()
    }

    /// Writes the table.
    pub fn log(&self, title: &str, cx: &Context) {
        let Summary { added, updated, deleted, unchanged, kept, skipped } = self.summary;
        let mut text = format!("{title}: {added} added, {updated} updated, {deleted} deleted, {unchanged} unchanged");
        for (count, word) in [(kept, "kept"), (skipped, "skipped")] {
            if count > 0 {
                text.push_str(&format!(", {count} {word}"));
            }
        }
        let width =
            self.rows.iter().take(SHOWN_MAX).map(|row| row.file.chars().count()).max().unwrap_or_default().min(80);
        for row in self.rows.iter().take(SHOWN_MAX) {
            let lines = row.lines.map(|(more, less)| format!("+{more} -{less}")).unwrap_or_default();
            let note = row.note.as_deref().unwrap_or_default();
            let line = format!("{:<11}  {:<width$}  {lines}{note}", row.action, row.file);
            text.push('\n');
            text.push_str(line.trim_end());
        }
        if self.rows.len() > SHOWN_MAX {
            text.push_str(&format!("\n… and {} more, see the diff", self.rows.len() - SHOWN_MAX));
        }
        cx.info(text);
        for row in self.rows.iter().filter(|row| row.action == "KEPT").take(SHOWN_MAX) {
            cx.warn(format!(
                "`{}` is not in the repository and stays: {}",
                row.key.as_ref().map_or_else(|| row.file.clone(), ToString::to_string),
                row.note.as_deref().unwrap_or_default()
            ));
        }
    }
}

impl Row {
    fn json(&self, revision: Option<u64>) -> Value {
        let key = self.key.as_ref();
        json!({
            "file": self.file,
            "key": key.map(ToString::to_string),
            "kind": key.map_or("FILE", |key| key.kind.label()),
            "namespace": key.map(|key| key.namespace.as_str()).filter(|namespace| !namespace.is_empty()),
            "id": key.map(|key| key.id.as_str()),
            "action": self.action,
            "additions": self.lines.map(|(more, _)| more),
            "deletions": self.lines.map(|(_, less)| less),
            "changes": self.lines.map(|(more, less)| more + less),
            "revision": revision,
            "note": self.note,
        })
    }
}

/// Where a thing is or will be in a repository.
pub fn path_in(repository: &Repository, layout: &super::layout::Layout, sides: [&Side; 2], key: &Key) -> String {
    let there = sides.iter().find_map(|side| side.get(key).and_then(|version| version.path.clone()));
    let path = there.or_else(|| layout.path(key).ok()).unwrap_or_else(|| key.to_string());
    repository.shown(&path)
}
