//! Limits of rate: however a provider says how long to wait, it is not asked before, and who would have to wait too long is told.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::models::Provider;

use crate::errors::check;
use crate::row::{Row, column, question, text_of};

/// How long everybody is asked to wait.
const AFTER_MS: u64 = 1_100;
/// More than a run waits.
const LONG_MS: u64 = 40_000;

/// The ways to say it. `own` is the provider's.
const HINTS: [&str; 7] = ["own", "retry-after", "retry-after-date", "retry-after-ms", "retry-info", "reset", "text"];

/// Whether a provider says it like this.
fn says(provider: Provider, hint: &str) -> bool {
    let is_google = matches!(provider, Provider::Gemini | Provider::VertexAi);
    match (hint, provider) {
        ("own", Provider::Ollama | Provider::Bedrock | Provider::DeepSeek) => false,
        ("retry-info", _) => is_google,
        ("reset", Provider::Ollama | Provider::Bedrock) => false,
        ("reset", _) => !is_google,
        _ => true,
    }
}

fn limited(hint: &str, after_ms: u64) -> Value {
    json!([{ "rateLimited": { "hint": hint, "afterMs": after_ms } }])
}

/// How long the provider said to wait before the question was asked again, as the log has it.
async fn waited(row: &Row<'_>, ended: &Value) -> u64 {
    let warnings = row.warnings(ended).await;
    let again: Vec<u64> = warnings
        .iter()
        .filter_map(|line| line.split("asking again in ").nth(1)?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(again.len(), 1, "{row}: {warnings:?}");
    again[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_again_before_the_time_that_was_named() {
    let rules: Vec<Value> = Provider::ALL
        .iter()
        .flat_map(|provider| HINTS.iter().chain(["none"].iter()).map(move |hint| (provider, hint)))
        .map(|(provider, hint)| {
            let when = json!({ "provider": provider.name(), "says": format!("<{hint}>") });
            json!({ "when": when, "times": 1, "faults": limited(hint, AFTER_MS) })
        })
        .collect();
    column("rate limits", json!(rules), async |row| {
        let asked = HINTS.iter().chain(&["none"]).filter(|hint| says(row.provider, hint)).map(async |hint| {
            let marker = format!("<{hint}>");
            let began = Instant::now();
            let ended = row.ask(question(&marker)).await;
            let took = began.elapsed();
            let text = text_of(&row.outputs(&ended)["answer"]["parts"], "text");
            assert_eq!(text, format!("You said: {marker}"), "{row}");
            assert_eq!(row.seen_with(&marker).len(), 2, "{row} {marker}");
            let waited = waited(&row, &ended).await;
            assert!(took >= Duration::from_millis(waited), "{row} {marker}: {waited} ms, took {took:?}");
            // A date says it in whole seconds.
            let (least, most) = match *hint {
                "none" => (250, 500),
                "reset" => (AFTER_MS - 100, 2_500),
                _ => (AFTER_MS, 2_500),
            };
            assert!((least..=most).contains(&waited), "{row} {marker}: {waited} ms");
        });
        futures::future::join_all(asked).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_would_wait_too_long_is_told_at_once() {
    column("long waits", json!([{ "faults": limited("text", LONG_MS) }]), async |row| {
        let ended = row.ask(question("<long>")).await;
        check(&row, &ended, "<long>", ("LLM_RATE_LIMITED", true, 1)).await;
        assert_eq!(row.told(&ended).await["details"]["retryAfterMs"], LONG_MS, "{row}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_limited_for_good_is_told_in_the_end() {
    column("no hints", json!([{ "faults": limited("none", 0) }]), async |row| {
        let ended = row.ask(question("<none>")).await;
        check(&row, &ended, "<none>", ("LLM_RATE_LIMITED", true, 4)).await;
        assert_eq!(row.told(&ended).await["details"], json!({}), "{row}");
    })
    .await;
}
