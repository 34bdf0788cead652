//! What an LLM task costs beyond the provider's answer: the same question asked by a plain client, by a task of the provider's own plugin, and by a task of
//! `ai`, which goes through the host's broker to the provider's component. The stand-in answers at once, over connections that are open.
//!
//!     cargo bench --locked --workspace --bench llm
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints what it measured")]

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use runtime::{Compiler, Config, Outcome, PluginSource, Request, Runtime};
use serde_json::{Value, json};
use server::{Node, Runs};
use tests::data_dir;
use tests::models::{Models, Provider, Script};
use tests::served::{Options, config};

/// As in `sluice`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Questions of each kind; the first tenth warms up.
const QUESTIONS: usize = 550;
const WARM: usize = 50;

/// Runs components, and notes how long each task took.
struct Timed {
    runtime: Arc<Runtime>,
    took: Arc<Mutex<Vec<Duration>>>,
}

impl Runs for Timed {
    fn run(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async move {
            let began = Instant::now();
            let outcome = Runs::run(self.runtime.as_ref(), request).await;
            self.took.lock().unwrap().push(began.elapsed());
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
        Runs::chat(self.runtime.as_ref(), request, asked)
    }
}

fn main() {
    // `cargo test --benches` calls benches too; only `cargo bench` says `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let workers = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    workers.block_on(measure());
}

async fn measure() {
    let models = Models::start(Script::default()).await;
    let base = models.base(Provider::OpenAi);
    let plain = direct(&format!("{base}/chat/completions"), models.key(Provider::OpenAi)).await;
    let own = json!({
        "id": "t", "type": "io.kestra.plugin.openai.ChatCompletion", "apiKey": "{{ secret('KEY') }}", "baseUrl": base,
        "model": "gpt-4o", "prompt": "Who are you?",
    });
    let any = json!({
        "id": "t", "type": "io.kestra.plugin.ai.completion.ChatCompletion",
        "provider": { "type": "io.kestra.plugin.ai.provider.OpenAI", "apiKey": "{{ secret('KEY') }}", "baseUrl": base, "modelName": "gpt-4o" },
        "messages": [{ "type": "USER", "content": "Who are you?" }],
    });
    let (own, any) = (tasks(&models, own).await, tasks(&models, any).await);
    let answer = plain.0;
    println!("{:<44} {:>9} {:>9} {:>22}", "", "p50", "p99", "beyond the answer, p50 / p99");
    for (title, (half, most)) in [
        ("plain client", plain),
        ("task of the provider's plugin", own),
        ("task of `ai`, over the broker, streamed", any),
    ] {
        let beyond = |time: Duration| time.saturating_sub(answer).as_secs_f64() * 1e3;
        println!(
            "{title:<44} {:>6.2} ms {:>6.2} ms {:>9.2} / {:.2} ms",
            half.as_secs_f64() * 1e3,
            most.as_secs_f64() * 1e3,
            beyond(half),
            beyond(most)
        );
    }
    models.end().await;
}

/// The middle and the slowest hundredth.
fn spread(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.drain(..WARM);
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// The same question from a client that keeps its connection.
async fn direct(url: &str, key: &str) -> (Duration, Duration) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": "Who are you?" }] }).to_string();
    let mut times = Vec::new();
    for _ in 0..QUESTIONS {
        let began = Instant::now();
        let asked = client.post(url).bearer_auth(key).header("content-type", "application/json").body(body.clone());
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap();
        times.push(began.elapsed());
    }
    spread(times)
}

/// How long a task runs, from its guest's start to its end: no rendering, no engine, no store but for what it waits on before its request leaves.
async fn tasks(models: &Models, task: Value) -> (Duration, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let secrets = [("KEY".to_owned(), models.key(Provider::OpenAi).to_owned())].into();
    let options = Options { outside: vec![models.address()], secrets, ..Options::default() };
    let config = config(options, folder.path());
    let runtime = Runtime::new(Config::new(data_dir().join("compiled"), Compiler::InProcess)).unwrap();
    let took = Arc::new(Mutex::new(Vec::new()));
    let runs = Arc::new(Timed { runtime, took: took.clone() });
    let node = Node::open(server::Config { runtime: runs, ..config }).await.unwrap();
    let source = json!({ "id": "f", "namespace": "bench", "tasks": [task] }).to_string();
    node.save_flow(&source, server::Save::Any).await.unwrap();
    for _ in 0..QUESTIONS {
        let id = node.start(server::Start::of("bench", "f")).await.unwrap();
        let mut watch = node.watch(id.as_str());
        while !node.execution(id.as_str()).await.unwrap().is_over() {
            watch.changed().await;
        }
    }
    node.shutdown().await;
    let times = std::mem::take(&mut *took.lock().unwrap());
    spread(times)
}
