//! What a plugin says about itself, made from its types and doc comments. The text is the same on every call.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::Value;

use crate::models::Provider;
use crate::{Task, Trigger};

/// The version of `wit/` this crate is built on.
pub const ABI: &str = "1.0";

/// The first host that can run plugins of this crate.
const MINIMUM_HOST: &str = "0.1.0";

/// What running a task twice may do to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effects {
    /// Nothing outside is touched.
    None,
    /// A repeat changes nothing more.
    Idempotent,
    /// A repeat may act again; the host repeats after a lost attempt.
    AtLeastOnce,
    /// A repeat would do harm; the host never repeats after a lost attempt.
    AtMostOnce,
}

/// Which hosts a plugin wants to reach.
#[derive(Debug, Clone)]
pub enum Hosts {
    /// Those that the flow names in the task's properties.
    NamedByFlow,
    /// These and no others.
    Only(&'static [&'static str]),
}

impl Serialize for Hosts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::NamedByFlow => serializer.serialize_str("flow"),
            Self::Only(hosts) => sorted(hosts).serialize(serializer),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct HttpAccess {
    hosts: Hosts,
    methods: Vec<&'static str>,
}

/// Names that a plugin asks for; written `true` for any.
#[derive(Debug, Clone, Default)]
enum Names {
    #[default]
    None,
    Any,
    Only(Vec<&'static str>),
}

impl Names {
    fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl Serialize for Names {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_bool(false),
            Self::Any => serializer.serialize_bool(true),
            Self::Only(names) => names.serialize(serializer),
        }
    }
}

/// What a plugin asks for. What it does not ask for it does not get, whatever the policy says.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Capabilities {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    http: Vec<HttpAccess>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kv: Vec<&'static str>,
    #[serde(rename = "kvPrefixes", skip_serializing_if = "Vec::is_empty")]
    kv_prefixes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    process: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objects: Vec<&'static str>,
    #[serde(skip_serializing_if = "Names::is_empty")]
    secrets: Names,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reveal: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    files: bool,
    #[serde(rename = "memoryBytes", skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    #[serde(rename = "timeMs", skip_serializing_if = "Option::is_none")]
    time_ms: Option<u64>,
}

impl Capabilities {
    /// Nothing but logs, metrics and progress.
    pub fn none() -> Self {
        Self::default()
    }

