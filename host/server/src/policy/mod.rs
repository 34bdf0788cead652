//! What an operator allows plugins here: the policy file as it is now, and what it adds up to for a plugin in a namespace.

mod allowed;
mod check;
mod hosts;
mod least;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use catalog::{Capability, Level, Wish};
use model::policy::{EVERY, Level as Written, Policy, Section};
use model::{Problem, Severity};
use runtime::NetworkRule;

pub(crate) use allowed::{Allowed, asked, has};
pub use check::Refusal;
pub(crate) use check::{Asking, refusals};
pub use hosts::allow_net;
pub(crate) use hosts::{check_hosts, listed, named, pattern};
pub use least::least;

use crate::worker::Bound;

/// Most bytes of a policy file.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// A policy in force.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    written: Arc<Policy>,
    file: Option<PathBuf>,
    /// What the file looked like when it was read.
    stamp: Option<Stamp>,
    /// Hosts that are open beside what is written.
    opened: Vec<NetworkRule>,
}

type Stamp = (SystemTime, u64);

/// Why a policy file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("cannot read the policy `{}`: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the policy `{}` has more than {FILE_MAX_BYTES} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("the policy `{}` is not valid:{}", path.display(), lines(problems))]
    Invalid { path: PathBuf, problems: Vec<Problem> },
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {}", problem.to_string().replace('\n', "\n  "))).collect()
}

impl Policies {
    /// Reads a policy file. Every problem in it is told.
    pub fn read(file: &Path) -> Result<Self, Unusable> {
        let failed = |source| Unusable::Io { path: file.to_owned(), source };
        // Looked at first: what is written meanwhile is another file.
        let stamp = stamp(file).map_err(failed)?;
        if stamp.1 > FILE_MAX_BYTES {
            return Err(Unusable::TooLarge { path: file.to_owned() });
        }
        let text = std::fs::read_to_string(file).map_err(failed)?;
        let invalid = |problems| Unusable::Invalid { path: file.to_owned(), problems };
        let written = model::read_policy(&text).map_err(invalid)?;
        let wrong: Vec<Problem> = unbindable(&written).collect();
        if !wrong.is_empty() {
            return Err(invalid(wrong));
        }
        let (written, file) = (Arc::new(written), Some(file.to_owned()));
        Ok(Self { written, file, stamp: Some(stamp), opened: Vec::new() })
    }

    /// The same, with hosts open beside it.
    #[must_use]
    pub fn opening(mut self, rules: impl IntoIterator<Item = NetworkRule>) -> Self {
        self.opened.extend(rules);
        self
    }

    /// Hosts that are open beside what is written.
    pub(crate) fn opened(&self) -> &[NetworkRule] {
        &self.opened
    }

    /// The same file as it is now, if it has changed.
    pub(crate) fn again(&self) -> Option<Result<Self, Unusable>> {
        let file = self.file.as_deref()?;
        match stamp(file) {
            Ok(now) if Some(now) == self.stamp => None,
            _ => Some(Self::read(file).map(|read| read.opening(self.opened.iter().cloned()))),
        }
    }

    /// The same policy, as if its file were as it is now: one that cannot be used is not read again and again.
    pub(crate) fn looked_at(&self) -> Self {
        let stamp = self.file.as_deref().and_then(|file| stamp(file).ok());
        Self { stamp, ..self.clone() }
    }

    /// Where it is written.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What a plugin may do in a namespace.
    pub(crate) fn allowed(&self, namespace: &str, plugin: &str) -> Allowed {
        let mut has = Section::of(self.written.server.profile.unwrap_or_default());
        let mut place = "plugins";
        let mut said_by = String::new();
        add(&mut has, &self.written.server.plugins, plugin);
        for (name, level) in self.levels(namespace) {
            if let Some(profile) = level.profile {
                has = Section::of(profile);
            }
            // What is written further out is not heard behind a level that begins again.
            let begins_again = level.plugins.get(EVERY).is_some_and(|section| section.profile.is_some());
            if level.profile.is_some() || begins_again || level.plugins.contains_key(plugin) {
                place = "namespaces";
                said_by = format!(" {name}: plugins:");
            }
            add(&mut has, &level.plugins, plugin);
        }
        let file = match &self.file {
            Some(file) => format!("in `{}`", file.display()),
            None => "in a policy file (`--policy FILE`)".to_owned(),
        };
        Allowed { has, place: format!("under `{place}:{said_by} {plugin}:` {file}") }
    }

    /// What is to be written so that a plugin has a capability in a namespace (empty: the server at large), and where; `None`: it has it.
    pub fn lacks(&self, namespace: &str, plugin: &str, capability: &Capability) -> Option<String> {
        let allowed = self.allowed(namespace, plugin);
        let has = match capability {
            // Which hosts those are only a flow tells.
            Capability::HttpNamedByFlow { .. } => !allowed.has.network.is_empty(),
            capability => allowed.covers(capability),
        };
        let needed = check::Needed::Capability(capability.clone());
        (!has).then(|| match needed.line() {
            Some(line) => format!("add `{line}` {}", allowed.place),
            None => "a newer Sluice may know it".to_owned(),
        })
    }

