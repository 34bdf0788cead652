//! Answers that have to be JSON: held to a schema where the provider does that, asked in words where it does not.

use llm::Dialect;
use llm::http::Options;
use llm::message::*;
use llm::structured::{first_json, read_schema};
use serde_json::{Value, json};

use crate::support::{conversation, encoded, options};

fn closed() -> Value {
    json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false })
}

fn request(model: &str, schema: Value, strict: bool) -> Request {
    let schema = Schema { name: "my schema".into(), description: None, schema, strict };
    Request { model: model.into(), response: ResponseFormat::Schema(schema), ..conversation() }
}

/// All that the model is told, as text.
fn told(sent: &Value) -> String {
    ["messages", "input", "system", "systemInstruction"].iter().map(|name| sent[*name].to_string()).collect()
}

#[test]
fn openai_like_hold_a_model_to_a_schema() {
    for dialect in [Dialect::OpenAi, Dialect::AzureOpenAi, Dialect::Mistral, Dialect::OpenRouter] {
        let sent = encoded(dialect, &request("m", closed(), true));
        let expected = json!({ "name": "my_schema", "strict": true, "schema": closed() });
        assert_eq!(sent["response_format"], json!({ "type": "json_schema", "json_schema": expected }), "{dialect:?}");
        assert!(!told(&sent).contains("JSON"), "{dialect:?}");
        let open = encoded(dialect, &request("m", json!({ "type": "object" }), true));
        assert_eq!(open["response_format"]["json_schema"]["strict"], false, "{dialect:?}: it would be refused");
    }
}

#[test]
fn responses_have_the_format_with_the_text() {
    let sent = encoded(Dialect::OpenAiResponses, &request("m", closed(), true));
    let format = json!({ "type": "json_schema", "name": "my_schema", "strict": true, "schema": closed() });
    assert_eq!(sent["text"], json!({ "format": format }));
    let json = encoded(Dialect::OpenAiResponses, &Request { response: ResponseFormat::Json, ..conversation() });
    assert_eq!(json["text"], json!({ "format": { "type": "json_object" } }));
    assert!(json["input"][0]["content"].as_str().expect("a text").contains("JSON"), "without the word it is refused");
}

#[test]
fn json_without_a_schema_is_asked_for_in_words_as_well() {
    let json = Request { response: ResponseFormat::Json, ..conversation() };
    for dialect in [Dialect::OpenAi, Dialect::AzureOpenAi, Dialect::Mistral, Dialect::OpenRouter, Dialect::DeepSeek] {
        let sent = encoded(dialect, &json);
        assert_eq!(sent["response_format"], json!({ "type": "json_object" }), "{dialect:?}");
        assert!(told(&sent).contains("JSON"), "{dialect:?}: without the word it is refused");
    }
    assert!(told(&encoded(Dialect::Anthropic, &json)).contains("JSON"));
    assert_eq!(encoded(Dialect::Gemini, &json)["generationConfig"], json!({ "responseMimeType": "application/json" }));
    assert_eq!(encoded(Dialect::Ollama, &json)["format"], "json");
}

#[test]
fn deepseek_is_shown_the_schema() {
    let sent = encoded(Dialect::DeepSeek, &request("m", closed(), true));
    assert_eq!(sent["response_format"], json!({ "type": "json_object" }));
    let shown = sent["messages"][0]["content"].as_str().expect("a text");
    assert!(sent["messages"][0]["role"] == "system" && shown.contains("JSON") && shown.contains(&closed().to_string()));
}

#[test]
fn anthropic_takes_a_schema_from_four_and_a_half_on() {
    let sent = encoded(Dialect::Anthropic, &request("claude-sonnet-4-5", closed(), true));
    assert_eq!(sent["output_config"], json!({ "format": { "type": "json_schema", "schema": closed() } }));
    assert_eq!(sent.get("system"), None);
    let older = encoded(Dialect::Anthropic, &request("claude-sonnet-4-20250514", closed(), true));
    assert_eq!(older.get("output_config"), None);
    assert!(older["system"][0]["text"].as_str().expect("a text").contains(&closed().to_string()));
}

#[test]
fn google_takes_its_subset_or_json_schema() {
    let list = json!({ "type": "array", "items": { "type": "string", "enum": ["x"] } });
    let subset = json!({ "type": "object", "properties": { "a": list }, "required": ["a"] });
    for (schema, name) in [
        (subset, "responseSchema"),
        (closed(), "responseJsonSchema"),
        (json!({ "type": ["object"] }), "responseJsonSchema"),
    ] {
        for dialect in [Dialect::Gemini, Dialect::VertexAi] {
            let sent = encoded(dialect, &request("m", schema.clone(), false));
            assert_eq!(sent["generationConfig"], json!({ "responseMimeType": "application/json", name: schema }));
        }
    }
}

#[test]
fn bedrock_takes_a_schema_as_text_for_some_models() {
    let sent = encoded(Dialect::Bedrock, &request("anthropic.claude-sonnet-4-5-20250929-v1:0", closed(), false));
    let schema = json!({ "schema": closed().to_string(), "name": "my_schema" });
    assert_eq!(
        sent["outputConfig"],
        json!({ "textFormat": { "type": "json_schema", "structure": { "jsonSchema": schema } } })
    );
    let asked = encoded(Dialect::Bedrock, &request("amazon.nova-pro-v1:0", closed(), false));
    assert_eq!(asked.get("outputConfig"), None);
    assert!(asked["system"][0]["text"].as_str().expect("a text").contains("JSON"));
}

#[test]
fn ollama_takes_the_schema_as_its_format() {
    assert_eq!(encoded(Dialect::Ollama, &request("m", closed(), false))["format"], closed());
}

#[test]
fn schema_that_is_none_is_shown_as_it_was_written() {
    let text = "{ tasks: [ \"title\": \"string\", ] }";
    let (response, warning) = read_schema(text).response_format("x", true);
    assert!(warning.is_some());
    for dialect in Dialect::ALL {
        let sent = encoded(dialect, &Request { response: response.clone(), ..conversation() });
        let quoted = Value::from(text).to_string();
        assert!(told(&sent).contains(quoted.trim_matches('"')), "{dialect:?}: {sent}");
        assert!(!sent.to_string().contains("json_schema"), "{dialect:?}: nobody else has to understand it");
    }
}

#[test]
fn gemini_schema_with_a_brace_too_many_is_taken() {
    let text = format!("{}}}", closed());
    let (response, warning) = read_schema(&text).response_format("x", false);
    assert!(warning.is_some());
    let sent = encoded(Dialect::Gemini, &Request { response, ..conversation() });
    assert_eq!(sent["generationConfig"]["responseJsonSchema"], closed());
}

#[test]
fn json_in_a_chatty_answer_is_found() {
    assert_eq!(first_json("Sure!\n```json\n{\"a\": \"b\"}\n```"), Some(json!({ "a": "b" })));
}

#[test]
fn further_fields_of_a_body_come_last() {
    let body = json!({ "provider": { "order": ["a"] }, "temperature": 0.1 });
    let options = Options { body: body.as_object().cloned().expect("an object"), ..options(Dialect::OpenRouter) };
    let sent = Dialect::OpenRouter.codec().encode_request(&conversation(), &options).expect("a request");
    let sent: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!(
        (&sent["provider"], &sent["temperature"], &sent["model"]),
        (&body["provider"], &json!(0.1), &json!("m"))
    );
}
