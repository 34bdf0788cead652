//! What a flow needs and may not have, found when it is saved: what its plugins ask for, the hosts its properties name, the secrets they use.
//! What only a run can tell is asked again there.

use std::collections::BTreeSet;

use catalog::{ANY, Capabilities, Capability, Catalog, PropertyPath};
use expr::Value;
use model::Severity;
use model::flow::Flow;
use model::lock::{Lock, Locked};
use model::policy::Network;
use model::problem::Problem;
use model::task::TaskKind;
use model::trigger::TriggerKind;
use runtime::{Limits, NetworkRule};

use super::allowed::has;
use super::hosts::{check_hosts, is_special, rule_of};
use super::{Allowed, Policies, of_flow};
use crate::plugins::providers_in;

/// What is asked.
pub(crate) struct Asking<'a> {
    pub flow: &'a Flow,
    pub lock: &'a Lock,
    pub catalog: &'a Catalog,
    pub policies: &'a Policies,
    /// What every run may use at most without asking.
    pub usual: &'a Limits,
}

/// One thing that is needed and not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The first task or trigger that needs it.
    pub needed_by: String,
    pub line: u32,
    pub plugin: String,
    /// In words.
    pub what: String,
    /// What to write, and where.
    pub remedy: String,
    /// The host that would have to be opened, where it is one.
    pub host: Option<String>,
}

impl Refusal {
    /// As a problem of the flow.
    pub(crate) fn problem(&self) -> Problem {
        Problem {
            path: self.needed_by.clone(),
            line: self.line,
            column: 0,
            code: "grant.missing",
            message: format!("plugin {} needs {}, which is not granted", self.plugin, self.what),
            hint: Some(self.remedy.clone()),
            severity: Severity::Error,
        }
    }
}

/// A task or trigger of a plugin.
pub(super) struct Use<'a> {
    pub name: String,
    pub line: u32,
    pub locked: &'a Locked,
    pub properties: Value,
}

/// Every task and trigger that runs on a plugin, and every provider that a task names, in the order of the source.
pub(super) fn uses<'a>(flow: &Flow, lock: &'a Lock) -> Vec<Use<'a>> {
    let tasks = lock.tasks.iter().filter_map(|(id, locked)| {
        let task = flow.task(id)?;
        let TaskKind::Plugin(properties) = &task.kind else { return None };
        Some(Use { name: format!("task `{id}`"), line: task.line, locked, properties: Value::Map(properties.clone()) })
    });
    let providers = flow.all.values().flat_map(|task| {
        let TaskKind::Plugin(properties) = &task.kind else { return Vec::new() };
        let named = providers_in(properties, |name| lock.providers.contains_key(name)).into_iter();
        let used = named.filter_map(|named| {
            let locked = lock.providers.get(&named.type_name)?;
            let (first, rest) = named.path.split_first()?;
            let properties = properties.get(first.as_str())?.get_path(rest.iter().map(String::as_str))?.clone();
            Some(Use { name: format!("task `{}`", task.id), line: task.line, locked, properties })
        });
        used.collect()
    });
    let triggers = flow.triggers.iter().filter_map(|trigger| {
        let TriggerKind::Polling(polling) = &trigger.kind else { return None };
        let locked = lock.triggers.get(&trigger.id)?;
        let properties = Value::from(polling.properties.clone());
        Some(Use { name: format!("trigger `{}`", trigger.id), line: trigger.line, locked, properties })
    });
    let mut uses: Vec<Use<'a>> = tasks.chain(providers).chain(triggers).collect();
    uses.sort_by_key(|one| one.line);
    uses
}

/// Properties without those that the plugin does nothing with.
fn used(properties: Value, unused: &[PropertyPath]) -> Value {
    let Value::Map(entries) = properties else { return properties };
    let is_unused = |name: &str| unused.iter().any(|path| path.covers(&[name]));
    let left = entries.iter().filter(|(name, _)| !is_unused(name)).map(|(name, value)| (name.clone(), value.clone()));
    Value::from(left.collect::<expr::Map>())
}

/// Everything that is needed and not granted, each thing once.
pub(crate) fn refusals(asking: &Asking<'_>) -> Vec<Refusal> {
    let namespace = asking.flow.key.namespace.as_str();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for one in uses(asking.flow, asking.lock) {
        let Some(package) = asking.catalog.by_digest(&one.locked.digest) else { continue };
        let manifest = package.manifest();
        let one = match manifest.task(&one.locked.task_type) {
            Some(task) => Use { properties: used(one.properties, &task.markers.unused), ..one },
            None => one,
        };
        let needs = needs(&one, manifest.capabilities_of(&one.locked.task_type), asking.usual);
        let policy = asking.policies.allowed(namespace, &one.locked.plugin);
        let of_flow = of_flow(asking.flow, &one.locked.plugin);
        let layers = [(Some(&policy), true), (of_flow.as_ref(), false)];
        for (layer, by_policy) in layers.into_iter().filter_map(|(layer, by_policy)| Some((layer?, by_policy))) {
            let opened = if by_policy { asking.policies.opened() } else { &[] };
            for need in needs.iter().filter(|need| !need.is_granted(layer, opened)) {
                let line = need.line().unwrap_or_else(|| need.to_string());
                if seen.insert((one.locked.plugin.clone(), by_policy, line)) {
                    found.push(refusal(&one, need, layer, by_policy));
                }
            }
        }
    }
    found
}

