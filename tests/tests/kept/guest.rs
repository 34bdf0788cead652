//! A node whose guests do what their task's property `do` says, call by call, and give the answers as outputs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Check, Host, Source};
use model::execution::TaskRun;
use model::ids::{ExecutionId, Namespace};
use model::state::State;
use runtime::{Class, Failure, FileTarget, HostError, Outcome, Request, RunMetrics, TapeSummary};
use serde_json::{Value, json};
use server::{Config, Node, Runs, Save, Seen, Start};
use store::rows::{self, Key, NamespaceKey};
use store::{MemoryStore, Store as _, View};
use tokio::sync::Notify;

/// The smallest component.
const COMPONENT: &[u8] = &[0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
/// What `secret('TOKEN')` is.
pub const SECRET: &str = "correct horse battery staple";
/// Longest a test waits for something that must happen.
const WAIT: Duration = Duration::from_secs(60);

/// What lets a guest that waits go on, and tells that one waits.
#[derive(Clone, Default)]
pub struct Gate {
    pub waits: Arc<Notify>,
    pub opens: Arc<Notify>,
}

struct Guests(Gate);

impl Runs for Guests {
    fn run(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async move {
            let result = tokio::select! {
                biased;
                () = request.cancel.cancelled() => Err(Failure::new(Class::Host, "CANCELLED", "it was cancelled")),
                result = self.guest(&request) => result,
            };
            Outcome { result, metrics: RunMetrics::default(), tape: TapeSummary::default() }
        })
    }
}

impl Guests {
    async fn guest(&self, request: &Request) -> Result<String, Failure> {
        let properties: Value = serde_json::from_str(&request.input).unwrap_or_default();
        let mut answers = Vec::new();
        for call in properties["do"].as_array().into_iter().flatten() {
            match call[0].as_str() {
                Some("fail") => return Err(Failure::new(Class::Guest, "FAILS", "as it was told to")),
                Some("wait") => {
                    self.0.waits.notify_one();
                    self.0.opens.notified().await;
                }
                _ => match self.call(request, call).await {
                    Ok(answer) => answers.push(answer),
                    Err(error) => answers.push(json!(error.code)),
                },
            }
        }
        Ok(json!({ "answers": answers }).to_string())
    }

    async fn call(&self, request: &Request, call: &Value) -> Result<Value, HostError> {
        let text = |at: usize| call[at].as_str().unwrap_or_default().replace("hidden:", "nsfile://");
        let named = |at: usize| call[at].as_str().map(str::to_owned);
        let target = |target: String| match target.starts_with("nsfile://") {
            true => FileTarget::Namespace(target),
            false => FileTarget::Run(target),
        };
        let services = &request.services;
        let parsed = |answer: String| serde_json::from_str(&answer).unwrap_or(Value::String(answer));
        match text(0).as_str() {
            "set" => {
                let options = if call[4].is_null() { json!({}) } else { call[4].clone() };
                services.kv_set(named(1), text(2), call[3].to_string(), options.to_string()).await?;
                Ok(json!("ok"))
            }
            "get" => Ok(services.kv_get(named(1), text(2)).await?.map_or(Value::Null, parsed)),
            "delete" => Ok(json!(services.kv_delete(named(1), text(2)).await?)),
            "keys" => Ok(json!(services.kv_keys(named(1), text(2), named(3)).await?)),
            "find" => {
                let mut found = parsed(services.kv_find(call[1].to_string().replace("hidden:", "")).await?);
                let items = found["items"].as_array_mut().into_iter().flatten();
                Ok(items.map(|item| json!([item["namespace"], item["key"], item["revision"], item["type"]])).collect())
            }
            "write" => {
                let mut writer = services.file_create(target(text(1))).await?;
                writer.write(text(2).into_bytes()).await?;
                Ok(json!(writer.finish().await?))
            }
            "read" => {
                let bytes = services.file_read(text(1), 0, 1 << 16).await?;
                Ok(json!(String::from_utf8_lossy(&bytes)))
            }
            "copy" => Ok(json!(services.file_copy(text(1), target(text(2))).await?)),
            "remove" => Ok(json!(services.file_delete(text(1)).await?)),
            "files" => Ok(json!(services.file_find(text(1), named(2)).await?)),
            "render" => Ok(json!(services.render(expression(&text(1)), call[2].to_string()).await?)),
            "render-each" => {
                let variables = call[2].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
                let answers = services.render_each(expression(&text(1)), variables.collect()).await?;
                Ok(answers
                    .into_iter()
                    .map(|answer| answer.map_or_else(|error| json!(error.code), Value::from))
                    .collect())
            }
            "is-placeholder" => {
                let text = services.render(expression(&text(1)), "{}".to_owned()).await?;
                Ok(json!(text.starts_with("sluicesecret") && text != SECRET))
            }
            "set-rendered" => {
                let rendered = services.render(expression(&text(2)), "{}".to_owned()).await?;
                services.kv_set(None, text(1), json!(rendered).to_string(), "{}".to_owned()).await?;
                Ok(json!("ok"))
            }
            "is-own" => {
                let value = services.kv_get(None, text(1)).await?.unwrap_or_default();
                Ok(json!(value.starts_with("\"sluicesecret")))
            }
            "objects" => {
                let query = call[1].to_string().replace("hidden:", "");
                Ok(parsed(services.objects_find(query).await?))
            }
            "object" => Ok(json!(services.objects_read(text(1), text(2), text(3)).await?)),
            "apply" => Ok(parsed(services.objects_apply(call[1].to_string()).await?)),
            other => panic!("the guest knows no `{other}`"),
        }
    }
}

