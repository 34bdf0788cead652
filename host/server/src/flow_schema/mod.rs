//! What a flow may say, as one JSON Schema for editors: the engine's own part (`model::flow_schema`) and the types of the plugins that are
//! installed, each as its versions describe it.
//!
//! A flow is read in three ways, of which the schema has a copy each, as far as tasks reach: most flows are strict; under `plugins:` a task
//! without a `version` may run on any version; under `pluginDefaults:` nothing but a type and an id is required as well, since the defaults
//! may say it. Deterministic: the same registries give the same text.

mod convert;
mod copies;
mod dispatch;
mod types;
mod written;

use catalog::Catalog;
use model::flow_schema::{self, FlowSchema};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use copies::Way;
use types::Type;

/// The draft that editors know best.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// What a schema is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Flow,
    Task,
    Trigger,
}

impl Of {
    /// As paths name it.
    pub fn named(name: &str) -> Option<Self> {
        [("flow", Self::Flow), ("task", Self::Task), ("trigger", Self::Trigger)]
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, of)| of)
    }
}

/// The lists of tasks and triggers in a flow, and their definitions.
const LISTS: &[(&str, &str)] = &[
    ("tasks", "SomeTasks"),
    ("errors", "Tasks"),
    ("finally", "Tasks"),
    ("afterExecution", "Tasks"),
    ("listeners", "Listeners"),
    ("triggers", "Triggers"),
];

/// The schema under the plugins of a catalog.
pub fn document(catalog: &Catalog, of: Of) -> Json {
    let FlowSchema { mut definitions, tasks, triggers } = flow_schema::flow_schema();
    let installed = types::installed(catalog);
    let mut all = types::All { definitions: &mut definitions, bytes: 0 };
    let mut task_types = all.own(tasks, &["TaskProperties"]);
    let mut trigger_types = all.own(triggers, &["TriggerProperties"]);
    let (of_tasks, of_triggers) = all.plugins(catalog, installed);
    definitions.insert("PluginDefaults".to_owned(), dispatch::defaults(of_tasks.iter().chain(&of_triggers)));
    task_types.extend(of_tasks);
    trigger_types.extend(of_triggers);
    for (name, types) in [("TaskType", &task_types), ("TriggerType", &trigger_types)] {
        definitions.insert(name.to_owned(), dispatch::names(types));
    }
    copies(&mut definitions, &task_types, &trigger_types);
    let mut root = match of {
        Of::Flow => flow(&mut definitions),
        Of::Task => json!({ "allOf": [{ "$ref": "#/definitions/Task" }] }),
        Of::Trigger => json!({ "allOf": [{ "$ref": "#/definitions/Trigger" }] }),
    };
    if let Some(root) = root.as_object_mut() {
        root.shift_insert(0, "$schema".to_owned(), DRAFT.into());
        root.insert("definitions".to_owned(), definitions.into());
    }
    in_markdown(&mut root);
    root
}

/// Descriptions are Markdown, which editors show as such under another name alone.
fn in_markdown(schema: &mut Json) {
    match schema {
        Json::Object(keywords) => {
            let marked =
                keywords.get("description").filter(|text| text.as_str().is_some_and(|text| text.contains('`')));
            if let Some(marked) = marked.cloned() {
                keywords.insert("markdownDescription".to_owned(), marked);
            }
            let values = ["default", "enum", "const", "examples"];
            let schemas = keywords.iter_mut().filter(|(keyword, _)| !values.contains(&keyword.as_str()));
            schemas.for_each(|(_, inner)| in_markdown(inner));
        }
        Json::Array(items) => items.iter_mut().for_each(in_markdown),
        _ => {}
    }
}

/// Names the state of everything that the schema is made of.
pub fn tag(catalog: &Catalog) -> String {
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    for (name, versions) in catalog.plugins() {
        for package in versions {
            let usable = catalog.is_usable(package);
            hash.update(format!("\n{name} {} {} {usable}", package.manifest().version, package.published.digest));
        }
    }
    for rule in catalog.rules().iter() {
        hash.update(format!("\n{} {} {}", rule.action.as_str(), rule.plugin, rule.versions));
    }
    let digest: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digest}\"")
}

fn copies(definitions: &mut Map<String, Json>, tasks: &[Type], triggers: &[Type]) {
    let made: Vec<(Way, Map<String, Json>)> = [Way::Strict, Way::AnyVersion, Way::Defaulted]
        .into_iter()
        .map(|way| {
            let copied = way.copied(definitions);
            let mut made = way.copies(definitions, &copied);
            for (name, kind, types) in [("Task", "TaskType", tasks), ("Trigger", "TriggerType", triggers)] {
                made.insert(way.name(name), dispatch::dispatcher(kind, types, way, &copied));
            }
            (way, made)
        })
        .collect();
    for (_, made) in made {
        definitions.extend(made);
    }
}

/// The flow: its own properties, and its lists in the way in which it is read.
fn flow(definitions: &mut Map<String, Json>) -> Json {
    let lists = |way: Way| {
        let lists = LISTS.iter().map(|(list, of)| {
            let schema = json!({ "$ref": format!("#/definitions/{}", way.name(of)) });
            ((*list).to_owned(), schema)
        });
        json!({ "properties": lists.collect::<Map<_, _>>() })
    };
    let mut flow = definitions.remove("Flow").unwrap_or_default();
    if let Some(flow) = flow.as_object_mut() {
        let has = |name: &str| json!({ "properties": { name: { "not": { "type": "null" } } }, "required": [name] });
        flow.insert("if".to_owned(), json!({ "anyOf": [has("pluginDefaults"), has("taskDefaults")] }));
        flow.insert("then".to_owned(), lists(Way::Defaulted));
        let by_version = json!({ "if": has("plugins"), "then": lists(Way::AnyVersion), "else": lists(Way::Strict) });
        flow.insert("else".to_owned(), by_version);
    }
    flow
}
