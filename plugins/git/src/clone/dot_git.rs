//! The `.git` of a clone. Names that come from a server are checked before they become lines of a file or files.

use std::fs;
use std::path::Path;

use gix_hash::ObjectId;
use serde_json::{Map, Value};
use sluice_sdk::Failure;

use super::checkout::Checkout;
use super::index;
use crate::objects::Objects;
use crate::remote::Refs;

/// What the clone is of.
pub struct DotGit<'a> {
    pub objects: &'a Objects,
    pub refs: &'a Refs,
    pub shallow: &'a [ObjectId],
    /// Without credentials.
    pub url: &'a str,
    pub head: Head<'a>,
    pub tags: bool,
    pub config: Option<&'a Map<String, Value>>,
}

#[derive(Clone, Copy)]
pub enum Head<'a> {
    Branch(&'a str, ObjectId),
    Detached(ObjectId),
}

impl DotGit<'_> {
    pub fn write(&self, root: &Path, checkout: &Checkout<'_>) -> Result<(), Failure> {
        let git = root.join(".git");
        for folder in ["objects/pack", "objects/info", "refs/heads", "refs/tags", "info"] {
            fs::create_dir_all(git.join(folder))?;
        }
        if let Some((pack, index)) = self.objects.pack() {
            // A pack ends with its digest, which is its name.
            let digest =
                ObjectId::from_bytes_or_panic(pack.last_chunk::<20>().expect("a pack that was indexed has a digest"));
            fs::write(git.join(format!("objects/pack/pack-{digest}.pack")), pack)?;
            fs::write(git.join(format!("objects/pack/pack-{digest}.idx")), index)?;
        }
        if !self.shallow.is_empty() {
            let mut lines: Vec<String> = self.shallow.iter().map(|id| format!("{id}\n")).collect();
            lines.sort();
            fs::write(git.join("shallow"), lines.concat())?;
        }
        fs::write(git.join("packed-refs"), self.packed_refs())?;
        fs::write(git.join("config"), self.config_text()?)?;
        fs::write(git.join("index"), index::encoded(checkout)?)?;
        let head = match self.head {
            Head::Branch(name, id) => {
                let path = git.join("refs/heads").join(name);
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                fs::write(path, format!("{id}\n"))?;
                format!("ref: refs/heads/{name}\n")
            }
            Head::Detached(id) => format!("{id}\n"),
        };
        // What has a HEAD is a repository: it comes last.
        fs::write(git.join("HEAD"), head)?;
        Ok(())
    }

    fn packed_refs(&self) -> String {
        let mut lines = Vec::new();
        for (name, id) in self.refs.branches.iter().filter(|(_, id)| self.objects.has(id)) {
            lines.push((format!("refs/remotes/origin/{name}"), *id, None));
        }
        for tag in self.refs.tags.iter().filter(|_| self.tags) {
            // A tag of a commit that did not come names nothing.
            if self.objects.has(&tag.object) && tag.peeled.is_none_or(|id| self.objects.has(&id)) {
                lines.push((format!("refs/tags/{}", tag.name), tag.object, tag.peeled));
            }
        }
        lines.sort();
        let mut text = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
        for (name, id, peeled) in lines {
            text.push_str(&format!("{id} {name}\n"));
            if let Some(peeled) = peeled {
                text.push_str(&format!("^{peeled}\n"));
            }
        }
        text
    }

    fn config_text(&self) -> Result<String, Failure> {
        let mut text =
            "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n"
                .to_owned();
        let url = quoted(self.url);
        text.push_str(&format!("[remote \"origin\"]\n\turl = {url}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"));
        if let Head::Branch(name, _) = self.head {
            text.push_str(&format!("[branch {}]\n\tremote = origin\n\tmerge = refs/heads/{name}\n", quoted(name)));
        }
        for (section, values) in self.config.into_iter().flatten() {
            sections(&mut text, section, None, values)?;
        }
        Ok(text)
    }
}

/// Sections of `gitConfig`: `section: {key: value}`, and `section: {subsection: {key: value}}`.
fn sections(text: &mut String, section: &str, subsection: Option<&str>, values: &Value) -> Result<(), Failure> {
    let wrong = |why: &str| Failure::bad_property(format!("`gitConfig`: `{}` {why}", section.escape_debug()));
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let Value::Object(values) = values else { return Err(wrong("is no section: write `section: {key: value}`")) };
    if !plain(section) {
        return Err(wrong("is no name of a section"));
    }
    let head = match subsection {
        Some(name) => format!("[{section} {}]\n", quoted(name)),
        None => format!("[{section}]\n"),
    };
    let mut lines = String::new();
    for (key, value) in values {
        let value = match value {
            Value::Object(_) if subsection.is_none() => {
                sections(text, section, Some(key), value)?;
                continue;
            }
            Value::String(value) => quoted(value),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            _ => return Err(wrong("has a value that is no text, number or boolean")),
        };
        if !plain(key) {
            return Err(wrong(&format!("has a key `{}` that is none", key.escape_debug())));
        }
        lines.push_str(&format!("\t{key} = {value}\n"));
    }
    if !lines.is_empty() {
        text.push_str(&head);
        text.push_str(&lines);
    }
    Ok(())
}

/// A value as the configuration has it.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    format!("\"{}\"", text.chars().filter(|c| !c.is_control()).collect::<String>())
}
