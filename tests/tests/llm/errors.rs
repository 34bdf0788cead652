//! What a provider refuses, in its own words: each kind of error has one code, whoever said it, and is asked again where that may help.

use serde_json::{Value, json};
use tests::models::Provider;

use crate::provider;
use crate::row::{Row, column, question, text_of, with};

/// Most requests of one question.
const ATTEMPTS: usize = 4;

/// A fault, and what comes of it.
struct Refusal {
    fault: &'static str,
    code: &'static str,
    /// Whether the same question may be answered later; then it is asked again.
    later: bool,
}

const REFUSALS: [Refusal; 7] = [
    Refusal { fault: "wrongKey", code: "LLM_AUTH", later: false },
    Refusal { fault: "unknownModel", code: "LLM_UNKNOWN_MODEL", later: false },
    Refusal { fault: "badRequest", code: "LLM_BAD_REQUEST", later: false },
    Refusal { fault: "contextTooLong", code: "LLM_TOO_LONG", later: false },
    Refusal { fault: "quotaExhausted", code: "LLM_QUOTA_EXHAUSTED", later: false },
    Refusal { fault: "internal", code: "LLM_SERVER", later: true },
    Refusal { fault: "overloaded", code: "LLM_OVERLOADED", later: true },
];

/// A rule for the questions that name its fault.
fn rule(fault: &str) -> Value {
    json!({ "when": { "says": format!("<{fault}>") }, "faults": [fault] })
}

/// That a question failed like this, after so many requests.
pub(crate) async fn check(row: &Row<'_>, ended: &Value, marker: &str, (code, later, requests): (&str, bool, usize)) {
    let failure = row.failure(ended);
    assert_eq!(failure["code"], code, "{row} {marker}: {failure:#}");
    assert_eq!(row.told(ended).await["retryable"], later, "{row} {marker}: {failure:#}");
    assert_eq!(row.seen_with(marker).len(), requests, "{row} {marker}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_error_has_its_code() {
    let rules: Value = REFUSALS.iter().map(|refusal| rule(refusal.fault)).collect();
    column("errors", rules, async |row| {
        let asked = REFUSALS.iter().map(async |Refusal { fault, code, later }| {
            let marker = format!("<{fault}>");
            let ended = row.ask(question(&marker)).await;
            let requests = if *later { ATTEMPTS } else { 1 };
            check(&row, &ended, &marker, (code, *later, requests)).await;
        });
        futures::future::join_all(asked).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_once_is_asked_again() {
    column("errors that pass", json!([]), async |row| {
        row.once(json!({ "faults": ["overloaded"] }));
        let came = row.came(with(question("Still there?"), json!({ "stream": true }))).await;
        assert_eq!(text_of(&came["answer"]["parts"], "text"), "You said: Still there?", "{row}");
        assert_eq!(row.seen().len(), 2, "{row}");
    })
    .await;
}

/// A provider with a key that nobody gave out, and that key. Vertex AI has none: what it is shown are tokens.
fn with_wrong_key(row: &Row<'_>) -> Option<(Value, &'static str)> {
    let (field, key) = match row.provider {
        Provider::VertexAi | Provider::Ollama => return None,
        Provider::Bedrock => ("secretAccessKey", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12"),
        Provider::Gemini => ("apiKey", "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY"),
        _ => ("apiKey", "sk-wrong-4fd2a8c07e5b4e0f9a1c"),
    };
    let mut provider = provider(row.models, row.provider, crate::model_of(row.provider));
    provider[field] = key.into();
    Some((provider, key))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_not_told() {
    column("wrong key", json!([]), async |row| {
        let Some((provider, key)) = with_wrong_key(&row) else { return };
        let ended = row.ask_of(provider, question("Who am I?")).await;
        let failure = row.failure(&ended);
        assert_eq!(failure["code"], "LLM_AUTH", "{row}: {failure:#}");
        assert_eq!(row.told(&ended).await["retryable"], false, "{row}");
        let shown = ended.to_string();
        // Nor its end, which OpenAI and DeepSeek would tell.
        for part in [key, &key[key.len() - 4..]] {
            assert!(!shown.contains(part), "{row}: {shown}");
        }
        let words = failure["message"].as_str().expect("a message").lines().next().expect("a line");
        assert!(words.len() > 10 && !words.starts_with("status"), "{row}: {words}");
        assert_eq!(row.models.seen().iter().filter(|seen| seen.provider == Some(row.provider)).count(), 1, "{row}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_stops_is_no_answer() {
    let rules = json!([
        { "when": { "says": "<prompt>" }, "faults": ["contentFilter"] },
        { "when": { "says": "<answer>" }, "answer": { "text": "Well", "finish": "content-filter" } },
        { "when": { "says": "<refuse>" }, "answer": { "refusal": "I would rather not." } },
        { "when": { "says": "<cut>" }, "answer": { "text": "Once upon a", "finish": "length" } },
    ]);
    column("filters and limits", rules, async |row| {
        let prompt = row.ask(question("<prompt>")).await;
        match row.provider {
            // There it is an end like others, and who asks looks at it.
            Provider::Gemini | Provider::VertexAi | Provider::Bedrock => {
                assert_eq!(row.outputs(&prompt)["answer"]["finish"], "contentFilter", "{row}");
            }
            Provider::Ollama => check(&row, &prompt, "<prompt>", ("LLM_BAD_REQUEST", false, 1)).await,
            _ => check(&row, &prompt, "<prompt>", ("LLM_CONTENT_FILTER", false, 1)).await,
        }
        for stream in [false, true] {
            let ended = async |text: &str| {
                let came = row.came(with(question(text), json!({ "stream": stream }))).await;
                came["answer"]["finish"].as_str().unwrap_or_default().to_owned()
            };
            // Others have no word for what they leave out.
            let filtered = match row.provider {
                Provider::Mistral | Provider::Ollama => "stop",
                Provider::Anthropic => "refusal",
                _ => "contentFilter",
            };
            assert_eq!(ended("<answer>").await, filtered, "{row}");
            let refused = match row.provider {
                Provider::OpenAi | Provider::AzureOpenAi | Provider::OpenRouter | Provider::Anthropic => "refusal",
                _ => "stop",
            };
            assert_eq!(ended("<refuse>").await, refused, "{row}");
            assert_eq!(ended("<cut>").await, "length", "{row}");
        }
    })
    .await;
}
