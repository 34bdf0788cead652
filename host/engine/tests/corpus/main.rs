//! Runs cases against the engine alone, with fake tasks and a simulated clock: the project's own (`tests/cases`), and a corpus (`cases.json`
//! and `flows/`, see its README) where one is named: `SLUICE_CONFORMANCE=DIR cargo test -p sluice-engine --test corpus -- --nocapture`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod expect;

use engine::Event;
use engine::sim::{Sim, World, flow, label};
use expect::check_state;
use expr::{Map, Memo, Settings, Value};
use jiff::SignedDuration;
use model::ids::{ExecutionId, TaskRunId};
use model::input::Input;
use model::inputs::{Resolve, Step};
use model::state::State as Status;
use model::task::{FlowTask, TaskKind};
use serde_json::Value as Json;

/// Where the file is that a case hands in.
const FILE: &str = "kestra:///file/storage/file.txt";

#[test]
fn corpus_holds() {
    let Ok(directory) = std::env::var("SLUICE_CONFORMANCE") else { return };
    let listed = std::fs::read_to_string(format!("{directory}/cases.json")).unwrap();
    let listed: Vec<Json> = serde_json::from_str(&listed).unwrap();
    let flows = texts(&format!("{directory}/flows"));
    let cases: Vec<Case> = listed.into_iter().map(|told| Case::of_corpus(told, &flows)).collect();
    hold(&cases);
}

#[test]
fn own_cases_hold() {
    let files = texts(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases"));
    let cases: Vec<Case> = files.iter().map(|(name, text)| Case::own(name, text)).collect();
    assert!(cases.len() > 20, "{} cases", cases.len());
    hold(&cases);
}

/// Why a flow that is refused is skipped.
const UNREADABLE: &str = "does not parse";

/// A case: its flow, the flows it needs, and what is told about it.
struct Case {
    id: String,
    source: String,
    others: Vec<String>,
    told: Json,
    is_own: bool,
}

impl Case {
    fn of_corpus(told: Json, flows: &[(String, String)]) -> Self {
        let named = |name: &str| flows.iter().find(|(file, _)| file == name).map(|(_, text)| text.clone()).unwrap();
        let source = named(told["flow"].as_str().unwrap());
        let needs = told["needs"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let mut others: Vec<String> = needs.map(named).collect();
        let called = |text: &str| {
            let id = text.lines().find_map(|line| line.strip_prefix("id:")).unwrap_or_default();
            source.contains(&format!("flowId: {}", id.trim().trim_matches('"')))
        };
        others.extend(flows.iter().map(|(_, text)| text).filter(|text| called(text)).cloned());
        let id = told["id"].as_str().unwrap().to_owned();
        Self { id, source, others, told, is_own: false }
    }

    fn own(file: &str, text: &str) -> Self {
        let mut told = model::read_yaml(text).unwrap().to_json();
        let needs = told["needs"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let others = needs.map(str::to_owned).collect();
        if told["action"].is_null() {
            told["action"] = Json::from("run");
        }
        Self { id: file.to_owned(), source: told["flow"].as_str().unwrap().to_owned(), others, told, is_own: true }
    }
}

fn texts(folder: &str) -> Vec<(String, String)> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn hold(cases: &[Case]) {
    let only = std::env::var("ONLY").unwrap_or_default();
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), Vec::new());
    for case in cases.iter().filter(|case| case.id.contains(&only)) {
        match std::panic::catch_unwind(|| run_case(case)) {
            Ok(Ok(())) => passed += 1,
            Ok(Err(Problem::Skip(why))) => skipped.push(format!("{}: {why}", case.id)),
            Ok(Err(Problem::Wrong(why))) => failed.push(format!("{}: {why}", case.id)),
            Ok(Err(Problem::Refused(_))) if case.told["expect"]["error"] == true => passed += 1,
            Ok(Err(Problem::Refused(why))) => failed.push(format!("{}: refused: {why}", case.id)),
            Err(_) => failed.push(format!("{}: panicked", case.id)),
        }
    }
    for line in &skipped {
        println!("skipped {line}");
    }
    for line in &failed {
        println!("FAILED {line}");
    }
    println!("engine alone: passed {passed}, failed {}, skipped {}", failed.len(), skipped.len());
    assert!(failed.is_empty(), "{} of {} cases fail", failed.len(), passed + failed.len());
}

enum Problem {
    Skip(String),
    Wrong(String),
    /// Its inputs are not taken.
    Refused(String),
}

fn skip<T>(why: &str) -> Result<T, Problem> {
    Err(Problem::Skip(why.to_owned()))
}

fn run_case(case: &Case) -> Result<(), Problem> {
    if case.told["needs_test_task"].as_bool() == Some(true) {
        return skip("needs a test task");
    }
    let action = case.told["action"].as_str().unwrap_or_default();
    if case.told["needs_plugins"] == true {
        return skip("needs what plugins say of their types");
    }
    let elsewhere = ["webhook", "resolve_inputs", "api_create", "clock"];
    if elsewhere.contains(&action) {
        return skip(&format!("action {action}"));
    }
    let external = [".http.", ".kv.", ".state.", ".storage.", ".log.Fetch", "namespace."];
    let of_plugins = case.source.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("type:"));
    if of_plugins.into_iter().any(|name| external.iter().any(|part| name.contains(part))) {
        return skip("needs tasks that are not faked here");
    }
    if case.told["setup"]["template"].is_object() {
        return skip("needs a stored template");
    }
    let refused = case.told["expect"]["error"] == true;
    let mut scene = match Scene::set(case) {
        Err(Problem::Skip(why)) if refused && why == UNREADABLE => return Ok(()),
        scene => scene?,
    };
    if refused {
        return Err(Problem::Wrong("it is taken, and should be refused".to_owned()));
    }
    scene.play(action, &case.told)?;
    if std::env::var_os("TELL").is_some() {
        let told: Vec<&String> = scene.sim.logs.iter().map(|(_, _, failure)| &failure.message).collect();
        println!("TELL {} {}", case.id, serde_json::to_string(&told).unwrap());
    }
    // The words of the corpus are Kestra's.
    if case.is_own {
        scene.check_rest()?;
        scene.check_failures(case)?;
    }
    scene.check(&case.told["expect"])
}

