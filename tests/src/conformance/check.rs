//! What a case expects against what came of it. An expectation nobody here understands is never taken as met.

use std::collections::BTreeMap;

use model::execution::TaskRun;
use model::inputs::Resolved;
use serde_json::{Map, Value as Json};
use server::{LogLine, Seen};

use super::matcher::{Names, fits};
use super::{Miss, beyond, wrong};

/// Log lines of one execution that are looked at.
pub const LINES_MAX: usize = 100_000;

/// Everything there is to look at after a case.
pub struct Scene {
    /// The executions the case started, in that order.
    pub main: Vec<Seen>,
    /// Every execution, oldest first.
    pub all: Vec<Seen>,
    pub logs: Vec<LogLine>,
    /// What is in the files that outputs name, by URI.
    pub files: BTreeMap<String, String>,
    /// The id of the flow that was started.
    pub flow: String,
}

/// Checks all expectations of a case, or of a moment of it.
pub fn check(expect: &Map<String, Json>, scene: &Scene) -> Result<(), Miss> {
    let Some(first) = scene.main.first() else { return wrong("nothing was started") };
    let mut names = Names::default();
    names.set("execution.id", first.execution.id.as_str());
    names.set("parent.execution.id", first.execution.id.as_str());
    names.set("flow.id", scene.flow.as_str());
    for run in &first.runs {
        names.set(&format!("taskrun[{}].id", run.task), run.id.as_str());
    }
    if let Some(child) = children(scene, first).next() {
        names.set("child.execution.id", child.execution.id.as_str());
    }
    let look = Look { scene, names: &names };
    match expect.get("executions").and_then(Json::as_array) {
        // The other expectations are about one of several, and say nothing about which.
        Some(executions) => {
            for (seen, expect) in scene.main.iter().zip(executions) {
                look.all_of(&object(expect), seen)?;
            }
            Ok(())
        }
        None => look.all_of(expect, first),
    }
}

/// Checks what a case says of the inputs alone.
pub fn check_inputs(expect: &Map<String, Json>, inputs: &[Resolved]) -> Result<(), Miss> {
    let find = |id: &str| match inputs.iter().find(|input| input.id == id) {
        Some(input) => Ok(input),
        None => wrong(format!("there is no input `{id}`")),
    };
    let listed = |name: &str| expect.get(name).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    for id in listed("input_error") {
        if find(id)?.errors.is_empty() {
            return wrong(format!("input_error: `{id}` has none"));
        }
    }
    let pairs = |name: &str| expect.get(name).and_then(Json::as_object).into_iter().flatten();
    for (id, wanted) in pairs("inputs_enabled") {
        same(id, wanted, find(id)?.enabled)?;
    }
    for (id, wanted) in pairs("select_values") {
        let found: Vec<Json> = find(id)?.choices.iter().map(expr::Value::to_json).collect();
        if *wanted != Json::from(found.clone()) {
            return wrong(format!("select_values: `{id}` has {found:?}, expected {wanted}"));
        }
    }
    Ok(())
}

/// An execution and its task runs in one line.
pub fn shown(seen: &Seen) -> String {
    let runs = seen.runs.iter().map(|run| {
        let value = run.value.as_ref().map(|value| format!("[{value}]")).unwrap_or_default();
        let failure = run.attempts.last().and_then(|attempt| attempt.failure.as_ref());
        let failure = failure.map(|failure| format!(" ({})", failure.message)).unwrap_or_default();
        format!(" {}{value}={}/{}{failure}", run.task, run.state(), run.attempts.len())
    });
    let failure = seen.execution.failure.as_ref().map(|failure| format!(" ({})", failure.message)).unwrap_or_default();
    format!("{}:{}{failure}{}", seen.execution.flow.id, seen.execution.state(), runs.collect::<String>())
}

fn children<'a>(scene: &'a Scene, of: &'a Seen) -> impl Iterator<Item = &'a Seen> {
    let id = &of.execution.id;
    scene.all.iter().filter(move |seen| seen.execution.parent.as_ref().is_some_and(|parent| parent.execution == *id))
}

struct Look<'a> {
    scene: &'a Scene,
    names: &'a Names,
}