    /// HTTP requests with these methods to these hosts. No methods means any.
    #[must_use]
    pub fn http(mut self, hosts: Hosts, methods: &[&'static str]) -> Self {
        self.http.push(HttpAccess { hosts, methods: sorted(methods) });
        self
    }

    /// Operations on the key-value store: `get`, `set`, `delete`, `keys`.
    #[must_use]
    pub fn kv(mut self, operations: &[&'static str]) -> Self {
        self.kv = sorted(operations);
        self
    }

    /// What the keys begin with that these operations are for. Without it: any key.
    #[must_use]
    pub fn kv_prefixes(mut self, prefixes: &[&'static str]) -> Self {
        self.kv_prefixes = sorted(prefixes);
        self
    }

    /// Programs by name.
    #[must_use]
    pub fn process(mut self, programs: &[&'static str]) -> Self {
        self.process = sorted(programs);
        self
    }

    /// Documents of the engine: `flow`, `execution`, `log`, `namespace`, `app`, `test`, `dashboard`, `blueprint` to read; `KIND:save` and
    /// `KIND:delete` to change them (of `execution` and `log`, `delete` alone); `file` to read and change the files of namespaces.
    #[must_use]
    pub fn objects(mut self, kinds: &[&'static str]) -> Self {
        self.objects = sorted(kinds);
        self
    }

    /// More memory than the usual limit.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = Some(bytes);
        self
    }

    /// More time for one attempt than the usual limit.
    #[must_use]
    pub fn time_ms(mut self, ms: u64) -> Self {
        self.time_ms = Some(ms);
        self
    }

    /// Secrets by any name, never in the clear.
    #[must_use]
    pub fn secrets(mut self) -> Self {
        self.secrets = Names::Any;
        self
    }

    /// These secrets, never in the clear.
    #[must_use]
    pub fn secrets_named(mut self, names: &[&'static str]) -> Self {
        self.secrets = Names::Only(sorted(names));
        self
    }

    /// These secrets in the clear, `*` for any. Operators grant it seldom; ask for a signature or a handle where one will do.
    #[must_use]
    pub fn reveal(mut self, names: &[&'static str]) -> Self {
        self.reveal = sorted(names);
        self
    }

    /// Model providers by type, `*` for any.
    #[must_use]
    pub fn models(mut self, providers: &[&'static str]) -> Self {
        self.models = sorted(providers);
        self
    }

    /// Files of the internal storage.
    #[must_use]
    pub fn files(mut self) -> Self {
        self.files = true;
        self
    }
}

fn sorted(items: &[&'static str]) -> Vec<&'static str> {
    let mut items = items.to_vec();
    items.sort_unstable();
    items.dedup();
    items
}

/// An example in a task type's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    title: String,
    yaml: String,
}

/// What `#[task]` gathers about a task type.
#[derive(Debug, Clone, Copy)]
pub struct TaskDefinition {
    /// The task type.
    pub kind: &'static str,
    /// Other names a flow may call it by.
    pub aliases: &'static [&'static str],
    /// The lines of its doc comment.
    pub docs: &'static [&'static str],
    /// Its effects, where they differ from the plugin's.
    pub effects: Option<Effects>,
    /// What of the plugin's capabilities it asks for, where that is not all of them.
    pub capabilities: Option<fn() -> Capabilities>,
}

impl TaskDefinition {
    /// A task type with its doc comment.
    pub const fn new(kind: &'static str, docs: &'static [&'static str]) -> Self {
        Self { kind, aliases: &[], docs, effects: None, capabilities: None }
    }

    /// Names the aliases.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Sets effects that differ from the plugin's.
    #[must_use]
    pub const fn effects(mut self, effects: Effects) -> Self {
        self.effects = Some(effects);
        self
    }

    /// Says which of the plugin's capabilities it asks for: the others it does not get, whatever the policy says. Without this: all.
    #[must_use]
    pub const fn capabilities(mut self, capabilities: fn() -> Capabilities) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// Whether a flow that writes `kind` means this task type.
    pub fn answers_to(&self, kind: &str) -> bool {
        self.kind == kind || self.aliases.contains(&kind)
    }
}

#[derive(Debug, Clone, Serialize)]
struct TaskEntry {
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    description: String,
    aliases: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effects: Option<Effects>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Capabilities>,
    properties: Schema,
    outputs: Schema,
    examples: Vec<Example>,
}

impl TaskEntry {
    fn new<P: JsonSchema, O: JsonSchema>(definition: TaskDefinition) -> Self {
        let docs = Docs::read(definition.docs);
        Self {
            kind: definition.kind,
            title: docs.title,
            description: docs.description,
            aliases: sorted(definition.aliases),
            effects: definition.effects,
            capabilities: definition.capabilities.map(|capabilities| capabilities()),
            properties: schema::<P>(SchemaSettings::draft2020_12().for_deserialize()),
            outputs: schema::<O>(SchemaSettings::draft2020_12().for_serialize()),
            examples: docs.examples,
        }
    }
}

/// What a plugin says about itself.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    abi: &'static str,
    name: &'static str,
    version: &'static str,
    title: &'static str,
    description: &'static str,
    #[serde(rename = "minimumHost")]
    minimum_host: &'static str,
    effects: Effects,
    capabilities: Capabilities,
    tasks: Vec<TaskEntry>,
    triggers: Vec<TaskEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    providers: Vec<TaskEntry>,
}

impl Manifest {
    /// A plugin named after its package: `sluice-plugin-http` is the plugin `http`.
    pub fn new(package: &'static str, version: &'static str, description: &'static str) -> Self {
        let name = package.strip_prefix("sluice-plugin-").unwrap_or(package);
        Self {
            abi: ABI,
            name,
            version,
            title: name,
            description,
            minimum_host: MINIMUM_HOST,
            effects: Effects::AtLeastOnce,
            capabilities: Capabilities::none(),
            tasks: Vec::new(),
            triggers: Vec::new(),
            providers: Vec::new(),
        }
    }

    /// Another name than the package's.
    #[must_use]
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// A few words for lists.
    #[must_use]
    pub fn title(mut self, title: &'static str) -> Self {
        self.title = title;
        self
    }

    /// Another description than the package's.
    #[must_use]
    pub fn description(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// The first host this plugin can run on.
    #[must_use]
    pub fn minimum_host(mut self, version: &'static str) -> Self {
        self.minimum_host = version;
        self
    }

    /// The effects of every task that does not say otherwise. Without it: at least once.
    #[must_use]
    pub fn effects(mut self, effects: Effects) -> Self {
        self.effects = effects;
        self
    }

    /// What the plugin asks for. Without it: nothing.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Adds a task type.
    #[must_use]
    pub fn task<T: Task>(mut self) -> Self {
        self.tasks.push(TaskEntry::new::<T::Properties, T::Outputs>(T::DEFINITION));
        self
    }

    /// Adds a polling trigger type.
    #[must_use]
    pub fn trigger<T: Trigger>(mut self) -> Self {
        self.triggers.push(TaskEntry::new::<T::Properties, T::Outputs>(T::DEFINITION));
        self
    }

    /// Adds a provider of models.
    #[must_use]
    pub fn provider<P: Provider>(mut self) -> Self {
        self.providers.push(TaskEntry::new::<P::Properties, ()>(P::DEFINITION));
        self
    }

    /// The manifest as JSON, task types in order.
    pub fn to_json(mut self) -> String {
        self.tasks.sort_by_key(|task| task.kind);
        self.triggers.sort_by_key(|trigger| trigger.kind);
        self.providers.sort_by_key(|provider| provider.kind);
        serde_json::to_string(&self).expect("a manifest is plain JSON")
    }
}

/// One self-contained schema of an object: forms and documentation need not follow references.
fn schema<T: JsonSchema>(settings: SchemaSettings) -> Schema {
    let settings = settings.with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // The name and comment of the Rust type say nothing that the task's own title does not.
    schema.remove("title");
    schema.remove("description");
    if schema.get("type").and_then(Value::as_str) == Some("null") {
        return schemars::json_schema!({ "type": "object", "properties": {}, "additionalProperties": false });
    }
    schema
}

/// The parts of a doc comment: a first paragraph, the rest, and YAML examples under their headings.
struct Docs {
    title: String,
    description: String,
    examples: Vec<Example>,
}

impl Docs {
    fn read(lines: &[&str]) -> Self {
        let mut docs = Self { title: String::new(), description: String::new(), examples: Vec::new() };
        let mut heading = None;
        let mut lines = lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
        for line in lines.by_ref().skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty()) {
            docs.title = format!("{} {line}", docs.title).trim().to_owned();
        }
        while let Some(line) = lines.next() {
            if line == "```yaml" {
                let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
                let title = heading.take().unwrap_or_else(|| docs.title.clone());
                docs.examples.push(Example { title, yaml: code.join("\n") + "\n" });
            } else if let Some(title) = line.strip_prefix('#') {
                heading = Some(title.trim_start_matches('#').trim().to_owned());
            } else {
                docs.description.push_str(line);
                docs.description.push('\n');
            }
        }
        docs.title = docs.title.trim_end_matches('.').to_owned();
        docs.description = docs.description.trim().to_owned();
        docs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comment_becomes_title_description_and_examples() {
        let docs = Docs::read(&[
            " Says hello",
            " to somebody.",
            "",
            " And more",
            " about it.",
            "",
            " # Greet a guest",
            " ```yaml",
            " type: x",
            "   name: Ada",
            " ```",
            " The end.",
        ]);
        assert_eq!(docs.title, "Says hello to somebody");
        assert_eq!(docs.description, "And more\nabout it.\n\nThe end.");
        assert_eq!(
            docs.examples,
            [Example { title: "Greet a guest".to_owned(), yaml: "type: x\n  name: Ada\n".to_owned() }]
        );
    }

    #[test]
    fn capabilities_are_sets() {
        let capabilities =
            Capabilities::none().kv(&["set", "get", "set"]).http(Hosts::Only(&["b", "a"]), &["POST", "GET"]);
        let json = serde_json::to_string(&capabilities).expect("plain JSON");
        assert_eq!(json, r#"{"http":[{"hosts":["a","b"],"methods":["GET","POST"]}],"kv":["get","set"]}"#);
        let named = Capabilities::none().kv_prefixes(&["a."]).secrets_named(&["B", "A"]).reveal(&["C"]).models(&["*"]);
        let json = serde_json::to_string(&named).expect("plain JSON");
        assert_eq!(json, r#"{"kvPrefixes":["a."],"secrets":["A","B"],"reveal":["C"],"models":["*"]}"#);
        assert_eq!(serde_json::to_string(&Capabilities::none().secrets()).expect("plain JSON"), r#"{"secrets":true}"#);
    }
}