struct Scene {
    sim: Sim,
    id: ExecutionId,
    second: Option<ExecutionId>,
    /// What was asked for was refused.
    refused: bool,
    /// The execution that a replay made.
    again: Option<ExecutionId>,
}

impl Scene {
    fn set(case: &Case) -> Result<Self, Problem> {
        let mut sim = Sim::new();
        let mut told = case.told.clone();
        sim.world = world(&told);
        let Ok(main) = std::panic::catch_unwind(|| flow(&case.source)) else { return skip(UNREADABLE) };
        for other in &case.others {
            let Ok(other) = std::panic::catch_unwind(|| flow(other)) else { return skip("a flow does not parse") };
            sim.add(other);
        }
        let key = main.key.clone();
        sim.add(main.clone());
        let action = case.told["action"].as_str().unwrap_or_default();
        if action == "run_until_paused(pause)+run" {
            let paused = sim.start("io.kestra.tests", "pause", Map::new());
            sim.run_while(|sim| sim.state(&paused).status() != Some(Status::Paused));
            told["inputs"]["executionId"] = Json::from(paused.as_str());
        }
        let case = &told;
        let inputs = inputs(&main.inputs, &case["inputs"], case["missing_required_inputs"].is_null())?;
        let due =
            (action == "schedule_at(now+1s)").then(|| sim.now.saturating_add(SignedDuration::from_secs(1)).unwrap());
        let labels = case["labels"].as_object().cloned().unwrap_or_default();
        let id = sim.start_as(key.namespace.as_str(), key.id.as_str(), |execution| {
            execution.inputs = inputs.clone();
            let given = labels.iter().map(|(key, value)| label(key, value.as_str().unwrap_or_default()));
            execution.labels.extend(given);
            execution.scheduled = due;
        });
        let twice = action.starts_with("run_twice_overlapping");
        let second = twice.then(|| sim.start(key.namespace.as_str(), key.id.as_str(), inputs));
        Ok(Self { sim, id, second, refused: false, again: None })
    }

    fn send(&mut self, event: Event) {
        self.refused |= self.sim.send(&self.id, event).is_err();
    }

    fn until(&mut self, id: &ExecutionId, wanted: Status) {
        self.sim.run_while(|sim| sim.state(id).status() != Some(wanted));
    }

    fn resume(&mut self, given: &Json) -> Result<(), Problem> {
        let flow = self.sim.state(&self.id).flow().clone();
        let pauses = flow.all.values().find_map(|task| match &task.kind {
            TaskKind::Flow(task) => match task.as_ref() {
                FlowTask::Pause(pause) if !pause.on_resume.is_empty() => Some(pause.on_resume.clone()),
                _ => None,
            },
            _ => None,
        });
        match inputs(&pauses.unwrap_or_default(), given, true) {
            Ok(inputs) => self.send(Event::Resume { run: None, inputs }),
            Err(_) => self.refused = true,
        }
        Ok(())
    }

    fn replay(&mut self, from: &TaskRunId) {
        match self.sim.replay(&self.id, from) {
            Ok(again) => self.again = Some(again),
            Err(_) => self.refused = true,
        }
    }

