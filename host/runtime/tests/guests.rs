//! A Rust guest (`guests/probe`), prebuilt: what standard libraries do in the sandbox, panics with lines, and every host interface.

use crate::support::*;
use runtime::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

#[test]
fn prebuilt_guest_is_of_these_sources() {
    use sha2::Digest as _;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/probe");
    let mut hasher = sha2::Sha256::new();
    for file in ["Cargo.toml", "Cargo.lock", "src/lib.rs", "src/with_secrets.rs"] {
        hasher.update(std::fs::read(folder.join(file)).unwrap());
    }
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let recorded = std::fs::read_to_string(folder.join("../probe.sha256")).unwrap();
    assert_eq!(recorded.trim(), found, "rebuild the guest: host/runtime/tests/guests/build.sh");
}

async fn probe(task: &str, input: &str, change: impl FnOnce(&mut Request)) -> Outcome {
    let (runtime, _directory) = runtime();
    let mut request = probe_request(task, input);
    change(&mut request);
    runtime.run(request).await
}

#[tokio::test]
async fn words_reach_the_sink() {
    let sink = Arc::new(Kept::default());
    let outcome = probe("words", "{}", |request| request.sink = sink.clone()).await;
    outcome.result.unwrap();
    let lines = sink.lines.lock().unwrap();
    let seen: Vec<(Level, &str)> = lines.iter().map(|line| (line.level, line.message.as_str())).collect();
    assert_eq!(
        seen,
        [
            (Level::Info, "to standard output"),
            (Level::Warn, "hello"),
            (Level::Warn, "to standard error, without an end")
        ]
    );
    assert_eq!(lines[0].fields, [("stream".to_owned(), "stdout".to_owned())]);
    assert_eq!(lines[1].fields, [("key".to_owned(), "value".to_owned())]);
    let metrics = sink.metrics.lock().unwrap();
    assert_eq!(metrics.len(), 1);
    assert_eq!((metrics[0].kind, metrics[0].value), (MetricKind::Counter, 2.0));
    assert_eq!(outcome.tape.by_function.get("sluice:host/log#log"), Some(&1));
    assert_eq!(outcome.metrics.host_calls, outcome.tape.calls);
}

#[tokio::test]
async fn tape_is_the_same_for_the_same_run() {
    let once = || async { probe("context", "{}", |_| ()).await.tape };
    let (first, second) = (once().await, once().await);
    assert!(first.calls >= 5);
    assert_eq!(first, second);
}

#[tokio::test]
async fn panic_names_the_line_and_keeps_stderr() {
    let failure = failure(probe("panic", "the maze", |_| ()).await);
    assert_eq!((failure.class, failure.code.as_str()), (Class::Trap, "PANIC"));
    assert!(failure.message.contains("no way out of the maze"), "{}", failure.message);
    assert!(failure.message.contains("src/lib.rs:"), "{}", failure.message);
    assert!(failure.stderr.unwrap().contains("about to panic"));
    assert!(failure.frames.iter().any(|frame| frame.function.contains("deep_panic")), "{:?}", failure.frames);
}

#[tokio::test]
async fn exit_is_no_answer() {
    let failure = failure(probe("exit", "{}", |_| ()).await);
    assert_eq!(failure.code, "EXIT");
    // WASI 0.2 has only two exits: well and badly.
    assert!(failure.message.contains("ended itself (exit status 1)"), "{}", failure.message);
}

#[tokio::test]
async fn memory_bomb_names_the_limit() {
    let failure = failure(probe("memory", "{}", |request| request.limits.memory_bytes = 32 << 20).await);
    assert_eq!(failure.code, "MEMORY_LIMIT");
    assert!(failure.message.contains("limit is 32 MiB"), "{}", failure.message);
}

#[tokio::test]
async fn log_bomb_is_counted_and_dropped() {
    let sink = Arc::new(Kept::default());
    let outcome = probe("log-bomb", "{}", |request| {
        request.sink = sink.clone();
        request.limits.log_lines = 100;
    })
    .await;
    outcome.result.unwrap();
    assert_eq!((outcome.metrics.log_lines, outcome.metrics.log_lines_dropped), (100, 99_900));
    let lines = sink.lines.lock().unwrap();
    assert_eq!(lines.len(), 101);
    assert!(lines[100].message.contains("99900 more lines"), "{}", lines[100].message);
}

