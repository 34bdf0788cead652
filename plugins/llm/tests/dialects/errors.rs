//! What goes wrong, as each provider says it, and what a caller is to make of it.

use llm::Dialect::{Anthropic, AzureOpenAi, Bedrock, DeepSeek, Gemini, Mistral, Ollama, OpenAi, OpenRouter, VertexAi};
use llm::{Dialect, Kind, ProviderError};
use serde_json::{Value, json};

fn error_with(dialect: Dialect, status: u16, headers: &[(&str, &str)], body: &str) -> ProviderError {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    dialect.codec().decode_response(status, &headers, body.as_bytes()).expect_err("an error")
}

fn error(dialect: Dialect, status: u16, body: &Value) -> ProviderError {
    error_with(dialect, status, &[], &body.to_string())
}

const LIMITED: Kind = Kind::RateLimited { retry_after_ms: None };
const OVERLOADED: Kind = Kind::Overloaded { retry_after_ms: None };

fn after(retry_after_ms: u64) -> Kind {
    Kind::RateLimited { retry_after_ms: Some(retry_after_ms) }
}

#[track_caller]
fn check(dialect: Dialect, cases: &[(u16, Value, Kind)]) {
    for (status, body, kind) in cases {
        let error = error(dialect, *status, body);
        assert_eq!(error.kind, *kind, "{dialect:?}: {status} {body}: {error}");
    }
}

#[test]
fn openai_rates_are_retried_and_money_is_not() {
    let error = |message: &str, kind: &str, code: Value| json!({ "error": { "message": message, "type": kind, "param": null, "code": code } });
    check(
        OpenAi,
        &[
            (400, error("bad", "invalid_request_error", Value::Null), Kind::BadRequest),
            (
                400,
                error(
                    "This model's maximum context length is 8192 tokens.",
                    "invalid_request_error",
                    "context_length_exceeded".into(),
                ),
                Kind::TooLong,
            ),
            (400, error("no", "invalid_request_error", "content_policy_violation".into()), Kind::ContentFilter),
            (401, error("Incorrect API key", "invalid_request_error", "invalid_api_key".into()), Kind::Auth),
            (
                404,
                error("The model `x` does not exist", "invalid_request_error", "model_not_found".into()),
                Kind::UnknownModel,
            ),
            (429, error("slow", "requests", "rate_limit_exceeded".into()), LIMITED),
            (
                429,
                error("Request too large for m on tokens per min", "tokens", "rate_limit_exceeded".into()),
                Kind::TooLong,
            ),
            (
                429,
                error("You exceeded your current quota", "insufficient_quota", "insufficient_quota".into()),
                Kind::QuotaExhausted,
            ),
            (429, error("x", "insufficient_quota", Value::Null), Kind::QuotaExhausted),
            (429, error("x", "billing", "organization_spend_limit_exceeded".into()), Kind::QuotaExhausted),
            (429, error("x", "billing", "credit_balance_exhausted".into()), Kind::QuotaExhausted),
            (429, error("x", "billing", "project_spend_limit_exceeded".into()), Kind::QuotaExhausted),
            (429, error("x", "billing", "organization_usage_limit_exceeded".into()), Kind::QuotaExhausted),
            (500, error("x", "server_error", Value::Null), Kind::Server),
            (503, error("x", "server_error", Value::Null), OVERLOADED),
        ],
    );
}

