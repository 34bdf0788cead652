//! What Gemini and Vertex AI share: contents of parts, signed calls, and the errors of Google's APIs. What they refuse is `google_rules`.

use serde_json::{Value, json};

use super::asked::{Asked, Choice, Tool, Wants, list, text};
use super::credentials::{Credentials, letters};
use super::faults::{Bad, Failure, Hint, Trouble};
use super::frames::Frame;
use super::script::{Answer, Finish, Usage};
use super::{Incoming, Provider, google_rules, images};

pub(super) fn read(
    credentials: &Credentials,
    provider: Provider,
    incoming: &Incoming,
    model: &str,
    streamed: bool,
) -> Result<Asked, Trouble> {
    let body = incoming.json()?;
    google_rules::check(credentials, model, &body)?;
    let contents = list(&body["contents"]);
    let said = contents.iter().rev().filter(|turn| turn["role"] != "model").map(|turn| text(&turn["parts"]));
    let parts = contents.iter().flat_map(|turn| list(&turn["parts"]));
    let generation = &body["generationConfig"];
    let schema = ["responseSchema", "responseJsonSchema"].into_iter().find_map(|name| generation.get(name));
    let calling = &body["toolConfig"]["functionCallingConfig"];
    let allowed = list(&calling["allowedFunctionNames"]).first().and_then(Value::as_str);
    Ok(Asked {
        said: said.into_iter().find(|said| !said.is_empty()).unwrap_or_default(),
        tool_results: parts.filter(|part| part["functionResponse"].is_object()).count(),
        streamed,
        wants: match schema {
            Some(schema) => Wants::Schema(schema.clone()),
            None if generation["responseMimeType"] == "application/json" => Wants::Json,
            None => Wants::Text,
        },
        tools: list(&body["tools"]).iter().flat_map(|tools| list(&tools["functionDeclarations"])).map(tool).collect(),
        choice: match (calling["mode"].as_str(), allowed) {
            (Some("ANY"), Some(name)) => Choice::Named(name.to_owned()),
            (Some("ANY"), None) => Choice::Any,
            _ => Choice::Free,
        },
        ..Asked::of(provider, model, &body)
    })
}

fn tool(declaration: &Value) -> Tool {
    let schema = declaration.get("parameters").or(declaration.get("parametersJsonSchema"));
    let name = declaration["name"].as_str().unwrap_or_default().to_owned();
    Tool { name, schema: schema.cloned().unwrap_or_else(|| json!({ "type": "object" })) }
}

/// Tool calls end like any answer.
fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls | Finish::Refusal => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
    }
}

/// Thoughts are counted beside what is said.
fn usage(usage: Usage) -> Value {
    let mut fields = json!({
        "promptTokenCount": usage.input,
        "candidatesTokenCount": usage.output.saturating_sub(usage.thinking),
        "totalTokenCount": usage.input + usage.output,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": usage.input }],
    });
    if usage.cached > 0 {
        fields["cachedContentTokenCount"] = usage.cached.into();
    }
    if usage.thinking > 0 {
        fields["thoughtsTokenCount"] = usage.thinking.into();
    }
    fields
}

/// Thoughts, texts, calls. The first call of a turn has the signature for all.
fn parts(credentials: &Credentials, answer: &Answer) -> Vec<Value> {
    let thought = answer.thinking.iter().map(|thought| json!({ "text": thought, "thought": true }));
    let said = answer.pieces().into_iter().chain(answer.refusal.clone()).map(|piece| json!({ "text": piece }));
    let calls = answer.tool_calls.iter().enumerate().map(|(at, call)| {
        let mut part = json!({ "functionCall": { "name": call.name, "args": call.arguments } });
        if let Some(id) = &call.id {
            part["functionCall"]["id"] = id.as_str().into();
        }
        if at == 0 {
            part["thoughtSignature"] = credentials.sign(&call.name).into();
        }
        part
    });
    thought.chain(said).chain(calls).collect()
}

