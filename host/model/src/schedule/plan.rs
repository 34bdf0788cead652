//! Where one schedule stands, and what follows from it at a moment: its next date, and the past it is catching up with.

use jiff::{SignedDuration, Timestamp};

use super::{Calendar, Recover};

/// What a trigger says of its dates, beside which they are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rules {
    /// A date later than this is passed over.
    pub late_max: Option<SignedDuration>,
    /// Said by the trigger; `None`: everything after an outage, nothing after it was switched off.
    pub recover: Option<Recover>,
}

/// Where a schedule stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The first date that was not looked at. Stays where it is during a replay.
    pub next: Option<Timestamp>,
    pub replay: Option<Replay>,
}

/// A past that a schedule goes through, one date after the other, before it goes on. People call it a backfill.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The last date that belongs to it.
    pub end: Timestamp,
    /// The first of its dates that was not looked at.
    pub current: Timestamp,
    pub paused: bool,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing, by itself.
    Idle,
    /// Nothing before this date.
    Wait(Timestamp),
    /// A date has come. Whether it fires is for the conditions.
    Due { date: Timestamp, replayed: bool },
    /// A date has come and is too old to fire.
    Late { date: Timestamp },
}

impl Plan {
    /// A schedule that begins now.
    pub fn begin(calendar: &Calendar, now: Timestamp) -> Self {
        Self { next: calendar.after(now), replay: None }
    }

    /// What there is to do now.
    pub fn look(&self, rules: &Rules, now: Timestamp) -> Look {
        if let Some(replay) = self.replay.as_ref().filter(|replay| !replay.paused) {
            return Look::Due { date: replay.current, replayed: true };
        }
        match self.next {
            None => Look::Idle,
            Some(date) if date > now => Look::Wait(date),
            Some(date) if rules.late_max.is_some_and(|most| now.duration_since(date) > most) => Look::Late { date },
            Some(date) => Look::Due { date, replayed: false },
        }
    }

    /// Goes past a date that [`Plan::look`] found. The next one follows from that date, not from now: no firing is lost to a late look.
    pub fn pass(&mut self, calendar: &Calendar, look: Look) {
        match look {
            Look::Idle | Look::Wait(_) => {}
            Look::Late { date } | Look::Due { date, replayed: false } => self.next = calendar.after(date),
            Look::Due { date, replayed: true } => {
                let end = self.replay.as_ref().map(|replay| replay.end);
                match (calendar.after(date), end) {
                    (Some(next), Some(end)) if next <= end => {
                        if let Some(replay) = &mut self.replay {
                            replay.current = next;
                        }
                    }
                    _ => self.replay = None,
                }
            }
        }
    }

    /// Nobody has looked for a while: the server was down, or the trigger switched off.
    pub fn resume(&mut self, calendar: &Calendar, recover: Recover, now: Timestamp) {
        self.next = match self.next {
            Some(next) => recover.resume(calendar, next, now),
            None => None,
        };
    }

    /// Begins to go through a past; `None` if it holds no date, and nothing changes.
    pub fn replay(&mut self, calendar: &Calendar, start: Timestamp, end: Timestamp) -> Option<()> {
        let current = calendar.from(start).filter(|first| *first <= end)?;
        self.replay = Some(Replay { end, current, paused: false });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::schedule::Cron;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_704_067_200 + hour * 3_600).unwrap()
    }

    fn hourly() -> Calendar {
        Calendar::Cron { cron: Cron::parse("@hourly", false).unwrap(), zone: TimeZone::UTC }
    }

    /// Hours at which it fires up to `now`, at most `most`; a star marks those of a replay.
    fn firings(plan: &mut Plan, rules: &Rules, now: Timestamp, most: usize) -> Vec<String> {
        let mut found = Vec::new();
        while found.len() < most {
            let look = plan.look(rules, now);
            match look {
                Look::Idle | Look::Wait(_) => break,
                Look::Late { .. } => {}
                Look::Due { date, replayed } => {
                    let hour = (date.as_second() - at(0).as_second()) / 3_600;
                    found.push(format!("{hour}{}", if replayed { "*" } else { "" }));
                }
            }
            plan.pass(&hourly(), look);
        }
        found
    }

    #[test]
    fn dates_follow_from_the_last_date_not_from_now() {
        let mut plan = Plan::begin(&hourly(), at(0));
        assert_eq!(plan.look(&Rules::default(), at(0)), Look::Wait(at(1)));
        assert_eq!(firings(&mut plan, &Rules::default(), at(4), 99), ["1", "2", "3", "4"]);
        assert_eq!(plan.next, Some(at(5)));
        // A clock that goes back fires nothing again.
        assert_eq!(firings(&mut plan, &Rules::default(), at(2), 99), Vec::<String>::new());
    }

    #[test]
    fn what_is_too_late_is_passed_over() {
        let rules = Rules { late_max: Some(SignedDuration::from_hours(1)), recover: None };
        let mut plan = Plan::begin(&hourly(), at(0));
        assert_eq!(firings(&mut plan, &rules, at(4), 99), ["3", "4"]);
    }

    #[test]
    fn a_replay_goes_first_and_then_the_schedule_goes_on() {
        let mut plan = Plan::begin(&hourly(), at(10));
        plan.replay(&hourly(), at(2), at(4)).unwrap();
        let rules = Rules { late_max: Some(SignedDuration::ZERO), recover: None };
        assert_eq!(firings(&mut plan, &rules, at(10), 2), ["2*", "3*"]);
        plan.replay.as_mut().unwrap().paused = true;
        assert_eq!(firings(&mut plan, &rules, at(11), 99), ["11"]);
        plan.replay.as_mut().unwrap().paused = false;
        assert_eq!(firings(&mut plan, &rules, at(12), 99), ["4*", "12"]);
        assert_eq!(plan, Plan { next: Some(at(13)), replay: None });
    }

    #[test]
    fn a_replay_of_nothing_is_none() {
        let mut plan = Plan::begin(&hourly(), at(10));
        let half = SignedDuration::from_mins(10);
        assert_eq!(plan.replay(&hourly(), at(2) + half, at(3) - half), None);
        assert_eq!(plan.replay(&hourly(), at(5), at(3)), None);
        assert_eq!(plan.replay, None);
    }
}
