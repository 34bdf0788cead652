//! What people and tasks do to triggers: switch, free, begin anew, go through a past.

use model::flow::Label;
use model::ids::ExecutionId;
use model::state::State;
use server::{BackfillAsk, Start};

use super::{World, hours, minutes, world};

const START: &str = "2024-01-10T00:30:00Z";

const DAILY: &str = "id: f\nnamespace: w\ninputs:\n  - {id: n, type: STRING, defaults: usual}\ntasks:\n  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT10M}\ntriggers:\n  - {id: s, type: io.kestra.plugin.core.trigger.Schedule, cron: '0 * * * *', labels: {by: schedule}, inputs: {n: own}}\noutputs:\n  - {id: n, type: STRING, value: '{{ inputs.n }}'}\n";

fn ask(start: &str, end: Option<&str>) -> BackfillAsk {
    BackfillAsk {
        start: start.parse().expect("a time"),
        end: end.map(|end| end.parse().expect("a time")),
        inputs: [("n".into(), expr::Value::from("given"))].into_iter().collect(),
        labels: vec![Label { key: "why".to_owned(), value: "backfill".to_owned() }],
    }
}

async fn fired(world: &World) -> Vec<String> {
    world.told("f", "date").await.iter().map(|date| date[8..16].to_owned()).collect()
}

#[test]
fn a_backfill_goes_through_a_past_date_by_date_and_the_schedule_goes_on() {
    world(START, async |world| {
        world.save(DAILY).await;
        let asked = ask("2024-01-09T10:00:00Z", Some("2024-01-09T12:30:00Z"));
        let seen = world.node().backfill("w", "f", "s", asked).await.expect("it begins");
        assert!(seen.state.backfill.is_some());
        world.pass(minutes(1)).await;
        assert_eq!(fired(world).await, ["09T10:00"], "one at a time");
        world.restart_after(minutes(1)).await;
        world.until("2024-01-10T02:00:00Z").await;
        assert_eq!(fired(world).await, ["09T10:00", "09T11:00", "09T12:00", "10T01:00", "10T02:00"]);
        let executions = world.executions("f").await;
        let output = |index: usize| executions[index].outputs.get("n").and_then(|n| n.as_str()).map(str::to_owned);
        assert_eq!(output(0).as_deref(), Some("given"));
        assert_eq!(output(3).as_deref(), Some("own"));
        assert!(executions[0].labels.iter().any(|label| label.value == "backfill"));
        assert!(!executions[3].labels.iter().any(|label| label.value == "backfill"));
        let seen = &world.node().triggers_seen(Some("w"), Some("f")).await.expect("it is there")[0];
        assert!(seen.state.backfill.is_none());
    });
}

#[test]
fn a_backfill_is_held_and_goes_on_and_ends() {
    world(START, async |world| {
        world.save(DAILY).await;
        let node = world.node();
        node.backfill("w", "f", "s", ask("2024-01-09T10:00:00Z", None)).await.expect("it begins");
        world.pass(minutes(5)).await;
        node.pause_backfill("w", "f", "s").await.expect("it is held");
        world.until("2024-01-10T01:30:00Z").await;
        assert_eq!(fired(world).await, ["09T10:00", "10T01:00"], "the schedule goes on meanwhile");
        node.resume_backfill("w", "f", "s").await.expect("it goes on");
        world.pass(minutes(15)).await;
        assert_eq!(fired(world).await[2..], ["09T11:00", "09T12:00"]);
        node.end_backfill("w", "f", "s").await.expect("it ends");
        world.until("2024-01-10T02:00:00Z").await;
        assert_eq!(fired(world).await[4..], ["10T02:00"]);
        let none = node.end_backfill("w", "f", "s").await.expect_err("there is none");
        assert_eq!(none.code(), "backfill.none");
    });
}

