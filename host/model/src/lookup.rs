//! What parsing asks of whoever knows the installed plugins. Knows no registry and no component.

use std::sync::Arc;

/// Knows task types, trigger types and the schemas of their properties.
pub trait Types {
    /// The type of this name, alias included, at the version that the requirement selects (`None`: the default of the server).
    fn lookup(&self, type_name: &str, requirement: Option<&str>) -> Result<Arc<TypeInfo>, Unknown>;

    /// Whether a plugin of this name is there in any version: tells a plugin that is missing from a type that it does not have.
    fn has_plugin(&self, _plugin: &str) -> bool {
        false
    }
}

/// What a type is.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeInfo {
    /// Its name as the manifest has it; the one asked for may be an alias.
    pub name: String,
    /// The plugin it comes from.
    pub plugin: String,
    pub role: Role,
    /// JSON Schema (2020-12) of its properties. `true` or `{}` takes anything.
    pub properties: serde_json::Value,
    /// Properties the host does not render, besides those whose schema says `"x-sluice-render": "never"`: their texts are not looked
    /// at as expressions.
    pub unrendered: Vec<String>,
}

/// Where a type may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Task,
    Trigger,
    /// What a task names in a property of its own: a provider of models.
    Provider,
    /// It was checked when it was saved, and is read again: wherever it stands is right.
    AsSaved,
}

/// Why a type is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No installed plugin has it. The names most like it, best first.
    Type { nearest: Vec<String> },
    /// A plugin has it, but in no version that fits.
    Version { plugin: String, available: Vec<String> },
    /// The requirement is no version, range, LATEST or OLDEST.
    Requirement { reason: String },
}

/// Nothing is installed: every plugin task is of unknown type.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Types for Nothing {
    fn lookup(&self, _: &str, _: Option<&str>) -> Result<Arc<TypeInfo>, Unknown> {
        Err(Unknown::Type { nearest: Vec::new() })
    }
}
