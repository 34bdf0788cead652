//! What flows do, as a table: a flow, and how it ends. Task runs are listed in the order they were created, as `task[value]=STATE/attempts`.
#![expect(clippy::unwrap_used, reason = "tests")]

use engine::sim::{Sim, flow, render::texts};
use engine::{End, Event, Outcome, RejectCode, sim::Fake};
use expr::{Map, Value};
use jiff::SignedDuration;
use model::execution::Failure;
use model::ids::{ExecutionId, TaskId};
use model::state::State as Status;

const CORE: &str = "io.kestra.plugin.core";

fn world(body: &str) -> Sim {
    let mut sim = Sim::new();
    sim.add(flow(&format!("id: main\nnamespace: test\n{}", short(body))));
    sim.add(flow(&short("id: child\nnamespace: test\ninputs: [{id: fails, type: BOOL, defaults: false}]\ntasks: [{id: c1, type: FAIL, condition: '{{ inputs.fails }}'}, {id: c2, type: SLEEP, duration: PT5S}]\noutputs: [{id: out, type: STRING, value: '{{ execution.id }}'}]")));
    sim.world.files.insert(ROWS.to_owned(), "1\n2\n3\n4\n5".to_owned());
    sim.world.files.insert("kestra:///empty.txt".to_owned(), String::new());
    sim
}

/// A file of five rows.
const ROWS: &str = "kestra:///rows.txt";

// Short names for types, so that a case fits on a page.
fn short(body: &str) -> String {
    let types = [
        ("LOG", "log.Log, message: m"),
        ("RETURN", "debug.Return"),
        ("FAIL", "execution.Fail"),
        ("SLEEP", "flow.Sleep"),
        ("SEQ", "flow.Sequential"),
        ("PAR", "flow.Parallel"),
        ("EACH", "flow.ForEach"),
        ("IF", "flow.If"),
        ("SWITCH", "flow.Switch"),
        ("LOOP", "flow.LoopUntil"),
        ("PAUSE", "flow.Pause"),
        ("DAG", "flow.Dag"),
        ("ALLOW", "flow.AllowFailure"),
        ("SUB", "flow.Subflow, namespace: test, flowId: child"),
        ("ITEMS", "flow.ForEachItem, items: 'kestra:///rows.txt', namespace: test, flowId: child"),
        ("NOITEMS", "flow.ForEachItem, namespace: test, flowId: child"),
        ("UNIT", "flow.WorkingDirectory"),
        ("EXIT", "execution.Exit"),
        ("KILL", "execution.Kill"),
        ("SET", "execution.SetVariables"),
        ("UNSET", "execution.UnsetVariables"),
        ("LABELS", "execution.Labels"),
        ("ASSERT", "execution.Assert"),
    ];
    types.iter().fold(body.to_owned(), |body, (name, class)| {
        body.replace(&format!("type: {name},"), &format!("type: {CORE}.{class},"))
            .replace(&format!("type: {name}}}"), &format!("type: {CORE}.{class}}}"))
    })
}

fn shown(sim: &Sim, id: &ExecutionId) -> String {
    let state = sim.state(id);
    let runs = state.runs().map(|run| {
        let value = run.value.as_ref().map(|value| format!("[{value}]")).unwrap_or_default();
        let attempts = if run.attempts.len() > 1 { format!("/{}", run.attempts.len()) } else { String::new() };
        format!(" {}{value}={}{attempts}", run.task, run.state())
    });
    format!("{}:{}", state.status().unwrap(), runs.collect::<String>())
}

fn check(name: &str, body: &str, expected: &str) {
    let mut sim = world(body);
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let messages: Vec<&str> = sim.logs.iter().map(|(_, _, failure)| failure.message.as_str()).collect();
    assert_eq!(shown(&sim, &id), expected, "case `{name}`; failures: {messages:?}");
    assert!(sim.state(&id).is_closed(), "case `{name}` is not closed");
    assert!(sim.state(&id).outstanding().is_empty(), "case `{name}` leaves {:?}", sim.state(&id).outstanding());
}