#[test]
fn a_backfill_that_cannot_be_is_refused() {
    world(START, async |world| {
        world.save(DAILY).await;
        let node = world.node();
        let refused =
            async |id: &str, asked: BackfillAsk| node.backfill("w", "f", id, asked).await.expect_err("refused");
        let empty = ask("2024-01-09T10:10:00Z", Some("2024-01-09T10:20:00Z"));
        assert_eq!(refused("s", empty).await.code(), "backfill.empty");
        assert_eq!(refused("nobody", ask(START, None)).await.code(), "not_found");
        node.switch_trigger("w", "f", "s", false).await.expect("it is switched off");
        assert_eq!(refused("s", ask("2024-01-09T10:00:00Z", None)).await.code(), "backfill.disabled");
        node.switch_trigger("w", "f", "s", true).await.expect("it is switched on");
        node.backfill("w", "f", "s", ask("2024-01-09T10:00:00Z", None)).await.expect("it begins");
        assert_eq!(refused("s", ask("2024-01-09T10:00:00Z", None)).await.code(), "backfill.exists");
    });
}

#[test]
fn a_trigger_that_is_switched_off_fires_nothing_and_makes_up_for_nothing() {
    world(START, async |world| {
        world.save(DAILY).await;
        world.until("2024-01-10T01:30:00Z").await;
        world.node().switch_trigger("w", "f", "s", false).await.expect("it is switched off");
        world.until("2024-01-10T03:30:00Z").await;
        world.restart_after(minutes(1)).await;
        world.node().switch_trigger("w", "f", "s", true).await.expect("it is switched on");
        world.until("2024-01-10T04:30:00Z").await;
        assert_eq!(fired(world).await, ["10T01:00", "10T04:00"]);
    });
    // Unless it says so.
    world(START, async |world| {
        world.save(&DAILY.replace("labels: {by", "recoverMissedSchedules: LAST, labels: {by")).await;
        world.node().switch_trigger("w", "f", "s", false).await.expect("it is switched off");
        world.until("2024-01-10T03:30:00Z").await;
        world.node().switch_trigger("w", "f", "s", true).await.expect("it is switched on");
        world.until("2024-01-10T04:30:00Z").await;
        assert_eq!(fired(world).await, ["10T03:00", "10T04:00"]);
    });
}

#[test]
fn a_lock_is_taken_away_by_hand() {
    world(START, async |world| {
        world.save(&DAILY.replace("PT10M", "P9D")).await;
        world.until("2024-01-10T05:00:00Z").await;
        assert_eq!(fired(world).await, ["10T01:00"]);
        let node = world.node();
        node.unlock_trigger("w", "f", "s").await.expect("it is freed");
        world.pass(minutes(1)).await;
        assert_eq!(fired(world).await, ["10T01:00", "10T02:00"], "and takes the next");
        node.unlock_trigger("w", "f", "s").await.expect("it is freed");
        world.pass(minutes(1)).await;
        node.restart_trigger("w", "f", "s").await.expect("it begins anew");
        assert_eq!(node.unlock_trigger("w", "f", "s").await.expect_err("it is free").code(), "trigger.unlocked");
        world.until("2024-01-10T06:00:00Z").await;
        assert_eq!(fired(world).await, ["10T01:00", "10T02:00", "10T03:00", "10T06:00"]);
    });
}

#[test]
fn a_task_switches_a_trigger() {
    let toggle = |enabled: bool| {
        format!(
            "id: toggle\nnamespace: w\ntasks:\n  - {{id: t, type: io.kestra.plugin.core.trigger.Toggle, flowId: f, trigger: s, enabled: {enabled}}}\n"
        )
    };
    let run = async |world: &World| {
        let start = Start::of("w", "toggle");
        let id: ExecutionId = world.node().start(start).await.expect("it starts");
        assert_eq!(world.node().ended(&id).await.expect("it ends").execution.state(), State::Success);
    };
    world(START, async |world| {
        world.save(DAILY).await;
        world.save(&toggle(false)).await;
        run(world).await;
        world.pass(hours(3)).await;
        assert_eq!(fired(world).await, Vec::<String>::new());
        world.save(&toggle(true)).await;
        run(world).await;
        world.until("2024-01-10T04:30:00Z").await;
        assert_eq!(fired(world).await, ["10T04:00"]);
    });
}
