//! Providers of models that the server itself may ask: `kestra.ai` of its configuration, in Kestra's words, made into the properties of the providers'
//! components. Asks nobody; `worker/models.rs` does.

use std::collections::BTreeSet;

use expr::{Map, Value};

/// What Kestra calls a provider: the type of ours, and the property its address is.
const TYPES: [(&str, &str, &str); 10] = [
    ("anthropic", "Anthropic", "baseUrl"),
    ("azure-openai", "AzureOpenAI", "endpoint"),
    ("bedrock", "AmazonBedrock", "baseUrl"),
    ("deepseek", "DeepSeek", "baseUrl"),
    ("gemini", "GoogleGemini", "baseUrl"),
    ("googlevertexai", "GoogleVertexAI", "endpoint"),
    ("mistralai", "MistralAI", "baseUrl"),
    ("ollama", "Ollama", "endpoint"),
    ("openai", "OpenAI", "baseUrl"),
    ("openrouter", "OpenRouter", "baseUrl"),
];
/// What the types of providers begin with.
const PACKAGE: &str = "io.kestra.plugin.ai.provider.";
/// Settings of a chat, and what the message model calls them.
const SAMPLING: [(&str, &str); 6] = [
    ("temperature", "temperature"),
    ("topP", "topP"),
    ("topK", "topK"),
    ("maxOutputTokens", "maxOutputTokens"),
    ("maxTokens", "maxOutputTokens"),
    ("seed", "seed"),
];
/// What Kestra asks Gemini with where nobody says.
const GEMINI: [(&str, &str); 3] =
    [("modelName", "gemini-2.5-flash"), ("temperature", "0.7"), ("maxOutputTokens", "8000")];
/// What is read beside the providers.
const KEYS: [&str; 3] = ["type", "providers", "enabled"];

/// One provider, ready to be asked.
#[derive(Clone)]
pub struct ModelProvider {
    /// Its name among them.
    pub id: String,
    pub display_name: String,
    pub is_default: bool,
    /// As flows name it: `io.kestra.plugin.ai.provider.OpenAI`.
    pub type_name: String,
    /// Its properties; with keys in clear.
    pub(crate) properties: Map,
    /// Settings of each chat, as the message model has them.
    pub(crate) sampling: Map,
}

impl std::fmt::Debug for ModelProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelProvider")
            .field("id", &self.id)
            .field("type_name", &self.type_name)
            .finish_non_exhaustive()
    }
}

impl ModelProvider {
    /// The model's name.
    pub fn model(&self) -> &str {
        self.properties.get("modelName").and_then(Value::as_str).unwrap_or_default()
    }

    /// Sets a property that nobody has set.
    pub fn or_property(&mut self, name: &str, value: &str) {
        if !self.properties.contains_key(name) {
            self.properties.insert(name.into(), Value::from(value.to_owned()));
        }
    }
}

/// Reads `kestra.ai` of a configuration, or says all that is wrong with it. A configuration without it has no providers.
pub fn model_providers(configuration: &Value) -> Result<Vec<ModelProvider>, Vec<String>> {
    let Some(ai) = configuration.get("kestra").and_then(|kestra| kestra.get("ai")).filter(|ai| !ai.is_null()) else {
        return Ok(Vec::new());
    };
    let Some(ai) = ai.as_map() else { return Err(vec!["`kestra.ai` is no map".to_owned()]) };
    let mut problems = Vec::new();
    if ai.get("enabled").and_then(Value::as_bool) == Some(false) {
        return Ok(Vec::new());
    }
    let known: BTreeSet<&str> = TYPES.iter().map(|(name, ..)| *name).chain(KEYS).collect();
    for (key, _) in ai.iter().filter(|(key, _)| !known.contains(key.as_ref())) {
        problems.push(format!("`kestra.ai.{key}` is unknown: there are {}", listed()));
    }
    let mut providers = Vec::new();
    if let Some(name) = ai.get("type") {
        let name = name.as_str().unwrap_or_default();
        let none = Map::new();
        let settings = ai.get(name).and_then(Value::as_map).unwrap_or(&none);
        let place = format!("kestra.ai.{name}");
        providers.extend(
            provider(name, name, settings, &place, &mut problems).map(|one| ModelProvider { is_default: true, ..one }),
        );
    }
    for (at, entry) in ai.get("providers").and_then(Value::as_list).into_iter().flatten().enumerate() {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let place = format!("kestra.ai.providers[{at}]");
        if text("id").is_empty() {
            problems.push(format!("`{place}.id` is missing"));
        }
        let none = Map::new();
        let settings = entry.get("configuration").and_then(Value::as_map).unwrap_or(&none);
        let read = provider(text("id"), text("type"), settings, &format!("{place}.configuration"), &mut problems);
        let shown = if text("displayName").is_empty() { text("id") } else { text("displayName") };
        providers.extend(read.map(|one| ModelProvider {
            display_name: shown.to_owned(),
            is_default: entry.get("isDefault").and_then(Value::as_bool) == Some(true),
            ..one
        }));
    }
    let mut ids = BTreeSet::new();
    for one in &providers {
        if !ids.insert(&one.id) {
            problems.push(format!("`kestra.ai` has two providers with the id `{}`", one.id));
        }
    }
    if providers.iter().filter(|one| one.is_default).count() > 1 {
        problems.push("`kestra.ai` has more than one default provider".to_owned());
    }
    if problems.is_empty() { Ok(providers) } else { Err(problems) }
}

