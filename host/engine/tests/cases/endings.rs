//! From the last task to the end: which cleanup still runs, what becomes of outputs, who takes the place of a failure.

use engine::Command;
use model::change::{Change, Phase, RenderPurpose};

use super::*;

fn ended(body: &str) -> (Sim, ExecutionId) {
    let mut sim = world(body);
    let id = sim.start("test", "main", Map::new());
    sim.run();
    (sim, id)
}

fn check(body: &str, expected: &str) {
    let (sim, id) = ended(body);
    assert_eq!(shown(&sim, &id), expected, "{body}");
    assert!(sim.state(&id).is_closed() && sim.state(&id).outstanding().is_empty(), "{body}");
}

#[test]
fn what_was_cut_short_is_not_cleaned_up() {
    const CLEANUP: &str = "errors: [{id: e, type: LOG}]\nfinally: [{id: f, type: LOG}]";
    for (state, expected) in [
        (Status::Killed, "KILLED: a=KILLED"),
        (Status::Cancelled, "CANCELLED: a=CANCELLED"),
        (Status::Failed, "FAILED: a=FAILED e=SUCCESS f=SUCCESS"),
        (Status::Warning, "WARNING: a=WARNING f=SUCCESS"),
    ] {
        let (mut sim, id) = ended(&format!("tasks: [{{id: a, type: LOG}}]\n{CLEANUP}"));
        let run = sim.state(&id).runs().next().map(|run| run.id.clone());
        sim.send(&id, Event::ChangeState { run, state }).unwrap();
        sim.run();
        assert_eq!(shown(&sim, &id), expected);
    }
}

#[test]
fn cleanup_that_is_disabled_is_passed_over() {
    let off = "[{id: o, type: LOG, disabled: true}]";
    let fails = "tasks: [{id: a, type: FAIL}]";
    check(&format!("{fails}\nerrors: {off}\nfinally: [{{id: f, type: LOG}}]"), "FAILED: a=FAILED f=SUCCESS");
    check(&format!("{fails}\nfinally: {off}\nafterExecution: [{{id: z, type: LOG}}]"), "FAILED: a=FAILED z=SUCCESS");
    check(&format!("{fails}\nerrors: [{{id: e, type: LOG}}]\nfinally: {off}"), "FAILED: a=FAILED e=SUCCESS");
    check(
        &format!("{fails}\nlisteners: [{{tasks: {off}}}, {{tasks: [{{id: l, type: LOG}}]}}]"),
        "FAILED: a=FAILED l=SUCCESS",
    );
    check("tasks: [{id: a, type: LOG}]\nerrors: [{id: e, type: LOG}]", "SUCCESS: a=SUCCESS");
}

#[test]
fn outputs_of_a_failure_are_given_as_far_as_they_are_known() {
    let outputs =
        |value: &str| format!("tasks: [{{id: a, type: FAIL}}]\noutputs: [{{id: o, type: STRING, value: '{value}'}}]");
    let (sim, id) = ended(&outputs("{{ flow.id }}"));
    assert_eq!(sim.state(&id).execution().unwrap().outputs, texts([("o", "main")]));
    // What they lack is no reason of its own: it failed before.
    let (sim, id) = ended(&outputs("{{ outputs.a.nothing }}"));
    let execution = sim.state(&id).execution().unwrap();
    assert_eq!((execution.outputs.len(), execution.failure.as_ref(), sim.logs.len()), (0, None, 1));
    assert_eq!(execution.state(), Status::Failed);
}

#[test]
fn outputs_that_are_wrong_are_a_failure_with_its_reason() {
    let (sim, id) = ended("tasks: [{id: a, type: LOG}]\noutputs: [{id: o, type: INT, value: '{{ flow.id }}'}]");
    let execution = sim.state(&id).execution().unwrap();
    let failure = execution.failure.clone().unwrap();
    assert_eq!((execution.state(), failure.code.as_str()), (Status::Failed, "invalid-output"));
    assert!(failure.message.contains("output `o`"), "{failure:?}");
    assert_eq!(sim.logs, [(id, None, failure)]);
}

