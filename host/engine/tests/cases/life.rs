//! Kill, pause, restart, replay, retry, slots, time limits: what the life of an execution may meet.

use std::sync::Arc;

use engine::{State, decide};

use super::*;

#[test]
fn retry_that_helps_warns() {
    let body =
        "tasks: [{id: a, type: LOG, retry: {type: constant, interval: PT1S, maxAttempts: 3, warningOnRetry: true}}]";
    check_after(body, "a", |attempt| if attempt < 3 { fails() } else { takes(0) }, |_, _| {}, "WARNING: a=WARNING/3");
}

#[test]
fn failure_that_says_so_is_not_retried() {
    let body = "tasks: [{id: a, type: LOG, retry: {type: constant, interval: PT1S, maxAttempts: 3}}]";
    let script = |_| {
        let failure = Failure { code: "x".to_owned(), message: "x".to_owned(), retryable: Some(false) };
        Fake { takes: SignedDuration::ZERO, outcome: Some(Outcome { end: End::Failed(failure), outputs: Value::Null }) }
    };
    check_after(body, "a", script, |_, _| {}, "FAILED: a=FAILED");
}

#[test]
fn running_task_is_stopped_by_its_timeout() {
    check_after("tasks: [{id: a, type: LOG, timeout: PT1S}]", "a", |_| takes(10), |_, _| {}, "FAILED: a=FAILED");
}

#[test]
fn kill_reaches_tasks_and_subflows() {
    let body = "tasks: [{id: p, type: PAR, tasks: [{id: a, type: LOG}, {id: s, type: SUB}, {id: w, type: PAUSE}]}]\nfinally: [{id: f, type: LOG}]";
    let mut sim = world(body);
    sim.script("a", |_| takes(60));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    sim.send(&id, Event::Kill { cascade: true }).unwrap();
    assert_eq!(shown(&sim, &id), "KILLED: p=KILLED a=KILLED s=KILLED w=KILLED");
    assert_eq!(sim.state(&sim.made[1]).status(), Some(Status::Killed));
    let again = sim.send(&id, Event::Kill { cascade: true }).unwrap_err();
    assert_eq!(again.code, RejectCode::Conflict);
}

#[test]
fn pause_waits_to_be_resumed() {
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        assert_eq!(shown(sim, id), "PAUSED: x=PAUSED");
        sim.send(id, Event::Resume { run: None, inputs: texts([("who", "me")]) }).unwrap();
    };
    check_after(
        "tasks: [{id: x, type: PAUSE}, {id: a, type: LOG, runIf: \"{{ outputs.x.onResume.who == 'me' }}\"}]",
        "none",
        |_| fails(),
        act,
        "SUCCESS: x=SUCCESS a=SUCCESS",
    );
}

#[test]
fn paused_execution_begins_nothing() {
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run_while(|_| false);
        sim.send(id, Event::Pause).unwrap();
        sim.run();
        assert_eq!(shown(sim, id), "PAUSED: a=SUCCESS b=CREATED");
        sim.send(id, Event::Resume { run: None, inputs: Map::new() }).unwrap();
    };
    check_after(
        "tasks: [{id: a, type: LOG}, {id: b, type: LOG}]",
        "a",
        |_| takes(5),
        act,
        "SUCCESS: a=SUCCESS b=SUCCESS",
    );
}

#[test]
fn breakpoint_stops_before_its_task_once() {
    let mut sim = world("tasks: [{id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG}]");
    let id = sim.start_as("test", "main", |execution| execution.breakpoints = vec![TaskId::trusted("b")]);
    sim.run();
    assert_eq!(shown(&sim, &id), "BREAKPOINT: a=SUCCESS b=CREATED");
    sim.send(&id, Event::SetBreakpoints { tasks: vec![TaskId::trusted("b"), TaskId::trusted("c")] }).unwrap();
    sim.send(&id, Event::Resume { run: None, inputs: Map::new() }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "BREAKPOINT: a=SUCCESS b=SUCCESS c=CREATED");
    sim.send(&id, Event::ForceRun).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: a=SUCCESS b=SUCCESS c=SUCCESS");
}

