//! Triggers by the clock: cron expressions, time zones and lists of dates, read into calendars.

use std::sync::LazyLock;

use expr::Value;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::Regex;

use super::{condition, flow};
use crate::flow::Dynamic;
use crate::node::{Fields, Node};
use crate::problem::{Problems, quoted_list, shown};
use crate::schedule::{Calendar, Cron, NICKNAMES, Recover, Rules};
use crate::trigger::{Dates, Schedule};
use crate::typing::{holds_expression, shown_value};

/// Dates of one list: each is looked at one by one.
const DATES_MAX: usize = 10_000;

/// A schedule by a cron expression, and the conditions under their old name.
pub(super) fn by_cron(fields: &mut Fields<'_>, problems: &mut Problems) -> (Option<Schedule>, Vec<Value>) {
    let with_seconds = fields.boolean("withSeconds", false, problems);
    let cron = fields.require("cron", problems).and_then(|node| cron(&node, with_seconds, problems));
    let zone = zone(fields, problems);
    let rules = rules(fields, problems);
    if let Some(node) = fields.get("interval") {
        problems.push(node.error("flow.not_supported", "`interval` cannot be set on a schedule").hint("use `cron`"));
    }
    let old = fields.list("scheduleConditions", problems);
    let old = condition::read_all(old, condition::Place::Flow, problems);
    // Kestra's own state, which old exports carry along.
    fields.map("backfill", problems);
    let dates = cron.zip(zone).map(|(cron, zone)| Dates::Known(Calendar::Cron { cron, zone }));
    (dates.map(|dates| Schedule { dates, rules }), old)
}

