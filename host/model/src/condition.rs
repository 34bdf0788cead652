//! Whether a condition of a trigger or listener holds: pure, except that what must be rendered is asked of the caller.
//!
//! A MultipleCondition looks at several executions over time and belongs to whoever keeps them: it is refused here.

use expr::{Map, Value, is_public_holiday};
use jiff::Timestamp;
use jiff::civil::{Date, Weekday};

use crate::flow::Label;
use crate::ids::FlowKey;
use crate::state::State;
use crate::typing::{holds_expression, shown_value};

/// What every condition type begins with.
const PACKAGE: &str = "io.kestra.plugin.core.condition.";
/// The date that conditions about dates look at, unless they name another.
const DATE: &str = "{{ trigger.date }}";
/// The country of public holidays where none is named.
const COUNTRY: &str = "US";
/// Nesting of Not and Or: a flow's source is no deeper, and hand-made conditions must not be either.
const DEPTH: usize = crate::outline::MAX_DEPTH;

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("MONDAY", Weekday::Monday),
    ("TUESDAY", Weekday::Tuesday),
    ("WEDNESDAY", Weekday::Wednesday),
    ("THURSDAY", Weekday::Thursday),
    ("FRIDAY", Weekday::Friday),
    ("SATURDAY", Weekday::Saturday),
    ("SUNDAY", Weekday::Sunday),
];

/// What a condition looks at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The flow whose trigger or listener it is.
    pub flow: &'a FlowKey,
    /// The execution that is looked at; a Schedule has none.
    pub execution: Option<ExecutionFacts<'a>>,
}

/// What a condition may ask about an execution.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionFacts<'a> {
    pub flow: &'a FlowKey,
    pub state: State,
    pub labels: &'a [Label],
    pub outputs: &'a Map,
    /// How the attempts of its task runs ended.
    pub attempts: &'a [State],
}

/// A condition that cannot be evaluated. The text says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("condition `{class}`: {reason}")]
pub struct Unusable {
    pub class: String,
    pub reason: String,
}

