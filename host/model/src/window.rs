//! Windows of time in which several executions must come to pass, and what has come to pass in one. Pure arithmetic; days are those of UTC.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Time;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A window of time.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// One after the other from midnight, or from so long after it.
    Tumbling { length: SignedDuration, advance: SignedDuration },
    /// What lies at most so far back.
    Sliding { length: SignedDuration },
    /// From midnight to a time of day.
    Until(TimeOfDay),
    /// Between two times of day, the second on the next day if it is the earlier.
    Between(TimeOfDay, TimeOfDay),
}

impl Default for Window {
    fn default() -> Self {
        Self::Tumbling { length: SignedDuration::from_hours(24), advance: SignedDuration::ZERO }
    }
}

/// A time of day at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    pub time: Time,
    pub offset: Offset,
}

impl TimeOfDay {
    /// Reads `09:00`, `09:00:00` or `09:00:00+01:00`; UTC where no offset is given.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let at = text.find(['Z', 'z', '+', '-']).unwrap_or(text.len());
        let (time, offset) = text.split_at_checked(at)?;
        let offset = match offset {
            "" => Offset::UTC,
            written => expr::zone(written).ok()?.to_fixed_offset().ok()?,
        };
        Some(Self { time: time.parse().ok()?, offset })
    }

    /// This time on the day that is so many days from the one of a moment.
    fn on_day_of(self, moment: Timestamp, days: i64) -> Option<Timestamp> {
        let day = self.offset.to_datetime(moment).date();
        let day = day.checked_add(SignedDuration::from_hours(24 * days)).ok()?;
        self.offset.to_timestamp(day.to_datetime(self.time)).ok()
    }
}

impl Window {
    /// From when what has come to pass counts at a moment; `None`: nothing that comes to pass now counts.
    pub fn since(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Tumbling { length, advance } => {
                let length = length.as_nanos().max(1);
                let passed = (now.as_nanosecond() - advance.as_nanos()).div_euclid(length);
                Timestamp::from_nanosecond(passed * length + advance.as_nanos()).ok()
            }
            Self::Sliding { length } => now.checked_sub(*length).ok(),
            Self::Until(deadline) => {
                let midnight = TimeOfDay { time: Time::midnight(), offset: deadline.offset };
                let until = deadline.on_day_of(now, 0)?;
                (now <= until).then(|| midnight.on_day_of(now, 0)).flatten()
            }
            Self::Between(from, to) => {
                let spans = [-1, 0].into_iter().filter_map(|days| {
                    let start = from.on_day_of(now, days)?;
                    let end = to.on_day_of(start, 0)?;
                    let end = if end <= start { to.on_day_of(start, 1)? } else { end };
                    Some((start, end))
                });
                spans.into_iter().find(|(start, end)| *start <= now && now <= *end).map(|(start, _)| start)
            }
        }
    }
}

/// What has come to pass: when each of the things that must.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gathered {
    met: BTreeMap<String, Timestamp>,
}

impl Gathered {
    /// Notes what comes to pass now, forgets what the window no longer holds, and says whether all that must has come to pass.
    pub fn note(&mut self, window: &Window, now: Timestamp, met: &[String], all: &[String]) -> bool {
        let Some(since) = window.since(now) else {
            self.met.clear();
            return false;
        };
        self.met.retain(|name, at| *at >= since && all.contains(name));
        self.met.extend(met.iter().map(|name| (name.clone(), now)));
        let names: BTreeSet<&String> = self.met.keys().collect();
        !all.is_empty() && all.iter().all(|name| names.contains(name))
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.met.clear();
    }

