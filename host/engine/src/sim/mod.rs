//! A world for tests: executions of the engine alone, with fake tasks, a simulated clock and messages between them. Never part of a server.
//!
//! Single-threaded and deterministic: what is ready happens in the order it became so; when nothing is, the clock moves to the next moment
//! something waits for.
#![expect(clippy::expect_used, clippy::panic, reason = "a tool of tests: a broken expectation ends the test")]

pub mod check;
mod fake;
mod files;
pub mod render;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use expr::{Map, Scope, Value};
use jiff::{SignedDuration, Timestamp};
use model::change::{Change, Child, TimerId};
use model::condition::Facts;
use model::execution::{Execution, Failure, Kind, Parent, Triggered};
use model::flow::{Flow, Label};
use model::ids::{ExecutionId, FlowKey, TaskId, TaskRunId};
use model::state::{History, State as Status};
use model::{Role, TypeInfo, Types, Unknown};

use crate::ids::{RunKey, run_id};
use crate::sla::merge_labels;
use crate::view::View;
use crate::{
    ChildResult, Command, Decision, End, Event, JobId, Message, Outcome, Rejected, RenderScope, Rendering, State,
    UnitReport, Work, decide,
};

/// Events a run may take: a test that needs more does not end.
const EVENTS: usize = 2_000_000;

/// Evaluates a template in a scope.
pub type Renderer = fn(&Value, &dyn Scope, Rendering, &World) -> Result<Value, String>;

/// What is outside of executions, for expressions to ask about.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Files by their URI.
    pub files: BTreeMap<String, String>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, String>,
    /// Stored values by namespace and key.
    pub values: BTreeMap<(String, String), Value>,
    /// What `errorLogs()` gives.
    pub error_logs: Vec<Value>,
    /// Variables that are nobody's own: `envs`, `globals`.
    pub variables: Map,
}

/// What a task does: by its id, with the number of the attempt.
pub type Script = Box<dyn Fn(u32) -> Fake>;

/// How one attempt of a fake task goes.
#[derive(Clone, Debug)]
pub struct Fake {
    pub takes: SignedDuration,
    pub outcome: Option<Outcome>,
}

/// The simulated world.
pub struct Sim {
    pub now: Timestamp,
    pub logs: Vec<(ExecutionId, Option<TaskRunId>, Failure)>,
    /// The order in which executions were made.
    pub made: Vec<ExecutionId>,
    /// Every attempt that was begun.
    pub attempts: Vec<(JobId, u64)>,
    flows: HashMap<(String, String), Arc<Flow>>,
    executions: HashMap<ExecutionId, Entry>,
    ready: VecDeque<(ExecutionId, Event)>,
    later: BTreeMap<(Timestamp, u64), (ExecutionId, Event)>,
    next: u64,
    slots: HashMap<FlowKey, BTreeMap<u32, ExecutionId>>,
    waiting: Vec<(FlowKey, ExecutionId)>,
    scripts: HashMap<String, Script>,
    pub world: World,
    cancelled: Vec<JobId>,
    render: Renderer,
}

struct Entry {
    state: State,
    changes: Vec<Change>,
}

/// Takes every type that has a dot in it for a plugin's.
struct Anything;

impl Types for Anything {
    fn lookup(&self, type_name: &str, _: Option<&str>) -> Result<Arc<TypeInfo>, Unknown> {
        let role =
            if type_name.contains(".trigger.") || type_name.ends_with("Trigger") { Role::Trigger } else { Role::Task };
        let properties = serde_json::Value::Bool(true);
        Ok(Arc::new(TypeInfo {
            name: type_name.to_owned(),
            plugin: "fake".to_owned(),
            role,
            properties,
            unrendered: Vec::new(),
        }))
    }
}

/// Parses a flow whose plugin types are taken as they are.
pub fn flow(source: &str) -> Flow {
    match model::parse(source, &Anything) {
        Ok(parsed) => parsed.flow,
        Err(problems) => panic!("{problems:#?}"),
    }
}

impl Default for Sim {
    fn default() -> Self {
        Self::new()
    }
}

impl Sim {
    /// A world whose templates are evaluated by the real expression language.
    pub fn new() -> Self {
        Self::with_renderer(render::render)
    }

