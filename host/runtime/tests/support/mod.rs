//! Components written as text, and requests around them.

use runtime::*;
use std::sync::{Arc, Mutex};

/// A component whose `run` is the given core function body. `module` holds further fields of the core module.
///
/// The body has the parameters `(task pointer, length, input pointer, length)` and returns a pointer to the result; `$ok` makes one of
/// the text at 1024 with the length given.
pub fn component(module: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
  (core module $m
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    (func $ok (param $length i32) (result i32)
      (i32.store (i32.const 16) (i32.const 0))
      (i32.store (i32.const 20) (i32.const 1024))
      (i32.store (i32.const 24) (local.get $length))
      (i32.const 16))
    {module}
    (func (export "run") (param $task i32) (param $tasklen i32) (param $input i32) (param $inputlen i32) (result i32) {body}))
  (core instance $i (instantiate $m))
  (type $f (record (field "code" string) (field "message" string) (field "retryable" (option bool)) (field "details" (option string))))
  (type $run (func (param "task" string) (param "input" string) (result (result string (error $f)))))
  (func $lifted (type $run) (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (component $shim
    (type $f (record (field "code" string) (field "message" string) (field "retryable" (option bool)) (field "details" (option string))))
    (import "failure" (type $fi (eq $f)))
    (import "run" (func $run (param "task" string) (param "input" string) (result (result string (error $fi)))))
    (export $fe "failure" (type $f))
    (export "run" (func $run) (func (param "task" string) (param "input" string) (result (result string (error $fe))))))
  (instance $out (instantiate $shim (with "failure" (type $f)) (with "run" (func $lifted))))
  (export "sluice:task/run@1.0.0" (instance $out)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// The smallest component that succeeds.
pub fn trivial() -> Vec<u8> {
    component(r#"(data (i32.const 1024) "{\"a\":1}")"#, "(call $ok (i32.const 7))")
}

/// A runtime with the cache that all tests share: the Rust guest is compiled once.
pub fn runtime() -> (Arc<Runtime>, tempfile::TempDir) {
    runtime_with(|config| config.cache_dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("code"))
}

/// A runtime with a cache of its own, unless the change says otherwise.
pub fn runtime_with(change: impl FnOnce(&mut Config)) -> (Arc<Runtime>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::new(directory.path().join("code"), Compiler::InProcess);
    config.pool_slots = 16;
    change(&mut config);
    (Runtime::new(config).unwrap(), directory)
}

/// A request with nothing granted.
pub fn request(wasm: &[u8]) -> Request {
    Request {
        plugin: PluginSource::of_bytes("test", "1.0.0", wasm.to_vec()),
        task_type: "test.Task".to_owned(),
        input: "{}".to_owned(),
        facts: Facts::default(),
        grants: Arc::new(Grants::none()),
        limits: Limits::default(),
        working_dir: None,
        services: Arc::new(NoServices),
        sink: Arc::new(NoSink),
        cancel: Cancel::new(),
    }
}

/// The failure of a run that must fail.
pub fn failure(outcome: Outcome) -> Failure {
    match outcome.result {
        Ok(text) => panic!("should have failed, answered {text}"),
        Err(failure) => failure,
    }
}

/// A sink that keeps everything.
#[derive(Default)]
pub struct Kept {
    pub lines: Mutex<Vec<Line>>,
    pub metrics: Mutex<Vec<Metric>>,
}

impl Sink for Kept {
    fn log(&self, line: Line) {
        self.lines.lock().unwrap().push(line);
    }
    fn metric(&self, metric: Metric) {
        self.metrics.lock().unwrap().push(metric);
    }
    fn progress(&self, _: Progress) {}
}

/// The prebuilt guest of `guests/probe`.
pub const PROBE: &[u8] = include_bytes!("../guests/probe.wasm");

/// A request to it.
pub fn probe_request(task: &str, input: &str) -> Request {
    Request { task_type: task.to_owned(), input: input.to_owned(), ..request(PROBE) }
}