const CASES: &[(&str, &str, &str)] = &[
    ("tasks run in order", "tasks: [{id: a, type: LOG}, {id: b, type: LOG}]", "SUCCESS: a=SUCCESS b=SUCCESS"),
    ("a failure ends a sequence", "tasks: [{id: a, type: FAIL}, {id: b, type: LOG}]", "FAILED: a=FAILED"),
    (
        "a disabled task has no task run",
        "tasks: [{id: a, type: LOG, disabled: true}, {id: b, type: LOG}]",
        "SUCCESS: b=SUCCESS",
    ),
    ("a flow of disabled tasks succeeds", "tasks: [{id: a, type: LOG, disabled: true}]", "SUCCESS:"),
    (
        "runIf false skips",
        "tasks: [{id: a, type: LOG, runIf: '{{ 1 == 2 }}'}, {id: b, type: LOG, runIf: 'true'}]",
        "SUCCESS: a=SKIPPED b=SUCCESS",
    ),
    (
        "a runIf that cannot be evaluated fails",
        "tasks: [{id: a, type: LOG, runIf: '{{ nothing.here }}'}]",
        "FAILED: a=FAILED",
    ),
    (
        "errors then finally",
        "tasks: [{id: a, type: FAIL}]\nerrors: [{id: e, type: LOG}]\nfinally: [{id: f, type: LOG}]",
        "FAILED: a=FAILED e=SUCCESS f=SUCCESS",
    ),
    (
        "finally without a failure",
        "tasks: [{id: a, type: LOG}]\nerrors: [{id: e, type: LOG}]\nfinally: [{id: f, type: LOG}]",
        "SUCCESS: a=SUCCESS f=SUCCESS",
    ),
    (
        "a failing errors branch stops, and finally runs",
        "tasks: [{id: a, type: FAIL}]\nerrors: [{id: e, type: FAIL}, {id: g, type: LOG}]\nfinally: [{id: f, type: LOG}]",
        "FAILED: a=FAILED e=FAILED f=SUCCESS",
    ),
    (
        "a failing finally changes no verdict",
        "tasks: [{id: a, type: LOG}]\nfinally: [{id: f, type: FAIL}, {id: g, type: LOG}]",
        "SUCCESS: a=SUCCESS f=FAILED",
    ),
    (
        "afterExecution cannot change the state",
        "tasks: [{id: a, type: LOG}]\nafterExecution: [{id: z, type: FAIL}, {id: y, type: LOG}]",
        "SUCCESS: a=SUCCESS z=FAILED",
    ),
    (
        "afterExecution sees the end state",
        "tasks: [{id: a, type: FAIL}]\nafterExecution: [{id: z, type: LOG, runIf: \"{{ execution.state == 'FAILED' }}\"}]",
        "FAILED: a=FAILED z=SUCCESS",
    ),
    (
        "allowFailure warns",
        "tasks: [{id: a, type: FAIL, allowFailure: true}, {id: b, type: LOG}]",
        "WARNING: a=WARNING b=SUCCESS",
    ),
    (
        "allowWarning forgives",
        "tasks: [{id: a, type: FAIL, allowFailure: true, allowWarning: true}]",
        "SUCCESS: a=SUCCESS",
    ),
    ("allowWarning alone does not", "tasks: [{id: a, type: FAIL, allowWarning: true}]", "FAILED: a=FAILED"),
    (
        "AllowFailure holds a failure back",
        "tasks: [{id: x, type: ALLOW, tasks: [{id: a, type: FAIL}, {id: b, type: LOG}]}, {id: c, type: LOG}]",
        "WARNING: x=WARNING a=FAILED c=SUCCESS",
    ),
    (
        "a retry that is used up",
        "tasks: [{id: a, type: FAIL, retry: {type: constant, interval: PT1S, maxAttempts: 3}}]",
        "FAILED: a=FAILED/3",
    ),
    (
        "a retry limited by time",
        "tasks: [{id: a, type: FAIL, retry: {type: constant, interval: PT2S, maxDuration: PT6S}}]",
        "FAILED: a=FAILED/3",
    ),
    (
        "a retry that helps, with a warning",
        "tasks: [{id: a, type: LOG, runIf: 'true', retry: {type: constant, interval: PT1S, maxAttempts: 3, warningOnRetry: true}}]",
        "SUCCESS: a=SUCCESS",
    ),
    (
        "a retry of the task around",
        "tasks: [{id: x, type: SEQ, retry: {type: constant, interval: PT1S, maxAttempts: 2}, tasks: [{id: a, type: FAIL}]}]",
        "FAILED: x=FAILED a=FAILED/2",
    ),
    (
        "the flow's retry",
        "retry: {type: constant, interval: PT1S, maxAttempts: 2}\ntasks: [{id: a, type: FAIL}]",
        "FAILED: a=FAILED/2",
    ),
    ("a timeout fails", "tasks: [{id: a, type: SLEEP, duration: PT10S, timeout: PT1S}]", "FAILED: a=FAILED"),
    (
        "a timeout is of one attempt",
        "tasks: [{id: a, type: SLEEP, duration: PT10S, timeout: PT1S, retry: {type: constant, interval: PT1S, maxAttempts: 2}}]",
        "FAILED: a=FAILED/2",
    ),
    ("a duration that is none", "tasks: [{id: a, type: SLEEP, duration: '{{ 1 ~ \"x\" }}'}]", "FAILED: a=FAILED"),
    (
        "nested sequences with errors of their own",
        "tasks: [{id: x, type: SEQ, tasks: [{id: a, type: FAIL}], errors: [{id: e, type: LOG}], finally: [{id: f, type: LOG}]}, {id: b, type: LOG}]",
        "FAILED: x=FAILED a=FAILED e=SUCCESS f=SUCCESS",
    ),
    (
        "Parallel runs all, whatever fails",
        "tasks: [{id: x, type: PAR, tasks: [{id: a, type: FAIL}, {id: b, type: SLEEP, duration: PT1S}, {id: c, type: LOG}]}]",
        "FAILED: x=FAILED a=FAILED b=SUCCESS c=SUCCESS",
    ),
    (
        "Parallel one at a time",
        "tasks: [{id: x, type: PAR, concurrent: 1, tasks: [{id: a, type: FAIL}, {id: b, type: LOG}]}]",
        "FAILED: x=FAILED a=FAILED b=SUCCESS",
    ),
    (
        "failFast cancels the others",
        "tasks: [{id: x, type: PAR, failFast: true, tasks: [{id: a, type: FAIL}, {id: s, type: SEQ, tasks: [{id: b, type: SLEEP, duration: PT1S}, {id: c, type: LOG}]}]}, {id: d, type: LOG}]",
        "FAILED: x=FAILED a=FAILED s=CANCELLED b=CANCELLED",
    ),
    (
        "If takes a branch",
        "tasks: [{id: x, type: IF, condition: '{{ 1 == 1 }}', then: [{id: a, type: LOG}], else: [{id: b, type: LOG}]}]",
        "SUCCESS: x=SUCCESS a=SUCCESS",
    ),
    (
        "If takes the other",
        "tasks: [{id: x, type: IF, condition: '{{ 1 == 2 }}', then: [{id: a, type: LOG}], else: [{id: b, type: LOG}]}]",
        "SUCCESS: x=SUCCESS b=SUCCESS",
    ),
    (
        "If without else",
        "tasks: [{id: x, type: IF, condition: 'false', then: [{id: a, type: LOG}]}]",
        "SUCCESS: x=SUCCESS",
    ),
    (
        "If that cannot be evaluated",
        "tasks: [{id: x, type: IF, condition: '{{ nothing }}', then: [{id: a, type: LOG}]}]",
        "FAILED: x=FAILED",
    ),
    (
        "Switch finds its case",
        "tasks: [{id: x, type: SWITCH, value: '{{ 1 + 1 }}', cases: {'1': [{id: a, type: LOG}], '2': [{id: b, type: LOG}]}}]",
        "SUCCESS: x=SUCCESS b=SUCCESS",
    ),
    (
        "Switch falls back",
        "tasks: [{id: x, type: SWITCH, value: z, cases: {a: [{id: a, type: LOG}]}, defaults: [{id: d, type: LOG}]}]",
        "SUCCESS: x=SUCCESS d=SUCCESS",
    ),
    (
        "Switch without a case fails",
        "tasks: [{id: x, type: SWITCH, value: z, cases: {a: [{id: a, type: LOG}]}}]",
        "FAILED: x=FAILED",
    ),
    (
        "ForEach goes one by one",
        "tasks: [{id: x, type: EACH, values: [p, q], tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}]",
        "SUCCESS: x=SUCCESS a[p]=SUCCESS b[p]=SUCCESS a[q]=SUCCESS b[q]=SUCCESS",
    ),
    (
        "ForEach all at once",
        "tasks: [{id: x, type: EACH, concurrencyLimit: 0, values: '[\"p\", 2]', tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}]",
        "SUCCESS: x=SUCCESS a[p]=SUCCESS a[2]=SUCCESS b[p]=SUCCESS b[2]=SUCCESS",
    ),
    (
        "ForEach of equal values",
        "tasks: [{id: x, type: EACH, values: [p, p], tasks: [{id: a, type: LOG}]}]",
        "SUCCESS: x=SUCCESS a[p]=SUCCESS a[p]=SUCCESS",
    ),
    (
        "ForEach of maps",
        "tasks: [{id: x, type: EACH, values: [{k: 1}], tasks: [{id: a, type: LOG}]}]",
        "SUCCESS: x=SUCCESS a[{\"k\":1}]=SUCCESS",
    ),
    (
        "ForEach of nothing",
        "tasks: [{id: x, type: EACH, values: [], tasks: [{id: a, type: LOG}]}, {id: b, type: LOG}]",
        "SUCCESS: x=SUCCESS b=SUCCESS",
    ),
    (
        "ForEach of null",
        "tasks: [{id: x, type: EACH, values: '[1, null]', tasks: [{id: a, type: LOG}]}]",
        "FAILED: x=FAILED",
    ),
    (
        "ForEach of text",
        "tasks: [{id: x, type: EACH, values: 'no list', tasks: [{id: a, type: LOG}]}]",
        "FAILED: x=FAILED",
    ),
    (
        "ForEach one by one stops at a failure",
        "tasks: [{id: x, type: EACH, values: [p, q], tasks: [{id: a, type: FAIL}], errors: [{id: e, type: LOG}]}]",
        "FAILED: x=FAILED a[p]=FAILED e=SUCCESS",
    ),
    (
        "iterations run their errors once",
        "tasks: [{id: x, type: EACH, concurrencyLimit: 2, values: [p, q, r], tasks: [{id: a, type: FAIL}], errors: [{id: e, type: LOG}], finally: [{id: f, type: LOG}]}]",
        "FAILED: x=FAILED a[p]=FAILED a[q]=FAILED a[r]=FAILED e=SUCCESS f=SUCCESS",
    ),
    (
        "Dag waits for what it depends on",
        "tasks: [{id: x, type: DAG, tasks: [{task: {id: c, type: LOG}, dependsOn: [a, b]}, {task: {id: a, type: LOG}}, {task: {id: b, type: LOG, disabled: true}}]}]",
        "SUCCESS: x=SUCCESS a=SUCCESS c=SUCCESS",
    ),
    (
        "Dag leaves out what depends on a failure",
        "tasks: [{id: x, type: DAG, tasks: [{task: {id: a, type: FAIL}}, {task: {id: b, type: LOG}, dependsOn: [a]}, {task: {id: c, type: LOG}}]}]",
        "FAILED: x=FAILED a=FAILED c=SUCCESS",
    ),
    (
        "a loop until its condition holds",
        "tasks: [{id: x, type: LOOP, condition: '{{ outputs.x.iterationCount >= 2 }}', checkFrequency: {interval: PT1S}, tasks: [{id: a, type: LOG}]}]",
        "SUCCESS: x=SUCCESS a=SUCCESS",
    ),
    (
        "a loop that gives up",
        "tasks: [{id: x, type: LOOP, condition: 'false', failOnMaxReached: true, checkFrequency: {interval: PT1S, maxIterations: 2}, tasks: [{id: a, type: LOG}], errors: [{id: e, type: LOG}]}]",
        "FAILED: x=FAILED a=SUCCESS e=SUCCESS",
    ),
    (
        "a loop that gives up in peace",
        "tasks: [{id: x, type: LOOP, condition: 'false', checkFrequency: {interval: PT1S, maxDuration: PT3S}, tasks: [{id: a, type: LOG}]}]",
        "SUCCESS: x=SUCCESS a=SUCCESS",
    ),
    (
        "a loop whose task fails",
        "tasks: [{id: x, type: LOOP, condition: 'false', tasks: [{id: a, type: FAIL}, {id: b, type: LOG}]}]",
        "FAILED: x=FAILED a=FAILED",
    ),
    (
        "a pause that ends by itself",
        "tasks: [{id: x, type: PAUSE, pauseDuration: PT1S, tasks: [{id: a, type: LOG}]}, {id: b, type: LOG}]",
        "SUCCESS: x=SUCCESS a=SUCCESS b=SUCCESS",
    ),
    ("a pause that warns", "tasks: [{id: x, type: PAUSE, pauseDuration: PT1S, behavior: WARN}]", "WARNING: x=WARNING"),
    (
        "a pause that fails",
        "tasks: [{id: x, type: PAUSE, pauseDuration: PT1S, behavior: FAIL, errors: [{id: e, type: LOG}]}]",
        "FAILED: x=FAILED e=SUCCESS",
    ),
    (
        "a pause that cancels",
        "tasks: [{id: x, type: PAR, tasks: [{id: p, type: PAUSE, pauseDuration: PT1S, behavior: CANCEL}, {id: s, type: SLEEP, duration: PT9S}]}]\nfinally: [{id: f, type: LOG}]",
        "CANCELLED: x=CANCELLED p=CANCELLED s=CANCELLED",
    ),
    ("a subflow that is waited for", "tasks: [{id: x, type: SUB, wait: true}]", "SUCCESS: x=SUCCESS"),
    ("a subflow that fails", "tasks: [{id: x, type: SUB, inputs: {fails: true}}]", "FAILED: x=FAILED"),
    (
        "a subflow whose failure is its own",
        "tasks: [{id: x, type: SUB, inputs: {fails: true}, transmitFailed: false}]",
        "SUCCESS: x=SUCCESS",
    ),
    (
        "a subflow that is not there",
        "tasks: [{id: x, type: io.kestra.plugin.core.flow.Subflow, namespace: test, flowId: none}]",
        "FAILED: x=FAILED",
    ),
    (
        "Exit ends the execution",
        "tasks: [{id: x, type: EXIT, state: WARNING}, {id: a, type: LOG}]\nfinally: [{id: f, type: LOG}]",
        "WARNING: x=WARNING f=SUCCESS",
    ),
    (
        "Exit within",
        "tasks: [{id: p, type: PAR, tasks: [{id: s, type: SLEEP, duration: PT9S}, {id: x, type: EXIT, state: FAILED}]}]",
        "FAILED: p=FAILED s=FAILED x=FAILED",
    ),
    (
        "Kill ends the execution",
        "tasks: [{id: x, type: KILL}, {id: a, type: LOG}]\nfinally: [{id: f, type: LOG}]",
        "KILLED: x=KILLED",
    ),
    (
        "variables are set",
        "variables: {v: 1}\ntasks: [{id: a, type: SET, variables: {v: '2'}}, {id: b, type: LOG, runIf: \"{{ vars.v == '2' }}\"}]",
        "SUCCESS: a=SUCCESS b=SUCCESS",
    ),
    (
        "variables are not overwritten",
        "variables: {v: 1}\ntasks: [{id: a, type: SET, variables: {v: 2}, overwrite: false}]",
        "FAILED: a=FAILED",
    ),
    (
        "variables are unset",
        "variables: {v: 1}\ntasks: [{id: a, type: UNSET, variables: [v]}, {id: b, type: UNSET, variables: [v]}]",
        "FAILED: a=SUCCESS b=FAILED",
    ),
    (
        "labels of the system are refused",
        "tasks: [{id: a, type: LABELS, labels: \"{{ {'system.x': 'y'} }}\"}]",
        "FAILED: a=FAILED",
    ),
    (
        "assertions hold",
        "tasks: [{id: a, type: ASSERT, conditions: ['{{ 1 == 1 }}']}, {id: b, type: ASSERT, conditions: ['{{ 1 == 1 }}', '{{ 1 == 2 }}']}]",
        "FAILED: a=SUCCESS b=FAILED",
    ),
    (
        "flow outputs that cannot be evaluated fail",
        "tasks: [{id: a, type: LOG}]\noutputs: [{id: o, type: STRING, value: '{{ nothing }}'}]",
        "FAILED: a=SUCCESS",
    ),
    (
        "an SLA that is broken fails",
        "sla: [{id: s, type: MAX_DURATION, duration: PT1S, behavior: FAIL}]\ntasks: [{id: a, type: SLEEP, duration: PT5S}]\nerrors: [{id: e, type: LOG}]",
        "FAILED: a=FAILED e=SUCCESS",
    ),
    (
        "an SLA that is broken cancels",
        "sla: [{id: s, type: MAX_DURATION, duration: PT1S, behavior: CANCEL}]\ntasks: [{id: a, type: SLEEP, duration: PT5S}]\nerrors: [{id: e, type: LOG}]",
        "CANCELLED: a=CANCELLED",
    ),
    (
        "an SLA that cannot be evaluated says nothing",
        "sla: [{id: s, type: EXECUTION_ASSERTION, assert: '{{ nothing }}', behavior: FAIL}]\ntasks: [{id: a, type: LOG}]",
        "SUCCESS: a=SUCCESS",
    ),
    (
        "listeners run after the end",
        "tasks: [{id: a, type: LOG}]\nlisteners: [{tasks: [{id: l, type: FAIL}]}, {tasks: [{id: m, type: LOG}]}]",
        "SUCCESS: a=SUCCESS l=FAILED m=SUCCESS",
    ),
    (
        "ForEachItem has three tasks of its own",
        "tasks: [{id: x, type: ITEMS, batch: {rows: 2}}, {id: y, type: LOG}]",
        "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS x_merge=SUCCESS y=SUCCESS",
    ),
    (
        "ForEachItem fails with its executions",
        "tasks: [{id: x, type: ITEMS, inputs: {fails: true}, errors: [{id: e, type: LOG}]}]",
        "FAILED: x=FAILED x_split=SUCCESS x_items=FAILED e=SUCCESS",
    ),
    (
        "ForEachItem that keeps failures to itself",
        "tasks: [{id: x, type: ITEMS, inputs: {fails: true}, transmitFailed: false}]",
        "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS x_merge=SUCCESS",
    ),
    (
        "ForEachItem that may fail",
        "tasks: [{id: x, type: ITEMS, inputs: {fails: true}, allowFailure: true}, {id: y, type: LOG}]",
        "WARNING: x=WARNING x_split=SUCCESS x_items=FAILED y=SUCCESS",
    ),
    (
        "ForEachItem of nothing",
        "tasks: [{id: x, type: NOITEMS, items: 'kestra:///empty.txt'}]",
        "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS x_merge=SUCCESS",
    ),
    (
        "ForEachItem of a file that is not there",
        "tasks: [{id: x, type: NOITEMS, items: 'kestra:///none.txt'}]",
        "FAILED: x=FAILED x_split=FAILED",
    ),
    (
        "ForEachItem of no file",
        "tasks: [{id: x, type: NOITEMS, items: \"{{ '' }}\"}]",
        "FAILED: x=FAILED x_split=FAILED",
    ),
    (
        "ForEachItem with batches that cannot be",
        "tasks: [{id: x, type: ITEMS, batch: {rows: '{{ 1 - 1 }}'}}]",
        "FAILED: x=FAILED x_split=FAILED",
    ),
    (
        "ForEachItem nobody waits for",
        "tasks: [{id: x, type: ITEMS, inputs: {fails: true}, wait: false}]",
        "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS x_merge=SUCCESS",
    ),
    (
        "ForEachItem with inputs that cannot be evaluated",
        "tasks: [{id: x, type: ITEMS, inputs: {a: '{{ nothing }}'}}]",
        "FAILED: x=FAILED x_split=SUCCESS x_items=FAILED",
    ),
    (
        "ForEachItem of a flow that is not there",
        "tasks: [{id: x, type: io.kestra.plugin.core.flow.ForEachItem, items: 'kestra:///rows.txt', namespace: test, flowId: none}]",
        "FAILED: x=FAILED x_split=SUCCESS x_items=FAILED",
    ),
    (
        "a retry of ForEachItem runs what failed again",
        "tasks: [{id: x, type: ITEMS, retry: {type: constant, interval: PT1S, maxAttempts: 2}, inputs: {fails: \"{{ taskrun.iteration == 1 }}\"}}]",
        "FAILED: x=FAILED x_split=SUCCESS x_items=FAILED/2",
    ),
    (
        "each batch has inputs of its own",
        "tasks: [{id: x, type: ITEMS, batch: {rows: 3}, inputs: {fails: \"{{ taskrun.items is not defined or taskrun.items is null }}\"}}]",
        "SUCCESS: x=SUCCESS x_split=SUCCESS x_items=SUCCESS x_merge=SUCCESS",
    ),
    (
        "a timeout of a sequence",
        "tasks: [{id: x, type: SEQ, timeout: PT1S, tasks: [{id: a, type: SLEEP, duration: PT5S}, {id: b, type: LOG}], errors: [{id: e, type: LOG}], finally: [{id: f, type: LOG}]}, {id: y, type: LOG}]",
        "FAILED: x=FAILED a=KILLED e=SUCCESS f=SUCCESS",
    ),
    (
        "a timeout that may be",
        "tasks: [{id: x, type: PAR, timeout: PT1S, allowFailure: true, tasks: [{id: a, type: SLEEP, duration: PT5S}, {id: s, type: SUB}, {id: b, type: LOG}]}, {id: y, type: LOG}]",
        "WARNING: x=WARNING a=KILLED s=KILLED b=SUCCESS y=SUCCESS",
    ),
    (
        "a timeout in time",
        "tasks: [{id: x, type: SEQ, timeout: PT9S, tasks: [{id: a, type: SLEEP, duration: PT5S}]}]",
        "SUCCESS: x=SUCCESS a=SUCCESS",
    ),
    (
        "a timeout of what goes round",
        "tasks: [{id: x, type: LOOP, timeout: PT9S, condition: 'false', checkFrequency: {interval: PT2S}, tasks: [{id: a, type: LOG}]}]",
        "FAILED: x=FAILED a=SUCCESS",
    ),
    (
        "a timeout in a cleanup",
        "tasks: [{id: x, type: SEQ, timeout: PT1S, tasks: [{id: a, type: FAIL}], errors: [{id: e, type: SLEEP, duration: PT5S}, {id: g, type: LOG}], finally: [{id: f, type: LOG}]}]",
        "FAILED: x=FAILED a=FAILED e=KILLED f=SUCCESS",
    ),
    (
        "a timeout of iterations",
        "tasks: [{id: x, type: EACH, concurrencyLimit: 2, timeout: PT3S, values: [p, q, r], tasks: [{id: a, type: SLEEP, duration: PT2S}]}]",
        "FAILED: x=FAILED a[p]=SUCCESS a[q]=SUCCESS a[r]=KILLED",
    ),
    (
        "a timeout of a branch",
        "tasks: [{id: x, type: IF, timeout: PT1S, condition: 'true', then: [{id: w, type: SWITCH, timeout: PT9S, value: v, cases: {v: [{id: d, type: DAG, timeout: PT9S, tasks: [{task: {id: a, type: SLEEP, duration: PT2S}}]}]}}]}]",
        "FAILED: x=FAILED w=KILLED d=KILLED a=KILLED",
    ),
    (
        "a timeout of ForEachItem",
        "tasks: [{id: x, type: ITEMS, timeout: PT1S}]",
        "FAILED: x=FAILED x_split=SUCCESS x_items=KILLED",
    ),
    (
        "a timeout that is none",
        "tasks: [{id: x, type: SEQ, timeout: '{{ \"x\" }}', tasks: [{id: a, type: LOG}]}]",
        "FAILED: x=FAILED",
    ),
    (
        "a listener whose conditions do not hold",
        "tasks: [{id: a, type: FAIL}]\nlisteners: [{conditions: [{type: io.kestra.plugin.core.condition.ExecutionStatus, in: [SUCCESS]}], tasks: [{id: l, type: LOG}]}, {conditions: [{type: io.kestra.plugin.core.condition.Not, conditions: [{type: io.kestra.plugin.core.condition.ExecutionNamespace, namespace: other}]}], tasks: [{id: m, type: LOG}]}]",
        "FAILED: a=FAILED m=SUCCESS",
    ),
    (
        "a listener whose conditions cannot be told",
        "tasks: [{id: a, type: LOG}]\nlisteners: [{conditions: [{type: io.kestra.plugin.core.condition.Expression, expression: '{{ nothing }}'}], tasks: [{id: l, type: LOG}]}, {tasks: [{id: m, type: LOG}]}]",
        "SUCCESS: a=SUCCESS m=SUCCESS",
    ),
    (
        "a template that nobody has",
        "tasks: [{id: x, type: io.kestra.plugin.core.flow.Template, namespace: test, templateId: '{{ 1 }}', args: {a: b}}]",
        "FAILED: x=FAILED",
    ),
    (
        "a working directory reports its tasks",
        "tasks: [{id: x, type: UNIT, tasks: [{id: a, type: LOG}, {id: b, type: LOG, runIf: 'false'}]}]",
        "SUCCESS: x=SUCCESS a=SUCCESS b=SKIPPED",
    ),
];

