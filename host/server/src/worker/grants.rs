//! What one run may do: what the policy allows, within what its plugin's manifest asks for and what the flow says of itself. Deny by default.

use catalog::Manifest;
use expr::Value;
use model::execution::Failure;
use model::flow::Flow;
use runtime::{Grants, Limits, Need, Says};

use crate::node::Node;
use crate::policy::{self, Allowed};

/// What the kinds end with that a plugin asks to delete.
pub(super) const DELETE: &str = ":delete";

/// What a run may do and use.
pub(super) struct Granted {
    pub grants: Grants,
    pub limits: Limits,
    /// Kinds of documents that may be deleted.
    pub deletes: Vec<String>,
}

/// The grants of a run with these rendered properties; or why it must not begin.
pub(super) fn of_run(
    node: &Node,
    flow: &Flow,
    manifest: &Manifest,
    task_type: &str,
    properties: &Value,
) -> Result<Granted, Failure> {
    let plugin = manifest.name.as_str();
    let capabilities = manifest.capabilities_of(task_type);
    let allowed = node.policies().allowed(flow.key.namespace.as_str(), plugin);
    let of_flow = policy::of_flow(flow, plugin);
    let (named, listed) = (policy::named(properties), policy::listed(capabilities));
    let mut grants = allowed.grants(&named, &listed, Says::Policy(allowed.place.clone()));
    // What an operator opened is open to plugins that ask for the network at all.
    grants.network.extend(node.allow_net());
    let narrowed = of_flow.as_ref().map(|said| said.grants(&named, &listed, Says::Flow(said.place.clone())));
    grants.within.extend(narrowed);
    // What the flow gives to a task is the flow's to give: the plugin need not have asked.
    secrets_may_be_used(&grants, properties)?;
    let whose = format!("`{plugin}` {}", manifest.version);
    grants.within.push(policy::asked(capabilities, Says::Manifest(whose)));
    let layers: Vec<&Allowed> = std::iter::once(&allowed).chain(&of_flow).collect();
    let may_delete = |kind: &&String| layers.iter().all(|layer| policy::has(&layer.has.objects, kind));
    let deletes = capabilities.objects.iter().filter(may_delete);
    Ok(Granted {
        limits: limits(&node.config.limits, capabilities, &layers),
        deletes: deletes.filter_map(|kind| kind.strip_suffix(DELETE)).map(str::to_owned).collect(),
        grants,
    })
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

/// Whether the secrets in a task's properties may be used by its plugin.
fn secrets_may_be_used(grants: &Grants, properties: &Value) -> Result<(), Failure> {
    let mut refused = Ok(());
    each_secret(properties, &mut |name| {
        if refused.is_ok() {
            refused = grants.allow(&Need::Secret(name));
        }
    });
    refused.map_err(|error| Failure { retryable: Some(false), ..Failure::new("GRANT_MISSING", error.message) })
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
