//! `execution.Count`.

use serde_json::{Map, Value, json};
use sluice_sdk::objects;
use sluice_sdk::prelude::*;

use crate::dates::moment_of;

/// A flow by its place and name.
#[properties]
pub struct Flow {
    /// Its namespace.
    namespace: String,
    /// Its id.
    flow_id: String,
}

#[properties]
pub struct Count {
    /// The flows whose executions are counted, each by itself.
    flows: Option<Vec<Flow>>,
    /// The namespaces whose executions are counted, each flow by itself, those below them as well.
    namespaces: Option<Vec<String>>,
    /// Only executions in one of these states.
    states: Option<Vec<String>>,
    /// Only executions created at this moment or after it.
    start_date: Option<String>,
    /// Only executions created before this moment.
    end_date: Option<String>,
    /// Which results stay: true for those that do. `count` is the number.
    #[render(later)]
    #[default("{{ true }}")]
    expression: String,
}

#[outputs]
pub struct Counted {
    /// The flows for which the expression is true.
    results: Vec<Line>,
    /// All their executions.
    total: u64,
}

/// One flow and how many executions it has.
#[outputs]
pub struct Line {
    /// Its namespace.
    namespace: String,
    /// Its id.
    flow_id: String,
    /// How many executions.
    count: u64,
}

/// Count executions.
///
/// # Flows that did not run today
/// ```yaml
/// id: silent
/// type: io.kestra.plugin.core.execution.Count
/// expression: "{{ count == 0 }}"
/// startDate: "{{ now() | dateAdd(-1, 'DAYS') }}"
/// flows:
///   - namespace: company.team
///     flowId: orders
/// ```
#[task(
    "io.kestra.plugin.core.execution.Count",
    aliases = ["io.kestra.core.tasks.executions.Counts", "io.kestra.plugin.kestra.executions.Count"]
)]
pub fn count(properties: Count, cx: &Context) -> Result<Counted, Failure> {
    if properties.flows.is_none() && properties.namespaces.is_none() {
        return Err(Failure::bad_property("one of `flows` and `namespaces` is wanted"));
    }
    let mut flows: Vec<(String, String)> = Vec::new();
    for flow in properties.flows.into_iter().flatten() {
        flows.push((flow.namespace, flow.flow_id));
    }
    for namespace in properties.namespaces.into_iter().flatten() {
        for flow in objects::find(json!({"kind": "flow", "namespace": namespace})) {
            let flow = flow?;
            let text = |name: &str| flow.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            flows.push((text("namespace"), text("id")));
        }
    }
    let mut base = Map::new();
    base.insert("kind".to_owned(), json!("execution"));
    if let Some(states) = properties.states.filter(|states| !states.is_empty()) {
        base.insert("states".to_owned(), json!(states));
    }
    for (name, property, date) in
        [("from", "startDate", &properties.start_date), ("until", "endDate", &properties.end_date)]
    {
        if let Some(date) = moment_of(property, date)? {
            base.insert(name.to_owned(), json!(date));
        }
    }
    let mut results = Vec::new();
    for (namespace, flow_id) in flows {
        let mut query = base.clone();
        query.insert("namespace".to_owned(), json!(namespace));
        query.insert("flow".to_owned(), json!(flow_id));
        let count = objects::count(Value::Object(query))?;
        if cx.render(&properties.expression, &json!({"count": count}))?.trim() == "true" {
            results.push(Line { namespace, flow_id, count });
        }
    }
    Ok(Counted { total: results.iter().map(|line| line.count).sum(), results })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use sluice_sdk::testing::MockHost;

    use super::*;

    const LEAST: &str = "{{ count >= 2 }}";

    #[test]
    fn flows_are_counted_and_chosen() {
        let host = MockHost::new()
            .answer_call("objects.find", &json!({"count": 3}))
            .answer_call("objects.find", &json!({"count": 1}))
            .rendered(LEAST, "true");
        let flows = json!([{"namespace": "a", "flowId": "x"}, {"namespace": "a", "flowId": "y"}]);
        let properties = json!({
            "flows": flows, "states": ["FAILED"], "startDate": "2024-01-01T00:00:00Z", "expression": LEAST,
        });
        let counted = host.run_task::<count>(properties).unwrap();
        assert_eq!(counted["total"], json!(4));
        assert_eq!(counted["results"][0], json!({"namespace": "a", "flowId": "x", "count": 3}));
        let asked = json!({
            "kind": "execution", "states": ["FAILED"], "from": "2024-01-01T00:00:00Z", "namespace": "a", "flow": "x", "count": true,
        });
        assert_eq!(host.asked("objects.find")[0], asked);
    }

    #[test]
    fn namespaces_are_counted_flow_by_flow() {
        let page = |id: &str, next: Value| json!({"items": [{"namespace": "a.b", "id": id}], "next": next});
        let host = MockHost::new()
            .answer_call("objects.find", &page("x", json!("there")))
            .answer_call("objects.find", &page("y", Value::Null))
            .answer_call("objects.find", &json!({"count": 0}))
            .answer_call("objects.find", &json!({"count": 5}))
            .rendered("{{ true }}", "true");
        let counted = host.run_task::<count>(json!({"namespaces": ["a"]})).unwrap();
        assert_eq!((counted["total"].as_u64(), counted["results"].as_array().map(Vec::len)), (Some(5), Some(2)));
        assert_eq!(host.asked("objects.find")[1]["after"], json!("there"));
    }

    #[test]
    fn nothing_to_count_is_refused() {
        let host = MockHost::new().rendered("{{ true }}", "false").answer_call("objects.find", &json!({"count": 5}));
        assert_eq!(host.run_task::<count>(json!({})).unwrap_err().code(), "BAD_PROPERTY");
        let one = json!({"flows": [{"namespace": "a", "flowId": "x"}]});
        assert_eq!(host.run_task::<count>(one.clone()).unwrap(), json!({"results": [], "total": 0}));
        let mut dated = one;
        dated["endDate"] = json!("tomorrow");
        assert!(host.run_task::<count>(dated).unwrap_err().message().contains("`endDate`"));
    }
}