impl Look<'_> {
    fn all_of(&self, expect: &Map<String, Json>, seen: &Seen) -> Result<(), Miss> {
        for (name, wanted) in expect {
            let empty = wanted.is_null() || wanted.as_object().is_some_and(Map::is_empty);
            if empty && name != "trigger" {
                continue;
            }
            self.one(name, wanted, seen).map_err(|miss| match miss {
                Miss::Wrong(why) => Miss::Wrong(format!("{name}: {why} <{}>", shown(seen))),
                beyond => beyond,
            })?;
        }
        Ok(())
    }

    fn one(&self, name: &str, wanted: &Json, seen: &Seen) -> Result<(), Miss> {
        let execution = &seen.execution;
        match name {
            "state" => same("the state", wanted, execution.state().as_str()),
            "state_not" if wanted.as_str() == Some(execution.state().as_str()) => wrong("it is"),
            "task_runs" => same("the number of task runs", wanted, seen.runs.len()),
            "min_task_runs" if wanted.as_u64().is_none_or(|least| (seen.runs.len() as u64) < least) => wrong("fewer"),
            "flow_outputs" => self.values(wanted, &json(&execution.outputs)),
            "flow_outputs_absent" if !execution.outputs.is_empty() => wrong("there are outputs"),
            "inputs" => self.values(wanted, &json(&execution.inputs)),
            "input_present" => {
                let inputs = json(&execution.inputs);
                each_text(
                    wanted,
                    |name| if inputs.get(name).is_some() { Ok(()) } else { wrong(format!("`{name}` is not")) },
                )
            }
            "inputs_enabled" => {
                let inputs = json(&execution.inputs);
                object(wanted).iter().try_for_each(|(name, enabled)| same(name, enabled, inputs.get(name).is_some()))
            }
            "log_contains" => each_text(wanted, |text| self.logged(text)),
            "log_count" => object(wanted).iter().try_for_each(|(text, count)| {
                let found = self.scene.logs.iter().filter(|line| line.message.contains(text.as_str())).count();
                same(text, count, found)
            }),
            "logs" => wanted.as_array().into_iter().flatten().try_for_each(|wanted| self.line(wanted, seen)),
            "labels_include" => self.labels(wanted, seen),
            "labels_exact" => {
                self.labels(wanted, seen)?;
                same("the number of labels", &Json::from(object(wanted).len()), execution.labels.len())
            }
            "labels_first" => {
                for (label, pair) in execution.labels.iter().zip(wanted.as_array().into_iter().flatten()) {
                    if (pair[0].as_str(), pair[1].as_str()) != (Some(label.key.as_str()), Some(label.value.as_str())) {
                        return wrong(format!("{}: {} is there instead of {pair}", label.key, label.value));
                    }
                }
                Ok(())
            }
            "trigger" => {
                let found = execution.trigger.as_ref().map(|trigger| {
                    let mut all = json(&trigger.variables);
                    all["type"] = Json::from(trigger.type_name.as_str());
                    all
                });
                object(wanted).iter().try_for_each(|(key, wanted)| {
                    let deep = || follow(found.as_ref()?, &key.split('.').map(str::to_owned).collect::<Vec<_>>());
                    self.fits(key, wanted, found.as_ref().and_then(|found| found.get(key)).or_else(deep))
                })
            }
            "triggered" => self.triggered(wanted),
            "fired" => {
                let dates: Vec<Json> = of_flow(self.scene, &self.scene.flow).into_iter().map(date).collect();
                same("the dates", wanted, dates)
            }
            "child" => match children(self.scene, seen).next() {
                Some(child) => self.all_of(&object(wanted), child),
                None => wrong("there is none"),
            },
            "flow_id" => same("the flow", wanted, execution.flow.id.as_str()),
            "child_executions" => object(wanted).iter().try_for_each(|(flow, wanted)| self.executions_of(flow, wanted)),
            "all_executions_of_flow" => {
                let states = of_flow(self.scene, &self.scene.flow);
                object(wanted).iter().try_for_each(|(state, count)| {
                    same(state, count, states.iter().filter(|seen| seen.execution.state().as_str() == state).count())
                })
            }
            "history_prefix" => {
                let entries = execution.history.entries();
                wanted
                    .as_array()
                    .into_iter()
                    .flatten()
                    .zip(entries)
                    .try_for_each(|(wanted, (state, _))| same("a state", wanted, state.as_str()))
            }
            "history_contains" => each_text(wanted, |name| {
                let mut entries = execution.history.entries().iter();
                if entries.any(|(state, _)| state.as_str() == name) { Ok(()) } else { wrong(format!("never {name}")) }
            }),
            "history_size" => same("the states", wanted, execution.history.entries().len()),
            "child_labels_include" => children(self.scene, seen).try_for_each(|child| self.labels(wanted, child)),
            "state_not" | "min_task_runs" | "flow_outputs_absent" => Ok(()),
            // Checked on the way, or wording that is Kestra's own.
            "paused"
            | "state_before_date"
            | "error_contains"
            | "error"
            | "within_s"
            | "first_run"
            | "on_restart"
            | "intermediate_states"
            | "input_error"
            | "select_values"
            | "eval"
            | "other"
            | "http_status" => Ok(()),
            _ => self.of_runs(name, wanted, seen),
        }
    }

    fn of_runs(&self, name: &str, wanted: &Json, seen: &Seen) -> Result<(), Miss> {
        match name {
            "task_states" => per_run(wanted, seen, |run, wanted| same(run.task.as_str(), wanted, run.state().as_str())),
            "attempts" => per_run(wanted, seen, |run, wanted| same(run.task.as_str(), wanted, run.attempts.len())),
            "attempt_states" => object(wanted).iter().try_for_each(|(key, wanted)| {
                let (run, index) = key.split_once('.').unwrap_or((key, "0"));
                let index: usize = index.parse().unwrap_or(usize::MAX);
                select(seen, run)?.into_iter().try_for_each(|run| match run.attempts.get(index) {
                    Some(attempt) => same(key, wanted, attempt.history.current().as_str()),
                    None => wrong(format!("`{key}` is missing")),
                })
            }),
            "history_counts" => per_run(wanted, seen, |run, wanted| {
                object(wanted).iter().try_for_each(|(name, count)| {
                    let entries = run.history.entries().iter();
                    same(name, count, entries.filter(|(state, _)| state.as_str() == name).count())
                })
            }),
            "task_run_counts" => object(wanted).iter().try_for_each(|(task, count)| {
                same(task, count, seen.runs.iter().filter(|run| run.task.as_str() == task).count())
            }),
            "task_order" => object(wanted).iter().try_for_each(|(index, task)| {
                select(seen, &format!("#{index}"))?.into_iter().try_for_each(|run| same(index, task, run.task.as_str()))
            }),
            "absent_tasks" => each_text(wanted, |task| {
                if seen.runs.iter().any(|run| run.task.as_str() == task) {
                    wrong(format!("`{task}` ran"))
                } else {
                    Ok(())
                }
            }),
            "outputs" => object(wanted).iter().try_for_each(|(key, wanted)| self.output(key, wanted, seen)),
            "starts_after_execution_end" => each_text(wanted, |task| {
                let begun = select(seen, task)?.into_iter().map(|run| run.history.started()).min();
                match (begun, seen.execution.history.ended()) {
                    (Some(begun), Some(ended)) if begun >= ended => Ok(()),
                    _ => wrong(format!("`{task}` does not")),
                }
            }),
            "terminated_except" => {
                let except = |run: &&TaskRun| {
                    wanted
                        .as_array()
                        .is_some_and(|tasks| tasks.iter().any(|task| task.as_str() == Some(run.task.as_str())))
                };
                let open: Vec<_> = seen.runs.iter().filter(|run| !except(run) && !run.state().is_terminal()).collect();
                if open.is_empty() { Ok(()) } else { wrong("others have not ended") }
            }
            "iterations" => object(wanted).iter().try_for_each(|(task, wanted)| {
                let runs = seen.runs.iter().filter(|run| run.task.as_str() == task);
                let found: Vec<Json> = runs.map(|run| Json::from(run.iteration)).collect();
                self.fits(task, wanted, Some(&Json::from(found)))
            }),
            other => beyond(format!("the expectation `{other}`")),
        }
    }

    fn output(&self, key: &str, wanted: &Json, seen: &Seen) -> Result<(), Miss> {
        let (run, path) = split(key);
        for run in select(seen, run)? {
            let outputs = run.outputs.to_json();
            self.fits(key, wanted, follow(&outputs, &path))?;
        }
        Ok(())
    }

    /// Entries that are expected among others.
    fn values(&self, wanted: &Json, found: &Json) -> Result<(), Miss> {
        object(wanted).iter().try_for_each(|(key, wanted)| self.fits(key, wanted, found.get(key)))
    }

    fn fits(&self, key: &str, wanted: &Json, found: Option<&Json>) -> Result<(), Miss> {
        let output = |key: &str| {
            let (run, path) = split(key);
            let Some(seen) = self.scene.main.first() else { return Ok(None) };
            let outputs = select(seen, run)?.last().map(|run| run.outputs.to_json());
            Ok(outputs.as_ref().and_then(|outputs| follow(outputs, &path)).cloned())
        };
        fits(wanted, found, self.names, &output, &self.scene.files).map_err(|miss| match miss {
            Miss::Wrong(why) => Miss::Wrong(format!("`{key}` {why}")),
            beyond => beyond,
        })
    }

    fn labels(&self, wanted: &Json, seen: &Seen) -> Result<(), Miss> {
        object(wanted).iter().try_for_each(|(key, wanted)| {
            let found = seen.execution.labels.iter().find(|label| label.key == *key);
            let found = found.map(|label| Json::from(label.value.as_str()));
            self.fits(key, wanted, found.as_ref())
        })
    }

    fn logged(&self, text: &str) -> Result<(), Miss> {
        // How many stars mask a secret is no fact about the flow: versions differ.
        let text = unstarred(text);
        if self.scene.logs.iter().any(|line| unstarred(&line.message).contains(&text)) {
            return Ok(());
        }
        let lines: Vec<&str> = self.scene.logs.iter().map(|line| line.message.as_str()).collect();
        wrong(format!("no line contains {text:?}, there are {lines:?}"))
    }

    fn line(&self, wanted: &Json, seen: &Seen) -> Result<(), Miss> {
        let index = wanted["task_run"].as_u64().unwrap_or_default();
        for run in select(seen, &format!("#{index}"))? {
            let mut lines = self.scene.logs.iter().filter(|line| line.task_run.as_ref() == Some(&run.id));
            if wanted["absent"] == Json::Bool(true) {
                if let Some(line) = lines.next() {
                    return wrong(format!("task run {index} logs {:?}", line.message));
                }
                continue;
            }
            let level = |line: &LogLine| format!("{:?}", line.level).to_ascii_uppercase();
            let meant = |line: &LogLine| {
                wanted["message"].as_str() == Some(line.message.as_str())
                    && wanted["level"].as_str() == Some(level(line).as_str())
            };
            if !lines.any(meant) {
                return wrong(format!("task run {index} does not log {wanted}"));
            }
        }
        Ok(())
    }

    /// Executions that others brought about: each that is expected is another one.
    fn triggered(&self, wanted: &Json) -> Result<(), Miss> {
        let mine = |seen: &&Seen| self.scene.main.iter().any(|main| main.execution.id == seen.execution.id);
        let mut left: Vec<&Seen> = self.scene.all.iter().filter(|seen| !mine(seen)).collect();
        for wanted in wanted.as_array().into_iter().flatten() {
            let wanted = object(wanted);
            match left.iter().position(|seen| self.all_of(&wanted, seen).is_ok()) {
                Some(index) => drop(left.remove(index)),
                None => {
                    let left: Vec<String> = left.into_iter().map(shown).collect();
                    return wrong(format!("none is {wanted:?}; left are {}", left.join("; ")));
                }
            }
        }
        Ok(())
    }

    fn executions_of(&self, flow: &str, wanted: &Json) -> Result<(), Miss> {
        let found = of_flow(self.scene, flow);
        for (key, wanted) in object(wanted) {
            match (key.as_str(), found.last()) {
                ("count", _) => same(flow, &wanted, found.len())?,
                ("states", _) => object(&wanted).iter().try_for_each(|(state, count)| {
                    same(state, count, found.iter().filter(|seen| seen.execution.state().as_str() == state).count())
                })?,
                ("last", Some(last)) => self.all_of(&object(&wanted), last)?,
                ("last", None) => return wrong(format!("there is no execution of `{flow}`")),
                (other, _) => return beyond(format!("the expectation `child_executions.{other}`")),
            }
        }
        Ok(())
    }
}

