//! What expressions see: by a path where they name one, whole where they name a variable.

use engine::State;
use engine::view::{View, attempts, execution_facts};
use expr::{Memo, Scope};
use jiff::Timestamp;
use model::change::Change;
use model::execution::Triggered;
use model::ids::TriggerId;

use super::*;

/// What stands at a path, as JSON; `-`: nothing.
fn seen(view: &View<'_>, path: &str) -> String {
    let steps: Vec<&str> = path.split('.').collect();
    let Some((value, used)) = view.lookup_path(&steps, &Memo::new()).unwrap() else { return "-".to_owned() };
    let rest = &steps[used..];
    let found = if rest.is_empty() { Some(value) } else { value.get_path(rest.iter().copied()).cloned() };
    found.map_or_else(|| "-".to_owned(), |value| value.to_json().to_string())
}

fn check(view: &View<'_>, expected: &[(&str, &str)]) {
    for (path, expected) in expected {
        assert_eq!(seen(view, path), *expected, "{path}");
    }
}

fn run<'a>(state: &'a State, task: &str, values: &[&str]) -> &'a TaskRunId {
    let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    &state.run_of(&TaskId::trusted(task), &values).unwrap().id
}

fn ended(body: &str) -> State {
    let mut sim = world(body);
    let id = sim.start("test", "main", Map::new());
    sim.run();
    sim.state(&id).clone()
}

fn value(text: &str) -> String {
    format!("type: io.kestra.plugin.core.debug.Return, format: \"{text}\"")
}

/// Iterations within iterations, with something in both.
fn nested() -> State {
    ended(&format!(
        "tasks: [{{id: x, type: EACH, values: [p, q], tasks: [{{id: o, {}}}, {{id: y, type: EACH, values: [1, 2], tasks: [{{id: i, {}}}, {{id: j, type: LOG}}]}}]}}, {{id: z, {}}}, {{id: n, type: LOG}}]",
        value("{{ taskrun.value }}"),
        value("{{ parent.taskrun.value }}{{ taskrun.value }}"),
        value("Z"),
    ))
}

