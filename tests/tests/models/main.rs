//! The stand-in for model providers, asked by a plain HTTP client that knows nothing of its code: what providers promise, and what goes wrong.

mod openai;

use serde_json::{Value, json};
use tests::models::{Models, Provider, Script};

/// A server with a script.
async fn scripted(rules: Value) -> Models {
    Models::start(Script::parse(&rules.to_string()).expect("the script is one")).await
}

/// An answer: status, headers, body as JSON or as a text.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
    text: String,
}

/// Sends a request, and reads all of the answer.
async fn sent(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("the server answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("the answer is whole");
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, body, text }
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

/// A question of one message, of the family of chat completions.
fn question(model: &str, said: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": said }] })
}
