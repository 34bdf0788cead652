//! Values over time, one for each hour, day, week or month of a range, whichever makes a readable chart: as Kestra cuts it, in UTC.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Unit, Zoned, ZonedRound};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;

/// Most buckets of one answer: a hundred years of months.
const BUCKETS_MAX: usize = 1_200;

/// What is worked out of the values of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    Average,
    Sum,
    Least,
    Most,
}

impl Aggregation {
    /// All, by their names.
    pub const ALL: [(&str, Aggregation); 4] = [
        ("avg", Aggregation::Average),
        ("sum", Aggregation::Sum),
        ("min", Aggregation::Least),
        ("max", Aggregation::Most),
    ];

    fn of(self, values: &[f64]) -> f64 {
        let sum = || values.iter().sum::<f64>();
        match self {
            // As in Kestra what nothing was measured in counts as nothing.
            _ if values.is_empty() => 0.0,
            Aggregation::Sum => sum(),
            Aggregation::Average => sum() / values.len() as f64,
            Aggregation::Least => values.iter().copied().fold(f64::INFINITY, f64::min),
            Aggregation::Most => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MetricStep)]
enum Step {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl Step {
    fn of(from: Timestamp, until: Timestamp) -> Self {
        let hours = until.duration_since(from).as_hours();
        match hours / 24 {
            days if days > 365 => Step::Month,
            days if days > 180 => Step::Week,
            days if days > 1 => Step::Day,
            _ if hours > 6 => Step::Hour,
            _ => Step::Minute,
        }
    }

    fn span(self) -> Span {
        match self {
            Step::Minute => 1.minute(),
            Step::Hour => 1.hour(),
            Step::Day => 1.day(),
            Step::Week => 1.week(),
            Step::Month => 1.month(),
        }
    }

    /// Where the bucket of a moment begins.
    fn begin(self, at: &Zoned) -> Result<Zoned, jiff::Error> {
        let truncated = |unit| at.round(ZonedRound::new().smallest(unit).mode(jiff::RoundMode::Trunc));
        match self {
            Step::Minute => truncated(Unit::Minute),
            Step::Hour => truncated(Unit::Hour),
            Step::Day => at.start_of_day(),
            Step::Week => {
                let days = i64::from(at.weekday().since(Weekday::Monday));
                at.start_of_day()?.checked_sub(days.days())
            }
            Step::Month => at.first_of_month()?.start_of_day(),
        }
    }
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MetricAggregations)]
pub struct Aggregations {
    group_by: Step,
    aggregations: Vec<Bucket>,
}

/// What was measured in one step of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricAggregation)]
struct Bucket {
    name: String,
    value: f64,
    date: Timestamp,
}

impl Aggregations {
    /// The buckets of a range, with nothing in them.
    pub fn empty(name: &str, from: Timestamp, until: Timestamp) -> Result<Self, Error> {
        let step = Step::of(from, until);
        let wrong = |why: String| Error::bad_request("query.invalid", why);
        let mut at = step.begin(&from.to_zoned(TimeZone::UTC)).map_err(|error| wrong(error.to_string()))?;
        let mut aggregations = Vec::new();
        while at.timestamp() < until {
            if aggregations.len() == BUCKETS_MAX {
                return Err(wrong(format!("the range has more than {BUCKETS_MAX} months; hint: ask for less")));
            }
            aggregations.push(Bucket { name: name.to_owned(), value: 0.0, date: at.timestamp() });
            at = at.checked_add(step.span()).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self { group_by: step, aggregations })
    }

    /// The same with values in them. All lie in the range.
    pub fn filled(mut self, aggregation: Aggregation, values: impl Iterator<Item = (Timestamp, f64)>) -> Self {
        let mut of_buckets: Vec<Vec<f64>> = vec![Vec::new(); self.aggregations.len()];
        for (at, value) in values {
            let place = self.aggregations.partition_point(|bucket| bucket.date <= at).saturating_sub(1);
            if let Some(bucket) = of_buckets.get_mut(place) {
                bucket.push(value);
            }
        }
        for (bucket, values) in self.aggregations.iter_mut().zip(&of_buckets) {
            bucket.value = aggregation.of(values);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, until: &str, step: Step, first: &str, count: usize) {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let made = Aggregations::empty("x", at(from), at(until)).expect("a range");
        assert_eq!(made.group_by, step, "{from} {until}");
        assert_eq!(made.aggregations.first().map(|bucket| bucket.date), Some(at(first)), "{from} {until}");
        assert_eq!(made.aggregations.len(), count, "{from} {until}");
    }

    #[test]
    fn ranges_are_cut_so_that_a_chart_can_be_read() {
        check("2024-05-01T12:00:30Z", "2024-05-01T12:10:00Z", Step::Minute, "2024-05-01T12:00:00Z", 10);
        check("2024-05-01T12:30:00Z", "2024-05-02T12:00:00Z", Step::Hour, "2024-05-01T12:00:00Z", 24);
        check("2024-05-01T12:30:00Z", "2024-05-31T12:30:00Z", Step::Day, "2024-05-01T00:00:00Z", 31);
        check("2024-01-03T00:00:00Z", "2024-08-01T00:00:00Z", Step::Week, "2024-01-01T00:00:00Z", 31);
        check("2022-01-03T00:00:00Z", "2024-01-02T00:00:00Z", Step::Month, "2022-01-01T00:00:00Z", 25);
    }

    #[test]
    fn values_fall_into_their_buckets() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let values = || {
            [("2024-05-01T23:59:59Z", 1.0), ("2024-05-02T00:00:00Z", 2.0), ("2024-05-02T10:00:00Z", 4.0)]
                .into_iter()
                .map(|(time, value)| (at(time), value))
        };
        for (name, expected) in
            [("sum", [1.0, 6.0, 0.0]), ("avg", [1.0, 3.0, 0.0]), ("min", [1.0, 2.0, 0.0]), ("max", [1.0, 4.0, 0.0])]
        {
            let empty =
                Aggregations::empty("x", at("2024-05-01T00:00:00Z"), at("2024-05-04T00:00:00Z")).expect("a range");
            let aggregation = Aggregation::ALL.iter().find(|(known, _)| *known == name).expect("a name").1;
            let filled = empty.filled(aggregation, values());
            let found: Vec<f64> = filled.aggregations.iter().map(|bucket| bucket.value).collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn endless_ranges_are_refused() {
        let refused = Aggregations::empty("x", Timestamp::MIN, Timestamp::MAX);
        assert!(refused.is_err());
    }
}