#[test]
fn outputs_that_are_no_text_become_their_json() {
    let (sim, id) = ended(
        "tasks: [{id: a, type: LOG}]\noutputs: [{id: list, type: STRING, value: '{{ [1, true] }}'}, {id: null_, type: STRING, value: '{{ null }}'}, {id: number, type: INT, value: '{{ 40 + 2 }}'}]",
    );
    let outputs = Value::from(sim.state(&id).execution().unwrap().outputs.clone());
    assert_eq!(outputs.to_json().to_string(), r#"{"list":"[1,true]","null_":null,"number":42}"#);
}

#[test]
fn only_a_failure_is_retried_by_another_execution() {
    let retry = "retry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}";
    for (task, states) in [
        ("{id: a, type: EXIT, state: FAILED}", vec![Status::Retried, Status::Retried, Status::Failed]),
        ("{id: a, type: EXIT, state: WARNING}", vec![Status::Warning]),
        ("{id: a, type: KILL}", vec![Status::Killed]),
    ] {
        let (sim, _) = ended(&format!("{retry}\ntasks: [{task}]"));
        let found: Vec<Status> = sim.made.iter().map(|id| sim.state(id).status().unwrap()).collect();
        assert_eq!(found, states, "{task}");
    }
}

#[test]
fn retry_of_a_task_may_ask_for_another_execution() {
    let task = |behavior: &str| {
        format!(
            "tasks: [{{id: a, type: FAIL, retry: {{type: constant, interval: PT1S, maxAttempts: 2, behavior: {behavior}}}}}]"
        )
    };
    let (sim, id) = ended(&task("CREATE_NEW_EXECUTION"));
    assert_eq!((sim.made.len(), shown(&sim, &id).as_str()), (2, "RETRIED: a=FAILED"));
    let again = sim.state(&sim.made[1]).execution().unwrap().clone();
    assert_eq!((again.attempt, again.original.as_ref(), again.state()), (2, Some(&id), Status::Failed));
    let (sim, id) = ended(&task("RETRY_FAILED_TASK"));
    assert_eq!((sim.made.len(), shown(&sim, &id).as_str()), (1, "FAILED: a=FAILED/2"));
}

#[test]
fn listener_without_conditions_asks_nothing() {
    let (sim, id) = ended("tasks: [{id: a, type: LOG}]\nlisteners: [{tasks: [{id: l, type: LOG}]}]");
    assert_eq!(shown(&sim, &id), "SUCCESS: a=SUCCESS l=SUCCESS");
    let is_of_listener = |change: &Change| matches!(change, Change::RenderAsked { id } if matches!(id.purpose, RenderPurpose::Listener(_)));
    assert!(!sim.changes(&id).iter().any(is_of_listener));
}

#[test]
fn time_limit_of_a_flow_ends_with_it() {
    let body = "sla: [{id: s, type: MAX_DURATION, duration: PT1H, behavior: FAIL}]\ntasks: [{id: a, type: LOG}]\nafterExecution: [{id: z, type: SLEEP, duration: PT2H}]";
    let (sim, id) = ended(body);
    assert_eq!(shown(&sim, &id), "SUCCESS: a=SUCCESS z=SUCCESS");
    let mut sim = world(body);
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|sim| sim.state(&id).status() != Some(Status::Success));
    let waits = sim.state(&id).outstanding();
    let of_flow = |command: &&Command| matches!(command, Command::SetTimer { id, .. } if id.run.is_none());
    assert_eq!(waits.iter().filter(of_flow).count(), 0, "{waits:?}");
}

#[test]
fn phase_without_tasks_leaves_no_trace() {
    // Every change is stored, for every execution.
    for off in ["", "errors: [{id: e, type: LOG, disabled: true}]\nfinally: [{id: f, type: LOG, disabled: true}]"] {
        let (sim, id) = ended(&format!("tasks: [{{id: a, type: FAIL}}]\n{off}"));
        let is_cleanup =
            |change: &Change| matches!(change, Change::Phase { phase: Phase::Errors | Phase::Finally, .. });
        assert!(!sim.changes(&id).iter().any(is_cleanup), "{off}");
    }
}
