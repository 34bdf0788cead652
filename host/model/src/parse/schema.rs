//! Properties of plugin types against their JSON Schema: the subset schemars writes.
//!
//! Our own and no library, because a text with an expression fits anywhere, a number may be written as text (it is rendered from text
//! anyway), and messages need path and line. Keywords it does not know are passed over: the plugin has the last word.

use std::collections::HashSet;

use expr::Value;
use serde_json::Value as Json;

use super::Reading;
use crate::lookup::{Role, TypeInfo};
use crate::node::{Fields, Node, unknown_key};
use crate::problem::{Problem, Problems, shown};

/// Steps of one check: schemas come from plugins, and `$ref` with `anyOf` can be made to explode.
const MAX_STEPS: usize = 200_000;
/// Nesting of schemas within one check, `$ref` included.
const MAX_NESTING: usize = 256;

/// How a schema says that a property is not rendered before the run.
const RENDER: &str = "x-sluice-render";
/// How a schema says that a property is a provider: a map whose `type` some plugin has, and whose other entries are of that type.
const PROVIDER: &str = "x-sluice-provider";

/// What every task and trigger has besides its own properties: allowed in defaults.
const COMMON: &[&str] = &[
    "id",
    "type",
    "version",
    "description",
    "retry",
    "timeout",
    "disabled",
    "logLevel",
    "effects",
    "allowFailure",
    "allowWarning",
    "logToFile",
    "runIf",
    "conditions",
    "inputs",
    "labels",
    "stopAfter",
    "allowConcurrent",
];

/// Checks what a task or trigger of a plugin has beyond the common properties.
pub(super) fn check_properties(fields: &Fields<'_>, info: &TypeInfo, reading: &mut Reading<'_>) {
    let mut checker = Checker::new(&info.properties);
    checker.map(&fields.rest(), &info.properties, &HashSet::new(), 0);
    checker.required(&fields.node, &info.properties, 0);
    let Checker { found, unrendered, providers, .. } = checker;
    reading.problems.extend(found);
    reading.unrendered.extend(unrendered);
    providers.iter().for_each(|provider| check_provider(provider, reading));
    for name in &info.unrendered {
        if let Some(node) = fields.node.get(name) {
            reading.unrendered.insert(node.path());
        }
    }
}

/// Checks defaults for a type: nothing is required of them.
pub(super) fn check_defaults(node: &Node<'_>, info: &TypeInfo, problems: &mut Problems) {
    let mut checker = Checker::new(&info.properties);
    let known: HashSet<&str> = COMMON.iter().copied().collect();
    let entries: Vec<_> = node.entries().into_iter().filter(|(key, _)| !known.contains(key.as_ref())).collect();
    checker.map(&entries, &info.properties, &HashSet::new(), 0);
    problems.extend(checker.found);
}

/// Checks a provider against the type it names. The type is written out: what a flow runs on is settled when it is saved.
fn check_provider(node: &Node<'_>, reading: &mut Reading<'_>) {
    let written = node.get("type");
    let Some(type_node) = written.filter(|written| written.value.as_str().is_some() && !written.has_expression())
    else {
        let problem = node.error("flow.provider", "a provider is a map with its `type` written out");
        let hint =
            "write for example `type: io.kestra.plugin.ai.provider.OpenAI`; its other properties may be expressions";
        return reading.problems.push(problem.hint(hint));
    };
    let type_name = type_node.value.as_str().unwrap_or_default();
    let info = match reading.lookup(type_name, None) {
        Ok(info) => info,
        Err(unknown) => {
            let problem = reading.unknown_type(&type_node, "provider", type_name, None, &unknown);
            return reading.problems.push(problem);
        }
    };
    if !matches!(info.role, Role::Provider | Role::AsSaved) {
        let message = format!("`{}` is no provider of models", shown(type_name));
        return reading.problems.push(type_node.error("flow.unknown_type", message));
    }
    let mut checker = Checker::new(&info.properties);
    let entries: Vec<_> = node.entries().into_iter().filter(|(key, _)| key.as_ref() != "type").collect();
    checker.map(&entries, &info.properties, &HashSet::new(), 0);
    checker.required(node, &info.properties, 0);
    reading.problems.extend(checker.found);
    reading.unrendered.extend(checker.unrendered);
}

type Entries<'n> = [(std::sync::Arc<str>, Node<'n>)];

struct Checker<'s, 'n> {
    root: &'s Json,
    steps: usize,
    found: Vec<Problem>,
    /// Paths of what is not rendered.
    unrendered: Vec<String>,
    /// What names a provider.
    providers: Vec<Node<'n>>,
}

