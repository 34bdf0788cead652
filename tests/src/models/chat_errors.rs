//! The errors of chat completions, in the words of each of the family, and OpenAI's for its other APIs.

use serde_json::{Value, json};

use super::Provider;
use super::credentials::masked;
use super::faults::{Bad, Failure, Hint, Trouble, Wait};
use super::frames::Frame;

/// The error of a provider.
pub(super) fn failure(provider: Provider, trouble: &Trouble) -> Failure {
    match provider {
        Provider::AzureOpenAi => azure(trouble),
        Provider::Mistral => mistral(trouble),
        Provider::DeepSeek => deepseek(trouble),
        Provider::OpenRouter => openrouter(trouble),
        _ => openai(trouble),
    }
}

/// The same within a stream.
pub(super) fn frame(provider: Provider, trouble: &Trouble) -> Frame {
    let failure = failure(provider, trouble);
    match provider {
        Provider::OpenRouter => Frame::plain(json!({
            "id": "gen-1", "object": "chat.completion.chunk", "created": 0, "model": "stand-in/model",
            "provider": "Stand-in", "error": failure.body["error"],
            "choices": [{ "index": 0, "delta": { "content": "" }, "finish_reason": "error" }],
        })),
        _ => Frame::plain(failure.body),
    }
}

fn error(status: u16, message: String, kind: &str, param: Option<&str>, code: Value) -> Failure {
    Failure::new(status, json!({ "error": { "message": message, "type": kind, "param": param, "code": code } }))
}

fn openai(trouble: &Trouble) -> Failure {
    let invalid = "invalid_request_error";
    match trouble {
        Trouble::NoKey => {
            let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from https://platform.openai.com/account/api-keys.";
            error(401, message.into(), invalid, None, Value::Null)
        }
        Trouble::WrongKey(key) => {
            let message = format!(
                "Incorrect API key provided: {}. You can find your API key at https://platform.openai.com/account/api-keys.",
                masked(key)
            );
            error(401, message, invalid, None, "invalid_api_key".into())
        }
        Trouble::UnknownModel(model) => {
            let message = format!("The model `{model}` does not exist or you do not have access to it.");
            error(404, message, invalid, None, "model_not_found".into())
        }
        Trouble::Bad(Bad { message, param, code, status }) => {
            error(status.unwrap_or(400), message.clone(), invalid, param.as_deref(), json!(code))
        }
        Trouble::ContextTooLong => {
            let message = "This model's maximum context length is 128000 tokens. However, your messages resulted in 140123 tokens. Please reduce the length of the messages.";
            error(400, message.into(), invalid, Some("messages"), "context_length_exceeded".into())
        }
        Trouble::QuotaExhausted => {
            let message = "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.";
            error(429, message.into(), "insufficient_quota", None, "insufficient_quota".into())
        }
        Trouble::ContentFilter => {
            let message = "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.";
            error(400, message.into(), invalid, None, "invalid_prompt".into())
        }
        Trouble::RateLimited(wait) => {
            let wait = wait.or(Hint::RetryAfter);
            let message = format!(
                "Rate limit reached for requests per min (RPM): Limit 60, Used 60, Requested 1.{}",
                wait.sentence()
            );
            error(429, message, "requests", None, "rate_limit_exceeded".into()).with(wait.headers())
        }
        Trouble::Internal => {
            let message = "The server had an error while processing your request. Sorry about that!";
            error(500, message.into(), "server_error", None, Value::Null)
        }
        Trouble::Overloaded => {
            let message = "The engine is currently overloaded, please try again later";
            error(503, message.into(), "server_error", None, Value::Null)
        }
    }
}