#[test]
fn scheduled_execution_waits_or_is_forced() {
    let mut sim = world("tasks: [{id: a, type: LOG}]");
    let due = sim.now.saturating_add(SignedDuration::from_secs(60)).unwrap();
    let ids: Vec<ExecutionId> =
        (0..2).map(|_| sim.start_as("test", "main", |execution| execution.scheduled = Some(due))).collect();
    sim.run_while(|_| false);
    assert_eq!(shown(&sim, &ids[0]), "CREATED:");
    sim.send(&ids[1], Event::ForceRun).unwrap();
    sim.run_while(|sim| sim.state(&ids[1]).status() != Some(Status::Success));
    assert!(sim.now < due);
    sim.run();
    assert_eq!(shown(&sim, &ids[0]), "SUCCESS: a=SUCCESS");
    assert_eq!(sim.now, due);
}

#[test]
fn restart_runs_what_failed_again() {
    let body = "tasks: [{id: a, type: LOG}, {id: s, type: SEQ, tasks: [{id: b, type: LOG}], errors: [{id: e, type: LOG}]}, {id: c, type: LOG}]\nerrors: [{id: g, type: LOG}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        assert_eq!(shown(sim, id), "FAILED: a=SUCCESS s=FAILED b=FAILED e=SUCCESS g=SUCCESS");
        sim.send(id, Event::Restart { from: None }).unwrap();
    };
    check_after(
        body,
        "b",
        |attempt| if attempt == 1 { fails() } else { takes(0) },
        act,
        "SUCCESS: a=SUCCESS s=SUCCESS b=SUCCESS/2 c=SUCCESS",
    );
}

#[test]
fn replay_runs_what_comes_after_again() {
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        let from = sim.state(id).runs().nth(1).map(|run| run.id.clone());
        sim.send(id, Event::Restart { from }).unwrap();
    };
    check_after(
        "tasks: [{id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG}]",
        "none",
        |_| fails(),
        act,
        "SUCCESS: a=SUCCESS b=SUCCESS/2 c=SUCCESS",
    );
}

#[test]
fn replay_makes_another_execution_from_a_task_run_on() {
    let mut sim = world(
        "tasks: [{id: x, type: EACH, values: [p, q], concurrencyLimit: 0, tasks: [{id: a, type: LOG}]}, {id: s, type: SEQ, tasks: [{id: b, type: FAIL}]}]\nerrors: [{id: e, type: LOG}]",
    );
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: x=SUCCESS a[p]=SUCCESS a[q]=SUCCESS s=FAILED b=FAILED e=SUCCESS");
    let from = sim.state(&id).runs().nth(4).unwrap().id.clone();
    let again = sim.replay(&id, &from).unwrap();
    assert_eq!(shown(&sim, &again), "RESTARTED: x=SUCCESS a[p]=SUCCESS a[q]=SUCCESS s=RUNNING b=RESTARTED");
    assert!(sim.state(&again).run(&from).is_none());
    sim.run();
    assert_eq!(shown(&sim, &again), "FAILED: x=SUCCESS a[p]=SUCCESS a[q]=SUCCESS s=FAILED b=FAILED/2 e=SUCCESS");
    assert_eq!(sim.state(&again).execution().unwrap().original.as_ref(), Some(&id));
}

// What is replayed on another revision of the flow, and how it begins and ends there.
fn check_revision(before: &str, after: &str, from: Option<usize>, begins: &str, ends: &str) {
    let mut sim = world(before);
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let from = from.map(|index| sim.state(&id).runs().nth(index).unwrap().id.clone());
    let mut next = flow(&format!("id: main\nnamespace: test\n{}", short(after)));
    next.revision = 2;
    let again = sim.replay_on(&id, Arc::new(next), from.as_ref()).unwrap();
    assert_eq!(shown(&sim, &again), begins);
    sim.run();
    assert_eq!(shown(&sim, &again), ends);
}

