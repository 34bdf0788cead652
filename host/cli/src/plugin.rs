//! `sluice plugin`: what is there, and making a component into a plugin.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use catalog::{By, Installed, Manifest, Offer, PluginName};
use console::Style;

use crate::args::Global;
use crate::setup::{self, Kept};

/// Whoever has the command line, as a registry's journal names them.
fn by() -> By<'static> {
    By { actor: "cli", at: jiff::Timestamp::now() }
}

/// Lists plugins, versions and task types.
pub fn list(global: &Global, json: bool) -> Result<ExitCode> {
    let catalog = setup::catalog(global, &[])?;
    let mut entries = Vec::new();
    for (name, versions) in catalog.plugins() {
        let versions: Vec<_> = versions.collect();
        let Some(newest) = versions.last() else { continue };
        let all: Vec<String> = versions.iter().map(|package| package.manifest().version.to_string()).collect();
        let tasks: Vec<&str> = newest.manifest().tasks.iter().map(|task| task.name.as_str()).collect();
        if json {
            entries.push(serde_json::json!({
                "name": name.to_string(), "title": newest.manifest().title, "versions": all, "tasks": tasks,
            }));
            continue;
        }
        let title = &newest.manifest().title;
        crate::print(&format!("{}  {}  {title}", Style::new().bold().apply_to(name), all.join(", ")));
        for task in &newest.manifest().tasks {
            let about = task.title.lines().next().unwrap_or_default();
            crate::print(&format!("  {}  {}", task.name, Style::new().dim().apply_to(about)));
        }
    }
    if json {
        crate::print(&serde_json::to_string_pretty(&entries)?);
    } else if catalog.plugins().next().is_none() {
        crate::print("no plugins\n  hint: --registry DIR names a folder of published plugins");
    }
    Ok(ExitCode::SUCCESS)
}

/// Installs packed components. All are looked at before the first is installed.
pub async fn install(global: &Global, files: &[PathBuf]) -> Result<ExitCode> {
    let runtime = setup::runtime(global)?;
    let (mut offers, mut titles) = (Vec::new(), Vec::new());
    for file in files {
        let origin = file.display().to_string();
        let component = std::fs::read(file).with_context(|| format!("cannot read `{origin}`"))?;
        let manifest = server::prepare(runtime.as_ref(), &component, &origin).await?.manifest;
        let title = format!("{} {}: {} task types", manifest.name, manifest.version, manifest.tasks.len());
        offers.push(Offer::new(component, &origin));
        titles.push(title);
    }
    let (_, installed) = setup::catalog(global, &[])?.install(&offers, by())?;
    for (title, how) in titles.iter().zip(installed) {
        match how {
            Installed::New => crate::print(&format!("installed {title}")),
            Installed::AlreadyThere => crate::print(&format!("already installed {title}")),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes a version away.
pub async fn uninstall(global: &Global, plugin: &str, store: Option<&Path>) -> Result<ExitCode> {
    let named = plugin
        .split_once('@')
        .and_then(|(name, version)| Some((PluginName::parse(name)?, semver::Version::parse(version).ok()?)));
    let (name, version) =
        named.with_context(|| format!("`{plugin}` is not NAME@VERSION\n  hint: `sluice plugin list` shows both"))?;
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
