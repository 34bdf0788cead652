//! `sluice plugin install` and `uninstall`: versions come into this machine's registry and go.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use catalog::{Installed, Offer};

use crate::approvals::{by, exactly, show_held};
use crate::args::{Global, Install};
use crate::setup::{self, Kept};

/// Installs packed components. All are looked at before the first is installed.
pub async fn install(global: &Global, arguments: &Install) -> Result<ExitCode> {
    let runtime = setup::runtime(global)?;
    let (mut offers, mut manifests) = (Vec::new(), Vec::new());
    for file in &arguments.files {
        let origin = file.display().to_string();
        let component = std::fs::read(file).with_context(|| format!("cannot read `{origin}`"))?;
        let manifest = server::prepare(runtime.as_ref(), &component, &origin).await?.manifest;
        let approval = arguments.approve.then(|| arguments.reason.clone());
        offers.push(Offer { approval, ..Offer::new(component, &origin) });
        manifests.push(manifest);
    }
    let (catalog, installed) = setup::catalog(global, &[])?.install(&offers, by())?;
    for (manifest, how) in manifests.iter().zip(installed) {
        let title = format!("{} {}: {} task types", manifest.name, manifest.version, manifest.tasks.len());
        match how {
            Installed::New => crate::print(&format!("installed {title}")),
            Installed::AlreadyThere => crate::print(&format!("already installed {title}")),
        }
        let held = catalog.package(manifest.name.as_str(), &manifest.version).and_then(|there| catalog.held(there));
        if let Some(held) = held {
            let beyond: Vec<String> = held.beyond.iter().map(ToString::to_string).collect();
            show_held(manifest.name.as_str(), &manifest.version.to_string(), held.withdrawn.as_deref(), &beyond);
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