#[test]
fn outputs_of_iterations_are_found_by_their_values() {
    let state = nested();
    let expected = [
        ("outputs.z", r#"{"value":"Z"}"#),
        ("outputs.z.value", r#""Z""#),
        ("outputs.i.p.2.value", r#""p2""#),
        ("outputs.i.q", r#"{"1":{"value":"q1"},"2":{"value":"q2"}}"#),
        ("outputs.i.q.3", "-"),
        ("outputs.o", r#"{"p":{"value":"p"},"q":{"value":"q"}}"#),
        ("outputs.o.value", "-"),
        ("tasks.i.p.1.state", r#""SUCCESS""#),
        ("tasks.n.state", r#""SUCCESS""#),
        ("tasks.j.p", r#"{"1":{"state":"SUCCESS"},"2":{"state":"SUCCESS"}}"#),
        // Nobody's name: which tasks have outputs, and nothing of them.
        ("outputs.nobody", "-"),
        (
            "outputs",
            r#"{"o":{"p":{"value":"p"},"q":{"value":"q"}},"i":{"p":{"1":{"value":"p1"},"2":{"value":"p2"}},"q":{"1":{"value":"q1"},"2":{"value":"q2"}}},"z":{"value":"Z"}}"#,
        ),
    ];
    check(&View::of_execution(&state), &expected);
    let (names, used) = View::of_execution(&state).lookup_path(&["outputs", "nobody"], &Memo::new()).unwrap().unwrap();
    let names: Vec<String> = names.as_map().unwrap().iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    assert_eq!((names.len(), used), (3, 1), "{names:?}");
    assert!(names.iter().all(|name| name.ends_with("=Null")), "{names:?}");
}

#[test]
fn sibling_of_an_iteration_comes_before_all_iterations() {
    let state = nested();
    let within = |task, values: &[&str]| View::of_run(&state, run(&state, task, values));
    check(
        &within("j", &["q", "2"]),
        &[
            ("outputs.i.value", r#""q2""#),
            ("outputs.o.value", r#""q""#),
            ("outputs.i.p.1.value", r#""p1""#),
            ("tasks.i.state", r#""SUCCESS""#),
            // Without a step more, it is all of them.
            ("outputs.o", r#"{"p":{"value":"p"},"q":{"value":"q"}}"#),
        ],
    );
    check(&within("z", &[]), &[("outputs.o.value", "-"), ("outputs.o.q.value", r#""q""#)]);
}

#[test]
fn iterations_are_in_the_order_they_were_created() {
    let state =
        ended(&format!("tasks: [{{id: x, type: EACH, values: [c, b, a], tasks: [{{id: i, {}}}]}}]", value("v")));
    let view = View::of_execution(&state);
    check(&view, &[("outputs.i", r#"{"c":{"value":"v"},"b":{"value":"v"},"a":{"value":"v"}}"#)]);
}

#[test]
fn names_that_begin_alike_are_told_apart() {
    let body = format!(
        "tasks: [{{id: x, type: EACH, values: [p], tasks: [{{id: i, {0}}}, {{id: ii, {0}}}]}}, {{id: a, type: LOG}}, {{id: b, {0}}}]",
        value("v")
    );
    let state = ended(&body);
    let view = View::of_execution(&state);
    check(&view, &[("outputs.i", r#"{"p":{"value":"v"}}"#), ("outputs.a", "-")]);
    let (names, _) = view.lookup_path(&["outputs", "nobody"], &Memo::new()).unwrap().unwrap();
    let mut names: Vec<&str> = names.as_map().unwrap().keys().map(AsRef::as_ref).collect();
    names.sort_unstable();
    assert_eq!(names, ["b", "i", "ii"]);
}

#[test]
fn task_run_sees_itself_and_what_is_around_it() {
    let state = nested();
    let leaf = run(&state, "i", &["q", "2"]);
    let (parent, started) = (run(&state, "y", &["q"]), state.run(leaf).unwrap().history.started());
    let moment = started.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let taskrun = format!(
        r#"{{"id":"{leaf}","startDate":"{moment}","attemptsCount":1,"parentId":"{parent}","value":"2","iteration":1}}"#
    );
    check(
        &View::of_run(&state, leaf),
        &[
            ("taskrun", &taskrun),
            ("task", r#"{"id":"i","type":"io.kestra.plugin.core.debug.Return"}"#),
            ("parent", r#"{"taskrun":{"value":"q"}}"#),
            ("parents", r#"[{"taskrun":{"value":"q"}}]"#),
            ("workerTaskrun", "-"),
            ("flow", r#"{"id":"main","namespace":"test","revision":1,"tenantId":"main"}"#),
            ("nothing", "-"),
        ],
    );
    let alone = run(&state, "z", &[]);
    check(&View::of_run(&state, alone), &[("parent", "-"), ("parents", "[]"), ("taskrun.value", "-")]);
    check(&View::of_execution(&state), &[("parents", "-"), ("parent", "-"), ("taskrun", "-"), ("task", "-")]);
}

#[test]
fn attempt_that_runs_is_not_counted_yet() {
    let mut sim = world("tasks: [{id: a, type: LOG, retry: {type: constant, interval: PT1S, maxAttempts: 3}}]");
    sim.script("a", |attempt| if attempt == 1 { fails() } else { takes(60) });
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|sim| sim.attempts.len() < 2);
    let state = sim.state(&id);
    check(&View::of_run(state, run(state, "a", &[])), &[("taskrun.attemptsCount", "1")]);
    assert_eq!(attempts(state), [Status::Failed, Status::Running]);
    let known = attempts(state);
    let facts = execution_facts(state, &known).unwrap();
    assert_eq!((facts.state, facts.attempts), (Status::Running, &known[..]));
    assert_eq!(facts.flow.id.as_str(), "main");
    assert_eq!(facts.labels, &state.execution().unwrap().labels[..]);
}

#[test]
fn group_of_an_iteration_shows_its_outputs_as_a_parent() {
    let body = format!(
        "tasks: [{{id: x, type: EACH, values: [p], tasks: [{{id: c, type: IF, condition: 'true', then: [{{id: i, {}}}]}}]}}]",
        value("v")
    );
    let state = ended(&body);
    let parents = r#"[{"taskrun":{"value":"p"},"outputs":{"evaluationResult":true}}]"#;
    check(&View::of_run(&state, run(&state, "i", &["p"])), &[("parents", parents), ("workerTaskrun", "-")]);
}

#[test]
fn states_of_all_tasks_are_seen_together() {
    let state = ended("tasks: [{id: x, type: EACH, values: [p], tasks: [{id: i, type: LOG}]}, {id: f, type: FAIL}]");
    let tasks = r#"{"x":{"state":"SUCCESS"},"i":{"p":{"state":"SUCCESS"}},"f":{"state":"FAILED"}}"#;
    check(&View::of_execution(&state), &[("tasks", tasks)]);
    let whole = View::of_execution(&state).lookup("tasks", &Memo::new()).unwrap().unwrap();
    assert_eq!(whole.to_json().to_string(), tasks);
}

#[test]
fn working_directory_is_seen_by_its_tasks_alone() {
    let state = ended(
        "tasks: [{id: w, type: UNIT, tasks: [{id: a, type: LOG}]}, {id: s, type: SEQ, tasks: [{id: b, type: LOG}]}]",
    );
    let view = |task| View::of_run(&state, run(&state, task, &[]));
    let unit = format!("\"{}\"", run(&state, "w", &[]));
    check(&view("a"), &[("workerTaskrun.id", &unit)]);
    check(&view("b"), &[("workerTaskrun", "-")]);
    let knows = |view: View<'_>, name: &str| view.names().iter().any(|known| &**known == name);
    for (task, is_in_unit) in [("a", true), ("b", false), ("w", false)] {
        assert_eq!(knows(view(task), "workerTaskrun"), is_in_unit, "{task}");
        assert!(["taskrun", "task", "parent", "parents", "outputs"].iter().all(|name| knows(view(task), name)));
    }
    let names: Vec<_> = View::of_execution(&state).names();
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    assert_eq!(names, ["execution", "flow", "inputs", "labels", "outputs", "tasks", "trigger", "vars"]);
}

#[test]
fn execution_shows_where_it_is_and_where_it_came_from() {
    let mut sim = world(
        "variables: {v: {deep: 1}}\ninputs: [{id: n.m, type: STRING}, {id: k, type: STRING, defaults: d}]\ntasks: [{id: p, type: PAUSE}]\noutputs: [{id: o, type: STRING, value: out}]",
    );
    let id = sim.start_as("test", "main", |execution| {
        execution.inputs = texts([("n.m", "x")]);
        execution.labels = [("a", "1"), ("a.b", "2"), ("a.c.d", "3"), ("e", "4")]
            .map(|(key, value)| engine::sim::label(key, value))
            .into();
        let variables = texts([("date", "today")]);
        execution.trigger =
            Some(Triggered { id: TriggerId::trusted("t"), type_name: "T".to_owned(), variables, depth: 0 });
    });
    sim.run();
    let state = sim.state(&id);
    let moment = Timestamp::from_second(1_700_000_000).unwrap();
    let start = moment.strftime("\"%Y-%m-%dT%H:%M:%S.000Z\"").to_string();
    check(
        &View::of_execution(state),
        &[
            ("execution.id", "\"execution-0\""),
            ("execution.originalId", "\"execution-0\""),
            ("execution.startDate", &start),
            ("execution.state", "\"PAUSED\""),
            ("execution.outputs", "{}"),
            ("inputs", r#"{"n":{"m":"x"},"k":"d"}"#),
            // What is below a name takes the place of what had that name.
            ("labels.a", r#"{"b":"2","c":{"d":"3"}}"#),
            ("labels.e", "\"4\""),
            ("vars.v.deep", "1"),
            ("vars", r#"{"v":{"deep":1}}"#),
            ("trigger", r#"{"date":"today"}"#),
        ],
    );
    // A variable by a name that nobody has: what there is, for the error to name.
    let (shown, used) = View::of_execution(state).lookup_path(&["vars", "w"], &Memo::new()).unwrap().unwrap();
    assert_eq!((shown.to_json().to_string(), used), (r#"{"v":{"deep":1}}"#.to_owned(), 1));
    sim.send(&id, Event::Resume { run: None, inputs: Map::new() }).unwrap();
    check(&View::of_execution(sim.state(&id)), &[("execution.outputs.o", "\"out\"")]);
    let from = run(sim.state(&id), "p", &[]).clone();
    let again = sim.replay(&id, &from).unwrap();
    check(&View::of_execution(sim.state(&again)), &[("execution.originalId", "\"execution-0\"")]);
}

#[test]
fn execution_that_runs_shows_outputs_only_if_it_has_some() {
    let mut sim = world("tasks: [{id: a, type: SLEEP, duration: PT9S}]");
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    let mut state = sim.state(&id).clone();
    check(
        &View::of_execution(&state),
        &[("execution.state", "\"RUNNING\""), ("execution.outputs", "-"), ("trigger", "-")],
    );
    state.apply(&Change::FlowOutputs { outputs: texts([("o", "before")]) });
    check(&View::of_execution(&state), &[("execution.outputs", r#"{"o":"before"}"#)]);
}

#[test]
fn batch_of_foreachitem_sees_its_file_and_its_number() {
    let mut sim = world("tasks: [{id: x, type: ITEMS, batch: {rows: 2}, inputs: {fails: '{{ false }}'}}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let state = sim.state(&id);
    let items = state.runs().find(|run| run.task.as_str() == "x_items").map(|run| &run.id).unwrap();
    let shown = |batch| seen(&View::of_batch(state, items, batch), "taskrun.items");
    assert_ne!(shown(0), shown(1));
    assert!(shown(0).starts_with("\"kestra:///"), "{}", shown(0));
    check(&View::of_batch(state, items, 2), &[("taskrun.iteration", "2")]);
    check(&View::of_run(state, items), &[("taskrun.items", "-"), ("taskrun.iteration", "-")]);
}
