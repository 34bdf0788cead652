//! What parsing makes of flows that are right.

use expr::Value;
use model::flow::Flow;
use model::ids::TaskId;
use model::problem::Problem;
use model::task::{Delays, FlowTask, RetryBehavior, TaskKind};
use model::trigger::TriggerKind;

use crate::support::Table;

fn parse(body: &str) -> Flow {
    let parsed = model::parse(&format!("id: f\nnamespace: n\n{body}"), &Table::core());
    parsed
        .unwrap_or_else(|problems| panic!("{}", problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")))
        .flow
}

const TASK: &str = "tasks: [{id: a, type: io.kestra.plugin.core.debug.Return, format: x}]\n";

fn kind<'f>(flow: &'f Flow, id: &str) -> &'f TaskKind {
    &flow.task(&TaskId::trusted(id)).unwrap().kind
}

fn property(flow: &Flow, task: &str, name: &str) -> Option<String> {
    match kind(flow, task) {
        TaskKind::Plugin(properties) => properties.get(name).map(|value| value.to_json().to_string()),
        _ => panic!("`{task}` is no task of a plugin"),
    }
}

#[test]
fn numbers_and_the_order_of_maps_are_kept() {
    let flow = parse(&format!(
        "variables: {{z: 9223372036854775807, a: -9223372036854775808, m: 18446744073709551616, f: 0.1, t: 012, y: yes}}\n{TASK}"
    ));
    let shown: Vec<String> =
        flow.variables.iter().map(|(key, value)| format!("{key} {} {}", value.kind(), value.to_json())).collect();
    assert_eq!(
        shown,
        [
            "z number 9223372036854775807",
            "a number -9223372036854775808",
            "m number \"18446744073709551616\"",
            "f number 0.1",
            "t text \"012\"",
            "y text \"yes\""
        ]
    );
}

#[test]
fn tasks_are_found_by_id_and_their_blocks_name_them() {
    let flow = parse(
        "tasks:\n- id: if\n  type: io.kestra.plugin.core.flow.If\n  condition: '{{ x }}'\n  then: [{id: t, type: io.kestra.plugin.core.debug.Return}]\n  else: [{id: e, type: io.kestra.plugin.core.debug.Return}]\n- id: dag\n  type: io.kestra.plugin.core.flow.Dag\n  tasks:\n  - task: {id: d1, type: io.kestra.plugin.core.debug.Return}\n    dependsOn: [d2]\n  - task: {id: d2, type: io.kestra.plugin.core.debug.Return}\n",
    );
    let TaskKind::Flow(task) = kind(&flow, "if") else { panic!() };
    let FlowTask::If { condition, block, otherwise } = task.as_ref() else { panic!() };
    assert_eq!((condition.0.as_str(), block.tasks.len(), otherwise.len()), (Some("{{ x }}"), 1, 1));
    let TaskKind::Flow(task) = kind(&flow, "dag") else { panic!() };
    let FlowTask::Dag { depends_on, concurrent: 0, .. } = task.as_ref() else { panic!() };
    assert_eq!(*depends_on, [vec![1], vec![]]);
    assert_eq!(flow.all.len(), 6);
    assert_eq!(flow.task(&TaskId::trusted("d2")).unwrap().line, 14);
}

#[test]
fn retries_say_what_they_do() {
    let flow = parse(&format!(
        "retry: {{type: exponential, interval: PT1S, maxInterval: PT1M, behavior: CREATE_NEW_EXECUTION}}\n{TASK}"
    ));
    let retry = flow.retry.unwrap();
    assert_eq!((retry.behavior, retry.max_attempts), (RetryBehavior::CreateNewExecution, None));
    let Delays::Exponential { factor, .. } = retry.delays else { panic!() };
    assert!((factor - 2.0).abs() < f64::EPSILON);
}

