//! Dates, times and durations as typed values, and how they print. Never reads a clock.
use std::fmt;

use jiff::civil::{Date, DateTime, Time as Clock};
use jiff::{Span, Timestamp, Zoned};

/// A point in time or a length of it, as precise as its source was.
#[derive(Clone, Debug)]
pub enum Time {
    Zoned(Zoned),
    Instant(Timestamp),
    Local(DateTime),
    Date(Date),
    Clock(Clock),
    /// ISO 8601 `PT5S`.
    Duration(Span),
}

impl Time {
    /// The tag of the stored form.
    pub fn kind(&self) -> &'static str {
        match self {
            Time::Zoned(_) => "zoned",
            Time::Instant(_) => "instant",
            Time::Local(_) => "local",
            Time::Date(_) => "date",
            Time::Clock(_) => "clock",
            Time::Duration(_) => "duration",
        }
    }

    /// Reads what `stored_text` wrote.
    pub fn from_stored(kind: &str, text: &str) -> Option<Time> {
        match kind {
            "zoned" => text.parse().ok().map(Time::Zoned),
            "instant" => text.parse().ok().map(Time::Instant),
            "local" => text.parse().ok().map(Time::Local),
            "date" => text.parse().ok().map(Time::Date),
            "clock" => text.parse().ok().map(Time::Clock),
            "duration" => text.parse().ok().map(Time::Duration),
            _ => None,
        }
    }

    /// Lossless text, time zone included.
    pub fn stored_text(&self) -> String {
        match self {
            Time::Zoned(time) => time.to_string(),
            Time::Instant(time) => time.to_string(),
            Time::Local(time) => time.to_string(),
            Time::Date(date) => date.to_string(),
            Time::Clock(time) => time.to_string(),
            Time::Duration(span) => span.to_string(),
        }
    }
}

impl PartialEq for Time {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.stored_text() == other.stored_text()
    }
}
impl Eq for Time {}

impl std::hash::Hash for Time {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.stored_text().hash(state);
    }
}

/// As ISO 8601: seconds and fractions are left out when Java leaves them out; a zone shows as its offset.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Time::Zoned(time) => {
                write!(f, "{}", time.datetime())?;
                write_offset(f, time.offset().seconds())
            }
            Time::Instant(time) => write!(f, "{time}"),
            Time::Local(time) => write!(f, "{time}"),
            Time::Date(date) => write!(f, "{date}"),
            Time::Clock(time) => write!(f, "{time}"),
            Time::Duration(span) => write!(f, "{span}"),
        }
    }
}

fn write_offset(f: &mut fmt::Formatter<'_>, seconds: i32) -> fmt::Result {
    if seconds == 0 {
        return f.write_str("Z");
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}
