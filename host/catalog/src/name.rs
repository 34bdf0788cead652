//! Names of plugins and task types, and which of them are kept for first-party plugins.

use std::fmt;
use std::sync::Arc;

/// Longest plugin name: it is a folder's name.
const NAME_MAX: usize = 64;
/// Longest task type. The longest in Kestra's corpus has 92 characters.
const TASK_TYPE_MAX: usize = 200;

/// Task types with these prefixes belong to first-party plugins.
const RESERVED_PREFIXES: &[&str] = &["io.kestra.", "sluice."];

/// The plugins of this project. A name in this table may own reserved task types; the table says who may publish under the name
/// once registries are signed. A new first-party plugin adds its line here.
const FIRST_PARTY: &[&str] = &[
    "ai",
    "anthropic",
    "azure-openai",
    "bedrock",
    "core",
    "deepseek",
    "discord",
    "gemini",
    "git",
    "google-calendar",
    "http",
    "kv",
    "mistral",
    "ollama",
    "openai",
    "openrouter",
    "records",
    "slack",
    "storage",
    "vertexai",
];

/// The plugin inside Sluice itself, which carries out flow control; no component may bear its name.
pub(crate) const BUILT_IN: &str = "engine";

/// A plugin's name: `[a-z0-9][a-z0-9-]*`, at most 64 characters. It is safe as a folder's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginName(Arc<str>);

impl PluginName {
    /// Reads a name; `None` where it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let first = text.bytes().next()?;
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let well_formed = first != b'-' && text.len() <= NAME_MAX && text.bytes().all(allowed);
        well_formed.then(|| Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a plugin of this project.
    pub fn is_first_party(&self) -> bool {
        FIRST_PARTY.contains(&self.as_str())
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::borrow::Borrow<str> for PluginName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Whether only a first-party plugin may own this task type.
pub(crate) fn is_reserved(task_type: &str) -> bool {
    RESERVED_PREFIXES.iter().any(|prefix| task_type.starts_with(prefix))
}

/// Why a text cannot be a task type, or nothing. A task type is a reversed domain and a path: `com.example.mail.Send`.
pub(crate) fn task_type_problem(text: &str) -> Option<String> {
    if text.len() > TASK_TYPE_MAX {
        return Some(format!("has {} characters, at most {TASK_TYPE_MAX} are allowed", text.len()));
    }
    let segments: Vec<&str> = text.split('.').collect();
    let well_formed = |segment: &&str| {
        segment.starts_with(|first: char| first.is_ascii_alphabetic())
            && segment.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
    };
    if !segments.iter().all(well_formed) {
        return Some(
            "may hold letters, digits, `_` and `-`, in segments that begin with a letter and are joined by `.`"
                .to_owned(),
        );
    }
    (segments.len() < 3 && !text.starts_with("sluice."))
        .then(|| "is not under a reversed domain, as `com.example.mail.Send` is".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_names_are_safe_folder_names() {
        for name in ["a", "0", "http", "azure-openai", "x9-", &"a".repeat(64)] {
            assert!(PluginName::parse(name).is_some(), "{name}");
        }
        for name in ["", "-a", "A", "a_b", "a.b", "..", "a/b", "a\\b", "a b", "é", &"a".repeat(65)] {
            assert!(PluginName::parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn task_types_are_reversed_domains() {
        for text in ["com.example.Send", "io.kestra.plugin.core.log.Log", "sluice.Echo", "org.a-b.c_d.E1"] {
            assert_eq!(task_type_problem(text), None, "{text}");
        }
        for text in [
            "",
            "Log",
            "log.Log",
            "com..Send",
            ".com.example",
            "com.example.",
            "com.example.Send Mail",
            "com.1.x",
            "com.ex/mp.X",
        ] {
            assert!(task_type_problem(text).is_some(), "{text}");
        }
        assert!(task_type_problem(&format!("com.example.{}", "x".repeat(200))).is_some());
    }

    #[test]
    fn only_prefixes_with_their_dot_are_reserved() {
        assert!(is_reserved("io.kestra.plugin.x.Y") && is_reserved("sluice.Echo"));
        assert!(!is_reserved("io.kestrel.X") && !is_reserved("sluicegate.com.X"));
    }
}
