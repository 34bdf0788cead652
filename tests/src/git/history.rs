//! Random histories. A seed is one history, on every machine; between seeds differs all that git can store in more than one way.

use std::collections::{BTreeMap, BTreeSet};

use super::repository::Repository;
use super::stream::Stream;
use crate::simulation::dice::Dice;

/// The largest file, in bytes.
const FILE_MAX: u64 = 1 << 20;
/// How many branches a history has at most.
const BRANCHES_MAX: usize = 5;
/// How many files a branch has at most, about.
const FILES_MAX: usize = 200;

const FOLDERS: &[&str] =
    &["", "src", "src/deep/er", "docs", "größe", "日本語", "with space", "it's", "say \"so\"", "🦀", "a.b/c-d"];
const NAMES: &[&str] = &[
    "file",
    "main.rs",
    "ünïcödé.txt",
    "名前",
    "two words",
    "a'b",
    "q\"q",
    "-dash",
    "~tilde",
    "%20",
    "#hash",
    ".hidden",
];
const BRANCHES: &[&str] = &["main", "trunk", "feature/one", "größer", "fix-2"];

/// A history of so many commits.
pub fn history(seed: u64, size: usize) -> Repository {
    let dice = Dice::new(seed, 0x0067_6974);
    let default = *dice.pick(BRANCHES);
    let repository = Repository::with_branch(default);
    let mut writer = Writer::new(&dice, default);
    for _ in 0..size.max(1) {
        writer.commit();
    }
    writer.tags();
    // Both ways to keep objects, and all that zlib can do.
    let limit = format!("fastimport.unpackLimit={}", if dice.percent(25) { 1_000_000 } else { 1 });
    let compression = format!("core.compression={}", dice.pick(&[0, 1, 6, 9]));
    repository.import(&writer.stream, &["-c", &limit, "-c", &compression]);
    finish(&dice, &repository, default);
    repository
}

/// What is done once all is there.
fn finish(dice: &Dice, repository: &Repository, default: &str) {
    let root = format!("refs/heads/{default}");
    if dice.percent(15) {
        repository.tag("tree", &format!("{root}^{{tree}}"));
        repository.annotated("tree-said", &format!("{root}^{{tree}}"), "a tag of a tree");
    }
    if dice.percent(40) {
        let (depth, window) = (format!("--depth={}", dice.within(1, 60)), format!("--window={}", dice.within(2, 20)));
        repository.git(&["repack", "-q", "-a", "-d", "-f", &depth, &window]);
    }
    if dice.percent(50) {
        repository.pack_refs();
    }
    if dice.percent(10) {
        repository.detach(&root);
    }
}

/// A file of a branch: its mode, and the mark of what it says.
#[derive(Clone, Copy)]
struct File {
    mode: &'static str,
    mark: u64,
}

type Files = BTreeMap<String, File>;

struct Branch {
    name: &'static str,
    commit: u64,
    files: Files,
}

/// Writes a history, and knows what each branch has.
struct Writer<'a> {
    dice: &'a Dice,
    stream: Stream,
    /// Marks so far.
    marks: u64,
    commits: u64,
    branches: Vec<Branch>,
    default: &'static str,
    /// What files say, to be changed a little.
    contents: BTreeMap<u64, Vec<u8>>,
}

/// What a commit does to its files.
enum Change {
    Put(String, File),
    Delete(String),
    Rename(String, String),
}

impl<'a> Writer<'a> {
    fn new(dice: &'a Dice, default: &'static str) -> Self {
        let (stream, contents) = (Stream::default(), BTreeMap::new());
        Self { dice, stream, marks: 0, commits: 0, branches: Vec::new(), default, contents }
    }

    fn mark(&mut self) -> u64 {
        self.marks += 1;
        self.marks
    }

    /// The branch that goes on: one that is there, or a new one that begins somewhere.
    fn chosen(&mut self) -> Branch {
        if self.branches.is_empty() {
            return Branch { name: self.default, commit: 0, files: Files::new() };
        }
        let unused = BRANCHES.iter().find(|name| self.branches.iter().all(|branch| branch.name != **name));
        let at = self.dice.below(self.branches.len() as u64) as usize;
        match unused {
            Some(name) if self.branches.len() < BRANCHES_MAX && self.dice.percent(15) => {
                let from = self.branches.get(at).expect("it is below their number");
                Branch { name, commit: from.commit, files: from.files.clone() }
            }
            _ => self.branches.swap_remove(at),
        }
    }

