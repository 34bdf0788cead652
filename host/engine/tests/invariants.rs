//! Any order and repetition of legal and illegal events keeps the invariants, and whatever happened, an execution can be brought to its end.
//!
//! The driver answers only what `State::outstanding` names, as a node does that has just taken the execution over.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::HashMap;
use std::sync::Arc;

use engine::sim::{check::check, flow};
use engine::{
    ChildResult, Command, Effects, End, Event, JobId, Outcome, Rejected, Rendering, Snapshot, State, UnitReport, Work,
    decide_shown, replay,
};
use expr::{Map, Value};
use jiff::{SignedDuration, Timestamp};
use model::batch::Batches;
use model::change::Change;
use model::execution::{Execution, Failure, Kind};
use model::flow::Flow;
use model::ids::{ExecutionId, TaskRunId};
use model::state::{History, State as Status};
use proptest::prelude::*;

const FLOWS: [&str; 10] = [
    "
tasks:
  - {id: a, type: t.Log, retry: {type: constant, interval: PT1S, maxAttempts: 2}}
  - {id: b, type: t.Log, runIf: '{{ x }}', timeout: PT10S}
  - {id: c, type: t.Log, disabled: true}
  - {id: d, type: t.Log, allowFailure: true}
errors: [{id: e, type: t.Log}]
finally: [{id: f, type: t.Log}]
afterExecution: [{id: g, type: t.Log}]
outputs: [{id: o, type: STRING, value: '{{ x }}'}]
",
    "
concurrency: {limit: 1, behavior: QUEUE}
sla: [{id: s, type: MAX_DURATION, behavior: FAIL, duration: PT30S}, {id: t, type: EXECUTION_ASSERTION, behavior: CANCEL, assert: '{{ x }}'}]
tasks:
  - id: par
    type: io.kestra.plugin.core.flow.Parallel
    concurrent: 2
    failFast: true
    tasks:
      - id: seq
        type: io.kestra.plugin.core.flow.Sequential
        tasks: [{id: s1, type: t.Log}, {id: s2, type: t.Log}]
        errors: [{id: s3, type: t.Log}]
        finally: [{id: s4, type: t.Log}]
      - {id: p2, type: t.Log}
      - {id: p3, type: io.kestra.plugin.core.flow.Sleep, duration: PT5S}
",
    "
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: '{{ x }}'
    concurrencyLimit: 2
    tasks:
      - {id: i1, type: t.Log}
      - id: inner
        type: io.kestra.plugin.core.flow.ForEach
        values: [1, 2]
        tasks: [{id: i2, type: t.Log}]
    errors: [{id: i3, type: t.Log}]
    finally: [{id: i4, type: t.Log}]
",
    "
tasks:
  - id: loop
    type: io.kestra.plugin.core.flow.LoopUntil
    condition: '{{ x }}'
    checkFrequency: {interval: PT1S, maxIterations: 3}
    failOnMaxReached: true
    tasks:
      - {id: l1, type: t.Log, retry: {type: constant, interval: PT1S, maxAttempts: 2}}
      - id: if
        type: io.kestra.plugin.core.flow.If
        condition: '{{ x }}'
        then: [{id: l2, type: t.Log}]
        else: [{id: l3, type: t.Log}]
    errors: [{id: l4, type: t.Log}]
",
    "
tasks:
  - id: par
    type: io.kestra.plugin.core.flow.Parallel
    tasks:
      - id: pause
        type: io.kestra.plugin.core.flow.Pause
        pauseDuration: PT5S
        behavior: '{{ x }}'
        timeout: PT9S
        onPause: {id: on, type: t.Log}
        errors: [{id: p1, type: t.Log}]
        tasks: [{id: p2, type: t.Log}]
      - id: pause2
        type: io.kestra.plugin.core.flow.Pause
  - {id: last, type: io.kestra.plugin.core.execution.Exit, state: WARNING}
finally: [{id: fin, type: t.Log}]
",
    "
tasks:
  - id: dag
    type: io.kestra.plugin.core.flow.Dag
    tasks:
      - task: {id: d1, type: t.Log}
      - task: {id: d2, type: t.Log, allowFailure: true, allowWarning: true}
        dependsOn: [d1]
      - task: {id: d3, type: io.kestra.plugin.core.flow.Subflow, namespace: n, flowId: child, timeout: PT9S}
        dependsOn: [d1]
  - id: wd
    type: io.kestra.plugin.core.flow.WorkingDirectory
    tasks: [{id: w1, type: t.Log}, {id: w2, type: t.Log}]
    errors: [{id: w3, type: t.Log}]
retry: {type: constant, interval: PT1S, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}
",
    "
listeners:
  - conditions: [{type: io.kestra.plugin.core.condition.ExecutionStatus, in: [SUCCESS]}]
    tasks: [{id: li, type: t.Log}]
  - tasks: [{id: lj, type: t.Log}]
tasks:
  - {id: sub, type: io.kestra.plugin.core.flow.Subflow, namespace: n, flowId: child, wait: false}
  - id: switch
    type: io.kestra.plugin.core.flow.Switch
    value: '{{ x }}'
    cases: {a: [{id: c1, type: t.Log}], b: [{id: c2, type: io.kestra.plugin.core.execution.Kill}]}
    defaults: [{id: c3, type: io.kestra.plugin.core.flow.Sleep, duration: PT2S}]
",
    "
tasks:
  - id: items
    type: io.kestra.plugin.core.flow.ForEachItem
    items: '{{ x }}'
    batch: {rows: 2}
    namespace: n
    flowId: child
    inputs: {i: '{{ taskrun.items }}'}
    timeout: PT9S
    retry: {type: constant, interval: PT1S, maxAttempts: 2}
    errors: [{id: m1, type: t.Log}]
  - {id: m2, type: t.Log}
",
    "
tasks:
  - id: items
    type: io.kestra.plugin.core.flow.ForEachItem
    items: '{{ x }}'
    namespace: n
    flowId: child
    wait: '{{ x }}'
    allowFailure: true
    restartBehavior: NEW_EXECUTION
retry: {type: constant, interval: PT1S, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}
",
    "
tasks:
  - id: loop
    type: io.kestra.plugin.core.flow.LoopUntil
    condition: '{{ x }}'
    timeout: PT9S
    checkFrequency: {interval: PT4S}
    tasks:
      - id: par
        type: io.kestra.plugin.core.flow.Parallel
        timeout: PT5S
        tasks:
          - {id: n1, type: t.Log}
          - id: n2
            type: io.kestra.plugin.core.flow.ForEach
            values: '{{ x }}'
            timeout: PT2S
            tasks: [{id: n3, type: io.kestra.plugin.core.flow.Sleep, duration: PT1S}]
            errors: [{id: n4, type: t.Log}]
            finally: [{id: n5, type: io.kestra.plugin.core.flow.Sleep, duration: PT1S}]
    errors: [{id: n6, type: t.Log}]
finally: [{id: n7, type: t.Log}]
",
];

