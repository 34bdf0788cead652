//! Durations that timers may have.

use expr::Value;
use jiff::SignedDuration;

/// Longest duration a timer may have: a century, so that adding it to now stays within the calendar.
const LONGEST: SignedDuration = SignedDuration::from_secs(100 * 366 * 24 * 3_600);

/// Reads a rendered duration. Negative ones are refused.
pub(crate) fn parse(value: &Value) -> Option<SignedDuration> {
    let duration = match value {
        Value::Text(text) => text
            .as_plain()?
            .trim()
            .parse::<i64>()
            .ok()
            .map(SignedDuration::from_secs)
            .or_else(|| model::duration::of_value(value).ok()),
        other => model::duration::of_value(other).ok(),
    }?;
    (!duration.is_negative() && duration <= LONGEST).then_some(duration)
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
        check("PT878399H", Some(878_399 * 3_600 * 1_000_000));
        check("PT878401H", None);
        check("P1Y", None);
        check("P99999D", None);
        check("soon", None);
    }
}
