//! What the tests of this crate share: a conversation with everything in it, and short ways to encode it.

use llm::http::Options;
use llm::message::*;
use llm::{Dialect, Kind};
use serde_json::{Value, json};

pub fn options(dialect: Dialect) -> Options {
    match dialect {
        Dialect::AzureOpenAi => Options { base_url: Some("https://r.openai.azure.com".into()), ..Options::default() },
        Dialect::VertexAi => {
            Options { project: Some("p".into()), location: Some("europe-west4".into()), ..Options::default() }
        }
        _ => Options::default(),
    }
}

pub fn conversation() -> Request {
    Request { model: "m".into(), messages: vec![Message::user("hi")], ..Request::default() }
}

pub fn call(id: &str, name: &str, arguments: Value) -> AnswerPart {
    AnswerPart::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments, verbatim: None })
}

/// Instructions, a picture, two calls, a result that is JSON and one that is an error.
pub fn tool_request() -> Request {
    let image =
        Image::Bytes { media_type: "image/png".into(), data: Base64::try_from("AAAA".to_owned()).expect("base64") };
    let result = |id: &str, name: &str, content: &str, is_error| ToolResult {
        id: id.into(),
        name: name.into(),
        content: content.into(),
        is_error,
    };
    let tool = |name: &str| Tool {
        name: name.into(),
        description: String::new(),
        schema: json!({ "type": "object", "properties": { "at": { "type": "string" } } }),
        strict: false,
    };
    Request {
        messages: vec![
            Message::system("be brief"),
            Message::User { parts: vec![UserPart::Text { text: "what is this?".into() }, UserPart::Image { image }] },
            Message::Assistant {
                parts: vec![
                    AnswerPart::text("I look."),
                    call("call_1", "look", json!({ "at": "it" })),
                    call("call_2", "smell", json!({})),
                ],
            },
            Message::Tool {
                results: vec![
                    result("call_1", "look", "{\"animal\":\"cat\"}", false),
                    result("call_2", "smell", "no nose", true),
                ],
            },
            Message::user("go on"),
        ],
        tools: vec![tool("look"), tool("smell")],
        ..conversation()
    }
}

#[track_caller]
pub fn encoded(dialect: Dialect, request: &Request) -> Value {
    let sent = dialect.codec().encode_request(request, &options(dialect)).expect("a request");
    serde_json::from_slice(&sent.body).expect("JSON")
}

#[track_caller]
pub fn refused(dialect: Dialect, request: &Request, options: &Options) -> Kind {
    dialect.codec().encode_request(request, options).expect_err("it cannot be said").kind
}
