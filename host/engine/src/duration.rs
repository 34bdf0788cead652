//! Durations as flows write them: ISO-8601 text, or a number of seconds.

use expr::{Time, Value};
use jiff::{SignedDuration, Span};

/// Longest duration a timer may have: a century, so that adding it to now stays within the calendar.
const LONGEST: SignedDuration = SignedDuration::from_secs(100 * 366 * 24 * 3_600);

/// Reads a rendered duration. Days are 24 hours, as in Kestra; negative ones are refused.
pub(crate) fn parse(value: &Value) -> Option<SignedDuration> {
    let duration = match value {
        Value::Int(seconds) => SignedDuration::from_secs(*seconds),
        Value::Text(text) => parse_text(&text.reveal().ok()?)?,
        Value::Time(time) => match time.as_ref() {
            Time::Duration(_) => parse_text(&time.stored_text())?,
            _ => return None,
        },
        _ => return None,
    };
    (!duration.is_negative() && duration <= LONGEST).then_some(duration)
}

fn parse_text(text: &str) -> Option<SignedDuration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(SignedDuration::from_secs(seconds));
    }
    let span: Span = text.parse().ok()?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return None;
    }
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, micros: Option<i64>) {
        assert_eq!(parse(&Value::text(text)), micros.map(SignedDuration::from_micros), "{text}");
    }

    #[test]
    fn durations_are_iso_text_or_seconds() {
        check("PT1S", Some(1_000_000));
        check("PT0.250S", Some(250_000));
        check("PT0.0001S", Some(100));
        check("P1DT1M", Some(86_460_000_000));
        check("5", Some(5_000_000));
        check("-PT1S", None);
        check("P1Y", None);
        check("soon", None);
    }
}