#[test]
fn openai_says_in_headers_how_long_to_wait() {
    let body =
        json!({ "error": { "message": "slow. Please try again in 1.5s.", "code": "rate_limit_exceeded" } }).to_string();
    let kind = |headers: &[(&str, &str)]| error_with(OpenAi, 429, headers, &body).kind;
    assert_eq!(kind(&[("Retry-After", "3")]), after(3_000));
    assert_eq!(
        kind(&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6m0s")]),
        after(360_000)
    );
    assert_eq!(kind(&[]), after(1_500));
}

#[test]
fn deepseek_balance_is_not_retried() {
    let error = |message: &str| json!({ "error": { "message": message, "type": "unknown_error", "param": null, "code": "invalid_request_error" } });
    check(
        DeepSeek,
        &[
            (400, error("Model Not Exist"), Kind::UnknownModel),
            (401, error("Authentication Fails"), Kind::Auth),
            (402, error("Insufficient Balance"), Kind::QuotaExhausted),
            (422, error("Failed to deserialize"), Kind::BadRequest),
            (429, error("slow"), LIMITED),
            (500, error("x"), Kind::Server),
            (503, error("x"), OVERLOADED),
        ],
    );
}

#[test]
fn openrouter_codes_are_statuses() {
    let error = |code: u16, message: &str| json!({ "error": { "code": code, "message": message } });
    check(
        OpenRouter,
        &[
            (400, error(400, "x/y is not a valid model ID"), Kind::UnknownModel),
            (402, error(402, "no credits"), Kind::QuotaExhausted),
            (
                403,
                json!({ "error": { "code": 403, "message": "flagged", "metadata": { "reasons": ["hate"], "flagged_input": "x" } } }),
                Kind::ContentFilter,
            ),
            (403, error(403, "key may not"), Kind::Auth),
            (408, error(408, "late"), Kind::Server),
            (429, error(429, "slow"), LIMITED),
            (502, error(502, "model is down"), Kind::Server),
            (503, error(503, "no provider"), OVERLOADED),
        ],
    );
    assert_eq!(error_with(OpenRouter, 503, &[("Retry-After", "7")], "{}").retry_after_ms(), Some(7_000));
}

#[test]
fn filters_without_a_code_are_known_by_their_words() {
    let flagged = json!({ "error": { "code": "invalid_prompt", "type": "invalid_request_error",
        "message": "Invalid prompt: your prompt was flagged as potentially violating our usage policy." } });
    check(OpenAi, &[(400, flagged, Kind::ContentFilter)]);
    let risk = json!({ "error": { "message": "Content Exists Risk", "code": "invalid_request_error" } });
    check(DeepSeek, &[(400, risk, Kind::ContentFilter)]);
}

#[test]
fn azure_filters_within_and_counts_in_milliseconds() {
    let filtered = json!({ "error": {
        "message": "filtered", "code": "content_filter", "status": 400,
        "innererror": { "code": "ResponsibleAIPolicyViolation" },
    } });
    let older = json!({ "error": { "message": "filtered", "code": "400", "innererror": { "code": "ResponsibleAIPolicyViolation" } } });
    let unknown = json!({ "error": { "message": "no deployment", "code": "DeploymentNotFound" } });
    check(
        AzureOpenAi,
        &[(400, filtered, Kind::ContentFilter), (400, older, Kind::ContentFilter), (404, unknown, Kind::UnknownModel)],
    );
    let limited = json!({ "error": { "code": "429", "message": "slow" } }).to_string();
    assert_eq!(
        error_with(AzureOpenAi, 429, &[("retry-after-ms", "1234"), ("Retry-After", "2")], &limited).kind,
        after(1_234)
    );
}

#[test]
fn anthropic_spend_limit_is_a_bad_request_that_is_not_retried() {
    let error = |kind: &str, message: &str| json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "r" });
    check(
        Anthropic,
        &[
            (400, error("invalid_request_error", "bad"), Kind::BadRequest),
            (400, error("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), Kind::TooLong),
            (
                400,
                error("invalid_request_error", "Your credit balance is too low to access the API."),
                Kind::QuotaExhausted,
            ),
            (
                400,
                error("invalid_request_error", "You have reached your specified API usage limits."),
                Kind::QuotaExhausted,
            ),
            (400, error("invalid_request_error", "Output blocked by content filtering policy"), Kind::ContentFilter),
            (401, error("authentication_error", "x"), Kind::Auth),
            (402, error("billing_error", "x"), Kind::QuotaExhausted),
            (403, error("permission_error", "x"), Kind::Auth),
            (404, error("not_found_error", "model: x"), Kind::UnknownModel),
            (413, error("request_too_large", "x"), Kind::TooLong),
            (429, error("rate_limit_error", "x"), LIMITED),
            (
                429,
                json!({ "type": "error", "error": { "type": "rate_limit_error", "code": "enforced_spend_limit_reached", "message": "x" } }),
                Kind::QuotaExhausted,
            ),
            (500, error("api_error", "x"), Kind::Server),
            (504, error("timeout_error", "x"), Kind::Server),
            (529, error("overloaded_error", "x"), OVERLOADED),
            (529, json!({}), OVERLOADED),
        ],
    );
    let limited = error("rate_limit_error", "x").to_string();
    let headers = [
        ("date", "Wed, 31 Dec 2025 23:59:00 GMT"),
        ("anthropic-ratelimit-output-tokens-remaining", "0"),
        ("anthropic-ratelimit-output-tokens-reset", "2026-01-01T00:00:05Z"),
        ("anthropic-ratelimit-requests-remaining", "5"),
        ("anthropic-ratelimit-requests-reset", "2026-01-01T09:00:00Z"),
    ];
    assert_eq!(error_with(Anthropic, 429, &headers, &limited).kind, after(65_000));
    assert_eq!(error_with(Anthropic, 429, &[("retry-after", "20")], &limited).kind, after(20_000));
}

#[test]
fn google_says_in_the_body_how_long_to_wait() {
    let exhausted = |message: &str, details: Value| {
        let status = "RESOURCE_EXHAUSTED";
        json!({ "error": { "code": 429, "message": message, "status": status, "details": details } })
    };
    let violation = |id: &str| {
        let violations = json!([{ "quotaMetric": "m", "quotaId": id }]);
        json!({ "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations })
    };
    let retry = json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "46s" });
    let failed = |code: u16, status: &str, message: &str| json!({ "error": { "code": code, "message": message, "status": status } });
    for dialect in [Gemini, VertexAi] {
        check(
            dialect,
            &[
                (429, exhausted("x", json!([violation("RequestsPerMinutePerProject"), retry])), after(46_000)),
                (429, exhausted("Please retry in 46.5s.", json!([])), after(46_500)),
                (429, exhausted("x", Value::Null), LIMITED),
                (
                    429,
                    exhausted("x", json!([violation("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), retry])),
                    Kind::QuotaExhausted,
                ),
                (
                    429,
                    exhausted("Quota exceeded for metric: m, limit: 0, model: x", json!([retry])),
                    Kind::QuotaExhausted,
                ),
                (429, exhausted("Quota exceeded for metric: m, limit: 0.5", json!([retry])), after(46_000)),
                (400, failed(400, "INVALID_ARGUMENT", "bad"), Kind::BadRequest),
                (400, failed(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), Kind::Auth),
                (
                    400,
                    failed(
                        400,
                        "INVALID_ARGUMENT",
                        "The input token count (9) exceeds the maximum number of tokens allowed (8).",
                    ),
                    Kind::TooLong,
                ),
                (400, failed(400, "FAILED_PRECONDITION", "not where you are"), Kind::BadRequest),
                (401, failed(401, "UNAUTHENTICATED", "x"), Kind::Auth),
                (403, failed(403, "PERMISSION_DENIED", "x"), Kind::Auth),
                (404, failed(404, "NOT_FOUND", "x"), Kind::UnknownModel),
                (500, failed(500, "INTERNAL", "x"), Kind::Server),
                (503, failed(503, "UNAVAILABLE", "x"), OVERLOADED),
                (504, failed(504, "DEADLINE_EXCEEDED", "x"), Kind::Server),
                (404, json!([failed(404, "NOT_FOUND", "in a list")]), Kind::UnknownModel),
            ],
        );
    }
}

#[test]
fn mistral_messages_may_be_objects() {
    let invalid = json!({ "object": "error", "type": "invalid_request_error", "code": null, "message": { "detail": [
        { "type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted", "input": {} },
        { "type": "missing", "loc": ["body", "messages", 0], "msg": "Field required" },
    ] } });
    let found = error(Mistral, 422, &invalid);
    assert_eq!(
        (found.kind, found.message()),
        (Kind::BadRequest, "body.stream_options: Extra inputs are not permitted; body.messages.0: Field required")
    );
    let bare = json!({ "detail": [{ "loc": ["body"], "msg": "no" }] });
    assert_eq!(error(Mistral, 422, &bare).message(), "body: no");
    for unauthorized in [json!({ "detail": "Unauthorized" }), json!({ "message": "Unauthorized", "request_id": "x" })] {
        let found = error(Mistral, 401, &unauthorized);
        assert_eq!((found.kind, found.message()), (Kind::Auth, "Unauthorized"));
    }
    let unknown = json!({ "object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500" });
    check(
        Mistral,
        &[(400, unknown, Kind::UnknownModel), (429, json!({ "message": "Requests rate limit exceeded" }), LIMITED)],
    );
    assert_eq!(error_with(Mistral, 429, &[("Retry-After", "1")], "{}").kind, after(1_000));
}

#[test]
fn ollama_errors_are_one_text() {
    check(
        Ollama,
        &[
            (400, json!({ "error": "invalid options" }), Kind::BadRequest),
            (429, json!({ "error": "you have reached your weekly usage limit, upgrade" }), Kind::QuotaExhausted),
            (400, json!({ "error": "the input length exceeds the context length" }), Kind::TooLong),
            (404, json!({ "error": "model \"x\" not found, try pulling it first" }), Kind::UnknownModel),
            (500, json!({ "error": "llama runner process has terminated" }), Kind::Server),
            (503, json!({ "error": "server busy, please try again. maximum pending requests exceeded" }), OVERLOADED),
        ],
    );
    assert_eq!(
        error(Ollama, 200, &json!({ "error": "late" })).kind,
        Kind::Server,
        "after a status that promised an answer"
    );
}

#[test]
fn bedrock_names_the_exception_in_a_header() {
    for (status, name, message, kind) in [
        (400, "ValidationException", "bad", Kind::BadRequest),
        (400, "ValidationException", "Input is too long for requested model.", Kind::TooLong),
        (400, "ValidationException", "The provided model identifier is invalid.", Kind::UnknownModel),
        (400, "ServiceQuotaExceededException", "x", Kind::QuotaExhausted),
        (403, "AccessDeniedException", "x", Kind::Auth),
        (403, "ExpiredTokenException", "x", Kind::Auth),
        (404, "ResourceNotFoundException", "x", Kind::UnknownModel),
        (408, "ModelTimeoutException", "x", Kind::Server),
        (424, "ModelErrorException", "x", Kind::Server),
        (429, "ThrottlingException", "Too many requests", LIMITED),
        (429, "ThrottlingException", "Too many tokens per day, please wait before trying again.", Kind::QuotaExhausted),
        (429, "ModelNotReadyException", "x", OVERLOADED),
        (500, "InternalServerException", "x", Kind::Server),
        (503, "ServiceUnavailableException", "x", OVERLOADED),
        (424, "SomethingNewException", "x", Kind::Server),
    ] {
        let body = json!({ "message": message }).to_string();
        let header = format!("{name}:http://internal.amazon.com/coral/");
        let found = error_with(Bedrock, status, &[("x-amzn-ErrorType", &header)], &body);
        assert_eq!((found.kind, found.message()), (kind, message), "{name}");
    }
    let named = json!({ "__type": "com.amazon.coral.service#ThrottlingException", "Message": "x" });
    assert_eq!(error(Bedrock, 400, &named).kind, LIMITED);
}

#[test]
fn error_without_json_says_what_there_is() {
    for dialect in Dialect::ALL {
        let found = error_with(dialect, 502, &[], "<html>Bad Gateway</html>\n");
        assert_eq!(
            (found.kind, found.message()),
            (Kind::Server, "status 502: <html>Bad Gateway</html>"),
            "{dialect:?}"
        );
        let found = error_with(dialect, 503, &[("retry-after", "2")], "");
        assert_eq!(found.kind, Kind::Overloaded { retry_after_ms: Some(2_000) }, "{dialect:?}");
        assert!(found.message().contains("503"), "{found}");
        for odd in ["null", "[]", "\"x\"", "{\"error\":null}", "{\"error\":[]}", "{\"error\":{\"message\":{}}}"] {
            assert_eq!(error_with(dialect, 500, &[], odd).kind, Kind::Server, "{dialect:?} {odd}");
        }
    }
}

#[test]
fn no_error_repeats_a_key() {
    let key = "sk-proj-0123456789abcdefghijklmnop";
    let message = format!("Incorrect API key provided: {key}.");
    for dialect in Dialect::ALL {
        for body in [
            json!({ "error": { "message": message, "status": "PERMISSION_DENIED" }, "message": message }),
            json!({ "error": message, "message": message }),
            json!({ "somewhere": { "else": key } }),
        ] {
            for status in [200, 401] {
                let Err(found) = dialect.codec().decode_response(status, &[], body.to_string().as_bytes()) else {
                    continue;
                };
                assert!(!found.message().contains("0123456789"), "{dialect:?}: {found}");
                assert!(!format!("{found:?}").contains("0123456789"), "{dialect:?}");
            }
        }
    }
}