/// A text that was thought about has a signature as well, if no call has one.
fn signed(credentials: &Credentials, answer: &Answer, mut part: Value) -> Value {
    if let (Some(thinking), true) = (&answer.thinking, answer.tool_calls.is_empty()) {
        part["thoughtSignature"] = credentials.sign(thinking).into();
    }
    part
}

/// A response with some parts.
struct Response<'a> {
    asked: &'a Asked,
    id: String,
}

impl Response<'_> {
    fn of(&self, parts: &[Value], finish: Option<Finish>, counted: Usage) -> Value {
        let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
        if parts.is_empty() {
            candidate["content"] = json!({ "role": "model" });
        }
        if let Some(finish) = finish {
            candidate["finishReason"] = finish_reason(finish).into();
        }
        if finish == Some(Finish::ContentFilter) {
            candidate["safetyRatings"] =
                json!([{ "category": "HARM_CATEGORY_HATE_SPEECH", "probability": "HIGH", "blocked": true }]);
        }
        if self.asked.provider == Provider::VertexAi {
            candidate["avgLogprobs"] = json!(-0.1);
        }
        json!({ "candidates": [candidate], "usageMetadata": usage(counted), "modelVersion": self.asked.model, "responseId": self.id })
    }
}

pub(super) fn whole(credentials: &Credentials, asked: &Asked, answer: &Answer) -> Value {
    let said = answer.whole() + answer.refusal.as_deref().unwrap_or_default();
    // In one part what a stream brings in several.
    let joined =
        Answer { text: (!said.is_empty()).then_some(said), texts: Vec::new(), refusal: None, ..answer.clone() };
    let mut parts = parts(credentials, &joined);
    let is_text = |part: &Value| part["text"].is_string() && part["thought"] != true;
    let text: String = parts.iter().filter(|part| is_text(part)).filter_map(|part| part["text"].as_str()).collect();
    if let Some(first) = parts.iter().position(is_text) {
        parts.retain(|part| !is_text(part));
        parts.insert(first, signed(credentials, answer, json!({ "text": text })));
    }
    let modalities = list(&asked.body["generationConfig"]["responseModalities"]);
    if modalities.iter().any(|kind| kind == "IMAGE") {
        parts.push(json!({ "inlineData": { "mimeType": "image/png", "data": images::PNG } }));
    }
    let response = Response { asked, id: letters(22) };
    response.of(&parts, Some(answer.finish()), answer.usage)
}

pub(super) fn frames(credentials: &Credentials, asked: &Asked, answer: &Answer) -> Vec<Frame> {
    let response = Response { asked, id: letters(22) };
    let mut parts = parts(credentials, answer);
    if answer.thinking.is_some() && answer.tool_calls.is_empty() {
        // It comes when all was said, beside nothing.
        parts.push(signed(credentials, answer, json!({ "text": "" })));
    }
    let (last, before) = match parts.split_last() {
        Some((last, before)) => (std::slice::from_ref(last), before),
        None => (&[][..], &[][..]),
    };
    // Counts are of all so far.
    let so_far = |at: usize| Usage { output: (at as u64).min(answer.usage.output), thinking: 0, ..answer.usage };
    let frames = before.iter().enumerate().map(|(at, part)| response.of(std::slice::from_ref(part), None, so_far(at)));
    let end = response.of(last, Some(answer.finish()), answer.usage);
    frames.chain([end]).map(Frame::plain).collect()
}