#[test]
fn another_revision_goes_on_where_the_first_failed() {
    check_revision(
        "tasks: [{id: a, type: LOG}, {id: b, type: FAIL}, {id: c, type: LOG}]",
        "tasks: [{id: new, type: LOG}, {id: a, type: LOG}, {id: b, type: LOG}, {id: d, type: LOG}]",
        None,
        "RESTARTED: a=SUCCESS b=RESTARTED",
        "SUCCESS: a=SUCCESS b=SUCCESS/2 d=SUCCESS",
    );
}

#[test]
fn only_task_runs_that_are_paused_are_resumed() {
    let mut sim = world("tasks: [{id: p, type: PAUSE}, {id: a, type: LOG}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let run = run_of(&sim, &id, "p").unwrap();
    let no = TaskRunId::trusted("no");
    assert!(sim.send(&id, Event::Resume { run: Some(no), inputs: Map::new() }).is_err());
    assert_eq!(shown(&sim, &id), "PAUSED: p=PAUSED");
    sim.send(&id, Event::Resume { run: Some(run.clone()), inputs: Map::new() }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: p=SUCCESS a=SUCCESS");
    assert!(sim.send(&id, Event::Resume { run: Some(run), inputs: Map::new() }).is_err());
}

#[test]
fn replay_has_the_variables_that_were_set() {
    let mut sim = world(
        "variables: {v: old}\ntasks: [{id: s, type: SET, variables: {v: new}}, {id: f, type: FAIL, condition: \"{{ vars.v == 'new' }}\"}]",
    );
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: s=SUCCESS f=FAILED");
    let from = run_of(&sim, &id, "f").unwrap();
    let again = sim.replay(&id, &from).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &again), "FAILED: s=SUCCESS f=FAILED/2");
    assert_eq!(sim.state(&again).execution().unwrap().variables.get("v"), Some(&Value::from("new")));
}

#[test]
fn what_cannot_be_rendered_is_tried_again_as_all_failures() {
    let retry = "retry: {type: constant, interval: PT1S, maxAttempts: 2}";
    for (task, expected) in [
        (format!("type: LOG, timeout: '{{{{ nothing }}}}', {retry}"), "FAILED: a=FAILED/2"),
        (format!("type: SLEEP, duration: '{{{{ nothing }}}}', {retry}"), "FAILED: a=FAILED/2"),
        // What only holds others has no attempts.
        ("type: SWITCH, value: '{{ nothing }}', cases: {x: [{id: b, type: LOG}]}".to_owned(), "FAILED: a=FAILED"),
    ] {
        check_after(&format!("tasks: [{{id: a, {task}}}]"), "none", |_| fails(), |_, _| {}, expected);
    }
}

#[test]
fn another_revision_may_have_more_for_iterations_that_had_ended() {
    let each = |tasks: &str| {
        format!(
            "tasks: [{{id: x, type: EACH, concurrencyLimit: 0, values: [p, q], tasks: [{{id: a, type: LOG}}, {tasks}]}}]"
        )
    };
    check_revision(
        &each("{id: f, type: FAIL, runIf: \"{{ taskrun.value == 'p' }}\"}"),
        &each("{id: f, type: LOG}, {id: c, type: LOG}"),
        None,
        "RESTARTED: x=RUNNING a[p]=SUCCESS a[q]=SUCCESS f[p]=RESTARTED f[q]=SKIPPED",
        "SUCCESS: x=SUCCESS a[p]=SUCCESS a[q]=SUCCESS f[p]=SUCCESS/2 f[q]=SKIPPED c[q]=SUCCESS c[p]=SUCCESS",
    );
}

#[test]
fn another_revision_may_have_lost_the_task_that_failed() {
    check_revision(
        "tasks: [{id: a, type: LOG}, {id: b, type: FAIL}]",
        "tasks: [{id: new, type: LOG}, {id: a, type: LOG}, {id: d, type: LOG}]",
        None,
        "RESTARTED: a=SUCCESS",
        "SUCCESS: a=SUCCESS d=SUCCESS",
    );
}

