//! Schedules: each date fires once, whatever happens to the node and to the clocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use model::state::State;
use store::{Durability, Store as _};

use super::{World, hours, minutes, world, world_on};

const START: &str = "2024-01-01T00:00:00Z";

/// A flow with a schedule and one task.
fn flow(schedule: &str, task: &str) -> String {
    format!(
        "id: f\nnamespace: w\nlabels: {{of: flow}}\ninputs:\n  - {{id: n, type: INT, defaults: 7}}\ntasks:\n  - {task}\ntriggers:\n  - id: s\n    type: io.kestra.plugin.core.trigger.Schedule\n    {schedule}\noutputs:\n  - {{id: seen, type: STRING, value: '{{{{ trigger.date }}}} {{{{ inputs.n }}}}'}}\n"
    )
}

const NAP: &str = "{id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT1S}";
const LONG: &str = "{id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT25M}";

async fn hours_fired(world: &World) -> Vec<String> {
    let dates = world.told("f", "date").await;
    dates.iter().map(|date| date.get(11..16).unwrap_or(date).to_owned()).collect()
}

#[test]
fn each_date_fires_once_and_knows_its_neighbours() {
    world(START, async |world| {
        world.save(&flow("cron: '*/15 * * * *'\n    labels: {by: \"{{ trigger.date | substringBefore('T') }}\"}\n    inputs: {n: '{{ 40 + 2 }}'}", NAP)).await;
        world.pass(minutes(61)).await;
        assert_eq!(hours_fired(world).await, ["00:15", "00:30", "00:45", "01:00"]);
        assert_eq!(world.told("f", "previous").await[0], "2024-01-01T00:00:00Z");
        assert_eq!(world.told("f", "next").await[3], "2024-01-01T01:15:00Z");
        let first = &world.executions("f").await[0];
        assert_eq!(first.state(), State::Success);
        assert_eq!(first.outputs.get("seen").and_then(|seen| seen.as_str()), Some("2024-01-01T00:15:00Z 42"));
        let labels: Vec<String> = first.labels.iter().map(|label| format!("{}={}", label.key, label.value)).collect();
        assert_eq!(labels[..2], ["of=flow", "by=2024-01-01"]);
    });
}

#[test]
fn one_runs_at_a_time_unless_the_trigger_says_otherwise() {
    world(START, async |world| {
        world.save(&flow("cron: '*/10 * * * *'", LONG)).await;
        world.until("2024-01-01T00:59:00Z").await;
        // The date waits for the one before it, and none is passed over.
        assert_eq!(hours_fired(world).await, ["00:10", "00:20"]);
        let ended = world.executions("f").await[0].history.ended().expect("it has ended");
        assert!(world.executions("f").await[1].history.started() >= ended);
        let locked = &world.node().triggers_seen(None, None).await.expect("they are there")[0];
        assert!(locked.state.locked_by.is_some());
    });
    world(START, async |world| {
        world.save(&flow("cron: '*/10 * * * *'\n    allowConcurrent: true", LONG)).await;
        world.until("2024-01-01T00:31:00Z").await;
        assert_eq!(hours_fired(world).await, ["00:10", "00:20", "00:30"]);
    });
}