    /// A world with a renderer of its own.
    pub fn with_renderer(render: Renderer) -> Self {
        Self {
            now: Timestamp::from_second(1_700_000_000).expect("within the calendar"),
            logs: Vec::new(),
            made: Vec::new(),
            attempts: Vec::new(),
            flows: HashMap::new(),
            executions: HashMap::new(),
            ready: VecDeque::new(),
            later: BTreeMap::new(),
            next: 0,
            slots: HashMap::new(),
            waiting: Vec::new(),
            scripts: HashMap::new(),
            world: World::default(),
            cancelled: Vec::new(),
            render,
        }
    }

    pub fn add(&mut self, mut flow: Flow) {
        flow.revision = flow.revision.max(1);
        self.flows.insert((flow.key.namespace.to_string(), flow.key.id.to_string()), Arc::new(flow));
    }

    /// Says what a task does, in place of what its type would.
    pub fn script(&mut self, task: &str, script: impl Fn(u32) -> Fake + 'static) {
        self.scripts.insert(task.to_owned(), Box::new(script));
    }

    /// Asks for an execution; it begins when the world goes on.
    pub fn start(&mut self, namespace: &str, flow: &str, inputs: Map) -> ExecutionId {
        self.start_as(namespace, flow, |execution| execution.inputs = inputs)
    }

    /// Asks for an execution that is filled in by hand. Inputs that are not given get their literal defaults, or null.
    pub fn start_as(&mut self, namespace: &str, flow: &str, fill: impl FnOnce(&mut Execution)) -> ExecutionId {
        let id = ExecutionId::trusted(format!("execution-{}", self.made.len()));
        let flow = self.flows.get(&(namespace.to_owned(), flow.to_owned())).expect("the flow was added").clone();
        self.make(&id, flow, fill);
        id
    }

    fn make(&mut self, id: &ExecutionId, flow: Arc<Flow>, fill: impl FnOnce(&mut Execution)) {
        let mut execution = Execution {
            id: id.clone(),
            flow: flow.key.clone(),
            revision: flow.revision,
            kind: Kind::Normal,
            semantics: 0,
            history: History::new(Status::Created, self.now),
            labels: flow.labels.clone(),
            inputs: Map::new(),
            variables: Map::new(),
            outputs: Map::new(),
            trigger: None,
            parent: None,
            original: None,
            attempt: 1,
            generation: 0,
            retried_since: None,
            scheduled: None,
            failure: None,
            breakpoints: Vec::new(),
        };
        fill(&mut execution);
        for input in &flow.inputs {
            let default = input.defaults.as_ref().map(|default| default.0.clone());
            if let Some(value) = default.or((!input.required).then_some(Value::Null)) {
                execution.inputs.entry(Arc::from(input.id.as_str())).or_insert(value);
            }
        }
        self.made.push(id.clone());
        self.executions.insert(id.clone(), Entry { state: State::new(flow), changes: Vec::new() });
        self.ready.push_back((id.clone(), Event::Start { execution: Box::new(execution) }));
    }

    pub fn state(&self, id: &ExecutionId) -> &State {
        &self.executions.get(id).expect("the execution was made").state
    }

    pub fn changes(&self, id: &ExecutionId) -> &[Change] {
        &self.executions.get(id).expect("the execution was made").changes
    }

    /// Replays an execution that has ended from one of its task runs on.
    pub fn replay(&mut self, source: &ExecutionId, from: &TaskRunId) -> Result<ExecutionId, Rejected> {
        let flow = self.state(source).flow().clone();
        self.replay_on(source, flow, Some(from))
    }

    /// A new execution that runs on a revision of its own from a task run of another on, or from what failed in it.
    pub fn replay_on(
        &mut self,
        source: &ExecutionId,
        flow: Arc<Flow>,
        from: Option<&TaskRunId>,
    ) -> Result<ExecutionId, Rejected> {
        let id = ExecutionId::trusted(format!("execution-{}", self.made.len()));
        let execution =
            Execution { id: id.clone(), ..(**self.state(source).execution().expect("it has started")).clone() };
        let decision = crate::replay(self.state(source), flow.clone(), execution, from, self.now)?;
        self.made.push(id.clone());
        self.executions.insert(id.clone(), Entry { state: State::new(flow), changes: Vec::new() });
        self.follow(&id, decision);
        Ok(id)
    }

    /// Slots of a flow that are held.
    pub fn held_slots(&self, flow: &FlowKey) -> usize {
        self.slots.get(flow).map_or(0, BTreeMap::len)
    }

    /// Lets one event happen now, and everything that is ready by it.
    pub fn send(&mut self, id: &ExecutionId, event: Event) -> Result<(), Rejected> {
        self.take(id, event)?;
        self.settle();
        Ok(())
    }

