//! What a restart runs again, and what stays: told by the attempts that it begins, in their order.

use super::*;

#[derive(Default)]
struct Restart<'a> {
    body: &'a str,
    /// Tasks whose first attempt fails.
    failing: &'a [&'a str],
    /// A task and the value of its iteration; `None`: from what failed.
    from: Option<(&'a str, &'a str)>,
    /// Attempts that the restart begins.
    begins: &'a str,
    ends: &'a str,
}

fn check(restart: &Restart<'_>) {
    let mut sim = world(restart.body);
    for task in restart.failing {
        sim.script(task, |attempt| if attempt == 1 { fails() } else { takes(1) });
    }
    let id = sim.start("test", "main", Map::new());
    sim.run();
    again(&mut sim, &id, restart);
}

fn again(sim: &mut Sim, id: &ExecutionId, restart: &Restart<'_>) {
    let (before, attempt) = (sim.attempts.len(), sim.state(id).execution().unwrap().attempt);
    let from = restart.from.map(|(task, value)| run_of(sim, id, task, value));
    sim.send(id, Event::Restart { from }).unwrap();
    sim.run();
    assert_eq!(begun(sim, id, before), restart.begins, "{}", restart.body);
    assert_eq!(shown(sim, id), restart.ends, "{}", restart.body);
    assert!(sim.state(id).is_closed(), "{}", restart.body);
    assert_eq!(sim.state(id).execution().unwrap().attempt, attempt + 1);
}

fn run_of(sim: &Sim, id: &ExecutionId, task: &str, value: &str) -> TaskRunId {
    let is_it =
        |run: &&model::execution::TaskRun| run.task.as_str() == task && run.value.as_deref().unwrap_or("") == value;
    sim.state(id).runs().find(is_it).unwrap().id.clone()
}