/// Of defaults the first wins, of forced ones the last, and forced ones win over the task.
#[test]
fn defaults_are_merged_in_the_order_of_the_list() {
    let flow = parse(
        "pluginDefaults:\n- {type: io.kestra.plugin.core.http, values: {method: PUT, headers: {a: 1, b: 1}}}\n- {type: io.kestra.plugin.core.http.Request, values: {method: POST, body: x}}\n- {type: io.kestra.plugin.core.http.Request, forced: true, values: {contentType: one}}\n- {type: io.kestra.plugin.core, forced: true, version: ^1, values: {contentType: two}}\ntasks:\n- {id: a, type: io.kestra.plugin.core.http.Request, uri: u, contentType: mine, headers: {b: 2}}\n",
    );
    assert_eq!(property(&flow, "a", "method").unwrap(), "\"PUT\"");
    assert_eq!(property(&flow, "a", "body").unwrap(), "\"x\"");
    assert_eq!(property(&flow, "a", "contentType").unwrap(), "\"two\"");
    assert_eq!(property(&flow, "a", "headers").unwrap(), "{\"b\":2,\"a\":1}");
    assert_eq!(flow.task(&TaskId::trusted("a")).unwrap().version.as_deref(), Some("^1"));
}

#[test]
fn triggers_know_who_carries_them_out_and_conditions_have_present_names() {
    let flow = parse(&format!(
        "{TASK}triggers:\n- {{id: s, type: io.kestra.core.models.triggers.types.Schedule, cron: '@daily', conditions: [{{type: io.kestra.core.models.conditions.types.ExpressionCondition, expression: x}}]}}\n- {{id: p, type: com.example.Poll, uri: u, inputs: {{a: 1}}}}\n"
    ));
    let [schedule, poll] = flow.triggers.as_slice() else { panic!() };
    assert!(matches!(schedule.kind, TriggerKind::Schedule(_)));
    let TriggerKind::Polling(polling) = &poll.kind else { panic!() };
    assert_eq!(polling.interval, jiff::SignedDuration::from_secs(60));
    let condition = schedule.conditions.first().unwrap();
    assert_eq!(condition.get("type").and_then(Value::as_str), Some("io.kestra.plugin.core.condition.Expression"));
    assert_eq!(polling.properties.keys().map(AsRef::as_ref).collect::<Vec<&str>>(), ["uri"]);
    assert_eq!(poll.inputs.len(), 1);
}

#[test]
fn an_update_keeps_id_and_namespace() {
    let old = parse(TASK);
    assert_eq!(model::updates(&old, &parse(TASK)), Ok(()));
    let new = model::parse(&format!("id: g\nnamespace: m\n{TASK}"), &Table::core()).unwrap().flow;
    let problems = model::updates(&old, &new).unwrap_err();
    let told: Vec<(&str, &str)> = problems.iter().map(|problem| (problem.code, problem.path.as_str())).collect();
    assert_eq!(told, [("flow.update", "id"), ("flow.update", "namespace")]);
}

#[test]
fn yaml_of_inputs_is_read_under_the_same_limits() {
    assert_eq!(model::read_yaml("a: [1, x]").unwrap().to_json().to_string(), "{\"a\":[1,\"x\"]}");
    assert_eq!(model::read_yaml("").unwrap(), Value::Null);
    assert_eq!(model::read_yaml("a: 1\na: 2").unwrap_err().code, "yaml.duplicate_key");
    assert_eq!(model::read_yaml("a: !!int 1").unwrap_err().code, "yaml.tag");
}

#[test]
fn wait_for_keeps_the_interval_it_had() {
    for (class, interval) in [("WaitFor", "PT1S"), ("LoopUntil", "PT1M")] {
        let flow = parse(&format!(
            "tasks: [{{id: l, type: io.kestra.plugin.core.flow.{class}, condition: x, tasks: [{{id: a, type: io.kestra.plugin.core.debug.Return}}]}}]\n"
        ));
        let TaskKind::Flow(task) = kind(&flow, "l") else { panic!() };
        let FlowTask::LoopUntil { frequency, .. } = task.as_ref() else { panic!() };
        assert_eq!(frequency.interval.0.as_str(), Some(interval));
    }
}

#[test]
fn strictest_of_the_failing_checks_decides() {
    let flow = parse(&format!(
        "{TASK}checks:\n  - {{condition: 'false', message: told, behavior: CREATE_EXECUTION}}\n  - {{condition: 'false', message: failed, behavior: FAIL_EXECUTION}}\n  - {{condition: 'false', message: first}}\n  - {{condition: 'false', message: second, behavior: BLOCK_EXECUTION}}\n"
    ));
    let decides = |failing: &[usize]| flow.strictest_check(failing).map(|check| check.message.as_str());
    assert_eq!(decides(&[]), None);
    assert_eq!(decides(&[0]), Some("told"));
    assert_eq!(decides(&[0, 1]), Some("failed"));
    assert_eq!(decides(&[0, 1, 2, 3]), Some("first"));
    assert_eq!(decides(&[7]), None);
}

