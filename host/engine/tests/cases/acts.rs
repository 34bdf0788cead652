//! Tasks of the engine's own: what they ask of others, told by the messages that leave.

use engine::{Command, Decision, Message, State, decide};
use model::change::Change;

use super::*;

/// What a task with a template in it decides when its properties are known, and how it is then.
fn acted(task: &str, properties: &[(&str, Value)]) -> (Vec<Message>, String, Vec<String>) {
    let mut sim = world(&format!("tasks: [{{id: t, type: {CORE}.{}}}, {{id: z, type: LOG}}]", with_template(task)));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let mut state = State::new(sim.state(&id).flow().clone());
    for change in sim.changes(&id) {
        state.apply(change);
        if matches!(change, Change::RenderAsked { .. }) {
            break;
        }
    }
    let asked = state.outstanding().into_iter().find_map(|command| match command {
        Command::Render { id, .. } => Some(id),
        _ => None,
    });
    let values = Map::from_iter([("properties".into(), Value::map(properties.iter().cloned()))]);
    let answer = Event::Rendered { id: asked.unwrap(), result: Ok(values) };
    let Decision { changes, commands } = decide(&state, answer, sim.now).unwrap();
    changes.iter().for_each(|change| state.apply(change));
    let (mut messages, mut logs) = (Vec::new(), Vec::new());
    for command in commands {
        match command {
            Command::Message { message, .. } => messages.push(message),
            Command::Log { failure, .. } => logs.push(failure.message),
            _ => {}
        }
    }
    (messages, shown_state(&state), logs)
}

// Its properties hold a template, so that they are asked for.
fn with_template(task: &str) -> String {
    let property = match task {
        "execution.Assert" => "conditions: ['{{ true }}']",
        "execution.SetVariables" => "variables: {v: '{{ flow.id }}'}",
        "execution.UnsetVariables" => "variables: ['{{ flow.id }}']",
        "trigger.Toggle" => "trigger: '{{ flow.id }}'",
        _ => "executionId: '{{ flow.id }}'",
    };
    format!("{task}, {property}")
}

const GOES_ON: &str = "RUNNING: t=SUCCESS z=CREATED";

fn check_refused(task: &str, properties: &[(&str, Value)], reason: &str) {
    let (messages, shown, logs) = acted(task, properties);
    assert_eq!((messages.as_slice(), shown.as_str()), ([].as_slice(), "FAILED: t=FAILED"), "{task}");
    assert!(logs.iter().any(|line| line.contains(reason)), "{logs:?}");
}

#[test]
fn kill_of_another_execution_leaves_its_own_alone() {
    for (cascade, properties) in [
        (true, vec![("executionId", Value::text("other"))]),
        (false, vec![("executionId", Value::text("other")), ("propagateKill", Value::Bool(false))]),
    ] {
        let (messages, shown, _) = acted("execution.Kill", &properties);
        assert_eq!(messages, [Message::Kill { execution: ExecutionId::trusted("other"), cascade }]);
        assert_eq!(shown, GOES_ON);
    }
}

#[test]
fn kill_of_its_own_execution_is_no_message() {
    for own in ["", "execution-0"] {
        let (messages, shown, _) = acted("execution.Kill", &[("executionId", Value::text(own))]);
        assert_eq!((messages.len(), shown.as_str()), (0, "KILLED: t=KILLED"), "`{own}`");
    }
}

#[test]
fn resume_hands_its_inputs_on() {
    let inputs = texts([("who", "me")]);
    let given = [("executionId", Value::text("other")), ("inputs", Value::from(inputs.clone()))];
    let (messages, shown, _) = acted("execution.Resume", &given);
    assert_eq!(messages, [Message::Resume { execution: ExecutionId::trusted("other"), inputs }]);
    assert_eq!(shown, GOES_ON);
    check_refused("execution.Resume", &[("executionId", Value::text(""))], "`executionId` is empty");
    check_refused("execution.Resume", &[], "`executionId` is empty");
}

#[test]
fn toggle_is_of_a_trigger_of_its_own_flow_unless_it_says_another() {
    let toggle = |namespace: &str, flow: &str, enabled| Message::Toggle {
        namespace: namespace.to_owned(),
        flow: flow.to_owned(),
        trigger: model::ids::TriggerId::trusted("t"),
        enabled,
    };
    let trigger = ("trigger", Value::text("t"));
    let (own, shown, _) = acted("trigger.Toggle", &[trigger.clone(), ("enabled", Value::Bool(true))]);
    assert_eq!((own, shown.as_str()), (vec![toggle("test", "main", true)], GOES_ON));
    let other = [trigger, ("namespace", Value::text("n")), ("flowId", Value::text("f"))];
    assert_eq!(acted("trigger.Toggle", &other).0, [toggle("n", "f", false)]);
    check_refused("trigger.Toggle", &[("trigger", Value::text(""))], "`trigger` is empty");
}

#[test]
fn assertions_that_do_not_hold_are_numbered_from_one() {
    let conditions = [false, true, false].map(Value::Bool);
    let given = [("conditions", Value::list(conditions))];
    check_refused("execution.Assert", &given, "conditions that do not hold: 1, 3");
    let (_, shown, _) = acted("execution.Assert", &[("conditions", Value::list([Value::Bool(true)]))]);
    assert_eq!(shown, GOES_ON);
}

#[test]
fn variables_are_taken_as_a_map_and_left_out_by_their_names() {
    check_refused("execution.SetVariables", &[("variables", Value::text("v"))], "`variables` must be a map");
    check_refused("execution.UnsetVariables", &[("variables", Value::text("v"))], "`variables` must be a list");
    let missing = ("variables", Value::list([Value::text("v")]));
    check_refused("execution.UnsetVariables", std::slice::from_ref(&missing), "there is no variable `v`");
    let ignored = [missing, ("ignoreMissing", Value::Bool(true))];
    assert_eq!(acted("execution.UnsetVariables", &ignored).1, GOES_ON);
    let fresh = [("variables", Value::map([("v", Value::Int(1))])), ("overwrite", Value::Bool(false))];
    assert_eq!(acted("execution.SetVariables", &fresh).1, GOES_ON);
}