impl<'s, 'n> Checker<'s, 'n> {
    fn new(root: &'s Json) -> Self {
        Self { root, steps: 0, found: Vec::new(), unrendered: Vec::new(), providers: Vec::new() }
    }

    /// Follows `$ref`s within the schema.
    fn resolve(&self, mut schema: &'s Json) -> &'s Json {
        for _ in 0..MAX_NESTING {
            let Some(reference) = schema.get("$ref").and_then(Json::as_str) else { return schema };
            let Some(target) = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
                return schema;
            };
            schema = target;
        }
        &Json::Null
    }

    fn spent(&mut self, nesting: usize) -> bool {
        self.steps += 1;
        self.steps > MAX_STEPS || nesting > MAX_NESTING
    }

    /// All properties a schema speaks of, alternatives included; `None` where it allows any.
    fn properties(&self, schema: &'s Json, nesting: usize) -> Option<HashSet<&'s str>> {
        let mut names = HashSet::new();
        if nesting > MAX_NESTING {
            return None;
        }
        let own = schema.get("properties").and_then(Json::as_object);
        names.extend(own.into_iter().flat_map(|own| own.keys()).map(String::as_str));
        if let Some(target) =
            schema.get("$ref").map(|_| self.resolve(schema)).filter(|target| !std::ptr::eq(*target, schema))
        {
            names.extend(self.properties(target, nesting + 1)?);
        }
        let mut parts = false;
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for part in schema.get(keyword).and_then(Json::as_array).into_iter().flatten() {
                parts = true;
                if part.get("type").and_then(Json::as_str) != Some("null") {
                    names.extend(self.properties(part, nesting + 1)?);
                }
            }
        }
        let closed = match schema.get("additionalProperties") {
            Some(Json::Bool(open)) => !open,
            Some(_) => false,
            None => {
                own.is_some_and(|own| !own.is_empty()) || parts || schema.get("$ref").is_some() || !names.is_empty()
            }
        };
        closed.then_some(names)
    }

    fn value(&mut self, node: &Node<'n>, schema: &'s Json, outer: &HashSet<&'s str>, nesting: usize) {
        if schema.get(RENDER).and_then(Json::as_str) == Some("never") {
            self.unrendered.push(node.path());
        }
        if schema.get(PROVIDER).and_then(Json::as_bool) == Some(true) && !node.value.is_null() {
            self.providers.push(node.clone());
            return;
        }
        if self.spent(nesting) || node.has_expression() || node.value.is_null() || node.value.has_secret() {
            return;
        }
        if schema == &Json::Bool(false) {
            self.found.push(node.error("flow.unknown_property", "nothing is allowed here"));
            return;
        }
        if schema.get("$ref").is_some() {
            // Beside a `$ref` schemars writes only descriptions and defaults.
            let target = self.resolve(schema);
            if !std::ptr::eq(target, schema) {
                self.value(node, target, outer, nesting + 1);
            }
            return;
        }
        if !self.has_type(node, schema) {
            return;
        }
        self.choices(node, schema);
        if schema.get("format").and_then(Json::as_str) == Some("duration")
            && let Err(reason) = crate::duration::of_value(node.value)
        {
            self.found.push(node.error("flow.duration", reason).hint(crate::node::DURATION_HINT));
        }
        self.bounds(node, schema);
        for part in schema.get("allOf").and_then(Json::as_array).into_iter().flatten() {
            let outer = self.widen(schema, outer);
            self.value(node, part, &outer, nesting + 1);
        }
        for keyword in ["anyOf", "oneOf"] {
            self.alternatives(node, schema, keyword, outer, nesting);
        }
        match node.value {
            Value::Map(_) => {
                self.map(&node.entries(), schema, outer, nesting);
                self.required(node, schema, nesting);
            }
            Value::List(_) => self.items(node, schema, nesting),
            _ => {}
        }
    }