#[test]
fn flows_end_as_the_table_says() {
    for (name, body, expected) in CASES {
        check(name, body, expected);
    }
}

fn fails() -> Fake {
    let failure = Failure { code: "x".to_owned(), message: "x".to_owned(), retryable: None };
    Fake { takes: SignedDuration::ZERO, outcome: Some(Outcome { end: End::Failed(failure), outputs: Value::Null }) }
}

fn takes(seconds: i64) -> Fake {
    Fake {
        takes: SignedDuration::from_secs(seconds),
        outcome: Some(Outcome { end: End::Success, outputs: Value::from(texts([("k", "v")])) }),
    }
}

fn check_after(
    body: &str,
    task: &str,
    script: impl Fn(u32) -> Fake + 'static,
    act: impl Fn(&mut Sim, &ExecutionId),
    expected: &str,
) {
    let mut sim = world(body);
    sim.script(task, script);
    let id = sim.start("test", "main", Map::new());
    act(&mut sim, &id);
    sim.run();
    assert_eq!(shown(&sim, &id), expected);
    assert!(sim.state(&id).is_closed());
}

#[test]
fn retry_that_helps_warns() {
    let body =
        "tasks: [{id: a, type: LOG, retry: {type: constant, interval: PT1S, maxAttempts: 3, warningOnRetry: true}}]";
    check_after(body, "a", |attempt| if attempt < 3 { fails() } else { takes(0) }, |_, _| {}, "WARNING: a=WARNING/3");
}