fn begun(sim: &Sim, id: &ExecutionId, before: usize) -> String {
    let runs = sim.attempts[before..].iter().map(|(job, _)| sim.state(id).run(&job.run).unwrap());
    let named =
        runs.map(|run| run.value.as_ref().map_or(run.task.to_string(), |value| format!("{}[{value}]", run.task)));
    named.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_depends_on_a_task_of_a_dag_runs_again_and_nothing_else() {
    let dag = "tasks: [{id: d, type: DAG, tasks: [{task: {id: a, type: LOG}}, {task: {id: b, type: LOG}, dependsOn: [a]}, {task: {id: c, type: LOG}, dependsOn: [b]}, {task: {id: e, type: LOG}, dependsOn: [a, c]}, {task: {id: f, type: LOG}}, {task: {id: g, type: LOG}, dependsOn: [f, e]}]}, {id: z, type: LOG}]";
    let check_from = |from, begins, ends| {
        check(&Restart { body: dag, from: Some((from, "")), begins, ends, ..Restart::default() });
    };
    check_from(
        "a",
        "a b c e g z",
        "SUCCESS: d=SUCCESS a=SUCCESS/2 f=SUCCESS b=SUCCESS c=SUCCESS e=SUCCESS g=SUCCESS z=SUCCESS",
    );
    check_from(
        "f",
        "f g z",
        "SUCCESS: d=SUCCESS a=SUCCESS f=SUCCESS/2 b=SUCCESS c=SUCCESS e=SUCCESS g=SUCCESS z=SUCCESS",
    );
    check_from(
        "e",
        "e g z",
        "SUCCESS: d=SUCCESS a=SUCCESS f=SUCCESS b=SUCCESS c=SUCCESS e=SUCCESS/2 g=SUCCESS z=SUCCESS",
    );
}

#[test]
fn dag_that_failed_goes_on_with_what_waited() {
    check(&Restart {
        body: "tasks: [{id: d, type: DAG, tasks: [{task: {id: a, type: LOG}}, {task: {id: b, type: LOG}, dependsOn: [a]}, {task: {id: c, type: LOG}}]}]",
        failing: &["a"],
        begins: "a b",
        ends: "SUCCESS: d=SUCCESS a=SUCCESS/2 c=SUCCESS b=SUCCESS",
        ..Restart::default()
    });
}

#[test]
fn other_branches_of_a_parallel_stay() {
    let body = "tasks: [{id: p, type: PAR, tasks: [{id: s, type: SEQ, tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}, {id: c, type: LOG}, {id: t, type: SEQ, tasks: [{id: e, type: LOG}, {id: f, type: LOG}]}]}, {id: z, type: LOG}]";
    check(&Restart {
        body,
        from: Some(("s", "")),
        begins: "a b z",
        ends: "SUCCESS: p=SUCCESS s=SUCCESS c=SUCCESS t=SUCCESS e=SUCCESS f=SUCCESS a=SUCCESS b=SUCCESS z=SUCCESS",
        ..Restart::default()
    });
    check(&Restart {
        body,
        failing: &["b", "f"],
        begins: "b f z",
        ends: "SUCCESS: p=SUCCESS s=SUCCESS c=SUCCESS t=SUCCESS a=SUCCESS e=SUCCESS b=SUCCESS/2 f=SUCCESS/2 z=SUCCESS",
        ..Restart::default()
    });
}

#[test]
fn lanes_that_had_not_begun_begin_in_the_next_life() {
    check(&Restart {
        body: "tasks: [{id: p, type: PAR, concurrent: 1, failFast: true, tasks: [{id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG}]}]",
        failing: &["b"],
        begins: "b c",
        ends: "SUCCESS: p=SUCCESS a=SUCCESS b=SUCCESS/2 c=SUCCESS",
        ..Restart::default()
    });
    check(&Restart {
        body: "tasks: [{id: x, type: EACH, concurrencyLimit: 1, values: [p, q, r], tasks: [{id: a, type: LOG}, {id: b, type: FAIL, condition: \"{{ taskrun.value == 'q' and taskrun.attemptsCount == 0 }}\"}]}]",
        begins: "b[q] a[r] b[r]",
        ends: "SUCCESS: x=SUCCESS a[p]=SUCCESS b[p]=SUCCESS a[q]=SUCCESS b[q]=SUCCESS/2 a[r]=SUCCESS b[r]=SUCCESS",
        ..Restart::default()
    });
}

#[test]
fn lanes_that_had_not_begun_begin_beside_what_runs_again() {
    let body = "tasks: [{id: x, type: EACH, concurrencyLimit: 2, values: [p, q, r, s], tasks: [{id: a, type: LOG}]}]";
    let mut sim = world(body);
    sim.script("a", |_| takes(5));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|sim| sim.attempts.len() < 3);
    sim.send(&id, Event::Kill { cascade: true }).unwrap();
    assert_eq!(shown(&sim, &id), "KILLED: x=KILLED a[p]=SUCCESS a[q]=KILLED a[r]=KILLED");
    let from = Some(run_of(&sim, &id, "a", "q"));
    sim.send(&id, Event::Restart { from }).unwrap();
    sim.run_while(|_| false);
    assert_eq!(shown(&sim, &id), "RUNNING: x=RUNNING a[p]=SUCCESS a[q]=RUNNING/2 a[r]=KILLED a[s]=RUNNING");
}

#[test]
fn failure_that_stays_does_not_end_what_runs_again() {
    check(&Restart {
        body: "tasks: [{id: p, type: PAR, failFast: true, tasks: [{id: a, type: FAIL}, {id: b, type: SLEEP, duration: PT5S}, {id: c, type: LOG}]}]",
        failing: &["c"],
        from: Some(("b", "")),
        begins: "",
        ends: "FAILED: p=FAILED a=FAILED b=SUCCESS/2 c=CANCELLED",
    });
}