    fn commit(&mut self) {
        let mut branch = self.chosen();
        let merged = if self.dice.percent(20) { self.merged(&branch) } else { Vec::new() };
        let before = branch.files.clone();
        // What others have and this one has not comes in with a merge.
        for (_, files) in &merged {
            for (path, file) in files {
                if self.dice.percent(70) && is_free(&branch.files, path) {
                    branch.files.insert(path.clone(), *file);
                }
            }
        }
        let mut changes: Vec<Change> = Vec::new();
        for (path, file) in branch.files.iter().filter(|(path, _)| !before.contains_key(*path)) {
            changes.push(Change::Put(path.clone(), *file));
        }
        for _ in 0..self.dice.spread(6) + 1 {
            changes.extend(self.change(&mut branch.files));
        }
        self.write(&mut branch, &merged, &changes);
        self.branches.push(branch);
    }

    /// Commits of other branches, one to three, each once.
    fn merged(&self, branch: &Branch) -> Vec<(u64, Files)> {
        let others = self.branches.iter().filter(|other| other.commit != branch.commit);
        let mut seen = BTreeSet::new();
        let others = others.filter(|other| seen.insert(other.commit));
        others.take(self.dice.within(1, 4) as usize).map(|other| (other.commit, other.files.clone())).collect()
    }

    fn write(&mut self, branch: &mut Branch, merged: &[(u64, Files)], changes: &[Change]) {
        let mark = self.mark();
        let message = match self.dice.below(4) {
            0 => String::new(),
            1 => format!("Änderung {}\n\nMit mehr dazu: 変更\n", self.commits),
            2 => format!("no newline at the end {}", self.commits),
            _ => format!("change {}\n", self.commits),
        };
        self.stream.commit(&format!("refs/heads/{}", branch.name), mark, self.commits, message.as_bytes());
        self.commits += 1;
        if branch.commit > 0 {
            self.stream.from(&format!(":{}", branch.commit));
        }
        for (commit, _) in merged {
            self.stream.merge(&format!(":{commit}"));
        }
        for change in changes {
            match change {
                Change::Put(path, file) => self.stream.file(file.mode, &format!(":{}", file.mark), path.as_bytes()),
                Change::Delete(path) => self.stream.delete(path.as_bytes()),
                Change::Rename(from, to) => self.stream.rename(from.as_bytes(), to.as_bytes()),
            }
        }
        branch.commit = mark;
    }

    /// One change, already made to the files; none where it would not fit.
    fn change(&mut self, files: &mut Files) -> Option<Change> {
        let often = self.dice.below(100);
        let old = self.existing(files);
        match (old, often) {
            (Some(path), 0..12) => {
                files.remove(&path);
                Some(Change::Delete(path))
            }
            (Some(from), 12..24) => {
                let to = self.path();
                let file = files.remove(&from)?;
                if !is_free(files, &to) {
                    files.insert(from, file);
                    return None;
                }
                files.insert(to.clone(), file);
                Some(Change::Rename(from, to))
            }
            (Some(path), 24..30) => {
                let file = files.get_mut(&path).filter(|file| file.mode != "120000")?;
                file.mode = if file.mode == "100644" { "100755" } else { "100644" };
                Some(Change::Put(path, *file))
            }
            (Some(path), 30..60) => {
                let file = *files.get(&path).filter(|file| file.mode != "120000")?;
                let mark = self.edited(file.mark);
                Some(put(files, path, File { mark, ..file }))
            }
            (Some(target), 60..68) => {
                let path = self.path();
                let link = relative(&path, &target);
                let is_fit = is_free(files, &path);
                is_fit.then(|| put(files, path, File { mode: "120000", mark: self.blob(link.into_bytes()) }))
            }
            _ => {
                let path = self.path();
                if files.len() >= FILES_MAX || !is_free(files, &path) {
                    return None;
                }
                let bytes = self.content();
                let mode = if self.dice.percent(15) { "100755" } else { "100644" };
                Some(put(files, path, File { mode, mark: self.blob(bytes) }))
            }
        }
    }

    fn existing(&self, files: &Files) -> Option<String> {
        let at = self.dice.below(files.len() as u64) as usize;
        files.keys().nth(at).cloned()
    }

