//! The properties of flow-control tasks (kestra-model.md a.5), and what must hold between a task and its children.

use std::collections::HashMap;
use std::sync::Arc;

use expr::{Map, Value};

use super::builtin::{self, Builtin};
use super::{Reading, input, task};
use crate::batch::Batching;
use crate::flow::Dynamic;
use crate::ids::TaskId;
use crate::node::{Fields, Node, unknown_key};
use crate::problem::{Problem, Problems, quoted_list};
use crate::task::{Block, EachStyle, EngineAction, FlowTask, Frequency, Pause, PauseBehavior, Subflow, TaskKind};

/// The type whose inner tasks get types of their own, which no flow can name.
const FOR_EACH_ITEM: &str = "io.kestra.plugin.core.flow.ForEachItem";

/// Reads the properties of a flow-control task. What all tasks have was read before.
pub(super) fn read(builtin: Builtin, mut fields: Fields<'_>, reading: &mut Reading<'_>) -> Option<FlowTask> {
    let fields = &mut fields;
    let task = match builtin {
        Builtin::Sequential => FlowTask::Sequential(block(fields, reading)),
        Builtin::AllowFailure => FlowTask::AllowFailure(block(fields, reading)),
        Builtin::Parallel => FlowTask::Parallel {
            concurrent: fields.number("concurrent", 0, &mut reading.problems).unwrap_or(0),
            fail_fast: fields.boolean("failFast", false, &mut reading.problems),
            block: block(fields, reading),
        },
        Builtin::Dag => dag(fields, reading),
        Builtin::If => FlowTask::If {
            condition: fields.require_dynamic("condition", &mut reading.problems),
            block: Block { tasks: task::read_children(fields, "then", true, reading), ..ends(fields, reading) },
            otherwise: task::read_children(fields, "else", false, reading),
        },
        Builtin::Switch => switch(fields, reading),
        Builtin::ForEach => FlowTask::ForEach {
            values: fields.require_dynamic("values", &mut reading.problems),
            concurrent: fields.number("concurrencyLimit", 0, &mut reading.problems).unwrap_or(1),
            block: block(fields, reading),
            style: EachStyle::Iterations,
        },
        Builtin::EachSequential => FlowTask::ForEach {
            values: fields.require_dynamic("value", &mut reading.problems),
            concurrent: 1,
            block: block(fields, reading),
            style: EachStyle::Sequential,
        },
        Builtin::EachParallel => FlowTask::ForEach {
            values: fields.require_dynamic("value", &mut reading.problems),
            concurrent: fields.number("concurrent", 0, &mut reading.problems).unwrap_or(0),
            block: block(fields, reading),
            style: EachStyle::Parallel,
        },
        Builtin::ForEachItem => for_each_item(fields, reading),
        Builtin::LoopUntil | Builtin::WaitFor => FlowTask::LoopUntil {
            condition: fields.require_dynamic("condition", &mut reading.problems),
            block: block(fields, reading),
            fail_on_max_reached: fields.boolean("failOnMaxReached", false, &mut reading.problems),
            frequency: frequency(if builtin == Builtin::WaitFor { "PT1S" } else { "PT1M" }, fields, reading),
        },
        Builtin::Pause => pause(fields, reading),
        Builtin::Sleep => {
            fields.require("duration", &mut reading.problems);
            FlowTask::Sleep {
                duration: fields.dynamic_duration("duration", &mut reading.problems).unwrap_or(Dynamic(Value::Null)),
            }
        }
        Builtin::Subflow => {
            let outputs = fields.map("outputs", &mut reading.problems);
            FlowTask::Subflow(Box::new(Subflow { outputs, ..subflow(fields, reading) }))
        }
        Builtin::WorkingDirectory => working_directory(fields, reading),
        Builtin::Template => template(fields, reading),
        Builtin::Action(_) => return None,
    };
    for (key, node) in fields.rest() {
        reading.problems.push(unknown_key(&key, &node, fields.known().iter().copied()));
    }
    Some(task)
}