#[test]
fn iterations_at_once_run_again_where_they_failed() {
    check(&Restart {
        body: "tasks: [{id: x, type: EACH, concurrencyLimit: 0, values: [p, q, r], tasks: [{id: a, type: FAIL, condition: \"{{ taskrun.value == 'q' and taskrun.attemptsCount == 0 }}\"}, {id: b, type: LOG}]}, {id: z, type: LOG}]",
        begins: "a[q] b[q] z",
        ends: "SUCCESS: x=SUCCESS a[p]=SUCCESS a[q]=SUCCESS/2 a[r]=SUCCESS b[p]=SUCCESS b[r]=SUCCESS b[q]=SUCCESS z=SUCCESS",
        ..Restart::default()
    });
}

#[test]
fn restart_from_a_task_within_groups_undoes_what_came_after_each() {
    check(&Restart {
        body: "tasks: [{id: s, type: SEQ, tasks: [{id: t, type: SEQ, tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}, {id: c, type: LOG}]}, {id: e, type: LOG}]",
        from: Some(("a", "")),
        begins: "a b c e",
        ends: "SUCCESS: s=SUCCESS t=SUCCESS a=SUCCESS/2 b=SUCCESS c=SUCCESS e=SUCCESS",
        ..Restart::default()
    });
}

#[test]
fn restart_from_a_group_runs_all_of_it() {
    check(&Restart {
        body: "tasks: [{id: i, type: IF, condition: 'true', then: [{id: a, type: LOG}, {id: b, type: FAIL}], errors: [{id: e, type: LOG}], finally: [{id: f, type: LOG}]}]",
        from: Some(("i", "")),
        begins: "a b e f",
        ends: "FAILED: i=FAILED a=SUCCESS b=FAILED e=SUCCESS f=SUCCESS",
        ..Restart::default()
    });
    check(&Restart {
        body: "tasks: [{id: x, type: EACH, concurrencyLimit: 2, values: [p, q, r], tasks: [{id: a, type: LOG}]}, {id: z, type: LOG}]",
        from: Some(("x", "")),
        begins: "a[p] a[q] a[r] z",
        ends: "SUCCESS: x=SUCCESS a[p]=SUCCESS a[q]=SUCCESS a[r]=SUCCESS z=SUCCESS",
        ..Restart::default()
    });
}

#[test]
fn condition_that_could_not_be_told_is_asked_again() {
    let body = "tasks: [{id: i, type: IF, condition: \"{{ labels.go == 'yes' }}\", then: [{id: a, type: LOG}], else: [{id: b, type: LOG}]}]";
    let mut sim = world(body);
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: i=FAILED");
    sim.send(&id, Event::SetLabels { labels: vec![engine::sim::label("go", "yes")] }).unwrap();
    let ends = "SUCCESS: i=SUCCESS a=SUCCESS";
    again(&mut sim, &id, &Restart { body, begins: "a", ends, ..Restart::default() });
}

#[test]
fn all_that_failed_runs_again_and_warnings_are_kept() {
    check(&Restart {
        body: "tasks: [{id: w, type: ALLOW, tasks: [{id: a, type: FAIL}]}, {id: p, type: PAR, tasks: [{id: b, type: LOG}, {id: c, type: LOG}]}]\nfinally: [{id: f, type: LOG}]",
        failing: &["b", "c"],
        begins: "b c f",
        ends: "WARNING: w=WARNING a=FAILED p=SUCCESS b=SUCCESS/2 c=SUCCESS/2 f=SUCCESS",
        ..Restart::default()
    });
}

