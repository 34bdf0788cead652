//! Flow triggers: each execution counts once, windows outlive the node, circles end.

use model::ids::ExecutionId;
use model::state::State;
use server::{Given, Start};

use super::{World, hours, minutes, world};

const START: &str = "2024-01-10T08:00:00Z";

/// A flow that others look at. It fails if it is told to.
fn source(id: &str) -> String {
    format!(
        "id: {id}\nnamespace: w\ninputs:\n  - {{id: good, type: BOOLEAN, defaults: true}}\ntasks:\n  - {{id: look, type: io.kestra.plugin.core.execution.Assert, conditions: ['{{{{ inputs.good }}}}']}}\noutputs:\n  - {{id: said, type: STRING, value: 'by {id}'}}\n"
    )
}

/// A flow with a Flow trigger.
fn listener(trigger: &str) -> String {
    format!(
        "id: f\nnamespace: w\ntasks:\n  - {{id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT1S}}\ntriggers:\n  - id: up\n    type: io.kestra.plugin.core.trigger.Flow\n{trigger}"
    )
}

async fn run(world: &World, flow: &str, good: bool) {
    let start =
        Start { inputs: vec![("good".to_owned(), Given::Value(expr::Value::Bool(good)))], ..Start::of("w", flow) };
    let id: ExecutionId = world.node().start(start).await.expect("it starts");
    world.node().ended(&id).await.expect("it ends");
    world.pass(minutes(1)).await;
}

#[test]
fn conditions_choose_and_inputs_are_of_the_execution_that_ended() {
    world(START, async |world| {
        world.save(&source("a")).await;
        world.save(&source("b")).await;
        let trigger = "    inputs: {said: '{{ outputs.said ?? trigger.outputs.said }}'}\n    conditions:\n      - {type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: w, flowId: a}\n      - {type: io.kestra.plugin.core.condition.ExecutionStatus, in: [SUCCESS]}\n";
        let listener = format!(
            "{}inputs:\n  - {{id: said, type: STRING}}\noutputs:\n  - {{id: heard, type: STRING, value: '{{{{ inputs.said }}}} {{{{ trigger.state }}}}'}}\n",
            listener(trigger)
        );
        world.save(&listener).await;
        run(world, "b", true).await;
        run(world, "a", false).await;
        run(world, "a", true).await;
        let heard = world.executions("f").await;
        assert_eq!(heard.len(), 1);
        assert_eq!(heard[0].state(), State::Success);
        assert_eq!(heard[0].outputs.get("heard").and_then(|heard| heard.as_str()), Some("by a SUCCESS"));
        assert_eq!(world.told("f", "flowId").await, ["a"]);
        assert!(heard[0].labels.iter().any(|label| label.key == "system.correlationId"));
    });
}

#[test]
fn each_state_that_is_asked_for_counts() {
    world(START, async |world| {
        world.save("id: a\nnamespace: w\ninputs: [{id: good, type: BOOLEAN}]\ntasks:\n  - {id: p, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT5S}\n").await;
        world.save(&listener("    states: [RUNNING, PAUSED, SUCCESS]\n")).await;
        run(world, "a", true).await;
        // The first two states are of one moment, which says nothing about their order.
        let mut told = world.told("f", "state").await;
        told.sort();
        assert_eq!(told, ["PAUSED", "RUNNING", "RUNNING", "SUCCESS"]);
    });
    world(START, async |world| {
        world.save(&source("a")).await;
        world.save(&listener("")).await;
        run(world, "a", true).await;
        run(world, "a", false).await;
        assert_eq!(world.told("f", "state").await, ["SUCCESS", "FAILED"], "ends, unless more is asked for");
    });
}

const BOTH: &str = "    preconditions:\n      id: both\n      flows:\n        - {namespace: w, flowId: a, states: [SUCCESS]}\n        - {namespace: w, flowId: b}\n";

#[test]
fn preconditions_wait_for_all_and_outlive_the_node() {
    world(START, async |world| {
        for id in ["a", "b", "c"] {
            world.save(&source(id)).await;
        }
        world.save(&listener(BOTH)).await;
        run(world, "a", false).await;
        run(world, "b", true).await;
        run(world, "c", true).await;
        assert_eq!(world.executions("f").await.len(), 0);
        world.restart_after(minutes(5)).await;
        run(world, "a", true).await;
        assert_eq!(world.told("f", "flowId").await, ["a"], "the last one is told of");
        // Begun anew.
        run(world, "a", true).await;
        assert_eq!(world.executions("f").await.len(), 1);
        run(world, "b", true).await;
        assert_eq!(world.executions("f").await.len(), 2);
        // A day later nothing of it counts.
        run(world, "a", true).await;
        world.pass(hours(24)).await;
        run(world, "b", true).await;
        assert_eq!(world.executions("f").await.len(), 2);
    });
}

