//! Whether an execution is what a Flow trigger waits for: its upstream flows and filters. Pure, as conditions are.

use expr::{Map, Value};
use regex::Regex;

use crate::condition::{ExecutionFacts, Unusable};
use crate::trigger::{Field, Filter, FilterGroup, FilterTest, Preconditions, UpstreamFlow};
use crate::typing::{holds_expression, shown_value};

impl Preconditions {
    /// The names of everything that must come to pass.
    pub fn names(&self) -> Vec<String> {
        let flows = (0..self.flows.len()).map(|index| format!("flow/{index}"));
        flows.chain(self.filters.iter().map(|group| format!("where/{}", group.id))).collect()
    }

    /// The names of what comes to pass with an execution.
    pub fn met<E: From<Unusable>>(
        &self,
        execution: &ExecutionFacts<'_>,
        render: &mut dyn FnMut(&Value, &Map) -> Result<Value, E>,
    ) -> Result<Vec<String>, E> {
        let mut met = Vec::new();
        for (index, flow) in self.flows.iter().enumerate() {
            if flow.holds(execution) {
                met.push(format!("flow/{index}"));
            }
        }
        for group in &self.filters {
            if group.holds(execution, render)? {
                met.push(format!("where/{}", group.id));
            }
        }
        Ok(met)
    }
}

impl UpstreamFlow {
    fn holds(&self, execution: &ExecutionFacts<'_>) -> bool {
        self.namespace == execution.flow.namespace.as_str()
            && self.flow.as_ref().is_none_or(|flow| flow == execution.flow.id.as_str())
            && (self.states.is_empty() || self.states.contains(&execution.state))
            && self.labels.iter().all(|label| execution.labels.contains(label))
    }
}

impl FilterGroup {
    fn holds<E: From<Unusable>>(
        &self,
        execution: &ExecutionFacts<'_>,
        render: &mut dyn FnMut(&Value, &Map) -> Result<Value, E>,
    ) -> Result<bool, E> {
        for filter in &self.filters {
            if filter.holds(execution, render)? == self.any {
                return Ok(self.any);
            }
        }
        Ok(!self.any)
    }
}

