//! What a plugin says about itself: the JSON of its section `sluice:manifest`, read once into a type that cannot be wrong.
//! Strict in what the host relies on; fields it does not know are left alone, so that a newer plugin still loads.

use std::collections::BTreeSet;
use std::fmt;

use model::Role;
use model::task::Effects;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::capabilities::Capabilities;
use crate::error::Error;
use crate::name::{BUILT_IN, PluginName, task_type_problem};
use crate::schema::Markers;

/// The major version of the plugin ABI this host speaks.
const ABI_MAJOR: u64 = 1;
/// Most task types of one plugin. The largest we know has about a hundred.
const TASK_TYPES_MAX: usize = 1_000;
/// Most aliases of one task type: old names that flows still use.
const ALIASES_MAX: usize = 50;

/// One plugin version, as it describes itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub abi: Abi,
    pub name: PluginName,
    pub version: Version,
    /// A few words for lists.
    pub title: String,
    pub description: String,
    /// The first Sluice it runs on.
    pub minimum_host: Option<Version>,
    /// What it asks for. Policy decides what it gets.
    pub capabilities: Capabilities,
    /// Task types, behind them trigger types, behind them types of providers.
    pub tasks: Vec<TaskType>,
}

/// Version of the plugin ABI a component was built for. A newer minor only adds imports, which a component may or may not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Abi {
    pub major: u64,
    pub minor: u64,
}

impl Abi {
    /// Reads `1.0`, if this host speaks it. The error says why not.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let (major, minor) = numbers.ok_or_else(|| format!("`abi: {text}` is not a version like `1.0`"))?;
        match major {
            ABI_MAJOR => Ok(Self { major, minor }),
            newer if newer > ABI_MAJOR => Err(format!(
                "it is made for plugin ABI {text}, and this Sluice speaks {ABI_MAJOR}.x; upgrade Sluice to use it"
            )),
            _ => Err(format!(
                "it is made for plugin ABI {text}, which was never released; this Sluice speaks {ABI_MAJOR}.x"
            )),
        }
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// One task type, trigger type, or type of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskType {
    /// Its name in flows: `com.example.mail.Send`.
    pub name: String,
    /// Where flows may use it.
    pub role: Role,
    pub title: String,
    pub description: String,
    /// Other names flows may call it by.
    pub aliases: Vec<String>,
    /// JSON Schema 2020-12 of its properties, always of an object.
    pub properties: Value,
    /// JSON Schema 2020-12 of its outputs, always of an object.
    pub outputs: Value,
    pub examples: Vec<Example>,
    /// Its own, or else the plugin's.
    pub effects: Effects,
    /// Which properties are secret, which are rendered later or never: found in `properties`.
    pub markers: Markers,
    /// What of the plugin's capabilities this type asks for; `None`: all of them.
    pub capabilities: Option<Capabilities>,
}

impl TaskType {
    /// Whether a flow that writes `name` means this task type.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// Its name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.aliases).map(String::as_str)
    }
}

/// An example in a task type's documentation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    #[serde(default)]
    pub title: String,
    pub yaml: String,
}

/// The manifest as written, before it is checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    name: String,
    version: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: String,
    minimum_host: Option<String>,
    effects: Option<String>,
    #[serde(default)]
    capabilities: Value,
    #[serde(default)]
    tasks: Vec<WireTask>,
    /// What is polled.
    #[serde(default)]
    triggers: Vec<WireTask>,
    /// What answers chats with models.
    #[serde(default)]
    providers: Vec<WireTask>,
}

#[derive(Deserialize)]
struct WireTask {
    #[serde(rename = "type")]
    name: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    properties: Value,
    #[serde(default)]
    outputs: Value,
    #[serde(default)]
    examples: Vec<Example>,
    effects: Option<String>,
    capabilities: Option<Value>,
}

impl Manifest {
    /// Reads the JSON of a manifest; `origin` names the file in messages. All problems come at once.
    pub fn parse(json: &[u8], origin: &str) -> Result<Self, Error> {
        let document: Value = serde_json::from_slice(json).map_err(|error| Error::BadManifest {
            origin: origin.to_owned(),
            problems: vec![format!("it is not JSON: {error}")],
        })?;
        Self::read(&document, origin)
    }

    /// Reads a manifest that is JSON already.
    pub(crate) fn read(document: &Value, origin: &str) -> Result<Self, Error> {
        let mut problems = Vec::new();
        match read(document, &mut problems) {
            Some(manifest) if problems.is_empty() => Ok(manifest),
            _ => Err(Error::BadManifest { origin: origin.to_owned(), problems }),
        }
    }

