//! How long a provider asks to wait, from whichever header or sentence says so. A date counts from the response's own `Date`, because there is
//! no clock here and the two need not agree.

use crate::http::Headers;

/// Longest wait that is believed: a day. What is longer says "do not come back", which is not for a retry to decide.
const WAIT_MS_MAX: f64 = 86_400_000.0;
/// Families of headers that count what is left: what it is of, with the dimension in place of `*`. The first two give a duration, the last a date.
const COUNTERS: [(&str, &str); 3] = [
    ("x-ratelimit-remaining-*", "x-ratelimit-reset-*"),
    ("x-ratelimit-remaining-*-minute", "x-ratelimit-reset-*-minute"),
    ("anthropic-ratelimit-*-remaining", "anthropic-ratelimit-*-reset"),
];
const DIMENSIONS: [&str; 4] = ["requests", "tokens", "input-tokens", "output-tokens"];

/// The wait in milliseconds that headers name: the most exact one first, then what is used up and when it is there again.
pub fn of_headers(headers: Headers<'_>) -> Option<u64> {
    let exact = headers.get("retry-after-ms").and_then(|text| text.parse().ok()).and_then(believed);
    let standard = || {
        let text = headers.get("retry-after")?;
        match text.parse::<f64>() {
            Ok(seconds) => believed(seconds * 1_000.0),
            Err(_) => until(text, headers),
        }
    };
    exact.or_else(standard).or_else(|| of_counters(headers)).or_else(|| of_moment(headers))
}

/// OpenRouter's `x-ratelimit-reset`: milliseconds since 1970.
fn of_moment(headers: Headers<'_>) -> Option<u64> {
    let then = headers.get("x-ratelimit-reset")?.parse::<u64>().ok()?;
    let now = seconds_of(headers.get("date")?)?.saturating_mul(1_000);
    let left = headers.get("x-ratelimit-remaining").and_then(|left| left.parse::<f64>().ok());
    // Seconds since 1970 or until then would be long ago.
    then.checked_sub(now).filter(|_| left.is_none_or(|left| left <= 0.0)).and_then(|wait| believed(wait as f64))
}

/// The longest wait among the counters that are at nothing.
fn of_counters(headers: Headers<'_>) -> Option<u64> {
    let dimensions = |(remaining, reset): (&'static str, &'static str)| {
        DIMENSIONS.iter().map(move |name| (remaining.replace('*', name), reset.replace('*', name)))
    };
    let waits = COUNTERS.into_iter().flat_map(dimensions).filter_map(|(remaining, reset)| {
        if headers.get(&remaining)?.parse::<f64>().ok()? > 0.0 {
            return None;
        }
        let reset = headers.get(&reset)?;
        duration(reset).or_else(|| until(reset, headers))
    });
    waits.max()
}

/// The wait that a sentence names, as in "Please try again in 1m2.5s.".
pub fn of_text(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let behind = ["retry in ", "try again in ", "retry after "]
        .iter()
        .filter_map(|words| lower.find(words).and_then(|at| lower.get(at + words.len()..)))
        .next()?;
    let mut words = behind.split_whitespace();
    let first = words.next()?.trim_end_matches(['.', ',']);
    let unit = words.next().unwrap_or_default();
    match first.parse::<f64>() {
        Ok(seconds) if unit.starts_with("second") => believed(seconds * 1_000.0),
        Ok(minutes) if unit.starts_with("minute") => believed(minutes * 60_000.0),
        Ok(milliseconds) if unit.starts_with("ms") || unit.starts_with("millisecond") => believed(milliseconds),
        // A number alone could be anything.
        Ok(_) => None,
        Err(_) => duration(first),
    }
}

