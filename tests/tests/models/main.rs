//! The stand-in for model providers, asked by a plain HTTP client that knows nothing of its code: what providers promise, and what goes wrong.

mod anthropic;
mod azure;
mod bedrock;
mod faults;
mod google;
mod ollama;
mod openai;
mod refusals;
mod responses;
mod scripts;
mod services;
mod signing;
mod tls;

use std::future::Future;

use serde_json::{Value, json};
use tests::models::{Models, Provider, Script};

/// An answer: status, headers, body as JSON or as what it is.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
    text: String,
    bytes: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Asks a server with a script, and ends it.
async fn with<F: Future<Output = ()>>(rules: Value, test: impl FnOnce(std::sync::Arc<Models>) -> F) {
    let script = Script::parse(&rules.to_string()).expect("the script is one");
    let models = std::sync::Arc::new(Models::start(script).await);
    test(models.clone()).await;
    let models = std::sync::Arc::into_inner(models).expect("nobody else has it");
    models.end().await;
}

/// Sends a request, and reads all of the answer.
async fn sent(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("the server answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.expect("the answer is whole").to_vec();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, body, text, bytes }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// A request with a body of JSON.
fn post(url: &str, body: &Value) -> reqwest::RequestBuilder {
    client().post(url).header("content-type", "application/json").body(body.to_string())
}

/// The data of the events of a stream, without its mark at the end.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).expect("an event is JSON")).collect()
}

/// A model that the provider could have.
fn model(provider: Provider) -> &'static str {
    match provider {
        Provider::OpenAi | Provider::AzureOpenAi => "gpt-4o",
        Provider::Anthropic => "claude-sonnet-4-5",
        Provider::Gemini | Provider::VertexAi => "gemini-2.5-flash",
        Provider::Bedrock => "anthropic.claude-sonnet-4-5-20250929-v1:0",
        Provider::Mistral => "mistral-large-latest",
        Provider::DeepSeek => "deepseek-chat",
        Provider::Ollama => "llama3.2",
        Provider::OpenRouter => "openai/gpt-4o",
    }
}

/// A question of one message in the provider's form.
fn question(provider: Provider, said: &str) -> Value {
    let messages = json!([{ "role": "user", "content": said }]);
    match provider {
        Provider::Gemini | Provider::VertexAi => {
            json!({ "contents": [{ "role": "user", "parts": [{ "text": said }] }] })
        }
        Provider::Bedrock => json!({ "messages": [{ "role": "user", "content": [{ "text": said }] }] }),
        Provider::Anthropic => json!({ "model": model(provider), "max_tokens": 100, "messages": messages }),
        Provider::Ollama => json!({ "model": model(provider), "messages": messages, "stream": false }),
        _ => json!({ "model": model(provider), "messages": messages }),
    }
}

