//! Flows that others wrote for documents, as they stand: `SLUICE_DOCS_FLOWS` names their folder. Each can be read, and what it lacks is a
//! plugin with a name, or a feature; those that lack nothing run to their end, on a clock that jumps over what they wait for, with stand-ins
//! for the flows they call. Without the variable nothing is tested, and it says so.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests; the report is what is read")]

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use expr::Value;
use jiff::Timestamp;
use model::flow::Flow;
use model::survey::{Reason, Verdict};
use model::task::{FlowTask, TaskKind};
use server::{Clock, Given, Node, Save, Seen, Start};
use tests::served::{Options, config};

/// Longest a flow may take on the clock that jumps: one of them sleeps for nine hours.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Flows that ask others than flows: `tests/llm` and `tests/git` run them, with somebody to ask.
const ASKING: [&str; 5] = [
    "add_tasks_to_todoist.yaml",
    "check_weather.yaml",
    "gen_img_approval.yaml",
    "namespace_git_sync.yaml",
    "tenant_git_sync.yaml",
];

/// A clock that goes as tokio's does, which is paused, and jumps to what is next when nothing is left to do.
#[derive(Clone, Copy)]
struct Jumping {
    began: Timestamp,
    at: tokio::time::Instant,
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        self.began.saturating_add(self.at.elapsed()).unwrap()
    }

    fn until(&self, due: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let wait = Duration::try_from(due.duration_since(self.now())).unwrap_or_default();
        Box::pin(tokio::time::sleep(wait.min(LONGEST)))
    }
}

fn sources() -> Option<Vec<(String, String)>> {
    let Some(folder) = std::env::var_os("SLUICE_DOCS_FLOWS") else {
        println!("not run: SLUICE_DOCS_FLOWS names no folder with flows");
        return None;
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    paths.sort();
    assert!(!paths.is_empty(), "there are flows");
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    Some(paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect())
}

#[test]
fn every_flow_can_be_read_and_what_it_lacks_has_a_name() {
    let Some(sources) = sources() else { return };
    let folder = tempfile::tempdir().unwrap();
    let catalog = config(Options::default(), folder.path()).catalog;
    for (name, source) in sources {
        for survey in server::survey(&source, &catalog) {
            println!("{name}: {}", survey.verdict.as_str());
            assert!(
                matches!(survey.verdict, Verdict::Runs | Verdict::NeedsPlugins | Verdict::NotThere),
                "{name}: {:#?}",
                survey.problems
            );
            for problem in &survey.problems {
                println!("  {problem} [{}]", problem.code);
                if survey.reason(problem) == Some(Reason::Plugin) {
                    let named = survey.missing.iter().any(|missing| problem.message.contains(&missing.plugin));
                    assert!(named && problem.line > 0, "{name}: {problem}");
                }
            }
        }
    }
}

#[test]
fn every_flow_that_lacks_nothing_runs_to_its_end() {
    let Some(sources) = sources() else { return };
    let paused = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    paused.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let clock = Jumping { began: "2025-01-06T08:00:00Z".parse().unwrap(), at: tokio::time::Instant::now() };
        let config = config(Options::default(), folder.path());
        let catalog = config.catalog.clone();
        let node = Node::open(server::Config { clock: Arc::new(clock), ..config }).await.unwrap();
        for (name, source) in sources {
            let runs = server::survey(&source, &catalog).iter().all(|survey| survey.verdict == Verdict::Runs);
            if !runs || ASKING.contains(&name.as_str()) {
                continue;
            }
            let saved = node.save_flow(&source, Save::Any).await.unwrap();
            stand_in(&node, &saved.flow).await;
            let seen = node.run_to_end(start(&saved.flow), LONGEST).await.unwrap();
            println!("{name}: {:?}", seen.execution.state());
            check(&name, &saved.flow, &seen);
        }
        node.shutdown().await;
    });
}

/// Flows that a flow calls: each only says that it was called.
async fn stand_in(node: &Arc<Node>, flow: &Flow) {
    let mut called = BTreeSet::new();
    for task in flow.all.values() {
        let TaskKind::Flow(kind) = &task.kind else { continue };
        let FlowTask::Subflow(subflow) = kind.as_ref() else { continue };
        if let (Some(namespace), Some(id)) = (subflow.namespace.0.as_str(), subflow.flow_id.0.as_str()) {
            called.insert((namespace.to_owned(), id.to_owned()));
        }
    }
    for (namespace, id) in called {
        let source = format!(
            "id: {id}\nnamespace: {namespace}\ntasks:\n  - {{id: called, type: io.kestra.plugin.core.log.Log, message: called}}\n"
        );
        node.save_flow(&source, Save::Any).await.unwrap();
    }
}

/// A start with something for each input that has to be given.
fn start(flow: &Flow) -> Start {
    let given = flow.inputs.iter().filter(|input| input.required && input.defaults.is_none());
    let of_rules = |input: &model::input::Input| match input.rules.values.first() {
        Some(first) => Given::Value(first.clone()),
        None => Given::Value(Value::text("text")),
    };
    Start {
        inputs: given.map(|input| (input.id.clone(), of_rules(input))).collect(),
        ..Start::of(flow.key.namespace.to_string(), flow.key.id.to_string())
    }
}

/// Ends well, or as its SLA says.
fn check(name: &str, flow: &Flow, seen: &Seen) {
    use model::state::State::{Cancelled, Success, Warning};
    let state = seen.execution.state();
    let broke_sla = flow.sla.iter().any(|sla| {
        let labelled = |label: &model::flow::Label| seen.execution.labels.contains(label);
        state == Cancelled && !sla.labels.is_empty() && sla.labels.iter().all(labelled)
    });
    assert!(matches!(state, Success | Warning) || broke_sla, "{name} ended {state:?}: {seen:#?}");
    assert!(seen.is_over(), "{name} is over");
}