#[tokio::test]
async fn output_bombs_are_refused() {
    assert_eq!(failure(probe("output-bomb", "{}", |_| ()).await).code, "OUTPUT_LIMIT");
    assert_eq!(failure(probe("huge-output", "{}", |_| ()).await).code, "CALL_LIMIT");
    assert_eq!(failure(probe("not-json", "{}", |_| ()).await).code, "BAD_OUTPUT");
}

#[tokio::test]
async fn too_many_handles_and_too_much_random_are_refused() {
    assert_eq!(failure(probe("handles", "{}", |_| ()).await).code, "HANDLE_LIMIT");
    assert_eq!(failure(probe("random-bomb", "{}", |_| ()).await).code, "RANDOM_LIMIT");
    let drawn = probe("random", "{}", |_| ()).await;
    assert_eq!(drawn.result.unwrap(), "{\"length\":16}");
    assert_eq!(drawn.tape.by_function.get("wasi:random/random#get-random-bytes"), Some(&1));
}

#[tokio::test]
async fn surroundings_are_empty() {
    let answer = probe("surroundings", "{}", |_| ()).await.result.unwrap();
    let value: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(value["environment"], 0);
    assert_eq!(value["arguments"], 0);
    assert_eq!(value["root"], false);
    assert_eq!(value["name"], false);
    assert!(value["socket"].as_str().unwrap().starts_with("Err("), "{answer}");
}

#[tokio::test]
async fn working_directory_is_the_only_one() {
    let outer = tempfile::tempdir().unwrap();
    let directory = outer.path().join("work");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(outer.path().join("secret.txt"), "no").unwrap();
    std::fs::write(directory.join("given.txt"), "yes").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", directory.join("link.txt")).unwrap();
    let run = |access| {
        let directory = directory.clone();
        async move {
            let outcome = probe("working-dir", "{}", |request| {
                request.working_dir = Some(directory);
                request.grants = Arc::new(Grants { working_dir: access, ..Grants::none() });
            })
            .await;
            outcome.result.unwrap()
        }
    };
    assert_eq!(run(Access::Write).await, "{\"read\":\"yes\",\"wrote\":true,\"out\":false}");
    assert_eq!(std::fs::read_to_string(directory.join("made.txt")).unwrap(), "by the guest");
    assert_eq!(run(Access::Read).await, "{\"read\":\"yes\",\"wrote\":false,\"out\":false}");
    assert!(run(Access::None).await.ends_with("\"wrote\":false,\"out\":false}"));
}

#[tokio::test]
async fn context_tells_the_facts() {
    let outcome = probe("context", "{}", |request| {
        request.facts.keys.insert("flow.id".to_owned(), "hello".to_owned());
        request.facts.attempt = 2;
        request.facts.idempotency_key = "abc".to_owned();
    })
    .await;
    assert_eq!(
        outcome.result.unwrap(),
        "{\"flow\":\"hello\",\"attempt\":2,\"key\":\"abc\",\"remaining\":true,\"cancelled\":false}"
    );
}

/// A server in little.
#[derive(Default)]
struct Answers {
    kv: Mutex<HashMap<String, String>>,
    file: Arc<Mutex<Vec<u8>>>,
    effects: Mutex<Vec<Effect>>,
}

struct Writing(Arc<Mutex<Vec<u8>>>);

impl FileWriter for Writing {
    fn write<'a>(&'a mut self, bytes: Vec<u8>) -> Soon<'a, Result<(), HostError>> {
        self.0.lock().unwrap().extend(bytes);
        Box::pin(async { Ok(()) })
    }
    fn finish<'a>(&'a mut self) -> Soon<'a, Result<String, HostError>> {
        Box::pin(async { Ok("kestra:///a.txt".to_owned()) })
    }
}

