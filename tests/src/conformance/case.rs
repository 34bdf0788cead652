//! Cases as they are written down. Decides nothing about how they are played.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// A flow, what it is given, and what comes of it.
#[derive(Clone, Debug)]
pub struct Case {
    pub id: String,
    /// The flow that is started.
    pub source: String,
    /// Flows that must be there as well.
    pub others: Vec<String>,
    pub inputs: Map<String, Value>,
    pub labels: Map<String, Value>,
    pub files: Map<String, Value>,
    /// What the node is set up with.
    pub config: Map<String, Value>,
    /// What is stored before the start.
    pub setup: Map<String, Value>,
    /// What is done with the flow.
    pub action: String,
    /// What is sent to a webhook.
    pub request: Map<String, Value>,
    /// From when to when time passes, where it is a simulated one.
    pub clock: Map<String, Value>,
    /// What a pause is resumed with.
    pub resume_inputs: Map<String, Value>,
    pub resume_files: Map<String, Value>,
    /// Labels that are set afterwards.
    pub set_labels: Map<String, Value>,
    pub expect: Map<String, Value>,
    /// One of this project's: the types it names are those that are here.
    pub is_own: bool,
    /// It uses task types of the corpus' own test tree.
    pub needs_test_task: bool,
    /// It starts without inputs that are required, which no client can.
    pub lets_missing_inputs_through: bool,
}

/// The corpus in a folder: `cases.json` and `flows/`.
pub fn corpus(folder: &Path) -> Result<Vec<Case>> {
    let path = folder.join("cases.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let listed: Vec<Value> = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let flows = texts(&folder.join("flows"), &["yaml", "yml"])?;
    listed.iter().map(|case| from_corpus(case, &flows)).collect()
}

fn from_corpus(case: &Value, flows: &[(String, String)]) -> Result<Case> {
    let id = text(case, "id")?;
    let named = |name: &str| {
        let found = flows.iter().find(|(file, _)| file == name).map(|(_, source)| source.clone());
        found.with_context(|| format!("case `{id}`: there is no flow `{name}`"))
    };
    let source = named(&text(case, "flow")?)?;
    let mut others = Vec::new();
    for name in case["needs"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        others.push(named(name)?);
    }
    for called in called(&source) {
        let child = flows.iter().map(|(_, source)| source).find(|source| flow_id(source) == Some(called));
        others.extend(
            child.filter(|child| !others.contains(child) && **child != source).cloned().into_iter().collect::<Vec<_>>(),
        );
    }
    Ok(Case {
        source,
        others,
        inputs: object(case, "inputs"),
        labels: object(case, "labels"),
        files: object(case, "files"),
        config: object(case, "config"),
        setup: object(case, "setup"),
        action: text(case, "action")?,
        request: object(case, "request"),
        clock: Map::new(),
        resume_inputs: object(case, "resume_inputs"),
        resume_files: object(case, "resume_files"),
        set_labels: object(case, "set_labels"),
        expect: object(case, "expect"),
        is_own: false,
        needs_test_task: case["needs_test_task"] == Value::Bool(true),
        lets_missing_inputs_through: case["missing_required_inputs"].is_array(),
        id,
    })
}

impl Case {
    /// The namespace of the flow that is started.
    pub fn namespace(&self) -> &str {
        self.source.lines().find_map(|line| line.strip_prefix("namespace:")).map(unquoted).unwrap_or_default()
    }
}

/// Our own cases: one YAML file each, with `flow`, `needs` and the corpus' other keys.
pub fn own(folder: &Path) -> Result<Vec<Case>> {
    texts(folder, &["yaml"])?
        .into_iter()
        .map(|(file, text)| {
            let case: Value = serde_yaml::from_str(&text).with_context(|| file.clone())?;
            let source = self::text(&case, "flow").with_context(|| file.clone())?;
            let others = case["needs"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
            Ok(Case {
                id: file.trim_end_matches(".yaml").to_owned(),
                source,
                others: others.collect(),
                inputs: object(&case, "inputs"),
                labels: object(&case, "labels"),
                files: object(&case, "files"),
                config: object(&case, "config"),
                setup: object(&case, "setup"),
                action: case["action"].as_str().unwrap_or("run").to_owned(),
                request: object(&case, "request"),
                clock: object(&case, "clock"),
                resume_inputs: object(&case, "resume_inputs"),
                resume_files: object(&case, "resume_files"),
                set_labels: object(&case, "set_labels"),
                expect: object(&case, "expect"),
                is_own: true,
                needs_test_task: false,
                lets_missing_inputs_through: false,
            })
        })
        .collect()
}

/// Ids of the flows that a source names as children.
fn called(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| line.trim().strip_prefix("flowId:")).map(unquoted)
}

fn flow_id(source: &str) -> Option<&str> {
    source.lines().find_map(|line| line.strip_prefix("id:")).map(unquoted)
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(|c| c == '"' || c == '\'')
}

/// Files of a folder by name, sorted.
fn texts(folder: &Path, extensions: &[&str]) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && extensions.contains(&extension)
        {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            found.push((name.to_owned(), text));
        }
    }
    found.sort();
    Ok(found)
}

fn text(case: &Value, name: &str) -> Result<String> {
    let found = case[name].as_str().map(str::to_owned);
    found.with_context(|| format!("a case has no text `{name}`: {}", case["id"]))
}

fn object(case: &Value, name: &str) -> Map<String, Value> {
    case[name].as_object().cloned().unwrap_or_default()
}
