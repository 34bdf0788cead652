//! Which versions may be used, by what they ask for: a version that asks for more than the approved versions of the same plugin is held
//! until somebody approves it. Decides from the journal and the manifests alone; a decision is about bytes, not about a version's name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use model::lock::Digest;
use semver::Version;

use crate::capabilities::{Capabilities, Capability};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::folder::lock;
use crate::journal::{APPROVE, By, Details, Entry, INSTALL, Journal, UNINSTALL, WITHDRAW};
use crate::name::PluginName;
use crate::registry::{Origin, Package};

/// Longest reason of a decision, in bytes.
const REASON_BYTES_MAX: usize = 1_000;

/// What the journal says of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// Installed, and no more.
    Installed,
    /// Approved by being installed: it was the first, or asked for nothing more. Forgotten when it is uninstalled.
    Accepted,
    Approved,
    Withdrawn {
        reason: String,
    },
}

/// What a journal says of all versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    standings: BTreeMap<Digest, Standing>,
    signers: BTreeMap<Digest, String>,
}

/// Why a version is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// What it asks for that no approved version does.
    pub beyond: Vec<Capability>,
    /// Its approval was taken back, for this reason; empty where none was given.
    pub withdrawn: Option<String>,
}

/// One thing a version asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub capability: Capability,
    /// No other version that is approved asks for it.
    pub is_beyond: bool,
}

impl Records {
    /// What these entries come to, oldest first.
    pub(crate) fn of(entries: Vec<Entry>) -> Self {
        let mut records = Self::default();
        for entry in entries {
            let Details { sha256: Some(digest), signer, approved, reason, .. } = entry.details else { continue };
            let decided =
                matches!(records.standings.get(&digest), Some(Standing::Approved | Standing::Withdrawn { .. }));
            match entry.action.as_str() {
                INSTALL => {
                    // What somebody has decided about these bytes outlives them.
                    if !decided {
                        let standing = if approved { Standing::Accepted } else { Standing::Installed };
                        records.standings.insert(digest.clone(), standing);
                    }
                    match signer {
                        Some(signer) => records.signers.insert(digest, signer),
                        None => records.signers.remove(&digest),
                    };
                }
                UNINSTALL if !decided => drop(records.standings.remove(&digest)),
                APPROVE => drop(records.standings.insert(digest, Standing::Approved)),
                WITHDRAW => {
                    let reason = reason.unwrap_or_default();
                    records.standings.insert(digest, Standing::Withdrawn { reason });
                }
                _ => {}
            }
        }
        records
    }

    /// The key that a version's signature was made with.
    pub(crate) fn signer(&self, digest: &Digest) -> Option<&str> {
        self.signers.get(digest).map(String::as_str)
    }

    /// Whether somebody has taken back what these bytes are allowed.
    pub(crate) fn is_withdrawn(&self, digest: &Digest) -> bool {
        self.withdrawn(digest).is_some()
    }

    fn is_approved(&self, digest: &Digest) -> bool {
        matches!(self.standings.get(digest), Some(Standing::Approved | Standing::Accepted))
    }

    fn withdrawn(&self, digest: &Digest) -> Option<&str> {
        match self.standings.get(digest) {
            Some(Standing::Withdrawn { reason }) => Some(reason),
            _ => None,
        }
    }

