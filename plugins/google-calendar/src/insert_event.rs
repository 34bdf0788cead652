//! `calendar.InsertEvent`.

use std::time::Duration;

use google::{AccessToken, Refusal, TokenRequest, private_url};
use serde_json::{Map, Value};
use sluice_sdk::http::{Body, Redirects, Request, Response, Timeouts, Url, bearer, encode_form};
use sluice_sdk::prelude::*;

use crate::event::{Event, EventTime, Person, put};

/// What the token is good for where the flow names nothing.
const SCOPE: &str = "https://www.googleapis.com/auth/calendar";
/// Where Google's calendars are.
const BASE_URL: &str = "https://www.googleapis.com/calendar/v3";
/// Who asks.
const USER_AGENT: &str = concat!("Sluice-googleworkspace/", env!("CARGO_PKG_VERSION"));
/// Longest event that is read: a description has at most 8,192 letters, a list of guests 200 of them.
const EVENT_MAX_BYTES: usize = 1024 * 1024;
/// Seconds to wait where the flow names none.
const READ_TIMEOUT_S: u64 = 120;

#[properties]
pub struct InsertEvent {
    /// The calendar: its id in its settings, as `team@group.calendar.google.com`, or the address of who it belongs to.
    calendar_id: String,
    /// The JSON key of a service account, with which the calendar is shared.
    #[secret]
    service_account: String,
    /// The title.
    summary: String,
    /// The text.
    description: Option<String>,
    /// Where it is.
    location: Option<String>,
    /// When it begins.
    start_time: EventTime,
    /// When it ends.
    end_time: EventTime,
    /// Who makes it. Google takes the service account, or `subject`, whatever is written here.
    creator: Option<Person>,
    /// Who is invited. A service account may invite in the name of a `subject` alone.
    attendees: Option<Vec<Person>>,
    /// The user in whose name the service account acts, where the domain lets it.
    subject: Option<String>,
    /// What the access token is to be good for.
    #[default(vec![SCOPE.to_owned()])]
    scopes: Vec<String>,
    /// Longest wait for an answer of Google, in seconds.
    #[default(READ_TIMEOUT_S)]
    read_timeout: u64,
    /// Where the API is.
    #[default(BASE_URL)]
    base_url: String,
}

#[outputs]
pub struct Inserted {
    /// The event as the calendar has it.
    event: Event,
}

/// Put an event into a Google calendar.
///
/// The service account's key never reaches the plugin: the host signs with it, and Google gives a token for an hour. Share the calendar with
/// the service account (its `client_email`), with the right to change events.
///
/// A task run inserts one event, however often it is tried: the event's id is made of the run.
///
/// A `calendarId` that is a secret goes to Google if the operator binds it to `www.googleapis.com`, or if the flow writes `baseUrl`.
///
/// Failure codes: `CALENDAR_NOT_FOUND`, `CALENDAR_FORBIDDEN`, `CALENDAR_LIMIT` and `CALENDAR_REFUSED` in Google's words (details `status`,
/// `reason`, `retryAfterSeconds`; another attempt helps with limits of rates and from 500 on), `GOOGLE_AUTH` where the service account gets no
/// token, `BAD_PROPERTY`, `NOT_GRANTED`, and `HTTP_DNS`, `HTTP_CONNECT`, `HTTP_TLS`, `HTTP_TIMEOUT`, `HTTP_PROTOCOL` where no answer came.
///
/// # Book an hour
/// ```yaml
/// id: meeting
/// type: io.kestra.plugin.googleworkspace.calendar.InsertEvent
/// serviceAccount: "{{ secret('GOOGLE_SA') }}"
/// calendarId: team@group.calendar.google.com
/// summary: Review of the week
/// location: Room 1
/// startTime:
///   dateTime: "{{ now() | date(\"yyyy-MM-dd'T'15:00:00\") }}"
///   timeZone: Europe/London
/// endTime:
///   dateTime: "{{ now() | date(\"yyyy-MM-dd'T'16:00:00\") }}"
///   timeZone: Europe/London
/// ```
///
/// # Block a day
/// ```yaml
/// id: away
/// type: io.kestra.plugin.googleworkspace.calendar.InsertEvent
/// serviceAccount: "{{ secret('GOOGLE_SA') }}"
/// calendarId: ada@example.com
/// summary: Out of office
/// description: "Gone sailing, the wind is at {{ outputs.wind.value }} knots"
/// startTime:
///   date: "{{ now() | date('yyyy-MM-dd') }}"
/// endTime:
///   date: "{{ now() | dateAdd(1, 'DAYS') | date('yyyy-MM-dd') }}"
/// ```
///
/// # Invite in the name of a user
/// ```yaml
/// id: invite
/// type: io.kestra.plugin.googleworkspace.calendar.InsertEvent
/// serviceAccount: "{{ secret('GOOGLE_SA') }}"
/// subject: ada@example.com
/// calendarId: primary
/// summary: Handover
/// startTime:
///   dateTime: "2026-05-04T09:00:00+02:00"
/// endTime:
///   dateTime: "2026-05-04T09:30:00+02:00"
/// attendees:
///   - email: grace@example.com
///     displayName: Grace
/// ```
#[task("io.kestra.plugin.googleworkspace.calendar.InsertEvent")]
pub fn insert_event(properties: InsertEvent, cx: &Context) -> Result<Inserted, Failure> {
    let id = event_id(cx);
    let body = body(&properties, &id)?;
    let events = properties.events()?;
    let request = TokenRequest {
        service_account: &properties.service_account,
        scopes: &properties.scopes,
        subject: properties.subject.as_deref(),
        timeouts: properties.timeouts(),
    };
    let calendar = Calendar { token: request.send()?, events, timeouts: properties.timeouts() };
    let event = match calendar.insert(&body)? {
        Some(event) => event,
        // An attempt before this one inserted it and was lost.
        None => calendar.event(&id)?,
    };
    cx.debug("the event is in the calendar");
    Ok(Inserted { event })
}