#[test]
fn what_was_killed_goes_on_everywhere() {
    let body = "tasks: [{id: x, type: EACH, concurrencyLimit: 0, values: [p, q], tasks: [{id: a, type: LOG, runIf: \"{{ taskrun.value == 'q' }}\"}, {id: b, type: LOG}]}, {id: z, type: LOG}]";
    let mut sim = world(body);
    sim.script("a", |_| takes(9));
    sim.script("b", |attempt| takes(if attempt == 1 { 20 } else { 1 }));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|sim| sim.attempts.len() < 2);
    sim.send(&id, Event::Kill { cascade: true }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "KILLED: x=KILLED a[p]=SKIPPED a[q]=KILLED b[p]=KILLED");
    let ends = "SUCCESS: x=SUCCESS a[p]=SKIPPED a[q]=SUCCESS/2 b[p]=SUCCESS/2 b[q]=SUCCESS z=SUCCESS";
    again(&mut sim, &id, &Restart { body, begins: "b[p] a[q] b[q] z", ends, ..Restart::default() });
}

#[test]
fn execution_that_was_killed_between_tasks_goes_on_after_the_last() {
    let body = "tasks: [{id: s, type: SEQ, tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}, {id: c, type: LOG}]";
    let mut sim = world(body);
    sim.script("a", |_| takes(9));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    sim.send(&id, Event::Pause).unwrap();
    sim.run();
    sim.send(&id, Event::Kill { cascade: true }).unwrap();
    assert_eq!(shown(&sim, &id), "KILLED: s=KILLED a=SUCCESS b=KILLED");
    let ends = "SUCCESS: s=SUCCESS a=SUCCESS b=SUCCESS c=SUCCESS";
    again(&mut sim, &id, &Restart { body, begins: "b c", ends, ..Restart::default() });
}

#[test]
fn restart_of_what_is_paused_resumes_it() {
    let mut sim = world("tasks: [{id: p, type: PAUSE}, {id: a, type: LOG}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let from = Some(run_of(&sim, &id, "p", ""));
    assert_eq!(sim.send(&id, Event::Restart { from }).unwrap_err().code, RejectCode::Conflict);
    sim.send(&id, Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: p=SUCCESS a=SUCCESS");
    assert_eq!(sim.state(&id).execution().unwrap().attempt, 1);
}

#[test]
fn working_directory_that_failed_begins_again_as_one() {
    check(&Restart {
        body: "tasks: [{id: u, type: UNIT, tasks: [{id: a, type: LOG}, {id: b, type: FAIL, condition: \"{{ workerTaskrun.attemptsCount == 0 }}\"}, {id: c, type: LOG}]}, {id: z, type: LOG}]",
        begins: "u z",
        ends: "SUCCESS: u=SUCCESS/2 a=SUCCESS b=SUCCESS c=SUCCESS z=SUCCESS",
        ..Restart::default()
    });
}

#[test]
fn change_of_a_whole_executions_state_is_told_with_its_outputs() {
    let mut sim = world("tasks: [{id: x, type: SUB}, {id: y, type: LOG}]");
    sim.script("c1", |_| fails());
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: x=FAILED");
    let child = sim.made[1].clone();
    sim.send(&child, Event::ChangeState { run: None, state: Status::Success }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &child), "SUCCESS: c1=FAILED");
    assert_eq!(output(&sim, &id, "x", "outputs.out"), Some(Value::text(child.as_str())));
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS y=SUCCESS");
}

#[test]
fn change_of_a_task_runs_state_mends_all_around_it() {
    let body = "tasks: [{id: p, type: PAR, tasks: [{id: s, type: SEQ, tasks: [{id: a, type: FAIL}, {id: b, type: LOG}], finally: [{id: f, type: LOG}]}, {id: c, type: LOG}]}, {id: z, type: LOG}]";
    let mut sim = world(body);
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: p=FAILED s=FAILED c=SUCCESS a=FAILED f=SUCCESS");
    let before = sim.attempts.len();
    let run = Some(run_of(&sim, &id, "a", ""));
    sim.send(&id, Event::ChangeState { run, state: Status::Success }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: p=SUCCESS s=SUCCESS c=SUCCESS a=SUCCESS b=SUCCESS f=SUCCESS z=SUCCESS");
    assert_eq!(begun(&sim, &id, before), "b f z");
}