impl Services for Answers {
    fn kv_get<'a>(&'a self, _: Option<String>, key: String) -> Soon<'a, Result<Option<String>, HostError>> {
        Box::pin(async move { Ok(self.kv.lock().unwrap().get(&key).cloned()) })
    }
    fn kv_set<'a>(
        &'a self,
        _: Option<String>,
        key: String,
        value: String,
        _: String,
    ) -> Soon<'a, Result<(), HostError>> {
        self.kv.lock().unwrap().insert(key, value);
        Box::pin(async { Ok(()) })
    }
    fn file_size<'a>(&'a self, _: String) -> Soon<'a, Result<u64, HostError>> {
        Box::pin(async { Ok(self.file.lock().unwrap().len() as u64) })
    }
    fn file_read<'a>(&'a self, _: String, offset: u64, _: u32) -> Soon<'a, Result<Vec<u8>, HostError>> {
        Box::pin(async move { Ok(self.file.lock().unwrap()[offset as usize..].to_vec()) })
    }
    fn file_create<'a>(&'a self, _: FileTarget) -> Soon<'a, Result<Box<dyn FileWriter>, HostError>> {
        let file = self.file.clone();
        Box::pin(async { Ok(Box::new(Writing(file)) as Box<dyn FileWriter>) })
    }
    fn secrets(&self) -> &dyn Secrets {
        self
    }
    fn before_effect<'a>(&'a self, effect: Effect) -> Soon<'a, Result<(), HostError>> {
        self.effects.lock().unwrap().push(effect);
        Box::pin(async { Ok(()) })
    }
}

impl Secrets for Answers {
    fn handle<'a>(&'a self, name: String) -> Soon<'a, Result<String, HostError>> {
        Box::pin(async move { Ok(format!("placeholder-of-{name}")) })
    }
}

#[tokio::test]
async fn services_are_asked_when_granted() {
    let services = Arc::new(Answers::default());
    let grants = Arc::new(Grants {
        kv: vec![KvRule { access: Access::Write, keys: "*".to_owned() }],
        files: Access::Write,
        secrets: vec!["token".to_owned()],
        ..Grants::none()
    });
    for (task, expected) in [
        ("kv", "{\"value\":1}"),
        ("files", "{\"size\":11,\"tail\":\"world\"}"),
        ("handle", "{\"handle\":\"placeholder-of-token\"}"),
    ] {
        let outcome = probe(task, "{}", |request| {
            request.services = services.clone();
            request.grants = grants.clone();
        })
        .await;
        assert_eq!(outcome.result.unwrap(), expected);
    }
}

#[tokio::test]
async fn nothing_is_granted_by_default() {
    let program = "{\"program\":\"echo\"}";
    for (task, input) in [("kv", "{}"), ("files", "{}"), ("handle", "{}"), ("reveal", "{}"), ("process", program)] {
        let sink = Arc::new(Kept::default());
        let outcome = probe(task, input, |request| {
            request.services = Arc::new(Answers::default());
            request.sink = sink.clone();
        })
        .await;
        let failure = failure(outcome);
        assert_eq!(failure.code, "NOT_GRANTED", "{task}: {}", failure.message);
        assert!(failure.message.contains("hint:"), "{task}: {}", failure.message);
        assert_eq!(sink.lines.lock().unwrap()[0].level, Level::Warn, "{task}: the refusal is logged");
    }
}

#[tokio::test]
async fn granted_program_runs_after_the_gate() {
    let directory = tempfile::tempdir().unwrap();
    let services = Arc::new(Answers::default());
    let run = |input: &'static str| {
        let (services, path) = (services.clone(), directory.path().to_owned());
        async move {
            probe("process", input, |request| {
                request.services = services;
                request.working_dir = Some(path);
                request.grants = Arc::new(Grants { processes: vec!["sh".to_owned()], ..Grants::none() });
            })
            .await
        }
    };
    let outcome =
        run("{\"program\":\"sh\",\"arguments\":[\"-c\",\"echo $WHO $HOME; exit 4\"],\"environment\":{\"WHO\":\"me\"}}")
            .await;
    assert_eq!(outcome.result.unwrap(), "{\"code\":4,\"text\":\"me\"}");
    assert_eq!(*services.effects.lock().unwrap(), [Effect::Process { program: "sh".to_owned() }]);
    assert_eq!(failure(run("{\"program\":\"/bin/sh\"}").await).code, "BAD_ARGUMENT");
    assert_eq!(failure(run("{\"program\":\"cat\"}").await).code, "NOT_GRANTED");
}

#[tokio::test]
async fn describe_runs_without_grants() {
    let (runtime, _directory) = runtime();
    assert_eq!(runtime.describe(PROBE).await.unwrap(), "{\"name\":\"probe\"}");
    let error = runtime.describe(&trivial()).await.unwrap_err().to_string();
    assert!(error.contains("describe"), "{error}");
}
