//! Polling triggers: asked in intervals, one at a time, each thing that happened once.

use runtime::{Class, Failure};
use serde_json::json;

use super::{World, hours, lock, minutes, world};

const START: &str = "2024-01-10T08:00:00Z";

fn flow(more: &str) -> String {
    format!(
        "id: f\nnamespace: w\ntasks:\n  - {{id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT90S}}\ntriggers:\n  - id: p\n    type: com.example.mail.Inbox\n    interval: PT1M\n    box: \"{{{{ 'in' ~ 'box' }}}}\"\n    {more}\n"
    )
}

fn happens(world: &World, number: u32) {
    let answer = json!({ "outputs": { "number": number }, "cursor": number.to_string() });
    lock(&world.polled.answers).push(Ok(answer.to_string()));
}

fn nothing(world: &World) {
    lock(&world.polled.answers).push(Ok("null".to_owned()));
}

fn asked(world: &World) -> Vec<(String, Option<String>)> {
    lock(&world.polled.asked).clone()
}

#[test]
fn what_happened_fires_once_and_the_cursor_goes_on() {
    world(START, async |world| {
        happens(world, 1);
        nothing(world);
        happens(world, 2);
        world.save(&flow("")).await;
        // The first is asked at once; while its execution runs nobody asks.
        world.pass(minutes(1)).await;
        assert_eq!(asked(world), [(r#"{"box":"inbox"}"#.to_owned(), None)]);
        world.restart_after(minutes(1)).await;
        world.pass(hours(1)).await;
        assert_eq!(world.told("f", "number").await, ["1", "2"]);
        let cursors: Vec<Option<String>> = asked(world).into_iter().map(|(_, cursor)| cursor).collect();
        assert_eq!(cursors[1..4], [Some("1".to_owned()), Some("1".to_owned()), Some("2".to_owned())]);
        // Each minute, but for the two that an execution took.
        assert!((50..62).contains(&cursors.len()), "{}", cursors.len());
    });
}

#[test]
fn several_may_run_if_the_trigger_says_so_and_conditions_choose() {
    world(START, async |world| {
        for number in 1..=3 {
            happens(world, number);
        }
        let condition = "{type: io.kestra.plugin.core.condition.Expression, expression: '{{ trigger.number != 2 }}'}";
        world.save(&flow(&format!("allowConcurrent: true\n    conditions: [{condition}]"))).await;
        world.pass(minutes(3)).await;
        assert_eq!(world.told("f", "number").await, ["1", "3"]);
        let cursors: Vec<Option<String>> = asked(world).into_iter().map(|(_, cursor)| cursor).collect();
        assert_eq!(cursors[..3], [None, Some("1".to_owned()), Some("2".to_owned())]);
    });
}

#[test]
fn a_poll_that_fails_is_told_and_asked_again() {
    world(START, async |world| {
        let failure = Failure::new(Class::Guest, "MAIL_DOWN", "nobody answers");
        lock(&world.polled.answers).extend([Err(failure), Ok("{\"outputs\":7}".to_owned())]);
        happens(world, 1);
        world.save(&flow("")).await;
        world.pass(minutes(4)).await;
        assert_eq!(world.told("f", "number").await, ["1"]);
        let key = model::ids::FlowKey {
            tenant: "main".into(),
            namespace: model::ids::Namespace::trusted("w"),
            id: model::ids::FlowId::trusted("f"),
        };
        let of = store::rows::Target::Trigger(key, model::ids::TriggerId::trusted("p"));
        let query = store::Query::Logs(store::query::LogFilter::of(of, 0));
        let store: &dyn store::Store = world.store.as_ref();
        let lines = store.all::<store::rows::LogLine>(store::View::Newest, query, 10).await.expect("it reads");
        let said: Vec<&str> = lines.iter().map(|line| line.message.as_ref()).collect();
        assert_eq!(said[0], "nobody answers");
        assert!(said[1].contains("outputs that are a"), "{}", said[1]);
    });
}

#[test]
fn one_that_is_off_is_not_asked() {
    world(START, async |world| {
        world.save(&flow("disabled: true")).await;
        world.pass(minutes(5)).await;
        assert_eq!(asked(world).len(), 0);
        world.save(&flow("")).await;
        world.pass(minutes(2)).await;
        assert!(asked(world).len() >= 2, "{:?}", asked(world));
        let refused = world
            .node()
            .save_flow(&flow("interval: PT0.1S").replace("    interval: PT1M\n", ""), server::Save::Any)
            .await;
        assert!(refused.is_err_and(|error| error.issues().iter().any(|issue| issue.code == "flow.interval")));
    });
}
