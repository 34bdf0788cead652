//! What comes of a question, whoever is asked: its text, and what it cost.

use serde_json::json;
use tests::models::Provider;

use crate::row::{column, question, text_of, user, with};
use crate::{ask, model_of, outputs, provider, run, world};

#[tokio::test(flavor = "multi_thread")]
async fn each_provider_answers() {
    world(json!([]), async |api, models| {
        for one in Provider::ALL {
            let id = format!("ask_{}", one.name().replace('-', "_"));
            let execution = run(api, &id, ask(provider(models, one, model_of(one)), "Who are you?")).await;
            let outputs = outputs(&execution);
            assert_eq!(outputs["textOutput"], "You said: Who are you?", "{}", one.name());
            assert_eq!(outputs["finishReason"], "STOP", "{}", one.name());
            let used = &outputs["tokenUsage"];
            assert!(used["inputTokenCount"].as_u64().is_some_and(|count| count > 0), "{}: {used}", one.name());
        }
        assert!(models.seen().iter().filter(|seen| seen.provider.is_some()).all(|seen| seen.authorized));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_question_has_a_plain_answer() {
    column("plain", json!([]), async |row| {
        let came = row.came(question("Who are you?")).await;
        let answer = &came["answer"];
        assert_eq!(text_of(&answer["parts"], "text"), "You said: Who are you?", "{row}");
        assert_eq!((&answer["finish"], answer["parts"].as_array().map(Vec::len)), (&json!("stop"), Some(1)), "{row}");
        assert_eq!(came["parts"], json!([]), "{row}");
        assert_eq!(row.seen().len(), 1, "{row}");
    })
    .await;
}

/// Where a provider wants the instructions.
fn instructions(provider: Provider) -> &'static str {
    match provider {
        Provider::Anthropic => "/system/0/text",
        Provider::Gemini | Provider::VertexAi => "/systemInstruction/parts/0/text",
        Provider::Bedrock => "/system/0/text",
        _ => "/messages/0/content",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instructions_stand_where_the_provider_has_them() {
    column("system message", json!([]), async |row| {
        let messages = json!([{ "role": "system", "text": "Be brief." }, user("Who are you?")]);
        row.came(json!({ "model": "", "messages": messages })).await;
        let body = row.body();
        assert_eq!(body.pointer(instructions(row.provider)), Some(&json!("Be brief.")), "{row}: {body:#}");
        assert_eq!(body.to_string().matches("Be brief.").count(), 1, "{row}: {body:#}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tokens_are_counted_and_those_apart_beside_them() {
    let usage = json!({ "input": 120, "output": 45, "cached": 100, "thinking": 30 });
    let rules = json!([{ "answer": { "thinking": "Hm, let me see.", "text": "Yes.", "usage": usage } }]);
    column("usage", rules, async |row| {
        for stream in [false, true] {
            let came = row.came(with(question("Is it?"), json!({ "stream": stream }))).await;
            let used = &came["answer"]["usage"];
            assert_eq!((&used["inputTokens"], &used["outputTokens"]), (&json!(120), &json!(45)), "{row}: {used}");
            // Ollama counts neither apart, Bedrock no thoughts.
            let cached = if row.provider == Provider::Ollama { 0 } else { 100 };
            let thinking = match row.provider {
                Provider::Ollama | Provider::Bedrock | Provider::Mistral => 0,
                _ => 30,
            };
            assert_eq!(used["cachedTokens"], cached, "{row}: {used}");
            assert_eq!(used["thinkingTokens"], thinking, "{row}: {used}");
            assert_eq!(used["cost"].is_number(), row.provider == Provider::OpenRouter, "{row}: {used}");
        }
    })
    .await;
}
