//! `sluice plugin search` and `index`: what sources of plugins offer, making a folder into one, and showing how far a download is.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use server::PluginSource;

use crate::args::Search;
use crate::client::Client;
use crate::setup;
use crate::versions::{PLUGINS, results, text};

/// How often a bar moves, in parts of the whole.
const STEPS: u64 = 100;

/// Lists what a source offers.
pub async fn search(arguments: &Search) -> Result<ExitCode> {
    let mut offered: Vec<Value> = Vec::new();
    if let Some(remote) = arguments.elsewhere.remote() {
        let answer = Client::new(&remote)?.ask(Method::GET, &format!("{PLUGINS}/available"), None).await?;
        offered.extend(results(&answer).cloned());
        for problem in answer["problems"].as_array().into_iter().flatten() {
            crate::complain(text(problem, "message"));
        }
    }
    if let Some(from) = &arguments.from {
        let source = PluginSource::parse(from)?;
        let index = setup::fetcher()?.list(&source).await?;
        offered.extend(index.plugins.into_iter().map(|listed| {
            json!({ "name": listed.name, "title": listed.title, "versions": listed.versions, "source": source.to_string() })
        }));
    }
    let wanted = arguments.text.to_lowercase();
    offered.retain(|one| ["name", "title"].iter().any(|field| text(one, field).to_lowercase().contains(&wanted)));
    if arguments.json {
        crate::print(&serde_json::to_string_pretty(&offered)?);
        return Ok(ExitCode::SUCCESS);
    }
    for one in &offered {
        let versions = one["versions"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let versions: Vec<&str> = versions.collect();
        crate::print(&format!("{}  {}  {}", text(one, "name"), versions.join(", "), text(one, "title")));
    }
    if offered.is_empty() {
        crate::print("no plugins");
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the index of a folder of published plugins.
pub fn index(folder: &Path, base_url: Option<&str>) -> Result<ExitCode> {
    let index = catalog::write_index(folder, base_url)?;
    let versions: usize = index.plugins.iter().map(|listed| listed.versions.len()).sum();
    crate::print(&format!("indexed {} plugins, {versions} versions: {}", index.plugins.len(), folder.display()));
    Ok(ExitCode::SUCCESS)
}

/// How far a download is, on one line of a terminal; nothing elsewhere.
pub struct Bar {
    is_shown: bool,
    last: AtomicU64,
}

impl Bar {
    pub fn new() -> Self {
        Self { is_shown: std::io::stderr().is_terminal(), last: AtomicU64::new(u64::MAX) }
    }

    pub fn show(&self, what: &str, got: u64, size: u64) {
        let part = got.saturating_mul(STEPS).checked_div(size).unwrap_or_default();
        if self.is_shown && self.last.swap(part, Ordering::Relaxed) != part {
            let _ = write!(std::io::stderr(), "\r\x1b[2K{what}: {} of {} KB", got / 1_000, size / 1_000);
        }
    }

    pub fn end(&self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}