/// A schedule by a list of dates.
pub(super) fn on_dates(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Schedule> {
    let node = fields.require("dates", problems);
    let zone = zone(fields, problems);
    let rules = rules(fields, problems);
    let (node, zone) = (node?, zone?);
    if holds_expression(node.value) {
        return Some(Schedule { dates: Dates::Rendered { dates: Dynamic(node.value.clone()), zone }, rules });
    }
    if node.value.as_list().is_none_or(<[_]>::is_empty) {
        problems.push(node.wrong_type("a list of at least one date"));
        return None;
    }
    match Dates::of_list(node.value, &zone) {
        Ok(calendar) => Some(Schedule { dates: Dates::Known(calendar), rules }),
        Err(reason) => {
            problems.push(node.error("flow.date", reason).hint("write dates such as `2024-05-05T10:00:00+02:00`"));
            None
        }
    }
}

impl Dates {
    /// The calendar of a list of dates; those without an offset are of the time zone.
    pub fn of_list(value: &Value, zone: &TimeZone) -> Result<Calendar, String> {
        let list = value.as_list().ok_or_else(|| "the dates are no list".to_owned())?;
        if list.len() > DATES_MAX {
            return Err(format!("there are {} dates, and {DATES_MAX} at most", list.len()));
        }
        let dates: Result<Vec<Timestamp>, String> = list.iter().map(|date| moment(date, zone)).collect();
        Ok(Calendar::of_dates(dates?, zone.clone()))
    }
}

fn moment(value: &Value, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = shown_value(value);
    let text = text.trim();
    let local = || expr::parse_local(text)?.to_zoned(zone.clone()).ok();
    let found = expr::parse_zoned(text).or_else(local);
    found.map(|date| date.timestamp()).ok_or_else(|| format!("`{}` is no date with a time", shown(text)))
}

fn rules(fields: &mut Fields<'_>, problems: &mut Problems) -> Rules {
    const POLICIES: &[(&str, Recover)] = &[("ALL", Recover::All), ("LAST", Recover::Last), ("NONE", Recover::None)];
    Rules {
        late_max: fields.duration("lateMaximumDelay", problems),
        recover: fields.choice("recoverMissedSchedules", POLICIES, problems),
    }
}

fn zone(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<TimeZone> {
    let Some(node) = fields.get("timezone") else { return Some(TimeZone::UTC) };
    let name = crate::node::text(&node, problems)?;
    match expr::zone(&name) {
        Ok(zone) => Some(zone),
        Err(error) => {
            let problem = node.error("flow.timezone", format!("`{}` is no time zone", shown(&name)));
            problems.push(problem.hints(error.problem().and_then(|problem| problem.hint.clone())));
            None
        }
    }
}

fn cron(node: &Node<'_>, with_seconds: bool, problems: &mut Problems) -> Option<Cron> {
    let text = crate::node::text(node, problems)?;
    let read = check(&text, with_seconds).and_then(|()| Cron::parse(&text, with_seconds));
    match read {
        Ok(cron) => Some(cron),
        Err(reason) => {
            let hint = "write minute, hour, day, month and weekday, or `@hourly`, `@daily`, …; seconds in front need `withSeconds: true`";
            let problem = node.error("flow.cron", format!("invalid cron expression `{}`: {reason}", shown(&text)));
            problems.push(problem.hint(hint));
            None
        }
    }
}

static FIELD: LazyLock<Regex> =
    LazyLock::new(|| flow::pattern(r"^(\*|\?|[0-9A-Za-z#*-]+)(/[0-9]+)?(,(\*|\?|[0-9A-Za-z#*-]+)(/[0-9]+)?)*$"));

/// Refuses what is plainly no cron expression, in words that say which part.
fn check(text: &str, with_seconds: bool) -> Result<(), String> {
    /// Seconds, minutes, hours, days, months, weekdays: least and greatest number.
    const BOUNDS: &[(u32, u32)] = &[(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    let text = text.trim();
    if text.starts_with('@') {
        let names: Vec<&str> = NICKNAMES.iter().map(|(name, _)| *name).collect();
        return if names.contains(&text) { Ok(()) } else { Err(format!("known are {}", quoted_list(&names))) };
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let bounds = if with_seconds { BOUNDS } else { BOUNDS.get(1..).unwrap_or_default() };
    if fields.len() != bounds.len() {
        return Err(format!("it has {} fields, not {}", fields.len(), bounds.len()));
    }
    for (field, (least, greatest)) in fields.iter().zip(bounds) {
        if !FIELD.is_match(field) {
            return Err(format!("`{field}` is no field"));
        }
        // What stands behind a slash or a # is a count, not a time.
        let times = field.split(',').filter_map(|part| part.split(['/', '#']).next());
        for number in times.flat_map(|part| part.split('-')).filter_map(|number| number.parse::<u32>().ok()) {
            if number < *least || number > *greatest {
                return Err(format!("`{number}` is not between {least} and {greatest}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_cron_expressions_pass_and_plain_nonsense_does_not() {
        for fine in [
            "* * * * *",
            "*/5 0-6,12 1 JAN-MAR MON#2",
            "0 0 L * ?",
            "@daily",
            "0 11 * * 1-5",
            "1,2 * * * *",
            "0 0 15W * *",
            "5/10 0 * * *",
            "0 0 LW * *",
        ] {
            assert_eq!(check(fine, false), Ok(()), "{fine}");
            assert!(Cron::parse(fine, false).is_ok(), "{fine}: {:?}", Cron::parse(fine, false));
        }
        assert_eq!(check("*/10 * * * * *", true), Ok(()));
        for wrong in [
            "",
            "* * * *",
            "* * * * * *",
            "$ome Inv@lid Cr0n x y",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "@sometimes",
        ] {
            assert!(check(wrong, false).is_err(), "{wrong}");
        }
        assert!(Cron::parse("* * * * WOD", false).is_err());
    }

    #[test]
    fn dates_of_a_list_are_of_its_zone_unless_they_say_another() {
        let zone = expr::zone("Europe/Paris").unwrap();
        let list = |dates: &[&str]| Dates::of_list(&Value::list(dates.iter().map(|date| Value::from(*date))), &zone);
        let Ok(Calendar::Dates { dates, .. }) = list(&["2024-07-01T10:00:00", "2024-07-01T10:00:00Z"]) else {
            panic!()
        };
        assert_eq!(
            dates.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["2024-07-01T08:00:00Z", "2024-07-01T10:00:00Z"]
        );
        assert_eq!(list(&["soon"]), Err("`soon` is no date with a time".to_owned()));
        assert!(Dates::of_list(&Value::from("x"), &zone).is_err());
    }
}
