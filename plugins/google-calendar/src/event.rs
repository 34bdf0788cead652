//! An event as a flow writes it, as Google takes it, and as it is kept.

use serde_json::{Map, Value};
use sluice_sdk::prelude::*;

/// When an event begins or ends.
#[properties]
pub struct EventTime {
    /// The moment, as `2026-05-01T09:00:00+02:00`; without an offset it is one of `timeZone`.
    date_time: Option<String>,
    /// The day of an event that takes whole days, as `2026-05-01`. The day it ends on is the one after its last.
    date: Option<String>,
    /// The time zone, as `Europe/London`.
    time_zone: Option<String>,
}

impl EventTime {
    /// The time as Google takes it. `property` is what the flow calls it.
    pub fn to_json(&self, property: &str) -> Result<Value, Failure> {
        let mut time = Map::new();
        put(&mut time, "dateTime", &self.date_time);
        put(&mut time, "date", &self.date);
        if time.len() != 1 {
            return Err(Failure::bad_property(format!(
                "property `{property}`: one of `dateTime` and `date` is wanted"
            )));
        }
        put(&mut time, "timeZone", &self.time_zone);
        Ok(time.into())
    }
}

/// Somebody an event has to do with.
#[properties]
pub struct Person {
    /// The name.
    display_name: Option<String>,
    /// The address.
    email: Option<String>,
}

impl Person {
    /// The person as Google takes it.
    pub fn to_json(&self) -> Value {
        let mut person = Map::new();
        put(&mut person, "displayName", &self.display_name);
        put(&mut person, "email", &self.email);
        person.into()
    }
}

/// Puts a text that says something into an object.
pub fn put(object: &mut Map<String, Value>, name: &str, text: &Option<String>) {
    if let Some(text) = text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        object.insert(name.to_owned(), text.into());
    }
}

/// An event of a calendar.
#[outputs]
pub struct Event {
    /// Its id.
    id: String,
    /// `confirmed`, `tentative` or `cancelled`.
    status: Option<String>,
    /// Its title.
    summary: Option<String>,
    /// Its text.
    description: Option<String>,
    /// Where it is.
    location: Option<String>,
    /// Its page.
    html_link: Option<String>,
    /// When it was made.
    created: Option<String>,
    /// When it was changed.
    updated: Option<String>,
    /// When it begins.
    start: Option<KeptTime>,
    /// When it ends.
    end: Option<KeptTime>,
    /// Who made it.
    creator: Option<KeptPerson>,
    /// Whose it is.
    organizer: Option<KeptPerson>,
    /// Who is invited.
    attendees: Vec<KeptPerson>,
}

/// When an event begins or ends.
#[outputs]
pub struct KeptTime {
    /// The moment.
    date_time: Option<String>,
    /// The day, of an event that takes whole days.
    date: Option<String>,
    /// The time zone.
    time_zone: Option<String>,
}

/// Somebody an event has to do with.
#[outputs]
pub struct KeptPerson {
    /// The name.
    display_name: Option<String>,
    /// The address.
    email: Option<String>,
    /// What an invited one answered.
    response_status: Option<String>,
}

impl Event {
    /// What is kept of Google's event; nothing of what is none.
    pub fn read(event: &Value) -> Option<Self> {
        Some(Self {
            id: text(event, "id")?,
            status: text(event, "status"),
            summary: text(event, "summary"),
            description: text(event, "description"),
            location: text(event, "location"),
            html_link: text(event, "htmlLink"),
            created: text(event, "created"),
            updated: text(event, "updated"),
            start: event.get("start").map(KeptTime::read),
            end: event.get("end").map(KeptTime::read),
            creator: event.get("creator").map(KeptPerson::read),
            organizer: event.get("organizer").map(KeptPerson::read),
            attendees: event
                .get("attendees")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(KeptPerson::read)
                .collect(),
        })
    }

    /// Whether somebody deleted it.
    pub fn is_cancelled(&self) -> bool {
        self.status.as_deref() == Some("cancelled")
    }
}

impl KeptTime {
    fn read(time: &Value) -> Self {
        Self { date_time: text(time, "dateTime"), date: text(time, "date"), time_zone: text(time, "timeZone") }
    }
}

impl KeptPerson {
    fn read(person: &Value) -> Self {
        Self {
            display_name: text(person, "displayName"),
            email: text(person, "email"),
            response_status: text(person, "responseStatus"),
        }
    }
}

fn text(object: &Value, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(str::to_owned)
}
