//! `sluice plugin grants`, `approve` and `withdraw`: what versions ask for, and who says that they may have it.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use catalog::{By, PluginName};
use reqwest::Method;
use semver::Version;
use serde_json::json;
use server::Verdict;

use crate::args::{Approve, Global};
use crate::client::Client;
use crate::setup;
use crate::versions::PLUGINS;

/// Whoever has the command line, as a registry's journal names them.
pub fn by() -> By<'static> {
    By { actor: "cli", at: jiff::Timestamp::now() }
}

/// A plugin and a whole version.
pub fn exactly(text: &str) -> Result<(PluginName, Version)> {
    let named =
        text.split_once('@').and_then(|(name, version)| Some((PluginName::parse(name)?, version.parse().ok()?)));
    named.with_context(|| format!("`{text}` is not NAME@VERSION\n  hint: `sluice plugin list` shows both"))
}

/// Says that a version is held, why, and what to do about it.
pub fn show_held(name: &str, version: &str, withdrawn: Option<&str>, beyond: &[String]) {
    crate::print(&match withdrawn {
        None => format!("held: {name} {version} asks for more than the approved versions do"),
        Some(reason) => format!("held: the approval of {name} {version} was withdrawn: {reason}"),
    });
    for line in beyond {
        crate::print(&format!("  {line}"));
    }
    crate::print(&format!("  hint: `sluice plugin approve {name}@{version}` approves it"));
}

/// Shows what a version asks for, and what it has: in a namespace, or in the server at large.
pub fn grants(global: &Global, plugin: &str, namespace: &str, json: bool) -> Result<ExitCode> {
    let (name, version) = exactly(plugin)?;
    let catalog = setup::catalog(global, &[])?;
    let package = catalog.package(name.as_str(), &version).with_context(|| {
        format!("plugin `{name}` {version} is not installed\n  hint: `sluice plugin list` shows what is")
    })?;
    let (asked, held) = (catalog.asked(package), catalog.held(package));
    let policies = setup::policies(global)?;
    let lacks = |ask: &catalog::Asked| policies.lacks(namespace, name.as_str(), &ask.capability);
    if json {
        let asks = asked.iter().map(|ask| {
            let lacks = lacks(ask);
            json!({
                "capability": ask.capability.to_string(), "beyond": ask.is_beyond, "granted": lacks.is_none(), "remedy": lacks,
            })
        });
        let asks: Vec<_> = asks.collect();
        let shown =
            json!({ "name": name.as_str(), "version": version.to_string(), "held": held.is_some(), "asks": asks });
        crate::print(&serde_json::to_string_pretty(&shown)?);
        return Ok(ExitCode::SUCCESS);
    }
    crate::print(&format!("{name} {version}{}", if held.is_some() { " (held)" } else { "" }));
    for ask in &asked {
        let beyond = if ask.is_beyond { "  (beyond the approved versions)" } else { "" };
        let (has, remedy) = match lacks(ask) {
            None => ("granted    ", String::new()),
            Some(remedy) => ("not granted", format!("\n               hint: {remedy}")),
        };
        crate::print(&format!("  {has}  {}{beyond}{remedy}", ask.capability));
    }
    if asked.is_empty() {
        crate::print("  asks for nothing");
    }
    Ok(ExitCode::SUCCESS)
}

/// Approves what a version asks for, or takes that back: in the data directory, or on a server.
pub async fn decide(global: &Global, verdict: Verdict, arguments: &Approve) -> Result<ExitCode> {
    let (name, version) = exactly(&arguments.plugin)?;
    let reason = &arguments.reason;
    match arguments.elsewhere.remote() {
        Some(remote) => {
            let method = match verdict {
                Verdict::Approve => Method::POST,
                Verdict::Withdraw => Method::DELETE,
            };
            let decided = json!({ "plugin": name.as_str(), "version": version.to_string(), "reason": reason });
            Client::new(&remote)?.ask(method, &format!("{PLUGINS}/approvals"), Some(&decided)).await?;
        }
        None => {
            let catalog = setup::catalog(global, &[])?;
            match verdict {
                Verdict::Approve => catalog.approve(&name, &version, reason, by())?,
                Verdict::Withdraw => catalog.withdraw(&name, &version, reason, by())?,
            };
        }
    }
    let done = match verdict {
        Verdict::Approve => "approved",
        Verdict::Withdraw => "withdrawn",
    };
    crate::print(&format!("{done}: {name} {version}"));
    Ok(ExitCode::SUCCESS)
}
