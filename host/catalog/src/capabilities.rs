//! What a plugin asks for, as its manifest says it, and the single things asked, so that two versions and a policy can be compared with them.
//! Nothing in here is granted by being asked for.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Stands for every name, host or method.
pub const ANY: &str = "*";

/// What a plugin asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capabilities {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpAccess>,
    /// Operations on the key-value store: `get`, `set`, `delete`, `keys`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kv: Vec<String>,
    /// What the keys begin with that these operations are for. Empty: any key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kv_prefixes: Vec<String>,
    /// Programs by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub process: Vec<String>,
    /// Documents of the engine: `flow`, `execution`, `log`, `namespace`, `app`, `test`, `dashboard`, `blueprint` to read; `KIND:save` and
    /// `KIND:delete` to change them (of `execution` and `log`, `delete` alone); `file` to read and change the files of namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// Secrets by name, never in the clear. Written `true` for any.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    pub secrets: Vec<String>,
    /// Secrets by name, in the clear.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    pub reveal: Vec<String>,
    /// Model providers by type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Files of the internal storage, and a working directory.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub files: bool,
    /// More memory than the usual limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// More time for one attempt than the usual limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// What a newer host may know. This one cannot grant it.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// HTTP requests a plugin wants to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpAccess {
    pub hosts: HttpHosts,
    /// Empty: any method.
    #[serde(default)]
    pub methods: Vec<String>,
}

/// Which hosts a plugin wants to reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HttpHosts {
    /// Those that the flow names in the task's properties; written `"flow"`.
    NamedByFlow(FlowWord),
    /// These and no others.
    Only(Vec<String>),
}

/// The word `flow`, in place of a list of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowWord {
    Flow,
}

/// `true` for any name, or a list of names.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        All(bool),
        Some(Vec<String>),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::All(true) => vec![ANY.to_owned()],
        Names::All(false) => Vec::new(),
        Names::Some(names) => names,
    })
}

/// One thing that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Requests to hosts that the flow names. `method`: [`ANY`] or one.
    HttpNamedByFlow {
        method: String,
    },
    /// Requests to a host: a name, `*.example.com`, an address, or [`ANY`].
    Http {
        host: String,
        method: String,
    },
    /// An operation on values whose key begins so; empty: any key.
    Kv {
        operation: String,
        prefix: String,
    },
    Process(String),
    Object(String),
    Secret(String),
    Reveal(String),
    Model(String),
    Files,
    MemoryBytes(u64),
    TimeMs(u64),
    /// What this host does not know.
    Other(String),
}

impl Capability {
    /// Whether who may do this may do `other` as well.
    pub fn covers(&self, other: &Self) -> bool {
        let named = |have: &String, want: &String| have == ANY || have == want;
        match (self, other) {
            (Self::HttpNamedByFlow { method: have }, Self::HttpNamedByFlow { method: want }) => named(have, want),
            // Any host at all is more than those that a flow names.
            (Self::Http { host, method: have }, Self::HttpNamedByFlow { method: want }) => {
                host == ANY && named(have, want)
            }
            (Self::Http { host: have_host, method: have }, Self::Http { host: want_host, method: want }) => {
                named(have, want) && (named(have_host, want_host) || is_below(want_host, have_host))
            }
            (Self::Kv { operation: have, prefix: begin }, Self::Kv { operation: want, prefix }) => {
                have == want && prefix.starts_with(begin)
            }
            (Self::Process(have), Self::Process(want))
            | (Self::Object(have), Self::Object(want))
            | (Self::Secret(have), Self::Secret(want))
            | (Self::Reveal(have), Self::Reveal(want))
            | (Self::Model(have), Self::Model(want)) => named(have, want),
            (Self::MemoryBytes(have), Self::MemoryBytes(want)) | (Self::TimeMs(have), Self::TimeMs(want)) => {
                have >= want
            }
            _ => self == other,
        }
    }
}