    fn path(&self) -> String {
        let (folder, name, number) = (self.dice.pick(FOLDERS), self.dice.pick(NAMES), self.dice.below(20));
        let slash = if folder.is_empty() { "" } else { "/" };
        format!("{folder}{slash}{name}{number}")
    }

    fn blob(&mut self, bytes: Vec<u8>) -> u64 {
        let mark = self.mark();
        self.stream.blob(mark, &bytes);
        self.contents.insert(mark, bytes);
        mark
    }

    /// What a new file says.
    fn content(&self) -> Vec<u8> {
        match self.dice.below(100) {
            0..8 => Vec::new(),
            8..60 => self.lines(self.dice.spread(60) + 1, "\n"),
            60..68 => self.lines(self.dice.below(20) + 1, "\r\n"),
            68..96 => self.noise(self.dice.spread(8_000) + 1),
            96..98 => self.noise(self.dice.spread(FILE_MAX) + 1),
            _ => self.lines(1, "\n").repeat(self.dice.within(1_000, 20_000) as usize),
        }
    }

    fn lines(&self, count: u64, end: &str) -> Vec<u8> {
        let line = |at: u64| format!("line {at}: {:x} ✓{end}", self.dice.below(1 << 30));
        (0..count).flat_map(|at| line(at).into_bytes()).collect()
    }

    fn noise(&self, length: u64) -> Vec<u8> {
        let words = (0..length.div_ceil(8)).flat_map(|_| self.dice.roll().to_le_bytes());
        words.take(length as usize).collect()
    }

    /// A content that is close to another: what deltas are for.
    fn edited(&mut self, mark: u64) -> u64 {
        let mut bytes = self.contents.get(&mark).cloned().unwrap_or_default();
        let at = self.dice.below(bytes.len() as u64 + 1) as usize;
        let upto = bytes.len().min(at + self.dice.below(50) as usize);
        bytes.splice(at..upto, self.lines(self.dice.below(3), "\n"));
        bytes.truncate(FILE_MAX as usize);
        self.blob(bytes)
    }

    /// Tags of commits and files, and tags of tags.
    fn tags(&mut self) {
        for at in 0..self.dice.below(4) {
            let branch = self.dice.below(self.branches.len() as u64) as usize;
            let Some(commit) = self.branches.get(branch).map(|branch| branch.commit) else { return };
            match self.dice.below(4) {
                0 => self.stream.reset(&format!("refs/tags/light-{at}"), &format!(":{commit}")),
                1 => {
                    let blob = self.blob(b"signed by nobody\n".to_vec());
                    self.tag(&format!("blob-{at}"), blob);
                }
                2 => {
                    let tag = self.tag(&format!("v{at}.0-ü"), commit);
                    self.tag(&format!("twice/v{at}"), tag);
                }
                _ => drop(self.tag(&format!("v{at}"), commit)),
            }
        }
    }

    /// A tag that is an object, of what has this mark.
    fn tag(&mut self, name: &str, of: u64) -> u64 {
        let mark = self.mark();
        self.stream.tag(name, mark, &format!(":{of}"), self.commits, b"a version\n");
        mark
    }
}

fn put(files: &mut Files, path: String, file: File) -> Change {
    files.insert(path.clone(), file);
    Change::Put(path, file)
}

/// Whether a path is neither a file nor a folder, and no folder of it is a file.
fn is_free(files: &Files, path: &str) -> bool {
    let below = format!("{path}/");
    let is_folder = files.range(below.clone()..).next().is_some_and(|(name, _)| name.starts_with(&below));
    let is_below = path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(|above| files.contains_key(above)));
    !files.contains_key(path) && !is_folder && !is_below
}

/// The way from a link to a file of the same tree.
fn relative(link: &str, target: &str) -> String {
    format!("{}{target}", "../".repeat(link.matches('/').count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_taken_are_found() {
        let file = File { mode: "100644", mark: 1 };
        let files: Files = ["a/b/c", "d"].into_iter().map(|path| (path.to_owned(), file)).collect();
        let free = |path: &str| is_free(&files, path);
        assert!(free("a/x") && free("a/b/d") && free("e") && free("d2"));
        assert!(!free("a") && !free("a/b") && !free("a/b/c") && !free("d") && !free("d/x"));
    }

    #[test]
    fn links_lead_from_their_folder() {
        assert_eq!(relative("a/b/link", "c/file"), "../../c/file");
        assert_eq!(relative("link", "file"), "file");
    }
}