    /// What a part of a schema need not call unknown, since the schema around it knows it.
    fn widen(&self, schema: &'s Json, outer: &HashSet<&'s str>) -> HashSet<&'s str> {
        outer.union(&self.properties(schema, 0).unwrap_or_default()).copied().collect()
    }

    fn has_type(&mut self, node: &Node<'_>, schema: &'s Json) -> bool {
        let types: Vec<&str> = match schema.get("type") {
            Some(Json::String(name)) => vec![name],
            Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
            _ => return true,
        };
        if types.is_empty() || types.iter().any(|name| fits(node.value, name)) {
            return true;
        }
        let names: Vec<&str> = types.iter().filter(|name| **name != "null").map(|name| word(name)).collect();
        self.found.push(node.wrong_type(&names.join(" or ")));
        false
    }

    fn choices(&mut self, node: &Node<'_>, schema: &'s Json) {
        let allowed: Vec<&Json> = match (schema.get("enum"), schema.get("const")) {
            (Some(Json::Array(values)), _) => values.iter().collect(),
            (_, Some(value)) => vec![value],
            _ => return,
        };
        let text = node.text();
        let same = |allowed: &&Json| match allowed {
            Json::String(allowed) => text.as_deref() == Some(allowed.as_str()),
            other => Value::from_json(other).as_ref() == Some(node.value),
        };
        if !allowed.iter().any(same) {
            let names: Vec<String> =
                allowed.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
            let found = text.map_or_else(|| format!("a {}", node.value.kind()), |text| format!("`{}`", shown(&text)));
            let list: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let hint =
                node.text().and_then(|text| crate::problem::did_you_mean(&text, names.iter().map(String::as_str)));
            self.found.push(node.error("flow.choice", format!("{found} is none of {}", list.join(", "))).hints(hint));
        }
    }

    fn bounds(&mut self, node: &Node<'_>, schema: &'s Json) {
        let limit = |name: &str| schema.get(name).and_then(Json::as_f64);
        if let Some(number) = node.value.as_f64() {
            if let Some(least) = limit("minimum").filter(|least| number < *least) {
                self.found.push(node.error("flow.bounds", format!("must be at least {least}")));
            }
            if let Some(greatest) = limit("maximum").filter(|greatest| number > *greatest) {
                self.found.push(node.error("flow.bounds", format!("must be at most {greatest}")));
            }
        }
        let length = match node.value {
            Value::Text(_) => {
                node.value.as_str().map(|text| (text.chars().count(), "minLength", "maxLength", "characters"))
            }
            Value::List(items) => Some((items.len(), "minItems", "maxItems", "items")),
            _ => None,
        };
        let Some((length, least, most, unit)) = length else { return };
        if let Some(least) = schema.get(least).and_then(Json::as_u64).filter(|least| (length as u64) < *least) {
            self.found.push(node.error("flow.bounds", format!("must have at least {least} {unit}")));
        }
        if let Some(most) = schema.get(most).and_then(Json::as_u64).filter(|most| (length as u64) > *most) {
            self.found.push(node.error("flow.bounds", format!("must have at most {most} {unit}")));
        }
    }

    /// One of the alternatives must fit; where none does, what is wrong with the closest one is told.
    fn alternatives(
        &mut self,
        node: &Node<'n>,
        schema: &'s Json,
        keyword: &str,
        outer: &HashSet<&'s str>,
        nesting: usize,
    ) {
        let Some(alternatives) = schema.get(keyword).and_then(Json::as_array).filter(|list| !list.is_empty()) else {
            return;
        };
        let outer = self.widen_own(schema, outer);
        let alternatives = match self.by_tag(node, alternatives) {
            Ok(alternatives) => alternatives,
            Err(problem) => {
                self.found.push(problem);
                return;
            }
        };
        let mut closest: Option<Vec<Problem>> = None;
        let mut constants = Vec::new();
        for alternative in alternatives {
            if let Some(constant) = self.resolve(alternative).get("const").and_then(Json::as_str) {
                constants.push(constant);
            }
            if alternative.get("type").and_then(Json::as_str) == Some("null") {
                continue;
            }
            let before = std::mem::take(&mut self.found);
            self.value(node, alternative, &outer, nesting + 1);
            let found = std::mem::replace(&mut self.found, before);
            if found.is_empty() {
                return;
            }
            if closest.as_ref().is_none_or(|closest| found.len() < closest.len()) {
                closest = Some(found);
            }
        }
        if let (true, Some(text)) = (constants.len() > 1, node.text()) {
            let message = format!("`{}` is none of {}", shown(&text), crate::problem::quoted_list(&constants));
            self.found.push(node.error("flow.choice", message).hints(crate::problem::did_you_mean(&text, constants)));
            return;
        }
        self.found.extend(closest.into_iter().flatten());
    }

    /// The alternatives that a map's tag allows (`type: BEARER` of a tagged enum): all, where they have none.
    fn by_tag(&self, node: &Node<'_>, alternatives: &'s [Json]) -> Result<Vec<&'s Json>, Problem> {
        if node.value.as_map().is_none() {
            return Ok(alternatives.iter().collect());
        }
        let tagged: Vec<(&Json, Option<(&str, &str)>)> =
            alternatives.iter().map(|alternative| (alternative, tag(self.resolve(alternative)))).collect();
        let Some((name, _)) = tagged.iter().find_map(|(_, tag)| *tag) else { return Ok(alternatives.iter().collect()) };
        let found = node.get(name);
        let Some((found, text)) = found.as_ref().and_then(|found| Some((found, found.text()?))) else {
            return Ok(alternatives.iter().collect());
        };
        let fits = |tag: &Option<(&str, &str)>| tag.is_none_or(|(_, value)| value == text);
        let fitting: Vec<&Json> =
            tagged.iter().filter(|(_, tag)| fits(tag)).map(|(alternative, _)| *alternative).collect();
        if fitting.is_empty() && !found.has_expression() {
            let values: Vec<&str> = tagged.iter().filter_map(|(_, tag)| *tag).map(|(_, value)| value).collect();
            let message = format!("`{}` is none of {}", shown(&text), crate::problem::quoted_list(&values));
            return Err(found.error("flow.choice", message).hints(crate::problem::did_you_mean(&text, values)));
        }
        Ok(fitting)
    }

    /// The properties beside alternatives.
    fn widen_own(&self, schema: &'s Json, outer: &HashSet<&'s str>) -> HashSet<&'s str> {
        let own = schema.get("properties").and_then(Json::as_object);
        outer.iter().copied().chain(own.into_iter().flat_map(|own| own.keys()).map(String::as_str)).collect()
    }

    fn map(&mut self, entries: &Entries<'n>, schema: &'s Json, outer: &HashSet<&'s str>, nesting: usize) {
        if self.spent(nesting) {
            return;
        }
        let schema = self.resolve(schema);
        let own = schema.get("properties").and_then(Json::as_object);
        let known = self.properties(schema, 0);
        for (key, entry) in entries {
            if let Some(schema) = own.and_then(|own| own.get(key.as_ref())) {
                self.value(entry, schema, &HashSet::new(), nesting + 1);
            } else if let Some(schema) = schema.get("additionalProperties").filter(|schema| schema.is_object()) {
                self.value(entry, schema, &HashSet::new(), nesting + 1);
            } else if let Some(known) = &known
                && !known.contains(key.as_ref())
                && !outer.contains(key.as_ref())
            {
                self.found.push(unknown_key(key, entry, known.iter().copied()));
            }
        }
        // The top of a plugin's schema may itself be made of alternatives (a flattened enum).
        if nesting == 0 {
            for part in schema.get("allOf").and_then(Json::as_array).into_iter().flatten() {
                let outer = self.widen(schema, outer);
                self.map(entries, part, &outer, nesting + 1);
            }
        }
    }

    fn required(&mut self, node: &Node<'_>, schema: &'s Json, nesting: usize) {
        if nesting > MAX_NESTING {
            return;
        }
        let schema = self.resolve(schema);
        for name in schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            if node.get(name).is_none_or(|entry| entry.value.is_null()) {
                let path = node.path();
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                self.found.push(node.error("flow.required", format!("`{name}` is required")).path(path));
            }
        }
    }

    fn items(&mut self, node: &Node<'n>, schema: &'s Json, nesting: usize) {
        let first = schema.get("prefixItems").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        for (index, item) in node.items().iter().enumerate() {
            if let Some(schema) = first.get(index).or_else(|| schema.get("items")) {
                self.value(item, schema, &HashSet::new(), nesting + 1);
            }
        }
    }
}

