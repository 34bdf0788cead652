//! `pluginDefaults:` (old: `taskDefaults:`): read, checked, and merged into every typed map of the flow before anything else looks at it.
//!
//! As in Kestra: a default applies to every type that begins with its `type`; of several, the first in the list wins, of forced ones the
//! last; forced ones come after all others and win over what the task says.

use std::sync::Arc;

use expr::{Map, Value};

use super::builtin;
use crate::flow::PluginDefault;
use crate::lookup::Types;
use crate::node::{Fields, Node};
use crate::problem::Problems;

pub(super) const PRESENT: &str = "pluginDefaults";
pub(super) const FORMER: &str = "taskDefaults";

/// The flow's defaults, in order.
pub(super) fn read(root: &Node<'_>, types: &dyn Types, problems: &mut Problems) -> Vec<PluginDefault> {
    let mut fields = Fields::open(root.clone(), problems).into_iter().collect::<Vec<_>>();
    let Some(fields) = fields.first_mut() else { return Vec::new() };
    let Some(node) = fields.get_renamed(PRESENT, FORMER, problems) else { return Vec::new() };
    if node.value.as_list().is_none() {
        problems.push(node.wrong_type("a list"));
    }
    node.items().into_iter().filter_map(|item| default(item, types, problems)).collect()
}

fn default(node: Node<'_>, types: &dyn Types, problems: &mut Problems) -> Option<PluginDefault> {
    let mut fields = Fields::open(node, problems)?;
    let type_prefix = fields.require_text("type", problems);
    let forced = fields.boolean("forced", false, problems);
    let version = fields.text("version", problems);
    let values_node = fields.require("values", problems);
    let mut values = fields.map("values", problems);
    fields.finish(problems);
    if let Some(version) = version {
        values.entry("version".into()).or_insert_with(|| version.into());
    }
    let type_prefix = type_prefix?;
    let values_node = values_node?;
    refuse_nulls(&values_node, problems);
    // A name that is no type is a prefix: what it may hold depends on the types it meets. A version that nobody has is told with the tasks.
    let asked = values.get("version").and_then(Value::as_str);
    let lookup = || types.lookup(&type_prefix, asked).or_else(|_| types.lookup(&type_prefix, None));
    if builtin::task(&type_prefix).is_none()
        && let Ok(info) = lookup()
    {
        super::schema::check_defaults(&values_node, &info, problems);
    }
    Some(PluginDefault { type_prefix, forced, values })
}

fn refuse_nulls(node: &Node<'_>, problems: &mut Problems) {
    for (key, entry) in node.entries() {
        if entry.value.is_null() {
            let message = format!("the default for `{key}` is null");
            problems.push(entry.error("flow.null_default", message).hint("remove it, or give it a value"));
        }
    }
}

/// The flow with its defaults written into it.
pub(super) fn merge(flow: &Value, defaults: &[PluginDefault]) -> Value {
    let Some(map) = flow.as_map().filter(|_| !defaults.is_empty()) else { return flow.clone() };
    let entries = map.iter().map(|(key, value)| match key.as_ref() {
        PRESENT | FORMER => (key.clone(), value.clone()),
        _ => (key.clone(), merge_within(value, defaults)),
    });
    Value::from(entries.collect::<Map>())
}

fn merge_within(value: &Value, defaults: &[PluginDefault]) -> Value {
    match value {
        Value::List(items) => Value::List(Arc::new(items.iter().map(|item| merge_within(item, defaults)).collect())),
        Value::Map(map) => {
            let merged = match map.get("type").and_then(Value::as_str) {
                Some(type_name) => with_defaults(map, type_name, defaults),
                None => map.as_ref().clone(),
            };
            let entries = merged.iter().map(|(key, value)| (key.clone(), merge_within(value, defaults)));
            Value::from(entries.collect::<Map>())
        }
        other => other.clone(),
    }
}

fn with_defaults(map: &Map, type_name: &str, defaults: &[PluginDefault]) -> Map {
    let name = builtin::canonical(type_name);
    let fits = |default: &&PluginDefault| {
        type_name.starts_with(&default.type_prefix) || name.starts_with(&builtin::canonical(&default.type_prefix))
    };
    let mut merged = map.clone();
    for default in defaults.iter().filter(|default| !default.forced).filter(fits) {
        merged = merge_maps(&default.values, &merged);
    }
    for default in defaults.iter().filter(|default| default.forced).filter(fits) {
        merged = merge_maps(&merged, &default.values);
    }
    merged
}

/// `over` on top of `under`: maps are merged, lists joined without repeating, anything else replaced. Keys of `over` come first, so
/// that the source keeps its order.
fn merge_maps(under: &Map, over: &Map) -> Map {
    let mut merged = Map::with_capacity(under.len() + over.len());
    for (key, value) in over {
        let value = match (under.get(key), value) {
            (Some(Value::Map(under)), Value::Map(over)) => merge_maps(under, over).into(),
            (Some(Value::List(under)), Value::List(over)) => {
                let added = over.iter().filter(|item| !under.contains(item));
                Value::list(under.iter().chain(added).cloned())
            }
            (_, value) => value.clone(),
        };
        merged.insert(key.clone(), value);
    }
    for (key, value) in under {
        merged.entry(key.clone()).or_insert_with(|| value.clone());
    }
    merged
}
