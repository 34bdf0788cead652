//! Real git as a client of servers on loopback, with nothing of the caller's configuration. Waits without standing in a server's way.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::command::command;
use super::group::Group;
use super::server::Server;

/// How long a command may take: far longer than any takes that does not hang.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// What a command said.
#[derive(Clone, Debug)]
pub struct Said {
    pub succeeded: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// One that has to have succeeded.
    #[track_caller]
    pub fn well(self) -> Self {
        assert!(self.succeeded, "git failed: {}{}", self.stdout, self.stderr);
        self
    }

    /// One that has to have failed; what it complained about.
    #[track_caller]
    pub fn complaint(self) -> String {
        assert!(!self.succeeded, "git succeeded: {}{}", self.stdout, self.stderr);
        self.stderr
    }
}

/// A client, and a folder to work in.
pub struct Client {
    folder: TempDir,
    settings: Vec<String>,
}

impl Client {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), settings: Vec::new() }
    }

    /// The same that speaks another version of the protocol; git's own choice is 2.
    pub fn protocol(mut self, version: u8) -> Self {
        self.settings.push(format!("protocol.version={version}"));
        self
    }

    /// The same that trusts the CA of a server.
    pub fn trusting(mut self, server: &Server) -> Self {
        self.settings.push(format!("http.sslCAInfo={}", server.ca_file().display()));
        self
    }

    /// The same with any setting, `key=value`.
    pub fn setting(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// The folder in which its clones are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command in the folder.
    pub async fn git(&self, arguments: &[&str]) -> Said {
        self.within("", arguments).await
    }

    /// A command in a clone.
    pub async fn within(&self, clone: &str, arguments: &[&str]) -> Said {
        let settings = self.settings.iter().flat_map(|setting| ["-c", setting.as_str()]);
        let all: Vec<&str> = settings.chain(arguments.iter().copied()).collect();
        let mut command = tokio::process::Command::from(command(&self.folder().join(clone), &all));
        let (child, group) = Group::start(&mut command).expect("git can be run");
        let output = tokio::time::timeout(COMMAND_MAX, child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("git {arguments:?} hangs")).expect("git can be waited for");
        group.gone();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { succeeded: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Clones into a folder of that name.
    pub async fn clone(&self, url: &str, into: &str) -> Said {
        self.git(&["clone", "-q", url, into]).await
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}