/// Whether a host, or all that `*.` stands for in it, is below the `*.` of a pattern.
fn is_below(host: &str, pattern: &str) -> bool {
    let Some(parent) = pattern.strip_prefix("*.") else { return false };
    host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = |method: &String| match method.as_str() {
            ANY => "requests".to_owned(),
            method => format!("{method} requests"),
        };
        let named = |name: &String, one: &str, all: &str| match name.as_str() {
            ANY => all.to_owned(),
            name => format!("{one} `{name}`"),
        };
        match self {
            Self::HttpNamedByFlow { method } => write!(f, "{} to the hosts that a flow names", requests(method)),
            Self::Http { host, method } if host == ANY => write!(f, "{} to any host", requests(method)),
            Self::Http { host, method } => write!(f, "{} to `{host}`", requests(method)),
            Self::Kv { operation, prefix } if prefix.is_empty() => write!(f, "`{operation}` on the key-value store"),
            Self::Kv { operation, prefix } => write!(f, "`{operation}` on values whose key begins with `{prefix}`"),
            Self::Process(name) => f.write_str(&named(name, "program", "any program")),
            Self::Object(kind) => write!(f, "documents of kind `{kind}`"),
            Self::Secret(name) => write!(f, "{}, without its value", named(name, "secret", "any secret")),
            Self::Reveal(name) => write!(f, "{}, in the clear", named(name, "secret", "any secret")),
            Self::Model(name) => f.write_str(&named(name, "model provider", "any model provider")),
            Self::Files => f.write_str("files of the internal storage"),
            Self::MemoryBytes(bytes) => write!(f, "{} MiB of memory", bytes.div_ceil(1 << 20)),
            Self::TimeMs(ms) => write!(f, "{} s for one attempt", ms.div_ceil(1_000)),
            Self::Other(name) => write!(f, "`{name}`, which this version of Sluice does not know"),
        }
    }
}