#[test]
fn failure_that_says_so_is_not_retried() {
    let body = "tasks: [{id: a, type: LOG, retry: {type: constant, interval: PT1S, maxAttempts: 3}}]";
    let script = |_| {
        let failure = Failure { code: "x".to_owned(), message: "x".to_owned(), retryable: Some(false) };
        Fake { takes: SignedDuration::ZERO, outcome: Some(Outcome { end: End::Failed(failure), outputs: Value::Null }) }
    };
    check_after(body, "a", script, |_, _| {}, "FAILED: a=FAILED");
}

#[test]
fn running_task_is_stopped_by_its_timeout() {
    check_after("tasks: [{id: a, type: LOG, timeout: PT1S}]", "a", |_| takes(10), |_, _| {}, "FAILED: a=FAILED");
}

#[test]
fn kill_reaches_tasks_and_subflows() {
    let body = "tasks: [{id: p, type: PAR, tasks: [{id: a, type: LOG}, {id: s, type: SUB}, {id: w, type: PAUSE}]}]\nfinally: [{id: f, type: LOG}]";
    let mut sim = world(body);
    sim.script("a", |_| takes(60));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    sim.send(&id, Event::Kill { cascade: true }).unwrap();
    assert_eq!(shown(&sim, &id), "KILLED: p=KILLED a=KILLED s=KILLED w=KILLED");
    assert_eq!(sim.state(&sim.made[1]).status(), Some(Status::Killed));
    let again = sim.send(&id, Event::Kill { cascade: true }).unwrap_err();
    assert_eq!(again.code, RejectCode::Conflict);
}