    /// What a task of this type asks for.
    pub fn capabilities_of(&self, task_type: &str) -> &Capabilities {
        self.task(task_type).and_then(|task| task.capabilities.as_ref()).unwrap_or(&self.capabilities)
    }

    /// The task type of this name or alias.
    pub fn task(&self, name: &str) -> Option<&TaskType> {
        self.tasks.iter().find(|task| task.answers_to(name))
    }
}

/// The manifest, where it is good enough to go on; it is to be used only if no problem was found.
fn read(document: &Value, problems: &mut Vec<String>) -> Option<Manifest> {
    // First, since all else may look different under another ABI.
    let abi = match abi(document) {
        Ok(abi) => abi,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let wire = match Wire::deserialize(document) {
        Ok(wire) => wire,
        Err(error) => {
            problems.push(error.to_string());
            return None;
        }
    };
    let name = PluginName::parse(&wire.name);
    if name.is_none() {
        problems.push(format!(
            "`name: {}` is not a plugin name: it holds lower-case letters, digits and `-`, at most 64",
            wire.name
        ));
    }
    if wire.name == BUILT_IN {
        problems.push(format!("`name: {BUILT_IN}` is the plugin inside Sluice itself; choose another"));
    }
    let version = version("version", &wire.version, problems);
    let minimum_host = wire.minimum_host.map(|text| self::version("minimumHost", &text, problems));
    let plugin_effects = effects(wire.effects.as_deref(), "the plugin", problems).unwrap_or(Effects::AtLeastOnce);
    let capabilities = capabilities(&wire.capabilities, "`capabilities`", problems);
    let types = wire.tasks.len() + wire.triggers.len() + wire.providers.len();
    if types > TASK_TYPES_MAX {
        problems.push(format!("it has {types} task types, at most {TASK_TYPES_MAX} are allowed"));
        return None;
    }
    let roles = std::iter::repeat_n(Role::Task, wire.tasks.len())
        .chain(std::iter::repeat_n(Role::Trigger, wire.triggers.len()))
        .chain(std::iter::repeat(Role::Provider));
    let written = wire.tasks.into_iter().chain(wire.triggers).chain(wire.providers).zip(roles);
    let tasks: Vec<TaskType> =
        written.map(|(task, role)| task_type(task, role, plugin_effects, &capabilities, problems)).collect();
    duplicates(&tasks, problems);
    Some(Manifest {
        abi,
        name: name?,
        version: version?,
        title: wire.title,
        description: wire.description,
        minimum_host: match minimum_host {
            Some(version) => Some(version?),
            None => None,
        },
        capabilities,
        tasks,
    })
}

fn abi(document: &Value) -> Result<Abi, String> {
    let Value::Object(fields) = document else {
        return Err("it is not a JSON object".to_owned());
    };
    let Some(Value::String(text)) = fields.get("abi") else {
        return Err("it has no `abi`, as in `\"abi\": \"1.0\"`".to_owned());
    };
    Abi::parse(text)
}

fn version(field: &str, text: &str, problems: &mut Vec<String>) -> Option<Version> {
    match Version::parse(text) {
        // Build metadata has no order, so two such versions could not be told apart by a requirement.
        Ok(version) if !version.build.is_empty() => {
            problems.push(format!("`{field}: {text}` has build metadata (`+{}`); leave it out", version.build));
            None
        }
        Ok(version) => Some(version),
        Err(error) => {
            problems.push(format!("`{field}: {text}` is not a semantic version: {error}"));
            None
        }
    }
}

fn effects(text: Option<&str>, whose: &str, problems: &mut Vec<String>) -> Option<Effects> {
    let text = text?;
    let effects = Effects::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text));
    if effects.is_err() {
        problems.push(format!(
            "`effects: {text}` of {whose} is none of `none`, `idempotent`, `at-least-once`, `at-most-once`"
        ));
    }
    effects.ok()
}

fn capabilities(wanted: &Value, whose: &str, problems: &mut Vec<String>) -> Capabilities {
    if wanted.is_null() {
        return Capabilities::default();
    }
    Capabilities::deserialize(wanted).unwrap_or_else(|error| {
        problems.push(format!("{whose}: {error}"));
        Capabilities::default()
    })
}