/// The id of the run's event: Google takes digits and the letters `a` to `v`.
fn event_id(cx: &Context) -> String {
    cx.idempotency_key().bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn body(properties: &InsertEvent, id: &str) -> Result<Map<String, Value>, Failure> {
    let mut event = Map::new();
    event.insert("id".to_owned(), id.into());
    event.insert("summary".to_owned(), properties.summary.as_str().into());
    put(&mut event, "description", &properties.description);
    put(&mut event, "location", &properties.location);
    event.insert("start".to_owned(), properties.start_time.to_json("startTime")?);
    event.insert("end".to_owned(), properties.end_time.to_json("endTime")?);
    if let Some(creator) = &properties.creator {
        event.insert("creator".to_owned(), creator.to_json());
    }
    let attendees: Vec<Value> = properties.attendees.iter().flatten().map(Person::to_json).collect();
    if !attendees.is_empty() {
        event.insert("attendees".to_owned(), attendees.into());
    }
    Ok(event)
}

impl InsertEvent {
    /// The URL of the calendar's events.
    fn events(&self) -> Result<Url, Failure> {
        let id = self.calendar_id.trim();
        if matches!(id, "" | "." | "..") {
            return Err(Failure::bad_property("property `calendarId` names no calendar"));
        }
        let base = private_url(self.base_url.trim().trim_end_matches('/'))?.to_string();
        Url::parse(&format!("{}/calendars/{}/events", base.trim_end_matches('/'), encode_form(id)))
    }

    fn timeouts(&self) -> Timeouts {
        let longest = Some(Duration::from_secs(self.read_timeout));
        Timeouts { connect: None, first_byte: longest, idle: longest, total: None }
    }
}

/// A calendar that may be asked. Its id may be a secret, so no failure of it shows a URL.
struct Calendar {
    token: AccessToken,
    events: Url,
    timeouts: Timeouts,
}

impl Calendar {
    /// Inserts an event; nothing where one with its id is there.
    fn insert(&self, event: &Map<String, Value>) -> Result<Option<Event>, Failure> {
        let request = self.request("POST", self.events.clone())?.header("content-type", "application/json");
        let mut response = request.body(Body::json(event)?).send()?;
        if (200..300).contains(&response.status()) {
            return kept(&mut response).map(Some);
        }
        let refusal = Refusal::read(&mut response);
        if refusal.status == 409 && refusal.has_reason(&["duplicate"]) {
            return Ok(None);
        }
        Err(self.refused(refusal))
    }

    /// The event of this id.
    fn event(&self, id: &str) -> Result<Event, Failure> {
        let mut response = self.request("GET", Url::parse(&format!("{}/{id}", self.events))?)?.send()?;
        if !(200..300).contains(&response.status()) {
            return Err(self.refused(Refusal::read(&mut response)));
        }
        let event = kept(&mut response)?;
        if event.is_cancelled() {
            let message = "an attempt before this one inserted the event, and somebody deleted it";
            return Err(Failure::new("CALENDAR_REFUSED", message).retryable(false));
        }
        Ok(event)
    }

    fn request(&self, method: &str, url: Url) -> Result<Request, Failure> {
        // The token is for Google alone, and a redirect would make a GET of an event that is inserted.
        let request = Request::new(method, url)?.timeouts(self.timeouts).redirects(Redirects::Return);
        Ok(request.header("user-agent", USER_AGENT).header("authorization", bearer(&self.token.text)))
    }

    fn refused(&self, refusal: Refusal) -> Failure {
        let who = &self.token.email;
        let limited = refusal.has_reason(&["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"]);
        let (code, what) = match refusal.status {
            429 => ("CALENDAR_LIMIT", "Google wants fewer requests".to_owned()),
            _ if limited => ("CALENDAR_LIMIT", "Google wants fewer requests".to_owned()),
            404 => (
                "CALENDAR_NOT_FOUND",
                format!("Google has no calendar of this `calendarId`, or does not show it to `{who}`: share it"),
            ),
            401 | 403 => ("CALENDAR_FORBIDDEN", format!("Google does not let `{who}` insert events here")),
            _ => ("CALENDAR_REFUSED", "Google did not take the event".to_owned()),
        };
        refusal.into_failure(code, &what)
    }
}

fn kept(response: &mut Response) -> Result<Event, Failure> {
    let answer: Value = serde_json::from_slice(&response.read_bytes(EVENT_MAX_BYTES)?).unwrap_or_default();
    Event::read(&answer).ok_or_else(|| {
        Failure::new("CALENDAR_REFUSED", format!("Google answered {} without an event", response.status()))
            .retryable(false)
    })
}

#[cfg(test)]
#[path = "insert_event_tests.rs"]
mod tests;