struct Driver {
    state: State,
    now: Timestamp,
    past: Vec<Event>,
    changes: Vec<Change>,
    began: HashMap<(TaskRunId, u32, u32), u32>,
    taken: usize,
    freed: usize,
    epoch: u64,
}

fn parsed(body: &str) -> Arc<Flow> {
    Arc::new(flow(&format!("id: f\nnamespace: n\n{body}")))
}

impl Driver {
    fn new(flow: Arc<Flow>) -> Self {
        let (taken, freed, epoch) = (0, 0, 0);
        Self {
            state: State::new(flow),
            now: Timestamp::UNIX_EPOCH,
            past: Vec::new(),
            changes: Vec::new(),
            began: HashMap::new(),
            taken,
            freed,
            epoch,
        }
    }

    fn execution(&self) -> Execution {
        Execution {
            id: ExecutionId::trusted("e"),
            flow: self.state.flow().key.clone(),
            revision: 1,
            kind: Kind::Normal,
            semantics: 0,
            history: History::new(Status::Created, self.now),
            labels: Vec::new(),
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
        }
    }

    fn take(&mut self, event: Event) -> Result<(), Rejected> {
        let before = self.state.clone();
        let (decision, seen) = decide_shown(&self.state, event.clone(), self.now)?;
        for change in &decision.changes {
            self.state.apply(change);
            self.count(change);
        }
        assert_eq!(seen.snapshot(), self.state.snapshot(), "fold of the changes of {event:?}");
        if let Err(why) = check(&self.state) {
            panic!("{why}\nafter {event:?}\nchanges {:#?}\nbefore {:?}", decision.changes, runs(&before));
        }
        self.terminal_wins(&before, &event);
        self.taken += usize::from(matches!(event, Event::SlotGranted { .. }));
        self.freed += decision.commands.iter().filter(|command| matches!(command, Command::FreeSlot { .. })).count();
        self.changes.extend(decision.changes);
        self.past.push(event);
        Ok(())
    }