    /// Whether nothing has come to pass.
    pub fn is_empty(&self) -> bool {
        self.met.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn time(text: &str) -> TimeOfDay {
        TimeOfDay::parse(text).unwrap()
    }

    #[test]
    fn windows_begin_where_the_table_says() {
        let hours = SignedDuration::from_hours;
        let day = Window::default();
        let six = Window::Tumbling { length: hours(6), advance: SignedDuration::ZERO };
        let shifted = Window::Tumbling { length: hours(24), advance: hours(6) };
        let back = Window::Tumbling { length: hours(24), advance: hours(-2) };
        let sliding = Window::Sliding { length: hours(1) };
        let until = Window::Until(time("09:00"));
        let until_there = Window::Until(time("09:00:00+02:00"));
        let between = Window::Between(time("06:00:00"), time("09:00:00Z"));
        let overnight = Window::Between(time("22:00"), time("02:00"));
        let cases: [(&Window, &str, Option<&str>); 17] = [
            (&day, "2024-05-05T10:00:00Z", Some("2024-05-05T00:00:00Z")),
            (&day, "2024-05-05T00:00:00Z", Some("2024-05-05T00:00:00Z")),
            (&six, "2024-05-05T11:59:59Z", Some("2024-05-05T06:00:00Z")),
            (&shifted, "2024-05-05T05:00:00Z", Some("2024-05-04T06:00:00Z")),
            (&shifted, "2024-05-05T06:00:00Z", Some("2024-05-05T06:00:00Z")),
            (&back, "2024-05-05T23:00:00Z", Some("2024-05-05T22:00:00Z")),
            (&sliding, "2024-05-05T10:00:00Z", Some("2024-05-05T09:00:00Z")),
            (&until, "2024-05-05T09:00:00Z", Some("2024-05-05T00:00:00Z")),
            (&until, "2024-05-05T09:00:01Z", None),
            (&until_there, "2024-05-05T07:00:00Z", Some("2024-05-04T22:00:00Z")),
            (&until_there, "2024-05-05T07:00:01Z", None),
            (&between, "2024-05-05T06:00:00Z", Some("2024-05-05T06:00:00Z")),
            (&between, "2024-05-05T05:59:59Z", None),
            (&between, "2024-05-05T09:00:01Z", None),
            (&overnight, "2024-05-05T23:00:00Z", Some("2024-05-05T22:00:00Z")),
            (&overnight, "2024-05-06T01:00:00Z", Some("2024-05-05T22:00:00Z")),
            (&overnight, "2024-05-06T03:00:00Z", None),
        ];
        for (window, now, expected) in cases {
            assert_eq!(window.since(at(now)), expected.map(at), "{window:?} at {now}");
        }
    }

    #[test]
    fn all_must_come_to_pass_within_the_window() {
        let names = ["a", "b"].map(str::to_owned);
        let one = |name: &str| vec![name.to_owned()];
        let window = Window::Sliding { length: SignedDuration::from_mins(10) };
        let mut gathered = Gathered::default();
        assert!(!gathered.note(&window, at("2024-05-05T10:00:00Z"), &one("a"), &names));
        assert!(!gathered.note(&window, at("2024-05-05T10:11:00Z"), &one("b"), &names), "the first is too far back");
        assert!(gathered.note(&window, at("2024-05-05T10:12:00Z"), &one("a"), &names));
        assert!(gathered.note(&window, at("2024-05-05T10:13:00Z"), &one("a"), &names), "both still count");
        gathered.reset();
        assert!(gathered.is_empty());
        assert!(!gathered.note(&window, at("2024-05-05T10:14:00Z"), &one("a"), &names));
        let day = Window::default();
        let mut gathered = Gathered::default();
        assert!(!gathered.note(&day, at("2024-05-05T23:59:00Z"), &one("a"), &names));
        assert!(!gathered.note(&day, at("2024-05-06T00:01:00Z"), &one("b"), &names), "a day later");
        assert!(!gathered.note(&day, at("2024-05-06T00:01:00Z"), &[], &[]), "nothing must: nothing does");
        let until = Window::Until(time("09:00"));
        assert!(!gathered.note(&until, at("2024-05-06T10:00:00Z"), &names, &names), "outside");
        assert!(gathered.is_empty());
    }
}
