//! Cron expressions on the clocks of a time zone. The calendar is croner's; what happens when clocks are changed is decided here.
//!
//! An expression whose hours are named means those hours on the clock: one that a clock leaves out is made up for at once (02:30
//! becomes 03:30), one that it shows twice fires the first time. An expression that runs through the hours (`*`, `*/2`) means time that
//! passes: it skips what is left out and goes on through what is shown twice.

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// Changes of offset looked at for one date: zones have a few a year, and what never comes is found out by the calendar.
const SEGMENTS_MAX: usize = 64;
/// Dates looked at after a change of clocks before the first that is still to come: what one day can hold of full hours and minutes.
const REPEATED_MAX: usize = 2 * 24 * 60 * 60;

/// Names for expressions.
pub const NICKNAMES: &[(&str, &str)] = &[
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A cron expression of five fields, or six with seconds, or a nickname such as `@daily`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cron {
    // Boxed: it is hundreds of bytes, and stands in enums beside things of a few.
    calendar: Box<croner::Cron>,
    /// Whether its hours are named.
    fixed: bool,
}

impl Cron {
    /// Reads an expression.
    pub fn parse(text: &str, with_seconds: bool) -> Result<Self, String> {
        let text = text.trim();
        let named = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, cron)| *cron);
        let (text, with_seconds) = (named.unwrap_or(text), with_seconds && named.is_none());
        let seconds = if with_seconds { Seconds::Required } else { Seconds::Disallowed };
        let parser = CronParser::builder().seconds(seconds).year(Year::Disallowed).sloppy_ranges(true).build();
        let calendar = parser.parse(text).map_err(|error| error.to_string())?;
        let hours = text.split_whitespace().nth(if with_seconds { 2 } else { 1 });
        let fixed = hours.is_some_and(|hours| !hours.contains(['*', '/', '?']));
        Ok(Self { calendar: Box::new(calendar), fixed })
    }

    /// The first date after a moment.
    pub fn after(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.fixed { self.named_after(moment, zone) } else { self.passing_after(moment, zone) }
    }

    /// The last date before a moment.
    pub fn before(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.fixed { self.named_before(moment, zone) } else { self.passing_before(moment, zone) }
    }

    fn next(&self, civil: DateTime, inclusive: bool) -> Option<DateTime> {
        self.calendar.find_next_occurrence(&civil, inclusive).ok()
    }

    fn previous(&self, civil: DateTime, inclusive: bool) -> Option<DateTime> {
        self.calendar.find_previous_occurrence(&civil, inclusive).ok()
    }

    // Named hours: clock times in order, each at the one moment that stands for it.
    fn named_after(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut civil = zone.to_datetime(moment);
        // What the last change left out may still be to come, and has a time on the clock that is past.
        if let Some((left_out, until)) = left_out_before(moment, zone)
            && moment < until
        {
            civil = civil.checked_sub(left_out).ok()?;
        }
        for _ in 0..REPEATED_MAX {
            civil = self.next(civil, false)?;
            let found = moment_of(civil, zone)?;
            if found > moment {
                return Some(found);
            }
        }
        None
    }

    fn named_before(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // A time that is shown twice may have been before, although the clock shows less now.
        let mut civil = zone.to_datetime(moment).checked_add(repeated_before(moment, zone)).ok()?;
        for _ in 0..REPEATED_MAX {
            civil = self.previous(civil, true)?;
            let found = moment_of(civil, zone)?;
            if found < moment {
                return Some(found);
            }
            civil = civil.checked_sub(SignedDuration::from_secs(1)).ok()?;
        }
        None
    }

    // Hours that pass: stretch by stretch of one offset.
    fn passing_after(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut offset = zone.to_offset(moment);
        let mut civil = self.next(offset.to_datetime(moment), false)?;
        let mut changes = zone.following(moment);
        for _ in 0..SEGMENTS_MAX {
            let found = offset.to_timestamp(civil).ok()?;
            let Some(change) = changes.next() else { return Some(found) };
            if found < change.timestamp() {
                return Some(found);
            }
            offset = change.offset();
            civil = self.next(offset.to_datetime(change.timestamp()), true)?;
        }
        None
    }

    fn passing_before(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let just_before = moment.checked_sub(SignedDuration::from_nanos(1)).ok()?;
        let mut offset = zone.to_offset(just_before);
        let mut civil = self.previous(whole_second(offset.to_datetime(just_before)), true)?;
        let mut changes = zone.preceding(moment);
        for _ in 0..SEGMENTS_MAX {
            let found = offset.to_timestamp(civil).ok()?;
            let Some(change) = changes.next() else { return Some(found) };
            if found >= change.timestamp() {
                return Some(found);
            }
            let last = change.timestamp().checked_sub(SignedDuration::from_nanos(1)).ok()?;
            offset = zone.to_offset(last);
            civil = self.previous(whole_second(offset.to_datetime(last)), true)?;
        }
        None
    }
}

