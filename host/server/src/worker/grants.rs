//! What runs may do: what the policy allows, within what their plugin's manifest asks for and what the flow says of itself. Deny by default.

use std::sync::Arc;

use catalog::Manifest;
use expr::Value;
use model::execution::Failure;
use model::flow::Flow;
use runtime::{Grants, Limits, Need, NetworkRule, Says};

use crate::policy::{self, Allowed, Policies};

/// What the runs of a task type may do in one flow, whatever their properties.
pub(super) struct Layers {
    policy: Allowed,
    flow: Option<Allowed>,
    /// What the manifest asks for.
    asked: Grants,
    /// Hosts that the manifest lists, and those that are open beside the policy.
    listed: Vec<NetworkRule>,
    opened: Vec<NetworkRule>,
    /// All of it together, for properties that name no host: most have none.
    without_hosts: Arc<Grants>,
    pub limits: Limits,
}

impl Layers {
    pub fn of(policies: &Policies, usual: &Limits, flow: &Flow, manifest: &Manifest, task_type: &str) -> Self {
        let plugin = manifest.name.as_str();
        let capabilities = manifest.capabilities_of(task_type);
        let policy = policies.allowed(flow.key.namespace.as_str(), plugin);
        let of_flow = policy::of_flow(flow, plugin);
        let both: Vec<&Allowed> = std::iter::once(&policy).chain(&of_flow).collect();
        let whose = format!("`{plugin}` {}", manifest.version);
        let mut layers = Self {
            limits: limits(usual, capabilities, &both),
            asked: policy::asked(capabilities, Says::Manifest(whose)),
            listed: policy::listed(capabilities),
            opened: policies.opened().to_vec(),
            without_hosts: Arc::default(),
            policy,
            flow: of_flow,
        };
        layers.without_hosts = Arc::new(layers.with(&[]));
        layers
    }

    /// The grants of a run with these rendered properties, secrets and all; or why it must not begin.
    pub fn of_run(&self, properties: &Value) -> Result<Arc<Grants>, Failure> {
        self.secrets_may_be_used(properties)?;
        Ok(match policy::named(properties).as_slice() {
            [] => self.without_hosts.clone(),
            named => Arc::new(self.with(named)),
        })
    }

    /// All layers, where the flow names these hosts.
    fn with(&self, named: &[NetworkRule]) -> Grants {
        let mut grants = self.policy.grants(named, &self.listed, Says::Policy(self.policy.place.clone()));
        // What an operator opened is open to plugins that ask for the network at all.
        grants.network.extend(self.opened.iter().cloned());
        let of_flow = self.flow.iter().map(|said| said.grants(named, &self.listed, Says::Flow(said.place.clone())));
        grants.within = of_flow.chain([self.asked.clone()]).collect();
        grants
    }

    /// Whether the secrets in a task's properties may be used by its plugin. What the flow gives to a task is the flow's to give: the plugin need
    /// not have asked.
    fn secrets_may_be_used(&self, properties: &Value) -> Result<(), Failure> {
        let mut refused = Ok(());
        each_secret(properties, &mut |name| {
            let places = [(Some(&self.policy), Says::Policy as fn(String) -> Says), (self.flow.as_ref(), Says::Flow)];
            for (layer, says) in places {
                let Some(layer) = layer.filter(|layer| !policy::has(&layer.has.secrets, name)) else { continue };
                let none = Grants { says: says(layer.place.clone()), ..Grants::none() };
                refused = std::mem::replace(&mut refused, Ok(())).and_then(|()| none.allow(&Need::Secret(name)));
            }
        });
        refused.map_err(|error| Failure { retryable: Some(false), ..Failure::new("GRANT_MISSING", error.message) })
    }
}

/// The usual limits, or more of memory and time where it is asked for and allowed.
fn limits(usual: &Limits, capabilities: &catalog::Capabilities, layers: &[&Allowed]) -> Limits {
    let mut limits = usual.clone();
    let most = |of: fn(&Allowed) -> u64| layers.iter().map(|layer| of(layer)).min().unwrap_or(0);
    if let Some(asked) = capabilities.memory_bytes {
        let more = usize::try_from(asked.min(most(|layer| layer.has.memory_bytes))).unwrap_or(usize::MAX);
        limits.memory_bytes = limits.memory_bytes.max(more);
    }
    if let Some(asked) = capabilities.time_ms {
        let more = std::time::Duration::from_millis(asked.min(most(|layer| layer.has.time_ms)));
        limits.wall = limits.wall.map(|wall| wall.max(more));
    }
    limits
}

/// The names of the secrets in a value: not of those that came with a request, which have none.
fn each_secret(value: &Value, take: &mut dyn FnMut(&str)) {
    match value {
        Value::Text(text) if text.is_secret() => {
            let names = text.secret_names();
            names
                .iter()
                .filter(|name| !crate::sealing::Sealer::made(name))
                .for_each(|name| take(&crate::secrets::name_of(name).to_ascii_uppercase()));
        }
        Value::List(items) => items.iter().for_each(|item| each_secret(item, take)),
        Value::Map(entries) => entries.values().for_each(|item| each_secret(item, take)),
        _ => {}
    }
}