    fn play(&mut self, action: &str, case: &Json) -> Result<(), Problem> {
        let expect = &case["expect"];
        let id = self.id.clone();
        if expect["paused"].is_object() || action.starts_with("run_until_paused+") {
            self.until(&id, Status::Paused);
            check_state(&self.sim, &id, &expect["paused"]).map_err(|why| Problem::Wrong(format!("paused: {why}")))?;
        }
        match action {
            "run_until_paused+resume" | "run_until_paused+api_resume" => {
                let mut given = case["resume_inputs"].clone();
                for name in case["resume_files"].as_object().into_iter().flatten().map(|(name, _)| name) {
                    given[name] = Json::from(FILE);
                }
                self.resume(&given)?;
                if !case["error_contains_newer"].is_null() {
                    return Ok(());
                }
            }
            "run_until_paused+kill" | "run_until_paused+api_kill" => self.send(Event::Kill { cascade: true }),
            _ => {}
        }
        if let (Some(second), Some(how)) = (self.second.clone(), action.strip_prefix("run_twice_overlapping+")) {
            let event = match how {
                "api_unqueue(second)" => Event::Unqueue { state: Status::Running },
                "api_force_run(second)" => Event::ForceRun,
                "restart_first_while_second_runs" => {
                    self.sim.run_while(|sim| !sim.state(&id).status().is_some_and(Status::is_terminal));
                    self.until(&second, Status::Running);
                    self.send(Event::Restart { from: None });
                    self.sim.run();
                    return Ok(());
                }
                other => return skip(&format!("action {other}")),
            };
            self.until(&second, Status::Queued);
            self.refused |= self.sim.send(&second, event).is_err();
        }
        if let Some(state) = expect["state_before_date"].as_str() {
            self.sim.run_while(|_| false);
            let found = self.sim.state(&id).status().map(Status::as_str);
            if found != Some(state) {
                return Err(Problem::Wrong(format!("before its date: {found:?}, expected {state}")));
            }
        }
        self.sim.run();
        if expect["first_run"].is_object() {
            check_state(&self.sim, &id, &expect["first_run"])
                .map_err(|why| Problem::Wrong(format!("first run: {why}")))?;
        }
        match action {
            "run+restart" => self.send(Event::Restart { from: None }),
            "run+restart*3" => {
                for _ in 0..3 {
                    self.send(Event::Restart { from: None });
                    self.sim.run();
                }
            }
            "run+replay(2_end)" => {
                let from = self.sim.state(&id).runs().last().map(|run| run.id.clone()).unwrap();
                self.replay(&from);
                if let Some(again) = &self.again {
                    check_state(&self.sim, again, &expect["on_restart"])
                        .map_err(|why| Problem::Wrong(format!("replayed: {why}")))?;
                }
            }
            "run+replay(unknownTaskId)" => self.replay(&TaskRunId::trusted("unknown")),
            "run+change_status(WARNING)" => self.send(Event::ChangeState { run: None, state: Status::Warning }),
            "run+change_task_run_state(child #0,SUCCESS)" => {
                let child = self.sim.made.get(1).unwrap().clone();
                let run = self.sim.state(&child).runs().next().map(|run| run.id.clone());
                let event = Event::ChangeState { run, state: Status::Success };
                self.refused |= self.sim.send(&child, event).is_err();
            }
            _ if action.starts_with("run+change_task_run_state(#0") => {
                let run = self.sim.state(&id).runs().next().map(|run| run.id.clone());
                self.send(Event::ChangeState { run, state: Status::Success });
            }
            "run+api_set_labels" => {
                let given = case["set_labels"].as_object().unwrap();
                let labels = given.iter().map(|(key, value)| label(key, value.as_str().unwrap())).collect();
                self.send(Event::SetLabels { labels });
            }
            "run" | "run+eval" | "api_create(wait=true)" | "schedule_at(now+1s)" => {}
            _ if action.starts_with("run_") => {}
            other => return skip(&format!("action {other}")),
        }
        self.sim.run();
        Ok(())
    }

    // Whatever happened, nothing is waited for at the end.
    fn check_rest(&self) -> Result<(), Problem> {
        let resting = |id: &&ExecutionId| self.sim.state(id).is_closed() && self.sim.state(id).outstanding().is_empty();
        match self.sim.made.iter().find(|id| !resting(id)) {
            Some(id) => Err(Problem::Wrong(format!("{id} is not at rest: {:?}", self.sim.state(id).outstanding()))),
            None => Ok(()),
        }
    }

