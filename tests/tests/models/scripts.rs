//! Scripts: which rule answers, how often, and what of it each provider shows.

use super::*;

/// A tool in the provider's form.
pub fn tool(provider: Provider) -> Value {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    match provider {
        Provider::Anthropic => json!({ "tools": [{ "name": "weather", "input_schema": schema }] }),
        Provider::Gemini | Provider::VertexAi => {
            json!({ "tools": [{ "functionDeclarations": [{ "name": "weather", "parameters": schema }] }] })
        }
        Provider::Bedrock => {
            json!({ "toolConfig": { "tools": [{ "toolSpec": { "name": "weather", "inputSchema": { "json": schema } } }] } })
        }
        _ => json!({ "tools": [{ "type": "function", "function": { "name": "weather", "parameters": schema } }] }),
    }
}

/// A question with further fields.
pub fn joined(mut body: Value, further: Value) -> Value {
    let fields = further.as_object().cloned().expect("an object");
    body.as_object_mut().expect("an object").extend(fields);
    body
}

/// The conversation after the model's calls, with their results.
fn answered(provider: Provider, mut body: Value, answer: &Value) -> Value {
    let (assistant, results): (Value, Vec<Value>) = match provider {
        Provider::Anthropic => {
            let calls =
                answer["content"].as_array().expect("blocks").iter().filter(|block| block["type"] == "tool_use");
            let results =
                calls.map(|call| json!({ "type": "tool_result", "tool_use_id": call["id"], "content": "sunny" }));
            let turn = json!({ "role": "user", "content": results.collect::<Vec<_>>() });
            (json!({ "role": "assistant", "content": answer["content"] }), vec![turn])
        }
        Provider::Gemini | Provider::VertexAi => {
            let content = answer["candidates"][0]["content"].clone();
            let parts =
                content["parts"].as_array().expect("parts").iter().filter(|part| part["functionCall"].is_object());
            let result = json!({ "functionResponse": { "name": "weather", "response": { "result": "sunny" } } });
            let parts: Vec<Value> = parts.map(|_| result.clone()).collect();
            (content, vec![json!({ "role": "user", "parts": parts })])
        }
        Provider::Bedrock => {
            let message = answer["output"]["message"].clone();
            let calls = message["content"].as_array().expect("blocks").iter().filter_map(|block| block.get("toolUse"));
            let results = calls.map(
                |call| json!({ "toolResult": { "toolUseId": call["toolUseId"], "content": [{ "text": "sunny" }] } }),
            );
            let turn = json!({ "role": "user", "content": results.collect::<Vec<_>>() });
            (message, vec![turn])
        }
        Provider::Ollama => {
            let calls = answer["message"]["tool_calls"].as_array().expect("calls").iter();
            let results = calls.map(|_| json!({ "role": "tool", "tool_name": "weather", "content": "sunny" }));
            (answer["message"].clone(), results.collect())
        }
        _ => {
            let message = answer["choices"][0]["message"].clone();
            let calls = message["tool_calls"].as_array().expect("calls").iter();
            let results = calls.map(|call| json!({ "role": "tool", "tool_call_id": call["id"], "content": "sunny" }));
            (message.clone(), results.collect())
        }
    };
    let name = if matches!(provider, Provider::Gemini | Provider::VertexAi) { "contents" } else { "messages" };
    let messages = body[name].as_array_mut().expect("a conversation");
    messages.push(assistant);
    messages.extend(results);
    body
}

/// Words of ends: stop, length, tool calls, content filter.
fn ends(provider: Provider) -> [&'static str; 4] {
    match provider {
        Provider::Anthropic => ["end_turn", "max_tokens", "tool_use", "refusal"],
        Provider::Gemini | Provider::VertexAi => ["STOP", "MAX_TOKENS", "STOP", "SAFETY"],
        Provider::Bedrock => ["end_turn", "max_tokens", "tool_use", "content_filtered"],
        Provider::Ollama => ["stop", "length", "stop", "stop"],
        Provider::Mistral => ["stop", "length", "tool_calls", "stop"],
        _ => ["stop", "length", "tool_calls", "content_filter"],
    }
}

fn end(provider: Provider, body: &Value) -> &Value {
    match provider {
        Provider::Anthropic => &body["stop_reason"],
        Provider::Gemini | Provider::VertexAi => &body["candidates"][0]["finishReason"],
        Provider::Bedrock => &body["stopReason"],
        Provider::Ollama => &body["done_reason"],
        _ => &body["choices"][0]["finish_reason"],
    }
}

