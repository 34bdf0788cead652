//! `calendar.InsertEvent` against the mock host.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;
use sluice_sdk::testing::{MockHost, Scripted};

use super::*;
use crate::Plugin;

/// What a guest is given in place of the service account's JSON, and of a calendar's id.
const ACCOUNT: &str = "sluicesecret0123";
const CALENDAR: &str = "sluicesecret4567";
/// The id of the event of the mock host's run, `mock-idempotency-key`.
const ID: &str = "6d6f636b2d6964656d706f74656e63792d6b6579";

const TOKEN: &str = "POST https://oauth2.googleapis.com/token";
const INSERT: &str = "POST https://www.googleapis.com/calendar/v3/calendars/sluicesecret4567/events";
const EVENT: &str = "GET https://www.googleapis.com/calendar/v3/calendars/sluicesecret4567/events/6d6f636b2d6964656d706f74656e63792d6b6579";

fn host() -> MockHost {
    MockHost::new()
        .secret(ACCOUNT)
        .secret_field(ACCOUNT, "/client_email", &json!("robot@example.iam"))
        .secret_field(ACCOUNT, "/token_uri", &json!("https://oauth2.googleapis.com/token"))
        .answer(TOKEN, Scripted::status(200).body(r#"{"access_token": "ya29.x", "expires_in": 3599}"#))
}

/// As a flow writes it, with its expressions rendered.
fn properties() -> Value {
    json!({
        "calendarId": CALENDAR,
        "serviceAccount": ACCOUNT,
        "summary": "Out of office",
        "description": "Gone sailing because the wind is 14 knots",
        "startTime": {"dateTime": "2026-05-01T09:00:00+01:00", "timeZone": "Europe/London"},
        "endTime": {"dateTime": "2026-05-01T18:00:00+01:00", "timeZone": "Europe/London"},
        "creator": {"email": "ada@example.com"},
    })
}

fn inserted() -> Scripted {
    let event = json!({
        "kind": "calendar#event", "id": ID, "status": "confirmed", "summary": "Out of office",
        "htmlLink": "https://www.google.com/calendar/event?eid=x", "created": "2026-05-01T08:00:00.000Z",
        "start": {"dateTime": "2026-05-01T09:00:00+01:00", "timeZone": "Europe/London"},
        "organizer": {"email": "team@example.com", "self": true},
        "attendees": [{"email": "grace@example.com", "responseStatus": "needsAction"}],
    });
    Scripted::status(200).body(event.to_string())
}

fn failure(host: &MockHost, properties: Value) -> Failure {
    host.run_task::<insert_event>(properties).unwrap_err()
}

#[test]
fn event_is_inserted_with_the_token() {
    let host = host().answer(INSERT, inserted());
    let outputs = host.run_task::<insert_event>(properties()).unwrap();
    let event = &outputs["event"];
    assert_eq!(
        (&event["id"], &event["status"], &event["summary"]),
        (&json!(ID), &json!("confirmed"), &json!("Out of office"))
    );
    assert_eq!(event["htmlLink"], "https://www.google.com/calendar/event?eid=x");
    assert_eq!(
        event["start"],
        json!({"dateTime": "2026-05-01T09:00:00+01:00", "date": null, "timeZone": "Europe/London"})
    );
    assert_eq!((&event["end"], &event["organizer"]["email"]), (&Value::Null, &json!("team@example.com")));
    assert_eq!(event["attendees"][0]["responseStatus"], "needsAction");

    let [token, insert] = host.requests().try_into().unwrap();
    assert_eq!(token.timeouts.first_byte, Some(Duration::from_secs(120)));
    assert_eq!(insert.headers.get("authorization"), Some("Bearer ya29.x"));
    assert_eq!(insert.headers.get("content-type"), Some("application/json"));
    let expected = json!({
        "id": ID,
        "summary": "Out of office",
        "description": "Gone sailing because the wind is 14 knots",
        "start": {"dateTime": "2026-05-01T09:00:00+01:00", "timeZone": "Europe/London"},
        "end": {"dateTime": "2026-05-01T18:00:00+01:00", "timeZone": "Europe/London"},
        "creator": {"email": "ada@example.com"},
    });
    assert_eq!(serde_json::from_slice::<Value>(&insert.body).unwrap(), expected);
}

#[test]
fn everything_that_is_written_is_sent() {
    let line = "POST https://calendar.example/v3/calendars/team%23x%40group.calendar.google.com/events";
    let host = host().answer(line, inserted());
    let mut properties = properties();
    let more = json!({
        "calendarId": "team#x@group.calendar.google.com", "baseUrl": "https://calendar.example/v3/", "location": "Room 1",
        "attendees": [{"email": "grace@example.com", "displayName": "Grace"}], "subject": "ada@example.com",
        "startTime": {"date": "2026-05-01"}, "endTime": {"date": "2026-05-02", "dateTime": ""}, "readTimeout": "5",
        "scopes": ["https://www.googleapis.com/auth/calendar.events"],
    });
    properties.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    host.run_task::<insert_event>(properties).unwrap();
    let insert = host.requests().remove(1);
    assert_eq!(insert.timeouts.idle, Some(Duration::from_secs(5)));
    let body: Value = serde_json::from_slice(&insert.body).unwrap();
    assert_eq!(
        (&body["location"], &body["start"], &body["end"]),
        (&json!("Room 1"), &json!({"date": "2026-05-01"}), &json!({"date": "2026-05-02"}))
    );
    assert_eq!(body["attendees"], json!([{"displayName": "Grace", "email": "grace@example.com"}]));
}

#[test]
fn run_inserts_one_event() {
    let duplicate = || {
        let body = r#"{"error": {"code": 409, "message": "The requested identifier already exists.", "errors": [{"reason": "duplicate"}]}}"#;
        Scripted::status(409).body(body)
    };
    let again = host().answer(INSERT, duplicate()).answer(EVENT, inserted());
    assert_eq!(again.run_task::<insert_event>(properties()).unwrap()["event"]["id"], ID);
    let deleted = Scripted::status(200).body(json!({"id": ID, "status": "cancelled"}).to_string());
    let deleted = failure(&host().answer(INSERT, duplicate()).answer(EVENT, deleted), properties());
    assert_eq!((deleted.code(), deleted.is_retryable()), ("CALENDAR_REFUSED", Some(false)));
    let lost = failure(&host().answer(INSERT, duplicate()).answer(EVENT, Scripted::status(500)), properties());
    assert_eq!((lost.code(), lost.is_retryable()), ("CALENDAR_REFUSED", Some(true)));
}

#[test]
fn refusals_are_in_the_words_of_google() {
    let said = |reason: &str| json!({"error": {"message": "Why", "errors": [{"reason": reason}]}}).to_string();
    for (status, reason, code, retryable) in [
        (404, "notFound", "CALENDAR_NOT_FOUND", false),
        (403, "requiredAccessLevel", "CALENDAR_FORBIDDEN", false),
        (401, "authError", "CALENDAR_FORBIDDEN", false),
        (403, "rateLimitExceeded", "CALENDAR_LIMIT", true),
        (403, "quotaExceeded", "CALENDAR_LIMIT", false),
        (429, "other", "CALENDAR_LIMIT", true),
        (400, "timeRangeEmpty", "CALENDAR_REFUSED", false),
        (409, "conflict", "CALENDAR_REFUSED", false),
        (503, "backendError", "CALENDAR_REFUSED", true),
        (302, "moved", "CALENDAR_REFUSED", false),
    ] {
        let answer = Scripted::status(status).header("retry-after", "7").body(said(reason));
        let failure = failure(&host().answer(INSERT, answer), properties());
        assert_eq!((failure.code(), failure.is_retryable()), (code, Some(retryable)), "{status} {reason}");
        assert!(failure.message().ends_with(&format!("{status} {reason}: Why")), "{}", failure.message());
        assert!(!failure.message().contains("sluicesecret"), "{}", failure.message());
        assert_eq!(
            (&failure.details()["reason"], &failure.details()["retryAfterSeconds"]),
            (&json!(reason), &json!(7))
        );
    }
    let none = failure(&host().answer(INSERT, Scripted::status(200).body("{}")), properties());
    assert_eq!(none.message(), "Google answered 200 without an event");
}

#[test]
fn account_without_a_token_inserts_nothing() {
    let host = MockHost::new().secret_field(ACCOUNT, "/type", &json!("authorized_user"));
    assert_eq!(failure(&host, properties()).code(), "GOOGLE_AUTH");
    assert!(host.requests().is_empty());
}

#[test]
fn mistakes_are_told_before_anything_is_sent() {
    for (name, value, expected) in [
        ("calendarId", json!(" "), "`calendarId` names no calendar"),
        ("calendarId", json!(".."), "`calendarId` names no calendar"),
        ("startTime", json!({"timeZone": "Europe/London"}), "property `startTime`: one of `dateTime` and `date`"),
        ("endTime", json!({"date": "2026-05-01", "dateTime": "2026-05-01T09:00:00Z"}), "property `endTime`: one of"),
        ("endTime", Value::Null, "property `endTime`: "),
        ("scopes", json!([]), "without scopes"),
        ("baseUrl", json!("calendar"), "cannot be requested"),
        ("baseUrl", json!("http://calendar.example/v3"), "not encrypted"),
        ("colour", json!("red"), "unknown field `colour`"),
    ] {
        let (host, mut properties) = (host(), properties());
        properties[name] = value;
        let failure = failure(&host, properties);
        assert!(failure.message().contains(expected), "{name}: {}", failure.message());
        assert!(host.requests().is_empty(), "{name}");
    }
}

#[test]
fn type_is_found_by_its_name() {
    let host = host().answer(INSERT, inserted());
    let kind = "io.kestra.plugin.googleworkspace.calendar.InsertEvent";
    assert!(host.run::<Plugin>(kind, &properties().to_string()).unwrap().starts_with(r#"{"event":{"id":"#));
}