/// Whether all conditions of a list hold. `render` evaluates a template with variables in front of the usual ones; its errors (one of them
/// may be that a call must be answered first) end the evaluation.
pub fn all_hold<E: From<Unusable>>(
    conditions: &[Value],
    facts: &Facts<'_>,
    render: &mut dyn FnMut(&Value, &Map) -> Result<Value, E>,
) -> Result<bool, E> {
    for condition in conditions {
        if !(Test { facts, render, depth: 0 }).holds(condition)? {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Test<'a, 'f, E> {
    facts: &'a Facts<'f>,
    render: &'a mut dyn FnMut(&Value, &Map) -> Result<Value, E>,
    depth: usize,
}

impl<E: From<Unusable>> Test<'_, '_, E> {
    fn holds(&mut self, condition: &Value) -> Result<bool, E> {
        let written = condition.get("type").and_then(Value::as_str).unwrap_or_default();
        let name = written.strip_prefix(PACKAGE).unwrap_or(written);
        let class = name.strip_suffix("Condition").filter(|name| *name != "Multiple").unwrap_or(name);
        let at = At { class, condition };
        match class {
            "DateTimeBetween" => {
                let now = self.date(&at)?;
                let now = instant(&now).ok_or_else(|| at.unusable(format!("`{now}` is no date with an offset")))?;
                self.between(&at, now, instant)
            }
            "TimeBetween" => {
                let now = self.date(&at)?;
                let clock = now.split_once('T').and_then(|(_, clock)| time_of_day(clock));
                let now = clock.ok_or_else(|| at.unusable(format!("`{now}` is no date with an offset")))?;
                self.between(&at, now, time_of_day)
            }
            "DayWeek" => Ok(self.day(&at)?.weekday() == self.weekday(&at)?),
            "DayWeekInMonth" => {
                let (day, weekday) = (self.day(&at)?, self.weekday(&at)?);
                let nth = match self.required(&at, "dayInMonth")?.to_ascii_uppercase().as_str() {
                    "FIRST" => 1,
                    "SECOND" => 2,
                    "THIRD" => 3,
                    "FOURTH" => 4,
                    "LAST" => -1,
                    other => return Err(at.unusable(format!("`dayInMonth` cannot be `{other}`")).into()),
                };
                Ok(day.nth_weekday_of_month(nth, weekday).is_ok_and(|found| found == day))
            }
            "Weekend" => Ok(matches!(self.day(&at)?.weekday(), Weekday::Saturday | Weekday::Sunday)),
            "PublicHoliday" => {
                let day = self.day(&at)?;
                let country = self.text(&at, "country")?.unwrap_or_else(|| COUNTRY.to_owned());
                let subdivision = self.text(&at, "subDivision")?;
                let found = is_public_holiday(day, &country, subdivision.as_deref());
                found.map_err(|error| at.unusable(error.to_string()).into())
            }
            "ExecutionFlow" => {
                let flow = at.execution(self.facts)?.flow;
                self.is_flow(&at, flow)
            }
            "Flow" => self.is_flow(&at, self.facts.flow),
            "ExecutionNamespace" => {
                let flow = at.execution(self.facts)?.flow;
                self.is_namespace(&at, flow)
            }
            "FlowNamespace" => self.is_namespace(&at, self.facts.flow),
            "ExecutionLabels" => {
                let has = at.execution(self.facts)?.labels;
                let wanted = labels(condition.get("labels").unwrap_or(&Value::Null));
                let wanted =
                    wanted.ok_or_else(|| at.unusable("`labels` must be a map, or a list of `key` and `value`"))?;
                Ok(wanted.iter().all(|label| has.contains(label)))
            }
            "ExecutionOutputs" => {
                let outputs = at.execution(self.facts)?.outputs;
                if outputs.is_empty() {
                    return Ok(false);
                }
                let trigger = Value::map([("outputs", Value::from(outputs.clone()))]);
                let variables = [("trigger".into(), trigger)].into_iter().collect();
                Ok((self.render)(at.expression()?, &variables)?.truthy())
            }
            "Expression" => Ok((self.render)(at.expression()?, &Map::new())?.truthy()),
            "ExecutionStatus" => {
                let state = at.execution(self.facts)?.state;
                Ok(at.admits(state))
            }
            "HasRetryAttempt" => Ok(at.execution(self.facts)?.attempts.iter().any(|state| at.admits(*state))),
            "Not" => Ok(!self.any(&at)?),
            "Or" => self.any(&at),
            _ => Err(at.unusable("it cannot be told by one execution, or is not known").into()),
        }
    }

    fn any(&mut self, at: &At<'_>) -> Result<bool, E> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(at.unusable(format!("conditions are nested more than {DEPTH} deep")).into());
        }
        for condition in at.condition.get("conditions").and_then(Value::as_list).unwrap_or_default() {
            if self.holds(condition)? {
                self.depth -= 1;
                return Ok(true);
            }
        }
        self.depth -= 1;
        Ok(false)
    }

    fn text(&mut self, at: &At<'_>, name: &str) -> Result<Option<String>, E> {
        let Some(written) = at.condition.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
        let value = if holds_expression(written) { (self.render)(written, &Map::new())? } else { written.clone() };
        Ok((!value.is_null()).then(|| shown_value(&value)))
    }

    fn required(&mut self, at: &At<'_>, name: &str) -> Result<String, E> {
        self.text(at, name)?.ok_or_else(|| at.unusable(format!("`{name}` is not given")).into())
    }

    fn date(&mut self, at: &At<'_>) -> Result<String, E> {
        match self.text(at, "date")? {
            Some(date) => Ok(date),
            None => Ok(shown_value(&(self.render)(&Value::text(DATE), &Map::new())?)),
        }
    }

    // The day as written: a zone does not move it.
    fn day(&mut self, at: &At<'_>) -> Result<Date, E> {
        let text = self.date(at)?;
        let day = text.split('T').next().unwrap_or_default().trim();
        day.parse().map_err(|_| at.unusable(format!("`{text}` is no date")).into())
    }

    fn weekday(&mut self, at: &At<'_>) -> Result<Weekday, E> {
        let name = self.required(at, "dayOfWeek")?;
        let found = WEEKDAYS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
        found.map(|(_, day)| *day).ok_or_else(|| at.unusable(format!("`{name}` is no day of the week")).into())
    }

    // Both ends are outside.
    fn between(&mut self, at: &At<'_>, now: Timestamp, read: fn(&str) -> Option<Timestamp>) -> Result<bool, E> {
        let mut bound = |name: &str| -> Result<Option<Timestamp>, E> {
            let Some(text) = self.text(at, name)? else { return Ok(None) };
            let read = read(text.trim());
            read.map(Some)
                .ok_or_else(|| at.unusable(format!("`{name}` cannot be `{text}` (hint: give it an offset)")).into())
        };
        let (after, before) = (bound("after")?, bound("before")?);
        if after.is_none() && before.is_none() {
            return Err(at.unusable("neither `after` nor `before` is given").into());
        }
        Ok(after.is_none_or(|after| now > after) && before.is_none_or(|before| now < before))
    }

    fn is_flow(&mut self, at: &At<'_>, flow: &FlowKey) -> Result<bool, E> {
        let namespace = self.required(at, "namespace")?;
        Ok(namespace == flow.namespace.as_str() && self.required(at, "flowId")? == flow.id.as_str())
    }

    fn is_namespace(&mut self, at: &At<'_>, flow: &FlowKey) -> Result<bool, E> {
        let (wanted, own) = (self.required(at, "namespace")?, flow.namespace.as_str());
        let comparison = self.text(at, "comparison")?.map(|text| text.to_ascii_uppercase());
        let prefix = at.condition.get("prefix").is_some_and(Value::truthy);
        Ok(match comparison.as_deref() {
            Some("PREFIX") => own.starts_with(&wanted),
            Some("SUFFIX") => own.ends_with(&wanted),
            None if prefix => own.starts_with(&wanted),
            _ => own == wanted,
        })
    }
}

struct At<'c> {
    class: &'c str,
    condition: &'c Value,
}

impl At<'_> {
    fn unusable(&self, reason: impl Into<String>) -> Unusable {
        Unusable { class: self.class.to_owned(), reason: reason.into() }
    }

    fn execution<'f>(&self, facts: &Facts<'f>) -> Result<ExecutionFacts<'f>, Unusable> {
        facts.execution.ok_or_else(|| self.unusable("there is no execution to look at"))
    }

    fn expression(&self) -> Result<&Value, Unusable> {
        self.condition.get("expression").ok_or_else(|| self.unusable("`expression` is not given"))
    }

    // `in` and `notIn`; a list that is not given says nothing.
    fn admits(&self, state: State) -> bool {
        let names = |name: &str| self.condition.get(name).and_then(Value::as_list);
        let has = |names: &[Value]| names.iter().any(|name| name.as_str() == Some(state.as_str()));
        names("in").is_none_or(has) && !names("notIn").is_some_and(has)
    }
}

