//! `sluice plugin`: what is there, and making a component into a plugin.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use catalog::{Manifest, Shown, Which};
use console::Style;
use reqwest::Method;
use semver::Version;
use serde_json::{Value, json};

use crate::args::{Global, Remote};
use crate::client::Client;
use crate::setup;
use crate::versions::{PLUGINS, results, text};

/// What is meant where no version is named.
const LATEST: &str = "LATEST";

/// Lists plugins, versions and task types: of this machine, or of a server.
pub async fn list(global: &Global, which: Which, json: bool, remote: Option<Remote>) -> Result<ExitCode> {
    let plugins: Vec<Shown> = match remote {
        None => setup::catalog(global, &[])?.shown(which),
        Some(remote) => {
            let path = format!("{PLUGINS}?all={}", which == Which::All);
            let answer = Client::new(&remote)?.ask(Method::GET, &path, None).await?;
            serde_json::from_value(answer["results"].clone()).context("the server lists plugins in another way")?
        }
    };
    if json {
        crate::print(&serde_json::to_string_pretty(&plugins)?);
        return Ok(ExitCode::SUCCESS);
    }
    for plugin in &plugins {
        let marked = |version: &Version| match () {
            () if plugin.too_new.contains(version) => format!("{version} (needs a newer Sluice)"),
            () if plugin.held.contains(version) => format!("{version} (held)"),
            () => version.to_string(),
        };
        let versions: Vec<String> = plugin.versions.iter().map(marked).collect();
        let name = Style::new().bold().apply_to(&plugin.name);
        crate::print(&format!("{name}  {}  {}", versions.join(", "), plugin.title));
        for task in &plugin.tasks {
            let about = task.title.lines().next().unwrap_or_default();
            crate::print(&format!("  {}  {}", task.name, Style::new().dim().apply_to(about)));
        }
    }
    if plugins.is_empty() {
        crate::print("no plugins\n  hint: --registry DIR names a folder of published plugins");
    }
    Ok(ExitCode::SUCCESS)
}

/// Says which versions are meant: of this machine, or of a server. All of them are looked at.
pub async fn resolve(global: &Global, plugins: &[String], remote: Option<Remote>) -> Result<ExitCode> {
    let found: Vec<Result<(String, String), String>> = match remote {
        None => {
            let catalog = setup::catalog(global, &[])?;
            let of = |text: &String| {
                let (name, versions) = text.split_once('@').unwrap_or((text, LATEST));
                let package = catalog.select(name, versions).map_err(|error| error.to_string())?;
                Ok((package.manifest().version.to_string(), package.published.digest.to_string()))
            };
            plugins.iter().map(of).collect()
        }
        Some(remote) => {
            let coordinates: Vec<String> = plugins.iter().map(|text| text.replacen('@', ":", 1)).collect();
            let asked = json!({ "plugins": coordinates });
            let answer = Client::new(&remote)?.ask(Method::POST, &format!("{PLUGINS}/resolve"), Some(&asked)).await?;
            let of = |one: &Value| match one["resolved"] == true {
                true => Ok((text(one, "resolvedVersion").to_owned(), text(one, "digest").to_owned())),
                false => Err(text(&one["problem"], "message").to_owned()),
            };
            results(&answer).map(of).collect()
        }
    };
    let mut failed = 0;
    for (asked, found) in plugins.iter().zip(found) {
        match found {
            Ok((version, digest)) => {
                let name = asked.split_once('@').map_or(asked.as_str(), |(name, _)| name);
                crate::print(&format!("{asked}  {name} {version}  sha256 {digest}"));
            }
            Err(message) => {
                failed += 1;
                crate::complain(&format!("{asked}: {}", message.replace("\nhint:", "\n  hint:")));
            }
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks a component what it is, in a sandbox without grants, and embeds the answer.
pub async fn pack(global: &Global, file: &Path, output: Option<&Path>) -> Result<ExitCode> {
    let component = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let runtime = setup::runtime(global)?;
    let described = runtime
        .describe(&component)
        .await
        .with_context(|| format!("`{}` cannot be asked what it is", file.display()))?;
    let manifest = Manifest::parse(described.as_bytes(), &file.display().to_string())?;
    let packed = catalog::embed(&component, described.as_bytes())
        .map_err(|reason| anyhow::anyhow!("`{}` cannot be packed: {reason}", file.display()))?;
    let output = output.unwrap_or(file);
    let temporary = output.with_extension("tmp");
    std::fs::write(&temporary, &packed).with_context(|| format!("cannot write `{}`", temporary.display()))?;
    std::fs::rename(&temporary, output).with_context(|| format!("cannot write `{}`", output.display()))?;
    crate::print(&format!(
        "packed {} {}: {} task types, {} KB, {}",
        manifest.name,
        manifest.version,
        manifest.tasks.len(),
        packed.len() / 1_000,
        output.display()
    ));
    Ok(ExitCode::SUCCESS)
}