fn azure(trouble: &Trouble) -> Failure {
    let coded = |status: u16, code: &str, message: &str| {
        Failure::new(status, json!({ "error": { "code": code, "message": message } }))
    };
    match trouble {
        Trouble::NoKey | Trouble::WrongKey(_) => coded(
            401,
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.",
        ),
        Trouble::UnknownModel(_) => coded(
            404,
            "DeploymentNotFound",
            "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.",
        ),
        Trouble::ContentFilter => {
            let body = json!({ "error": {
                "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.",
                "type": null, "param": "prompt", "code": "content_filter", "status": 400,
                "innererror": { "code": "ResponsibleAIPolicyViolation",
                    "content_filter_result": { "hate": { "filtered": true, "severity": "high" } } },
            } });
            Failure::new(400, body)
        }
        Trouble::QuotaExhausted => {
            let body = openai(trouble).body;
            Failure::new(429, body)
        }
        Trouble::RateLimited(wait) => {
            let wait = wait.or(Hint::RetryAfterMs);
            let message = format!(
                "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded call rate limit of your current OpenAI S0 pricing tier.{}",
                wait.sentence()
            );
            let remaining = ("x-ratelimit-remaining-requests".to_owned(), "0".to_owned());
            coded(429, "429", &message).with(wait.headers()).with(vec![remaining])
        }
        Trouble::Overloaded => coded(
            503,
            "ServiceUnavailable",
            "The service is temporarily unable to process your request. Please try again later.",
        ),
        Trouble::Bad(Bad { code: Some(code @ ("404" | "BadRequest")), message, status, .. }) => {
            coded(status.unwrap_or(400), code, message)
        }
        _ => openai(trouble),
    }
}

fn mistral(trouble: &Trouble) -> Failure {
    let worded = |status: u16, message: &str, kind: &str, code: &str| {
        let body = json!({ "object": "error", "message": message, "type": kind, "param": null, "code": code });
        Failure::new(status, body)
    };
    match trouble {
        Trouble::NoKey | Trouble::WrongKey(_) => Failure::new(401, json!({ "detail": "Unauthorized" })),
        Trouble::UnknownModel(model) => worded(400, &format!("Invalid model: {model}"), "invalid_model", "1500"),
        Trouble::Bad(Bad { message, param: Some(param), code: Some("extra_forbidden"), .. }) => {
            let detail = json!([{ "type": "extra_forbidden", "loc": ["body", param], "msg": message, "input": true }]);
            let body = json!({ "object": "error", "message": { "detail": detail }, "type": "invalid_request_error",
                "param": null, "code": null });
            Failure::new(422, body)
        }
        Trouble::Bad(Bad { message, code, .. }) => {
            let kind = code.unwrap_or("invalid_request_error");
            worded(400, message, kind, if kind == "invalid_function_call" { "3280" } else { "3230" })
        }
        Trouble::ContextTooLong => {
            let message = "Prompt contains 140123 tokens and 0 draft tokens, too large for model with 131072 maximum context length";
            worded(400, message, "invalid_request_prompt", "3051")
        }
        Trouble::QuotaExhausted => {
            worded(402, "You have no credits left: check your subscription", "payment_required", "1100")
        }
        Trouble::ContentFilter => worded(403, "The request was blocked by a guardrail", "content_filter", "1400"),
        Trouble::RateLimited(wait) => {
            let wait = wait.or(Hint::RetryAfter);
            let message = format!("Requests rate limit exceeded.{}", wait.sentence());
            worded(429, &message, "rate_limited", "1300").with(wait.headers())
        }
        Trouble::Internal => worded(500, "Internal server error", "internal_server_error", "1000"),
        Trouble::Overloaded => worded(503, "Service unavailable.", "unreachable_backend", "1200"),
    }
}

