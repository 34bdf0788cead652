//! Repositories that are made to do harm to whoever checks them out: a table, to be walked through. Each has one commit, on `main`.

use super::commit::Commit;
use super::reading::Entry;
use super::repository::Repository;
use super::trees::{Node, committed, named};

/// How deep the deepest tree is.
const DEPTH: usize = 5_000;
/// So many entries in so many trees, one in another: more files than there is room for, in a few hundred bytes.
const BOMB_ENTRIES: usize = 10;
const BOMB_DEPTH: usize = 12;

/// What real git can read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Legible {
    /// Every path.
    Whole,
    /// There are more paths than anybody can read.
    TooMany,
    /// Git refuses, and so can neither list nor check: serve [`Repository::pack`] by [`super::Fault::Pack`].
    Not,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// Short, for messages of tests.
    pub name: &'static str,
    /// What is wrong with it.
    pub what: &'static str,
    pub repository: Repository,
    /// Mode and path of all that its tree has, where that can be said.
    pub entries: Vec<(String, Vec<u8>)>,
    pub legible: Legible,
}

impl Hostile {
    /// One whose tree has these entries, in this order.
    fn of(name: &'static str, what: &'static str, entries: Vec<(Vec<u8>, Node)>) -> Self {
        let (repository, tree) = (Repository::new(), Node::Folder(entries));
        committed(&repository, &tree.write(&repository));
        Self { name, what, repository, entries: tree.paths(b""), legible: Legible::Whole }
    }
}

/// All of them.
pub fn hostile() -> Vec<Hostile> {
    let names = names().into_iter().map(|(name, what, entry)| Hostile::of(name, what, vec![(entry, Node::file())]));
    let trees = folders().into_iter().chain(pairs()).chain(links()).chain(submodules()).chain(modes());
    let trees = trees.map(|(name, what, entries)| Hostile::of(name, what, entries));
    names.chain(trees).chain([empty_name(), deep(), bomb()]).collect()
}

type Row<T> = (&'static str, &'static str, T);

/// A file with one bad name.
fn names() -> Vec<Row<Vec<u8>>> {
    let rows: &[Row<&[u8]>] = &[
        ("parent", "a file `..`", b".."),
        ("itself", "a file `.`", b"."),
        ("git", "a file `.git`", b".git"),
        ("git-upper", "`.GIT`, which is `.git` where case does not count", b".GIT"),
        ("git-space", "`.git ` with a space, which Windows takes away", b".git "),
        ("git-dot", "`.git.` with a dot, which Windows takes away", b".git."),
        ("git-short", "`git~1`, the short name of `.git` on Windows", b"git~1"),
        ("git-stream", "a stream of `.git` on NTFS", b".git::$INDEX_ALLOCATION"),
        ("git-invisible", "`.git` with a letter that HFS+ does not see", ".g\u{200c}it".as_bytes()),
        ("slash", "`a/b` in one entry", b"a/b"),
        ("slash-parent", "`../x` in one entry", b"../x"),
        ("slash-git", "`.git/config` in one entry", b".git/config"),
        ("absolute", "an absolute name", b"/etc/evil"),
        ("control", "a control character", b"a\x01b"),
        ("newline", "a newline", b"a\nb"),
        ("carriage-return", "a carriage return", b"a\rb"),
        ("escape", "a sequence that a terminal obeys", b"\x1b[2Ja"),
        ("delete", "the character DEL", b"a\x7fb"),
        ("backslash", "a backslash", b"a\\b"),
        ("backslash-parent", "a way up as Windows writes it", b"..\\evil"),
        ("drive", "`C:`", b"C:"),
        ("drive-path", "a path on a drive", b"C:\\evil"),
        ("device", "`CON`, a device on Windows", b"CON"),
        ("device-extension", "`aux.txt`, a device on Windows all the same", b"aux.txt"),
        ("trailing-dot", "a dot at the end, which Windows takes away", b"a."),
        ("trailing-space", "a space at the end, which Windows takes away", b"a "),
        ("not-text", "bytes that are no UTF-8", b"a\xff\xfeb"),
        ("overlong", "`../x` in a spelling that no UTF-8 has", b"\xc0\xae\xc0\xae\xc0\xafx"),
        ("right-to-left", "letters that turn the reading round", "a\u{202e}txt.exe".as_bytes()),
    ];
    let long = ("long", "longer than file systems allow", vec![b'a'; 300]);
    rows.iter().map(|(name, what, entry)| (*name, *what, entry.to_vec())).chain([long]).collect()
}

type Entries = Vec<(Vec<u8>, Node)>;

/// Bad names of folders.
fn folders() -> Vec<Row<Entries>> {
    let hook = || Node::Executable(b"#!/bin/sh\ntouch evil\n".to_vec());
    let config = || Node::File(b"[core]\n\tfsmonitor = touch evil\n".to_vec());
    let up = Node::folder([("..", Node::folder([("..", Node::folder([("evil", Node::file())]))]))]);
    vec![
        ("folder-parent", "a folder `..` with a file", named([("..", Node::folder([("evil", Node::file())]))])),
        ("folder-up", "`a/../../evil` in trees", named([("a", up)])),
        ("folder-itself", "a folder `.` with a file", named([(".", Node::folder([("evil", Node::file())]))])),
        (
            "folder-git",
            "a folder `.git` with settings and a hook",
            named([(
                ".git",
                Node::folder([("config", config()), ("hooks", Node::folder([("post-checkout", hook())]))]),
            )]),
        ),
        ("folder-git-upper", "a folder `.GIT` with settings", named([(".GIT", Node::folder([("config", config())]))])),
        (
            "folder-git-below",
            "a folder `a/.git` with settings",
            named([("a", Node::folder([(".git", Node::folder([("config", config())]))]))]),
        ),
        ("folder-empty", "a folder with nothing in it", named([("a", Node::folder([])), ("b", Node::file())])),
    ]
}