fn refusal(one: &Use<'_>, need: &Needed, layer: &Allowed, by_policy: bool) -> Refusal {
    let remedy = match (need.line(), need) {
        (None, _) => "a newer Sluice may know it".to_owned(),
        (Some(line), Needed::Host { host, port, .. }) if by_policy => {
            format!("add `{line}` {}, or start with `--allow-net={host}:{port}`", layer.place)
        }
        (Some(line), _) => format!("add `{line}` {}", layer.place),
    };
    Refusal {
        needed_by: one.name.clone(),
        line: one.line,
        plugin: format!("`{}` {}", one.locked.plugin, one.locked.version),
        what: need.to_string(),
        remedy,
        host: match need {
            Needed::Host { host, port } if by_policy => Some(format!("{host}:{port}")),
            _ => None,
        },
    }
}

/// One thing that a task needs.
pub(super) enum Needed {
    Capability(Capability),
    /// A host that stands in its properties.
    Host {
        host: String,
        port: u16,
    },
    /// A secret that its properties use.
    Secret(String),
}

/// What a task needs, as far as the flow's text tells.
pub(super) fn needs(one: &Use<'_>, capabilities: &Capabilities, usual: &Limits) -> Vec<Needed> {
    let more = |capability: &Capability| match capability {
        Capability::MemoryBytes(bytes) => usize::try_from(*bytes).map_or(true, |bytes| bytes > usual.memory_bytes),
        Capability::TimeMs(ms) => usual.wall.is_some_and(|wall| u128::from(*ms) > wall.as_millis()),
        _ => true,
    };
    let mut needs: Vec<Needed> = capabilities.each().into_iter().filter(more).map(Needed::Capability).collect();
    if !capabilities.http.is_empty() {
        needs.extend(check_hosts(&one.properties).into_iter().map(|(host, port)| Needed::Host { host, port }));
    }
    let mut secrets = BTreeSet::new();
    texts(&one.properties, &mut |text| {
        secrets.extend(expr::first_arguments(text, "secret").0.iter().map(|name| name.to_ascii_uppercase()));
    });
    needs.extend(secrets.into_iter().map(Needed::Secret));
    needs
}

/// Every text in a value.
pub(super) fn texts(value: &Value, take: &mut dyn FnMut(&str)) {
    match value {
        Value::Text(_) => take(value.as_str().unwrap_or_default()),
        Value::List(items) => items.iter().for_each(|item| texts(item, take)),
        Value::Map(entries) => entries.iter().for_each(|(key, item)| {
            take(key);
            texts(item, take);
        }),
        _ => {}
    }
}

impl Needed {
    fn is_granted(&self, layer: &Allowed, opened: &[NetworkRule]) -> bool {
        match self {
            Self::Capability(capability) => layer.covers(capability),
            Self::Secret(name) => has(&layer.has.secrets, name),
            Self::Host { host, port } => {
                let Ok(parsed) = url::Host::parse(host) else { return true };
                let written = layer.has.network.iter().any(|allowed| match allowed {
                    Network::Flow => !is_special(host),
                    Network::Plugin => false,
                    Network::Host(allowed) => rule_of(allowed).reaches(&parsed, *port),
                });
                written || opened.iter().any(|rule| rule.reaches(&parsed, *port))
            }
        }
    }

    /// What to write for it; nothing where nothing helps.
    pub(super) fn line(&self) -> Option<String> {
        let named = |key: &str, name: &str| match name {
            ANY => format!("{key}: true"),
            name => format!("{key}: [\"{name}\"]"),
        };
        Some(match self {
            Self::Host { host, port } => format!("network: [\"{host}:{port}\"]"),
            Self::Secret(name) => named("secrets", name),
            Self::Capability(capability) => match capability {
                Capability::HttpNamedByFlow { .. } => "network: [flow]".to_owned(),
                Capability::Http { host, .. } if is_special(host) => format!("network: [\"{host}\"]"),
                Capability::Http { .. } => "network: [plugin]".to_owned(),
                Capability::Kv { operation, prefix } => {
                    let access = match super::allowed::access_of(operation) {
                        model::policy::Access::Write => "write",
                        _ => "read",
                    };
                    format!("kv: [\"{access} {prefix}{ANY}\"]")
                }
                Capability::Process(name) => named("processes", name),
                Capability::Object(kind) => named("objects", kind),
                Capability::Secret(name) => named("secrets", name),
                Capability::Reveal(name) => named("reveal", name),
                Capability::Model(name) => named("models", name),
                Capability::Files => "files: write".to_owned(),
                Capability::MemoryBytes(bytes) => format!("memory: {} MiB", bytes.div_ceil(1 << 20)),
                Capability::TimeMs(ms) => format!("time: PT{}S", ms.div_ceil(1_000)),
                Capability::Other(_) => return None,
            },
        })
    }
}

impl std::fmt::Display for Needed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Capability(capability) => capability.fmt(f),
            Self::Host { host, port } => write!(f, "requests to `{host}:{port}`"),
            Self::Secret(name) => write!(f, "secret `{name}`"),
        }
    }
}