    /// Which of these packages are held, by their bytes.
    pub(crate) fn held<'a>(&self, packages: impl Iterator<Item = &'a Arc<Package>>) -> BTreeMap<Digest, Held> {
        let mut plugins: BTreeMap<&PluginName, Vec<&Package>> = BTreeMap::new();
        for package in packages {
            plugins.entry(&package.manifest().name).or_default().push(package);
        }
        plugins.into_values().flat_map(|versions| self.held_of_one(&versions)).collect()
    }

    fn held_of_one(&self, versions: &[&Package]) -> Vec<(Digest, Held)> {
        let digest = |package: &Package| package.published.digest.clone();
        let is_approved = |package: &Package| match package.origin {
            Origin::Shipped => true,
            Origin::Installed => self.is_approved(&package.published.digest),
            // It says nothing about what is installed.
            Origin::AdHoc => false,
        };
        let named: BTreeSet<Digest> =
            versions.iter().filter(|package| package.origin == Origin::AdHoc).map(|package| digest(package)).collect();
        let approved: Vec<&Capabilities> = versions
            .iter()
            .filter(|package| is_approved(package))
            .map(|package| &package.manifest().capabilities)
            .collect();
        let mut held = Vec::new();
        for package in versions.iter().filter(|package| package.origin == Origin::Installed && !is_approved(package)) {
            let digest = digest(package);
            let beyond = package.manifest().capabilities.beyond(approved.iter().copied());
            let withdrawn = self.withdrawn(&digest).map(str::to_owned);
            let unknown = !self.standings.contains_key(&digest);
            // Put there by hand, or before there was a journal: there is nothing to hold it against.
            let is_alone = unknown && approved.is_empty();
            if !named.contains(&digest) && (withdrawn.is_some() || !(beyond.is_empty() || is_alone)) {
                held.push((digest, Held { beyond, withdrawn }));
            }
        }
        held
    }
}

impl Catalog {
    /// Why a version is held, if it is.
    pub fn held(&self, package: &Package) -> Option<&Held> {
        match package.origin {
            Origin::Installed => self.snapshot().held.get(&package.published.digest),
            Origin::Shipped | Origin::AdHoc => None,
        }
    }

    /// Whether what a version asks for is approved.
    pub(crate) fn may_be_used(&self, package: &Package) -> Result<(), Error> {
        match self.held(package) {
            None => Ok(()),
            Some(held) => Err(Error::Held {
                plugin: package.manifest().name.to_string(),
                version: package.manifest().version.clone(),
                held: held.clone(),
            }),
        }
    }

    /// The key that a version's signature was made with, when it was installed.
    pub fn signer(&self, package: &Package) -> Option<&str> {
        self.snapshot().records.signer(&package.published.digest)
    }

    /// Everything a version asks for, and which of it no other approved version asks for.
    pub fn asked(&self, package: &Package) -> Vec<Asked> {
        let others = self
            .versions(package.manifest().name.as_str())
            .filter(|other| other.published.digest != package.published.digest && self.held(other).is_none());
        let asks = &package.manifest().capabilities;
        let beyond = asks.beyond(others.map(|other| &other.manifest().capabilities));
        let asked = |capability: Capability| Asked { is_beyond: beyond.contains(&capability), capability };
        asks.each().into_iter().map(asked).collect()
    }

    /// Approves what an installed version asks for. The answer's catalog can use it.
    pub fn approve(&self, plugin: &PluginName, version: &Version, reason: &str, by: By<'_>) -> Result<Self, Error> {
        self.decide(APPROVE, plugin, version, reason, by)
    }

    /// Takes the approval of an installed version back, however it got it: it is held until it is approved again.
    pub fn withdraw(&self, plugin: &PluginName, version: &Version, reason: &str, by: By<'_>) -> Result<Self, Error> {
        self.decide(WITHDRAW, plugin, version, reason, by)
    }

    fn decide(
        &self,
        action: &str,
        plugin: &PluginName,
        version: &Version,
        reason: &str,
        by: By<'_>,
    ) -> Result<Self, Error> {
        let undecidable = |why: String, hint: &str| Error::Undecidable {
            plugin: plugin.to_string(),
            version: version.clone(),
            why,
            hint: hint.to_owned(),
        };
        if reason.len() > REASON_BYTES_MAX {
            let why = format!("the reason has {} bytes, at most {REASON_BYTES_MAX} are kept", reason.len());
            return Err(undecidable(why, "say it in fewer words"));
        }
        let root = self.writable_root()?;
        // Looked for before the lock, so that a mistyped name creates nothing.
        self.decidable(plugin, version)?;
        let _lock = lock(root)?;
        let current = self.reload();
        let package = current.decidable(plugin, version)?;
        let digest = &package.published.digest;
        let standing = current.snapshot().records.standings.get(digest);
        match (action, standing) {
            (APPROVE, Some(Standing::Approved)) | (WITHDRAW, Some(Standing::Withdrawn { .. })) => return Ok(current),
            _ => {}
        }
        let details = Details {
            sha256: Some(digest.clone()),
            beyond: current.held(package).map(|held| lines(&held.beyond)).unwrap_or_default(),
            reason: Some(reason.to_owned()).filter(|reason| !reason.trim().is_empty()),
            ..Details::default()
        };
        Journal::of(root).append(&[Entry::new(action, plugin, version, details, by)])?;
        Ok(current.reload())
    }