#[test]
fn foreachitem_is_three_tasks_of_its_own() {
    let flow = parse(
        "tasks:\n  - id: each\n    type: io.kestra.plugin.core.flow.ForEachItem\n    items: '{{ x }}'\n    namespace: n\n    flowId: other\n    timeout: PT5S\n    errors: [{id: e, type: io.kestra.plugin.core.debug.Return}]",
    );
    let inner = ["each_split", "each_items", "each_merge"].map(|id| flow.task(&TaskId::trusted(id)).unwrap());
    let types = inner.map(|task| task.type_name.rsplit('$').next().unwrap());
    assert_eq!(types, ["ForEachItemSplit", "ForEachItemExecutable", "ForEachItemMergeOutputs"]);
    assert!(inner.iter().all(|task| task.line == 4 && task.timeout.is_none()));
    let TaskKind::Flow(each) = kind(&flow, "each") else { panic!("it is no flow control") };
    let FlowTask::ForEachItem(block) = each.as_ref() else { panic!("it is no ForEachItem") };
    assert_eq!((block.tasks.len(), block.errors.len()), (3, 1));
}

#[test]
fn description_is_the_tasks_and_of_what_it_makes() {
    let flow = parse(
        "tasks:\n- {id: a, type: com.example.Ask, description: both, provider: {type: com.example.Model, modelName: m}}\n\
         - {id: b, type: io.kestra.plugin.core.debug.Return, description: alone}\n",
    );
    assert_eq!(property(&flow, "a", "description").as_deref(), Some("\"both\""));
    assert_eq!(property(&flow, "b", "description"), None);
    let description = |id: &str| flow.task(&TaskId::trusted(id)).and_then(|task| task.description.clone());
    assert_eq!((description("a").as_deref(), description("b").as_deref()), (Some("both"), Some("alone")));
}

#[test]
fn providers_are_checked_by_their_own_type() {
    let problems = |provider: &str| -> Vec<String> {
        let source = format!("id: f\nnamespace: n\ntasks: [{{id: a, type: com.example.Ask, provider: {provider}}}]\n");
        let problems = model::parse(&source, &Table::core()).err().unwrap_or_default();
        problems.iter().map(|problem| format!("{} {} {}", problem.code, problem.path, problem.message)).collect()
    };
    assert_eq!(problems("{type: com.example.Model, modelName: '{{ inputs.m }}'}"), Vec::<String>::new());
    assert_eq!(
        problems("{type: com.example.Model, tries: many, more: 1}"),
        [
            "flow.required tasks[0].provider.modelName `modelName` is required",
            "flow.wrong_type tasks[0].provider.tries expected a whole number, found the text `many`",
            "flow.unknown_property tasks[0].provider.more unknown property `more`",
        ]
    );
    for (provider, expected) in [
        ("'{{ vars.provider }}'", "flow.provider tasks[0].provider a provider is a map with its `type` written out"),
        (
            "{type: '{{ vars.kind }}'}",
            "flow.provider tasks[0].provider a provider is a map with its `type` written out",
        ),
        (
            "{type: com.example.Modle}",
            "flow.unknown_type tasks[0].provider.type unknown provider type `com.example.Modle`",
        ),
        (
            "{type: com.example.Poll}",
            "flow.unknown_type tasks[0].provider.type `com.example.Poll` is no provider of models",
        ),
    ] {
        assert_eq!(problems(provider), [expected], "{provider}");
    }
    let elsewhere = parse_error("tasks: [{id: a, type: com.example.Model}]\n");
    assert_eq!(elsewhere, ["`com.example.Model` is a provider of models, not a task"]);
}

fn parse_error(body: &str) -> Vec<String> {
    let problems = model::parse(&format!("id: f\nnamespace: n\n{body}"), &Table::core()).expect_err("it is wrong");
    problems.into_iter().map(|problem| problem.message).collect()
}
