//! `sluice plugin install` and `uninstall`: versions come into this machine's registry, or a server's, and go.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use catalog::{Delivery, Installed};
use reqwest::Method;
use serde_json::{Value, json};
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
    let beside = beside(file);
    let signature = match std::fs::read(&beside) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read `{beside}`")),
    };
    Ok(Candidate { component, origin: file.to_owned(), signature, from: Delivery::Local, approval })
}

/// Where the signature of a file is.
fn beside(file: &str) -> String {
    format!("{file}.minisig")
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

/// Has a server install files of this machine, or what its own sources offer.
async fn on_server(client: &Client, arguments: &Install) -> Result<ExitCode> {
    let is_file = |text: &&String| Path::new(text.as_str()).extension().is_some_and(|extension| extension == "wasm");
    let files: Vec<&str> = arguments.plugins.iter().filter(is_file).map(String::as_str).collect();
    let answer = match files.len() {
        0 => by_name(client, arguments).await?,
        count if count == arguments.plugins.len() && arguments.from.is_none() => {
            let mut parts = Vec::new();
            for file in files {
                let Candidate { component, signature, .. } = of_file(file, None)?;
                parts.push((file.to_owned(), component));
                parts.extend(signature.map(|signature| (beside(file), signature.into_bytes())));
            }
            let query = match arguments.approve {
                true => vec![("approve", "true"), ("reason", arguments.reason.as_str())],
                false => Vec::new(),
            };
            client.upload(&format!("{PLUGINS}/upload"), &query, parts).await?
        }
        _ => bail!(
            "files are installed in a command of their own\n  hint: what ends in `.wasm` is a file, and needs no --from"
        ),
    };
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

async fn by_name(client: &Client, arguments: &Install) -> Result<Value> {
    let names: Vec<String> = arguments.plugins.iter().map(|text| text.replacen('@', ":", 1)).collect();
    let wished = json!({
        "plugins": names, "from": arguments.from, "approve": arguments.approve, "reason": arguments.reason,
    });
    client.ask(Method::POST, &format!("{PLUGINS}/install"), Some(&wished)).await
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
                    "whether flows need it cannot be told: {error:#}\n  hint: or ask the server that runs: sluice plugin uninstall {name}@{version} --server URL"
                )
            })?;
            server::needed_by(kept.store(), name.as_str(), &version).await?
        }
    };
    catalog.uninstall(&name, &version, &references, by())?;
    crate::print(&format!("uninstalled {name} {version}"));
    Ok(ExitCode::SUCCESS)
}

/// Has a server take a version away.
pub async fn uninstall_there(client: &Client, plugin: &str) -> Result<ExitCode> {
    let (name, version) = exactly(plugin)?;
    let asked = json!({ "plugins": [format!("{name}:{version}")] });
    client.ask(Method::DELETE, &format!("{PLUGINS}/uninstall"), Some(&asked)).await?;
    crate::print(&format!("uninstalled {name} {version}"));
    Ok(ExitCode::SUCCESS)
}
