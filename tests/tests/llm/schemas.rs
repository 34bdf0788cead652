//! Answers that fit a schema: the provider holds the model to it where it can.

use serde_json::{Value, json};
use tests::models::Provider;

use crate::row::{column, question, text_of, with};
use crate::{model_of, provider};

fn schema() -> Value {
    json!({
        "type": "object", "required": ["city", "days"], "additionalProperties": false,
        "properties": { "city": { "type": "string" }, "days": { "type": "integer", "minimum": 3 } },
    })
}

/// Where the schema is, of those who take one.
fn place(provider: Provider) -> Option<&'static str> {
    match provider {
        Provider::Anthropic => Some("/output_config/format/schema"),
        Provider::Gemini | Provider::VertexAi => Some("/generationConfig/responseJsonSchema"),
        Provider::Bedrock => Some("/outputConfig/textFormat/structure/jsonSchema/schema"),
        Provider::Ollama => Some("/format"),
        Provider::DeepSeek => None,
        _ => Some("/response_format/json_schema/schema"),
    }
}

fn with_schema() -> Value {
    let response = json!({ "schema": { "name": "trip", "schema": schema(), "strict": true } });
    with(question("Where to?"), json!({ "response": response }))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_a_schema_is_given_it() {
    column("structured output", json!([]), async |row| {
        // One of those that do, where not all of a provider's do.
        let model = match row.provider {
            Provider::Bedrock => "anthropic.claude-sonnet-4-5-20250929-v1:0",
            other => model_of(other),
        };
        let ended = row.ask_of(provider(row.models, row.provider, model), with_schema()).await;
        let text = text_of(&row.outputs(&ended)["answer"]["parts"], "text");
        let body = row.body();
        let Some(place) = place(row.provider) else {
            assert_eq!(body["response_format"]["type"], "json_object", "{row}: {body:#}");
            assert!(body["messages"][0]["content"].as_str().is_some_and(|told| told.contains("\"days\"")), "{row}");
            return;
        };
        let given = body.pointer(place).unwrap_or_else(|| panic!("{row}: {body:#}")).clone();
        // Amazon has it as text.
        let given = given.as_str().map_or(given.clone(), |text| serde_json::from_str(text).expect("JSON"));
        assert_eq!(given, schema(), "{row}");
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{row}: {error}: {text}"));
        assert_eq!(answer, json!({ "city": "text", "days": 3 }), "{row}");
    })
    .await;
}