/// Where a question goes.
fn url(models: &Models, provider: Provider, streamed: bool) -> String {
    let base = models.base(provider);
    let method = if streamed { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let verb = if streamed { "converse-stream" } else { "converse" };
    let model = model(provider);
    match provider {
        Provider::AzureOpenAi => format!("{base}/openai/v1/chat/completions"),
        Provider::Anthropic => format!("{base}/v1/messages"),
        Provider::Gemini => format!("{base}/v1beta/models/{model}:{method}"),
        Provider::VertexAi => {
            format!("{base}/v1/projects/p/locations/us-east1/publishers/google/models/{model}:{method}")
        }
        Provider::Bedrock => format!("{base}/model/{}/{verb}", model.replace(':', "%3A")),
        Provider::Ollama => format!("{base}/api/chat"),
        _ => format!("{base}/chat/completions"),
    }
}

/// The same question as a stream, where the body says so.
fn streamed(provider: Provider, mut body: Value) -> Value {
    match provider {
        Provider::Gemini | Provider::VertexAi | Provider::Bedrock => {}
        _ => body["stream"] = true.into(),
    }
    body
}

/// A request with a credential that is right.
async fn proven(models: &Models, provider: Provider, streamed: bool, body: &Value) -> reqwest::RequestBuilder {
    let key = models.key(provider);
    let url = url(models, provider, streamed);
    let request = post(&url, body);
    match provider {
        Provider::AzureOpenAi => request.header("api-key", key),
        Provider::Anthropic => request.header("x-api-key", key).header("anthropic-version", "2023-06-01"),
        Provider::Gemini => request.header("x-goog-api-key", key),
        Provider::VertexAi => request.bearer_auth(signing::google_token(models, signing::CLOUD).await),
        Provider::Bedrock => signing::aws(models, &url, body),
        Provider::Ollama => request,
        _ => request.bearer_auth(key),
    }
}

/// Asks with a credential that is right.
async fn asked(models: &Models, provider: Provider, body: &Value) -> Answer {
    sent(proven(models, provider, false, body).await).await
}

/// Asks for a stream.
async fn asked_streamed(models: &Models, provider: Provider, body: &Value) -> Answer {
    sent(proven(models, provider, true, &streamed(provider, body.clone())).await).await
}

/// The text of a whole answer.
fn said(provider: Provider, body: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = |parts: &Value, pointer: &str| {
        parts.as_array().into_iter().flatten().map(|part| text(part.pointer(pointer).unwrap_or(&Value::Null))).collect()
    };
    match provider {
        Provider::Anthropic => all(&body["content"], "/text"),
        Provider::Gemini | Provider::VertexAi => all(&body["candidates"][0]["content"]["parts"], "/text"),
        Provider::Bedrock => all(&body["output"]["message"]["content"], "/text"),
        Provider::Ollama => text(&body["message"]["content"]),
        _ => text(&body["choices"][0]["message"]["content"]),
    }
}

/// The text of a stream.
fn said_in_pieces(provider: Provider, answer: &Answer) -> String {
    let pieces: Vec<Value> = match provider {
        Provider::Bedrock => bedrock::frames(&answer.bytes).into_iter().map(|(_, data)| data).collect(),
        Provider::Ollama => {
            answer.text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
        }
        _ => events(&answer.text),
    };
    let pointer = match provider {
        Provider::Anthropic | Provider::Bedrock => "/delta/text",
        Provider::Gemini | Provider::VertexAi => "/candidates/0/content/parts/0/text",
        Provider::Ollama => "/message/content",
        _ => "/choices/0/delta/content",
    };
    pieces.iter().filter_map(|piece| piece.pointer(pointer).and_then(Value::as_str)).collect()
}

#[tokio::test]
async fn every_provider_answers_whoever_has_its_key() {
    with(json!([]), async |models| {
        for provider in Provider::ALL {
            let answer = asked(&models, provider, &question(provider, "Grüße, 世界!")).await;
            assert_eq!(answer.status, 200, "{provider:?}: {}", answer.text);
            assert_eq!(said(provider, &answer.body), "You said: Grüße, 世界!", "{provider:?}: {}", answer.text);
            let seen = models.seen();
            let last = seen.last().expect("it came");
            assert_eq!((last.provider, last.authorized), (Some(provider), true));
        }
    })
    .await;
}

#[tokio::test]
async fn every_provider_streams_the_same() {
    with(json!([]), async |models| {
        for provider in Provider::ALL {
            let answer = asked_streamed(&models, provider, &question(provider, "Grüße, 世界!")).await;
            assert_eq!(answer.status, 200, "{provider:?}: {}", answer.text);
            assert_eq!(said_in_pieces(provider, &answer), "You said: Grüße, 世界!", "{provider:?}: {}", answer.text);
        }
    })
    .await;
}

#[tokio::test]
async fn wrong_keys_and_no_keys_are_refused() {
    with(json!({ "ollamaKey": true }), async |models| {
        for provider in Provider::ALL {
            let (url, body) = (url(&models, provider, false), question(provider, "Hello"));
            let bare = || post(&url, &body).header("anthropic-version", "2023-06-01");
            let missing = sent(bare()).await;
            let wrong = match provider {
                Provider::Anthropic => bare().header("x-api-key", "sk-wrong"),
                Provider::Gemini => bare().header("x-goog-api-key", "AIza-wrong"),
                Provider::AzureOpenAi => bare().header("api-key", "wrong"),
                Provider::Bedrock => signing::aws_with(&signing::Signing::of("AKIAWRONG", "wrong"), &url, &body),
                _ => bare().bearer_auth("sk-wrong"),
            };
            let wrong = sent(wrong).await;
            let expected = match provider {
                Provider::Gemini => (403, 400),
                Provider::Bedrock => (403, 403),
                _ => (401, 401),
            };
            assert_eq!((missing.status, wrong.status), expected, "{provider:?}: {} {}", missing.text, wrong.text);
            assert!(models.seen().iter().all(|seen| !seen.authorized), "{provider:?}");
        }
        let key = models.key(Provider::Ollama).to_owned();
        let body = question(Provider::Ollama, "Hello");
        let answer = sent(post(&url(&models, Provider::Ollama, false), &body).bearer_auth(key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    })
    .await;
}

#[tokio::test]
async fn keys_are_those_of_one_server() {
    with(json!([]), async |one| {
        with(json!([]), async |other| {
            let random = Provider::ALL.iter().filter(|provider| **provider != Provider::VertexAi);
            assert!(random.into_iter().all(|provider| one.key(*provider) != other.key(*provider)));
            assert_ne!(one.service_account(), other.service_account());
        })
        .await;
    })
    .await;
}