impl Capabilities {
    /// Every single thing asked for, in order.
    pub fn each(&self) -> Vec<Capability> {
        let mut asks = Vec::new();
        for access in &self.http {
            let any = [ANY.to_owned()];
            let methods = if access.methods.is_empty() { &any[..] } else { &access.methods };
            for method in methods.iter().cloned() {
                match &access.hosts {
                    HttpHosts::NamedByFlow(_) => asks.push(Capability::HttpNamedByFlow { method }),
                    HttpHosts::Only(hosts) => {
                        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase());
                        asks.extend(hosts.map(|host| Capability::Http { host, method: method.clone() }));
                    }
                }
            }
        }
        let everything = [String::new()];
        let prefixes = if self.kv_prefixes.is_empty() { &everything[..] } else { &self.kv_prefixes };
        for operation in &self.kv {
            asks.extend(
                prefixes.iter().map(|prefix| Capability::Kv { operation: operation.clone(), prefix: prefix.clone() }),
            );
        }
        asks.extend(self.process.iter().cloned().map(Capability::Process));
        asks.extend(self.objects.iter().cloned().map(Capability::Object));
        asks.extend(self.secrets.iter().cloned().map(Capability::Secret));
        asks.extend(self.reveal.iter().cloned().map(Capability::Reveal));
        asks.extend(self.models.iter().cloned().map(Capability::Model));
        asks.extend(self.files.then_some(Capability::Files));
        asks.extend(self.memory_bytes.map(Capability::MemoryBytes));
        asks.extend(self.time_ms.map(Capability::TimeMs));
        asks.extend(self.other.keys().cloned().map(Capability::Other));
        asks.sort();
        asks.dedup();
        asks
    }

    /// What is asked for here and not by any of `others`.
    pub fn beyond<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Vec<Capability> {
        let known: Vec<Capability> = others.into_iter().flat_map(Self::each).collect();
        self.each().into_iter().filter(|ask| !known.iter().any(|known| known.covers(ask))).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Capabilities {
        serde_json::from_value(value).unwrap()
    }

    fn beyond(new: Value, old: Value, expected: &[&str]) {
        let more: Vec<String> = read(new).beyond([&read(old)]).iter().map(Capability::to_string).collect();
        assert_eq!(more, expected);
    }

    #[test]
    fn names_are_written_in_two_ways() {
        assert_eq!(read(json!({ "secrets": true })).secrets, ["*"]);
        assert!(read(json!({ "secrets": false })).secrets.is_empty());
        assert_eq!(read(json!({ "secrets": ["A"], "reveal": ["B"] })).reveal, ["B"]);
        assert!(serde_json::from_value::<Capabilities>(json!({ "secrets": 1 })).is_err());
    }

    #[test]
    fn what_a_version_asks_beyond_another_is_listed() {
        let all = json!({
            "http": [{ "hosts": "flow", "methods": ["GET"] }, { "hosts": ["*.Example.com", "a.test"] }], "kv": ["get", "set"],
            "kvPrefixes": ["team."], "process": ["git"], "objects": ["flow"], "secrets": ["A"], "reveal": ["A"], "models": ["x.Y"],
            "files": true, "memoryBytes": 1 << 20, "timeMs": 1500, "teleport": true,
        });
        beyond(all.clone(), all.clone(), &[]);
        beyond(
            all,
            json!({}),
            &[
                "GET requests to the hosts that a flow names",
                "requests to `*.example.com`",
                "requests to `a.test`",
                "`get` on values whose key begins with `team.`",
                "`set` on values whose key begins with `team.`",
                "program `git`",
                "documents of kind `flow`",
                "secret `A`, without its value",
                "secret `A`, in the clear",
                "model provider `x.Y`",
                "files of the internal storage",
                "1 MiB of memory",
                "2 s for one attempt",
                "`teleport`, which this version of Sluice does not know",
            ],
        );
    }

    #[test]
    fn wider_asks_cover_narrower_ones() {
        let flow = json!({ "http": [{ "hosts": "flow" }] });
        beyond(json!({ "http": [{ "hosts": "flow", "methods": ["GET"] }] }), flow.clone(), &[]);
        beyond(
            flow.clone(),
            json!({ "http": [{ "hosts": "flow", "methods": ["GET"] }] }),
            &["requests to the hosts that a flow names"],
        );
        beyond(flow.clone(), json!({ "http": [{ "hosts": ["*"] }] }), &[]);
        beyond(json!({ "http": [{ "hosts": ["a.b"] }] }), flow, &["requests to `a.b`"]);
        let below = json!({ "http": [{ "hosts": ["*.b.c"] }] });
        beyond(json!({ "http": [{ "hosts": ["a.b.c", "*.a.b.c", "*.b.c"] }] }), below.clone(), &[]);
        beyond(
            json!({ "http": [{ "hosts": ["b.c", "ab.c", "*.c"] }] }),
            below,
            &["requests to `*.c`", "requests to `ab.c`", "requests to `b.c`"],
        );
        beyond(json!({ "kv": ["get"], "kvPrefixes": ["a.b"] }), json!({ "kv": ["get"], "kvPrefixes": ["a."] }), &[]);
        beyond(
            json!({ "kv": ["get"] }),
            json!({ "kv": ["get"], "kvPrefixes": ["a."] }),
            &["`get` on the key-value store"],
        );
        beyond(json!({ "secrets": ["A"] }), json!({ "secrets": true }), &[]);
        beyond(json!({ "secrets": true }), json!({ "secrets": ["A"] }), &["any secret, without its value"]);
        beyond(json!({ "memoryBytes": 5 }), json!({ "memoryBytes": 5 }), &[]);
        beyond(
            json!({ "memoryBytes": 6, "timeMs": 4 }),
            json!({ "memoryBytes": 5, "timeMs": 5 }),
            &["1 MiB of memory"],
        );
    }
}
