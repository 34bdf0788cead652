//! Durations as Kestra (Java's `Duration`) writes them: `P1DT2H3M4.5S`, or a number of seconds. No months, weeks or years.

use expr::{Time, Value};
use jiff::{SignedDuration, Span, SpanRelativeTo};

const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// Digits after the point of the seconds that a nanosecond can hold.
const FRACTION_DIGITS: usize = 9;

/// The duration a value stands for, or why it stands for none.
pub fn of_value(value: &Value) -> Result<SignedDuration, String> {
    match value {
        Value::Time(time) => match time.as_ref() {
            Time::Duration(span) => span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string()),
            _ => Err("a date is no duration".to_owned()),
        },
        Value::Int(seconds) => Ok(SignedDuration::from_secs(*seconds)),
        Value::Float(seconds) => {
            SignedDuration::try_from_secs_f64(*seconds).map_err(|_| format!("`{seconds}` seconds are out of range"))
        }
        Value::Text(text) => match text.as_plain() {
            Some(text) => parse(text),
            None => Err("a secret is no duration".to_owned()),
        },
        other => Err(format!("a {} is no duration", other.kind())),
    }
}

/// Hours, minutes and seconds, as Java writes them. `None` for more hours than anybody has.
pub fn to_span(duration: SignedDuration) -> Option<Span> {
    let seconds = duration.as_secs();
    let nanos = i64::from(duration.subsec_nanos());
    let span = Span::new().try_hours(seconds / 3_600).ok()?.try_minutes(seconds / 60 % 60).ok()?.try_seconds(seconds % 60).ok()?;
    let span = span.try_milliseconds(nanos / 1_000_000).ok()?.try_microseconds(nanos / 1_000 % 1_000).ok()?;
    span.try_nanoseconds(nanos % 1_000).ok()
}

/// Reads an ISO-8601 duration of days and less.
pub fn parse(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{}` is no duration", crate::problem::shown(text));
    let upper = text.trim().to_ascii_uppercase();
    let (negative, body) = match upper.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, upper.strip_prefix('+').unwrap_or(&upper)),
    };
    let body = body.strip_prefix('P').ok_or_else(wrong)?;
    let (days, time) = match body.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return Err(wrong()),
        None => (body, ""),
    };
    if days.is_empty() && time.is_empty() {
        return Err(wrong());
    }
    if days.contains(['W', 'M', 'Y']) {
        return Err(format!("{}: weeks, months and years have no fixed length", wrong()));
    }
    let days = units(days, &[('D', 86_400)]).ok_or_else(wrong)?;
    let time = units(time, &[('H', 3_600), ('M', 60), ('S', 1)]).ok_or_else(wrong)?;
    let nanos = days.checked_add(time).ok_or_else(wrong)?;
    let nanos = if negative { -nanos } else { nanos };
    let seconds = i64::try_from(nanos / NANOS_PER_SECOND).map_err(|_| wrong())?;
    let rest = i32::try_from(nanos % NANOS_PER_SECOND).map_err(|_| wrong())?;
    Ok(SignedDuration::new(seconds, rest))
}

/// Nanoseconds of `12H30M`-like text, the units in the given order. Only seconds may have a fraction.
fn units(mut text: &str, units: &[(char, i128)]) -> Option<i128> {
    let mut nanos: i128 = 0;
    let mut units = units.iter();
    while !text.is_empty() {
        let end = text.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, rest) = text.split_at_checked(end)?;
        let unit = rest.chars().next()?;
        text = rest.get(1..)?;
        let (_, seconds) = units.find(|(name, _)| *name == unit)?;
        let amount = amount(number, unit == 'S')?;
        nanos = nanos.checked_add(amount.checked_mul(*seconds)?)?;
    }
    Some(nanos)
}

/// A signed decimal number, in billionths.
fn amount(text: &str, fraction_allowed: bool) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once(['.', ',']).unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > FRACTION_DIGITS {
        return None;
    }
    if digits.len() != whole.len() && !fraction_allowed {
        return None;
    }
    let whole: i128 = whole.parse::<i64>().ok()?.into();
    let fraction: i128 = format!("{fraction:0<FRACTION_DIGITS$}").parse().ok()?;
    let nanos = whole.checked_mul(NANOS_PER_SECOND)?.checked_add(fraction)?;
    Some(if negative { -nanos } else { nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(i64, i32)>) {
        assert_eq!(parse(text).ok(), expected.map(|(seconds, nanos)| SignedDuration::new(seconds, nanos)), "{text}");
    }

    #[test]
    fn durations_are_read_as_java_does() {
        check("PT1S", Some((1, 0)));
        check("PT0.250S", Some((0, 250_000_000)));
        check("P1DT2H3M4.5S", Some((93_784, 500_000_000)));
        check("pt2h", Some((7_200, 0)));
        check("-PT1M", Some((-60, 0)));
        check("PT-1M", Some((-60, 0)));
        check("P2D", Some((172_800, 0)));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "P", "PT", "1s", "5 minutes", "P1W", "P1M", "P1Y", "PT1.5H", "PT1S1M", "PTS", "P1DT", "PT99999999999999999999S", "PT1é"] {
            check(text, None);
        }
    }
}