/// The property whose one value tells an alternative from the others.
fn tag(alternative: &Json) -> Option<(&str, &str)> {
    let properties = alternative.get("properties")?.as_object()?;
    properties.iter().find_map(|(name, schema)| {
        let only = schema.get("const").or_else(|| match schema.get("enum")?.as_array()?.as_slice() {
            [only] => Some(only),
            _ => None,
        });
        Some((name.as_str(), only?.as_str()?))
    })
}

/// Whether a value is, or is written as, a value of the type.
fn fits(value: &Value, name: &str) -> bool {
    let text = value.as_str().map(str::trim);
    match name {
        "string" => !matches!(value, Value::Map(_) | Value::List(_)),
        "integer" => match value {
            Value::Int(_) => true,
            Value::Float(number) => number.fract() == 0.0,
            Value::Number(number) => number.as_i64().is_some(),
            _ => text.is_some_and(|text| text.parse::<i64>().is_ok()),
        },
        "number" => value.as_f64().is_some() || text.is_some_and(|text| text.parse::<f64>().is_ok_and(f64::is_finite)),
        "boolean" => value.as_bool().is_some() || matches!(text, Some("true" | "false")),
        // A plugin reads the JSON text of a list or map as one.
        "array" => value.as_list().is_some() || json(text, '[').is_some(),
        "object" => value.as_map().is_some() || json(text, '{').is_some(),
        "null" => value.is_null(),
        _ => true,
    }
}

/// JSON text that begins with the given bracket.
fn json(text: Option<&str>, bracket: char) -> Option<Value> {
    let text = text.filter(|text| text.starts_with(bracket))?;
    Value::parse_json(text).ok()
}

fn word(name: &str) -> &str {
    match name {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a map",
        other => other,
    }
}
