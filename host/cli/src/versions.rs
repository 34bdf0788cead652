//! `sluice plugin` and `sluice flow` where they ask a server: which versions flows run on, moving them, and what operators decide.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use catalog::{Action, Rule};
use reqwest::Method;
use serde_json::{Value, json};

use crate::args::{Decide, FlowAt, Upgrade};
use crate::client::Client;

pub const PLUGINS: &str = "/api/v1/cluster/versioned-plugins";
const FLOWS: &str = "/api/v1/main/flows";
/// Flows of one page.
const PAGE: usize = 1_000;

/// A path below a flow. Names and ids have no characters that a path would have to escape; others name no flow.
fn path_of(flow: &str, what: &str) -> Result<String> {
    let named = flow.split_once('/').filter(|(namespace, id)| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !namespace.is_empty() && !id.is_empty() && namespace.chars().chain(id.chars()).all(is_plain)
    });
    let (namespace, id) = named.with_context(|| format!("`{flow}` is not NAMESPACE/ID"))?;
    Ok(format!("{FLOWS}/{namespace}/{id}/{what}"))
}

pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

pub fn results(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["results"].as_array().into_iter().flatten()
}

fn show_changes(answer: &Value) {
    let flow = format!("{}/{}", text(answer, "namespace"), text(answer, "id"));
    let changes: Vec<&Value> = answer["changes"].as_array().into_iter().flatten().collect();
    if changes.is_empty() {
        return crate::print(&format!("{flow}  revision {}: nothing changes", answer["revision"]));
    }
    crate::print(&format!("{flow}  revision {}", answer["revision"]));
    for change in changes {
        let (plugin, from, to) = (text(change, "plugin"), text(change, "from"), text(change, "to"));
        crate::print(&format!("  {}  {}  {plugin} {from} -> {to}", text(change, "id"), text(change, "type")));
    }
}