fn labels(value: &Value) -> Option<Vec<Label>> {
    if let Some(map) = value.as_map() {
        let label =
            |(key, value): (&std::sync::Arc<str>, &Value)| Label { key: key.to_string(), value: shown_value(value) };
        return Some(map.iter().map(label).collect());
    }
    let label =
        |entry: &Value| Some(Label { key: shown_value(entry.get("key")?), value: shown_value(entry.get("value")?) });
    value.as_list()?.iter().map(label).collect()
}

// A point in time; without an offset it is UTC.
fn instant(text: &str) -> Option<Timestamp> {
    let text = text.split('[').next().unwrap_or_default().trim();
    text.parse().ok().or_else(|| format!("{text}Z").parse().ok())
}

// A time of day with its offset, as a point of the first of all days.
fn time_of_day(text: &str) -> Option<Timestamp> {
    instant(&format!("1970-01-01T{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{FlowId, Namespace};

    fn key(namespace: &str, id: &str) -> FlowKey {
        FlowKey { tenant: "main".into(), namespace: Namespace::trusted(namespace), id: FlowId::trusted(id) }
    }

    fn test(condition: &str, has_execution: bool) -> Result<bool, String> {
        let condition = crate::read_yaml(condition).unwrap();
        let (own, other) = (key("a.b", "own"), key("c.d", "other"));
        let outputs = [("n".into(), Value::Int(1))].into_iter().collect();
        let labels = [Label { key: "k".to_owned(), value: "1".to_owned() }];
        let execution = ExecutionFacts {
            flow: &other,
            state: State::Warning,
            labels: &labels,
            outputs: &outputs,
            attempts: &[State::Failed, State::Success],
        };
        let facts = Facts { flow: &own, execution: has_execution.then_some(execution) };
        let mut render = |template: &Value, variables: &Map| {
            let scheduled = Value::map([("date", Value::text("2024-02-24T23:30:00-05:00"))]);
            let usual = [("trigger".into(), scheduled)].into_iter().collect::<Map>();
            let scope = expr::Layered { front: variables, back: &usual };
            let rendered = expr::render_value(template, &scope, &expr::Memo::default(), &expr::Settings::default());
            rendered.map_err(|error| Error(error.to_string()))
        };
        all_hold(&[condition], &facts, &mut render).map_err(|error| error.0)
    }

    #[derive(Debug)]
    struct Error(String);

    impl From<Unusable> for Error {
        fn from(unusable: Unusable) -> Self {
            Self(unusable.to_string())
        }
    }

    #[test]
    fn conditions_hold_as_the_table_says() {
        let cases = [
            // The trigger's date is a Saturday in its own zone, whatever it is elsewhere.
            ("{type: Weekend}", true),
            ("{type: WeekendCondition, date: '2024-02-23'}", false),
            ("{type: DayWeek, dayOfWeek: saturday}", true),
            ("{type: DayWeek, dayOfWeek: \"{{ 'SUNDAY' }}\"}", false),
            ("{type: DayWeekInMonth, dayOfWeek: SATURDAY, dayInMonth: FOURTH}", true),
            ("{type: DayWeekInMonth, dayOfWeek: SATURDAY, dayInMonth: LAST}", true),
            ("{type: DayWeekInMonth, dayOfWeek: SATURDAY, dayInMonth: THIRD}", false),
            ("{type: DayWeekInMonth, date: '2024-02-03', dayOfWeek: SATURDAY, dayInMonth: FIRST}", true),
            ("{type: DayWeekInMonth, date: '2024-02-10', dayOfWeek: SATURDAY, dayInMonth: SECOND}", true),
            ("{type: DayWeekInMonth, date: '2024-02-03', dayOfWeek: SUNDAY, dayInMonth: FIRST}", false),
            ("{type: PublicHoliday, date: '2024-07-04'}", true),
            ("{type: PublicHoliday, date: '2024-07-04', country: FR}", false),
            // Both ends are outside.
            ("{type: DateTimeBetween, after: '2024-02-25T04:30:00Z'}", false),
            ("{type: DateTimeBetween, after: '2024-02-25T04:29:59Z', before: '2024-02-25T04:30:01Z'}", true),
            ("{type: DateTimeBetween, before: '2024-02-25T04:30:00Z'}", false),
            ("{type: DateTimeBetween, date: '2024-02-25T04:30', after: '2024-02-25T04:29'}", true),
            ("{type: TimeBetween, after: '22:00:00-05:00', before: '23:59:00-05:00'}", true),
            ("{type: TimeBetween, after: '23:30:00-05:00'}", false),
            ("{type: TimeBetween, before: '23:30:00-05:00'}", false),
            ("{type: TimeBetween, after: '23:00:00Z'}", true),
            ("{type: ExecutionFlow, namespace: c.d, flowId: other}", true),
            ("{type: ExecutionFlow, namespace: c.d, flowId: own}", false),
            ("{type: FlowCondition, namespace: a.b, flowId: own}", true),
            ("{type: FlowCondition, namespace: c.d, flowId: other}", false),
            ("{type: ExecutionNamespace, namespace: c.d}", true),
            ("{type: ExecutionNamespace, namespace: c, comparison: PREFIX}", true),
            ("{type: ExecutionNamespace, namespace: c, prefix: true}", true),
            ("{type: ExecutionNamespace, namespace: c, prefix: true, comparison: EQUALS}", false),
            ("{type: ExecutionNamespace, namespace: d, comparison: SUFFIX}", true),
            ("{type: FlowNamespaceCondition, namespace: a, prefix: true}", true),
            ("{type: FlowNamespaceCondition, namespace: a}", false),
            ("{type: ExecutionLabels, labels: {k: 1}}", true),
            ("{type: ExecutionLabels, labels: [{key: k, value: '2'}]}", false),
            ("{type: ExecutionLabels, labels: {k: 1, l: 2}}", false),
            ("{type: ExecutionOutputs, expression: '{{ trigger.outputs.n == 1 }}'}", true),
            ("{type: ExecutionOutputs, expression: '{{ trigger.outputs.n == 2 }}'}", false),
            ("{type: Expression, expression: '{{ trigger.date }}'}", true),
            ("{type: Expression, expression: '{{ 1 == 2 }}'}", false),
            ("{type: ExecutionStatus}", true),
            ("{type: ExecutionStatus, in: []}", false),
            ("{type: ExecutionStatus, in: [WARNING]}", true),
            ("{type: ExecutionStatus, in: [WARNING], notIn: [WARNING]}", false),
            ("{type: HasRetryAttempt, in: [FAILED]}", true),
            ("{type: HasRetryAttempt, in: [KILLED]}", false),
            ("{type: Not, conditions: [{type: Weekend}]}", false),
            ("{type: Not, conditions: [{type: Weekend, date: '2024-02-23'}, {type: ExecutionStatus, in: []}]}", true),
            ("{type: Or, conditions: [{type: ExecutionStatus, in: []}, {type: Weekend}]}", true),
            ("{type: OrCondition, conditions: []}", false),
        ];
        for (condition, expected) in cases {
            assert_eq!(test(condition, true), Ok(expected), "{condition}");
        }
    }

    #[test]
    fn conditions_that_cannot_be_told_say_why() {
        let cases = [
            ("{type: DayWeek}", "`dayOfWeek` is not given"),
            ("{type: DayWeek, dayOfWeek: SOMEDAY}", "`SOMEDAY` is no day"),
            ("{type: Weekend, date: soon}", "`soon` is no date"),
            ("{type: DayWeekInMonth, dayOfWeek: MONDAY, dayInMonth: FIFTH}", "`FIFTH`"),
            ("{type: TimeBetween}", "neither `after` nor `before`"),
            ("{type: TimeBetween, date: '2024-02-25', after: '10:00:00Z'}", "no date with an offset"),
            ("{type: DateTimeBetween, after: never}", "`after` cannot be `never`"),
            ("{type: PublicHoliday, country: Atlantis}", "no calendar of holidays"),
            ("{type: ExecutionLabels, labels: 7}", "`labels` must be"),
            ("{type: Expression}", "`expression` is not given"),
            ("{type: Expression, expression: '{{ nothing }}'}", "nothing"),
            ("{type: MultipleCondition, id: m, conditions: []}", "cannot be told"),
            ("{type: Whatever}", "condition `Whatever`"),
        ];
        for (condition, reason) in cases {
            let found = test(condition, true).unwrap_err();
            assert!(found.contains(reason), "{condition}: {found}");
        }
        for class in [
            "ExecutionFlow",
            "ExecutionNamespace",
            "ExecutionLabels",
            "ExecutionOutputs",
            "ExecutionStatus",
            "HasRetryAttempt",
        ] {
            let found = test(&format!("{{type: {class}}}"), false).unwrap_err();
            assert!(found.contains("no execution"), "{class}: {found}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let mut condition = Value::map([("type", Value::text("Or")), ("conditions", Value::list([]))]);
        for _ in 0..=DEPTH {
            condition = Value::map([("type", Value::text("Or")), ("conditions", Value::list([condition]))]);
        }
        let own = key("a", "b");
        let facts = Facts { flow: &own, execution: None };
        let mut render = |_: &Value, _: &Map| Ok::<_, Unusable>(Value::Null);
        assert!(all_hold(&[condition], &facts, &mut render).is_err());
    }
}