#[test]
fn another_revision_of_a_parallel_finds_its_tasks_again() {
    check_revision(
        "tasks: [{id: p, type: PAR, tasks: [{id: a, type: LOG}, {id: b, type: FAIL}]}]",
        "tasks: [{id: p, type: PAR, tasks: [{id: b, type: LOG}, {id: a, type: LOG}]}, {id: z, type: LOG}]",
        None,
        "RESTARTED: p=RUNNING a=SUCCESS b=RESTARTED",
        "SUCCESS: p=SUCCESS a=SUCCESS b=SUCCESS/2 z=SUCCESS",
    );
}

#[test]
fn another_revision_can_be_replayed_from_a_task_run() {
    check_revision(
        "tasks: [{id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG}]",
        "tasks: [{id: b, type: LOG}, {id: a, type: LOG}, {id: c, type: LOG}]",
        Some(0),
        "RESTARTED: a=RESTARTED b=SUCCESS",
        "SUCCESS: a=SUCCESS/2 b=SUCCESS c=SUCCESS",
    );
}

// F11: between a decision and its commit nothing is kept of it. Whoever takes its place reads the state back and decides the same.
#[test]
fn f11_what_was_decided_and_not_committed_is_decided_again() {
    let mut sim =
        world("tasks: [{id: p, type: PAR, tasks: [{id: a, type: LOG}, {id: s, type: SUB}]}, {id: w, type: PAUSE}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let state = sim.state(&id);
    let stored = serde_json::to_string(&state.snapshot()).unwrap();
    let again = State::restore(state.flow().clone(), serde_json::from_str(&stored).unwrap());
    let run = state.runs().last().map(|run| run.id.clone());
    let events = [Event::Resume { run, inputs: Map::new() }, Event::Kill { cascade: true }, Event::Pause];
    for event in events {
        assert_eq!(decide(state, event.clone(), sim.now), decide(&again, event, sim.now));
    }
    let mut once = state.clone();
    let decision = decide(state, Event::Kill { cascade: true }, sim.now).unwrap();
    decision.changes.iter().for_each(|change| once.apply(change));
    assert!(decide(&once, Event::Kill { cascade: true }, sim.now).is_err(), "committed, it is not decided twice");
}

#[test]
fn slots_are_handed_on() {
    let mut sim = world("concurrency: {limit: 1, behavior: QUEUE}\ntasks: [{id: a, type: SLEEP, duration: PT5S}]");
    let ids: Vec<ExecutionId> = (0..3).map(|_| sim.start("test", "main", Map::new())).collect();
    sim.run_while(|_| false);
    let states: Vec<_> = ids.iter().map(|id| sim.state(id).status().unwrap()).collect();
    assert_eq!(states, [Status::Running, Status::Queued, Status::Queued]);
    sim.send(&ids[2], Event::ForceRun).unwrap();
    sim.run();
    assert!(ids.iter().all(|id| sim.state(id).status() == Some(Status::Success)));
    assert_eq!(sim.held_slots(&sim.state(&ids[0]).flow().key), 0);
}

#[test]
fn retry_in_place_of_an_execution() {
    let mut sim = world(
        "retry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}\ntasks: [{id: a, type: LOG}]",
    );
    sim.script("a", |_| fails());
    sim.start("test", "main", Map::new());
    sim.run();
    let states: Vec<_> = sim.made.iter().map(|id| sim.state(id).status().unwrap()).collect();
    assert_eq!(states, [Status::Retried, Status::Retried, Status::Failed]);
}

#[test]
fn parent_waits_for_the_execution_that_takes_the_place_of_another() {
    let mut sim = world(
        "tasks: [{id: x, type: io.kestra.plugin.core.flow.Subflow, namespace: test, flowId: again}, {id: y, type: LOG}]",
    );
    sim.add(flow(&short("id: again\nnamespace: test\nretry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}\ntasks: [{id: a, type: LOG, runIf: 'true'}]")));
    let tries = std::cell::Cell::new(0);
    sim.script("a", move |_| {
        tries.set(tries.get() + 1);
        if tries.get() < 2 { fails() } else { takes(0) }
    });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS y=SUCCESS");
    assert_eq!(sim.made.len(), 3);
    let known = sim.state(&id).runs().next().unwrap().outputs.get("executionId").cloned();
    assert_eq!(known, Some(Value::text(sim.made[2].as_str())));
}

#[test]
fn same_events_give_the_same_changes() {
    let run = || {
        let mut sim = world(
            "tasks: [{id: x, type: EACH, concurrencyLimit: 0, values: [p, q], tasks: [{id: a, type: FAIL, retry: {type: random, minInterval: PT1S, maxInterval: PT9S, maxAttempts: 3}}]}]",
        );
        let id = sim.start("test", "main", Map::new());
        sim.run();
        sim.changes(&id).to_vec()
    };
    assert_eq!(run(), run());
}

#[test]
fn time_limit_counts_anew_after_a_restart() {
    let body = "tasks: [{id: x, type: SEQ, timeout: PT3S, tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        assert_eq!(shown(sim, id), "FAILED: x=FAILED a=SUCCESS b=KILLED");
        sim.send(id, Event::Restart { from: None }).unwrap();
        sim.run();
        assert_eq!(shown(sim, id), "FAILED: x=FAILED a=SUCCESS b=KILLED/2");
        sim.send(id, Event::Restart { from: None }).unwrap();
    };
    let script = |attempt| if attempt < 3 { takes(9) } else { takes(1) };
    check_after(body, "b", script, act, "SUCCESS: x=SUCCESS a=SUCCESS b=SUCCESS/3");
}

