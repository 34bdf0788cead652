//! Rendering for guests: with variables of their own, and never a secret in clear.

use model::state::State;
use serde_json::json;

use super::guest::{SECRET, World, answers, task};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_render_with_variables_of_their_own() {
    let world = World::open().await;
    let calls = json!([
        ["render", "((flow.id)) ((a.b))", {"a": {"b": 1}}], ["render", "((missing))", {}],
        ["render-each", "((n + 1))", ["{\"n\": 1}", "{n: 2}", "{\"m\": 1}", "{"]]
    ]);
    let seen = world.run(&task("t", calls), State::Success).await;
    let found = answers(&seen, "t");
    assert_eq!(found[0], "kept 1");
    assert!(found[1].as_str().is_some_and(|code| code.starts_with("expression.")), "{found}");
    let each = found[2].as_array().expect("an answer for each");
    assert_eq!([&each[0], &each[1]], ["2", "3"]);
    assert!(each[2].as_str().is_some_and(|code| code.starts_with("expression.")), "{found}");
    assert_eq!(each[3], "BAD_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_rendered_to_a_placeholder() {
    let world = World::open().await;
    let calls = json!([["is-placeholder", "((secret('TOKEN') ))"], ["render", "((secret('TOKEN') ))", {}]]);
    let seen = world.run(&task("t", calls), State::Success).await;
    let found = answers(&seen, "t");
    assert_eq!(found[0], json!(true), "what the guest sees is a placeholder");
    // Given back, it is a secret again, and shown as one.
    assert!(
        !found.to_string().contains(SECRET) && found[1].as_str().is_some_and(|text| text.contains("***")),
        "{found}"
    );

    let kept = task("s", json!([["set-rendered", "k", "((secret('TOKEN') ))"]])) + &task("g", json!([["is-own", "k"]]));
    let seen = world.run(&kept, State::Success).await;
    assert_eq!(answers(&seen, "g"), json!([true]), "a value that is a secret stays one");
    let row = world.value("a.b", "k").await.expect("it is set");
    assert!(row.value.has_secret() && !serde_json::to_string(&row).expect("JSON").contains(SECRET));
}