fn whole_second(civil: DateTime) -> DateTime {
    civil.with().subsec_nanosecond(0).build().unwrap_or(civil)
}

/// The moment a clock time stands for: the first of two, and for none the one as long after the change as it is into what is left out.
fn moment_of(civil: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(civil).compatible().ok()
}

/// The last change of offset at a moment or before it: when, from what and to what.
fn last_change(moment: Timestamp, zone: &TimeZone) -> Option<(Timestamp, Offset, Offset)> {
    let next = moment.checked_add(SignedDuration::from_nanos(1)).ok()?;
    let change = zone.preceding(next).next()?;
    let before = change.timestamp().checked_sub(SignedDuration::from_nanos(1)).ok()?;
    Some((change.timestamp(), zone.to_offset(before), change.offset()))
}

/// How much the last change left out, and until when that is made up for.
fn left_out_before(moment: Timestamp, zone: &TimeZone) -> Option<(SignedDuration, Timestamp)> {
    let (at, from, to) = last_change(moment, zone)?;
    let left_out = SignedDuration::from_secs(i64::from(to.seconds() - from.seconds()));
    left_out.is_positive().then(|| at.checked_add(left_out).ok().map(|until| (left_out, until))).flatten()
}

/// How much the clock showed again since the last change, while it still does.
fn repeated_before(moment: Timestamp, zone: &TimeZone) -> SignedDuration {
    let Some((at, from, to)) = last_change(moment, zone) else { return SignedDuration::ZERO };
    let repeated = SignedDuration::from_secs(i64::from(from.seconds() - to.seconds()));
    let still = repeated.is_positive() && at.checked_add(repeated).is_ok_and(|until| moment < until);
    if still { repeated } else { SignedDuration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let with_seconds = cron.split_whitespace().count() == 6;
        let cron = Cron::parse(cron, with_seconds).unwrap();
        let zone = expr::zone(zone).unwrap();
        let mut moment: Timestamp = from.parse().unwrap();
        let mut found = Vec::new();
        for _ in 0..count {
            let Some(next) = cron.after(moment, &zone) else { break };
            // Going back finds the same dates.
            let back = cron.before(next, &zone);
            assert!(
                back.is_some_and(|back| back <= moment) || found.is_empty(),
                "before {next}: {back:?}, not {moment}"
            );
            if !found.is_empty() {
                assert_eq!(back, Some(moment), "before {next}");
            }
            moment = next;
            found.push(moment.to_string());
        }
        found
    }

    #[track_caller]
    fn check(cron: &str, zone: &str, from: &str, expected: &[&str]) {
        assert_eq!(dates(cron, zone, from, expected.len()), expected, "{cron} in {zone} from {from}");
    }

    #[test]
    fn expressions_mean_what_kestra_s_mean() {
        let from = "2024-01-30T10:17:30Z";
        check("*/15 * * * *", "UTC", from, &["2024-01-30T10:30:00Z", "2024-01-30T10:45:00Z"]);
        check("0 11 * * 1-5", "UTC", from, &["2024-01-30T11:00:00Z", "2024-01-31T11:00:00Z"]);
        check("0 0 L * ?", "UTC", from, &["2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z"]);
        check("0 0 15W * *", "UTC", from, &["2024-02-15T00:00:00Z", "2024-03-15T00:00:00Z", "2024-04-15T00:00:00Z"]);
        check("0 0 1W 6 *", "UTC", from, &["2024-06-03T00:00:00Z"]);
        check("0 9 * * MON#2", "UTC", from, &["2024-02-12T09:00:00Z", "2024-03-11T09:00:00Z"]);
        check("0 9 * * 5L", "UTC", from, &["2024-02-23T09:00:00Z"]);
        check("0 0 * * 7", "UTC", from, &["2024-02-04T00:00:00Z"]);
        check("0 0 * * 0", "UTC", from, &["2024-02-04T00:00:00Z"]);
        check(
            "0 0 1 JAN-MAR *",
            "UTC",
            from,
            &["2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z", "2025-01-01T00:00:00Z"],
        );
        // A day of the month or a day of the week: either will do.
        check("0 0 13 * FRI", "UTC", from, &["2024-02-02T00:00:00Z", "2024-02-09T00:00:00Z", "2024-02-13T00:00:00Z"]);
        check("*/10 * * * * *", "UTC", from, &["2024-01-30T10:17:40Z", "2024-01-30T10:17:50Z"]);
        check("0 12 * * *", "Asia/Tokyo", from, &["2024-01-31T03:00:00Z"]);
        check("0 12 29 2 *", "UTC", from, &["2024-02-29T12:00:00Z", "2028-02-29T12:00:00Z"]);
    }

    #[test]
    fn nicknames_are_expressions() {
        let from = "2024-01-30T10:17:30Z";
        for (nickname, next) in [
            ("@hourly", "2024-01-30T11:00:00Z"),
            ("@daily", "2024-01-31T00:00:00Z"),
            ("@midnight", "2024-01-31T00:00:00Z"),
            ("@weekly", "2024-02-04T00:00:00Z"),
            ("@monthly", "2024-02-01T00:00:00Z"),
            ("@yearly", "2025-01-01T00:00:00Z"),
            ("@annually", "2025-01-01T00:00:00Z"),
        ] {
            check(nickname, "UTC", from, &[next]);
        }
    }

    #[test]
    fn what_clocks_leave_out_fires_once() {
        // Paris, 31 March 2024: 01:00Z, the clock goes from 02:00 to 03:00.
        let from = "2024-03-30T12:00:00Z";
        check("30 2 * * *", "Europe/Paris", from, &["2024-03-31T01:30:00Z", "2024-04-01T00:30:00Z"]);
        check("0 2 * * *", "Europe/Paris", from, &["2024-03-31T01:00:00Z", "2024-04-01T00:00:00Z"]);
        check(
            "*/20 2 * * *",
            "Europe/Paris",
            "2024-03-31T00:00:00Z",
            &["2024-03-31T01:00:00Z", "2024-03-31T01:20:00Z", "2024-03-31T01:40:00Z", "2024-04-01T00:00:00Z"],
        );
        // 02:30 is made up for at 03:30, which is asked for as well: one firing.
        check("30 2,3 * * *", "Europe/Paris", from, &["2024-03-31T01:30:00Z", "2024-04-01T00:30:00Z"]);
        check("@hourly", "Europe/Paris", "2024-03-31T00:30:00Z", &["2024-03-31T01:00:00Z", "2024-03-31T02:00:00Z"]);
        check(
            "30 */1 * * *",
            "Europe/Paris",
            "2024-03-31T00:00:00Z",
            &["2024-03-31T00:30:00Z", "2024-03-31T01:30:00Z", "2024-03-31T02:30:00Z"],
        );
        // Every second hour of the clock: 02:00 is not there.
        check("0 */2 * * *", "Europe/Paris", "2024-03-30T22:30:00Z", &["2024-03-30T23:00:00Z", "2024-03-31T02:00:00Z"]);
        // A day that begins at one o'clock: Beirut, 31 March 2024.
        check("0 0 * * *", "Asia/Beirut", "2024-03-30T12:00:00Z", &["2024-03-30T22:00:00Z", "2024-03-31T21:00:00Z"]);
        // A day that was left out: Samoa went from 29 to 31 December 2011.
        check(
            "0 12 * * *",
            "Pacific/Apia",
            "2011-12-29T00:00:00Z",
            &["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z", "2011-12-31T22:00:00Z"],
        );
    }

    #[test]
    fn what_clocks_show_twice_fires_once_if_its_hour_is_named() {
        // Paris, 27 October 2024: 01:00Z, the clock goes from 03:00 to 02:00.
        let from = "2024-10-26T12:00:00Z";
        check("30 2 * * *", "Europe/Paris", from, &["2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"]);
        check(
            "0,30 2 * * *",
            "Europe/Paris",
            from,
            &["2024-10-27T00:00:00Z", "2024-10-27T00:30:00Z", "2024-10-28T01:00:00Z"],
        );
        // Asked in the second of the two hours.
        check("30 2 * * *", "Europe/Paris", "2024-10-27T01:10:00Z", &["2024-10-28T01:30:00Z"]);
        check(
            "30 * * * *",
            "Europe/Paris",
            "2024-10-27T00:00:00Z",
            &["2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z", "2024-10-27T02:30:00Z"],
        );
        check("0 3 * * *", "Europe/Paris", from, &["2024-10-27T02:00:00Z", "2024-10-28T02:00:00Z"]);
    }

    /// Zones whose clocks are changed by an hour, by half of one, by a day, at midnight, the other way round, and never.
    const ZONES: [&str; 8] = [
        "Europe/Paris",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Asia/Beirut",
        "Africa/Casablanca",
        "America/Sao_Paulo",
        "UTC",
    ];

    #[test]
    fn a_named_hour_comes_once_on_each_day_of_every_zone() {
        let start: Timestamp = "2011-01-01T00:00:00Z".parse().unwrap();
        let end: Timestamp = "2013-06-01T00:00:00Z".parse().unwrap();
        for name in ZONES {
            let zone = expr::zone(name).unwrap();
            for text in ["30 2 * * *", "0 0 * * *", "59 23 * * *", "15 3 * * *"] {
                let cron = Cron::parse(text, false).unwrap();
                let (mut moment, mut dates) = (start, Vec::new());
                while let Some(next) = cron.after(moment, &zone).filter(|next| *next < end) {
                    assert!(next > moment, "{text} in {name}: {next} after {moment}");
                    assert!(
                        dates.is_empty() || cron.before(next, &zone) == Some(moment),
                        "{text} in {name} before {next}"
                    );
                    dates.push(next);
                    moment = next;
                }
                // Samoa had no 30 December 2011: what would have been then is made up for on the day after, which has its own.
                let missing = usize::from(name == "Pacific/Apia");
                let days = end.duration_since(start).as_hours() as usize / 24;
                let near = |count: usize| count.abs_diff(days - missing) <= 1;
                assert!(near(dates.len()), "{text} in {name}: {} dates in {days} days", dates.len());
                let longest = dates.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_hours()).max();
                assert!(longest <= Some(26), "{text} in {name}: {longest:?} hours without a date");
            }
        }
    }

    #[test]
    fn hours_that_pass_leave_no_gap_and_repeat_nothing() {
        let start: Timestamp = "2011-01-01T00:07:00Z".parse().unwrap();
        for name in ZONES {
            let zone = expr::zone(name).unwrap();
            let cron = Cron::parse("*/30 * * * *", false).unwrap();
            let mut moment = cron.after(start, &zone).unwrap();
            for _ in 0..40_000 {
                let next = cron.after(moment, &zone).unwrap();
                assert_eq!(next.duration_since(moment), SignedDuration::from_mins(30), "in {name} after {moment}");
                assert_eq!(cron.before(next, &zone), Some(moment), "in {name} before {next}");
                moment = next;
            }
        }
    }

    #[test]
    fn what_never_comes_is_none() {
        let cron = Cron::parse("0 0 31 2 *", false).unwrap();
        assert_eq!(cron.after("2024-01-01T00:00:00Z".parse().unwrap(), &TimeZone::UTC), None);
        let cron = Cron::parse("0 0 30 2 *", false).unwrap();
        assert_eq!(cron.before("2024-01-01T00:00:00Z".parse().unwrap(), &TimeZone::UTC), None);
    }

    #[test]
    fn moments_between_seconds_are_no_trouble() {
        let cron = Cron::parse("0 * * * *", false).unwrap();
        for zone in ["UTC", "Europe/Paris"] {
            let zone = expr::zone(zone).unwrap();
            let at = |text: &str| text.parse::<Timestamp>().unwrap();
            assert_eq!(cron.after(at("2024-01-01T00:59:59.5Z"), &zone), Some(at("2024-01-01T01:00:00Z")));
            assert_eq!(cron.after(at("2024-01-01T01:00:00.5Z"), &zone), Some(at("2024-01-01T02:00:00Z")));
            assert_eq!(cron.before(at("2024-01-01T01:00:00.5Z"), &zone), Some(at("2024-01-01T01:00:00Z")));
            assert_eq!(cron.before(at("2024-01-01T01:00:00Z"), &zone), Some(at("2024-01-01T00:00:00Z")));
        }
    }
}
