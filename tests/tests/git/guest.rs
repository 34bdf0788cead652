//! The component in a working directory, with nothing around it: what it writes is looked at where it lies.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use runtime::{
    Access, Cancel, Compiler, Config, Facts, Failure, Grants, HostPattern, Limits, Line, Metric, NetworkRule,
    NoServices, Outcome, PluginSource, Ports, Progress, Request, Runtime, Sink, SpecialRanges,
};
use serde_json::{Value, json};
use tests::data_dir;
use tests::git::Server;

/// The name of the guest's task.
pub const CLONE: &str = "io.kestra.plugin.git.Clone";

/// Compiled once for all tests of the program.
static RUNTIME: LazyLock<Arc<Runtime>> = LazyLock::new(|| {
    // Saying so twice is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::new(data_dir().join("compiled"), Compiler::InProcess);
    Runtime::new(config).expect("a runtime")
});

static PLUGIN: LazyLock<PluginSource> = LazyLock::new(|| {
    let folder = tests::registry().join("git");
    let mut versions: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("`{}`: {error}", folder.display()))
        .map(|entry| entry.expect("a folder is read").path())
        .collect();
    versions.sort();
    let newest = versions.pop().expect("one version at least").join("plugin.wasm");
    PluginSource::of_bytes("git", "1.0.0", std::fs::read(newest).expect("a component"))
});

/// What a run said.
#[derive(Default)]
struct Said(Mutex<Vec<Line>>);

impl Sink for Said {
    fn log(&self, line: Line) {
        self.0.lock().expect("nobody panics with it").push(line);
    }
    fn metric(&self, _: Metric) {}
    fn progress(&self, _: Progress) {}
}

/// Clones into a folder.
pub async fn cloned(server: &Server, into: &Path, properties: Value) -> Outcome {
    let mut input = json!({ "directory": "clone" });
    let whole = input.as_object_mut().expect("an object");
    whole.extend(properties.as_object().expect("an object").clone());
    let rule = |host| NetworkRule {
        host,
        ports: Ports::Only(vec![server.address().port()]),
        scheme: None,
        methods: None,
        special: SpecialRanges::Allowed,
    };
    let hosts = [HostPattern::Address(server.address().ip()), HostPattern::Name("localhost".to_owned())];
    let grants = Grants { network: hosts.map(rule).into(), working_dir: Access::Write, ..Grants::none() };
    let request = Request {
        plugin: PLUGIN.clone(),
        task_type: CLONE.to_owned(),
        input: input.to_string(),
        facts: Facts { keys: [("working-dir".to_owned(), ".".to_owned())].into_iter().collect(), ..Facts::default() },
        grants: Arc::new(grants),
        limits: Limits::default(),
        working_dir: Some(into.to_owned()),
        services: Arc::new(NoServices),
        sink: Arc::new(Said::default()),
        cancel: Cancel::new(),
    };
    RUNTIME.run(request).await
}

/// The outputs of a run that must succeed.
#[track_caller]
pub fn outputs(outcome: Outcome) -> Value {
    let text = outcome.result.unwrap_or_else(|failure| panic!("{failure:#?}"));
    serde_json::from_str(&text).expect("outputs are JSON")
}

/// The failure of a run that must fail.
#[track_caller]
pub fn failure(outcome: Outcome) -> Failure {
    outcome.result.map_or_else(|failure| failure, |text| panic!("should have failed, answered {text}"))
}
