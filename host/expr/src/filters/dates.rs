//! Filters on dates.
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use crate::error::Error;
use crate::eval::{Args, Evaluator};
use crate::time::{self, format};
use crate::value::Value;

fn zone(evaluator: &Evaluator<'_>, args: &Args, index: usize) -> Result<TimeZone, Error> {
    match args.optional_text(index)? {
        Some(name) => time::zone(&name),
        None => Ok(evaluator.settings.zone.clone()),
    }
}

/// Writes a date: `format, timeZone, existingFormat, locale` are the parameters from `first` on.
fn written(evaluator: &Evaluator<'_>, date: &Zoned, args: &Args, first: usize) -> Result<Value, Error> {
    let zone = zone(evaluator, args, first + 1)?;
    let format = args.optional_text(first)?.unwrap_or("iso".into());
    let locale = args.optional_text(first + 3)?.unwrap_or("en".into());
    Ok(format::format(&date.with_time_zone(zone), &format, &locale)?.into())
}

fn point(evaluator: &Evaluator<'_>, input: &Value, args: &Args, zone_at: usize) -> Result<Zoned, Error> {
    let zone = zone(evaluator, args, zone_at)?;
    let existing = args.optional_text(zone_at + 1)?;
    let locale = args.optional_text(zone_at + 2)?.unwrap_or("en".into());
    format::point(input, &zone, existing.as_deref(), &locale)
}

pub(super) fn date(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let date = point(evaluator, input, args, 1)?;
    written(evaluator, &date, args, 0)
}

pub(super) fn date_add(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let date = point(evaluator, input, args, 3)?;
    let amount = match args.required(0)? {
        Value::Text(_) => {
            args.text(0)?.trim().parse().map_err(|_| Error::invalid("`amount` of `dateAdd` is no number"))?
        }
        _ => args.int(0)?,
    };
    let unit = args.text(1)?;
    let span = match unit.to_ascii_uppercase().as_str() {
        "NANOS" => 0.seconds().try_nanoseconds(amount),
        "MICROS" => 0.seconds().try_microseconds(amount),
        "MILLIS" => 0.seconds().try_milliseconds(amount),
        "SECONDS" => 0.seconds().try_seconds(amount),
        "MINUTES" => 0.seconds().try_minutes(amount),
        "HOURS" => 0.seconds().try_hours(amount),
        "HALF_DAYS" => 0.seconds().try_hours(amount.saturating_mul(12)),
        "DAYS" => 0.seconds().try_days(amount),
        "WEEKS" => 0.seconds().try_weeks(amount),
        "MONTHS" => 0.seconds().try_months(amount),
        "YEARS" => 0.seconds().try_years(amount),
        "DECADES" => 0.seconds().try_years(amount.saturating_mul(10)),
        "CENTURIES" => 0.seconds().try_years(amount.saturating_mul(100)),
        other => {
            let hint = "use SECONDS, MINUTES, HOURS, DAYS, WEEKS, MONTHS or YEARS";
            return Err(Error::invalid_hint(format!("`dateAdd` knows no unit `{other}`"), hint));
        }
    };
    let moved = span.and_then(|span| date.checked_add(span));
    let moved = moved.map_err(|_| Error::invalid(format!("no date {amount} {unit} away")))?;
    written(evaluator, &moved, args, 2)
}

pub(super) fn timestamp(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    Ok(Value::Int(point(evaluator, input, args, 0)?.timestamp().as_second()))
}

pub(super) fn timestamp_milli(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    Ok(Value::Int(point(evaluator, input, args, 0)?.timestamp().as_millisecond()))
}

pub(super) fn timestamp_micro(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    Ok(Value::Int(point(evaluator, input, args, 0)?.timestamp().as_microsecond()))
}

pub(super) fn timestamp_nano(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let nanos = point(evaluator, input, args, 0)?.timestamp().as_nanosecond();
    i64::try_from(nanos).map(Value::Int).map_err(|_| Error::invalid("the date is too far away for nanoseconds"))
}