    /// Goes on until nothing waits any more.
    pub fn run(&mut self) {
        self.run_while(|_| true);
    }

    /// Goes on while the condition holds, looked at before the clock moves.
    pub fn run_while(&mut self, go_on: impl Fn(&Self) -> bool) {
        for _ in 0..EVENTS {
            self.settle();
            if !go_on(self) {
                return;
            }
            let Some(((at, _), (id, event))) = self.later.pop_first() else { return };
            self.now = self.now.max(at);
            self.deliver(&id, event);
        }
        panic!("the world does not come to rest");
    }

    fn settle(&mut self) {
        for _ in 0..EVENTS {
            let Some((id, event)) = self.ready.pop_front() else { return };
            self.deliver(&id, event);
        }
        panic!("the world does not come to rest at {}", self.now);
    }

    // A rejected event is part of life: a timer that fired beside its clearing, a message to one that has ended.
    fn deliver(&mut self, id: &ExecutionId, event: Event) {
        let _ = self.take(id, event);
    }

    fn take(&mut self, id: &ExecutionId, event: Event) -> Result<(), Rejected> {
        let now = self.now;
        let entry = self.executions.get(id).expect("events name executions that were made");
        let decision = decide(&entry.state, event, now)?;
        self.follow(id, decision);
        Ok(())
    }

    fn follow(&mut self, id: &ExecutionId, decision: Decision) {
        let entry = self.executions.get_mut(id).expect("decisions are about executions that were made");
        for change in decision.changes {
            entry.state.apply(&change);
            entry.changes.push(change);
        }
        for command in decision.commands {
            self.carry_out(id, command);
        }
    }

    fn at(&mut self, when: Timestamp, id: &ExecutionId, event: Event) {
        self.next += 1;
        self.later.insert((when, self.next), (id.clone(), event));
    }

    fn carry_out(&mut self, id: &ExecutionId, command: Command) {
        match command {
            Command::Render { id: render, scope, templates } => {
                let result = self.render_all(id, &scope, templates);
                self.ready.push_back((id.clone(), Event::Rendered { id: render, result }));
            }
            Command::Run { job, task: _, epoch, timeout: _, work } => self.run_job(id, job, epoch, &work),
            Command::CancelRun { job } => self.cancel(id, job),
            Command::SetTimer { id: timer, due } => {
                let event = Event::TimerDue { id: timer };
                self.at(due, id, event);
            }
            Command::ClearTimer { id: timer } => self.forget(id, &timer),
            Command::StartChild { run, child, ask } => self.start_child(id, run, &child, *ask),
            Command::Split { job, items, batching } => {
                let result = files::split(self, id, &job, &items, &batching);
                self.ready.push_back((id.clone(), Event::Split { job, result }));
            }
            Command::Merge { job, children } => {
                let result = Ok(files::merge(self, id, &job, &children));
                self.ready.push_back((id.clone(), Event::Merged { job, result }));
            }
            Command::Message { message, .. } => self.message(id, message),
            Command::TakeSlot { flow, limit, .. } => self.take_slot(id, flow, limit),
            Command::FreeSlot { flow, slot } => {
                self.slots.entry(flow.clone()).or_default().remove(&slot);
                self.hand_on(&flow);
            }
            Command::Continue => self.ready.push_back((id.clone(), Event::Continue)),
            Command::Ended { state, outputs } => {
                self.waiting.retain(|(_, waiting)| waiting != id);
                let parent = self.state(id).execution().and_then(|execution| execution.parent.clone());
                if let Some(parent) = parent.filter(|parent| parent.waits) {
                    let event = Event::ChildEnded { child: id.clone(), result: Ok(ChildResult { state, outputs }) };
                    self.ready.push_back((parent.execution, event));
                }
            }
            Command::Closed => {}
            Command::Log { run, failure } => {
                let task = run.as_ref().and_then(|run| self.state(id).run(run)).map(|run| run.task.to_string());
                let line = Value::map([
                    ("taskId", Value::text(task.unwrap_or_default())),
                    ("message", Value::text(failure.message.as_str())),
                ]);
                self.world.error_logs.push(line);
                self.logs.push((id.clone(), run, failure));
            }
        }
    }

