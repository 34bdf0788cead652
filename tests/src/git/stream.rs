//! The words of `git fast-import`, written one after the other. Paths are any bytes.

use super::command::{BEGIN, EMAIL, NAME};

/// How far commits lie apart, in seconds.
const STEP_SECONDS: u64 = 60;

/// A stream of commands.
#[derive(Default)]
pub(super) struct Stream(Vec<u8>);

impl Stream {
    /// As git reads it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn line(&mut self, line: &str) {
        self.0.extend_from_slice(line.as_bytes());
        self.0.push(b'\n');
    }

    fn data(&mut self, bytes: &[u8]) {
        self.line(&format!("data {}", bytes.len()));
        self.0.extend_from_slice(bytes);
        self.0.push(b'\n');
    }

    fn person(&mut self, role: &str, at: u64) {
        self.line(&format!("{role} {NAME} <{EMAIL}> {} +0000", BEGIN + at * STEP_SECONDS));
    }

    pub fn blob(&mut self, mark: u64, bytes: &[u8]) {
        self.line("blob");
        self.line(&format!("mark :{mark}"));
        self.data(bytes);
    }

    /// Begins a commit, dated by its number. Its changes follow.
    pub fn commit(&mut self, reference: &str, mark: u64, at: u64, message: &[u8]) {
        self.line(&format!("commit {reference}"));
        self.line(&format!("mark :{mark}"));
        self.person("author", at);
        self.person("committer", at);
        self.data(message);
    }

    /// Its first parent; without one, it goes on where its branch is.
    pub fn from(&mut self, commit: &str) {
        self.line(&format!("from {commit}"));
    }

    /// A further parent.
    pub fn merge(&mut self, commit: &str) {
        self.line(&format!("merge {commit}"));
    }

    fn changed(&mut self, what: &str, path: &[u8]) {
        self.0.extend_from_slice(what.as_bytes());
        self.0.push(b' ');
        self.0.extend_from_slice(&quoted(path));
        self.0.push(b'\n');
    }

    /// A file with what stands here.
    pub fn inline(&mut self, mode: &str, path: &[u8], bytes: &[u8]) {
        self.changed(&format!("M {mode} inline"), path);
        self.data(bytes);
    }

    /// A file with what has been said before: a mark or a hash.
    pub fn file(&mut self, mode: &str, what: &str, path: &[u8]) {
        self.changed(&format!("M {mode} {what}"), path);
    }

    pub fn delete(&mut self, path: &[u8]) {
        self.changed("D", path);
    }

    pub fn rename(&mut self, from: &[u8], to: &[u8]) {
        self.0.extend_from_slice(b"R ");
        self.0.extend_from_slice(&quoted(from));
        self.changed("", to);
    }

    pub fn reset(&mut self, reference: &str, commit: &str) {
        self.line(&format!("reset {reference}"));
        self.from(commit);
    }

    /// A tag of a commit, a blob or a tag.
    pub fn tag(&mut self, name: &str, mark: u64, of: &str, at: u64, message: &[u8]) {
        self.line(&format!("tag {name}"));
        self.line(&format!("mark :{mark}"));
        self.from(of);
        self.person("tagger", at);
        self.data(message);
    }
}

/// A path as git reads it back, whatever is in it.
fn quoted(path: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._- ".contains(byte);
    let escaped = path.iter().flat_map(|byte| match plain(byte) {
        true => vec![*byte],
        false => format!("\\{byte:03o}").into_bytes(),
    });
    [b'"'].into_iter().chain(escaped).chain([b'"']).collect()
}