/// F15: the power goes while a schedule fires. Before the commit is durable nothing has happened, and the date fires in the next life; after it
/// the execution is there and the date has passed.
#[test]
fn f15_power_cut_in_a_firing_takes_all_of_it_or_nothing() {
    for is_durable in [false, true] {
        world_on(Durability::OnCommand, START, async |world| {
            let still = Arc::new(AtomicBool::new(false));
            let (store, stands) = (world.store.clone(), still.clone());
            let disk = tokio::spawn(async move {
                loop {
                    if !stands.load(Ordering::SeqCst) {
                        store.make_durable(store.head());
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
            world.save(&flow("cron: '0 * * * *'", LONG)).await;
            world.until("2024-01-01T00:59:00Z").await;
            still.store(!is_durable, Ordering::SeqCst);
            world.until("2024-01-01T01:00:00Z").await;
            assert_eq!(world.begun_inside().await, 1, "it fires inside");
            still.store(true, Ordering::SeqCst);
            world.store.power_cut();
            assert_eq!(world.begun_inside().await, usize::from(is_durable));
            still.store(false, Ordering::SeqCst);
            world.restart_after(minutes(1)).await;
            world.until("2024-01-01T01:30:00Z").await;
            assert_eq!(hours_fired(world).await, ["01:00"]);
            world.until("2024-01-01T02:00:00Z").await;
            assert_eq!(hours_fired(world).await, ["01:00", "02:00"]);
            disk.abort();
        });
    }
}

#[test]
fn a_lock_is_given_back_after_a_restart() {
    world(START, async |world| {
        world.save(&flow("cron: '0 * * * *'", LONG)).await;
        world.until("2024-01-01T01:10:00Z").await;
        // It goes down while its execution runs, and comes back after that should have ended.
        world.restart_after(minutes(40)).await;
        world.until("2024-01-01T02:00:00Z").await;
        assert_eq!(hours_fired(world).await, ["01:00", "02:00"]);
        world.restart_after(minutes(1)).await;
        world.until("2024-01-01T03:00:00Z").await;
        assert_eq!(hours_fired(world).await, ["01:00", "02:00", "03:00"]);
    });
}

#[test]
fn what_was_missed_is_recovered_as_the_trigger_says() {
    let all = ["01:00", "02:00", "03:00", "04:00", "05:00"];
    for (policy, expected) in [
        ("", all.to_vec()),
        ("recoverMissedSchedules: ALL", all.to_vec()),
        ("recoverMissedSchedules: LAST", vec!["01:00", "04:00", "05:00"]),
        ("recoverMissedSchedules: NONE", vec!["01:00", "05:00"]),
        ("lateMaximumDelay: PT1H", vec!["01:00", "04:00", "05:00"]),
    ] {
        world(START, async |world| {
            world.save(&flow(&format!("cron: '0 * * * *'\n    {policy}"), NAP)).await;
            world.until("2024-01-01T01:30:00Z").await;
            world.restart_after(hours(3)).await;
            world.until("2024-01-01T05:00:00Z").await;
            assert_eq!(hours_fired(world).await, expected, "{policy}");
        });
    }
}

#[test]
fn conditions_pass_dates_over_and_shape_their_neighbours() {
    world("2024-01-05T12:00:00Z", async |world| {
        let weekend = "cron: '0 0 * * *'\n    conditions: [{type: io.kestra.plugin.core.condition.Weekend}]";
        world.save(&flow(weekend, NAP)).await;
        world.until("2024-01-13T01:00:00Z").await;
        let days = ["2024-01-06", "2024-01-07", "2024-01-13"].map(|day| format!("{day}T00:00:00Z"));
        assert_eq!(world.told("f", "date").await, days);
        assert_eq!(world.told("f", "next").await[1], days[2]);
        assert_eq!(world.told("f", "previous").await[2], days[1]);
    });
    world(START, async |world| {
        let untold = "cron: '0 0 * * *'\n    conditions: [{type: io.kestra.plugin.core.condition.Expression, expression: '{{ nobody }}'}]";
        world.save(&flow(untold, NAP)).await;
        world.pass(hours(49)).await;
        assert_eq!(world.executions("f").await.len(), 0, "a condition that cannot be told does not hold");
    });
}

#[test]
fn inputs_that_cannot_be_make_an_execution_that_failed() {
    for (inputs, said) in [("{n: '{{ nobody }}'}", "nobody"), ("{n: many}", "`n`")] {
        world(START, async |world| {
            world.save(&flow(&format!("cron: '0 * * * *'\n    inputs: {inputs}"), NAP)).await;
            world.until("2024-01-01T02:00:00Z").await;
            let executions = world.executions("f").await;
            assert_eq!(executions.len(), 2, "it holds nothing up");
            assert_eq!(executions[0].state(), State::Failed);
            let failure = executions[0].failure.as_ref().expect("it says why");
            assert!(failure.message.contains(said), "{}", failure.message);
        });
    }
}

#[test]
fn a_state_to_stop_after_switches_the_trigger_off() {
    world(START, async |world| {
        let broken = "{id: broken, type: io.kestra.plugin.core.execution.Assert, conditions: ['{{ false }}']}";
        world.save(&flow("cron: '0 * * * *'\n    stopAfter: [FAILED]", broken)).await;
        world.pass(hours(5)).await;
        assert_eq!(hours_fired(world).await, ["01:00"]);
        assert!(world.node().triggers_seen(Some("w"), Some("f")).await.expect("it is there")[0].state.disabled);
    });
}

#[test]
fn dates_of_a_list_fire_in_its_zone() {
    world("2024-06-01T00:00:00Z", async |world| {
        let dates = "id: f\nnamespace: w\ntasks:\n  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT1S}\ntriggers:\n  - id: d\n    type: io.kestra.plugin.core.trigger.ScheduleOnDates\n    timezone: Europe/Paris\n    dates: ['2024-06-01T10:00:00', '2024-06-02T10:00:00Z', '2024-05-01T10:00:00']\n";
        world.save(dates).await;
        world.pass(hours(72)).await;
        assert_eq!(world.told("f", "date").await, ["2024-06-01T10:00:00+02:00", "2024-06-02T12:00:00+02:00"]);
        assert_eq!(world.told("f", "previous").await, ["2024-05-01T10:00:00+02:00", "2024-06-01T10:00:00+02:00"]);
        assert_eq!(world.told("f", "next").await, ["2024-06-02T12:00:00+02:00", "null"]);
    });
    world("2024-06-01T00:00:00Z", async |world| {
        let rendered = "id: f\nnamespace: w\nvariables: {when: '2024-06-01T10:00:00Z'}\ntasks:\n  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT1S}\ntriggers:\n  - {id: d, type: io.kestra.plugin.core.trigger.ScheduleOnDates, dates: ['{{ vars.when }}']}\n";
        world.save(rendered).await;
        world.pass(hours(24)).await;
        assert_eq!(world.told("f", "date").await, ["2024-06-01T10:00:00Z"]);
    });
}

/// F16: what a clock leaves out fires once, and so does what it shows twice.
#[test]
fn f16_changed_clocks_fire_each_date_once() {
    for (start, days) in [("2024-03-29T12:00:00Z", 4), ("2024-10-25T12:00:00Z", 4)] {
        world(start, async |world| {
            world.save(&flow("cron: '30 2 * * *'\n    timezone: Europe/Paris", NAP)).await;
            world.pass(hours(24 * days)).await;
            let days: Vec<String> = world.told("f", "date").await.iter().map(|date| date[..10].to_owned()).collect();
            let mut unique = days.clone();
            unique.dedup();
            assert_eq!((days.len(), unique.len()), (4, 4), "{days:?}");
        });
    }
}

#[test]
fn a_flow_that_changes_takes_its_schedule_along() {
    world(START, async |world| {
        world.save(&flow("cron: '0 * * * *'", NAP)).await;
        world.until("2024-01-01T01:10:00Z").await;
        // The same schedule goes on; another begins anew; none ends.
        world.save(&flow("cron: '0 * * * *'\n    labels: {a: b}", NAP)).await;
        world.until("2024-01-01T02:10:00Z").await;
        world.save(&flow("cron: '30 * * * *'", NAP)).await;
        world.until("2024-01-01T03:10:00Z").await;
        assert_eq!(hours_fired(world).await, ["01:00", "02:00", "02:30"]);
        world.save(&format!("disabled: true\n{}", flow("cron: '30 * * * *'", NAP))).await;
        world.until("2024-01-01T05:10:00Z").await;
        world.save(&flow("cron: '30 * * * *'", NAP)).await;
        world.until("2024-01-01T05:40:00Z").await;
        assert_eq!(hours_fired(world).await, ["01:00", "02:00", "02:30", "05:30"], "what passed is not made up for");
        world.node().delete_flow("w", "f").await.expect("it is deleted");
        world.pass(hours(5)).await;
        world.restart_after(hours(5)).await;
        world.pass(hours(5)).await;
        assert_eq!(world.executions("f").await.len(), 4);
        assert!(world.node().triggers_seen(None, None).await.expect("none").is_empty());
        world.save(&flow("cron: '30 * * * *'", NAP)).await;
        world.pass(hours(1)).await;
        assert_eq!(world.executions("f").await.len(), 5);
    });
}

#[test]
fn seconds_count_if_they_are_asked_for() {
    world(START, async |world| {
        world.save(&flow("cron: '*/20 * * * * *'\n    withSeconds: true", NAP)).await;
        world.pass(SignedDuration::from_secs(61)).await;
        assert_eq!(world.executions("f").await.len(), 3);
    });
}
