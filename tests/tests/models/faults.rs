//! Faults: each does what its name says, with every provider that can have it.

use std::time::{Duration, Instant};

use super::*;

fn fault(fault: Value) -> Value {
    json!([{ "faults": [fault] }])
}

/// Providers whose streams are events.
fn with_events() -> impl Iterator<Item = Provider> {
    Provider::ALL.into_iter().filter(|provider| !matches!(provider, Provider::Bedrock | Provider::Ollama))
}

/// The pieces in which a body arrives, and whether it was whole.
async fn pieces(models: &Models, provider: Provider, is_stream: bool) -> (Vec<Vec<u8>>, bool) {
    let body = question(provider, "Grüße");
    let body = if is_stream { streamed(provider, body) } else { body };
    let mut response = proven(models, provider, is_stream, &body).await.send().await.expect("an answer");
    let mut pieces = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => pieces.push(piece.to_vec()),
            Ok(None) => return (pieces, true),
            Err(_) => return (pieces, false),
        }
    }
}

/// Status and a word of each error, of each provider.
fn errors(name: &str) -> [(u16, &'static str); 10] {
    match name {
        "wrongKey" => [
            (401, "invalid_api_key"),
            (401, "401"),
            (401, "authentication_error"),
            (400, "API_KEY_INVALID"),
            (401, "UNAUTHENTICATED"),
            (403, "security token"),
            (401, "Unauthorized"),
            (401, "authentication_error"),
            (401, "unauthorized"),
            (401, "User not found."),
        ],
        "unknownModel" => [
            (404, "model_not_found"),
            (404, "DeploymentNotFound"),
            (404, "not_found_error"),
            (404, "NOT_FOUND"),
            (404, "NOT_FOUND"),
            (404, "model identifier"),
            (400, "invalid_model"),
            (400, "Model Not Exist"),
            (404, "not found"),
            (400, "is not a valid model ID"),
        ],
        "badRequest" => [
            (400, "invalid_request_error"),
            (400, "invalid_request_error"),
            (400, "invalid_request_error"),
            (400, "INVALID_ARGUMENT"),
            (400, "INVALID_ARGUMENT"),
            (400, "message"),
            (400, "\"object\":\"error\""),
            (400, "invalid_request_error"),
            (400, "error"),
            (400, "\"code\":400"),
        ],
        "contextTooLong" => [
            (400, "context_length_exceeded"),
            (400, "context_length_exceeded"),
            (400, "prompt is too long"),
            (400, "exceeds the maximum number of tokens"),
            (400, "exceeds the maximum number of tokens"),
            (400, "Input is too long"),
            (400, "too large for model"),
            (400, "maximum context length"),
            (400, "context length"),
            (400, "maximum context length"),
        ],
        "quotaExhausted" => [
            (429, "insufficient_quota"),
            (429, "insufficient_quota"),
            (400, "credit balance is too low"),
            (429, "PerDay"),
            (429, "PerDay"),
            (400, "service quota"),
            (402, "credits"),
            (402, "Insufficient Balance"),
            (429, "usage limit"),
            (402, "Insufficient credits"),
        ],
        "rateLimited" => [
            (429, "rate_limit_exceeded"),
            (429, "\"429\""),
            (429, "rate_limit_error"),
            (429, "RESOURCE_EXHAUSTED"),
            (429, "RESOURCE_EXHAUSTED"),
            (429, "Too many requests"),
            (429, "rate_limited"),
            (429, "Rate limit reached"),
            (429, "too many"),
            (429, "\"code\":429"),
        ],
        "internal" => [
            (500, "server_error"),
            (500, "server_error"),
            (500, "api_error"),
            (500, "INTERNAL"),
            (500, "INTERNAL"),
            (500, "unexpected error"),
            (500, "Internal"),
            (500, "Internal"),
            (500, "llama runner"),
            (502, "\"code\":502"),
        ],
        _ => [
            (503, "overloaded"),
            (503, "ServiceUnavailable"),
            (529, "overloaded_error"),
            (503, "UNAVAILABLE"),
            (503, "UNAVAILABLE"),
            (503, "unable to process"),
            (503, "unavailable"),
            (503, "too busy"),
            (503, "server busy"),
            (503, "\"code\":503"),
        ],
    }
}

#[tokio::test]
async fn errors_are_in_the_words_of_the_provider() {
    for name in ["wrongKey", "unknownModel", "badRequest", "contextTooLong", "quotaExhausted", "internal", "overloaded"]
    {
        with(fault(name.into()), async |models| {
            for (provider, (status, word)) in Provider::ALL.into_iter().zip(errors(name)) {
                for answer in [
                    asked(&models, provider, &question(provider, "Hi")).await,
                    asked_streamed(&models, provider, &question(provider, "Hi")).await,
                ] {
                    assert_eq!(answer.status, status, "{name} {provider:?}: {}", answer.text);
                    assert!(answer.text.contains(word), "{name} {provider:?}: {}", answer.text);
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn content_filter_has_a_place_with_each() {
    with(fault("contentFilter".into()), async |models| {
        let expected = [
            (400, "invalid_prompt"),
            (400, "ResponsibleAIPolicyViolation"),
            (400, "content filtering policy"),
            (200, "blockReason"),
            (200, "blockReason"),
            (200, "content_filtered"),
            (403, "content_filter"),
            (400, "Content Exists Risk"),
            (400, "blocked"),
            (403, "flagged_input"),
        ];
        for (provider, (status, word)) in Provider::ALL.into_iter().zip(expected) {
            let answer = asked(&models, provider, &question(provider, "Hi")).await;
            assert_eq!(answer.status, status, "{provider:?}: {}", answer.text);
            assert!(answer.text.contains(word), "{provider:?}: {}", answer.text);
        }
    })
    .await;
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let limited = |hint: &str| fault(json!({ "rateLimited": { "hint": hint, "afterMs": 1_500 } }));
    let hints = ["own", "none", "retry-after", "retry-after-date", "retry-after-ms", "retry-info", "reset", "text"];
    for hint in hints {
        with(limited(hint), async |models| {
            for (provider, (status, word)) in Provider::ALL.into_iter().zip(errors("rateLimited")) {
                let answer = asked(&models, provider, &question(provider, "Hi")).await;
                assert_eq!(answer.status, status, "{hint} {provider:?}: {}", answer.text);
                assert!(answer.text.contains(word), "{hint} {provider:?}: {}", answer.text);
                hinted(hint, provider, &answer);
            }
        })
        .await;
    }
}

fn hinted(hint: &str, provider: Provider, answer: &Answer) {
    let google = matches!(provider, Provider::Gemini | Provider::VertexAi);
    let after = answer.header("retry-after");
    match hint {
        "none" => assert_eq!((after, answer.text.contains("retryDelay")), ("", false)),
        "retry-after" => assert_eq!(after, "2"),
        "retry-after-ms" => assert_eq!((answer.header("retry-after-ms"), after), ("1500", "2")),
        "retry-after-date" => {
            let date = |text: &str| jiff::fmt::rfc2822::parse(text).expect("a date").timestamp().as_second();
            assert_eq!(date(after) - date(answer.header("date")), 2);
        }
        "retry-info" => assert_eq!(answer.text.contains(r#""retryDelay":"1.5s""#), google),
        "text" => {
            assert!(answer.text.contains("again in 1.5s") || answer.text.contains("retry in 1.5s"), "{}", answer.text)
        }
        "reset" => assert!(answer.headers.keys().any(|name| name.as_str().contains("reset")), "{:?}", answer.headers),
        _ => match provider {
            Provider::Gemini | Provider::VertexAi => assert!(answer.text.contains("retryDelay") && after.is_empty()),
            Provider::AzureOpenAi => assert_eq!(answer.header("retry-after-ms"), "1500"),
            Provider::Bedrock | Provider::DeepSeek | Provider::Ollama => assert_eq!(after, ""),
            _ => assert_eq!(after, "2"),
        },
    }
}

#[tokio::test]
async fn error_may_come_in_a_body_that_promises_an_answer() {
    with(json!([{ "faults": ["errorInBody", "overloaded"] }]), async |models| {
        for provider in Provider::ALL {
            let answer = asked(&models, provider, &question(provider, "Hi")).await;
            let error = errors("overloaded")[Provider::ALL.iter().position(|known| *known == provider).expect("one")].1;
            assert_eq!(answer.status, 200, "{provider:?}");
            assert!(answer.text.contains(error), "{provider:?}: {}", answer.text);
        }
    })
    .await;
}

#[tokio::test]
async fn error_of_openrouter_may_stand_beside_what_was_said() {
    with(json!([{ "answer": { "text": "So it" }, "faults": ["errorInChoice"] }]), async |models| {
        let answer = asked(&models, Provider::OpenRouter, &question(Provider::OpenRouter, "Hi")).await;
        let choice = &answer.body["choices"][0];
        assert_eq!(
            (answer.status, &choice["error"]["code"], &choice["finish_reason"]),
            (200, &json!(502), &json!("error"))
        );
        assert_eq!(choice["message"]["content"], "So it");
    })
    .await;
}

#[tokio::test]
async fn error_may_come_in_the_midst_of_a_stream() {
    with(
        json!([{ "answer": { "text": "So it is, and so it stays." }, "faults": ["errorInStream", "overloaded"] }]),
        async |models| {
            for provider in Provider::ALL {
                let answer = asked_streamed(&models, provider, &question(provider, "Hi")).await;
                assert_eq!(answer.status, 200, "{provider:?}");
                if provider == Provider::Bedrock {
                    let frames = bedrock::frames(&answer.bytes);
                    let (headers, data) = frames.last().expect("there are some");
                    assert_eq!(bedrock::header(headers, ":message-type"), "exception");
                    assert_eq!(bedrock::header(headers, ":exception-type"), "serviceUnavailableException");
                    assert!(data["message"].is_string());
                    continue;
                }
                let last = match provider {
                    Provider::Ollama => {
                        answer.text.lines().last().map(|line| serde_json::from_str(line).expect("JSON"))
                    }
                    _ => events(&answer.text).pop(),
                };
                let last: Value = last.expect("there are some");
                assert!(!last["error"].is_null() || last["object"] == "error", "{provider:?}: {}", answer.text);
                let said = said_in_pieces(provider, &answer);
                assert!(!said.is_empty() && "So it is, and so it stays.".starts_with(&said), "{provider:?}: {said}");
                assert!(!answer.text.contains("[DONE]"), "{provider:?}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn every_byte_is_a_piece() {
    with(fault("everyByte".into()), async |models| {
        for provider in Provider::ALL {
            for is_stream in [false, true] {
                let (pieces, whole) = pieces(&models, provider, is_stream).await;
                assert!(whole && pieces.iter().all(|piece| piece.len() == 1), "{provider:?}");
                assert!(pieces.len() > 50, "{provider:?}: {}", pieces.len());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn truncated_answer_ends_before_its_end() {
    with(fault("truncated".into()), async |models| {
        for provider in Provider::ALL {
            for is_stream in [false, true] {
                let (pieces, whole) = pieces(&models, provider, is_stream).await;
                assert!(!whole && !pieces.is_empty(), "{provider:?} {is_stream}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn comments_keep_a_stream_alive() {
    with(fault("keepAlive".into()), async |models| {
        for provider in with_events() {
            let answer = asked_streamed(&models, provider, &question(provider, "Grüße")).await;
            let mark = match provider {
                Provider::Anthropic => "event: ping",
                Provider::OpenRouter => ": OPENROUTER PROCESSING",
                _ => ": keep-alive",
            };
            assert!(
                answer.text.starts_with(mark) && answer.text.matches(mark).count() > 2,
                "{provider:?}: {}",
                answer.text
            );
            assert_eq!(said_in_pieces(provider, &answer), "You said: Grüße", "{provider:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn blank_lines_come_before_a_body() {
    with(fault("blankLines".into()), async |models| {
        for provider in Provider::ALL {
            let answer = asked(&models, provider, &question(provider, "Hi")).await;
            assert!(answer.text.starts_with("\n\n"), "{provider:?}: {}", answer.text);
            assert_eq!(said(provider, &answer.body), "You said: Hi");
        }
    })
    .await;
}

#[tokio::test]
async fn one_frame_has_a_wrong_checksum() {
    with(fault("wrongCrc".into()), async |models| {
        let answer = asked_streamed(&models, Provider::Bedrock, &question(Provider::Bedrock, "Hi")).await;
        let (mut rest, mut wrong) = (answer.bytes.as_slice(), 0);
        while let Some(length) = rest.first_chunk::<4>() {
            let (frame, after) = rest.split_at(u32::from_be_bytes(*length) as usize);
            let (before, sum) = frame.split_at(frame.len() - 4);
            wrong += usize::from(bedrock::crc(before).to_be_bytes() != *sum);
            rest = after;
        }
        assert_eq!(wrong, 1);
    })
    .await;
}

#[tokio::test]
async fn unknown_fields_and_events_change_nothing_known() {
    let call = json!({ "name": "weather", "arguments": { "input": { "a": 1 } } });
    with(json!([{ "answer": { "text": "So.", "toolCalls": [call] }, "faults": ["unknownFields"] }]), async |models| {
        for provider in Provider::ALL {
            let whole = asked(&models, provider, &question(provider, "Hi")).await;
            assert!(whole.text.matches("x_unheard_of").count() > 1, "{provider:?}: {}", whole.text);
            assert_eq!(said(provider, &whole.body), "So.", "{provider:?}");
            assert!(whole.text.replace('\\', "").contains(r#"{"input":{"a":1}}"#), "{provider:?}: {}", whole.text);
            let streamed = asked_streamed(&models, provider, &question(provider, "Hi")).await;
            assert_eq!(said_in_pieces(provider, &streamed), "So.", "{provider:?}: {}", streamed.text);
        }
    })
    .await;
}

#[tokio::test]
async fn drip_waits_before_each_piece() {
    with(
        json!([{ "answer": { "texts": ["a", "b", "c"] }, "faults": [{ "drip": { "delayMs": 20 } }] }]),
        async |models| {
            for provider in [Provider::OpenAi, Provider::Ollama, Provider::Bedrock] {
                let begun = Instant::now();
                let (pieces, whole) = pieces(&models, provider, true).await;
                assert!(whole && pieces.len() >= 4, "{provider:?}: {}", pieces.len());
                assert!(begun.elapsed() >= Duration::from_millis(80), "{provider:?}: {:?}", begun.elapsed());
            }
        },
    )
    .await;
}

#[tokio::test]
async fn hang_answers_nothing_until_the_end() {
    let models = Models::start(Script::parse(&fault("hang".into()).to_string()).expect("a script")).await;
    let request = proven(&models, Provider::OpenAi, false, &question(Provider::OpenAi, "Hi")).await;
    let asking = tokio::spawn(async move { request.send().await.map(|response| response.status().as_u16()) });
    models.came(1).await;
    assert!(!asking.is_finished());
    models.end().await;
    let answered = asking.await.expect("it does not panic");
    assert!(!matches!(answered, Ok(200)), "{answered:?}");
}

#[tokio::test]
async fn what_is_no_answer_of_a_provider() {
    let rules = json!([{ "when": { "says": "page" }, "faults": [{ "htmlError": { "status": 502 } }] }, { "faults": ["notJson"] }]);
    with(rules, async |models| {
        for provider in Provider::ALL {
            let page = asked(&models, provider, &question(provider, "page")).await;
            assert_eq!((page.status, page.header("content-type")), (502, "text/html; charset=utf-8"), "{provider:?}");
            let broken = asked(&models, provider, &question(provider, "Hi")).await;
            assert_eq!((broken.status, &broken.body), (200, &Value::Null), "{provider:?}");
        }
    })
    .await;
}