fn task_type(
    wire: WireTask,
    role: Role,
    plugin_effects: Effects,
    of_plugin: &Capabilities,
    problems: &mut Vec<String>,
) -> TaskType {
    let name = wire.name;
    for text in std::iter::once(&name).chain(&wire.aliases) {
        if let Some(problem) = task_type_problem(text) {
            problems.push(format!("task type `{text}` {problem}"));
        }
    }
    if wire.aliases.len() > ALIASES_MAX {
        problems
            .push(format!("task type `{name}` has {} aliases, at most {ALIASES_MAX} are allowed", wire.aliases.len()));
    }
    let properties = object_schema(wire.properties, &format!("`properties` of `{name}`"), problems);
    let outputs = object_schema(wire.outputs, &format!("`outputs` of `{name}`"), problems);
    let markers = Markers::find(&properties).unwrap_or_else(|problem| {
        problems.push(format!("the schema `properties` of `{name}` {problem}"));
        Markers::default()
    });
    let effects = effects(wire.effects.as_deref(), &format!("`{name}`"), problems).unwrap_or(plugin_effects);
    let own = wire.capabilities.map(|wanted| capabilities(&wanted, &format!("`capabilities` of `{name}`"), problems));
    for capability in own.iter().flat_map(|own| own.beyond([of_plugin])) {
        problems.push(format!("`{name}` asks for {capability}, which the plugin's own `capabilities` do not"));
    }
    TaskType {
        name,
        role,
        capabilities: own,
        title: wire.title,
        description: wire.description,
        aliases: wire.aliases,
        properties,
        outputs,
        examples: wire.examples,
        effects,
        markers,
    }
}

fn object_schema(schema: Value, whose: &str, problems: &mut Vec<String>) -> Value {
    match schema {
        Value::Null => serde_json::json!({ "type": "object" }),
        Value::Object(keywords) if keywords.get("type").is_none_or(|kind| kind == "object") => Value::Object(keywords),
        other => {
            problems.push(format!("{whose} is not the JSON Schema of an object"));
            other
        }
    }
}