fn ends(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Block {
    Block {
        tasks: Vec::new(),
        errors: task::read_children(fields, "errors", false, reading),
        finally: task::read_children(fields, "finally", false, reading),
    }
}

fn block(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Block {
    Block { tasks: task::read_children(fields, "tasks", true, reading), ..ends(fields, reading) }
}

fn switch(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> FlowTask {
    let value = fields.require_dynamic("value", &mut reading.problems);
    let mut cases = Vec::new();
    if let Some(node) = fields.get("cases") {
        if node.value.as_map().is_none() {
            reading.problems.push(node.wrong_type("a map of value to tasks"));
        }
        for (case, tasks) in node.entries() {
            if tasks.value.as_list().is_none() && !tasks.value.is_null() {
                reading.problems.push(tasks.wrong_type("a list of tasks"));
            }
            let tasks = tasks.items().into_iter().filter_map(|node| task::read(node, reading)).collect();
            cases.push((case.to_string(), tasks));
        }
    }
    let defaults = task::read_children(fields, "defaults", false, reading);
    let is_empty =
        |key: &str| fields.node.get(key).is_none_or(|node| node.items().is_empty() && node.entries().is_empty());
    if is_empty("cases") && is_empty("defaults") {
        let problem = fields.node.error("flow.required", "neither `cases` nor `defaults` has any tasks");
        reading.problems.push(problem.hint("give it at least one case"));
    }
    FlowTask::Switch { value, cases, defaults, block: ends(fields, reading) }
}

fn dag(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> FlowTask {
    let given = fields.get("tasks");
    let nodes = fields.list("tasks", &mut reading.problems);
    match given {
        None => reading.problems.push(fields.missing("tasks")),
        Some(node) if nodes.is_empty() && node.value.as_list().is_some() => {
            reading.problems.push(node.error("flow.required", "`tasks` must not be empty"));
        }
        Some(_) => {}
    }
    let mut tasks = Vec::new();
    let mut wanted = Vec::new();
    for node in nodes {
        let Some(mut entry) = Fields::open(node.clone(), &mut reading.problems) else { continue };
        let child = entry.require("task", &mut reading.problems).and_then(|node| task::read(node, reading));
        let names = entry.list("dependsOn", &mut reading.problems);
        entry.finish(&mut reading.problems);
        let id = node.get("task").and_then(|task| task.get("id")).and_then(|id| id.text());
        if let Some(id) = child.or_else(|| id.map(TaskId::trusted)) {
            tasks.push(id);
            wanted.push(names);
        }
    }
    let positions: HashMap<&str, usize> = tasks.iter().enumerate().map(|(index, id)| (id.as_str(), index)).collect();
    let mut depends_on = Vec::new();
    for names in wanted {
        let mut found = Vec::new();
        for name in names {
            let Some(text) = crate::node::text(&name, &mut reading.problems) else { continue };
            match positions.get(text.as_str()) {
                Some(index) => found.push(*index),
                None => {
                    let problem =
                        name.error("flow.unknown_task", format!("there is no task `{text}` in this Dag to depend on"));
                    reading.problems.push(problem.hints(crate::problem::suggest(&text, positions.keys().copied())));
                }
            }
        }
        depends_on.push(found);
    }
    if let Some(cycle) = cycle(&depends_on) {
        let names: Vec<&str> = cycle.iter().filter_map(|index| tasks.get(*index)).map(TaskId::as_str).collect();
        let problem =
            fields.node.error("flow.cycle", format!("tasks depend on each other in a circle: {}", quoted_list(&names)));
        reading.problems.push(problem.hint("remove one of their `dependsOn`"));
    }
    let concurrent = fields.number("concurrent", 0, &mut reading.problems).unwrap_or(0);
    FlowTask::Dag { block: Block { tasks, ..ends(fields, reading) }, depends_on, concurrent }
}

/// Positions that wait for each other in a circle, if there are any. Takes away what waits for nothing until nothing changes.
pub(super) fn cycle(depends_on: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut dependants: Vec<Vec<usize>> = vec![Vec::new(); depends_on.len()];
    let mut open: Vec<usize> = depends_on.iter().map(Vec::len).collect();
    for (index, names) in depends_on.iter().enumerate() {
        for name in names {
            if let Some(list) = dependants.get_mut(*name) {
                list.push(index);
            }
        }
    }
    let mut ready: Vec<usize> =
        open.iter().enumerate().filter(|(_, open)| **open == 0).map(|(index, _)| index).collect();
    let mut done = vec![false; depends_on.len()];
    while let Some(index) = ready.pop() {
        if let Some(done) = done.get_mut(index) {
            *done = true;
        }
        for dependant in dependants.get(index).into_iter().flatten() {
            if let Some(count) = open.get_mut(*dependant) {
                *count -= 1;
                if *count == 0 {
                    ready.push(*dependant);
                }
            }
        }
    }
    // What is left stands in a circle or behind one; walking from any of it along what is left ends up in the circle.
    let start = done.iter().position(|done| !done)?;
    let mut walked = vec![start];
    loop {
        let last = *walked.last()?;
        let next = *depends_on.get(last)?.iter().find(|index| done.get(**index) == Some(&false))?;
        if let Some(begin) = walked.iter().position(|index| *index == next) {
            return walked.get(begin..).map(<[usize]>::to_vec);
        }
        walked.push(next);
    }
}

/// A ForEachItem is a sequence of three tasks of its own. They have ids, so that their outputs can be named.
fn for_each_item(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> FlowTask {
    let items = fields.require_dynamic("items", &mut reading.problems);
    let batch = fields.get("batch").map(|node| batch(node, &mut reading.problems)).unwrap_or_default();
    let subflow = subflow(fields, reading);
    let errors = task::read_children(fields, "errors", false, reading);
    let inner = [
        ("split", "Split", FlowTask::SplitItems { items, batch }),
        ("items", "Executable", FlowTask::RunItems(Box::new(subflow))),
        ("merge", "MergeOutputs", FlowTask::MergeItems),
    ];
    let own = fields.node.get("id").and_then(|node| node.text()).unwrap_or_default();
    let inner = inner.into_iter().map(|(suffix, class, kind)| {
        let id = TaskId::trusted(format!("{own}_{suffix}"));
        let type_name = format!("{FOR_EACH_ITEM}$ForEachItem{class}");
        task::insert_inner(id, type_name, TaskKind::Flow(Box::new(kind)), fields, reading)
    });
    FlowTask::ForEachItem(Block { tasks: inner.collect(), errors, finally: Vec::new() })
}

/// The properties as written. What holds no expression is looked at now.
fn batch(node: Node<'_>, problems: &mut Problems) -> Map {
    let mut batch = Map::new();
    let Some(mut fields) = Fields::open(node.clone(), problems) else { return batch };
    for key in ["rows", "partitions", "bytes", "separator"] {
        if let Some(node) = fields.get(key) {
            batch.insert(key.into(), node.value.clone());
        }
    }
    fields.finish(problems);
    if !node.entries().iter().any(|(_, node)| node.has_expression())
        && let Err(reason) = Batching::read(&batch)
    {
        problems.push(node.error("flow.batch", reason));
    }
    batch
}

fn subflow(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Subflow {
    const BEHAVIORS: &[(&str, bool)] = &[("RETRY_FAILED", false), ("NEW_EXECUTION", true)];
    let problems = &mut reading.problems;
    Subflow {
        namespace: fields.require_dynamic("namespace", problems),
        flow_id: fields.require_dynamic("flowId", problems),
        revision: fields.number("revision", 1, problems),
        inputs: fields.map("inputs", problems),
        labels: fields.dynamic("labels"),
        wait: fields.dynamic_boolean("wait", true, problems),
        transmit_failed: fields.dynamic_boolean("transmitFailed", true, problems),
        inherit_labels: fields.dynamic_boolean("inheritLabels", false, problems),
        schedule_date: fields.dynamic("scheduleDate"),
        outputs: Map::new(),
        restart_new: fields.choice("restartBehavior", BEHAVIORS, problems).unwrap_or(false),
    }
}

/// `interval`: Kestra's own, which grew from a second to a minute when WaitFor became LoopUntil; flows that say WaitFor expect the former.
fn frequency(interval: &str, fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Frequency {
    let problems = &mut reading.problems;
    let none = Frequency { max_iterations: None, max_duration: None, interval: Dynamic(Value::text(interval)) };
    let Some(node) = fields.get("checkFrequency") else { return none };
    let Some(mut fields) = Fields::open(node, problems) else { return none };
    if let Some(node) = fields.get("maxIterations")
        && !node.has_expression()
    {
        crate::node::number(&node, 1, problems);
    }
    let frequency = Frequency {
        max_iterations: fields.dynamic("maxIterations"),
        max_duration: fields.dynamic_duration("maxDuration", problems),
        interval: fields.dynamic_duration("interval", problems).unwrap_or(none.interval),
    };
    fields.finish(problems);
    frequency
}

/// Kestra finds out that a template is missing when the task runs, and flows are saved without their templates; so it is here.
fn template(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> FlowTask {
    let warning =
        fields.node.warning("flow.not_supported", "there are no templates here: this task fails when it runs");
    reading
        .problems
        .push(warning.hint("make the template a flow, and start it with `io.kestra.plugin.core.flow.Subflow`"));
    let template = FlowTask::Template {
        namespace: fields.require_dynamic("namespace", &mut reading.problems),
        template_id: fields.require_dynamic("templateId", &mut reading.problems),
    };
    fields.map("args", &mut reading.problems);
    template
}

fn pause(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> FlowTask {
    fields.get_renamed("pauseDuration", "delay", &mut reading.problems);
    let duration = fields.dynamic_duration("pauseDuration", &mut reading.problems);
    let duration = duration.or_else(|| fields.dynamic_duration("delay", &mut reading.problems));
    let behavior = match fields.get("behavior") {
        Some(node) => {
            if !node.has_expression() {
                crate::node::choice(&node, PauseBehavior::NAMES, &mut reading.problems);
            }
            Dynamic(node.value.clone())
        }
        None => Dynamic(Value::text("RESUME")),
    };
    let on_pause = fields.get("onPause").and_then(|node| task::read(node, reading));
    let on_resume = fields.list("onResume", &mut reading.problems);
    let on_resume = input::read_all(on_resume, reading);
    let tasks = task::read_children(fields, "tasks", false, reading);
    let block = Block { tasks, ..ends(fields, reading) };
    FlowTask::Pause(Box::new(Pause { duration, behavior, on_pause, on_resume, block }))
}

fn working_directory(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> FlowTask {
    let nodes = fields.get("tasks").map(|node| node.items()).unwrap_or_default();
    let block = block(fields, reading);
    for node in nodes {
        reading.problems.extend(not_runnable(&node));
    }
    let mut properties = Map::new();
    for key in ["inputFiles", "outputFiles", "namespaceFiles", "cache"] {
        if let Some(node) = fields.get(key) {
            properties.insert(key.into(), node.value.clone());
        }
    }
    FlowTask::WorkingDirectory { block, properties: Arc::new(properties) }
}

/// A working directory is one unit on one worker: what the engine itself would have to carry out cannot stand in it.
fn not_runnable(node: &Node<'_>) -> Option<Problem> {
    let type_name = node.get("type")?.text()?;
    let refused = match builtin::task(&type_name)? {
        Builtin::Action(action) => {
            !matches!(action, EngineAction::Resume | EngineAction::Assert | EngineAction::Toggle)
        }
        _ => true,
    };
    refused.then(|| {
        let message =
            format!("`{type_name}` cannot stand in a WorkingDirectory, only tasks that do something themselves");
        node.error("flow.not_runnable", message).hint("move it before or after the WorkingDirectory")
    })
}