#[test]
fn execution_that_a_check_refuses_fails_without_running() {
    let mut sim = world(
        "retry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}\ntasks: [{id: a, type: LOG}]\nafterExecution: [{id: z, type: LOG}]",
    );
    let refused = Failure { code: "check".to_owned(), message: "not today".to_owned(), retryable: None };
    let id = sim.start_as("test", "main", |execution| execution.failure = Some(refused.clone()));
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: z=SUCCESS");
    assert_eq!(sim.logs, [(id.clone(), None, refused)]);
    assert_eq!(sim.made.len(), 1);
}

#[test]
fn restart_goes_on_where_an_execution_was_ended() {
    let ended = |body: &str, first: &str, second: &str| {
        let mut sim = world(body);
        let id = sim.start("test", "main", Map::new());
        sim.run();
        assert_eq!(shown(&sim, &id), first);
        sim.send(&id, Event::Restart { from: None }).unwrap();
        sim.run();
        assert_eq!(shown(&sim, &id), second);
    };
    let outputs =
        "variables: {v: 1}\ntasks: [{id: a, type: LOG}]\noutputs: [{id: o, type: STRING, value: '{{ nothing }}'}]";
    ended(outputs, "FAILED: a=SUCCESS", "FAILED: a=SUCCESS");
    let mut sim = world("concurrency: {limit: 1, behavior: CANCEL}\ntasks: [{id: a, type: SLEEP, duration: PT5S}]");
    let ids = [0, 1].map(|_| sim.start("test", "main", Map::new()));
    sim.run();
    assert_eq!(shown(&sim, &ids[1]), "CANCELLED:");
    sim.send(&ids[1], Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &ids[1]), "SUCCESS: a=SUCCESS");
    let success = sim.send(&ids[0], Event::Restart { from: None }).unwrap_err();
    assert_eq!(success.code, RejectCode::Invalid);
}

#[test]
fn execution_goes_on_when_the_subflow_that_failed_it_is_mended() {
    let mut sim = world("tasks: [{id: x, type: SUB, inputs: {fails: true}}, {id: y, type: LOG}]");
    sim.script("c1", |attempt| if attempt == 1 { fails() } else { takes(0) });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: x=FAILED");
    let child = sim.made[1].clone();
    sim.send(&child, Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &child), "SUCCESS: c1=SUCCESS/2 c2=SUCCESS");
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS y=SUCCESS");
    assert_eq!(output(&sim, &id, "x", "state"), Some(Value::text("SUCCESS")));
    assert_eq!(output(&sim, &id, "x", "outputs.out"), Some(Value::text(child.as_str())));
}