#[test]
fn pause_waits_to_be_resumed() {
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        assert_eq!(shown(sim, id), "PAUSED: x=PAUSED");
        sim.send(id, Event::Resume { run: None, inputs: texts([("who", "me")]) }).unwrap();
    };
    check_after(
        "tasks: [{id: x, type: PAUSE}, {id: a, type: LOG, runIf: \"{{ outputs.x.onResume.who == 'me' }}\"}]",
        "none",
        |_| fails(),
        act,
        "SUCCESS: x=SUCCESS a=SUCCESS",
    );
}

#[test]
fn paused_execution_begins_nothing() {
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run_while(|_| false);
        sim.send(id, Event::Pause).unwrap();
        sim.run();
        assert_eq!(shown(sim, id), "PAUSED: a=SUCCESS b=CREATED");
        sim.send(id, Event::Resume { run: None, inputs: Map::new() }).unwrap();
    };
    check_after(
        "tasks: [{id: a, type: LOG}, {id: b, type: LOG}]",
        "a",
        |_| takes(5),
        act,
        "SUCCESS: a=SUCCESS b=SUCCESS",
    );
}

#[test]
fn breakpoint_stops_before_its_task_once() {
    let mut sim = world("tasks: [{id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG}]");
    let id = sim.start_as("test", "main", |execution| execution.breakpoints = vec![TaskId::trusted("b")]);
    sim.run();
    assert_eq!(shown(&sim, &id), "BREAKPOINT: a=SUCCESS b=CREATED");
    sim.send(&id, Event::SetBreakpoints { tasks: vec![TaskId::trusted("b"), TaskId::trusted("c")] }).unwrap();
    sim.send(&id, Event::Resume { run: None, inputs: Map::new() }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "BREAKPOINT: a=SUCCESS b=SUCCESS c=CREATED");
    sim.send(&id, Event::ForceRun).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: a=SUCCESS b=SUCCESS c=SUCCESS");
}