/// Two entries that are one on some system, or that cannot both be.
fn pairs() -> Vec<Row<Entries>> {
    let other = || Node::File(b"other\n".to_vec());
    let below = || Node::folder([("b", Node::file())]);
    vec![
        ("case", "names that differ in case alone", named([("README", Node::file()), ("readme", other())])),
        ("case-folder", "folders that differ in case alone", named([("A", below()), ("a", below())])),
        (
            "normalisation",
            "names that differ in their Unicode normal form alone",
            named([("e\u{301}", Node::file()), ("\u{e9}", other())]),
        ),
        ("duplicate", "one name twice", named([("a", Node::file()), ("a", other())])),
        ("file-and-folder", "a file and a folder of one name", named([("a", Node::file()), ("a", below())])),
        (
            "link-and-folder",
            "a link out of here, and a folder of its name",
            named([("a", Node::link("/tmp")), ("a", Node::folder([("evil", Node::file())]))]),
        ),
        (
            "link-case-folder",
            "a link out of here, and a folder of its name in another case",
            named([("A", Node::link("/tmp")), ("a", Node::folder([("evil", Node::file())]))]),
        ),
        ("unsorted", "entries that are in no order", named([("b", Node::file()), ("a", other())])),
    ]
}

/// Symbolic links.
fn links() -> Vec<Row<Entries>> {
    let one = |target: &str| named([("a", Node::link(target))]);
    vec![
        ("link-up", "a link out of here", one("../../etc/passwd")),
        ("link-absolute", "a link to an absolute path", one("/etc/passwd")),
        ("link-git", "a link to the repository's settings", one(".git/config")),
        (
            "link-round",
            "a link out of here by way of a folder",
            named([("a", Node::folder([])), ("b", Node::link("a/../../x"))]),
        ),
        ("link-windows", "a link out of here as Windows writes it", one("..\\..\\x")),
        ("link-itself", "a link to itself", one("a")),
        ("link-loop", "links to each other", named([("a", Node::link("b")), ("b", Node::link("a"))])),
        ("link-empty", "a link to nothing", one("")),
        ("link-zero", "a link with a zero in it", named([("a", Node::Link(b"x\0y".to_vec()))])),
        ("link-long", "a link that is longer than paths may be", named([("a", Node::Link(vec![b'a'; 10_000]))])),
        ("link-through", "a file that links lead out to", named([("a", Node::link("b")), ("b", Node::link("/tmp"))])),
    ]
}

/// Submodules, and settings of them.
fn submodules() -> Vec<Row<Entries>> {
    let settings = |name: &str, path: &str, url: &str| {
        Node::File(
            format!("[submodule \"{name}\"]\n\tpath = {path}\n\turl = {url}\n\tupdate = !touch evil\n").into_bytes(),
        )
    };
    let with = |settings: Node| named([(".gitmodules", settings), ("sub", Node::Submodule)]);
    vec![
        (
            "submodule-name",
            "a submodule whose name leads up",
            with(settings("../../evil", "sub", "https://localhost/x")),
        ),
        ("submodule-path", "a submodule whose path leads up", with(settings("sub", "../evil", "https://localhost/x"))),
        (
            "submodule-option",
            "a submodule whose address is an option",
            with(settings("sub", "sub", "--upload-pack=evil")),
        ),
        (
            "submodule-command",
            "a submodule whose address is a command",
            with(settings("sub", "sub", "ext::sh -c evil")),
        ),
        ("submodule-file", "a submodule whose address is a local file", with(settings("sub", "sub", "file:///etc"))),
        ("submodule-parent", "a submodule `..`", named([("..", Node::Submodule)])),
        ("submodule-git", "a submodule `.git`", named([(".git", Node::Submodule)])),
        ("submodule-link", "settings of submodules that are a link", with(Node::link("/etc/passwd"))),
    ]
}

/// Modes that git does not write.
fn modes() -> Vec<Row<Entries>> {
    vec![
        ("mode-padded", "a mode with a zero before it", named([("a", Node::Mode("0100644"))])),
        ("mode-group", "a mode of old versions", named([("a", Node::Mode("100664"))])),
        ("mode-setuid", "a mode with the set-uid bit", named([("a", Node::Mode("104644"))])),
    ]
}

/// A name of no bytes: git does not read on.
fn empty_name() -> Hostile {
    let entries = named([("", Node::file())]);
    Hostile { legible: Legible::Not, ..Hostile::of("empty", "an empty name", entries) }
}

/// A path of thousands of folders.
fn deep() -> Hostile {
    let repository = Repository::new();
    let path = ["a/".repeat(DEPTH), "f".to_owned()].concat();
    repository.commit(Commit::on("main").put(&path, Entry::File(b"deep\n".to_vec())));
    let entries = vec![("100644".to_owned(), path.into_bytes())];
    Hostile { name: "deep", what: "folders 5,000 deep", repository, entries, legible: Legible::Whole }
}

/// Few objects, and no end of files.
fn bomb() -> Hostile {
    let repository = Repository::new();
    let bottom = Node::folder([("f", Node::file())]).write(&repository);
    let top = (0..BOMB_DEPTH).fold(bottom, |below, _| {
        let entries = (0..BOMB_ENTRIES).map(|at| (format!("d{at}").into_bytes(), Node::Tree(below.clone())));
        Node::Folder(entries.collect()).write(&repository)
    });
    committed(&repository, &top);
    let what = "10^12 files in thirteen trees";
    Hostile { name: "bomb", what, repository, entries: Vec::new(), legible: Legible::TooMany }
}