/// Sends an event to an execution that has ended, and tells why it is rejected.
fn rejected(body: &str, event: impl Fn(&Sim, &ExecutionId) -> Event) -> (RejectCode, String) {
    let mut sim = world(body);
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let event = event(&sim, &id);
    let rejected = sim.send(&id, event).unwrap_err();
    (rejected.code, rejected.message)
}

fn run_of(sim: &Sim, id: &ExecutionId, task: &str) -> Option<TaskRunId> {
    sim.state(id).runs().find(|run| run.task.as_str() == task).map(|run| run.id.clone())
}

#[test]
fn what_cannot_be_done_is_rejected_with_its_reason() {
    const FAILED: &str = "tasks: [{id: u, type: UNIT, tasks: [{id: a, type: FAIL}]}]\nerrors: [{id: e, type: LOG}]";
    const PAUSED: &str = "tasks: [{id: p, type: PAUSE}]";
    const FINE: &str = "tasks: [{id: a, type: LOG}]";
    const RETRIED: &str = "retry: {type: constant, interval: PT1S, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}\ntasks: [{id: a, type: FAIL}]";
    let change = |task: &'static str, state| {
        move |sim: &Sim, id: &ExecutionId| Event::ChangeState { run: run_of(sim, id, task), state }
    };
    let restart =
        |task: &'static str| move |sim: &Sim, id: &ExecutionId| Event::Restart { from: run_of(sim, id, task) };
    let unknown = |_: &Sim, _: &ExecutionId| Event::Restart { from: Some(TaskRunId::trusted("nobody")) };
    type Sent<'a> = Box<dyn Fn(&Sim, &ExecutionId) -> Event + 'a>;
    let cases: Vec<(&str, Sent<'_>, RejectCode, &str)> = vec![
        (FAILED, Box::new(change("u", Status::Running)), RejectCode::Invalid, "cannot be changed to RUNNING"),
        (FAILED, Box::new(change("u", Status::Retried)), RejectCode::Invalid, "cannot be changed to RETRIED"),
        (FAILED, Box::new(change("a", Status::Success)), RejectCode::Invalid, "working directory"),
        (FAILED, Box::new(change("e", Status::Success)), RejectCode::Invalid, "not one of the flow's `tasks`"),
        (FAILED, Box::new(restart("e")), RejectCode::Invalid, "not one of the flow's `tasks`"),
        (FAILED, Box::new(unknown), RejectCode::Invalid, "there is no task run `nobody`"),
        (FAILED, Box::new(|_, _| Event::Kill { cascade: true }), RejectCode::Conflict, "cannot kill"),
        (FAILED, Box::new(|_, _| Event::Pause), RejectCode::Conflict, "cannot pause"),
        (FAILED, Box::new(|_, _| Event::ForceRun), RejectCode::Conflict, "cannot force"),
        (FAILED, Box::new(|_, _| Event::Continue), RejectCode::Stale, "nothing to go on with"),
        (FAILED, Box::new(|_, _| Event::SlotRefused), RejectCode::Stale, "has not asked for a slot"),
        (FAILED, Box::new(|_, _| Event::Unqueue { state: Status::Running }), RejectCode::Conflict, "is not queued"),
        (FINE, Box::new(|_, _| Event::Restart { from: None }), RejectCode::Invalid, "none has failed"),
        (
            FINE,
            Box::new(|_, _| Event::Resume { run: None, inputs: Map::new() }),
            RejectCode::Conflict,
            "nothing in this execution is paused",
        ),
        (PAUSED, Box::new(change("p", Status::Success)), RejectCode::Conflict, "that is PAUSED"),
        (RETRIED, Box::new(|_, _| Event::Restart { from: None }), RejectCode::Conflict, "use the other"),
    ];
    for (body, event, code, reason) in cases {
        let (found, message) = rejected(body, event);
        assert!(found == code && message.contains(reason), "{body}: {found:?} {message}, expected {code:?} {reason}");
    }
}