    /// What is asked for of a plugin's version where flows ask for nothing: the namespace first, then those above it, then the server.
    pub(crate) fn version_wishes(&self, namespace: &str, plugin: &str) -> Vec<Wish<'_>> {
        let mut levels: Vec<(Level, &Written)> =
            self.levels(namespace).map(|(_, level)| (Level::Namespace, level)).collect();
        // The nearest is heard first.
        levels.reverse();
        levels.push((Level::Server, &self.written.server));
        let asked = levels.into_iter().filter_map(|(level, written)| {
            let text = written.versions.get(plugin).or_else(|| written.versions.get(EVERY))?;
            Some(Wish { level, text })
        });
        asked.collect()
    }

    /// The hosts that a secret is bound to; nothing where it is not bound.
    pub(crate) fn secret_hosts(&self, name: &str) -> Option<&[String]> {
        self.written.secrets.get(&name.to_ascii_uppercase()).map(Vec::as_slice)
    }

    /// What is written for the namespaces on the way down to one, outermost first.
    fn levels(&self, namespace: &str) -> impl Iterator<Item = (&str, &Written)> {
        let ends = namespace.match_indices('.').map(|(at, _)| at).chain([namespace.len()]);
        let names: Vec<&str> = ends.filter_map(|end| namespace.get(..end)).collect();
        names
            .into_iter()
            .filter_map(|name| self.written.namespaces.get_key_value(name).map(|(name, level)| (name.as_str(), level)))
    }
}

/// Hosts that no secret can be bound to.
fn unbindable(written: &Policy) -> impl Iterator<Item = Problem> {
    let all = written.secrets.iter().flat_map(|(name, hosts)| hosts.iter().map(move |host| (name, host)));
    all.filter_map(|(name, host)| {
        let message = Bound::parse(host).err()?;
        Some(Problem {
            path: format!("secrets.{name}.hosts"),
            line: 0,
            column: 0,
            code: "policy.host",
            message,
            hint: None,
            severity: Severity::Error,
        })
    })
}

/// Adds what is written for every plugin, then what is written for one.
fn add(has: &mut Section, sections: &BTreeMap<String, Section>, plugin: &str) {
    [EVERY, plugin].iter().filter_map(|name| sections.get(*name)).for_each(|section| has.add(section));
}

fn stamp(file: &Path) -> std::io::Result<Stamp> {
    let meta = std::fs::metadata(file)?;
    Ok((meta.modified()?, meta.len()))
}

/// What a flow says a plugin may do in it; nothing where it does not speak of it.
pub(crate) fn of_flow(flow: &model::flow::Flow, plugin: &str) -> Option<Allowed> {
    let speaks = [EVERY, plugin].iter().any(|name| flow.grants.contains_key(*name));
    speaks.then(|| {
        let mut has = Section::default();
        add(&mut has, &flow.grants, plugin);
        Allowed { has, place: format!("under `grants: {plugin}:` in the flow") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::policy::{Access, Network};

    fn policies(text: &str) -> Policies {
        let written = model::read_policy(text).expect("a policy");
        Policies { written: Arc::new(written), ..Policies::default() }
    }

    #[test]
    fn what_is_written_adds_and_a_profile_begins_again() {
        let standard = Policies::default().allowed("a", "http");
        assert_eq!(
            (standard.has.network.as_slice(), standard.has.files),
            (&[Network::Flow, Network::Plugin][..], Access::Write)
        );
        assert!(standard.has.processes.is_empty() && standard.has.reveal.is_empty());
        let policies = policies(
            "plugins:\n  '*': {processes: [a]}\n  http: {processes: [b]}\n  mail: {profile: strict, files: read}\nnamespaces:\n  \
             x: {plugins: {http: {processes: [c]}}}\n  x.y: {profile: strict, plugins: {http: {files: read}}}\n",
        );
        let processes = |namespace: &str, plugin: &str| policies.allowed(namespace, plugin).has.processes;
        assert_eq!(processes("a", "http"), ["a", "b"]);
        assert_eq!(processes("a", "git"), ["a"]);
        assert_eq!(processes("a", "mail"), [""; 0]);
        assert_eq!(policies.allowed("a", "mail").has.files, Access::Read);
        assert_eq!(processes("x", "http"), ["a", "b", "c"]);
        assert_eq!(processes("x.z", "http"), ["a", "b", "c"]);
        assert_eq!(processes("xy", "http"), ["a", "b"]);
        let strict = policies.allowed("x.y.z", "http");
        assert_eq!((strict.has.processes.len(), strict.has.files, strict.has.network.len()), (0, Access::Read, 0));
        assert_eq!(strict.place, "under `namespaces: x.y: plugins: http:` in a policy file (`--policy FILE`)");
        assert!(policies.allowed("x", "git").place.starts_with("under `plugins: git:`"));
        let every = self::policies("namespaces: {x: {plugins: {'*': {profile: strict}}}}\n");
        assert!(every.allowed("x.y", "git").place.starts_with("under `namespaces: x: plugins: git:`"));
    }

    #[test]
    fn the_nearest_asks_for_versions_first() {
        let policies = policies(
            "versions: {core: ^1, '*': OLDEST}\nnamespaces: {x: {versions: {core: '1.0.0'}}, x.y: {versions: {core: '1.1.0'}}}\n",
        );
        let asked = |namespace: &str, plugin: &str| -> Vec<String> {
            policies.version_wishes(namespace, plugin).iter().map(|wish| wish.text.to_owned()).collect()
        };
        assert_eq!(asked("x.y.z", "core"), ["1.1.0", "1.0.0", "^1"]);
        assert_eq!(asked("x", "http"), ["OLDEST"]);
        assert!(Policies::default().version_wishes("x", "core").is_empty());
    }
}