#[test]
fn scheduled_execution_waits_or_is_forced() {
    let mut sim = world("tasks: [{id: a, type: LOG}]");
    let due = sim.now.saturating_add(SignedDuration::from_secs(60)).unwrap();
    let ids: Vec<ExecutionId> =
        (0..2).map(|_| sim.start_as("test", "main", |execution| execution.scheduled = Some(due))).collect();
    sim.run_while(|_| false);
    assert_eq!(shown(&sim, &ids[0]), "CREATED:");
    sim.send(&ids[1], Event::ForceRun).unwrap();
    sim.run_while(|sim| sim.state(&ids[1]).status() != Some(Status::Success));
    assert!(sim.now < due);
    sim.run();
    assert_eq!(shown(&sim, &ids[0]), "SUCCESS: a=SUCCESS");
    assert_eq!(sim.now, due);
}

#[test]
fn restart_runs_what_failed_again() {
    let body = "tasks: [{id: a, type: LOG}, {id: s, type: SEQ, tasks: [{id: b, type: LOG}], errors: [{id: e, type: LOG}]}, {id: c, type: LOG}]\nerrors: [{id: g, type: LOG}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        assert_eq!(shown(sim, id), "FAILED: a=SUCCESS s=FAILED b=FAILED e=SUCCESS g=SUCCESS");
        sim.send(id, Event::Restart { from: None }).unwrap();
    };
    check_after(
        body,
        "b",
        |attempt| if attempt == 1 { fails() } else { takes(0) },
        act,
        "SUCCESS: a=SUCCESS s=SUCCESS b=SUCCESS/2 c=SUCCESS",
    );
}