#[tokio::test]
async fn calls_and_their_results_go_around() {
    let calls = json!([{ "name": "weather", "arguments": { "city": "Köln" } }, { "name": "weather" }]);
    let rules = json!([
        { "when": { "toolResults": 0 }, "answer": { "thinking": "Which city?", "text": "A moment.", "toolCalls": calls } },
        { "when": { "toolResults": 2 }, "answer": { "text": "It is sunny." } },
    ]);
    with(rules, async |models| {
        for provider in Provider::ALL {
            let body = joined(question(provider, "How is the weather?"), tool(provider));
            let first = asked(&models, provider, &body).await;
            assert_eq!(end(provider, &first.body), ends(provider)[2], "{provider:?}: {}", first.text);
            let second = asked(&models, provider, &answered(provider, body, &first.body)).await;
            assert_eq!(second.status, 200, "{provider:?}: {}", second.text);
            assert_eq!(said(provider, &second.body), "It is sunny.", "{provider:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn ends_have_the_words_of_the_provider() {
    let finishes = ["stop", "length", "content-filter"];
    let rules: Vec<Value> = finishes
        .iter()
        .map(|finish| json!({ "when": { "says": finish }, "answer": { "text": "So.", "finish": finish } }))
        .collect();
    with(rules.into(), async |models| {
        for provider in Provider::ALL {
            let [stop, length, _, filtered] = ends(provider);
            for (finish, word) in finishes.iter().zip([stop, length, filtered]) {
                let answer = asked(&models, provider, &question(provider, finish)).await;
                assert_eq!(end(provider, &answer.body), word, "{provider:?} {finish}: {}", answer.text);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn tokens_are_counted_where_the_provider_counts_them() {
    let usage = json!({ "input": 100, "output": 50, "cached": 40, "thinking": 20 });
    with(json!([{ "answer": { "text": "So.", "usage": usage } }]), async |models| {
        for provider in Provider::ALL {
            let answer = asked(&models, provider, &question(provider, "Hello")).await.body;
            let expected: &[(&str, u64)] = match provider {
                Provider::Anthropic => {
                    &[("/usage/input_tokens", 60), ("/usage/cache_read_input_tokens", 40), ("/usage/output_tokens", 50)]
                }
                Provider::Gemini | Provider::VertexAi => &[
                    ("/usageMetadata/promptTokenCount", 100),
                    ("/usageMetadata/candidatesTokenCount", 30),
                    ("/usageMetadata/thoughtsTokenCount", 20),
                    ("/usageMetadata/cachedContentTokenCount", 40),
                    ("/usageMetadata/totalTokenCount", 150),
                ],
                Provider::Bedrock => {
                    &[("/usage/inputTokens", 60), ("/usage/cacheReadInputTokens", 40), ("/usage/totalTokens", 150)]
                }
                Provider::Ollama => &[("/prompt_eval_count", 100), ("/eval_count", 50)],
                Provider::Mistral => &[("/usage/prompt_tokens", 100), ("/usage/completion_tokens", 50)],
                Provider::DeepSeek => {
                    &[("/usage/prompt_cache_hit_tokens", 40), ("/usage/prompt_cache_miss_tokens", 60)]
                }
                _ => &[
                    ("/usage/prompt_tokens", 100),
                    ("/usage/prompt_tokens_details/cached_tokens", 40),
                    ("/usage/completion_tokens_details/reasoning_tokens", 20),
                ],
            };
            for (pointer, count) in expected {
                assert_eq!(answer.pointer(pointer), Some(&json!(count)), "{provider:?} {pointer}: {answer}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn rule_answers_as_often_as_it_may() {
    let rules = json!([
        { "when": { "says": "first" }, "times": 2, "answer": { "text": "one" } },
        { "when": { "model": "gpt-4o", "provider": "openai", "streamed": false }, "answer": { "text": "two" } },
    ]);
    with(rules, async |models| {
        let mut answers = Vec::new();
        for text in ["first", "other", "first", "first"] {
            let answer = asked(&models, Provider::OpenAi, &question(Provider::OpenAi, text)).await;
            answers.push(said(Provider::OpenAi, &answer.body));
        }
        assert_eq!(answers, ["one", "two", "one", "two"]);
        models.add(Script::parse(r#"[{ "times": 1, "answer": { "text": "three" } }]"#).expect("a script"));
        for expected in ["three", "two"] {
            let answer = asked(&models, Provider::OpenAi, &question(Provider::OpenAi, "other")).await;
            assert_eq!(said(Provider::OpenAi, &answer.body), expected);
        }
        let answer = asked(&models, Provider::Mistral, &question(Provider::Mistral, "other")).await;
        assert_eq!(said(Provider::Mistral, &answer.body), "You said: other");
    })
    .await;
}

#[tokio::test]
async fn texts_are_the_pieces_of_a_stream() {
    with(json!([{ "answer": { "texts": ["Gr", "üß", "e"] } }]), async |models| {
        for provider in Provider::ALL {
            let answer = asked_streamed(&models, provider, &question(provider, "Hello")).await;
            assert_eq!(said_in_pieces(provider, &answer), "Grüße", "{provider:?}");
        }
    })
    .await;
}

#[test]
fn script_that_is_none_says_what_is_wrong() {
    let wrong = Script::parse(r#"[{ "answr": {} }]"#).expect_err("it is no script");
    assert!(format!("{wrong:#}").contains("unknown field `answr`"), "{wrong:#}");
    assert!(Script::parse(r#"[{ "faults": ["noSuchFault"] }]"#).is_err());
}