#[test]
fn what_has_come_to_pass_stays_if_the_trigger_says_so() {
    world(START, async |world| {
        world.save(&source("a")).await;
        world.save(&source("b")).await;
        world.save(&source("c")).await;
        let trigger = BOTH.replace("id: both", "id: both\n      resetOnSuccess: false");
        world.save(&listener(&trigger)).await;
        for flow in ["a", "b", "a", "c", "b"] {
            run(world, flow, true).await;
        }
        assert_eq!(world.told("f", "flowId").await, ["b", "a", "b"]);
    });
}

#[test]
fn windows_of_each_type_close() {
    let window = |window: &str| BOTH.replace("id: both", &format!("id: both\n      timeWindow: {window}"));
    for (name, trigger, wait, expected) in [
        ("sliding, in time", window("{type: SLIDING_WINDOW, window: PT1H}"), minutes(50), 1),
        ("sliding, too late", window("{type: SLIDING_WINDOW, window: PT1H}"), minutes(70), 0),
        ("tumbling, same", window("{window: PT2H}"), minutes(110), 1),
        ("tumbling, next", window("{window: PT2H}"), minutes(121), 0),
        ("before the deadline", window("{type: DAILY_TIME_DEADLINE, deadline: '10:00:00'}"), minutes(110), 1),
        ("after the deadline", window("{type: DAILY_TIME_DEADLINE, deadline: '10:00:00'}"), minutes(121), 0),
        ("within the day", window("{type: DAILY_TIME_WINDOW, startTime: '07:00', endTime: '09:00'}"), minutes(50), 1),
        ("outside the day", window("{type: DAILY_TIME_WINDOW, startTime: '07:00', endTime: '09:00'}"), minutes(70), 0),
    ] {
        world(START, async |world| {
            world.save(&source("a")).await;
            world.save(&source("b")).await;
            world.save(&listener(&trigger)).await;
            run(world, "a", true).await;
            world.pass(wait).await;
            run(world, "b", true).await;
            assert_eq!(world.executions("f").await.len(), expected, "{name}");
        });
    }
}

#[test]
fn filters_choose_by_sides_of_the_execution() {
    world(START, async |world| {
        world.save(&source("a")).await;
        world.save(&source("b")).await;
        let trigger = "    preconditions:\n      id: p\n      where:\n        - id: w\n          operand: AND\n          filters:\n            - {field: FLOW_ID, type: IN, values: [a, x]}\n            - {field: EXPRESSION, type: IS_TRUE, value: \"{{ trigger.state == 'SUCCESS' }}\"}\n";
        world.save(&listener(trigger)).await;
        run(world, "b", true).await;
        run(world, "a", false).await;
        run(world, "a", true).await;
        assert_eq!(world.told("f", "flowId").await, ["a"]);
    });
}

#[test]
fn conditions_over_several_executions_wait_for_all_of_them() {
    world(START, async |world| {
        world.save(&source("a")).await;
        world.save(&source("b")).await;
        let trigger = "    conditions:\n      - {type: io.kestra.plugin.core.condition.ExecutionStatus, in: [SUCCESS]}\n      - type: io.kestra.plugin.core.condition.MultipleCondition\n        id: m\n        window: PT4H\n        conditions:\n          a: {type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: w, flowId: a}\n          b: {type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: w, flowId: b}\n";
        world.save(&listener(trigger)).await;
        run(world, "a", true).await;
        run(world, "b", false).await;
        assert_eq!(world.executions("f").await.len(), 0);
        world.restart_after(minutes(1)).await;
        run(world, "b", true).await;
        assert_eq!(world.told("f", "flowId").await, ["b"]);
    });
}

#[test]
fn a_circle_of_triggers_ends() {
    world(START, async |world| {
        world.save(&source("a")).await;
        world.save(&listener("    states: [SUCCESS]\n")).await;
        world.save(&listener("    states: [SUCCESS]\n").replace("id: f\n", "id: g\n")).await;
        run(world, "a", true).await;
        world.pass(hours(2)).await;
        let all = [world.executions("f").await, world.executions("g").await].concat();
        let failed: Vec<_> = all.iter().filter(|execution| execution.state() == State::Failed).collect();
        assert!(
            !failed.is_empty()
                && failed.iter().all(|execution| {
                    execution.failure.as_ref().is_some_and(|failure| failure.code == "trigger.chain")
                })
        );
        assert_eq!(all.len(), 66, "f and g each 33 times, of which the last of each has failed");
    });
}

#[test]
fn a_trigger_that_is_off_hears_nothing() {
    world(START, async |world| {
        world.save(&source("a")).await;
        world.save(&listener("")).await;
        world.node().switch_trigger("w", "f", "up", false).await.expect("it is switched off");
        run(world, "a", true).await;
        world.node().switch_trigger("w", "f", "up", true).await.expect("it is switched on");
        run(world, "a", true).await;
        assert_eq!(world.executions("f").await.len(), 1);
    });
}
