//! ForEachItem: batches, their executions, and what becomes of both.

use super::*;

const BATCHED: &str = "tasks: [{id: x, type: ITEMS, batch: {rows: 2}, inputs: {fails: \"{{ taskrun.iteration == 1 and vars.broken }}\"}}]\nvariables: {broken: true}";

#[test]
fn batches_are_counted_and_gathered() {
    let mut sim =
        world("tasks: [{id: x, type: ITEMS, batch: {partitions: 2}, labels: {l: '{{ taskrun.iteration }}'}}]");
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|sim| sim.made.len() < 3);
    assert_eq!(output(&sim, &id, "x_items", "iterations.RUNNING"), Some(Value::Int(2)));
    sim.run();
    assert_eq!(output(&sim, &id, "x_items", "iterations.RUNNING"), Some(Value::Int(0)));
    assert_eq!(output(&sim, &id, "x_items", "iterations.CREATED"), Some(Value::Int(0)));
    assert_eq!(output(&sim, &id, "x_items", "iterations.SUCCESS"), Some(Value::Int(2)));
    assert_eq!(output(&sim, &id, "x_items", "numberOfBatches"), Some(Value::Int(2)));
    let file = |uri: Value| sim.world.files.get(uri.as_str().unwrap()).unwrap().clone();
    let splits = file(output(&sim, &id, "x_split", "splits").unwrap());
    let batches: Vec<&String> = splits.lines().map(|uri| sim.world.files.get(uri).unwrap()).collect();
    assert_eq!(batches, ["1\n3\n5\n", "2\n4\n"]);
    let gathered = file(output(&sim, &id, "x_merge", "subflowOutputs").unwrap());
    let expected: String = sim.made[1..].iter().map(|child| format!("{{\"out\":\"{child}\"}}\n")).collect();
    assert_eq!(gathered, expected);
    let label = |child: usize| sim.state(&sim.made[child]).execution().unwrap().labels.last().unwrap().value.clone();
    assert_eq!([label(1), label(2)], ["0", "1"]);
}

#[test]
fn restart_restarts_the_executions_of_batches_that_failed() {
    let mut sim = world(BATCHED);
    sim.add(flow(&short("id: child\nnamespace: test\ninputs: [{id: fails, type: BOOL, defaults: false}]\ntasks: [{id: c1, type: LOG, runIf: '{{ inputs.fails }}'}]")));
    sim.script("c1", |attempt| if attempt == 1 { fails() } else { takes(5) });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: x=FAILED x_split=SUCCESS x_items=FAILED");
    assert_eq!(output(&sim, &id, "x_items", "iterations.FAILED"), Some(Value::Int(1)));
    sim.send(&id, Event::Restart { from: None }).unwrap();
    assert_eq!(output(&sim, &id, "x_items", "iterations.RUNNING"), Some(Value::Int(1)));
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS/2 x_merge=SUCCESS");
    assert_eq!(sim.made.len(), 4, "no execution was made anew");
    assert_eq!(shown(&sim, &sim.made[2]), "SUCCESS: c1=SUCCESS/2");
    assert_eq!(output(&sim, &id, "x_items", "iterations.FAILED"), None);
}