#[test]
fn restart_of_an_execution_that_still_cleans_up_waits() {
    let mut sim = world("tasks: [{id: a, type: FAIL}]\nafterExecution: [{id: z, type: SLEEP, duration: PT5S}]");
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|sim| !sim.state(&id).status().is_some_and(Status::is_terminal));
    let rejected = sim.send(&id, Event::Restart { from: None }).unwrap_err();
    assert_eq!(rejected.code, RejectCode::Conflict);
    assert!(rejected.message.contains("afterExecution"), "{rejected}");
}

#[test]
fn queued_execution_leaves_the_queue_by_hand() {
    let mut sim = world("concurrency: {limit: 1}\ntasks: [{id: a, type: SLEEP, duration: PT5S}]");
    let ids: Vec<ExecutionId> = (0..4).map(|_| sim.start("test", "main", Map::new())).collect();
    sim.run_while(|_| false);
    let invalid = sim.send(&ids[1], Event::Unqueue { state: Status::Success }).unwrap_err();
    assert_eq!(invalid.code, RejectCode::Invalid);
    for (id, state) in [(&ids[1], Status::Cancelled), (&ids[2], Status::Failed), (&ids[3], Status::Running)] {
        sim.send(id, Event::Unqueue { state }).unwrap();
        assert_eq!(sim.state(id).status(), Some(state));
    }
    sim.run();
    assert_eq!(sim.held_slots(&sim.state(&ids[0]).flow().key), 0);
}

#[test]
fn restart_runs_again_only_what_depends_on_what_failed() {
    let body = "tasks: [{id: d, type: DAG, tasks: [{task: {id: a, type: LOG}}, {task: {id: b, type: LOG}, dependsOn: [a]}, {task: {id: c, type: LOG}}, {task: {id: e, type: LOG}, dependsOn: [b, c]}]}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        let from = run_of(sim, id, "b");
        sim.send(id, Event::Restart { from }).unwrap();
    };
    check_after(body, "none", |_| fails(), act, "SUCCESS: d=SUCCESS a=SUCCESS c=SUCCESS b=SUCCESS/2 e=SUCCESS");
}

#[test]
fn restart_within_iterations_depends_on_how_they_run() {
    let check = |limit: u32, expected: &str| {
        let body = format!(
            "tasks: [{{id: x, type: EACH, concurrencyLimit: {limit}, values: [p, q], tasks: [{{id: a, type: LOG}}, {{id: b, type: LOG}}]}}]"
        );
        let act = |sim: &mut Sim, id: &ExecutionId| {
            sim.run();
            let from = run_of(sim, id, "a");
            sim.send(id, Event::Restart { from }).unwrap();
            let left = sim.state(id).run_count();
            assert_eq!(left, if limit == 1 { 2 } else { 4 });
        };
        check_after(&body, "none", |_| fails(), act, expected);
    };
    // In turn, what came later is gone; at once, the other iteration stays.
    check(1, "SUCCESS: x=SUCCESS a[p]=SUCCESS/2 b[p]=SUCCESS a[q]=SUCCESS b[q]=SUCCESS");
    check(0, "SUCCESS: x=SUCCESS a[p]=SUCCESS/2 a[q]=SUCCESS b[q]=SUCCESS b[p]=SUCCESS");
}

#[test]
fn restart_does_not_wait_for_a_pause_twice() {
    let body = "tasks: [{id: p, type: PAUSE, pauseDuration: PT1S, tasks: [{id: a, type: LOG}]}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        let ended = sim.now;
        sim.send(id, Event::Restart { from: None }).unwrap();
        sim.run();
        assert_eq!(sim.now, ended);
    };
    let script = |attempt| if attempt == 1 { fails() } else { takes(0) };
    check_after(body, "a", script, act, "SUCCESS: p=SUCCESS a=SUCCESS/2");
}