    fn render_all(
        &self,
        id: &ExecutionId,
        scope: &RenderScope,
        templates: Vec<(&'static str, Value, Rendering)>,
    ) -> Result<Map, Failure> {
        let state = match scope {
            RenderScope::Child(child) => self.state(child),
            _ => self.state(id),
        };
        let view = View::in_scope(state, scope);
        let mut values = Map::new();
        for (name, template, how) in templates {
            let value = match how {
                Rendering::Conditions => self.hold(state, &view, &template).map(Value::Bool),
                how => (self.render)(&template, &view, how, &self.world),
            };
            let value = value.map_err(|message| Failure { code: "render".to_owned(), message, retryable: None })?;
            values.insert(Arc::from(name), value);
        }
        Ok(values)
    }

    fn hold(&self, state: &State, view: &View<'_>, conditions: &Value) -> Result<bool, String> {
        let attempts = crate::view::attempts(state);
        let facts = Facts { flow: &state.flow().key, execution: crate::view::execution_facts(state, &attempts) };
        let mut render = |template: &Value, variables: &Map| {
            let scope = expr::Layered { front: variables, back: view };
            (self.render)(template, &scope, Rendering::Typed, &self.world).map_err(Wrong)
        };
        let held = model::condition::all_hold(conditions.as_list().unwrap_or_default(), &facts, &mut render);
        held.map_err(|wrong| wrong.0)
    }

    fn run_job(&mut self, id: &ExecutionId, job: JobId, epoch: u64, work: &Work) {
        self.attempts.push((job.clone(), epoch));
        if let Work::Unit { tasks } = work {
            return self.run_unit(id, job, epoch, tasks);
        }
        self.ready.push_back((id.clone(), Event::TaskStarted { job: job.clone(), epoch }));
        let task = self.state(id).run(&job.run).map(|run| run.task.to_string()).unwrap_or_default();
        let fake = self.scripts.get(&task).map(|script| script(job.attempt));
        let takes = fake.as_ref().map_or(SignedDuration::ZERO, |fake| fake.takes);
        let outcome = match fake.and_then(|fake| fake.outcome) {
            Some(outcome) => outcome,
            None => self.faked(id, &job.run),
        };
        let when = self.now.saturating_add(takes).unwrap_or(Timestamp::MAX);
        self.at(when, id, Event::TaskEnded { job, epoch, outcome });
    }

    // What a task does that is not scripted.
    fn faked(&self, id: &ExecutionId, run: &TaskRunId) -> Outcome {
        fake::outcome(self.state(id), run, |template, how| {
            (self.render)(template, &View::of_run(self.state(id), run), how, &self.world)
        })
    }

    // The tasks of a working directory, one after the other and in no time; the first that fails is the last.
    fn run_unit(&mut self, id: &ExecutionId, job: JobId, epoch: u64, tasks: &[TaskId]) {
        self.deliver(id, Event::TaskStarted { job: job.clone(), epoch });
        let mut end = End::Success;
        for task in tasks {
            let report = |report| Event::UnitTask { job: job.clone(), epoch, task: task.clone(), report };
            let condition = self.state(id).flow().task(task).and_then(|task| task.run_if.clone());
            let view = View::of_run(self.state(id), &job.run);
            let runs = condition.is_none_or(|condition| {
                (self.render)(&condition.0, &view, Rendering::Typed, &self.world).is_ok_and(|value| value.truthy())
            });
            if !runs {
                self.deliver(id, report(UnitReport::Skipped));
                continue;
            }
            self.deliver(id, report(UnitReport::Started));
            let key = RunKey { execution: id, parent: Some(&job.run), task, iteration: None, loop_count: 0 };
            let scripted = self.scripts.get(task.as_str()).and_then(|script| script(1).outcome);
            let outcome = scripted.unwrap_or_else(|| self.faked(id, &run_id(key)));
            let ended = outcome.end.clone();
            self.deliver(id, report(UnitReport::Ended(outcome)));
            let allowed = self.state(id).flow().task(task).is_some_and(|task| task.allow_failure);
            match ended {
                End::Failed(_) if allowed => {}
                End::Failed(_) | End::Killed => {
                    end = ended;
                    break;
                }
                _ => {}
            }
        }
        let outcome = Outcome { end, outputs: Value::Null };
        self.at(self.now, id, Event::TaskEnded { job, epoch, outcome });
    }

    fn cancel(&mut self, id: &ExecutionId, job: JobId) {
        let ends = |event: &Event| matches!(event, Event::TaskEnded { job: other, .. } if *other == job);
        let mut epoch = 0;
        self.later.retain(|_, (other, event)| {
            if let (true, Event::TaskEnded { epoch: found, .. }) = (other == id && ends(event), &*event) {
                epoch = *found;
                return false;
            }
            true
        });
        self.cancelled.push(job.clone());
        let outcome = Outcome { end: End::Killed, outputs: Value::Null };
        self.ready.push_back((id.clone(), Event::TaskEnded { job, epoch, outcome }));
    }

    fn forget(&mut self, id: &ExecutionId, timer: &TimerId) {
        self.later.retain(|_, (other, event)| !(other == id && matches!(event, Event::TimerDue { id } if id == timer)));
    }

    fn start_child(&mut self, id: &ExecutionId, run: TaskRunId, child: &ExecutionId, ask: Child) {
        let key = (ask.namespace.to_string(), ask.flow.to_string());
        let Some(flow) = self.flows.get(&key).cloned() else {
            let failure =
                Failure { code: "no-flow".to_owned(), message: format!("no flow `{}`", key.1), retryable: None };
            return self
                .ready
                .push_back((id.clone(), Event::ChildEnded { child: child.clone(), result: Err(failure) }));
        };
        let parent = Parent { execution: id.clone(), task_run: run, waits: ask.wait };
        let labels = merge_labels(&flow.labels, &ask.labels);
        self.ready.push_back((id.clone(), Event::ChildStarted { child: child.clone() }));
        self.make(child, flow, |execution| {
            execution.inputs = ask.inputs;
            execution.labels = labels;
            execution.trigger = ask.trigger;
            execution.parent = Some(parent);
            execution.scheduled = ask.scheduled;
        });
    }

    fn message(&mut self, id: &ExecutionId, message: Message) {
        let (to, event) = match message {
            Message::Kill { execution, cascade } => (execution, Event::Kill { cascade }),
            Message::Resume { execution, inputs } => (execution, Event::Resume { run: None, inputs }),
            Message::Restart { execution } => (execution, Event::Restart { from: None }),
            Message::Toggle { .. } => return,
            Message::Retry { execution, attempt, since, due } => {
                let flow = self.state(id).flow().clone();
                let original = self.state(id).execution().cloned().expect("it has started");
                return self.make(&execution, flow, |again| {
                    again.inputs = original.inputs.clone();
                    again.labels = original.labels.clone();
                    again.trigger = original.trigger.clone();
                    again.parent = original.parent.clone();
                    again.attempt = attempt;
                    again.original = Some(original.original.clone().unwrap_or(original.id.clone()));
                    again.retried_since = Some(since);
                    again.scheduled = Some(due);
                });
            }
        };
        if self.executions.contains_key(&to) {
            self.ready.push_back((to, event));
        }
    }

    fn take_slot(&mut self, id: &ExecutionId, flow: FlowKey, limit: u32) {
        let held = self.slots.entry(flow.clone()).or_default();
        let event = match (0..limit).find(|slot| !held.contains_key(slot)) {
            Some(slot) => {
                held.insert(slot, id.clone());
                Event::SlotGranted { slot }
            }
            None => {
                self.waiting.push((flow, id.clone()));
                Event::SlotRefused
            }
        };
        self.ready.push_back((id.clone(), event));
    }

    fn hand_on(&mut self, flow: &FlowKey) {
        let Some(index) = self.waiting.iter().position(|(waiting, _)| waiting == flow) else { return };
        let (flow, id) = self.waiting.remove(index);
        let limit = self.state(&id).flow().concurrency.map_or(0, |concurrency| concurrency.limit);
        let held = self.slots.entry(flow.clone()).or_default();
        match (0..limit).find(|slot| !held.contains_key(slot)) {
            Some(slot) => {
                held.insert(slot, id.clone());
                self.ready.push_back((id, Event::SlotGranted { slot }));
            }
            None => self.waiting.insert(index, (flow, id)),
        }
    }
}

/// Why conditions cannot be evaluated.
struct Wrong(String);

impl From<model::condition::Unusable> for Wrong {
    fn from(unusable: model::condition::Unusable) -> Self {
        Self(unusable.to_string())
    }
}

/// A label, for tests.
pub fn label(key: &str, value: &str) -> Label {
    Label { key: key.to_owned(), value: value.to_owned() }
}

/// A trigger, for tests.
pub fn triggered(variables: Map) -> Triggered {
    Triggered { id: model::ids::TriggerId::trusted("trigger"), type_name: "test".to_owned(), variables, depth: 0 }
}
