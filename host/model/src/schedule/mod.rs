//! When a schedule fires: dates by a cron expression or by a list, what is missed, late or done. Pure arithmetic.
//!
//! Nothing here reads a clock: the time now comes in. Whether the conditions of a trigger hold is for whoever can render them.

mod cron;
mod plan;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

pub use cron::{Cron, NICKNAMES};
pub use plan::{Look, Plan, Replay, Rules};

/// Dates that a trigger catches up with after an outage: of more, the oldest are passed over (reliability.md, schedules).
pub const CATCH_UP_MAX: usize = 1_000;

/// The dates of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub enum Calendar {
    /// By a cron expression, on the clocks of a time zone.
    Cron { cron: Cron, zone: TimeZone },
    /// By a list, in order.
    Dates { dates: Vec<Timestamp>, zone: TimeZone },
}

impl Calendar {
    /// A list of dates in any order.
    pub fn of_dates(mut dates: Vec<Timestamp>, zone: TimeZone) -> Self {
        dates.sort_unstable();
        dates.dedup();
        Self::Dates { dates, zone }
    }

    /// The first date after a moment.
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { cron, zone } => cron.after(moment, zone),
            Self::Dates { dates, .. } => dates.iter().copied().find(|date| *date > moment),
        }
    }

    /// The last date before a moment.
    pub fn before(&self, moment: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { cron, zone } => cron.before(moment, zone),
            Self::Dates { dates, .. } => dates.iter().rev().copied().find(|date| *date < moment),
        }
    }

    /// The first date at a moment or after it.
    pub fn from(&self, moment: Timestamp) -> Option<Timestamp> {
        self.after(moment.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(moment))
    }

    /// The last date at a moment or before it.
    pub fn until(&self, moment: Timestamp) -> Option<Timestamp> {
        self.before(moment.checked_add(SignedDuration::from_nanos(1)).unwrap_or(moment))
    }

    /// A date as people of its time zone read it.
    pub fn local(&self, date: Timestamp) -> Zoned {
        let (Self::Cron { zone, .. } | Self::Dates { zone, .. }) = self;
        date.to_zoned(zone.clone())
    }
}

/// What becomes of dates that passed while nobody looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recover {
    /// Each fires, one after the other.
    #[default]
    All,
    /// The last one fires.
    Last,
    /// None does.
    None,
}

impl Recover {
    /// The date that comes next, where `next` is the first that was not looked at.
    pub fn resume(self, calendar: &Calendar, next: Timestamp, now: Timestamp) -> Option<Timestamp> {
        if next > now {
            return Some(next);
        }
        match self {
            Self::None => calendar.after(now),
            Self::Last => calendar.until(now).map_or(Some(next), |last| Some(last.max(next))),
            Self::All => {
                let mut oldest = calendar.until(now).unwrap_or(next);
                for _ in 1..CATCH_UP_MAX {
                    match calendar.before(oldest) {
                        Some(before) if before >= next => oldest = before,
                        _ => break,
                    }
                }
                Some(oldest.max(next))
            }
        }
    }
}

/// A date as trigger variables show it: `2024-02-24T23:30:00-05:00`, `Z` for UTC.
pub fn shown(date: &Zoned) -> String {
    let local = date.datetime();
    match date.offset().seconds() {
        0 => format!("{local}Z"),
        seconds => {
            let sign = if seconds < 0 { '-' } else { '+' };
            let minutes = seconds.unsigned_abs() / 60;
            format!("{local}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn hourly() -> Calendar {
        Calendar::Cron { cron: Cron::parse("0 * * * *", false).unwrap(), zone: TimeZone::UTC }
    }

    #[test]
    fn what_was_missed_is_recovered_as_the_policy_says() {
        let (next, now) = (at("2024-01-01T03:00:00Z"), at("2024-01-01T06:30:00Z"));
        let cases = [
            (Recover::All, next, now, "2024-01-01T03:00:00Z"),
            (Recover::Last, next, now, "2024-01-01T06:00:00Z"),
            (Recover::None, next, now, "2024-01-01T07:00:00Z"),
            // Nothing was missed.
            (Recover::None, at("2024-01-01T07:00:00Z"), now, "2024-01-01T07:00:00Z"),
            (Recover::Last, at("2024-01-01T06:00:00Z"), now, "2024-01-01T06:00:00Z"),
            // A date on the hour counts.
            (Recover::Last, next, at("2024-01-01T06:00:00Z"), "2024-01-01T06:00:00Z"),
            // Of more than a thousand, the last thousand.
            (Recover::All, at("2023-01-01T00:00:00Z"), now, "2023-11-20T15:00:00Z"),
        ];
        for (policy, next, now, expected) in cases {
            assert_eq!(policy.resume(&hourly(), next, now), Some(at(expected)), "{policy:?} {next} {now}");
        }
    }

    #[test]
    fn dates_of_a_list_are_taken_in_order_and_end() {
        let dates = ["2024-03-01T00:00:00Z", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"];
        let calendar = Calendar::of_dates(dates.map(at).to_vec(), TimeZone::UTC);
        assert_eq!(calendar.after(at("2023-01-01T00:00:00Z")), Some(at("2024-01-01T00:00:00Z")));
        assert_eq!(calendar.after(at("2024-01-01T00:00:00Z")), Some(at("2024-03-01T00:00:00Z")));
        assert_eq!(calendar.after(at("2024-03-01T00:00:00Z")), None);
        assert_eq!(calendar.before(at("2024-03-01T00:00:00Z")), Some(at("2024-01-01T00:00:00Z")));
        assert_eq!(calendar.from(at("2024-03-01T00:00:00Z")), Some(at("2024-03-01T00:00:00Z")));
        assert_eq!(Recover::None.resume(&calendar, at("2024-01-01T00:00:00Z"), at("2025-01-01T00:00:00Z")), None);
    }

    #[test]
    fn dates_show_their_offset() {
        let zone = TimeZone::get("America/New_York").unwrap();
        assert_eq!(shown(&at("2024-02-25T04:30:00Z").to_zoned(zone)), "2024-02-24T23:30:00-05:00");
        assert_eq!(shown(&at("2024-02-25T04:30:00Z").to_zoned(TimeZone::UTC)), "2024-02-25T04:30:00Z");
    }
}