#[test]
fn working_directory_begins_again_as_one() {
    let body = "tasks: [{id: u, type: UNIT, tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        let from = run_of(sim, id, "b");
        sim.send(id, Event::Restart { from }).unwrap();
        sim.run();
        assert_eq!(sim.attempts.len(), 2);
    };
    check_after(body, "none", |_| fails(), act, "SUCCESS: u=SUCCESS/2 a=SUCCESS b=SUCCESS");
}

#[test]
fn change_of_state_goes_on_from_there() {
    let body = "tasks: [{id: a, type: FAIL}, {id: b, type: LOG}]\nerrors: [{id: e, type: LOG}]";
    let changed = |state, expected: &str| {
        let act = |sim: &mut Sim, id: &ExecutionId| {
            sim.run();
            let run = run_of(sim, id, "a");
            sim.send(id, Event::ChangeState { run, state }).unwrap();
        };
        check_after(body, "none", |_| fails(), act, expected);
    };
    changed(Status::Success, "SUCCESS: a=SUCCESS b=SUCCESS");
    changed(Status::Warning, "WARNING: a=WARNING b=SUCCESS");
    changed(Status::Failed, "FAILED: a=FAILED e=SUCCESS");
    changed(Status::Killed, "KILLED: a=KILLED");
}

#[test]
fn change_of_state_within_a_group_goes_on_in_it() {
    let body = "tasks: [{id: s, type: SEQ, tasks: [{id: a, type: FAIL}, {id: b, type: LOG}], errors: [{id: e, type: LOG}]}, {id: c, type: LOG}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        assert_eq!(shown(sim, id), "FAILED: s=FAILED a=FAILED e=SUCCESS");
        let run = run_of(sim, id, "a");
        sim.send(id, Event::ChangeState { run, state: Status::Success }).unwrap();
    };
    check_after(body, "none", |_| fails(), act, "SUCCESS: s=SUCCESS a=SUCCESS b=SUCCESS c=SUCCESS");
}

#[test]
fn change_of_a_childs_state_is_told_to_its_parent() {
    let mut sim = world("tasks: [{id: x, type: SUB, inputs: {fails: true}}, {id: y, type: LOG}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let child = sim.made[1].clone();
    sim.send(&child, Event::ChangeState { run: None, state: Status::Success }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &child), "SUCCESS: c1=FAILED");
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS y=SUCCESS");
}

#[test]
fn replay_from_a_pause_waits_again() {
    let body = "tasks: [{id: p, type: PAUSE, pauseDuration: PT5S, tasks: [{id: a, type: LOG}]}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        let from = run_of(sim, id, "p");
        sim.send(id, Event::Restart { from }).unwrap();
        assert_eq!(shown(sim, id), "PAUSED: p=PAUSED");
    };
    check_after(body, "none", |_| fails(), act, "SUCCESS: p=SUCCESS a=SUCCESS");
}

#[test]
fn why_an_execution_failed_is_forgotten_when_it_lives_again() {
    let mut sim = world("tasks: [{id: a, type: LOG}]");
    let refused = Failure::new("check", "not today");
    let id = sim.start_as("test", "main", |execution| execution.failure = Some(refused.clone()));
    sim.run();
    assert_eq!(sim.state(&id).execution().unwrap().failure.as_ref(), Some(&refused));
    sim.send(&id, Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: a=SUCCESS");
    assert_eq!(sim.state(&id).execution().unwrap().failure, None);
}

#[test]
fn loop_that_gave_up_may_succeed_in_another_life() {
    let mut sim = world(
        "tasks: [{id: l, type: LOOP, condition: '{{ labels.go is defined }}', failOnMaxReached: true, checkFrequency: {interval: PT1S, maxIterations: 2}, tasks: [{id: a, type: LOG}]}]",
    );
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: l=FAILED a=SUCCESS");
    sim.send(&id, Event::SetLabels { labels: vec![engine::sim::label("go", "yes")] }).unwrap();
    sim.send(&id, Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: l=SUCCESS a=SUCCESS");
    assert_eq!(sim.state(&id).execution().unwrap().attempt, 2);
}