/// The date of the trigger that started an execution.
fn date(seen: &Seen) -> Json {
    let by = seen.execution.trigger.as_ref();
    by.and_then(|by| by.variables.get("date")).map_or(Json::Null, expr::Value::to_json)
}

fn of_flow<'a>(scene: &'a Scene, flow: &str) -> Vec<&'a Seen> {
    scene.all.iter().filter(|seen| seen.execution.flow.id.as_str() == flow).collect()
}

fn per_run(wanted: &Json, seen: &Seen, one: impl Fn(&TaskRun, &Json) -> Result<(), Miss>) -> Result<(), Miss> {
    object(wanted).iter().try_for_each(|(key, wanted)| {
        select(seen, key)?.into_iter().try_for_each(|run| {
            one(run, wanted).map_err(|miss| match miss {
                Miss::Wrong(why) => Miss::Wrong(format!("`{key}`: {why}")),
                beyond => beyond,
            })
        })
    })
}

fn each_text(wanted: &Json, one: impl Fn(&str) -> Result<(), Miss>) -> Result<(), Miss> {
    wanted.as_array().into_iter().flatten().filter_map(Json::as_str).try_for_each(one)
}

fn same(what: &str, wanted: &Json, found: impl Into<Json>) -> Result<(), Miss> {
    let found = found.into();
    if *wanted == found { Ok(()) } else { wrong(format!("{what} is {found}, expected {wanted}")) }
}

