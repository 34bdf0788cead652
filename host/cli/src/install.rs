//! `sluice plugin install` and `uninstall`: versions come into this machine's registry, or a server's, and go.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use catalog::{Delivery, Installed};
use reqwest::Method;
use serde_json::json;
use server::{Candidate, PluginSource, Wanted};

use crate::approvals::{by, exactly, show_held};
use crate::args::{Global, Install};
use crate::client::Client;
use crate::setup::{self, Kept};
use crate::sources::Bar;
use crate::versions::{PLUGINS, results, text};

/// Installs plugins: files, what a source offers, or what a server is to fetch itself.
pub async fn install(global: &Global, arguments: &Install) -> Result<ExitCode> {
    let approval = arguments.approve.then(|| arguments.reason.clone());
    if let Some(remote) = arguments.elsewhere.remote() {
        return on_server(&Client::new(&remote)?, arguments).await;
    }
    let candidates = match &arguments.from {
        Some(source) => fetched(global, source, &arguments.plugins, approval).await?,
        None => arguments.plugins.iter().map(|file| of_file(file, approval.clone())).collect::<Result<_>>()?,
    };
    let (runtime, trust) = (setup::runtime(global)?, setup::trust(global, &arguments.trust)?);
    // All are looked at before the first is installed.
    let (mut offers, mut manifests) = (Vec::new(), Vec::new());
    for candidate in candidates {
        let (offer, manifest) = server::look_at(runtime.as_ref(), &trust, candidate).await?;
        offers.push(offer);
        manifests.push(manifest);
    }
    let (catalog, installed) = setup::catalog(global, &[])?.install(&offers, by())?;
    for (manifest, how) in manifests.iter().zip(installed) {
        let title = format!("{} {}: {} task types", manifest.name, manifest.version, manifest.tasks.len());
        match how {
            Installed::New => crate::print(&format!("installed {title}")),
            Installed::AlreadyThere => crate::print(&format!("already installed {title}")),
        }
        let Some(package) = catalog.package(manifest.name.as_str(), &manifest.version) else { continue };
        if let Some(signer) = catalog.signer(package) {
            crate::print(&format!("  signed by {signer}"));
        }
        if let Some(held) = catalog.held(package) {
            let beyond: Vec<String> = held.beyond.iter().map(ToString::to_string).collect();
            show_held(manifest.name.as_str(), &manifest.version.to_string(), held.withdrawn.as_deref(), &beyond);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A file, with the signature beside it.
fn of_file(file: &str, approval: Option<String>) -> Result<Candidate> {
    let component = std::fs::read(file).with_context(|| {
        format!("cannot read `{file}`\n  hint: --from names where plugins are taken from by their names")
    })?;
    let beside = format!("{file}.minisig");
    let signature = match std::fs::read(&beside) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read `{beside}`")),
    };
    Ok(Candidate { component, origin: file.to_owned(), signature, from: Delivery::Local, approval })
}

/// What a source offers under these names.
async fn fetched(global: &Global, source: &str, names: &[String], approval: Option<String>) -> Result<Vec<Candidate>> {
    let source = PluginSource::parse(source)?;
    let wanted = names.iter().map(|text| Wanted::parse(text, '@')).collect::<Result<Vec<_>, _>>()?;
    let host = setup::catalog(global, &[])?.host().version.clone();
    let bar = Bar::new();
    let progress = |what: &str, got: u64, size: u64| bar.show(what, got, size);
    let fetched = setup::fetcher()?.fetch_all(std::slice::from_ref(&source), &wanted, &host, Some(&progress)).await;
    bar.end();
    Ok(fetched?.into_iter().map(|fetched| Candidate::fetched(fetched, approval.clone())).collect())
}

/// Has a server install what its own sources offer.
async fn on_server(client: &Client, arguments: &Install) -> Result<ExitCode> {
    let names: Vec<String> = arguments.plugins.iter().map(|text| text.replacen('@', ":", 1)).collect();
    let wished = json!({
        "plugins": names, "from": arguments.from, "approve": arguments.approve, "reason": arguments.reason,
    });
    let answer = client.ask(Method::POST, &format!("{PLUGINS}/install"), Some(&wished)).await?;
    for one in results(&answer) {
        let (name, version) = (text(one, "name"), text(one, "version"));
        let how = if one["alreadyInstalled"] == true { "already installed" } else { "installed" };
        crate::print(&format!("{how} {name} {version}"));
        if let Some(held) = one["held"].as_object() {
            let beyond = held["beyond"].as_array().into_iter().flatten();
            let beyond: Vec<String> = beyond.filter_map(|line| line.as_str().map(str::to_owned)).collect();
            show_held(name, version, held["withdrawn"].as_str(), &beyond);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes a version away.
pub async fn uninstall(global: &Global, plugin: &str, store: Option<&Path>) -> Result<ExitCode> {
    let (name, version) = exactly(plugin)?;
    let catalog = setup::catalog(global, &[])?;
    let folder = store.map_or_else(|| setup::data_dir(global).join("store"), Path::to_owned);
    let references = match folder.is_dir() {
        // Nobody has ever saved a flow here.
        false => Vec::new(),
        true => {
            let kept = Kept::open(global, Some(&folder)).map_err(|error| {
                anyhow::anyhow!(
                    "whether flows need it cannot be told: {error:#}\n  hint: or ask the server that runs: curl -X DELETE -H 'content-type: application/json' -d '{{\"plugins\": [\"{name}:{version}\"]}}' http://ADDRESS/api/v1/cluster/versioned-plugins/uninstall"
                )
            })?;
            server::needed_by(kept.store(), name.as_str(), &version).await?
        }
    };
    catalog.uninstall(&name, &version, &references, by())?;
    crate::print(&format!("uninstalled {name} {version}"));
    Ok(ExitCode::SUCCESS)
}
