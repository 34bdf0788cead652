//! Dates, times and durations as typed values, and how they print. Never reads a clock.
pub(crate) mod format;
pub mod holidays;
mod names;
pub(crate) mod pattern;

use std::cmp::Ordering;
use std::fmt;

use jiff::civil::{Date, DateTime, Time as Clock};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, SpanRelativeTo, Timestamp, Zoned};

use crate::error::Error;

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

    /// ISO 8601 with seconds; a zone shows as its offset.
    pub fn to_json_text(&self) -> String {
        match self {
            Time::Zoned(time) => format!("{}{}", time.datetime(), offset_text(time.offset())),
            other => other.stored_text(),
        }
    }

    /// The order of two times, if they can be put on one line; a date is its midnight UTC, local time is UTC.
    pub(crate) fn compare(&self, other: &Time) -> Option<Ordering> {
        if let (Time::Duration(a), Time::Duration(b)) = (self, other) {
            return a.compare((b, SpanRelativeTo::days_are_24_hours())).ok();
        }
        if let (Time::Clock(a), Time::Clock(b)) = (self, other) {
            return Some(a.cmp(b));
        }
        Some(self.instant()?.cmp(&other.instant()?))
    }

    fn instant(&self) -> Option<Timestamp> {
        match self {
            Time::Zoned(time) => Some(time.timestamp()),
            Time::Instant(time) => Some(*time),
            Time::Local(time) => time.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp()),
            Time::Date(date) => date.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp()),
            Time::Clock(_) | Time::Duration(_) => None,
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

/// As Java prints it: seconds only when there are any, fractions in groups of three digits, a zone as its offset.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Time::Zoned(time) => {
                write_local(f, time.datetime())?;
                f.write_str(&offset_text(time.offset()))
            }
            Time::Instant(time) => {
                let utc = time.to_zoned(TimeZone::UTC).datetime();
                write!(f, "{}T{}Z", utc.date(), clock_text(utc.time(), true))
            }
            Time::Local(time) => write_local(f, *time),
            Time::Date(date) => write!(f, "{date}"),
            Time::Clock(time) => f.write_str(&clock_text(*time, false)),
            Time::Duration(span) => write!(f, "{span}"),
        }
    }
}

fn write_local(f: &mut fmt::Formatter<'_>, time: DateTime) -> fmt::Result {
    write!(f, "{}T{}", time.date(), clock_text(time.time(), false))
}

fn clock_text(time: Clock, always_seconds: bool) -> String {
    let mut text = format!("{:02}:{:02}", time.hour(), time.minute());
    let nanos = time.subsec_nanosecond();
    if always_seconds || time.second() > 0 || nanos > 0 {
        text.push_str(&format!(":{:02}", time.second()));
    }
    if nanos > 0 {
        let digits = format!("{nanos:09}");
        let width = if nanos % 1_000_000 == 0 {
            3
        } else if nanos % 1_000 == 0 {
            6
        } else {
            9
        };
        text.push('.');
        text.push_str(digits.get(..width).unwrap_or(&digits));
    }
    text
}

/// `Z`, `+02:00`, with seconds where there are some.
pub(crate) fn offset_text(offset: Offset) -> String {
    match offset.seconds() {
        0 => "Z".into(),
        seconds => {
            let sign = if seconds.is_negative() { '-' } else { '+' };
            let all = seconds.unsigned_abs();
            let rest = match all % 60 {
                0 => String::new(),
                rest => format!(":{rest:02}"),
            };
            format!("{sign}{:02}:{:02}{rest}", all / 3600, all / 60 % 60)
        }
    }
}

/// A time zone by name (`Europe/Paris`), by offset (`+02:00`, `UTC+2`), or `UTC`, `Z`, `GMT`.
pub fn zone(name: &str) -> Result<TimeZone, Error> {
    let name = name.trim();
    if matches!(name, "Z" | "UTC" | "GMT" | "UT") {
        return Ok(TimeZone::UTC);
    }
    let offset =
        ["UTC", "GMT", "UT", ""].into_iter().find_map(|prefix| name.strip_prefix(prefix).and_then(parse_offset));
    if let Some(offset) = offset {
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|_| {
        Error::invalid_hint(format!("no time zone `{name}`"), "use a name such as `Europe/Paris` or an offset")
    })
}

