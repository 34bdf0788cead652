//! What people do to executions that are there: kill, pause, resume, restart, replay, states and labels by hand, the queue. Decides
//! nothing: each becomes an event, and is answered when the commit that takes it in is durable.

use std::sync::Arc;

use engine::{Event, State};
use expr::{Map, Value};
use model::execution::{Execution, Failure};
use model::flow::Label;
use model::ids::{ExecutionId, TaskId, TaskRunId};
use model::input::Input;
use model::inputs::Missing;
use model::state::State as Status;
use model::task::{FlowTask, TaskKind};
use store::View;
use store::rows::Key;

use crate::error::{Error, Issue};
use crate::executions::{Given, Seen, new_id};
use crate::flows::SavedFlow;
use crate::inputs;
use crate::mailbox::{Replaying, Told};
use crate::node::Node;

/// Longest expression that is evaluated for a client, in bytes.
const EXPRESSION_BYTES_MAX: usize = 64 << 10;
/// Prefix of labels that only the system sets.
const SYSTEM_LABELS: &str = "system.";
/// What a replay bears (Kestra's label).
const REPLAY_LABEL: &str = "system.replay";

/// How an execution is replayed.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// The task run to go on from; `None`: from the beginning.
    pub from: Option<String>,
    /// `None`: the revision it ran on.
    pub revision: Option<u32>,
    /// In place of those it had.
    pub inputs: Option<Vec<(String, Given)>>,
    /// Tasks to stop before.
    pub breakpoints: Vec<TaskId>,
}

impl Node {
    /// Asks an execution, and everything it started, to end.
    pub async fn kill(self: &Arc<Self>, id: &str) -> Result<Seen, Error> {
        self.order(id, Event::Kill { cascade: true }).await
    }

    /// Asks an execution to end, and leaves alone what it started.
    pub async fn kill_alone(self: &Arc<Self>, id: &str) -> Result<Seen, Error> {
        self.order(id, Event::Kill { cascade: false }).await
    }

    /// Lets nothing new begin; what runs goes on to its end.
    pub async fn pause(self: &Arc<Self>, id: &str) -> Result<Seen, Error> {
        self.order(id, Event::Pause).await
    }

    /// Lets what waits for its time, a slot or somebody run now.
    pub async fn force_run(self: &Arc<Self>, id: &str) -> Result<Seen, Error> {
        self.order(id, Event::ForceRun).await
    }

    /// Takes an execution out of the queue, into RUNNING or into an end.
    pub async fn unqueue(self: &Arc<Self>, id: &str, state: Status) -> Result<Seen, Error> {
        self.order(id, Event::Unqueue { state }).await
    }

    /// Changes the state of an execution that has ended, or of one of its task runs.
    pub async fn change_state(
        self: &Arc<Self>,
        id: &str,
        task_run: Option<&str>,
        state: Status,
    ) -> Result<Seen, Error> {
        self.order(id, Event::ChangeState { run: task_run.map(TaskRunId::trusted), state }).await
    }

    /// Adds labels, in place of those with the same keys.
    pub async fn set_labels(self: &Arc<Self>, id: &str, labels: Vec<Label>) -> Result<Seen, Error> {
        check_labels(&labels)?;
        self.order(id, Event::SetLabels { labels }).await
    }

    /// Lets an execution go on that is paused, or stands at a breakpoint. Each pause types the inputs by its own `onResume`.
    pub async fn resume(self: &Arc<Self>, id: &str, given: Vec<(String, Given)>) -> Result<Seen, Error> {
        let id = ExecutionId::trusted(id);
        let state = self.state_of(&id).await?;
        let pauses = pauses_of(&state);
        if pauses.is_empty() {
            return self.order(id.as_str(), Event::Resume { run: None, inputs: Map::new() }).await;
        }
        // All are typed before the first goes on: nothing is half resumed because of an input.
        let mut typed = Vec::new();
        for (run, declared) in pauses {
            let scope = self.scope_of(&state);
            let asked = inputs::Asked {
                flow: &state.flow().key,
                execution: Some(&id),
                declared: &declared,
                scope: &scope,
                missing: Missing::Wrong,
            };
            typed.push((run, inputs::resolve(self, asked, given.clone()).await?));
        }
        let mut seen = None;
        for (run, inputs) in typed {
            seen = Some(self.order(id.as_str(), Event::Resume { run: Some(run), inputs }).await?);
        }
        seen.ok_or_else(|| Error::Internal("a pause was there and is not".to_owned()))
    }

    /// Runs again what failed. On another revision of the flow it is a new execution, which has what this one had.
    pub async fn restart(self: &Arc<Self>, id: &str, revision: Option<u32>) -> Result<Seen, Error> {
        let state = self.state_of(&ExecutionId::trusted(id)).await?;
        let source = started(&state)?;
        if revision.is_none_or(|revision| revision == source.revision) {
            return self.order(id, Event::Restart { from: None }).await;
        }
        self.has_room()?;
        let saved = self.flow(source.flow.namespace.as_str(), source.flow.id.as_str(), revision).await?;
        let execution = self.again(&saved, source, source.inputs.clone(), Vec::new());
        self.told(self.tell_replay(Replaying { source: state, execution, from: None }).await).await
    }

