//! Runs of guests: where components are, a sink that can be waited for, a server that answers as slowly as it is told.

use runtime::{
    Access, Cancel, Class, Compiler, Config, Facts, Failure, Grants, HostPattern, Limits, Line, Metric, NetworkRule,
    NoServices, Outcome, PluginSource, Ports, Progress, Request, Runtime, Sink, SpecialRanges,
};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A committed component.
pub fn prebuilt(name: &str) -> PluginSource {
    let path = root().join("tests/guests").join(format!("{name}.wasm"));
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; hint: `cargo xtask guests {name}`", path.display()));
    PluginSource::of_bytes(name, "1.0.0", bytes)
}

/// A component that somebody may have built with its own tools.
pub fn built(name: &str, how: &str) -> Option<PluginSource> {
    let path = root().join("target/guests").join(format!("{name}.wasm"));
    match std::fs::read(&path) {
        Ok(bytes) => Some(PluginSource::of_bytes(name, "1.0.0", bytes)),
        Err(_) => {
            eprintln!("skipped: `{name}` is not built; hint: {how}");
            None
        }
    }
}

/// A runtime whose compiled code outlives it, since compiling JavaScript and Python takes long. An entry is good only for the same
/// component and the same wasmtime.
pub fn runtime() -> Arc<Runtime> {
    let mut config = Config::new(root().join("target/guests/code"), Compiler::InProcess);
    config.pool_slots = 16;
    Runtime::new(config).unwrap()
}

/// A request with nothing granted.
pub fn request(plugin: &PluginSource, task: &str, input: &str) -> Request {
    Request {
        plugin: plugin.clone(),
        task_type: task.to_owned(),
        input: input.to_owned(),
        facts: Facts::default(),
        grants: Arc::new(Grants::none()),
        limits: Limits::default(),
        working_dir: None,
        services: Arc::new(NoServices),
        sink: Arc::new(Kept::default()),
        cancel: Cancel::new(),
    }
}

/// Leave to ask one port of this machine.
pub fn loopback(port: u16) -> Grants {
    Grants {
        network: vec![NetworkRule {
            host: HostPattern::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            ports: Ports::Only(vec![port]),
            scheme: None,
            methods: None,
            special: SpecialRanges::Allowed,
        }],
        ..Grants::none()
    }
}

/// Leave to change the working directory.
pub fn writing() -> Grants {
    Grants { working_dir: Access::Write, ..Grants::none() }
}

/// The outputs of a run that must succeed.
pub fn outputs(outcome: Outcome) -> serde_json::Value {
    let text = outcome.result.unwrap_or_else(|failure| panic!("{failure:#?}"));
    serde_json::from_str(&text).unwrap()
}

/// The failure of a run that must fail.
pub fn failure(outcome: Outcome) -> Failure {
    outcome.result.map_or_else(|failure| failure, |text| panic!("should have failed, answered {text}"))
}

#[track_caller]
pub fn assert_failure(failure: &Failure, class: Class, code: &str) {
    assert_eq!((failure.class, failure.code.as_str()), (class, code), "{failure:#?}");
}

/// A sink that keeps all lines and says how many there are.
pub struct Kept {
    lines: Mutex<Vec<Line>>,
    count: watch::Sender<usize>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { lines: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl Kept {
    pub fn messages(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().map(|line| line.message.clone()).collect()
    }

    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until a line has come.
    pub async fn wait_for(&self, message: &str) {
        let mut count = self.count.subscribe();
        while !self.messages().iter().any(|line| line == message) {
            count.changed().await.unwrap();
        }
    }
}

impl Sink for Kept {
    fn log(&self, line: Line) {
        let mut lines = self.lines.lock().unwrap();
        lines.push(line);
        self.count.send_replace(lines.len());
    }
    fn metric(&self, _: Metric) {}
    fn progress(&self, _: Progress) {}
}
