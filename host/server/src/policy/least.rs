//! The least that an operator has to write for a flow under `profile: strict`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use catalog::{ANY, Capability, Catalog};
use model::policy::Access;
use model::problem::Problem;
use runtime::Limits;

use super::Policies;
use super::allowed::access_of;
use super::check::{Needed, needs, texts, uses};
use crate::namespaces::Namespaces;
use crate::plugins::{Draft, Ground};

/// What is written for one plugin.
#[derive(Default)]
struct Section {
    network: BTreeSet<String>,
    names: BTreeMap<&'static str, BTreeSet<String>>,
    kv: BTreeMap<String, Access>,
    files: bool,
    memory_bytes: u64,
    time_ms: u64,
    /// What the flow's text does not tell.
    remarks: Vec<String>,
}

/// A policy file under which a flow, and nothing beyond it, may run; or all that is wrong with the flow.
pub fn least(source: &str, catalog: &Catalog, usual: &Limits) -> Result<String, Vec<Problem>> {
    let (policies, namespaces) = (Policies::default(), Namespaces::default());
    let ground = Ground { catalog, policies: &policies, namespaces: &namespaces, usual };
    let Draft { flow, lock, .. } = ground.resolve(source)?;
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    for one in uses(&flow, &lock) {
        let Some(package) = catalog.by_digest(&one.locked.digest) else { continue };
        let capabilities = package.manifest().capabilities_of(&one.locked.task_type);
        let section = sections.entry(one.locked.plugin.clone()).or_default();
        let needs = needs(&one, capabilities, usual);
        let names_hosts = needs.iter().any(|need| matches!(need, Needed::Host { .. }));
        for need in needs {
            section.add(need);
        }
        if !capabilities.http.is_empty() && !names_hosts {
            section
                .remarks
                .push(format!("{}: which host it reaches is known when it runs; add it to `network`", one.name));
        }
        let mut all_told = true;
        texts(&one.properties, &mut |text| all_told &= expr::first_arguments(text, "secret").1);
        if !all_told {
            section
                .remarks
                .push(format!("{}: which secret it uses is known when it runs; add it to `secrets`", one.name));
        }
    }
    Ok(written(flow.key.namespace.as_str(), flow.key.id.as_str(), &sections))
}

impl Section {
    fn add(&mut self, need: Needed) {
        let mut name = |key: &'static str, name: String| {
            self.names.entry(key).or_default().insert(name);
        };
        match need {
            Needed::Host { host, port } => {
                self.network.insert(format!("{host}:{port}"));
            }
            Needed::Secret(secret) => name("secrets", secret),
            Needed::Capability(capability) => match capability {
                // Host by host, as the flow names them.
                Capability::HttpNamedByFlow { .. } | Capability::Other(_) => {}
                Capability::Http { host, method } => {
                    let method = if method == ANY { String::new() } else { format!("{method} ") };
                    self.network.insert(format!("{method}{host}"));
                }
                Capability::Kv { operation, prefix } => {
                    let access = self.kv.entry(format!("{prefix}{ANY}")).or_insert(Access::None);
                    *access = (*access).max(access_of(&operation));
                }
                Capability::Process(program) => name("processes", program),
                Capability::Object(kind) => name("objects", kind),
                Capability::Secret(secret) => name("secrets", secret),
                Capability::Reveal(secret) => name("reveal", secret),
                Capability::Model(provider) => name("models", provider),
                Capability::Files => self.files = true,
                Capability::MemoryBytes(bytes) => self.memory_bytes = self.memory_bytes.max(bytes),
                Capability::TimeMs(ms) => self.time_ms = self.time_ms.max(ms),
            },
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.remarks.iter().map(|remark| format!("# {remark}")).collect();
        let list = |names: &BTreeSet<String>| {
            let quoted: Vec<String> = names.iter().map(|name| serde_json::json!(name).to_string()).collect();
            format!("[{}]", quoted.join(", "))
        };
        if !self.network.is_empty() {
            lines.push(format!("network: {}", list(&self.network)));
        }
        if self.files {
            lines.push("files: write".to_owned());
        }
        if !self.kv.is_empty() {
            let word = |access: &Access| if *access == Access::Write { "write" } else { "read" };
            let keys = self.kv.iter().map(|(keys, access)| format!("{} {keys}", word(access))).collect();
            lines.push(format!("kv: {}", list(&keys)));
        }
        for (key, names) in &self.names {
            let all = names.contains(ANY);
            lines.push(format!("{key}: {}", if all { "true".to_owned() } else { list(names) }));
        }
        if self.memory_bytes > 0 {
            lines.push(format!("memory: {} MiB", self.memory_bytes.div_ceil(1 << 20)));
        }
        if self.time_ms > 0 {
            lines.push(format!("time: PT{}S", self.time_ms.div_ceil(1_000)));
        }
        lines
    }
}

fn written(namespace: &str, id: &str, sections: &BTreeMap<String, Section>) -> String {
    let mut text = format!("# What flow {namespace}/{id} needs.\nprofile: strict\n");
    let needed: Vec<(&String, Vec<String>)> = sections
        .iter()
        .map(|(plugin, section)| (plugin, section.lines()))
        .filter(|(_, lines)| !lines.is_empty())
        .collect();
    if needed.is_empty() {
        return text;
    }
    let _ = write!(text, "namespaces:\n  {namespace}:\n    plugins:\n");
    for (plugin, lines) in needed {
        let empty = if lines.iter().all(|line| line.starts_with('#')) { " {}" } else { "" };
        let _ = writeln!(text, "      {plugin}:{empty}");
        for line in lines {
            let _ = writeln!(text, "        {line}");
        }
    }
    text
}