/// Moves flows to what they would run on if they were saved now. One that cannot be moved does not keep the others.
pub async fn upgrade(arguments: &Upgrade) -> Result<ExitCode> {
    let client = Client::new(&arguments.remote)?;
    let flows = if arguments.all { all_flows(&client).await? } else { arguments.flows.clone() };
    let mut query = vec![format!("dryRun={}", arguments.dry_run)];
    query.extend(arguments.plugin.as_ref().map(|plugin| format!("plugin={}", plugin.replace('+', "%2B"))));
    let mut failed = 0;
    for flow in flows {
        let path = path_of(&flow, &format!("upgrade?{}", query.join("&")))?;
        match client.ask(Method::POST, &path, None).await {
            Ok(answer) => show_changes(&answer),
            Err(error) => {
                failed += 1;
                crate::complain(&format!("{flow}: {error:#}"));
            }
        }
    }
    if arguments.dry_run {
        crate::print("nothing was changed: this was a rehearsal");
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn all_flows(client: &Client) -> Result<Vec<String>> {
    let mut flows = Vec::new();
    for page in 1.. {
        let answer = client.ask(Method::GET, &format!("{FLOWS}/search?size={PAGE}&page={page}"), None).await?;
        let before = flows.len();
        flows.extend(results(&answer).map(|flow| format!("{}/{}", text(flow, "namespace"), text(flow, "id"))));
        if flows.len() < before + PAGE {
            break;
        }
    }
    Ok(flows)
}

/// Makes an earlier revision the newest again.
pub async fn roll_back(at: &FlowAt, revision: u32) -> Result<ExitCode> {
    let path = path_of(&at.flow, &format!("rollback?revision={revision}"))?;
    show_changes(&Client::new(&at.remote)?.ask(Method::POST, &path, None).await?);
    Ok(ExitCode::SUCCESS)
}

/// Shows what each task of a flow runs on.
pub async fn lock(at: &FlowAt, json: bool) -> Result<ExitCode> {
    let lock = Client::new(&at.remote)?.ask(Method::GET, &path_of(&at.flow, "lock")?, None).await?;
    if json {
        crate::print(&serde_json::to_string_pretty(&lock)?);
        return Ok(ExitCode::SUCCESS);
    }
    let all = ["tasks", "triggers", "providers"].into_iter().filter_map(|kind| lock[kind].as_object()).flatten();
    for (id, locked) in all {
        crate::print(&format!(
            "{id}  {}  {} {}  asked for {}  sha256 {}",
            text(locked, "task_type"),
            text(locked, "plugin"),
            text(locked, "version"),
            text(locked, "requirement"),
            text(locked, "digest"),
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists flows that would run on other versions if they were saved now.
pub async fn outdated(client: &Client) -> Result<ExitCode> {
    let answer = client.ask(Method::GET, &format!("{FLOWS}/outdated"), None).await?;
    for flow in results(&answer) {
        match flow["message"].as_str() {
            Some(message) => crate::print(&format!(
                "{}/{}  revision {}: cannot be saved now: {message}",
                text(flow, "namespace"),
                text(flow, "id"),
                flow["revision"]
            )),
            None => show_changes(flow),
        }
    }
    if answer["total"] == 0 {
        crate::print("every flow runs on what it would be saved with now");
    }
    Ok(ExitCode::SUCCESS)
}

/// Says who needs the versions of a plugin.
pub async fn why(client: &Client, plugin: &str) -> Result<ExitCode> {
    let answer = client.ask(Method::GET, &format!("{PLUGINS}/{plugin}/needed-by"), None).await?;
    for version in results(&answer) {
        let holders: Vec<&str> =
            version["holders"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        crate::print(&format!("{plugin} {}  needed by {}", text(version, "version"), holders.len()));
        for holder in holders {
            crate::print(&format!("  {holder}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts an operator's rule in force.
pub async fn decide(action: Action, arguments: &Decide) -> Result<ExitCode> {
    let (plugin, versions) = plugin_at(&arguments.plugin)?;
    let reason = arguments.reason.clone();
    let rule = Rule { action, plugin: plugin.to_owned(), versions: versions.to_owned(), reason };
    let client = Client::new(&arguments.remote)?;
    client.ask(Method::PUT, &format!("{PLUGINS}/rules"), Some(&serde_json::to_value(&rule)?)).await?;
    crate::print(&format!("{} {plugin} {versions}: {}", action.as_str(), arguments.reason));
    Ok(ExitCode::SUCCESS)
}

/// Lifts one.
pub async fn lift(client: &Client, action: Action, plugin: &str) -> Result<ExitCode> {
    let (plugin, versions) = plugin_at(plugin)?;
    let rule = json!({ "action": action.as_str(), "plugin": plugin, "versions": versions });
    client.ask(Method::DELETE, &format!("{PLUGINS}/rules"), Some(&rule)).await?;
    crate::print(&format!("lifted: {} {plugin} {versions}", action.as_str()));
    Ok(ExitCode::SUCCESS)
}

/// Lists what is in force, or what was done.
pub async fn listed(client: &Client, what: &str) -> Result<ExitCode> {
    let answer = client.ask(Method::GET, &format!("{PLUGINS}/{what}"), None).await?;
    for entry in results(&answer) {
        let (at, action) = (text(entry, "at"), text(entry, "action"));
        crate::print(&match what {
            "rules" => format!(
                "{action}  {} {}  {}  ({}, {at})",
                text(entry, "plugin"),
                text(entry, "versions"),
                text(entry, "reason"),
                text(entry, "by")
            ),
            _ => format!("{at}  {}  {action}  {}  {}", text(entry, "actor"), text(entry, "subject"), entry["details"]),
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn plugin_at(text: &str) -> Result<(&str, &str)> {
    text.split_once('@')
        .with_context(|| format!("`{text}` is not NAME@VERSIONS\n  hint: for example core@1.0.0, or 'core@<1.1'"))
}