fn deepseek(trouble: &Trouble) -> Failure {
    let invalid = "invalid_request_error";
    match trouble {
        Trouble::NoKey => {
            let message = "Authentication Fails (auth header format should be Bearer sk-...)";
            error(401, message.into(), "authentication_error", None, invalid.into())
        }
        Trouble::WrongKey(key) => {
            let last: String = key.chars().skip(key.chars().count().saturating_sub(4)).collect();
            let message = format!("Authentication Fails, Your api key: ****{last} is invalid");
            error(401, message, "authentication_error", None, invalid.into())
        }
        Trouble::UnknownModel(_) => error(400, "Model Not Exist".into(), invalid, None, invalid.into()),
        Trouble::Bad(Bad { message, .. }) => error(400, message.clone(), invalid, None, invalid.into()),
        Trouble::QuotaExhausted => error(402, "Insufficient Balance".into(), "unknown_error", None, invalid.into()),
        Trouble::ContentFilter => error(400, "Content Exists Risk".into(), invalid, None, invalid.into()),
        Trouble::ContextTooLong => {
            let message = "This model's maximum context length is 131072 tokens. However, you requested 140123 tokens (140123 in the messages, 0 in the completion). Please reduce the length of the messages or completion.";
            error(400, message.into(), invalid, None, invalid.into())
        }
        // It says of no wait but in words.
        Trouble::RateLimited(wait) => {
            let wait = wait.or(Hint::None);
            let message = format!("Rate limit reached.{}", wait.sentence());
            error(429, message, "rate_limit_error", None, "rate_limit_error".into()).with(wait.headers())
        }
        Trouble::Internal => error(500, "Internal server error".into(), "server_error", None, "internal_error".into()),
        Trouble::Overloaded => {
            let message =
                "Service is too busy. We advise users to temporarily switch to alternative LLM API service providers.";
            error(503, message.into(), "service_unavailable_error", None, "service_unavailable_error".into())
        }
    }
}

fn openrouter(trouble: &Trouble) -> Failure {
    let numbered = |status: u16, message: &str| {
        Failure::new(status, json!({ "error": { "message": message, "code": status }, "user_id": "user_standin" }))
    };
    match trouble {
        Trouble::NoKey => numbered(401, "No cookie auth credentials found"),
        Trouble::WrongKey(_) => numbered(401, "User not found."),
        Trouble::UnknownModel(model) => numbered(400, &format!("{model} is not a valid model ID")),
        Trouble::Bad(Bad { message, .. }) => numbered(400, message),
        Trouble::ContextTooLong => numbered(
            400,
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 140123 tokens (140123 of text input). Please reduce the length of either one, or use the \"middle-out\" transform to compress your prompt automatically.",
        ),
        Trouble::QuotaExhausted => {
            numbered(402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits")
        }
        Trouble::ContentFilter => {
            let mut failure = numbered(403, "Input was flagged by moderation");
            failure.body["error"]["metadata"] = json!({ "reasons": ["violence"], "flagged_input": "…",
                "provider_name": "Stand-in", "model_slug": "stand-in/model" });
            failure
        }
        Trouble::RateLimited(wait) => routed_limit(numbered(429, "Provider returned error"), *wait),
        Trouble::Internal => {
            let mut failure = numbered(502, "Provider returned error");
            failure.body["error"]["metadata"] = json!({ "raw": "upstream error", "provider_name": "Stand-in" });
            failure
        }
        Trouble::Overloaded => {
            numbered(503, "There is no available model provider that meets your routing requirements")
        }
    }
}

fn routed_limit(mut failure: Failure, wait: Wait) -> Failure {
    let wait = wait.or(Hint::RetryAfter);
    let raw = format!("the model is temporarily rate-limited upstream.{}", wait.sentence());
    failure.body["error"]["metadata"] = json!({ "raw": raw, "provider_name": "Stand-in" });
    if wait.hint == Hint::Text {
        failure.body["error"]["message"] = format!("Provider returned error.{}", wait.sentence()).into();
    }
    match wait.hint {
        // In milliseconds since 1970.
        Hint::Reset => failure.with(vec![("x-ratelimit-reset".into(), wait.at().as_millisecond().to_string())]),
        _ => failure.with(wait.headers()),
    }
}
