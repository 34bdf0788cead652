//! Tokens against the mock host.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;
use sluice_sdk::testing::{MockHost, Scripted};

use super::*;

/// What a guest is given in place of the JSON.
const PLACEHOLDER: &str = "sluicesecret0123";
const LINE: &str = "POST https://oauth2.googleapis.com/token";

fn host() -> MockHost {
    MockHost::new()
        .secret(PLACEHOLDER)
        .secret_field(PLACEHOLDER, "/client_email", &json!("robot@example.iam"))
        .secret_field(PLACEHOLDER, "/private_key_id", &json!("k1"))
}

fn ask(host: &MockHost, service_account: &str) -> Result<AccessToken, Failure> {
    let scopes = ["https://www.googleapis.com/auth/calendar".to_owned()];
    let request = TokenRequest { service_account, scopes: &scopes, subject: Some(" "), timeouts: Timeouts::default() };
    host.with(|_| request.send())
}

#[track_caller]
fn check_refused(answer: Scripted, message: &str, retryable: bool) {
    let failure = ask(&host().answer(LINE, answer), PLACEHOLDER).unwrap_err();
    assert_eq!((failure.code(), failure.message(), failure.is_retryable()), (AUTH, message, Some(retryable)));
}

#[test]
fn assertion_becomes_a_token() {
    let answer =
        Scripted::status(200).body(r#"{"access_token": "ya29.x", "expires_in": 3599, "token_type": "Bearer"}"#);
    let host = host().answer(LINE, answer);
    // Around a secret of a block of YAML there are line ends.
    let token = ask(&host, &format!("{PLACEHOLDER}\n")).unwrap();
    assert_eq!(
        (token.text.as_str(), token.lifetime, token.email.as_str()),
        ("ya29.x", Duration::from_secs(3_599), "robot@example.iam")
    );
    assert!(!format!("{token:?}").contains("ya29"));
    let sent = host.requests().remove(0);
    assert_eq!(sent.headers.get("content-type"), Some("application/x-www-form-urlencoded"));
    let body = String::from_utf8(sent.body).unwrap();
    let begin = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=eyJ";
    assert!(body.starts_with(begin) && body.matches('.').count() == 2, "{body}");
}

#[test]
fn token_is_asked_for_where_the_account_says() {
    let answer = || Scripted::status(200).body(r#"{"access_token": "t"}"#);
    let local = host()
        .secret_field(PLACEHOLDER, "/token_uri", &json!("http://127.0.0.1:8080/token"))
        .answer("POST http://127.0.0.1:8080/token", answer());
    assert_eq!(ask(&local, PLACEHOLDER).unwrap().lifetime, Duration::ZERO);
    let open = host().secret_field(PLACEHOLDER, "/token_uri", &json!("http://token.example/"));
    assert_eq!(ask(&open, PLACEHOLDER).unwrap_err().code(), AUTH);
    assert!(open.requests().is_empty());
}

#[test]
fn refusals_are_in_the_words_of_google() {
    let refused = r#"{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}"#;
    let message = "Google gives `robot@example.iam` no token: 400 invalid_grant: Invalid JWT Signature.";
    check_refused(Scripted::status(400).body(refused), message, false);
    check_refused(Scripted::status(503), "Google gives `robot@example.iam` no token: 503", true);
    let elsewhere = Scripted::status(307).header("location", "https://evil.example/");
    check_refused(elsewhere, "Google gives `robot@example.iam` no token: 307", false);
    let other = Scripted::status(200).body(r#"{"id_token": "secret"}"#);
    check_refused(other, "`https://oauth2.googleapis.com/token` answered without an `access_token`", false);
}

#[test]
fn assertion_is_never_shown() {
    let shown = |reason: Option<&str>| {
        let (reason, message) = (reason.map(str::to_owned), "bad `e30.e30.sig`".to_owned());
        without(Refusal { status: 400, reason, message, retry_after_s: None }, "e30.e30.sig").message
    };
    assert_eq!(shown(Some("invalid_request")), "bad `…`");
    assert_eq!(shown(None), "");
    let echo = Scripted::status(400).body("assertion=eyJhbGciOi");
    check_refused(echo, "Google gives `robot@example.iam` no token: 400", false);
}

#[test]
fn what_is_no_service_account_is_refused() {
    let message = |host: MockHost, service_account: &str| {
        let failure = ask(&host, service_account).unwrap_err();
        assert_eq!((failure.code(), host.requests().len()), (AUTH, 0));
        failure.message().to_owned()
    };
    let user = MockHost::new().secret_field("S", "/type", &json!("authorized_user"));
    assert!(message(user, "S").starts_with("credentials of type `authorized_user` are given"));
    assert!(message(MockHost::new(), "S").starts_with("the service account cannot be used: "));
    assert!(message(host(), r#"{"private_key": "sluicesecret0123"}"#).contains("make the whole JSON one secret"));
    let without_key = MockHost::new().secret_field("S", "/client_email", &json!("a@b"));
    assert!(message(without_key, "S").contains("has no secret `S`"));
}

#[test]
fn token_has_scopes() {
    let request =
        TokenRequest { service_account: PLACEHOLDER, scopes: &[], subject: None, timeouts: Timeouts::default() };
    assert_eq!(host().with(|_| request.send()).unwrap_err().code(), "BAD_PROPERTY");
}
