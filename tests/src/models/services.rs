//! The services beside the models: Google Calendar, webhooks of Slack and Discord, Todoist. Small, but checked.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::auth::{self, tokens::Answered};
use super::credentials::{hex, letters};
use super::faults::{Trouble, json_response, response};
use super::incoming::decoded;
use super::{Incoming, Provider, Shared, google};

const CALENDAR_SCOPES: &[&str] =
    &["https://www.googleapis.com/auth/calendar", "https://www.googleapis.com/auth/calendar.events"];
/// The longest text of Discord, in characters.
const DISCORD_MAX: usize = 2_000;

/// `POST /calendar/v3/calendars/{id}/events`.
pub(super) fn calendar(shared: &Shared, id: &str, incoming: &Incoming) -> Answered {
    let authorized = match incoming.bearer() {
        None => Err(Trouble::NoKey),
        Some(token) => auth::issued(shared, token, CALENDAR_SCOPES),
    };
    if let Err(trouble) = authorized {
        let mut failure = google::failure(Provider::VertexAi, &trouble);
        failure.body["error"]["errors"] = json!([{ "domain": "global", "reason": "authError", "location": "Authorization",
            "message": "Invalid Credentials", "locationType": "header" }]);
        return (failure.into_response(), false);
    }
    let refused = |message: &str, reason: &str| {
        let body = json!({ "error": { "code": 400, "message": message, "errors":
            [{ "domain": "global", "reason": reason, "message": message }] } });
        (json_response(400, &body), true)
    };
    let Ok(mut event) = incoming.json() else { return refused("Parse Error", "parseError") };
    let is_time = |time: &Value| time["dateTime"].is_string() || time["date"].is_string();
    if !is_time(&event["end"]) {
        return refused("Missing end time.", "required");
    }
    if !is_time(&event["start"]) {
        return refused("Missing start time.", "required");
    }
    if event["start"]["date"].is_string() != event["end"]["date"].is_string() {
        return refused("Start and end times must either both be date or both be dateTime.", "invalid");
    }
    let event_id = event["id"].as_str().map_or_else(|| hex(26), str::to_owned);
    event["kind"] = "calendar#event".into();
    event["etag"] = format!("\"{}\"", hex(16)).into();
    event["status"] = "confirmed".into();
    event["htmlLink"] = format!("https://www.google.com/calendar/event?eid={}", letters(40)).into();
    event["organizer"] = json!({ "email": decoded(id), "self": true });
    event["iCalUID"] = format!("{event_id}@google.com").into();
    event["id"] = event_id.into();
    (json_response(200, &event), true)
}

/// `POST /slack/services/…`.
pub(super) fn slack(shared: &Shared, incoming: &Incoming) -> Answered {
    let plain = |status: u16, text: &'static str| response(status, "text/plain; charset=utf-8", Body::from(text));
    if incoming.path != shared.credentials.slack_path {
        return (plain(403, "invalid_token"), false);
    }
    // A form with the JSON in a field is taken as well.
    let payload = match incoming.form().remove("payload") {
        Some(payload) => serde_json::from_str(&payload).ok(),
        None => serde_json::from_slice::<Value>(&incoming.body).ok(),
    };
    let Some(payload) = payload.filter(Value::is_object) else { return (plain(400, "invalid_payload"), true) };
    let has = |name: &str| match &payload[name] {
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    match has("text") || has("blocks") || has("attachments") {
        true => (plain(200, "ok"), true),
        false => (plain(400, "no_text"), true),
    }
}

/// `POST /discord/api/webhooks/{id}/{token}`.
pub(super) fn discord(shared: &Shared, incoming: &Incoming) -> Answered {
    if incoming.path != shared.credentials.discord_path {
        return (json_response(401, &json!({ "message": "Invalid Webhook Token", "code": 50_027 })), false);
    }
    let refused = |body: Value| (json_response(400, &body), true);
    let Ok(message) = incoming.json() else {
        return refused(json!({ "message": "The request body contains invalid JSON.", "code": 50_109 }));
    };
    let content = message["content"].as_str().unwrap_or_default();
    if content.chars().count() > DISCORD_MAX {
        return refused(json!({ "content": [format!("Must be {DISCORD_MAX} or fewer in length.")] }));
    }
    let embeds = message["embeds"].as_array().is_some_and(|embeds| !embeds.is_empty());
    if content.is_empty() && !embeds {
        return refused(json!({ "message": "Cannot send an empty message", "code": 50_006 }));
    }
    if incoming.query("wait").as_deref() == Some("true") {
        return (json_response(200, &json!({ "id": "1", "content": content, "type": 0 })), true);
    }
    (empty(204), true)
}

fn empty(status: u16) -> Response<Body> {
    let mut response = response(status, "text/plain", Body::empty());
    response.headers_mut().remove("content-type");
    response
}

/// `POST /todoist/rest/v2/tasks`.
pub(super) fn todoist(shared: &Shared, incoming: &Incoming) -> Answered {
    let plain = |status: u16, text: &'static str| response(status, "text/plain; charset=utf-8", Body::from(text));
    if incoming.bearer() != Some(&shared.credentials.todoist) {
        return (plain(401, "Forbidden"), false);
    }
    let Ok(task) = incoming.json() else { return (plain(400, "Invalid JSON"), true) };
    let Some(content) = task["content"].as_str().filter(|content| !content.is_empty()) else {
        return (plain(400, "Required argument is missing: content"), true);
    };
    let priority = &task["priority"];
    if !priority.is_null() && !priority.as_u64().is_some_and(|priority| (1..=4).contains(&priority)) {
        return (plain(400, "Invalid argument value: priority"), true);
    }
    let id = hex(10);
    let given = |name: &str, default: Value| task.get(name).cloned().unwrap_or(default);
    let due =
        task["due_string"].as_str().map(|text| json!({ "string": text, "date": "2026-01-01", "is_recurring": false }));
    let body = json!({
        "id": id, "content": content, "description": given("description", "".into()), "is_completed": false,
        "labels": given("labels", json!([])), "priority": given("priority", json!(1)), "due": due,
        "project_id": given("project_id", "220474322".into()), "section_id": given("section_id", Value::Null),
        "parent_id": given("parent_id", Value::Null), "order": 1, "comment_count": 0, "creator_id": "2671355",
        "created_at": jiff::Timestamp::now().to_string(), "url": format!("https://app.todoist.com/app/task/{id}"),
    });
    (json_response(200, &body), true)
}
