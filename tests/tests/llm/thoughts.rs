//! What models think: never part of what they say, and given back to them word for word.

use serde_json::{Value, json};
use tests::models::Provider;

use crate::provider;
use crate::row::{Row, column, question, text_of, user, with};

const THOUGHT: &str = "They want rain or sun, so I look.";

/// One that thinks, of each provider.
fn thinker(provider: Provider) -> &'static str {
    match provider {
        Provider::OpenAi | Provider::AzureOpenAi => "gpt-5-mini",
        Provider::Bedrock => "anthropic.claude-sonnet-4-5-20250929-v1:0",
        Provider::Mistral => "magistral-medium-latest",
        Provider::DeepSeek => "deepseek-reasoner",
        Provider::Ollama => "qwen3",
        other => crate::model_of(other),
    }
}

/// OpenAI's models keep their thoughts to themselves in chats.
fn shows(provider: Provider) -> bool {
    !matches!(provider, Provider::OpenAi | Provider::AzureOpenAi)
}

/// The model's own turn in a request.
fn own_turn(body: &Value) -> Value {
    let turns = body["messages"].as_array().or(body["contents"].as_array()).expect("turns");
    let own = turns.iter().find(|turn| turn["role"] == "assistant" || turn["role"] == "model");
    own.expect("the model's turn").clone()
}

/// What of the thoughts went back, as one text.
fn replayed(row: &Row<'_>, turn: &Value) -> String {
    let pieces = turn["content"].as_array().or(turn["parts"].as_array()).cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match row.provider {
        Provider::Anthropic => text(&pieces[0]["thinking"]),
        Provider::Bedrock => text(&pieces[0]["reasoningContent"]["reasoningText"]["text"]),
        Provider::Gemini | Provider::VertexAi => {
            let thoughts = pieces.iter().filter(|piece| piece["thought"] == true);
            thoughts.map(|piece| text(&piece["text"])).collect()
        }
        Provider::Mistral => crate::row::text_of(&pieces[0]["thinking"], "text"),
        Provider::DeepSeek => text(&turn["reasoning_content"]),
        Provider::OpenRouter => text(&turn["reasoning_details"][0]["text"]),
        Provider::Ollama => text(&turn["thinking"]),
        Provider::OpenAi | Provider::AzureOpenAi => String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_are_apart_from_what_is_said_and_go_back_verbatim() {
    let call = json!([{ "name": "weather", "arguments": { "city": "Rome" } }]);
    let rules = json!([
        { "when": { "toolResults": 0 }, "answer": { "thinking": THOUGHT, "text": "A moment.", "toolCalls": call } },
        { "when": { "toolResults": 1 }, "answer": { "thinking": "Now I know.", "text": "It rains." } },
    ]);
    column("thinking", rules, async |row| {
        for stream in [false, true] {
            let thinking = match row.provider {
                Provider::Mistral | Provider::DeepSeek => json!("unasked"),
                _ => json!({ "on": { "budgetTokens": 1024, "shown": true } }),
            };
            let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
            let fields = json!({
                "stream": stream, "thinking": thinking, "tools": [{ "name": "weather", "schema": schema }],
            });
            let asked = provider(row.models, row.provider, thinker(row.provider));
            let first = row.ask_of(asked.clone(), with(question("What is it like?"), fields.clone())).await;
            let first = row.outputs(&first);
            let parts = &first["answer"]["parts"];
            assert_eq!(text_of(parts, "text"), "A moment.", "{row}: {parts:#}");
            let shown = if shows(row.provider) { THOUGHT } else { "" };
            assert_eq!(text_of(parts, "thinking"), shown, "{row}: {parts:#}");
            if stream {
                assert_eq!(text_of(&first["parts"], "text"), "A moment.", "{row}");
                assert_eq!(text_of(&first["parts"], "thinking"), shown, "{row}");
            }

            let call = parts.as_array().and_then(|parts| parts.iter().find(|part| part["type"] == "toolCall"));
            let call = call.expect("a call");
            let turns = json!([user("What is it like?"), { "role": "assistant", "parts": parts }, { "role": "tool",
                "results": [{ "id": call["id"], "name": "weather", "content": "rain" }] }]);
            let second = row.ask_of(asked, with(json!({ "model": "", "messages": turns }), fields)).await;
            let second = row.outputs(&second);
            assert_eq!(text_of(&second["answer"]["parts"], "text"), "It rains.", "{row}");
            let seen = row.seen();
            let body = &seen.last().expect("a request").body;
            assert_eq!(replayed(&row, &own_turn(body)), shown, "{row}: {body:#}");
        }
    })
    .await;
}
