//! `sluice` as its users run it: the built binary, its exit code and what it prints. Never waits without an end.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use crate::{build_dir, data_dir, registry, root};

/// Longest a command may take: generous, because plugins are compiled on the first run of a busy machine.
const TIME_MAX: Duration = Duration::from_secs(180);

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// `None`: killed by a signal.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Fails unless it ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "standard output:\n{}\nstandard error:\n{}", self.out, self.err);
        self
    }

    /// Fails unless standard output has these pieces, in this order.
    #[track_caller]
    pub fn says(self, pieces: &[&str]) -> Self {
        in_order(&self.out, pieces);
        self
    }

    /// Fails unless standard error has these pieces, in this order.
    #[track_caller]
    pub fn complains(self, pieces: &[&str]) -> Self {
        in_order(&self.err, pieces);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("not JSON: {error}\n{}\n{}", self.out, self.err))
    }
}

/// Fails unless a text has these pieces, in this order.
#[track_caller]
pub fn in_order(text: &str, pieces: &[&str]) {
    let mut rest = text;
    for piece in pieces {
        let (_, behind) =
            rest.split_once(piece).unwrap_or_else(|| panic!("`{piece}` is not (in this place) in:\n{text}"));
        rest = behind;
    }
}

/// The built program. Built first if it is missing or older than its sources: `cargo test` does not do that for other packages.
pub fn sluice() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let build = build_dir();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--package", "sluice-cli"]).current_dir(root());
        command.arg("--target-dir").arg(build.parent().expect("a build lies in the target folder"));
        if build.ends_with("release") {
            command.arg("--release");
        }
        // What cargo tells a test about its own package would make build scripts that look at it (ring's) run again, and half the tree after them.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        let built = command.status().expect("cargo runs, since it runs this test");
        assert!(built.success(), "`cargo build --package sluice-cli` failed");
        build.join("sluice")
    })
}

/// A command of the program, in the repository's root, with the repository's registry and no other surroundings.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(sluice());
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if ["SLUICE_", "SECRET_", "KESTRA_", "CLICOLOR"].iter().any(|prefix| name_text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.current_dir(root());
    command.env("SLUICE_REGISTRY", registry()).env("SLUICE_DATA_DIR", data_dir());
    command.args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
#[track_caller]
pub fn run(arguments: &[&str]) -> Ran {
    end(command(arguments).spawn().expect("the program was just built"))
}

/// Runs the program with a text as its standard input.
#[track_caller]
pub fn run_reading(arguments: &[&str], input: &str) -> Ran {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().expect("the program was just built");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    stdin.write_all(input.as_bytes()).expect("the program reads its input");
    drop(stdin);
    end(child)
}

/// Waits for the end of a program, for a while.
#[track_caller]
pub fn end(child: Child) -> Ran {
    let pid = rustix::process::Pid::from_child(&child);
    let (send, receive) = mpsc::channel();
    let waiting = std::thread::spawn(move || {
        let _ = send.send(child.wait_with_output());
    });
    let output = match receive.recv_timeout(TIME_MAX) {
        Ok(output) => output.expect("a program of ours can be waited for"),
        Err(_) => {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            panic!("the program did not end in {TIME_MAX:?}");
        }
    };
    waiting.join().expect("waiting does not panic");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Asks a program to end, as Ctrl-C does.
pub fn interrupt(child: &Child) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), rustix::process::Signal::INT)
        .expect("a running program of ours takes signals");
}

/// A file in a folder of its own, gone at the end of the test.
pub struct Written {
    pub path: String,
    _folder: tempfile::TempDir,
}

/// Writes a file.
pub fn written(name: &str, content: impl AsRef<[u8]>) -> Written {
    let folder = tempfile::tempdir().expect("tests have a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("the folder is ours");
    Written { path: path.to_str().expect("temporary folders have plain names").to_owned(), _folder: folder }
}