    fn count(&mut self, change: &Change) {
        match change {
            Change::AttemptStarted { run, attempt, epoch, .. } if *epoch > 0 => {
                let generation = self.state.execution().unwrap().generation;
                let times = self.began.entry((run.clone(), *attempt, generation)).or_default();
                *times += 1;
                assert!(*times == 1, "attempt {attempt} of {run} began twice");
            }
            Change::JobLost { run } | Change::JobReturned { run } => {
                let attempt = self.state.run(run).unwrap().attempts.len() as u32;
                let generation = self.state.execution().unwrap().generation;
                self.began.remove(&(run.clone(), attempt.max(1), generation));
            }
            // A loop may come back to the same iteration's ids only in another generation; removed runs count anew.
            Change::RunsRemoved { runs } => self.began.retain(|(run, _, _), _| !runs.contains(run)),
            _ => {}
        }
    }

    fn terminal_wins(&self, before: &State, event: &Event) {
        let (Some(old), Some(new)) = (before.execution(), self.state.execution()) else { return };
        if old.generation != new.generation || matches!(event, Event::ChangeState { .. }) {
            return;
        }
        if old.state().is_terminal() {
            assert_eq!(old.state(), new.state(), "the execution left {} by {event:?}", old.state());
        }
        for run in before.runs() {
            let Some(now) = self.state.run(&run.id) else { continue };
            let ended = |attempt: &&model::execution::Attempt| attempt.history.current().is_terminal();
            assert!(
                run.attempts.iter().zip(&now.attempts).all(|(was, is)| !ended(&was) || was == is),
                "an attempt of {} that had ended changed by {event:?}",
                run.task
            );
        }
        for run in before.runs().filter(|run| run.state().is_terminal()) {
            if let Some(now) = self.state.run(&run.id) {
                assert_eq!(run.state(), now.state(), "task run of {} changed by {event:?}", run.task);
            }
        }
    }

