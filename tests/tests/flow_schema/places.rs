//! What the schema says, and where: names that it knows, and mistakes at their places.

use serde_json::Value;
use server::flow_schema::{Of, document};

use crate::{catalog, of_flows, validator, wrong};

const LOG: &str = "type: io.kestra.plugin.core.log.Log";
/// Every task has these.
const COMMON: &[&str] = &[
    "id",
    "type",
    "version",
    "description",
    "disabled",
    "runIf",
    "timeout",
    "retry",
    "allowFailure",
    "allowWarning",
    "logLevel",
    "logToFile",
    "effects",
];

fn names(schema: &Value, definition: &str) -> Vec<String> {
    let names = schema["definitions"][definition]["enum"].as_array().expect("a list of names");
    names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn every_type_and_every_common_property_is_there() {
    let catalog = catalog();
    let schema = document(&catalog, Of::Flow);
    let (tasks, triggers) = (names(&schema, "TaskType"), names(&schema, "TriggerType"));
    for name in model::engine_tasks() {
        assert!(tasks.contains(&name.to_owned()), "{name}");
        let own = &schema["definitions"][name];
        assert_eq!(own["additionalProperties"], false, "{name}");
        for property in COMMON {
            assert!(own["properties"][property].is_object(), "{name} has no `{property}`");
        }
    }
    // A provider of models stands in a property.
    let in_lists = |name: &str| {
        catalog.described(name).last().is_some_and(|described| described.task.role != model::Role::Provider)
    };
    for (name, _) in catalog.types().filter(|(name, _)| in_lists(name)) {
        assert!(tasks.iter().chain(&triggers).any(|known| known == name), "{name}");
    }
    // What a task has beside `type` and `id`, in any of the ways to write it.
    let common = "version: 1.1.0, description: d, disabled: 'true', runIf: true, timeout: '{{ t }}', allowFailure: true, allowWarning: false, \
                  logLevel: info, logToFile: true, effects: Idempotent, retry: {type: Constant, interval: PT1S, maxAttempts: '3'}";
    fits(&format!("tasks: [{{id: t, {LOG}, message: m, {common}}}]"));
}

#[test]
fn the_same_plugins_give_the_same_text_of_a_size_that_editors_load() {
    let text = |of| document(&catalog(), of).to_string();
    for of in [Of::Flow, Of::Task, Of::Trigger] {
        let first = text(of);
        assert_eq!(first, text(of));
        println!("{of:?}: {} bytes", first.len());
        assert!(first.len() < 1 << 20, "{of:?}: {}", first.len());
    }
}

#[test]
fn tasks_and_triggers_have_schemas_of_their_own() {
    let catalog = catalog();
    let (task, trigger) = (validator(&document(&catalog, Of::Task)), validator(&document(&catalog, Of::Trigger)));
    let (log, daily) = (
        format!("{{id: t, {LOG}, message: m}}"),
        "{id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: '@daily'}",
    );
    assert!(wrong(&task, &log).is_some_and(|wrong| wrong.is_empty()));
    assert!(wrong(&trigger, daily).is_some_and(|wrong| wrong.is_empty()));
    assert!(wrong(&trigger, &log).is_some_and(|wrong| !wrong.is_empty()));
    assert!(wrong(&task, daily).is_some_and(|wrong| !wrong.is_empty()));
}

fn flow(rest: &str) -> String {
    format!("id: f\nnamespace: tests.schema\n{rest}\n")
}

#[track_caller]
fn fits(rest: &str) {
    assert_eq!(wrong(of_flows(), &flow(rest)), Some(Vec::new()), "{rest}");
}

/// Refused at this place, with this in the message.
#[track_caller]
fn refused(rest: &str, place: &str, message: &str) {
    let found = wrong(of_flows(), &flow(rest)).expect("it is YAML");
    assert!(
        found.iter().any(|(at, text)| at == place && text.contains(message)),
        "`{message}` at {place} is not in {found:#?} for {rest}"
    );
}

#[test]
fn mistakes_are_found_where_they_are() {
    let with = |rest: &str| format!("tasks: [{{id: t, {LOG}, message: m}}]\n{rest}");
    refused(&format!("tasks: [{{id: t, {LOG}, mesage: m}}]"), "/tasks/0", "mesage");
    refused(&format!("tasks: [{{id: t, {LOG}}}]"), "/tasks/0", "message");
    refused("tasks: [{id: t, type: io.kestra.plugin.core.log.Logg, message: m}]", "/tasks/0/type", "Logg");
    refused("tasks: [{id: t, type: io.kestra.plugin.core.log.Log, message: {a: b}}]", "/tasks/0/message", "is not");
    refused(&format!("tasks: [{{id: t, {LOG}, message: m, level: LOUD}}]"), "/tasks/0/level", "LOUD");
    refused(&format!("tasks: [{{id: t, {LOG}, message: m, timeout: soon}}]"), "/tasks/0/timeout", "soon");
    refused("tasks: []", "/tasks", "[]");
    refused(&with("taks: []"), "", "taks");
    refused(&with("errors: [{id: e, type: io.kestra.plugin.core.flow.Sleep}]"), "/errors/0", "duration");
    refused(&with("concurrency: {limit: 0}"), "/concurrency/limit", "0");
    refused(&with("inputs: [{id: a, type: SELECT, valeus: [x]}]"), "/inputs/0", "valeus");
    refused(&with("inputs: [{id: a, type: SECRET, min: 1}]"), "/inputs/0", "min");
    refused(&with("triggers: [{id: s, type: io.kestra.plugin.core.trigger.Schedule}]"), "/triggers/0", "cron");
    let deep = format!(
        "tasks: [{{id: d, type: io.kestra.plugin.core.flow.Dag, tasks: [{{task: {{id: p, type: io.kestra.plugin.core.flow.Pause, \
         onPause: {{id: t, {LOG}, mesage: m}}}}}}]}}]"
    );
    refused(&deep, "/tasks/0/tasks/0/task/onPause", "mesage");
}

#[test]
fn ways_to_write_a_value_that_the_parser_takes() {
    let with = |rest: &str| format!("tasks: [{{id: 1, {LOG}, message: [1, true, x]}}]\n{rest}");
    fits(&with(
        "inputs: [{name: a, type: select, values: [1, x], required: 'false'}, {id: b, type: Array, itemType: int}]",
    ));
    fits(&with("labels: [{key: a, value: 1}]\nerrors:\ndescription: 5"));
    fits(&with("retry: {type: random, minInterval: 1, maxInterval: PT1M, maxAttempt: 3}"));
    let http = "type: io.kestra.plugin.core.http.Request, uri: u";
    fits(&format!(
        "tasks: [{{id: h, {http}, options: {{maxContentLength: '10', allowedResponseCodes: '[200]', timeout: {{connectTimeout: 5}}}}}}]"
    ));
    fits(&format!("tasks: [{{id: h, {http}, options: '{{{{ vars.options }}}}', allowFailed: '{{{{ inputs.x }}}}'}}]"));
    refused(
        &format!("tasks: [{{id: h, {http}, options: {{followRedirect: true}}}}]"),
        "/tasks/0/options",
        "followRedirect",
    );
}

/// What defaults say need not be said again, and is looked at by itself.
#[test]
fn defaults_stand_in_for_what_is_required() {
    let task = format!("tasks: [{{id: s, type: io.kestra.plugin.core.flow.Sequential, tasks: [{{id: t, {LOG}}}]}}]\n");
    refused(&task, "/tasks/0/tasks/0", "message");
    let defaults = |values: &str| format!("{task}pluginDefaults: [{{{LOG}, values: {{{values}}}}}]");
    fits(&defaults("message: m"));
    refused(&defaults("mesage: m"), "/pluginDefaults/0/values", "mesage");
    refused(&defaults("message: null"), "/pluginDefaults/0/values/message", "null");
    refused(
        &format!("{task}pluginDefaults: [{{type: io.kestra.plugin, values: {{a: b}}}}]")
            .replace("id: t,", "id: t, a: b,"),
        "/tasks/0/tasks/0",
        "a",
    );
}
