//! Which namespaces a run may look into: its flow's own with those above and below it, and those that the flow names in the task's
//! properties. To name one is to grant it, as with hosts.

use std::collections::BTreeSet;

use expr::Value;
use model::ids::Namespace;

/// Properties that name namespaces.
const NAMES: &[&str] = &["namespace", "namespaces", "namespacePattern", "sourceNamespace", "targetNamespace"];
/// What the URIs of namespace files begin with that name their namespace.
const FILES: &str = "nsfile://";
/// Most namespaces taken from one task's properties.
const NAMED_MAX: usize = 256;

/// The namespaces of one run.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    own: Namespace,
    named: BTreeSet<String>,
}

impl Reach {
    /// Of a run of a flow in `own` with these rendered properties.
    pub fn of(own: &Namespace, properties: &Value) -> Self {
        let mut named = BTreeSet::new();
        collect(properties, false, &mut named);
        Self { own: own.clone(), named: named.into_iter().take(NAMED_MAX).collect() }
    }

    /// The flow's own.
    pub fn own(&self) -> &Namespace {
        &self.own
    }

    /// Whether a namespace may be read and written.
    pub fn allows(&self, namespace: &str) -> bool {
        below(namespace, self.own.as_str())
            || self.named.iter().any(|named| below(namespace, named) || matches(named, namespace))
    }

    /// Whether a namespace may be read: those above the flow's own as well.
    pub fn may_read(&self, namespace: &str) -> bool {
        self.allows(namespace) || below(self.own.as_str(), namespace)
    }
}

/// Whether a namespace is another one or below it.
pub(crate) fn below(namespace: &str, above: &str) -> bool {
    namespace.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a text fits a pattern in which `*` stands for any text and `?` for one character. Takes time in the product of their lengths.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where to go on if what follows the last `*` does not fit: the star takes one more character.
    let mut again: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), text.get(from)) {
            (Some('*'), _) => {
                again = Some((at + 1, from));
                at += 1;
            }
            (Some(wanted), Some(found)) if *wanted == '?' || wanted == found => {
                at += 1;
                from += 1;
            }
            (None, None) => return true,
            _ => match again {
                Some((after, taken)) if taken < text.len() => {
                    again = Some((after, taken + 1));
                    at = after;
                    from = taken + 1;
                }
                _ => return false,
            },
        }
    }
}

fn collect(value: &Value, names: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::Text(_) => {
            let text = value.as_str().unwrap_or_default();
            if names && !text.is_empty() {
                found.insert(text.to_owned());
            }
            if let Some(named) =
                text.strip_prefix(FILES).and_then(|rest| rest.split('/').next()).filter(|s| !s.is_empty())
            {
                found.insert(named.to_owned());
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect(item, names, found)),
        Value::Map(entries) => {
            entries.iter().for_each(|(name, item)| collect(item, NAMES.contains(&&**name), found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_name_a_namespace_is_to_grant_it() {
        let properties = Value::map([
            ("namespace", Value::from("shared")),
            ("key", Value::from("secrets")),
            ("flows", Value::list([Value::map([("namespace", Value::from("ops.night"))])])),
            ("namespaces", Value::list([Value::from("x"), Value::from("y.z")])),
            ("namespacePattern", Value::from("team-*")),
            ("from", Value::from("nsfile://data/a/b.txt")),
            ("sourceNamespace", Value::from("git.from")),
            ("targetNamespace", Value::from("git.to")),
            // To keep a namespace from something is not to grant it.
            ("protectedNamespaces", Value::list([Value::from("kept")])),
        ]);
        let reach = Reach::of(&Namespace::trusted("a.b"), &properties);
        for allowed in [
            "a.b",
            "a.b.c",
            "shared",
            "shared.one",
            "ops.night",
            "x",
            "y.z",
            "team-1",
            "team-1.x",
            "data",
            "git.from",
            "git.to",
        ] {
            assert!(reach.allows(allowed), "{allowed}");
        }
        for refused in ["a", "a.bc", "sharedx", "secrets", "ops", "y", "team", "b", "git", "kept", "kept.a"] {
            assert!(!reach.allows(refused), "{refused}");
        }
        assert!(reach.may_read("a") && !reach.may_read("b"));
        assert!(!Reach::of(&Namespace::trusted("a"), &Value::Null).allows("b"));
    }

    #[test]
    fn patterns_match_whole_texts() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        };
        check("a*c", "abc", true);
        check("a*c", "ac", true);
        check("a*c", "acb", false);
        check("*b*", "abc", true);
        check("**", "", true);
        check("?", "", false);
        check("a?c", "abc", true);
        check("AI_*", "AI_x", true);
        check("AI_*", "ai_x", false);
        check(&"a*".repeat(50), &"a".repeat(2_000), true);
        check(&format!("{}b", "a*".repeat(50)), &"a".repeat(2_000), false);
    }
}