/// A duration like `6m0s`, `46.5s`, `20ms`. A number without a unit is seconds.
pub fn duration(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<f64>() {
        return believed(seconds * 1_000.0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, behind) = rest.split_at(digits);
        let unit = behind.find(|letter: char| letter.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        let milliseconds = match unit {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * milliseconds;
        rest = behind;
    }
    (!text.trim().is_empty()).then_some(total).and_then(believed)
}

/// Rounded up, so that nobody comes a moment early.
fn believed(milliseconds: f64) -> Option<u64> {
    (0.0..=WAIT_MS_MAX).contains(&milliseconds).then_some(milliseconds.ceil() as u64)
}

fn until(date: &str, headers: Headers<'_>) -> Option<u64> {
    let now = seconds_of(headers.get("date")?)?;
    let then = seconds_of(date)?;
    believed(then.saturating_sub(now) as f64 * 1_000.0)
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110) or `1994-11-06T08:49:37Z` (RFC 3339; its fraction does not matter).
fn seconds_of(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    if let Some((day, clock)) = date.split_once('T').filter(|(day, _)| day.len() == 10) {
        let clock = clock.strip_suffix('Z')?.split('.').next()?;
        let mut numbers = day.split('-').map(|number| number.parse::<u64>().ok());
        let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
        return seconds(year, month, day, clock);
    }
    let mut words = date.split_whitespace().skip(1);
    let day = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year = words.next()?.parse().ok()?;
    seconds(year, month, day, words.next()?)
}

fn seconds(year: u64, month: u64, day: u64, clock: &str) -> Option<u64> {
    let mut clock = clock.split(':').map(|number| number.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let fits = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !fits || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years begin in March here, so that a leap day is the last of its year.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // 719,468 days lie between the first of March of year 0 and 1970.
    Some((days.checked_sub(719_468)? * 24 + hour) * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Option<u64>) {
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        headers.push(("Date".into(), "Wed, 31 Dec 2025 23:59:00 GMT".into()));
        assert_eq!(of_headers(Headers::new(&headers)), expected, "{headers:?}");
    }

    #[test]
    fn standard_header_has_seconds_or_a_date() {
        check(&[("Retry-After", "20")], Some(20_000));
        check(&[("retry-after", " 0.25 ")], Some(250));
        check(&[("Retry-After", "Thu, 01 Jan 2026 00:00:30 GMT")], Some(90_000));
        check(&[("Retry-After", "Wed, 31 Dec 2025 00:00:00 GMT")], Some(0));
        for wrong in ["", "soon", "-1", "86401", "NaN", "Fri, 02 Jan 2026 00:00:00 GMT"] {
            check(&[("Retry-After", wrong)], None);
        }
    }

    #[test]
    fn milliseconds_win_over_seconds() {
        check(&[("Retry-After", "2"), ("retry-after-ms", "1234")], Some(1_234));
        check(&[("Retry-After", "2"), ("retry-after-ms", "x")], Some(2_000));
    }

    #[test]
    fn counter_counts_only_when_it_is_at_nothing() {
        let reset = [("x-ratelimit-reset-requests", "6m0s"), ("x-ratelimit-reset-tokens", "20ms")];
        check(
            &[reset[0], reset[1], ("x-ratelimit-remaining-requests", "3"), ("x-ratelimit-remaining-tokens", "0")],
            Some(20),
        );
        check(
            &[reset[0], reset[1], ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-remaining-tokens", "0")],
            Some(360_000),
        );
        check(&reset, None);
        check(
            &[
                ("anthropic-ratelimit-input-tokens-remaining", "0"),
                ("anthropic-ratelimit-input-tokens-reset", "2025-12-31T23:59:42Z"),
            ],
            Some(42_000),
        );
    }

    #[test]
    fn moment_is_in_milliseconds_since_1970() {
        // The response is of 23:59:00, a minute before 1,767,225,600 s.
        check(&[("X-RateLimit-Reset", "1767225542500")], Some(2_500));
        check(&[("x-ratelimit-reset", "1767225542500"), ("x-ratelimit-remaining", "0")], Some(2_500));
        for other in ["1767225542", "30", "1767225540000000", "soon"] {
            check(&[("x-ratelimit-reset", other)], None);
        }
        check(&[("x-ratelimit-reset", "1767225542500"), ("x-ratelimit-remaining", "4")], None);
    }

    #[test]
    fn durations_have_units() {
        for (text, expected) in [
            ("46s", Some(46_000)),
            ("46.5s", Some(46_500)),
            ("1h0m1s", Some(3_601_000)),
            ("20ms", Some(20)),
            ("7", Some(7_000)),
            ("", None),
            ("s", None),
            ("5x", None),
            ("99h", None),
            ("1.2.3s", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
    }

    #[test]
    fn sentences_name_waits() {
        for (text, expected) in [
            ("Limit reached. Please try again in 1m2.5s. Visit", Some(62_500)),
            ("Please retry in 46.123s.", Some(46_123)),
            ("try again in 20ms", Some(20)),
            ("Please retry after 6 seconds.", Some(6_000)),
            ("Try again in 2 minutes", Some(120_000)),
            ("try again in 5", None),
            ("try again in a while", None),
            ("wait", None),
        ] {
            assert_eq!(of_text(text), expected, "{text}");
        }
    }

    #[test]
    fn dates_count_from_1970() {
        assert_eq!(seconds_of("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds_of("1994-11-06T08:49:37.5Z"), Some(784_111_777));
        assert_eq!(seconds_of("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(seconds_of("2024-13-01T00:00:00Z"), None);
    }
}