    /// Makes a new execution that goes on from a task run of this one, or begins anew with its inputs.
    pub async fn replay(self: &Arc<Self>, id: &str, replay: Replay) -> Result<Seen, Error> {
        self.has_room()?;
        let state = self.state_of(&ExecutionId::trusted(id)).await?;
        let source = started(&state)?;
        let revision = replay.revision.or(Some(source.revision));
        let saved = self.flow(source.flow.namespace.as_str(), source.flow.id.as_str(), revision).await?;
        let mut execution = self.again(&saved, source, source.inputs.clone(), replay.breakpoints);
        if let Some(given) = replay.inputs {
            execution.inputs = self.type_inputs(&saved, &execution.id, given).await?;
        }
        let told = match replay.from {
            Some(from) => {
                let from = Some(TaskRunId::trusted(from));
                self.tell_replay(Replaying { source: state, execution, from }).await
            }
            None => {
                let id = execution.id.clone();
                self.tell(&id, Event::Start { execution: Box::new(execution) }).await
            }
        };
        self.told(told).await
    }

    /// An expression in the eyes of an execution, or of one of its task runs. Secrets in the answer are masked when it is shown.
    pub async fn evaluate_for(
        self: &Arc<Self>,
        id: &str,
        task_run: Option<&str>,
        expression: &str,
    ) -> Result<Result<Value, Failure>, Error> {
        if expression.len() > EXPRESSION_BYTES_MAX {
            return Err(Error::TooLarge(format!(
                "the expression has {} bytes, more than {EXPRESSION_BYTES_MAX}",
                expression.len()
            )));
        }
        let state = self.state_of(&ExecutionId::trusted(id)).await?;
        let source = started(&state)?;
        let saved = self.flow_revision(&source.flow, source.revision).await?;
        let scope = match task_run {
            None => engine::RenderScope::Execution,
            Some(run) => {
                let run = TaskRunId::trusted(run);
                if state.run(&run).is_none() {
                    return Err(Error::NotFound(format!("no task run `{run}` in execution `{id}`")));
                }
                engine::RenderScope::Run(run)
            }
        };
        let templates = vec![("result", Value::from(expression), engine::Rendering::Text)];
        let values = self.render(&state, &saved, &scope, templates).await;
        Ok(values.map(|values| values.get("result").cloned().unwrap_or(Value::Null)))
    }

    /// Tells an execution something, and what it was right after that, once that is durable.
    async fn order(self: &Arc<Self>, id: &str, event: Event) -> Result<Seen, Error> {
        let id = ExecutionId::trusted(id);
        self.known(&id).await?;
        self.told(self.tell(&id, event).await).await
    }

    /// What is said of a commit, once it is durable. A refusal tells of a state, so it too waits until that state is durable.
    async fn told(&self, told: Result<Told, Error>) -> Result<Seen, Error> {
        self.store.durable(told.as_ref().map_or_else(|_| self.store.head(), |told| told.lsn)).await?;
        let Told { lsn, state } = told?;
        Seen::of(&state, lsn).ok_or_else(|| Error::Internal("an execution that has begun has no record".to_owned()))
    }

    async fn known(&self, id: &ExecutionId) -> Result<(), Error> {
        match self.store.get(View::Newest, Key::Execution(id.clone())).await? {
            Some(_) => Ok(()),
            None => Err(Error::NotFound(format!("no execution `{id}`"))),
        }
    }

    async fn state_of(self: &Arc<Self>, id: &ExecutionId) -> Result<State, Error> {
        self.known(id).await?;
        let state = self.peek(id).await;
        state.ok_or_else(|| Error::Store(format!("execution `{id}` could not be read; ask again")))
    }

    /// Another execution of a flow, with what this one was asked for.
    fn again(&self, saved: &SavedFlow, source: &Execution, inputs: Map, breakpoints: Vec<TaskId>) -> Execution {
        let id = new_id(self.entropy.number());
        let system = |label: &Label| label.key == engine::CORRELATION || label.key == REPLAY_LABEL;
        let mut labels: Vec<Label> = source.labels.iter().filter(|label| !system(label)).cloned().collect();
        labels.push(Label { key: engine::CORRELATION.to_owned(), value: id.as_str().to_owned() });
        labels.push(Label { key: REPLAY_LABEL.to_owned(), value: "true".to_owned() });
        Execution {
            kind: source.kind,
            trigger: source.trigger.clone(),
            original: Some(source.original.clone().unwrap_or_else(|| source.id.clone())),
            breakpoints,
            ..self.fresh(saved, id, inputs, labels)
        }
    }
}

fn started(state: &State) -> Result<&Execution, Error> {
    state.execution().map(Arc::as_ref).ok_or_else(|| Error::NotFound("the execution has not begun".to_owned()))
}

/// The task runs that are paused, with what each asks for.
fn pauses_of(state: &State) -> Vec<(TaskRunId, Vec<Input>)> {
    let paused = state.runs().filter(|run| run.state() == Status::Paused);
    paused
        .map(|run| {
            let kind = state.flow().task(&run.task).map(|task| &task.kind);
            let declared = match kind {
                Some(TaskKind::Flow(task)) => match task.as_ref() {
                    FlowTask::Pause(pause) => pause.on_resume.clone(),
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            };
            (run.id.clone(), declared)
        })
        .collect()
}

/// Labels that a client may give. Of the system's it may name the correlation, to tie an execution to others.
pub(crate) fn check_labels(labels: &[Label]) -> Result<(), Error> {
    let reserved = |key: &str| key.starts_with(SYSTEM_LABELS) && key != engine::CORRELATION;
    let wrong = |label: &&Label| label.key.is_empty() || reserved(&label.key);
    let issues: Vec<Issue> = labels
        .iter()
        .filter(wrong)
        .map(|label| Issue {
            path: "labels".to_owned(),
            line: None,
            code: "labels.reserved".to_owned(),
            message: match label.key.is_empty() {
                true => format!("the label with the value `{}` has no key", label.value),
                false => format!("label `{}` is reserved", label.key),
            },
            hint: Some(format!("choose a key that does not begin with `{SYSTEM_LABELS}`")),
        })
        .collect();
    if issues.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid { code: "labels.invalid", message: "invalid labels".to_owned(), issues })
}