fn duplicates(tasks: &[TaskType], problems: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for name in tasks.iter().flat_map(TaskType::names) {
        if !seen.insert(name) {
            problems.push(format!("task type `{name}` is there twice"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::capabilities::{FlowWord, HttpHosts};
    use serde_json::json;

    fn minimal() -> Value {
        json!({ "abi": "1.0", "name": "mail", "version": "1.2.3", "tasks": [{ "type": "com.example.mail.Send" }] })
    }

    fn with(field: &str, value: Value) -> Value {
        let mut manifest = minimal();
        manifest[field] = value;
        manifest
    }

    fn refused(document: Value, expected: &[&str]) {
        let message = Manifest::read(&document, "mail.wasm").unwrap_err().to_string();
        assert_eq!(message.lines().count(), expected.len() + 1, "{message}");
        for part in expected {
            assert!(message.contains(part), "`{message}` does not say `{part}`");
        }
    }

    #[test]
    fn trigger_types_stand_behind_task_types() {
        let manifest = with("triggers", json!([{ "type": "com.example.mail.Inbox", "aliases": ["com.example.Mail"] }]));
        let manifest = Manifest::read(&manifest, "mail.wasm").unwrap();
        let roles: Vec<Role> = manifest.tasks.iter().map(|task| task.role).collect();
        assert_eq!(roles, [Role::Task, Role::Trigger]);
        assert_eq!(manifest.task("com.example.Mail").unwrap().name, "com.example.mail.Inbox");
        for list in ["triggers", "providers"] {
            refused(
                with(list, json!([{ "type": "com.example.mail.Send" }])),
                &["`com.example.mail.Send` is there twice"],
            );
        }
    }

    #[test]
    fn providers_are_types_of_their_own() {
        let manifest = with("providers", json!([{ "type": "com.example.mail.Answers" }]));
        let manifest = Manifest::read(&manifest, "mail.wasm").unwrap();
        let roles: Vec<Role> = manifest.tasks.iter().map(|task| task.role).collect();
        assert_eq!(roles, [Role::Task, Role::Provider]);
    }

    #[test]
    fn smallest_manifest_has_defaults() {
        let manifest = Manifest::read(&minimal(), "mail.wasm").unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.to_string().as_str()), ("mail", "1.2.3"));
        assert_eq!(manifest.capabilities, Capabilities::default());
        let task = manifest.task("com.example.mail.Send").unwrap();
        assert_eq!((task.effects, &task.properties), (Effects::AtLeastOnce, &json!({ "type": "object" })));
    }

    #[test]
    fn whole_manifest_is_read() {
        let text = br#"{
            "abi": "1.7", "name": "mail", "version": "2.0.0-rc.1", "title": "Mail", "description": "Sends.", "minimumHost": "0.1.0",
            "effects": "at-most-once", "future": { "kept": true },
            "capabilities": { "http": [{ "hosts": "flow", "methods": ["POST"] }, { "hosts": ["a.example"] }], "kv": ["get"],
                "secrets": true, "memoryBytes": 1048576, "teleport": ["moon"] },
            "tasks": [{ "type": "com.example.mail.Send", "capabilities": { "secrets": ["MAIL"] }, "aliases": ["com.example.Send"], "effects": "none", "future": 1,
                "properties": { "type": "object", "properties": { "password": { "x-sluice-secret": true } } },
                "outputs": { "type": "object" }, "examples": [{ "title": "One", "yaml": "id: x\n" }] }]
        }"#;
        let manifest = Manifest::parse(text, "mail.wasm").unwrap();
        assert_eq!(manifest.abi, Abi { major: 1, minor: 7 });
        assert_eq!(manifest.minimum_host, Some(Version::new(0, 1, 0)));
        let hosts: Vec<_> = manifest.capabilities.http.iter().map(|access| access.hosts.clone()).collect();
        assert_eq!(hosts, [HttpHosts::NamedByFlow(FlowWord::Flow), HttpHosts::Only(vec!["a.example".to_owned()])]);
        assert_eq!(manifest.capabilities.other["teleport"], json!(["moon"]));
        let task = manifest.task("com.example.Send").unwrap();
        assert_eq!(task.effects, Effects::None);
        assert_eq!(manifest.capabilities_of("com.example.Send").secrets, ["MAIL"]);
        assert_eq!(manifest.capabilities_of("com.example.mail.Other"), &manifest.capabilities);
        assert_eq!(task.markers.secret.first().unwrap().to_string(), "/password");
        let written = serde_json::to_value(&manifest.capabilities).unwrap();
        assert_eq!(Capabilities::deserialize(&written).unwrap(), manifest.capabilities);
    }

    #[test]
    fn other_abis_are_refused_in_words_and_alone() {
        let newer = json!({ "abi": "2.0", "tasks": 7 });
        refused(newer, &["made for plugin ABI 2.0, and this Sluice speaks 1.x; upgrade Sluice"]);
        refused(with("abi", json!("0.9")), &["never released"]);
        refused(with("abi", json!(1)), &["has no `abi`"]);
        refused(with("name", json!("engine")), &["plugin inside Sluice itself"]);
        refused(with("abi", json!("one")), &["not a version like `1.0`"]);
        refused(json!([]), &["not a JSON object"]);
    }

    #[test]
    fn all_problems_come_at_once() {
        let document = json!({
            "abi": "1.0", "name": "Mail", "version": "1.2", "minimumHost": "1.0.0+x", "effects": "twice", "capabilities": { "kv": 1 },
            "tasks": [
                { "type": "Send", "properties": [], "effects": "sometimes", "capabilities": { "files": true } },
                { "type": "com.example.A", "aliases": ["com.example.A"], "properties": { "properties": { "p": { "x-sluice-secret": 1 } } } },
            ],
        });
        refused(
            document,
            &[
                "`name: Mail`",
                "`version: 1.2`",
                "`minimumHost: 1.0.0+x` has build metadata",
                "`effects: twice` of the plugin",
                "`capabilities`",
                "`Send` is not under a reversed domain",
                "`properties` of `Send` is not",
                "`effects: sometimes` of `Send`",
                "`Send` asks for files of the internal storage, which the plugin's own `capabilities` do not",
                "`true` or `false`",
                "`com.example.A` is there twice",
            ],
        );
    }

    #[test]
    fn hostile_json_is_refused() {
        for text in [&b"{"[..], b"\xff\xfe", "[".repeat(100_000).as_bytes(), b"null", b""] {
            assert_eq!(Manifest::parse(text, "x").unwrap_err().code(), "PLUGIN_BAD_MANIFEST");
        }
        let many: Vec<Value> = (0..=TASK_TYPES_MAX).map(|n| json!({ "type": format!("com.example.T{n}") })).collect();
        refused(with("tasks", json!(many)), &["1001 task types"]);
        refused(with("tasks", json!([{ "title": "no type" }])), &["missing field `type`"]);
    }
}