fn listed() -> String {
    let names: Vec<String> = TYPES.iter().map(|(name, ..)| format!("`{name}`")).collect();
    names.join(", ")
}

fn provider(id: &str, name: &str, settings: &Map, place: &str, problems: &mut Vec<String>) -> Option<ModelProvider> {
    let Some((_, class, address)) = TYPES.iter().find(|(known, ..)| *known == name) else {
        problems.push(format!("`{name}` is no type of a provider: there are {}", listed()));
        return None;
    };
    let (mut properties, mut sampling) = (Map::new(), Map::new());
    let mut put = |key: &str, value: Value| match SAMPLING.iter().find(|(written, _)| *written == key) {
        Some((_, told)) => drop(sampling.insert((*told).into(), number(value))),
        None => drop(properties.insert(key.into(), value)),
    };
    if name == "gemini" {
        GEMINI.iter().for_each(|(key, value)| put(key, Value::from((*value).to_owned())));
    }
    for (key, value) in settings.iter().filter(|(_, value)| !value.is_null()) {
        let key = match camel(key).as_str() {
            "baseUrl" | "baseURL" | "endpoint" => (*address).to_owned(),
            // Kestra's older word for it.
            "model" => "modelName".to_owned(),
            other => other.to_owned(),
        };
        match value {
            Value::Map(_) | Value::List(_) => problems.push(format!("`{place}.{key}` is no text or number")),
            value => put(&key, value.clone()),
        }
    }
    if properties.get("modelName").and_then(Value::as_str).is_none_or(str::is_empty) {
        problems.push(format!("`{place}.model-name` is missing"));
    }
    let type_name = format!("{PACKAGE}{class}");
    let (id, display_name) = (id.to_owned(), id.to_owned());
    Some(ModelProvider { id, display_name, is_default: false, type_name, properties, sampling })
}

/// A number, where a text is one.
fn number(value: Value) -> Value {
    match value.as_str().map(str::trim) {
        Some(text) => Value::parse_json(text).unwrap_or(value),
        None => value,
    }
}

/// `model-name` as `modelName`.
fn camel(key: &str) -> String {
    let mut words = key.split(['-', '_']);
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<ModelProvider>, Vec<String>> {
        model_providers(&model::read_yaml(text).expect("YAML"))
    }

    #[test]
    fn settings_in_any_spelling_become_properties() {
        let text = "kestra: {ai: {type: ollama, ollama: {model-name: llama3, base-url: 'http://localhost:11434', topP: 0.5, max-output-tokens: '9', logRequests: true}}}";
        let [one] = &read(text).expect("a configuration")[..] else { panic!("one provider") };
        assert_eq!(
            (one.id.as_str(), one.type_name.as_str(), one.is_default),
            ("ollama", "io.kestra.plugin.ai.provider.Ollama", true)
        );
        assert_eq!(
            Value::from(one.properties.clone()).to_json(),
            serde_json::json!({ "modelName": "llama3", "endpoint": "http://localhost:11434", "logRequests": true })
        );
        assert_eq!(
            Value::from(one.sampling.clone()).to_json(),
            serde_json::json!({ "topP": 0.5, "maxOutputTokens": 9 })
        );
    }

    #[test]
    fn several_providers_have_ids_and_gemini_its_defaults() {
        let text = "kestra: {ai: {providers: [{id: a, type: gemini, displayName: A, isDefault: true, configuration: {apiKey: k, baseURL: 'https://x'}}, {id: b, type: openai, configuration: {apiKey: k, modelName: m}}]}}";
        let providers = read(text).expect("a configuration");
        let shown: Vec<_> =
            providers.iter().map(|one| (one.display_name.as_str(), one.model(), one.is_default)).collect();
        assert_eq!(shown, [("A", "gemini-2.5-flash", true), ("b", "m", false)]);
        assert_eq!(
            Value::from(providers[0].sampling.clone()).to_json(),
            serde_json::json!({ "temperature": 0.7, "maxOutputTokens": 8000 })
        );
        assert_eq!(providers[0].properties.get("baseUrl").and_then(Value::as_str), Some("https://x"));
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let text = "kestra: {ai: {type: openia, opena: {}, providers: [{type: openai}, {id: x, type: ollama, configuration: {modelName: m}}, {id: x, type: ollama, configuration: {modelName: [m]}}]}}";
        let problems = read(text).expect_err("it is wrong");
        for expected in [
            "`kestra.ai.opena` is unknown",
            "`openia` is no type",
            "`kestra.ai.providers[0].id` is missing",
            "providers[0].configuration.model-name` is missing",
            "configuration.modelName` is no text",
            "two providers with the id `x`",
        ] {
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
        }
        assert!(read("kestra: {ai: {enabled: false, type: openai}}").is_ok_and(|none| none.is_empty()));
        assert!(read("kestra: {}").is_ok_and(|none| none.is_empty()));
        assert!(read("micronaut: {server: {port: 1}}").is_ok_and(|none| none.is_empty()));
    }
}