#[test]
fn replay_runs_what_comes_after_again() {
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        let from = sim.state(id).runs().nth(1).map(|run| run.id.clone());
        sim.send(id, Event::Restart { from }).unwrap();
    };
    check_after(
        "tasks: [{id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG}]",
        "none",
        |_| fails(),
        act,
        "SUCCESS: a=SUCCESS b=SUCCESS/2 c=SUCCESS",
    );
}

#[test]
fn replay_makes_another_execution_from_a_task_run_on() {
    let mut sim = world(
        "tasks: [{id: x, type: EACH, values: [p, q], concurrencyLimit: 0, tasks: [{id: a, type: LOG}]}, {id: s, type: SEQ, tasks: [{id: b, type: FAIL}]}]\nerrors: [{id: e, type: LOG}]",
    );
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: x=SUCCESS a[p]=SUCCESS a[q]=SUCCESS s=FAILED b=FAILED e=SUCCESS");
    let from = sim.state(&id).runs().nth(4).unwrap().id.clone();
    let again = sim.replay(&id, &from).unwrap();
    assert_eq!(shown(&sim, &again), "RESTARTED: x=SUCCESS a[p]=SUCCESS a[q]=SUCCESS s=RUNNING b=RESTARTED");
    assert!(sim.state(&again).run(&from).is_none());
    sim.run();
    assert_eq!(shown(&sim, &again), "FAILED: x=SUCCESS a[p]=SUCCESS a[q]=SUCCESS s=FAILED b=FAILED/2 e=SUCCESS");
    assert_eq!(sim.state(&again).execution().unwrap().original.as_ref(), Some(&id));
}

#[test]
fn slots_are_handed_on() {
    let mut sim = world("concurrency: {limit: 1, behavior: QUEUE}\ntasks: [{id: a, type: SLEEP, duration: PT5S}]");
    let ids: Vec<ExecutionId> = (0..3).map(|_| sim.start("test", "main", Map::new())).collect();
    sim.run_while(|_| false);
    let states: Vec<_> = ids.iter().map(|id| sim.state(id).status().unwrap()).collect();
    assert_eq!(states, [Status::Running, Status::Queued, Status::Queued]);
    sim.send(&ids[2], Event::ForceRun).unwrap();
    sim.run();
    assert!(ids.iter().all(|id| sim.state(id).status() == Some(Status::Success)));
    assert_eq!(sim.held_slots(&sim.state(&ids[0]).flow().key), 0);
}