pub(super) fn failure(provider: Provider, trouble: &Trouble) -> Failure {
    let error = |code: u16, status: &str, message: &str, details: Value| {
        let mut error = json!({ "code": code, "message": message, "status": status });
        if !details.is_null() {
            error["details"] = details;
        }
        Failure::new(code, json!({ "error": error }))
    };
    match trouble {
        Trouble::NoKey | Trouble::WrongKey(_) => credential(provider, trouble == &Trouble::NoKey),
        Trouble::UnknownModel(model) if provider == Provider::VertexAi => {
            let message = format!(
                "Publisher Model `publishers/google/models/{model}` was not found or your project does not have access to it. Please ensure you are using a valid model version."
            );
            error(404, "NOT_FOUND", &message, Value::Null)
        }
        Trouble::UnknownModel(model) => {
            let message = format!(
                "models/{model} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods."
            );
            error(404, "NOT_FOUND", &message, Value::Null)
        }
        Trouble::Bad(Bad { message, param: None, .. }) => error(400, "INVALID_ARGUMENT", message, Value::Null),
        Trouble::Bad(Bad { message, param: Some(param), .. }) => {
            let details = json!([{ "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{ "field": param, "description": message }] }]);
            error(400, "INVALID_ARGUMENT", message, details)
        }
        Trouble::ContextTooLong => {
            let message = "The input token count (1140123) exceeds the maximum number of tokens allowed (1048576).";
            error(400, "INVALID_ARGUMENT", message, Value::Null)
        }
        Trouble::QuotaExhausted => {
            let message = "You exceeded your current quota, please check your plan and billing details.\n* Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 250\nPlease retry in 46.2s.";
            let details = json!([violated("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), help(), retry("46s")]);
            error(429, "RESOURCE_EXHAUSTED", message, details)
        }
        Trouble::ContentFilter => Failure::new(
            200,
            json!({
                "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" },
                "usageMetadata": { "promptTokenCount": 11, "totalTokenCount": 11 }, "modelVersion": "stand-in", "responseId": letters(22),
            }),
        ),
        Trouble::RateLimited(wait) => {
            let wait = wait.or(Hint::RetryInfo);
            let seconds = wait.after_ms as f64 / 1_000.0;
            let mut details = vec![violated("GenerateRequestsPerMinutePerProjectPerModel"), help()];
            if wait.hint == Hint::RetryInfo {
                details.push(retry(&format!("{seconds}s")));
            }
            let said = if wait.hint == Hint::Text { format!("\nPlease retry in {seconds}s.") } else { String::new() };
            let message = format!("You exceeded your current quota, please check your plan and billing details.{said}");
            error(429, "RESOURCE_EXHAUSTED", &message, details.into()).with(wait.headers())
        }
        Trouble::Internal => {
            let message = "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting";
            error(500, "INTERNAL", message, Value::Null)
        }
        Trouble::Overloaded => {
            error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.", Value::Null)
        }
    }
}

fn credential(provider: Provider, is_missing: bool) -> Failure {
    let error = |code: u16, status: &str, reason: &str, message: &str| {
        let service = if provider == Provider::VertexAi { "aiplatform" } else { "generativelanguage" };
        let details = json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
            "domain": "googleapis.com", "metadata": { "service": format!("{service}.googleapis.com") } }]);
        Failure::new(
            code,
            json!({ "error": { "code": code, "message": message, "status": status, "details": details } }),
        )
    };
    match (provider, is_missing) {
        (Provider::VertexAi, missing) => {
            let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.";
            let reason = if missing { "CREDENTIALS_MISSING" } else { "ACCESS_TOKEN_TYPE_UNSUPPORTED" };
            error(401, "UNAUTHENTICATED", reason, message)
        }
        (_, true) => {
            let message = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.";
            let body = json!({ "error": { "code": 403, "message": message, "status": "PERMISSION_DENIED" } });
            Failure::new(403, body)
        }
        (_, false) => {
            error(400, "INVALID_ARGUMENT", "API_KEY_INVALID", "API key not valid. Please pass a valid API key.")
        }
    }
}

fn violated(quota: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests", "quotaId": quota,
        "quotaDimensions": { "location": "global", "model": "stand-in" }, "quotaValue": "250" }] })
}

fn help() -> Value {
    json!({ "@type": "type.googleapis.com/google.rpc.Help", "links": [{
        "description": "Learn more about Gemini API quotas", "url": "https://ai.google.dev/gemini-api/docs/rate-limits" }] })
}

fn retry(delay: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay })
}
