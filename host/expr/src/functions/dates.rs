//! Functions on dates. Days and hours are taken as written, without going to UTC.
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use crate::error::Error;
use crate::eval::print::string_of;
use crate::eval::{Args, Evaluator};
use crate::memo::Call;
use crate::time::{self, format, holidays};
use crate::value::Value;

const DAYS: [(&str, Weekday); 7] = [
    ("MONDAY", Weekday::Monday),
    ("TUESDAY", Weekday::Tuesday),
    ("WEDNESDAY", Weekday::Wednesday),
    ("THURSDAY", Weekday::Thursday),
    ("FRIDAY", Weekday::Friday),
    ("SATURDAY", Weekday::Saturday),
    ("SUNDAY", Weekday::Sunday),
];

/// The time of the call, as text.
pub(super) fn now(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let zone = match args.optional_text(1)? {
        Some(name) => time::zone(&name)?,
        None => evaluator.settings.zone.clone(),
    };
    let answer = evaluator.ask(Call::new("now"))?;
    let now = format::point(&answer, &zone, None, "en")?.with_time_zone(zone);
    let format = args.optional_text(0)?.unwrap_or("iso".into());
    let locale = args.optional_text(3)?.unwrap_or("en".into());
    Ok(format::format(&now, &format, &locale)?.into())
}

fn unreadable(args: &Args, index: usize) -> Error {
    let name = args.params.get(index).copied().unwrap_or("date");
    Error::invalid_hint(
        format!("`{}` could not parse '{name}'", args.callee),
        "write it as 2025-01-31 or 2025-01-31T10:00:00Z",
    )
}

/// The day of a date or of a date with time and zone, as written.
fn date(args: &Args) -> Result<Date, Error> {
    let text = string_of(args.required(0)?)?;
    let date = time::parse_date(&text).or_else(|| time::parse_zoned(&text).map(|zoned| zoned.date()));
    date.or_else(|| time::parse_local(&text).map(|local| local.date())).ok_or_else(|| unreadable(args, 0))
}

pub(super) fn day_of_month(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    Ok(Value::Int(date(args)?.day().into()))
}

pub(super) fn month_of_year(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    Ok(Value::Int(date(args)?.month().into()))
}

pub(super) fn day_of_week(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let weekday = date(args)?.weekday();
    Ok(DAYS.iter().find(|(_, day)| *day == weekday).map_or("", |(name, _)| name).into())
}

pub(super) fn hour_of_day(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let text = string_of(args.required(0)?)?;
    let hour = time::parse_zoned(&text).map(|zoned| zoned.hour());
    let hour = hour.or_else(|| time::parse_local(&text).map(|local| local.hour()));
    hour.map(|hour| Value::Int(hour.into())).ok_or_else(|| unreadable(args, 0))
}

pub(super) fn is_weekend(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    Ok(matches!(date(args)?.weekday(), Weekday::Saturday | Weekday::Sunday).into())
}

/// A point in time; text without a zone is UTC, a day is its midnight.
fn instant(args: &Args, index: usize) -> Result<Timestamp, Error> {
    let value = args.required(index)?;
    let zoned = format::point(value, &TimeZone::UTC, None, "en").map_err(|_| unreadable(args, index))?;
    Ok(zoned.timestamp())
}

pub(super) fn is_date_after(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    Ok((instant(args, 0)? > instant(args, 1)?).into())
}

pub(super) fn is_date_before(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    Ok((instant(args, 0)? < instant(args, 1)?).into())
}

/// Strictly between; all three name their zone.
pub(super) fn is_date_between(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let zoned = |index: usize| -> Result<Zoned, Error> {
        let value = args.required(index)?;
        match value {
            Value::Time(_) => format::point(value, &TimeZone::UTC, None, "en"),
            text => time::parse_zoned(&string_of(text)?).ok_or_else(|| unreadable(args, index)),
        }
    };
    let (date, after, before) = (zoned(0)?, zoned(1)?, zoned(2)?);
    Ok((date.timestamp() > after.timestamp() && date.timestamp() < before.timestamp()).into())
}

fn weekday(name: &str) -> Option<Weekday> {
    DAYS.iter().find(|(day, _)| day.eq_ignore_ascii_case(name.trim())).map(|(_, day)| *day)
}

pub(super) fn is_day_week_in_month(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let date = date(args)?;
    let day = args.text(1)?;
    let wanted =
        weekday(&day).ok_or_else(|| Error::invalid_hint(format!("no weekday `{day}`"), "an example: `MONDAY`"))?;
    let position = args.text(2)?;
    let nth = match position.trim().to_ascii_uppercase().as_str() {
        "FIRST" => 1,
        "SECOND" => 2,
        "THIRD" => 3,
        "FOURTH" => 4,
        "LAST" => -1,
        _ => {
            let hint = "use FIRST, SECOND, THIRD, FOURTH or LAST";
            return Err(Error::invalid_hint(format!("no position `{position}` in a month"), hint));
        }
    };
    Ok(date.nth_weekday_of_month(nth, wanted).is_ok_and(|found| found == date).into())
}

pub(super) fn is_last_working_day(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let date = date(args)?;
    let named = args.optional_text(1)?.unwrap_or_default();
    let mut working = Vec::new();
    for name in named.split([',', ' ', '\t', '\n']).filter(|name| !name.is_empty()) {
        let day = weekday(name).ok_or_else(|| {
            Error::invalid_hint(format!("invalid 'workingDays' value `{name}`"), "an example: `MONDAY,TUESDAY`")
        })?;
        working.push(day);
    }
    if working.is_empty() {
        match named.trim().is_empty() {
            true => working.extend(DAYS.iter().take(5).map(|(_, day)| *day)),
            false => return Err(Error::invalid("`isLastWorkingDay` requires at least one valid day in 'workingDays'")),
        }
    }
    let mut last = date.last_of_month();
    while !working.contains(&last.weekday()) {
        last = last.checked_sub(1.day()).map_err(|_| unreadable(args, 0))?;
    }
    Ok((last == date).into())
}

pub(super) fn is_public_holiday(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    args.required(0)?;
    let country = string_of(args.required(1)?)?;
    let subdivision = args.get(2).map(string_of).transpose()?;
    let subdivision = subdivision.as_deref().filter(|name| !name.trim().is_empty());
    Ok(holidays::is_public_holiday(date(args)?, &country, subdivision)?.into())
}