/// An expression that only the guest makes of a text, so that the server does not render it before.
fn expression(text: &str) -> String {
    text.replace("((", "{{ ").replace("))", " }}")
}

/// A node, and what its guests are told with.
pub struct World {
    pub node: Arc<Node>,
    pub store: Arc<MemoryStore>,
    pub gate: Gate,
    _scratch: tempfile::TempDir,
}

impl World {
    pub async fn open() -> Self {
        let scratch = tempfile::tempdir().expect("a folder");
        let kinds = ["file", "flow", "execution", "execution:delete", "log", "log:delete"];
        let manifest = json!({
            "abi": "1.0", "name": "guest", "version": "1.0.0", "title": "Guest",
            "capabilities": { "kv": ["get", "set", "delete", "keys"], "files": true, "secrets": true, "objects": kinds },
            "tasks": [{ "type": "com.example.guest.Do", "effects": "none" }],
        });
        let component = catalog::embed(COMPONENT, manifest.to_string().as_bytes()).expect("it is a component");
        let file = scratch.path().join("guest.wasm");
        std::fs::write(&file, component).expect("a file is written");
        let host = Host { version: env!("CARGO_PKG_VERSION").parse().expect("a version"), built_in: Vec::new() };
        let catalog = Catalog::open(vec![Source::File(file)], host, Check::Digests);
        let store = Arc::new(MemoryStore::default());
        let gate = Gate::default();
        let guests = Arc::new(Guests(gate.clone()));
        let mut config = Config::new(store.clone(), guests, catalog, scratch.path().join("scratch"));
        config.secrets.insert("TOKEN".to_owned(), SECRET.to_owned());
        let node = Node::open(config).await.expect("it opens");
        Self { node, store, gate, _scratch: scratch }
    }

    /// Starts a flow of these tasks, one after the other.
    pub async fn start(&self, tasks: &str) -> ExecutionId {
        let indented: String = tasks.lines().map(|line| format!("  {line}\n")).collect();
        self.start_flow(&format!("id: kept\nnamespace: a.b\ntasks:\n{indented}")).await
    }

    async fn start_flow(&self, source: &str) -> ExecutionId {
        let saved = self.node.save_flow(source, Save::Any).await.unwrap_or_else(|error| {
            panic!("the flow is refused: {error} {:?}", error.issues());
        });
        let start = Start::of(saved.flow.key.namespace.to_string(), saved.flow.key.id.to_string());
        self.node.start(start).await.expect("it starts")
    }

    pub async fn ended(&self, id: &ExecutionId) -> Seen {
        tokio::time::timeout(WAIT, self.node.ended(id)).await.expect("it ends").expect("it is there")
    }

    /// Runs a flow of these tasks to its end, in this state.
    pub async fn run(&self, tasks: &str, state: State) -> Seen {
        let id = self.start(tasks).await;
        let seen = self.ended(&id).await;
        assert_eq!(seen.execution.state(), state, "{:?}", seen.runs);
        seen
    }

    /// Runs a flow to its end, in this state.
    pub async fn run_flow(&self, source: &str, state: State) -> ExecutionId {
        let id = self.start_flow(source).await;
        assert_eq!(self.ended(&id).await.execution.state(), state);
        id
    }

    /// Waits until a guest waits.
    pub async fn waits(&self) {
        tokio::time::timeout(WAIT, self.gate.waits.notified()).await.expect("a guest waits");
    }

    /// A value as it is stored.
    pub async fn value(&self, namespace: &str, key: &str) -> Option<rows::Kv> {
        let key = Key::Kv(NamespaceKey::main(Namespace::trusted(namespace)), key.into());
        let store: &dyn store::Store = self.store.as_ref();
        let found = store.find::<rows::Kv>(View::Newest, key).await.expect("the store reads");
        found.map(|found| (*found.row).clone())
    }

    pub async fn has_file(&self, path: &str) -> bool {
        self.store.get(View::Newest, Key::File(path.into())).await.expect("the store reads").is_some()
    }
}

/// What a task's guest was answered.
pub fn answers(seen: &Seen, task: &str) -> Value {
    let runs: Vec<&TaskRun> = seen.runs.iter().filter(|run| run.task.as_str() == task).collect();
    runs.last().map(|run| run.outputs.to_json()["answers"].clone()).unwrap_or_default()
}

/// A task that makes these calls.
pub fn task(id: &str, calls: Value) -> String {
    format!("- {{id: {id}, type: com.example.guest.Do, do: {calls}}}\n")
}