/// The task runs that a key means: `#N`, `#last`, `*`, a task's id, or a task's id with the values of its iteration.
fn select<'a>(seen: &'a Seen, key: &str) -> Result<Vec<&'a TaskRun>, Miss> {
    let runs = &seen.runs;
    let mut parts = key.split('[');
    let task = parts.next().unwrap_or_default();
    let values: Vec<&str> = parts.map(|part| part.trim_end_matches(']')).collect();
    let found = match task.strip_prefix('#') {
        None if task == "*" => return Ok(runs.iter().collect()),
        Some("last") => runs.last(),
        Some(index) => index.parse::<usize>().ok().and_then(|index| runs.get(index)),
        None => {
            let named = runs.iter().filter(|run| run.task.as_str() == task);
            let mut fitting = named.filter(|run| values.is_empty() || iteration(seen, run) == values);
            fitting.next_back()
        }
    };
    found.map(|run| vec![run]).ok_or_else(|| Miss::Wrong(format!("there is no task run `{key}`")))
}

/// The values of the iterations a task run is in, outermost first. A run inside a block of an iteration carries the block's value.
fn iteration<'a>(seen: &'a Seen, run: &'a TaskRun) -> Vec<&'a str> {
    let mut values = Vec::new();
    let mut at = Some(run);
    while let Some(run) = at {
        let parent = run.parent.as_ref().and_then(|id| seen.runs.iter().find(|run| run.id == *id));
        let inherited = parent.is_some_and(|parent| parent.value == run.value && parent.iteration == run.iteration);
        values.extend(run.value.as_deref().filter(|_| !inherited));
        at = parent;
    }
    values.reverse();
    values
}

/// A key as the task run it means and the path into its outputs. Dots within brackets, and after a backslash, are no separators.
fn split(key: &str) -> (&str, Vec<String>) {
    let mut depth = 0_usize;
    let end = key.char_indices().find(|(_, c)| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        *c == '.' && depth == 0
    });
    let Some((end, _)) = end else { return (key, Vec::new()) };
    let (run, rest) = key.split_at(end);
    let escaped = rest.trim_start_matches('.').replace("\\.", "\0");
    (run, escaped.split('.').map(|part| part.replace('\0', ".")).collect())
}

fn follow<'a>(outputs: &'a Json, path: &[String]) -> Option<&'a Json> {
    path.iter().try_fold(outputs, |value, step| match value {
        Json::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
        other => other.get(step),
    })
}

fn json(values: &expr::Map) -> Json {
    expr::Value::from(values.clone()).to_json()
}

fn object(value: &Json) -> Map<String, Json> {
    value.as_object().cloned().unwrap_or_default()
}

/// Text with every row of three stars or more made three.
fn unstarred(text: &str) -> String {
    let mut text = text.to_owned();
    while text.contains("****") {
        text = text.replace("****", "***");
    }
    text
}
