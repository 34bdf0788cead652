//! Durations as flows write them: ISO-8601, `PT1M30S`, `P1D`. Years and months are refused, because they have no fixed length.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration written in ISO-8601.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IsoDuration(pub Duration);

impl IsoDuration {
    /// Reads `P[nW][nD][T[nH][nM][n[.n]S]]`. A fraction is read to the nanosecond.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix(['P', 'p'])?;
        let (mut sum, mut in_time, mut found) = (Duration::ZERO, false, false);
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix(['T', 't']) {
                if in_time {
                    return None;
                }
                (in_time, rest) = (true, after);
                continue;
            }
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
            let (number, unit) = rest.split_at(end);
            let letter = unit.chars().next()?;
            let unit_s = match (letter.to_ascii_uppercase(), in_time) {
                ('W', false) => 604_800,
                ('D', false) => 86_400,
                ('H', true) => 3_600,
                ('M', true) => 60,
                ('S', true) => 1,
                _ => return None,
            };
            let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
            if fraction.is_empty() {
                return None;
            };
            let seconds = Duration::from_secs(whole.parse::<u64>().ok()?.checked_mul(unit_s)?);
            // Digits behind the ninth are worth less than a nanosecond.
            let nanoseconds: u64 = format!("{:0<9}", fraction.get(..9).unwrap_or(fraction)).parse().ok()?;
            sum = sum.checked_add(seconds)?.checked_add(Duration::from_nanos(nanoseconds.checked_mul(unit_s)?))?;
            found = true;
            rest = unit.get(letter.len_utf8()..)?;
        }
        found.then_some(Self(sum))
    }
}

impl fmt::Display for IsoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PT{}", self.0.as_secs())?;
        match self.0.subsec_nanos() {
            0 => f.write_str("S"),
            nanoseconds => write!(f, ".{nanoseconds:09}S"),
        }
    }
}

impl Serialize for IsoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IsoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom(format_args!("`{text}` is no duration, write one like `PT30S` or `P1D`")))
    }
}

impl JsonSchema for IsoDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "duration" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected_ms: Option<u64>) {
        assert_eq!(
            IsoDuration::parse(text).map(|duration| duration.0),
            expected_ms.map(Duration::from_millis),
            "{text}"
        );
    }

    #[test]
    fn durations_are_read() {
        check("PT1.5S", Some(1_500));
        check("PT1M30S", Some(90_000));
        check("P1DT2H", Some(93_600_000));
        check("P1W", Some(604_800_000));
        check("pt10s", Some(10_000));
        check("PT0.5M", Some(30_000));
        check("PT0.0010000000001S", Some(1));
        assert_eq!(IsoDuration(Duration::from_millis(1_500)).to_string(), "PT1.500000000S");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "10",
            "PT5",
            "P1M",
            "P1Y",
            "PT1X",
            "PT1.S",
            "PT.5S",
            "PT1.2.3S",
            "P99999999999999999999D",
            "PTTS",
            "PT-1S",
            "PT1S ago",
        ] {
            check(text, None);
        }
    }
}