    fn decidable(&self, plugin: &PluginName, version: &Version) -> Result<&Arc<Package>, Error> {
        let package = self.package(plugin.as_str(), version).ok_or_else(|| self.not_installed(plugin, version))?;
        match package.origin {
            Origin::Installed => Ok(package),
            Origin::Shipped | Origin::AdHoc => Err(Error::Undecidable {
                plugin: plugin.to_string(),
                version: version.clone(),
                why: "it comes with Sluice, or was named for this run, and is approved by that".to_owned(),
                hint: "`sluice plugin block` forbids a version".to_owned(),
            }),
        }
    }
}

/// As they are shown and kept.
pub(crate) fn lines(capabilities: &[Capability]) -> Vec<String> {
    capabilities.iter().map(Capability::to_string).collect()
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.withdrawn.as_deref() {
            None => f.write_str("it asks for more than the approved versions do")?,
            Some("") => f.write_str("its approval was withdrawn")?,
            Some(reason) => write!(f, "its approval was withdrawn: {reason}")?,
        }
        self.beyond.iter().try_for_each(|beyond| write!(f, "\n- {beyond}"))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::install::Offer;
    use crate::registry::Check;
    use crate::resolve::{Level, Wish};
    use crate::testing::{Place, by, component, install, manifest};
    use serde_json::{Value, json};

    const SEND: &str = "com.example.mail.Send";

    fn asking(version: &str, capabilities: Value) -> Vec<u8> {
        let mut manifest = manifest("mail", version, &[SEND]);
        manifest["capabilities"] = capabilities;
        component(&manifest)
    }

    fn mail() -> PluginName {
        PluginName::parse("mail").unwrap()
    }

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    /// What a task that asks for `text` runs on, or the code of the refusal.
    fn picked(catalog: &Catalog, text: &str) -> String {
        match catalog.resolve(SEND, &[Wish { level: Level::Task, text }]) {
            Ok(found) => found.locked.version.to_string(),
            Err(error) => error.code().to_owned(),
        }
    }

    fn held(catalog: &Catalog) -> Vec<String> {
        let held = catalog.versions("mail").filter(|package| catalog.held(package).is_some());
        held.map(|package| package.manifest().version.to_string()).collect()
    }

    /// A registry with `mail` 1.0.0, which asks for files, and 2.0.0, which asks for a program more.
    fn place() -> (Place, Catalog) {
        let place = Place::new();
        let (catalog, _) = install(&place.catalog(), &asking("1.0.0", json!({ "files": true })), "a").unwrap();
        let more = asking("2.0.0", json!({ "files": true, "process": ["git"] }));
        let (catalog, _) = install(&catalog, &more, "b").unwrap();
        (place, catalog)
    }

    #[test]
    fn version_that_asks_for_more_is_held_until_it_is_approved() {
        let (place, catalog) = place();
        assert_eq!(held(&catalog), ["2.0.0"]);
        for (text, expected) in [("LATEST", "1.0.0"), (">=1", "1.0.0"), ("2.0.0", "PLUGIN_HELD"), ("^2", "PLUGIN_HELD")]
        {
            assert_eq!(picked(&catalog, text), expected, "{text}");
        }
        let refused = catalog.resolve(SEND, &[Wish { level: Level::Task, text: "2.0.0" }]).unwrap_err().to_string();
        assert_eq!(
            refused,
            "plugin `mail` 2.0.0 is held: it asks for more than the approved versions do\n- program `git`\nhint: `sluice plugin approve mail@2.0.0` approves it; until then flows run on other versions"
        );
        assert_eq!(catalog.describe(SEND).unwrap().package.manifest().version, version("1.0.0"));

        let approved = catalog.approve(&mail(), &version("2.0.0"), "we read it", by()).unwrap();
        assert!(catalog.is_outdated(), "who has the registry open sees that something was decided");
        assert_eq!(picked(&approved, "LATEST"), "2.0.0");
        assert_eq!(picked(&place.catalog(), "2.0.0"), "2.0.0");
        let locked = approved.resolve(SEND, &[]).unwrap().locked;
        assert!(approved.locked(&locked).is_ok());

        let withdrawn = approved.withdraw(&mail(), &version("2.0.0"), "it is loud", by()).unwrap();
        let refused = withdrawn.locked(&locked).unwrap_err();
        assert_eq!(refused.code(), "PLUGIN_HELD", "what is locked to it does not run either");
        assert!(refused.to_string().contains("its approval was withdrawn: it is loud\n- program `git`"), "{refused}");
        let actions = withdrawn.journal().unwrap().into_iter().map(|entry| (entry.action, entry.details.beyond));
        let git = vec!["program `git`".to_owned()];
        let expected = [(INSTALL, vec![]), (INSTALL, git.clone()), (APPROVE, git), (WITHDRAW, vec![])]
            .map(|(a, b)| (a.to_owned(), b));
        assert_eq!(actions.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn first_version_and_those_that_ask_for_nothing_more_are_approved_by_being_installed() {
        let (_place, catalog) = place();
        let (catalog, _) = install(&catalog, &asking("1.1.0", json!({ "files": true })), "c").unwrap();
        let (catalog, _) = install(&catalog, &asking("1.2.0", json!({})), "d").unwrap();
        assert_eq!(held(&catalog), ["2.0.0"]);
        // Once the larger ask is approved it covers others.
        let catalog = catalog.approve(&mail(), &version("2.0.0"), "", by()).unwrap();
        let (catalog, _) = install(&catalog, &asking("2.1.0", json!({ "process": ["git"] })), "e").unwrap();
        assert!(held(&catalog).is_empty());
        // An approval that was given stays, whatever becomes of the version it was measured by.
        let catalog = catalog.withdraw(&mail(), &version("2.0.0"), "", by()).unwrap();
        assert_eq!(held(&catalog), ["2.0.0"]);
    }

    #[test]
    fn of_versions_that_come_together_each_is_measured_by_those_before() {
        let place = Place::new();
        let offer = |version: &str, asks: Value| Offer::new(asking(version, asks), version);
        let offers = [
            offer("1.0.0", json!({})),
            offer("2.0.0", json!({ "files": true })),
            Offer { approval: Some("read".to_owned()), ..offer("3.0.0", json!({ "process": ["git"] })) },
            offer("4.0.0", json!({ "process": ["git"] })),
        ];
        let (catalog, _) = place.catalog().install(&offers, by()).unwrap();
        assert_eq!(held(&catalog), ["2.0.0"]);
        let approvals = catalog.journal().unwrap().into_iter().filter(|entry| entry.action == APPROVE);
        assert_eq!(approvals.map(|entry| entry.subject).collect::<Vec<_>>(), ["mail 3.0.0"]);
        // What is there already and held can be approved in the same way.
        let again = Offer { approval: Some("read".to_owned()), ..offers[1].clone() };
        let (catalog, _) = catalog.install(&[again], by()).unwrap();
        assert!(held(&catalog).is_empty());
    }

    #[test]
    fn decision_is_about_bytes_and_outlives_the_version() {
        let (_place, catalog) = place();
        let bytes = asking("1.0.0", json!({ "files": true }));
        let catalog = catalog.withdraw(&mail(), &version("1.0.0"), "", by()).unwrap();
        assert_eq!(held(&catalog), ["1.0.0", "2.0.0"]);
        let catalog = catalog.uninstall(&mail(), &version("1.0.0"), &[], by()).unwrap();
        let catalog = catalog.uninstall(&mail(), &version("2.0.0"), &[], by()).unwrap();
        let (catalog, _) = install(&catalog, &bytes, "again").unwrap();
        assert_eq!(held(&catalog), ["1.0.0"], "going and coming does not undo a withdrawal");
        // Other bytes under the same version are another matter.
        let catalog = catalog.uninstall(&mail(), &version("1.0.0"), &[], by()).unwrap();
        let (catalog, _) = install(&catalog, &asking("1.0.0", json!({ "timeMs": 1 })), "other").unwrap();
        assert!(held(&catalog).is_empty());
    }

    #[test]
    fn version_without_an_entry_is_measured_by_those_that_are_approved() {
        let place = Place::new();
        place.put_bytes(&asking("1.0.0", json!({ "process": ["git"] })));
        place.put_bytes(&asking("2.0.0", json!({ "files": true })));
        assert!(held(&place.catalog()).is_empty(), "none is approved, so there is nothing to hold it against");
        place.catalog().approve(&mail(), &version("1.0.0"), "", by()).unwrap();
        assert_eq!(held(&place.catalog()), ["2.0.0"]);
        place.catalog().approve(&mail(), &version("2.0.0"), "", by()).unwrap();
        assert!(held(&place.catalog()).is_empty());
    }

    #[test]
    fn shipped_versions_and_files_of_one_run_are_approved() {
        let (place, catalog) = place();
        let named = place.file("mail.wasm", &asking("2.0.0", json!({ "files": true, "process": ["git"] })));
        let run = Catalog::open(vec![place.installed(), named], place.host(), Check::Digests);
        let locked = run.resolve(SEND, &[]).unwrap().locked;
        assert!(run.locked(&locked).is_ok(), "the same bytes are held only where nobody named them");
        let other = place.file("other.wasm", &asking("3.0.0", json!({ "process": ["git"] })));
        let run = Catalog::open(vec![place.installed(), other], place.host(), Check::Digests);
        assert_eq!(held(&run), ["2.0.0"], "a file of one run approves nothing else");
        assert!(
            catalog
                .approve(&mail(), &version("9.0.0"), "", by())
                .is_err_and(|error| error.code() == "PLUGIN_NOT_INSTALLED")
        );

        let place = Place::new();
        let shipped = place.shipped(&[("mail", "1.0.0", SEND)]);
        let refused = shipped.withdraw(&mail(), &version("1.0.0"), "", by()).unwrap_err();
        assert_eq!(refused.code(), "PLUGIN_UNDECIDABLE");
        let (catalog, _) = install(&shipped, &asking("1.1.0", json!({ "files": true })), "a").unwrap();
        assert_eq!(held(&catalog), ["1.1.0"], "what is shipped is what others are measured by");
    }

    #[test]
    fn what_a_version_asks_is_told_with_what_is_beyond_others() {
        let (_place, catalog) = place();
        let package = catalog.package("mail", &version("2.0.0")).unwrap();
        let asked = catalog.asked(package).into_iter().map(|asked| (asked.capability.to_string(), asked.is_beyond));
        let expected = [("program `git`", true), ("files of the internal storage", false)];
        assert_eq!(asked.collect::<Vec<_>>(), expected.map(|(line, beyond)| (line.to_owned(), beyond)));
    }

    #[test]
    fn damaged_journal_is_told_of_and_the_rest_of_it_counts() {
        let (place, _) = place();
        let text = std::fs::read_to_string(place.root().join("journal.jsonl")).unwrap();
        place.write("journal.jsonl", format!("broken\n{text}").as_bytes());
        let catalog = place.catalog();
        assert_eq!(catalog.problems()[0].error.code(), "REGISTRY_JOURNAL_DAMAGED");
        assert_eq!(held(&catalog), ["2.0.0"]);
    }
}
