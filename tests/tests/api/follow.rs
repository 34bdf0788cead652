//! Server-sent events: what a follower sees, and how one that comes back goes on.

use std::time::Duration;

use tests::served::{Api, Event, serving};

use super::{SLEEPING, saying};

/// More lines than the server sends in one round.
const MANY: usize = 1_200;
/// More task runs than one event has.
const WIDE: usize = 1_100;

async fn start(api: &Api, flow: &str) -> String {
    let begun = api.post(&format!("executions/{flow}"), "application/json", "").await.ok();
    begun["id"].as_str().expect("an id").to_owned()
}

fn state(event: &Event) -> String {
    let body: serde_json::Value = serde_json::from_str(&event.data).expect("JSON");
    body["state"]["current"].as_str().expect("a state").to_owned()
}

#[tokio::test]
async fn execution_is_followed_to_its_end() {
    serving(async |api| {
        let source = "id: short\nnamespace: tests.api\ntasks:\n  - {id: a, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.6S}\n  - {id: b, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.6S}\n";
        api.save(source).await;
        let id = start(api, "tests.api/short").await;
        let events = api.events(&format!("executions/{id}/follow"), None).await;
        let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
        assert!(matches!(names.as_slice(), ["start", middle @ .., "end"] if !middle.is_empty() && middle.iter().all(|name| *name == "progress")), "{names:?}");
        let ids: Vec<u64> = events.iter().map(|event| event.id.parse().expect("a number")).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        assert_eq!(events.last().map(state).as_deref(), Some("SUCCESS"));
        // Coalesced: never more than five a second.
        assert!(events.len() < 20, "{}", events.len());
    })
    .await;
}

#[tokio::test]
async fn follower_that_comes_back_is_not_started_again() {
    serving(async |api| {
        api.save(&saying("a", "x")).await;
        let ended = api.run("tests.api/a").await;
        let path = format!("executions/{}/follow", ended["id"].as_str().expect("an id"));
        let first = api.events(&path, None).await;
        assert_eq!(first.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["end"]);
        let last = first.last().expect("an event").id.clone();
        let again = api.events(&path, Some(&last)).await;
        assert_eq!(again, first, "one that missed the end is told of it; one that did not is no worse off");
        api.get("executions/nosuch/follow").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn log_is_followed_whole_and_resumed() {
    serving(async |api| {
        let lines: Vec<String> = (0..MANY).map(|number| format!("'line {number}'")).collect();
        let source = format!("id: chatty\nnamespace: tests.api\ntasks:\n  - {{id: say, type: io.kestra.plugin.core.log.Log, message: [{}]}}\n", lines.join(", "));
        api.save(&source).await;
        let id = start(api, "tests.api/chatty").await;
        let path = format!("logs/{id}/follow");
        let events = api.events(&path, None).await;
        let said: Vec<&Event> = events.iter().filter(|event| event.name == "log").collect();
        assert_eq!(said.len(), MANY);
        assert!(said.iter().enumerate().all(|(number, event)| event.data.contains(&format!("\"line {number}\""))));
        assert_eq!(events.last().map(|event| event.name.as_str()), Some("end"));
        let seen = said.get(MANY - 3).expect("there are as many").id.clone();
        let rest = api.events(&path, Some(&seen)).await;
        let rest: Vec<&str> = rest.iter().filter(|event| event.name == "log").map(|event| event.data.as_str()).collect();
        assert!(matches!(rest.as_slice(), [a, b] if a.contains("line 1198") && b.contains("line 1199")), "{rest:?}");
    })
    .await;
}

/// A follower that goes away leaves nothing behind that keeps the server from ending.
#[tokio::test]
async fn follower_that_leaves_is_forgotten() {
    serving(async |api| {
        api.save(SLEEPING).await;
        let id = start(api, "tests.api/sleeping").await;
        let request = api.request(reqwest::Method::GET, &format!("executions/{id}/follow"));
        let mut response = request.send().await.expect("the server answers");
        let first = response.chunk().await.expect("the stream goes on").expect("an event");
        assert!(first.starts_with(b"event: start"), "{first:?}");
        drop(response);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(api.delete(&format!("executions/{id}/kill")).await.status, 202);
        api.events(&format!("executions/{id}/follow"), None).await;
    })
    .await;
}

/// An event of a large execution has what changed, and never all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_execution_is_followed_in_parts() {
    serving(async |api| {
        let values: Vec<String> = (0..WIDE).map(|number| number.to_string()).collect();
        let source = format!("id: wide\nnamespace: tests.api\ntasks:\n  - id: each\n    type: io.kestra.plugin.core.flow.ForEach\n    values: [{}]\n    concurrencyLimit: 0\n    tasks: [{{id: wait, type: io.kestra.plugin.core.flow.Pause}}]\n", values.join(", "));
        api.save(&source).await;
        let id = start(api, "tests.api/wide").await;
        api.until(&format!("executions/{id}"), |shown| shown["taskRunList"].as_array().is_some_and(|all| all.len() > WIDE)).await;
        let path = format!("executions/{id}/follow");
        let following = api.events(&path, None);
        let killing = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(api.delete(&format!("executions/{id}/kill")).await.status, 202);
        };
        let (events, ()) = futures::join!(following, killing);
        let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!((names.first(), names.last()), (Some(&"start"), Some(&"end")), "{names:?}");
        for event in &events {
            let body: serde_json::Value = serde_json::from_str(&event.data).expect("JSON");
            let runs = body["taskRunList"].as_array().expect("a list").len();
            assert!(runs <= 1_000 && body["taskRunListIsPart"] == true, "{runs} task runs");
        }
        assert_eq!(events.last().map(state).as_deref(), Some("KILLED"));
        let again = api.events(&path, None).await;
        assert_eq!(again.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["end"]);
        assert!(again.iter().all(|event| event.data.contains("\"taskId\":\"wait\"")), "something of it is shown");
    })
    .await;
}
