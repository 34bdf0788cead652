//! How git is called: with a configuration that is ours alone, a fixed author, and no way to ask a human. Nothing of the caller's environment gets in
//! but where programs and temporary files are.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Who wrote every commit.
pub(super) const NAME: &str = "Ada Lovelace";
pub(super) const EMAIL: &str = "ada@example.com";
/// When the first commit of a repository was made: 2023-11-14T22:13:20Z.
pub(super) const BEGIN: u64 = 1_700_000_000;

/// What holds for every call: answers that do not depend on the machine.
const SETTINGS: &[(&str, &str)] = &[
    // Repositories of tests are ours, whoever runs them.
    ("safe.directory", "*"),
    ("core.autocrlf", "false"),
    ("core.symlinks", "true"),
    ("core.quotePath", "true"),
    // Trees of tests are deeper than git likes.
    ("core.maxTreeDepth", "20000"),
    // What a test makes need not outlive a power cut.
    ("core.fsync", "none"),
    // Nothing happens behind a test's back.
    ("gc.auto", "0"),
    ("receive.autogc", "false"),
    ("maintenance.auto", "false"),
    ("advice.detachedHead", "false"),
    ("init.defaultBranch", "main"),
];

/// Whether there is a git that can serve; says why a test is skipped otherwise.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub fn available() -> bool {
    match backend() {
        Ok(_) => true,
        Err(reason) => {
            eprintln!("skipped: {reason}");
            false
        }
    }
}

/// The CGI program that serves repositories, or why there is none.
pub(super) fn backend() -> Result<&'static Path, &'static str> {
    static BACKEND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = BACKEND.get_or_init(|| {
        let said = Command::new("git").arg("--exec-path").output();
        let said = said.map_err(|error| format!("git cannot be run: {error}"))?;
        let backend = Path::new(String::from_utf8_lossy(&said.stdout).trim()).join("git-http-backend");
        match backend.is_file() {
            true => Ok(backend),
            false => {
                Err(format!("git has no `{}`; hint: some systems have it in a package of its own", backend.display()))
            }
        }
    });
    found.as_deref().map_err(String::as_str)
}

/// The environment of every call, settings that come on top of ours included.
pub(super) fn environment(settings: &[(String, String)]) -> Vec<(String, String)> {
    let passed_on =
        ["PATH", "TMPDIR"].into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
    let fixed = [
        // No home: no configuration, no keys, no `.netrc`.
        ("HOME", "/dev/null"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("GIT_AUTHOR_NAME", NAME),
        ("GIT_AUTHOR_EMAIL", EMAIL),
        ("GIT_COMMITTER_NAME", NAME),
        ("GIT_COMMITTER_EMAIL", EMAIL),
    ];
    let dates = ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"].map(|name| (name.to_owned(), format!("{BEGIN} +0000")));
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let settings: Vec<(String, String)> = SETTINGS.iter().map(owned).chain(settings.iter().cloned()).collect();
    let count = ("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string());
    let numbered = settings.into_iter().enumerate().flat_map(|(at, (key, value))| {
        [(format!("GIT_CONFIG_KEY_{at}"), key), (format!("GIT_CONFIG_VALUE_{at}"), value)]
    });
    passed_on.chain(fixed.iter().map(owned)).chain(dates).chain([count]).chain(numbered).collect()
}

/// A call that has not been made yet.
pub(super) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).env_clear().envs(environment(&[]));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a call prints, or what it complains about. Waits for a git that waits for nobody: it works on folders, not on the network.
pub(super) fn tried(folder: &Path, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
    ran(command(folder, arguments), input)
}

/// The same of a command that stands.
pub(super) fn ran(mut command: Command, input: &[u8]) -> Result<Vec<u8>, String> {
    command.stdin(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("git cannot be run: {error}"))?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    // Both pipes fill up: who only writes waits for ever for one who only writes.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // Who does not read to the end says why on stderr.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output()
    });
    let output = output.map_err(|error| format!("git cannot be waited for: {error}"))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(format!("{command:?} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr))),
    }
}

/// What a call prints that has to succeed.
#[track_caller]
pub(super) fn done(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    match tried(folder, arguments, input) {
        Ok(printed) => printed,
        Err(complaint) => panic!("git {arguments:?}: {complaint}"),
    }
}

/// The same as text, without the end of its last line.
#[track_caller]
pub(super) fn text(folder: &Path, arguments: &[&str], input: &[u8]) -> String {
    String::from_utf8_lossy(&done(folder, arguments, input)).trim_end_matches('\n').to_owned()
}