#[test]
fn restart_makes_executions_of_batches_anew_where_asked_to() {
    let mut sim = world(&BATCHED.replace("batch:", "restartBehavior: NEW_EXECUTION, batch:"));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    sim.send(&id, Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: x=FAILED x_split=SUCCESS x_items=FAILED/2");
    assert_eq!(sim.made.len(), 5);
}

#[test]
fn only_so_many_batches_run_at_once() {
    let mut sim = world("tasks: [{id: x, type: ITEMS}]");
    let rows = engine::ITEMS_AT_ONCE + 50;
    sim.world.files.insert(ROWS.to_owned(), (0..rows).map(|row| format!("{row}\n")).collect());
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    assert_eq!(sim.made.len() as u32, 1 + engine::ITEMS_AT_ONCE);
    assert_eq!(output(&sim, &id, "x_items", "iterations.CREATED"), Some(Value::Int(50)));
    sim.run();
    assert_eq!(sim.made.len() as u32, 1 + rows);
    assert_eq!(output(&sim, &id, "x_items", "iterations.SUCCESS"), Some(Value::Int(rows.into())));
}

#[test]
fn kill_reaches_the_executions_of_batches() {
    let mut sim = world("tasks: [{id: x, type: ITEMS}]");
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    sim.send(&id, Event::Kill { cascade: true }).unwrap();
    assert_eq!(shown(&sim, &id), "KILLED: x=KILLED x_split=SUCCESS x_items=KILLED");
    assert!(sim.made.iter().all(|id| sim.state(id).status() == Some(Status::Killed)));
    assert_eq!(output(&sim, &id, "x_items", "iterations.KILLED"), Some(Value::Int(5)));
    sim.send(&id, Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS/2 x_merge=SUCCESS");
    assert_eq!(sim.made.len(), 6);
}

#[test]
fn batch_follows_the_execution_that_takes_the_place_of_another() {
    let mut sim = world("tasks: [{id: x, type: ITEMS, batch: {rows: 9}}]");
    sim.add(flow(&short("id: child\nnamespace: test\nretry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}\ntasks: [{id: a, type: LOG}]\noutputs: [{id: out, type: STRING, value: '{{ execution.id }}'}]")));
    let tries = std::cell::Cell::new(0);
    sim.script("a", move |_| {
        tries.set(tries.get() + 1);
        if tries.get() < 2 { fails() } else { takes(5) }
    });
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|sim| sim.made.len() < 3);
    assert_eq!(output(&sim, &id, "x_items", "iterations.RUNNING"), Some(Value::Int(1)));
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS x_merge=SUCCESS");
    let gathered = output(&sim, &id, "x_merge", "subflowOutputs").unwrap();
    assert!(sim.world.files[gathered.as_str().unwrap()].contains(sim.made[2].as_str()));
}

#[test]
fn late_answer_about_files_is_stale() {
    let mut sim = world("tasks: [{id: x, type: ITEMS}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let run = sim.state(&id).runs().nth(1).unwrap().id.clone();
    let job = engine::JobId { run, attempt: 1, generation: 0 };
    let late = Event::Merged { job, result: Ok(None) };
    assert_eq!(sim.send(&id, late).unwrap_err().code, RejectCode::Stale);
}

#[test]
fn replay_of_batches_makes_their_executions_anew() {
    let mut sim = world("tasks: [{id: x, type: ITEMS, batch: {rows: 3}}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let run = |sim: &Sim, index: usize| sim.state(&id).runs().nth(index).unwrap().id.clone();
    let again = sim.replay(&id, &run(&sim, 2)).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &again), "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS/2 x_merge=SUCCESS");
    assert_eq!(sim.made.len(), 6);
    let gathered = output(&sim, &again, "x_merge", "subflowOutputs").unwrap();
    assert!(sim.world.files[gathered.as_str().unwrap()].contains(sim.made[5].as_str()));
    let rejected = sim.replay(&id, &run(&sim, 3)).unwrap_err();
    assert_eq!(rejected.code, RejectCode::Invalid);
    sim.send(&id, Event::Restart { from: Some(run(&sim, 3)) }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS x_merge=SUCCESS/2");
    assert_eq!(sim.made.len(), 6);
}

#[test]
fn merge_that_fails_in_a_replay_says_why() {
    let mut sim = world(
        "tasks: [{id: p, type: PAR, tasks: [{id: x, type: ITEMS, wait: '{{ vars.wait }}', batch: {rows: 9}}, {id: y, type: FAIL}]}]\nvariables: {wait: true}",
    );
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let failed = sim.state(&id).run_of(&TaskId::trusted("y"), &[]).unwrap().id.clone();
    let merge = sim.state(&id).run_of(&TaskId::trusted("x_merge"), &[]).unwrap().id.clone();
    let again = sim.replay(&id, &failed).unwrap();
    sim.run();
    let merge_again = sim.state(&again).run_of(&TaskId::trusted("x_merge"), &[]).unwrap().id.clone();
    assert_ne!(merge, merge_again);
    sim.send(&again, Event::Restart { from: Some(merge_again) }).unwrap();
    sim.run();
    assert!(shown(&sim, &again).contains("x_merge=FAILED/2"), "{}", shown(&sim, &again));
}

#[test]
fn batches_whose_flow_was_not_there_run_once_it_is() {
    let mut sim = world(
        "tasks: [{id: x, type: io.kestra.plugin.core.flow.ForEachItem, items: 'kestra:///rows.txt', namespace: test, flowId: late}]",
    );
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: x=FAILED x_split=SUCCESS x_items=FAILED");
    sim.add(flow(&short("id: late\nnamespace: test\ntasks: [{id: l, type: LOG}]")));
    sim.send(&id, Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS/2 x_merge=SUCCESS");
    assert_eq!(output(&sim, &id, "x_items", "iterations.SUCCESS"), Some(Value::Int(5)));
}

#[test]
fn what_is_wrong_with_every_batch_is_found_out_once() {
    let mut sim = world(
        "tasks: [{id: x, type: io.kestra.plugin.core.flow.ForEachItem, items: 'kestra:///rows.txt', namespace: test, flowId: none}]",
    );
    sim.world.files.insert(ROWS.to_owned(), "x\n".repeat(engine::ITEMS_AT_ONCE as usize * 3));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let left = engine::ITEMS_AT_ONCE * 2;
    assert_eq!(output(&sim, &id, "x_items", "iterations.CREATED"), Some(Value::Int(left.into())));
    let run = sim.state(&id).run_of(&TaskId::trusted("x_items"), &[]).unwrap();
    assert_eq!(run.attempts[0].failure.as_ref().unwrap().code, "no-flow");
    assert_eq!(sim.logs.len(), 1);
}

#[test]
fn time_limit_reaches_the_executions_of_batches() {
    let mut sim = world("tasks: [{id: x, type: ITEMS, timeout: PT1S}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: x=FAILED x_split=SUCCESS x_items=KILLED");
    assert!(sim.made[1..].iter().all(|id| sim.state(id).status() == Some(Status::Killed)));
}

#[test]
fn attempts_of_a_foreachitem_are_counted() {
    let mut sim = world("tasks: [{id: x, type: ITEMS}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let attempts: Vec<usize> = sim.state(&id).runs().map(|run| run.attempts.len()).collect();
    assert_eq!(attempts, [0, 1, 1, 1]);
}

#[test]
fn batches_that_nobody_waits_for_count_as_done() {
    let mut sim = world("tasks: [{id: x, type: ITEMS, wait: false, inputs: {fails: true}}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(output(&sim, &id, "x_items", "iterations.SUCCESS"), Some(Value::Int(5)));
    assert_eq!(output(&sim, &id, "x_items", "iterations.RUNNING"), Some(Value::Int(0)));
    assert_eq!(output(&sim, &id, "x_items", "iterations.CREATED"), None);
    assert!(sim.state(&id).run_of(&TaskId::trusted("x_merge"), &[]).unwrap().outputs.is_null());
}

#[test]
fn paused_execution_begins_no_batches() {
    let mut sim = world("tasks: [{id: x, type: ITEMS}]");
    let rows = engine::ITEMS_AT_ONCE + 5;
    sim.world.files.insert(ROWS.to_owned(), "x\n".repeat(rows as usize));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    sim.send(&id, Event::Pause).unwrap();
    sim.run();
    assert_eq!(sim.made.len() as u32, 1 + engine::ITEMS_AT_ONCE);
    assert_eq!(shown(&sim, &id), "PAUSED: x=RUNNING x_split=SUCCESS x_items=RUNNING");
    sim.send(&id, Event::Resume { run: None, inputs: Map::new() }).unwrap();
    sim.run();
    assert_eq!(sim.made.len() as u32, 1 + rows);
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS x_merge=SUCCESS");
}
