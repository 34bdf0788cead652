//! Outputs that are stored apart from the state: asked for when they are needed, all at once, and only then.

use std::sync::Arc;

use engine::State;
use engine::view::{STORED_OUTPUTS, View};
use expr::{Answer, Call, Error, Map, Memo, Scope, Value};
use model::change::{Apart, Change};

use crate::world;

/// Two tasks that have run; of each, `large` is stored apart and `small` is not.
fn state() -> State {
    let mut sim = world("tasks: [{id: a, type: LOG}, {id: b, type: LOG}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let mut state = sim.state(&id).clone();
    let runs: Vec<_> = state.runs().map(|run| run.id.clone()).collect();
    for run in runs {
        let apart = Some(Apart { names: vec!["large".into()], of: None });
        state.apply(&Change::Outputs { run, outputs: Value::map([("small", Value::Int(1))]), apart });
    }
    state
}

fn asked(found: Result<impl std::fmt::Debug, Error>) -> Call {
    match found {
        Err(Error::Missing(call)) => *call,
        other => panic!("nothing was asked for: {other:?}"),
    }
}

#[test]
fn what_is_small_is_not_asked_for() {
    let state = state();
    let view = View::of_execution(&state);
    let (outputs, steps) = view.lookup_path(&["outputs", "a", "small"], &Memo::new()).unwrap().unwrap();
    assert_eq!((outputs.get("small"), steps), (Some(&Value::Int(1)), 2));
    assert_eq!(view.lookup_path(&["tasks", "a", "state"], &Memo::new()).unwrap().map(|(_, steps)| steps), Some(2));
}

#[test]
fn what_is_large_is_asked_for_at_once_and_told_apart() {
    let state = state();
    let view = View::of_execution(&state);
    let ids: Vec<String> = state.runs().map(|run| run.id.to_string()).collect();
    let execution = state.execution().unwrap().id.to_string();
    let one = asked(view.lookup_path(&["outputs", "a", "large"], &Memo::new()));
    let all = asked(view.lookup("outputs", &Memo::new()));
    for (call, runs) in [(&one, &ids[..1]), (&all, &ids[..])] {
        assert_eq!((&*call.function, call.arg_text("execution")), (STORED_OUTPUTS, Some(execution.clone())));
        assert_eq!(call.arg("runs"), Some(&Value::list(runs.iter().map(|id| Value::text(id.as_str())))));
    }
    let whole = |large: &str| Value::map([("small", Value::Int(1)), ("large", Value::text(large))]);
    let mut known = Memo::new();
    known.insert(one, Answer::Value(Value::map([(ids[0].as_str(), whole("A"))])));
    let (outputs, _) = view.lookup_path(&["outputs", "a", "large"], &known).unwrap().unwrap();
    assert_eq!(outputs, whole("A"));
    // Of all, only what is not known yet is missing.
    let rest = asked(view.lookup("outputs", &known));
    assert_eq!(rest.arg("runs"), Some(&Value::list([Value::text(ids[1].as_str())])));
    known.insert(rest, Answer::Value(Value::map([(ids[1].as_str(), whole("B"))])));
    let outputs = view.lookup("outputs", &known).unwrap().unwrap();
    assert_eq!(outputs, Value::map([(Arc::<str>::from("a"), whole("A")), (Arc::from("b"), whole("B"))]));
}

#[test]
fn what_cannot_be_had_is_an_error_and_not_asked_for_again() {
    let state = state();
    let view = View::of_execution(&state);
    let path = ["outputs", "b", "large"];
    let mut known = Memo::new();
    known.insert(asked(view.lookup_path(&path, &known)), Answer::Failed("the disk is gone".into()));
    let error = view.lookup_path(&path, &known).unwrap_err();
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    // That is of one task run alone.
    asked(view.lookup_path(&["outputs", "a", "large"], &known));
}
