//! `sluice plugin`: what is there, and making a component into a plugin.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use catalog::{Manifest, Package};
use console::Style;

use crate::args::Global;
use crate::setup;

/// Lists plugins, versions and task types.
pub fn list(global: &Global, json: bool) -> Result<ExitCode> {
    let catalog = setup::catalog(global, &[])?;
    let mut entries = Vec::new();
    for (name, versions) in catalog.plugins() {
        let versions: Vec<_> = versions.collect();
        // What flows can use, where there is any.
        let usable = versions.iter().rev().find(|package| catalog.held(package).is_none());
        let Some(newest) = usable.or(versions.last()) else { continue };
        let text = |package: &&Arc<Package>| package.manifest().version.to_string();
        let all: Vec<String> = versions.iter().map(text).collect();
        let is_held = |package: &&&Arc<Package>| catalog.held(package).is_some();
        let tasks: Vec<&str> = newest.manifest().tasks.iter().map(|task| task.name.as_str()).collect();
        if json {
            entries.push(serde_json::json!({
                "name": name.to_string(), "title": newest.manifest().title, "versions": all, "tasks": tasks,
                "held": versions.iter().filter(is_held).map(text).collect::<Vec<_>>(),
            }));
            continue;
        }
        let title = &newest.manifest().title;
        let marked = |package: &Arc<Package>| match catalog.held(package) {
            Some(_) => format!("{} (held)", package.manifest().version),
            None => package.manifest().version.to_string(),
        };
        let marked: Vec<String> = versions.iter().map(|package| marked(package)).collect();
        crate::print(&format!("{}  {}  {title}", Style::new().bold().apply_to(name), marked.join(", ")));
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
