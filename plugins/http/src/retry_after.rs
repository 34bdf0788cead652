//! How long a server asks to wait: the header `Retry-After`, as seconds or as a date. Pure: a date counts from the response's own `Date`,
//! because the two clocks need not agree.

use sluice_sdk::http::Headers;

/// Longest wait that is believed: a day. What is longer says "do not come back", which is not for a retry to decide.
const MAX_SECONDS: u64 = 86_400;

/// The seconds to wait, where the server names them.
pub fn seconds(headers: &Headers) -> Option<u64> {
    let text = headers.get("retry-after")?.trim();
    let seconds = match text.parse() {
        Ok(seconds) => seconds,
        Err(_) => http_date(text)?.saturating_sub(http_date(headers.get("date")?.trim())?),
    };
    (seconds <= MAX_SECONDS).then_some(seconds)
}

/// Seconds since 1970 of a date like `Sun, 06 Nov 1994 08:49:37 GMT`, the one form servers may send (RFC 9110).
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_whitespace().skip(1);
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let year: u64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(str::parse::<u64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // The year begins in March, so that the day a leap year adds is its last.
    let shifted_year = if month < 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 10) % 12) + 2) / 5 + day - 1;
    let days = 365 * shifted_year + shifted_year / 4 - shifted_year / 100 + shifted_year / 400 + day_of_year;
    // Days from the first of March of year 0 to 1970-01-01.
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(retry_after: &str, expected: Option<u64>) {
        let mut headers = Headers::default();
        headers.append("Retry-After", retry_after);
        headers.append("Date", "Wed, 31 Dec 2025 23:59:00 GMT");
        assert_eq!(seconds(&headers), expected, "{retry_after}");
    }

    #[test]
    fn wait_is_read_from_both_forms() {
        check("120", Some(120));
        check("Thu, 01 Jan 2026 00:00:30 GMT", Some(90));
        check("Wed, 31 Dec 2025 00:00:00 GMT", Some(0));
    }

    #[test]
    fn what_is_no_wait_is_left_out() {
        for text in ["", "soon", "-1", "86401", "Thu, 32 Jan 2026 00:00:30 GMT", "Fri, 02 Jan 2026 00:00:00 GMT"] {
            check(text, None);
        }
        assert_eq!(seconds(&Headers::default()), None);
    }

    #[test]
    fn dates_count_from_1970() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
    }
}
