//! Every host call of an LLM task passes the one recording point: what the stand-in, the log and the metrics saw is on the tapes, the task's and the
//! provider's, and nothing else is.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::{Compiler, Config, Outcome, PluginSource, Request, Runtime};
use serde_json::{Value, json};
use server::{Node, Runs};
use tests::data_dir;
use tests::models::{Models, Provider, Script};
use tests::served::{Options, config};

use crate::{ask, model_of, provider, secrets};

/// Calls that LLM tasks make, of all that a host has. A clock or a random number elsewhere would not be among them.
const KNOWN: [&str; 22] = [
    "sluice:host/context#get",
    "sluice:host/context#idempotency-key",
    "sluice:host/context#remaining-ms",
    "sluice:host/log#log",
    "sluice:host/report#metric",
    "sluice:host/report#progress",
    "sluice:host/secrets#sign",
    "sluice:host/secrets#field",
    "sluice:llm/broker#chat",
    "sluice:llm/broker#answer.next",
    "sluice:llm/broker#answer.finish",
    "sluice:llm/parts#emit",
    "wasi:clocks/monotonic-clock#now",
    "wasi:clocks/wall-clock#now",
    "wasi:http/outgoing-handler#handle",
    "wasi:io/streams#read",
    "wasi:random/random#get-random-bytes",
    "wasi:random/random#get-random-u64",
    "wasi:random/insecure-seed#insecure-seed",
    "wasi:random/insecure#get-insecure-random-bytes",
    "wasi:random/insecure#get-insecure-random-u64",
    "wasi:http/types#body",
];

/// A tape, and whose: `None` of the task, else of a provider.
type Tape = (Option<String>, Value);

/// Runs components, and keeps what was on their tapes.
struct Kept {
    runtime: Arc<Runtime>,
    tapes: Arc<Mutex<Vec<Tape>>>,
}

impl Kept {
    fn keep(&self, whose: Option<String>, outcome: &Outcome) {
        let tape = json!({ "calls": outcome.tape.calls, "by": outcome.tape.by_function });
        self.tapes.lock().unwrap_or_else(PoisonError::into_inner).push((whose, tape));
    }
}

impl Runs for Kept {
    fn run(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async move {
            let outcome = Runs::run(self.runtime.as_ref(), request).await;
            self.keep(None, &outcome);
            outcome
        })
    }

    fn prepare<'a>(
        &'a self,
        plugin: &'a PluginSource,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Runs::prepare(self.runtime.as_ref(), plugin)
    }

    fn chat(&self, request: Request, asked: String) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async move {
            let whose = request.task_type.clone();
            let outcome = Runs::chat(self.runtime.as_ref(), request, asked).await;
            self.keep(Some(whose), &outcome);
            outcome
        })
    }
}

fn count(tape: &Value, call: &str) -> u64 {
    tape["by"][call].as_u64().unwrap_or(0)
}

/// Lines of the log: what was said, and how far it was.
fn told(tape: &Value) -> u64 {
    count(tape, "sluice:host/log#log") + count(tape, "sluice:host/report#progress")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_on_a_tape() {
    let texts: Vec<String> = (0..40).map(|at| format!("piece {at} ")).collect();
    let rules = json!([{ "answer": { "texts": texts } }]);
    let models = Arc::new(Models::start(Script::parse(&rules.to_string()).expect("a script")).await);
    let tapes = Arc::new(Mutex::new(Vec::new()));
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { outside: vec![models.address()], secrets: secrets(&models), ..Options::default() };
    let config = config(options, folder.path());
    let runtime = Runtime::new(Config::new(data_dir().join("compiled"), Compiler::InProcess)).expect("a runtime");
    let runs = Arc::new(Kept { runtime, tapes: tapes.clone() });
    let node = Node::open(server::Config { runtime: runs, ..config }).await.expect("the store opens");

    for one in Provider::ALL {
        tapes.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let before = models.seen().len();
        let id = format!("f_{}", one.name().replace('-', "_"));
        let mut task = ask(provider(&models, one, model_of(one)), "Tell me.");
        task["id"] = json!("t");
        let source = json!({ "id": id, "namespace": "tests.llm", "tasks": [task] }).to_string();
        node.save_flow(&source, server::Save::Any).await.expect("a flow");
        let started = node.start(server::Start::of("tests.llm", &id)).await.expect("it starts");
        let mut watch = node.watch(started.as_str());
        while !node.execution(started.as_str()).await.expect("it is there").is_over() {
            watch.changed().await;
        }
        let kept = tapes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of = |whose: fn(&Tape) -> bool| kept.iter().find(|tape| whose(tape)).map(|(_, tape)| tape.clone());
        let (task, provider) = (of(|(whose, _)| whose.is_none()), of(|(whose, _)| whose.is_some()));
        let (task, provider) = (task.expect("of the task"), provider.expect("of the provider"));
        let name = one.name();

        // Each request that arrived is a call, and each part that was handed over is one on both sides.
        let arrived = u64::try_from(models.seen().len() - before).expect("few");
        assert_eq!(count(&provider, "wasi:http/outgoing-handler#handle"), arrived, "{name}: {provider:#}");
        let parts = count(&provider, "sluice:llm/parts#emit");
        assert!(parts >= 40, "{name}: {parts} parts were handed over");
        assert_eq!(count(&task, "sluice:llm/broker#answer.next"), parts + 1, "{name}");
        assert_eq!(
            (count(&task, "sluice:llm/broker#chat"), count(&task, "sluice:llm/broker#answer.finish")),
            (1, 1),
            "{name}"
        );
        // What is shown of the task run came through it as well.
        let lines = node.logs(started.as_str(), 0, 1_000).await.expect("lines");
        let of_guests: Vec<&str> =
            lines.iter().filter(|line| line.task.is_some()).map(|line| line.message.as_ref()).collect();
        let said = of_guests.len() as u64;
        assert_eq!(told(&task) + told(&provider), said, "{name}: {of_guests:?}");
        for tape in [&task, &provider] {
            let by = tape["by"].as_object().expect("counts");
            let all: u64 = by.values().filter_map(Value::as_u64).sum();
            assert_eq!(tape["calls"].as_u64(), Some(all), "{name}");
            let unknown: Vec<&String> = by.keys().filter(|call| !KNOWN.contains(&call.as_str())).collect();
            assert!(unknown.is_empty(), "{name}: {unknown:?}");
        }
        // Who signs with the time asks for it through the recorder.
        let signs = matches!(one, Provider::Bedrock | Provider::VertexAi);
        assert_eq!(count(&provider, "sluice:host/secrets#sign"), u64::from(signs), "{name}");
        assert_eq!(count(&provider, "wasi:clocks/wall-clock#now") > 0, signs, "{name}");
    }
    node.shutdown().await;
    drop(node);
    Arc::into_inner(models).expect("nobody else has it").end().await;
}
