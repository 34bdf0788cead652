//! Answers that have to be JSON: what does not fit is asked for again, within bounds, and what ends an answer ends it.

use serde_json::{Value, json};
use tests::models::Provider;

use crate::{ask, failure, outputs, provider, run, world};

fn schema() -> Value {
    json!({
        "type": "object", "required": ["city", "days"], "additionalProperties": false,
        "properties": { "city": { "type": "string" }, "days": { "type": "integer" } },
    })
}

const FITS: &str = "{\"city\": \"Rome\", \"days\": 3}";

/// Rules that give these texts, one after the other.
fn texts(texts: &[&str]) -> Value {
    let usage = json!({ "input": 60, "output": 40 });
    texts.iter().map(|text| json!({ "times": 1, "answer": { "text": text, "usage": usage } })).collect()
}

/// Asks for JSON that fits. What came, and the bodies of all requests.
async fn asked(rules: Value, configuration: Value) -> (Value, Vec<Value>) {
    let mut came = Value::Null;
    let mut bodies = Vec::new();
    world(rules, async |api, models| {
        let mut task = ask(provider(models, Provider::OpenAi, "gpt-4o"), "Where to?");
        task["configuration"] = json!({ "responseFormat": { "type": "JSON", "jsonSchema": schema() } });
        let fields = configuration.as_object().expect("an object").clone();
        task["configuration"].as_object_mut().expect("an object").extend(fields);
        came = run(api, "json", task).await;
        bodies = models.seen().into_iter().map(|seen| seen.body).collect();
    })
    .await;
    (came, bodies)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_asked_for_again_with_what_is_wrong() {
    let (came, bodies) = asked(texts(&["Rome, I think.", "{\"city\": 1}", FITS]), json!({})).await;
    let outputs = outputs(&came);
    assert_eq!(outputs["jsonOutput"], json!({ "city": "Rome", "days": 3 }));
    assert_eq!(outputs["textOutput"], Value::Null);
    let before = outputs["intermediateResponses"].as_array().expect("a list");
    let said: Vec<&Value> = before.iter().map(|one| &one["completion"]).collect();
    assert_eq!(said, ["Rome, I think.", "{\"city\": 1}"]);
    let wrong: Vec<&str> = before.iter().filter_map(|one| one["problem"].as_str()).collect();
    assert_eq!(wrong[0], "is no JSON");
    assert!(wrong[1].contains("days") && wrong[1].contains("city"), "{wrong:?}");
    // All that was spent, not what the last answer was.
    assert_eq!(outputs["tokenUsage"]["totalTokenCount"], 300);

    assert_eq!(bodies.len(), 3);
    let turns = bodies[2]["messages"].as_array().expect("a list");
    let roles: Vec<&str> = turns.iter().filter_map(|turn| turn["role"].as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user", "assistant", "user"]);
    assert_eq!(turns[4]["content"], "{\"city\": 1}");
    assert!(turns[5]["content"].to_string().contains("days"), "{turns:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_answer_is_the_last() {
    let (came, bodies) = asked(texts(&["One.", "Two.", "Three.", FITS]), json!({})).await;
    let failure = failure(&came);
    assert_eq!(failure["code"], "LLM_NOT_JSON", "{failure}");
    assert!(failure["message"].as_str().is_some_and(|words| words.contains("2 corrections")), "{failure}");
    assert_eq!(bodies.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_spent_is_not_asked_for() {
    let (came, bodies) = asked(texts(&["One.", FITS]), json!({ "budget": { "maxTokens": 100 } })).await;
    assert_eq!(failure(&came)["code"], "LLM_BUDGET");
    assert_eq!(bodies.len(), 1);
    let (came, bodies) = asked(texts(&["One.", FITS]), json!({ "budget": { "maxTokens": 101 } })).await;
    assert_eq!(outputs(&came)["jsonOutput"]["city"], "Rome");
    assert_eq!(bodies.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_stopped_is_not_mended() {
    let ends = [
        (json!({ "text": "{\"city\": \"Ro", "finish": "length" }), "LLM_LENGTH"),
        (json!({ "refusal": "I would rather not." }), "LLM_REFUSED"),
        (json!({ "text": "{", "finish": "content-filter" }), "LLM_CONTENT_FILTER"),
    ];
    for (answer, code) in ends {
        let (came, bodies) = asked(json!([{ "answer": answer }]), json!({})).await;
        assert_eq!(failure(&came)["code"], code);
        assert_eq!(bodies.len(), 1, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_before_json_go_back_as_they_came() {
    let rules = json!([
        { "times": 1, "answer": { "thinking": "Rome, surely.", "text": "Rome." } },
        { "answer": { "thinking": "As JSON.", "text": FITS } },
    ]);
    world(rules, async |api, models| {
        let mut task = ask(provider(models, Provider::Anthropic, "claude-sonnet-4-5"), "Where to?");
        task["configuration"] = json!({
            "responseFormat": { "type": "JSON", "jsonSchema": schema() }, "thinkingEnabled": true, "returnThinking": true,
        });
        let came = run(api, "thoughts", task).await;
        let outputs = outputs(&came);
        assert_eq!(outputs["jsonOutput"]["city"], "Rome");
        assert_eq!(outputs["thinking"], "As JSON.");
        // The stand-in knows its signatures.
        let seen = models.seen();
        let turn = &seen[1].body["messages"][1]["content"];
        assert_eq!((&turn[0]["thinking"], &turn[1]["text"]), (&json!("Rome, surely."), &json!("Rome.")));
    })
    .await;
}