    // Lines of a log that are failures; what tasks say themselves is not kept in a simulated world.
    fn check_failures(&self, case: &Case) -> Result<(), Problem> {
        let wanted = case.told["expect"]["log_contains"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let failures = || self.sim.logs.iter().map(|(_, _, failure)| &failure.message);
        let missing = wanted.into_iter().find(|part| !failures().any(|message| message.contains(part)));
        match missing.filter(|_| !case.source.contains(".log.Log")) {
            Some(part) => {
                Err(Problem::Wrong(format!("no failure says `{part}`: {:?}", failures().collect::<Vec<_>>())))
            }
            None => Ok(()),
        }
    }

    fn check(&self, expect: &Json) -> Result<(), Problem> {
        let wrong = |why| Err(Problem::Wrong(why));
        let wants_refusal = expect["http_status"].as_u64().is_some_and(|status| status >= 400);
        let is_error = expect["error_contains"].as_array().is_some_and(|parts| !parts.is_empty());
        if self.refused != wants_refusal && self.refused != is_error {
            return wrong(format!("refused: {}", self.refused));
        }
        let sim = &self.sim;
        let last = match expect["all_executions_of_flow"].is_object() {
            true => sim.made.last().unwrap(),
            false => self.again.as_ref().unwrap_or(&self.id),
        };
        if let (Some(executions), Some(second)) = (expect["executions"].as_array(), &self.second) {
            for (id, expect) in [&self.id, second].into_iter().zip(executions) {
                check_state(sim, id, expect).map_err(Problem::Wrong)?;
            }
        }
        for (state, count) in expect["all_executions_of_flow"].as_object().into_iter().flatten() {
            let is_so = |id: &&ExecutionId| sim.state(id).status().is_some_and(|status| status.as_str() == state);
            let found = sim.made.iter().filter(is_so).count();
            if Some(found as u64) != count.as_u64() {
                return wrong(format!("{found} executions {state}, expected {count}"));
            }
        }
        if expect["other"]["pause"]["terminated"] == true
            && !sim.made.iter().all(|id| sim.state(id).status().is_some_and(Status::is_terminal))
        {
            return wrong("the paused execution has not ended".to_owned());
        }
        check_state(sim, last, expect).map_err(Problem::Wrong)?;
        if expect["child"].is_object() {
            let child = sim.made.get(1).ok_or(Problem::Wrong("no child".to_owned()))?;
            check_state(sim, child, &expect["child"]).map_err(|why| Problem::Wrong(format!("child: {why}")))?;
        }
        Ok(())
    }
}

/// What a case has around it.
fn world(case: &Json) -> World {
    let mut world = World::default();
    if let Some(file) = case["files"].as_object().and_then(|files| files.values().next()) {
        world.files.insert(FILE.to_owned(), file_text(file));
    }
    let (config, setup) = (&case["config"], &case["setup"]);
    for (name, secret) in config["secrets"].as_object().into_iter().flatten() {
        world.secrets.insert(name.clone(), secret.as_str().unwrap().to_owned());
    }
    for (namespace, values) in setup["kv"].as_object().into_iter().flatten() {
        for (key, value) in values.as_object().into_iter().flatten() {
            world.values.insert((namespace.clone(), key.clone()), Value::from_json(value).unwrap());
        }
    }
    let environment = config["env"].as_object().into_iter().flatten();
    let environment = environment
        .map(|(name, value)| (name.trim_start_matches("KESTRA_").to_lowercase(), Value::from(value.as_str().unwrap())));
    world.variables.insert("envs".into(), Value::map(environment));
    let globals = Value::from_json(&config["kestra.variables.globals"]).unwrap_or_default();
    world.variables.insert("globals".into(), globals);
    world
}

/// Inputs as a server would type them, or, where a case goes around that, as they are.
fn inputs(declared: &[Input], given: &Json, typed: bool) -> Result<Map, Problem> {
    let given: Map = given
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let repeated = value["$repeat"]
                .as_array()
                .map(|repeat| Json::from(repeat[0].as_str().unwrap().repeat(repeat[1].as_u64().unwrap() as usize)));
            let value = if value.as_str() == Some("$file") { &Json::from(FILE) } else { value };
            let value = repeated.as_ref().unwrap_or(value);
            (name.as_str().into(), Value::from_json(value).unwrap_or_default())
        })
        .collect();
    if !typed {
        return Ok(given);
    }
    let mut resolve = Resolve::new(declared, given);
    let outcome = loop {
        let render = match resolve.step() {
            Step::Done(outcome) => break outcome,
            Step::Render(render) => render,
        };
        let scope: Map = [("inputs".into(), Value::from(render.visible))].into_iter().collect();
        let rendered = expr::render_value(&render.template.0, &scope, &Memo::default(), &Settings::default());
        resolve.answer(rendered.map_err(|error| error.to_string()));
    };
    outcome
        .values()
        .map_err(|errors| Problem::Refused(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
}

// The content of a file that a case hands in.
fn file_text(file: &Json) -> String {
    if let Some(text) = file["content"].as_str() {
        return text.to_owned();
    }
    let number = |name: &str| file["$padded_lines"][name].as_u64().unwrap_or(0);
    let width = number("pad") as usize;
    (number("from")..=number("to")).map(|line| format!("{line:0width$}\n")).collect()
}
