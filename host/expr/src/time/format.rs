//! Formats by name (`iso`, `sql`, `rfc_1123_date_time`, `full`) or pattern, and values to points in time.
use jiff::Zoned;
use jiff::tz::TimeZone;

use super::pattern::{Pattern, zone_id};
use super::{Time, offset_text, parse_date, parse_local, parse_zoned};
use crate::error::Error;
use crate::eval::print::string_of;
use crate::value::Value;

/// Names that are patterns.
const PATTERNS: [(&str, &str); 12] = [
    ("iso", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"),
    ("iso_milli", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"),
    ("iso_sec", "yyyy-MM-dd'T'HH:mm:ssXXX"),
    ("sql", "yyyy-MM-dd HH:mm:ss.SSSSSS"),
    ("sql_milli", "yyyy-MM-dd HH:mm:ss.SSS"),
    ("sql_seq", "yyyy-MM-dd HH:mm:ss"),
    ("sql_sec", "yyyy-MM-dd HH:mm:ss"),
    ("iso_local_date", "yyyy-MM-dd"),
    ("full", "EEEE, MMMM d, yyyy 'at' h:mm:ss a z"),
    ("long", "MMMM d, yyyy 'at' h:mm:ss a z"),
    ("medium", "MMM d, yyyy, h:mm:ss a"),
    ("short", "M/d/yy, h:mm a"),
];

/// Writes a time in a named format or by a pattern.
pub(crate) fn format(time: &Zoned, format: &str, locale: &str) -> Result<String, Error> {
    let offset = offset_text(time.offset());
    let region = match time.time_zone().iana_name() {
        Some(_) => format!("[{}]", zone_id(time)),
        None => String::new(),
    };
    let local = time.datetime();
    Ok(match format.to_ascii_lowercase().as_str() {
        "iso_date_time" | "iso_zoned_date_time" => format!("{local}{offset}{region}"),
        "iso_offset_date_time" => format!("{local}{offset}"),
        "iso_local_date_time" => local.to_string(),
        "iso_date" => format!("{}{offset}", local.date()),
        "iso_time" | "iso_offset_time" => format!("{}{offset}", local.time()),
        "iso_local_time" => local.time().to_string(),
        "iso_instant" => Time::Instant(time.timestamp()).to_string(),
        "iso_ordinal_date" => format!("{:04}-{:03}{offset}", time.year(), time.day_of_year()),
        "iso_week_date" => {
            let week = local.date().iso_week_date();
            format!("{:04}-W{:02}-{}{offset}", week.year(), week.week(), week.weekday().to_monday_one_offset())
        }
        "basic_iso_date" => Pattern::new("yyyyMMddXX", locale)?.format(time)?,
        "rfc_1123_date_time" => {
            let zone = if time.offset().is_zero() { "'GMT'" } else { "Z" };
            Pattern::new(&format!("EEE, d MMM yyyy HH:mm:ss {zone}"), "en")?.format(time)?
        }
        name => {
            let pattern = PATTERNS.iter().find(|(known, _)| *known == name).map_or(format, |(_, pattern)| pattern);
            Pattern::new(pattern, locale)?.format(time)?
        }
    })
}

/// The point in time that a value means. Values without a zone are in `zone`; whole numbers are seconds since 1970.
pub(crate) fn point(value: &Value, zone: &TimeZone, format: Option<&str>, locale: &str) -> Result<Zoned, Error> {
    let found = match value {
        Value::Time(time) => match time.as_ref() {
            Time::Zoned(time) => Some(time.clone()),
            Time::Instant(time) => Some(time.to_zoned(zone.clone())),
            Time::Local(time) => time.to_zoned(zone.clone()).ok(),
            Time::Date(date) => date.at(12, 0, 0, 0).to_zoned(zone.clone()).ok(),
            Time::Clock(_) | Time::Duration(_) => None,
        },
        Value::Text(_) => return parse(&string_of(value)?, zone, format, locale),
        number => match number.as_i64() {
            Some(seconds) => jiff::Timestamp::from_second(seconds).ok().map(|time| time.to_zoned(zone.clone())),
            None => None,
        },
    };
    found.ok_or_else(|| Error::invalid(format!("a date is needed, found {}", value.kind())))
}

fn parse(text: &str, zone: &TimeZone, format: Option<&str>, locale: &str) -> Result<Zoned, Error> {
    let iso = || {
        let local = || parse_local(text).and_then(|time| time.to_zoned(zone.clone()).ok());
        let date = || parse_date(text).and_then(|date| date.to_zoned(zone.clone()).ok());
        parse_zoned(text).or_else(local).or_else(date)
    };
    let found = match format.map(str::to_ascii_lowercase).as_deref() {
        None => iso(),
        Some("rfc_1123_date_time") => Pattern::new("[EEE, ]d MMM yyyy HH:mm[:ss] z", "en")?.parse(text, zone)?,
        Some("basic_iso_date") => Pattern::new("yyyyMMdd[XX]", locale)?.parse(text, zone)?,
        Some("iso_ordinal_date") => Pattern::new("yyyy-DDD[XXX]", locale)?.parse(text, zone)?,
        Some(name) if name.starts_with("iso_") && !PATTERNS.iter().any(|(known, _)| *known == name) => iso(),
        Some(name) => {
            let pattern = PATTERNS.iter().find(|(known, _)| *known == name).map(|(_, pattern)| *pattern);
            Pattern::new(pattern.or(format).unwrap_or(name), locale)?.parse(text, zone)?
        }
    };
    found.ok_or_else(|| match format {
        Some(format) => Error::invalid(format!("the text is no date in the format `{format}`")),
        None => Error::invalid_hint(
            "the text is no ISO 8601 date",
            "say how it is written: `date(existingFormat='yyyy/MM/dd')`",
        ),
    })
}