/// `Z`, `+2`, `+02`, `+0200`, `+02:00`, `+02:00:00`.
pub(crate) fn parse_offset(text: &str) -> Option<Offset> {
    if matches!(text, "Z" | "z") {
        return Some(Offset::UTC);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    let well_formed = digits.bytes().all(|byte| byte.is_ascii_digit()) && matches!(digits.len(), 1 | 2 | 4 | 6);
    if !well_formed {
        return None;
    }
    let number =
        |range: std::ops::Range<usize>| digits.get(range).and_then(|part| part.parse::<i32>().ok()).unwrap_or(0);
    let hours = if digits.len() == 1 { number(0..1) } else { number(0..2) };
    Offset::from_seconds(sign * (hours * 3600 + number(2..4) * 60 + number(4..6))).ok()
}

/// `2013-09-08T16:19:00+02:00`, with or without seconds, fraction and `[zone]`.
pub fn parse_zoned(text: &str) -> Option<Zoned> {
    let (text, region) = match text.strip_suffix(']') {
        Some(rest) => rest.split_once('[').map(|(time, region)| (time, Some(region)))?,
        None => (text, None),
    };
    let at = text.rfind(['Z', 'z', '+', '-']).filter(|at| *at > 10)?;
    let (local, offset) = text.split_at(at);
    let offset = parse_offset(offset)?;
    let time = offset.to_timestamp(parse_local(local)?).ok()?;
    match region {
        Some(region) => Some(time.to_zoned(zone(region).ok()?)),
        None => Some(time.to_zoned(TimeZone::fixed(offset))),
    }
}

/// `2013-09-08T16:19`, seconds and fraction optional.
pub fn parse_local(text: &str) -> Option<DateTime> {
    let (date, clock) = text.split_once('T')?;
    Some(parse_date(date)?.to_datetime(parse_clock(clock)?))
}

/// `2013-09-08` and nothing else.
pub(crate) fn parse_date(text: &str) -> Option<Date> {
    let well_formed = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if well_formed { text.parse().ok() } else { None }
}

pub(crate) fn parse_clock(text: &str) -> Option<Clock> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let mut number = |range: std::ops::Range<i8>| {
        let part = parts.next()?;
        let well_formed = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|number| well_formed && range.contains(number))
    };
    let (hour, minute) = (number(0..24)?, number(0..60)?);
    let second = if whole.len() > 5 { number(0..60)? } else { 0 };
    let nanos = match fraction.len() {
        0 => 0,
        1..=9 if fraction.bytes().all(|byte| byte.is_ascii_digit()) => format!("{fraction:0<9}").parse().ok()?,
        _ => return None,
    };
    if parts.next().is_some() || (whole.len() <= 5 && !fraction.is_empty()) {
        return None;
    }
    Clock::new(hour, minute, second, nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: [(&str, &str); 6] = [
        ("zoned", "2024-02-03T04:05:06+01:00[Europe/Paris]"),
        ("instant", "2024-02-03T04:05:06.5Z"),
        ("local", "2024-02-03T04:05:00"),
        ("date", "2024-02-03"),
        ("clock", "04:05:00"),
        ("duration", "PT5S"),
    ];

    fn time(kind: &str, text: &str) -> Time {
        Time::from_stored(kind, text).unwrap()
    }

    #[test]
    fn stored_times_come_back() {
        for (kind, text) in STORED {
            let time = time(kind, text);
            assert_eq!((time.kind(), time.stored_text().as_str()), (kind, text));
        }
        assert!(Time::from_stored("week", "2024-W05").is_none());
        assert!(Time::from_stored("date", "soon").is_none());
    }

    #[test]
    fn times_show_as_java_and_as_json() {
        let shown = STORED.map(|(kind, text)| time(kind, text).to_string());
        let java = ["2024-02-03T04:05:06+01:00", "2024-02-03T04:05:06.500Z", "2024-02-03T04:05", "2024-02-03", "04:05"];
        assert_eq!(shown, [java[0], java[1], java[2], java[3], java[4], "PT5S"]);
        let json = STORED.map(|(kind, text)| time(kind, text).to_json_text());
        assert_eq!(json, ["2024-02-03T04:05:06+01:00", STORED[1].1, STORED[2].1, "2024-02-03", "04:05:00", "PT5S"]);
    }

    #[test]
    fn times_are_equal_in_kind_and_text() {
        assert_eq!(time("date", "2024-02-03"), time("date", "2024-02-03"));
        assert_ne!(time("date", "2024-02-03"), time("date", "2024-02-04"));
        assert_ne!(time("local", "2024-02-03T00:00:00"), time("instant", "2024-02-03T00:00:00Z"));
        assert_ne!(
            Time::Clock(Clock::midnight()),
            Time::Local(Date::new(2024, 2, 3).unwrap().to_datetime(Clock::midnight()))
        );
    }

    #[test]
    fn times_of_a_line_have_an_order() {
        let (early, late) = (time("clock", "04:05:00"), time("clock", "04:06:00"));
        assert_eq!(early.compare(&late), Some(Ordering::Less));
        assert_eq!(time("duration", "P1D").compare(&time("duration", "PT24H")), Some(Ordering::Equal));
        assert_eq!(
            time("date", "2024-02-03").compare(&time("instant", "2024-02-02T23:59:59Z")),
            Some(Ordering::Greater)
        );
        assert_eq!(early.compare(&time("date", "2024-02-03")), None);
        assert_eq!(time("date", "2024-02-03").compare(&time("duration", "PT1H")), None);
    }
}
