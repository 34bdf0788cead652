//! ForEachItem where answers come late, twice, in another order or not at all.

use engine::{ChildResult, Command, Event, JobId, RejectCode};
use expr::{Map, Value};
use model::batch::Batches;
use model::ids::{ExecutionId, TaskId};
use model::state::State as Status;

use crate::hand::Hand;
use crate::{ROWS, output, shown, world};

/// A ForEachItem that nobody waits for, with a file of so many batches.
fn unwaited(batches: u32) -> Hand {
    let mut hand = Hand::new("tasks: [{id: x, type: ITEMS, wait: false}]");
    let job = split(&mut hand);
    hand.send(cut(&job, batches)).unwrap();
    hand
}

fn split(hand: &mut Hand) -> JobId {
    let job = hand.take(|command| match command {
        Command::Split { job, .. } => Some(job.clone()),
        _ => None,
    });
    job.unwrap()
}

fn cut(job: &JobId, count: u32) -> Event {
    let (prefix, suffix, list) = ("b/".to_owned(), ".txt".to_owned(), "b/list".to_owned());
    Event::Split { job: job.clone(), result: Ok(Batches { prefix, suffix, count, list }) }
}

fn children(hand: &mut Hand) -> Vec<ExecutionId> {
    let child = |command: &Command| match command {
        Command::StartChild { child, .. } => Some(child.clone()),
        _ => None,
    };
    std::iter::from_fn(|| hand.take(child)).collect()
}

fn started(hand: &mut Hand, child: &ExecutionId) {
    hand.send(Event::ChildStarted { child: child.clone() }).unwrap();
}

fn failed(hand: &mut Hand, child: &ExecutionId) {
    let result = Ok(ChildResult { state: Status::Failed, outputs: Map::new() });
    hand.send(Event::ChildEnded { child: child.clone(), result }).unwrap();
}

fn counted(hand: &Hand, state: &str) -> Option<Value> {
    let run = hand.state.run_of(&TaskId::trusted("x_items"), &[]).unwrap();
    run.outputs.get_path(["iterations", state]).cloned()
}

#[test]
fn only_the_answer_that_is_waited_for_is_taken() {
    let mut hand = Hand::new("tasks: [{id: x, type: ITEMS}]");
    let job = split(&mut hand);
    let wrong = [
        cut(&JobId { generation: job.generation + 1, ..job.clone() }, 1),
        cut(&JobId { attempt: job.attempt + 1, ..job.clone() }, 1),
        Event::Merged { job: job.clone(), result: Ok(None) },
    ];
    for event in wrong {
        assert_eq!(hand.send(event).unwrap_err().code, RejectCode::Stale);
    }
    hand.send(cut(&job, 1)).unwrap();
    assert_eq!(hand.shown(), "RUNNING: x=RUNNING x_split=SUCCESS x_items=RUNNING");
    assert_eq!(hand.send(cut(&job, 2)).unwrap_err().code, RejectCode::Stale);
}

#[test]
fn nothing_is_gathered_of_an_empty_file() {
    let mut hand = Hand::new("tasks: [{id: x, type: ITEMS}]");
    let job = split(&mut hand);
    hand.send(cut(&job, 0)).unwrap();
    assert_eq!(hand.shown(), "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS x_merge=SUCCESS");
    assert_eq!(hand.count(|command| matches!(command, Command::Merge { .. })), 0);
    assert!(hand.state.run_of(&TaskId::trusted("x_items"), &[]).unwrap().outputs.is_null());
}

#[test]
fn executions_of_batches_are_asked_for_until_they_have_started() {
    let mut hand = unwaited(2);
    let asked = |hand: &Hand| {
        let start = |command: &Command| matches!(command, Command::StartChild { .. });
        let outstanding = hand.state.outstanding().into_iter().filter(start).collect::<Vec<_>>();
        assert!(outstanding.iter().all(|command| hand.left.contains(command)), "it is the same as the first time");
        outstanding.len()
    };
    assert_eq!(asked(&hand), 2);
    let Some(Command::StartChild { child, .. }) = hand.left.pop() else { panic!("the last is asked for last") };
    started(&mut hand, &child);
    assert_eq!(asked(&hand), 1);
}

#[test]
fn what_becomes_of_batches_that_nobody_waits_for_says_nothing() {
    let mut hand = unwaited(2);
    let made = children(&mut hand);
    started(&mut hand, &made[0]);
    failed(&mut hand, &made[0]);
    assert_eq!((counted(&hand, "SUCCESS"), counted(&hand, "FAILED")), (Some(Value::Int(1)), None));
    assert_eq!(hand.shown(), "RUNNING: x=RUNNING x_split=SUCCESS x_items=RUNNING");
    // One that has ended before its start was heard of has begun all the same.
    failed(&mut hand, &made[1]);
    assert_eq!((counted(&hand, "SUCCESS"), counted(&hand, "FAILED")), (Some(Value::Int(2)), None));
    assert_eq!(hand.shown(), "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS x_merge=SUCCESS");
    assert_eq!(hand.count(|command| matches!(command, Command::Merge { .. })), 0);
}

#[test]
fn batches_on_their_way_count_as_begun_at_a_kill() {
    let mut hand = unwaited(3);
    let made = children(&mut hand);
    made[..2].iter().for_each(|child| started(&mut hand, child));
    hand.send(Event::Kill { cascade: false }).unwrap();
    assert_eq!(hand.shown(), "KILLED: x=KILLED x_split=SUCCESS x_items=KILLED");
    assert_eq!((counted(&hand, "SUCCESS"), counted(&hand, "KILLED")), (Some(Value::Int(3)), None));
}

#[test]
fn end_of_one_foreachitem_leaves_another_alone() {
    let other = "{id: y, type: NOITEMS, items: 'kestra:///rows.txt'}";
    let mut sim =
        world(&format!("tasks: [{{id: p, type: PAR, tasks: [{{id: x, type: ITEMS, timeout: PT1S}}, {other}]}}]"));
    assert!(sim.world.files.contains_key(ROWS));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(output(&sim, &id, "x_items", "iterations.KILLED"), Some(Value::Int(5)));
    assert_eq!(output(&sim, &id, "y_items", "iterations.SUCCESS"), Some(Value::Int(5)));
    assert!(shown(&sim, &id).starts_with("FAILED: p=FAILED x=FAILED y=SUCCESS"), "{}", shown(&sim, &id));
}