impl Filter {
    fn holds<E: From<Unusable>>(
        &self,
        execution: &ExecutionFacts<'_>,
        render: &mut dyn FnMut(&Value, &Map) -> Result<Value, E>,
    ) -> Result<bool, E> {
        let mut values = Vec::with_capacity(self.values.len());
        for value in &self.values {
            values.push(if holds_expression(value) { render(value, &Map::new())? } else { value.clone() });
        }
        let found = match self.field {
            Field::FlowId => Value::from(execution.flow.id.as_str()),
            Field::Namespace => Value::from(execution.flow.namespace.as_str()),
            Field::State => Value::from(execution.state.as_str()),
            // What is tested is what the filter's own value gives.
            Field::Expression => values.first().cloned().unwrap_or_default(),
        };
        let text = shown_value(&found);
        let wanted: Vec<String> = values.iter().map(shown_value).collect();
        let first = wanted.first().map(String::as_str).unwrap_or_default();
        Ok(match self.test {
            FilterTest::EqualTo => text == first,
            FilterTest::NotEqualTo => text != first,
            FilterTest::In => wanted.contains(&text),
            FilterTest::NotIn => !wanted.contains(&text),
            FilterTest::IsTrue => found.truthy() && text != "false",
            FilterTest::IsFalse => !found.truthy() || text == "false",
            FilterTest::IsNull => found.is_null() || text.is_empty(),
            FilterTest::IsNotNull => !found.is_null() && !text.is_empty(),
            FilterTest::StartsWith => text.starts_with(first),
            FilterTest::EndsWith => text.ends_with(first),
            FilterTest::Contains => text.contains(first),
            FilterTest::Regex => {
                let wrong =
                    |error: regex::Error| Unusable { class: "preconditions".to_owned(), reason: error.to_string() };
                Regex::new(&format!("^(?:{first})$")).map_err(wrong)?.is_match(&text)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Label;
    use crate::ids::{FlowId, FlowKey, Namespace};
    use crate::state::State;

    fn facts<'a>(flow: &'a FlowKey, labels: &'a [Label], outputs: &'a Map) -> ExecutionFacts<'a> {
        ExecutionFacts { flow, state: State::Success, labels, outputs, attempts: &[] }
    }

    fn holds(field: Field, test: FilterTest, values: &[&str]) -> bool {
        let flow = FlowKey { tenant: "main".into(), namespace: Namespace::trusted("a.b"), id: FlowId::trusted("one") };
        let outputs = Map::new();
        let filter = Filter { field, test, values: values.iter().map(|value| Value::from(*value)).collect() };
        let mut render = |template: &Value, _: &Map| {
            let memo = expr::Memo::default();
            expr::render_value(template, &expr::Empty, &memo, &expr::Settings::default())
                .map_err(|error| Unusable { class: String::new(), reason: error.to_string() })
        };
        filter.holds(&facts(&flow, &[], &outputs), &mut render).unwrap()
    }

    #[test]
    fn filters_test_as_the_table_says() {
        use Field::*;
        use FilterTest::*;
        let cases: &[(Field, FilterTest, &[&str], bool)] = &[
            (FlowId, EqualTo, &["one"], true),
            (FlowId, EqualTo, &["{{ 'o' ~ 'ne' }}"], true),
            (FlowId, NotEqualTo, &["one"], false),
            (Namespace, In, &["c", "a.b"], true),
            (Namespace, NotIn, &["c", "a.b"], false),
            (Namespace, StartsWith, &["a."], true),
            (Namespace, EndsWith, &["a."], false),
            (Namespace, Contains, &["."], true),
            (Namespace, Regex, &["a\\..*"], true),
            (Namespace, Regex, &["a"], false),
            (State, EqualTo, &["SUCCESS"], true),
            (State, IsNull, &[""], false),
            (State, IsNotNull, &[""], true),
            (Expression, IsTrue, &["{{ 1 == 1 }}"], true),
            (Expression, IsTrue, &["{{ 'false' }}"], false),
            (Expression, IsFalse, &["{{ 1 == 2 }}"], true),
            (Expression, IsNull, &["{{ null }}"], true),
            (Expression, IsNotNull, &["{{ 'x' }}"], true),
        ];
        for (field, test, values, expected) in cases {
            assert_eq!(holds(*field, *test, values), *expected, "{field:?} {test:?} {values:?}");
        }
    }

    #[test]
    fn flows_and_groups_come_to_pass_under_their_names() {
        let flow = FlowKey { tenant: "main".into(), namespace: Namespace::trusted("a"), id: FlowId::trusted("one") };
        let (outputs, label) = (Map::new(), Label { key: "k".to_owned(), value: "v".to_owned() });
        let upstream = |id: Option<&str>, states: &[State], labels: &[Label]| UpstreamFlow {
            namespace: "a".to_owned(),
            flow: id.map(str::to_owned),
            states: states.to_vec(),
            labels: labels.to_vec(),
        };
        let filter =
            |wanted: &str| Filter { field: Field::State, test: FilterTest::EqualTo, values: vec![Value::from(wanted)] };
        let group = |id: &str, any: bool| FilterGroup {
            id: id.to_owned(),
            any,
            filters: vec![filter("SUCCESS"), filter("FAILED")],
        };
        let preconditions = Preconditions {
            id: "p".to_owned(),
            window: crate::window::Window::default(),
            reset_on_success: true,
            flows: vec![
                upstream(Some("one"), &[], &[]),
                upstream(Some("two"), &[], &[]),
                upstream(None, &[State::Success], std::slice::from_ref(&label)),
                upstream(None, &[State::Failed], &[]),
                upstream(None, &[], &[Label { key: "k".to_owned(), value: "w".to_owned() }]),
            ],
            filters: vec![group("all", false), group("any", true)],
        };
        let labels = [label];
        let mut render = |_: &Value, _: &Map| Ok::<_, Unusable>(Value::Null);
        let met = preconditions.met(&facts(&flow, &labels, &outputs), &mut render).unwrap();
        assert_eq!(met, ["flow/0", "flow/2", "where/any"]);
        assert_eq!(preconditions.names().len(), 7);
    }
}