#[test]
fn retry_in_place_of_an_execution() {
    let mut sim = world(
        "retry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}\ntasks: [{id: a, type: LOG}]",
    );
    sim.script("a", |_| fails());
    sim.start("test", "main", Map::new());
    sim.run();
    let states: Vec<_> = sim.made.iter().map(|id| sim.state(id).status().unwrap()).collect();
    assert_eq!(states, [Status::Retried, Status::Retried, Status::Failed]);
}

#[test]
fn parent_waits_for_the_execution_that_takes_the_place_of_another() {
    let mut sim = world(
        "tasks: [{id: x, type: io.kestra.plugin.core.flow.Subflow, namespace: test, flowId: again}, {id: y, type: LOG}]",
    );
    sim.add(flow(&short("id: again\nnamespace: test\nretry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}\ntasks: [{id: a, type: LOG, runIf: 'true'}]")));
    let tries = std::cell::Cell::new(0);
    sim.script("a", move |_| {
        tries.set(tries.get() + 1);
        if tries.get() < 2 { fails() } else { takes(0) }
    });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS y=SUCCESS");
    assert_eq!(sim.made.len(), 3);
    let known = sim.state(&id).runs().next().unwrap().outputs.get("executionId").cloned();
    assert_eq!(known, Some(Value::text(sim.made[2].as_str())));
}

#[test]
fn same_events_give_the_same_changes() {
    let run = || {
        let mut sim = world(
            "tasks: [{id: x, type: EACH, concurrencyLimit: 0, values: [p, q], tasks: [{id: a, type: FAIL, retry: {type: random, minInterval: PT1S, maxInterval: PT9S, maxAttempts: 3}}]}]",
        );
        let id = sim.start("test", "main", Map::new());
        sim.run();
        sim.changes(&id).to_vec()
    };
    assert_eq!(run(), run());
}

const BATCHED: &str = "tasks: [{id: x, type: ITEMS, batch: {rows: 2}, inputs: {fails: \"{{ taskrun.iteration == 1 and vars.broken }}\"}}]\nvariables: {broken: true}";

fn output(sim: &Sim, id: &ExecutionId, task: &str, path: &str) -> Option<Value> {
    sim.state(id).run_of(&TaskId::trusted(task), &[])?.outputs.get_path(path.split('.')).cloned()
}

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
fn time_limit_counts_anew_after_a_restart() {
    let body = "tasks: [{id: x, type: SEQ, timeout: PT3S, tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        assert_eq!(shown(sim, id), "FAILED: x=FAILED a=SUCCESS b=KILLED");
        sim.send(id, Event::Restart { from: None }).unwrap();
        sim.run();
        assert_eq!(shown(sim, id), "FAILED: x=FAILED a=SUCCESS b=KILLED/2");
        sim.send(id, Event::Restart { from: None }).unwrap();
    };
    let script = |attempt| if attempt < 3 { takes(9) } else { takes(1) };
    check_after(body, "b", script, act, "SUCCESS: x=SUCCESS a=SUCCESS b=SUCCESS/3");
}

#[test]
fn execution_that_a_check_refuses_fails_without_running() {
    let mut sim = world(
        "retry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}\ntasks: [{id: a, type: LOG}]\nafterExecution: [{id: z, type: LOG}]",
    );
    let refused = Failure { code: "check".to_owned(), message: "not today".to_owned(), retryable: None };
    let id = sim.start_as("test", "main", |execution| execution.failure = Some(refused.clone()));
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: z=SUCCESS");
    assert_eq!(sim.logs, [(id.clone(), None, refused)]);
    assert_eq!(sim.made.len(), 1);
}

#[test]
fn restart_goes_on_where_an_execution_was_ended() {
    let ended = |body: &str, first: &str, second: &str| {
        let mut sim = world(body);
        let id = sim.start("test", "main", Map::new());
        sim.run();
        assert_eq!(shown(&sim, &id), first);
        sim.send(&id, Event::Restart { from: None }).unwrap();
        sim.run();
        assert_eq!(shown(&sim, &id), second);
    };
    let outputs =
        "variables: {v: 1}\ntasks: [{id: a, type: LOG}]\noutputs: [{id: o, type: STRING, value: '{{ nothing }}'}]";
    ended(outputs, "FAILED: a=SUCCESS", "FAILED: a=SUCCESS");
    let mut sim = world("concurrency: {limit: 1, behavior: CANCEL}\ntasks: [{id: a, type: SLEEP, duration: PT5S}]");
    let ids = [0, 1].map(|_| sim.start("test", "main", Map::new()));
    sim.run();
    assert_eq!(shown(&sim, &ids[1]), "CANCELLED:");
    sim.send(&ids[1], Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &ids[1]), "SUCCESS: a=SUCCESS");
    let success = sim.send(&ids[0], Event::Restart { from: None }).unwrap_err();
    assert_eq!(success.code, RejectCode::Invalid);
}

#[test]
fn execution_goes_on_when_the_subflow_that_failed_it_is_mended() {
    let mut sim = world("tasks: [{id: x, type: SUB, inputs: {fails: true}}, {id: y, type: LOG}]");
    sim.script("c1", |attempt| if attempt == 1 { fails() } else { takes(0) });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: x=FAILED");
    let child = sim.made[1].clone();
    sim.send(&child, Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &child), "SUCCESS: c1=SUCCESS/2 c2=SUCCESS");
    assert_eq!(shown(&sim, &id), "SUCCESS: x=SUCCESS y=SUCCESS");
    assert_eq!(output(&sim, &id, "x", "state"), Some(Value::text("SUCCESS")));
    assert_eq!(output(&sim, &id, "x", "outputs.out"), Some(Value::text(child.as_str())));
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