    // An answer to something outstanding: as good as can be, or as the choice has it.
    fn answer(&mut self, command: &Command, choice: u8, kind: bool) -> Vec<Event> {
        let bad = || Failure { code: "bad".to_owned(), message: "bad".to_owned(), retryable: None };
        match command {
            Command::Render { id, templates, .. } => {
                let result =
                    if !kind && choice.is_multiple_of(5) { Err(bad()) } else { Ok(rendered(templates, choice, kind)) };
                vec![Event::Rendered { id: id.clone(), result }]
            }
            Command::Run { job, epoch, work, .. } => {
                self.epoch = self.epoch.max(*epoch);
                let epoch = *epoch;
                let ended =
                    |end| Event::TaskEnded { job: job.clone(), epoch, outcome: Outcome { end, outputs: Value::Null } };
                let started = Event::TaskStarted { job: job.clone(), epoch };
                let mut events = vec![started];
                if let Work::Unit { tasks } = work {
                    for task in tasks {
                        let report = |report| Event::UnitTask { job: job.clone(), epoch, task: task.clone(), report };
                        events.push(report(UnitReport::Started));
                        events.push(report(UnitReport::Ended(Outcome {
                            end: if !kind && choice == 7 { End::Failed(bad()) } else { End::Success },
                            outputs: Value::Null,
                        })));
                    }
                }
                events.push(match choice % 8 {
                    0..=2 if !kind => ended(End::Failed(bad())),
                    3 if !kind => ended(End::Warning),
                    5 if !kind => Event::TaskReturned { job: job.clone(), epoch },
                    4 if !kind => Event::TaskLost {
                        job: job.clone(),
                        epoch,
                        effects: if choice > 100 { Effects::Unknown } else { Effects::Repeatable },
                    },
                    5 if !kind => Event::EffectsBegan { job: job.clone(), epoch },
                    _ => ended(End::Success),
                });
                if !kind && choice > 200 {
                    events.truncate(1);
                }
                events
            }
            Command::CancelRun { job } => {
                vec![Event::TaskLost { job: job.clone(), epoch: self.epoch, effects: Effects::Repeatable }]
            }
            Command::SetTimer { id, due } => {
                self.now = self.now.max(*due);
                vec![Event::TimerDue { id: id.clone() }]
            }
            Command::StartChild { child, .. } => {
                let started = Event::ChildStarted { child: child.clone() };
                if !kind && choice.is_multiple_of(3) {
                    vec![Event::ChildEnded { child: child.clone(), result: Err(bad()) }]
                } else {
                    vec![started]
                }
            }
            Command::Split { job, .. } => {
                let (prefix, suffix, list) = ("b/".to_owned(), ".txt".to_owned(), "b/list".to_owned());
                let batches = Batches { prefix, suffix, count: u32::from(choice % 4), list };
                let result = if !kind && choice.is_multiple_of(5) { Err(bad()) } else { Ok(batches) };
                vec![Event::Split { job: job.clone(), result }]
            }
            Command::Merge { job, children } => {
                assert!(!children.is_empty());
                let result = if !kind && choice.is_multiple_of(5) { Err(bad()) } else { Ok(Some("m".to_owned())) };
                vec![Event::Merged { job: job.clone(), result }]
            }
            Command::TakeSlot { .. } => vec![if !kind && choice.is_multiple_of(2) {
                Event::SlotRefused
            } else {
                Event::SlotGranted { slot: u32::from(choice % 3) }
            }],
            Command::Continue => vec![Event::Continue],
            _ => Vec::new(),
        }
    }

    // What runs is not outstanding: it ends by itself.
    fn end_events(&self, choice: u8) -> Vec<Event> {
        let end = [End::Success, End::Warning, End::Killed][usize::from(choice % 3)].clone();
        let ended =
            |(job, epoch)| Event::TaskEnded { job, epoch, outcome: Outcome { end: end.clone(), outputs: Value::Null } };
        self.state.running().into_iter().map(ended).chain(self.child_events(choice)).collect()
    }

    fn child_events(&self, choice: u8) -> Vec<Event> {
        let states = [Status::Success, Status::Failed, Status::Warning, Status::Killed, Status::Retried];
        let state = states[usize::from(choice) % states.len()];
        let started = self.changes.iter().filter_map(|change| match change {
            Change::ChildAsked { child, .. } | Change::BatchAsked { child, .. } => Some(child.clone()),
            _ => None,
        });
        started
            .map(|child| Event::ChildEnded { child, result: Ok(ChildResult { state, outputs: Map::new() }) })
            .collect()
    }

    fn disturb(&self, choice: u8) -> Event {
        let runs: Vec<TaskRunId> = self.state.runs().map(|run| run.id.clone()).collect();
        let run = runs.get(usize::from(choice) % runs.len().max(1)).cloned();
        match choice % 12 {
            0 => Event::Kill { cascade: choice > 100 },
            1 => Event::Pause,
            2 => Event::Resume { run: None, inputs: Map::new() },
            3 => Event::Restart { from: None },
            4 => Event::Restart { from: run },
            5 => Event::ChangeState { run, state: Status::Success },
            6 => Event::ForceRun,
            7 => Event::SlotGranted { slot: 1 },
            8 => Event::TaskEnded {
                job: JobId {
                    run: run.unwrap_or(TaskRunId::trusted("no")),
                    attempt: u32::from(choice % 3),
                    generation: 0,
                },
                epoch: 1,
                outcome: Outcome { end: End::Success, outputs: Value::Null },
            },
            9 if !self.past.is_empty() => self.past[usize::from(choice) * 7 % self.past.len()].clone(),
            10 => {
                Event::SetBreakpoints { tasks: self.state.runs().map(|run| run.task.clone()).skip(1).take(2).collect() }
            }
            _ => Event::Unqueue { state: Status::Cancelled },
        }
    }

    fn bring_to_end(&mut self) {
        for round in 0..2_000 {
            if self.state.is_closed() {
                return;
            }
            let outstanding = self.state.outstanding();
            let (timers, others): (Vec<_>, Vec<_>) =
                outstanding.iter().partition(|command| matches!(command, Command::SetTimer { .. }));
            let mut moved = false;
            for command in others {
                for event in self.answer(command, 255, true) {
                    moved |= self.take(event).is_ok();
                }
            }
            if !moved {
                moved |= self.take(Event::Resume { run: None, inputs: Map::new() }).is_ok();
            }
            for event in if moved { Vec::new() } else { self.end_events(0) } {
                moved |= self.take(event).is_ok();
            }
            // Last, so that time does not run ahead of what is under way.
            if !moved {
                for command in timers {
                    for event in self.answer(command, 255, true) {
                        moved |= self.take(event).is_ok();
                    }
                }
            }
            assert!(
                moved || self.state.is_closed(),
                "stuck in round {round}: {:?} {:?} {:?}",
                self.state.status(),
                runs(&self.state),
                self.state.outstanding()
            );
        }
        panic!("does not end: {:?}", runs(&self.state));
    }
}

fn rendered(templates: &[(&'static str, Value, Rendering)], choice: u8, kind: bool) -> Map {
    let behaviors = ["RESUME", "WARN", "FAIL", "CANCEL"];
    let value = |name: &str, template: &Value| match name {
        "values" => Value::list([Value::text("x"), Value::text("y"), Value::text("x")]),
        "behavior" => Value::text(behaviors[if kind { 0 } else { usize::from(choice % 4) }]),
        "value" => Value::text(["a", "b", "c"][if kind { 0 } else { usize::from(choice % 3) }]),
        "wait" => Value::Bool(kind || !choice.is_multiple_of(4)),
        "items" => Value::text("in"),
        "condition" | "runIf" | "assert" | "conditions" => Value::Bool(kind || !choice.is_multiple_of(3)),
        _ => template.clone(),
    };
    templates.iter().map(|(name, template, _)| (Arc::from(*name), value(name, template))).collect()
}

fn runs(state: &State) -> Vec<String> {
    state.runs().map(|run| format!("{}[{}]={}", run.task, run.value.as_deref().unwrap_or(""), run.state())).collect()
}

fn play(flow: usize, choices: &[(u8, u8, u8)]) {
    let mut driver = Driver::new(parsed(FLOWS[flow]));
    driver.take(Event::Start { execution: Box::new(driver.execution()) }).unwrap();
    for (what, which, how) in choices {
        let outstanding = driver.state.outstanding();
        let events = match what % 8 {
            0 => vec![driver.disturb(*how)],
            1 => driver.end_events(*how),
            _ if outstanding.is_empty() => vec![driver.disturb(*how)],
            _ => driver.answer(&outstanding[usize::from(*which) % outstanding.len()].clone(), *how, false),
        };
        for event in events {
            let _ = driver.take(event);
        }
    }
    driver.bring_to_end();
    assert_eq!(driver.taken, driver.freed, "slots taken and given back");
    let mut fold = State::new(driver.state.flow().clone());
    driver.changes.iter().for_each(|change| fold.apply(change));
    assert_eq!(fold.snapshot(), driver.state.snapshot());
    let stored: Snapshot = serde_json::from_str(&serde_json::to_string(&fold.snapshot()).unwrap()).unwrap();
    assert_eq!(State::restore(fold.flow().clone(), stored).snapshot(), fold.snapshot());
    in_parts(&driver, choices.len());
    replay_too(&driver, choices.len());
    let changes: Vec<Change> = serde_json::from_str(&serde_json::to_string(&driver.changes).unwrap()).unwrap();
    assert_eq!(changes, driver.changes);
}

// Stored in parts, each on top of the one before, a state is the same as stored whole: what is shown of it, and how it goes on.
fn in_parts(driver: &Driver, choice: usize) {
    let flow = driver.state.flow();
    let (mut fold, mut stored) = (State::new(flow.clone()), State::new(flow.clone()));
    let (mut restored, mut parts) = (State::new(flow.clone()), 0);
    for (index, change) in driver.changes.iter().enumerate() {
        fold.apply(change);
        if index % (1 + choice % 7) == 0 || index + 1 == driver.changes.len() {
            let part = fold.snapshot_since(&stored, parts);
            let part: Snapshot = serde_json::from_str(&serde_json::to_string(&part).unwrap()).unwrap();
            assert_eq!(part.base(), Some(parts));
            restored.restore_on_top(part);
            (stored, parts) = (fold.clone(), parts + 1);
            assert_eq!(restored.snapshot(), fold.snapshot());
            assert_eq!(restored.outstanding(), fold.outstanding());
        }
    }
    assert!(fold.snapshot_since(&fold.clone(), 0).is_empty());
    assert_eq!(fold.snapshot().len(), fold.weight());
    for run in fold.runs() {
        let values: Vec<String> = Vec::new();
        assert_eq!(restored.run_of(&run.task, &values), fold.run_of(&run.task, &values));
    }
}

// What has ended can be replayed from any task run of its main phases, and the replay ends as well.
fn replay_too(driver: &Driver, choice: usize) {
    let runs: Vec<TaskRunId> = driver.state.runs().map(|run| run.id.clone()).collect();
    let Some(from) = runs.get(choice % runs.len().max(1)) else { return };
    let execution = Execution { id: ExecutionId::trusted("again"), ..driver.execution() };
    let flow = driver.state.flow().clone();
    let Ok(decision) = replay(&driver.state, flow.clone(), execution, Some(from), driver.now) else { return };
    let mut again = Driver::new(flow);
    again.now = driver.now;
    for change in &decision.changes {
        again.state.apply(change);
    }
    check(&again.state).unwrap();
    again.changes = decision.changes;
    again.bring_to_end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(150), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_events_keeps_the_invariants(flow in 0..FLOWS.len(), choices in prop::collection::vec(any::<(u8, u8, u8)>(), 0..120)) {
        play(flow, &choices);
    }
}

#[test]
fn every_flow_ends_undisturbed() {
    for flow in 0..FLOWS.len() {
        play(flow, &[]);
    }
}

#[test]
fn early_timer_is_rejected() {
    let mut driver = Driver::new(parsed("tasks: [{id: s, type: io.kestra.plugin.core.flow.Sleep, duration: PT5S}]"));
    driver.take(Event::Start { execution: Box::new(driver.execution()) }).unwrap();
    let timer = driver.state.outstanding().into_iter().find_map(|command| match command {
        Command::SetTimer { id, .. } => Some(id),
        _ => None,
    });
    let due = Event::TimerDue { id: timer.unwrap() };
    assert!(driver.take(due.clone()).is_err());
    driver.now = driver.now.saturating_add(SignedDuration::from_secs(5)).unwrap();
    driver.take(due.clone()).unwrap();
    assert_eq!(driver.state.status(), Some(Status::Success));
    assert!(driver.take(due).is_err());
}

#[test]
fn condition_of_a_loop_whose_time_is_over_is_not_waited_for() {
    let body = "tasks: [{id: l, type: io.kestra.plugin.core.flow.LoopUntil, condition: '{{ x }}', timeout: PT5S, tasks: [{id: a, type: t.Log}], errors: [{id: e, type: t.Log}]}]";
    let mut driver = Driver::new(parsed(body));
    driver.take(Event::Start { execution: Box::new(driver.execution()) }).unwrap();
    let outstanding =
        |driver: &Driver, wanted: fn(&Command) -> bool| driver.state.outstanding().into_iter().find(wanted);
    let job = outstanding(&driver, |command| matches!(command, Command::Run { .. })).unwrap();
    for event in driver.answer(&job, 255, true) {
        driver.take(event).unwrap();
    }
    let condition = outstanding(&driver, |command| matches!(command, Command::Render { .. })).unwrap();
    let limit = outstanding(&driver, |command| matches!(command, Command::SetTimer { .. })).unwrap();
    for event in driver.answer(&limit, 255, true) {
        driver.take(event).unwrap();
    }
    let late = driver.answer(&condition, 255, true).remove(0);
    assert!(driver.take(late).is_err());
    driver.bring_to_end();
    assert_eq!(runs(&driver.state), ["l[]=FAILED", "a[]=SUCCESS", "e[]=SUCCESS"]);
}
