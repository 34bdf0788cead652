//! What the registries hold, as one immutable snapshot that is cheap to clone. A change on disk is seen by `reload`, which makes
//! another snapshot; whoever holds the old one goes on with it. Nothing in here waits for a lock.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::lock::{Digest, Locked};
use semver::Version;

use crate::approvals::{Held, Records};
use crate::error::{Error, List};
use crate::journal::{Entry as JournalEntry, Journal, Stamp};
use crate::manifest::{Manifest, TaskType};
use crate::name::PluginName;
use crate::ownership::Owners;
use crate::published::Published;
use crate::registry::{Check, Origin, Package, Problem, Source, version_folders};
use crate::requirement::Requirement;
use crate::rules::Rules;

/// The host that plugins are to run on.
#[derive(Clone, Debug)]
pub struct Host {
    /// Sluice's own version.
    pub version: Version,
    /// Task types the engine carries out itself: no plugin may claim them, and they are offered as near names.
    pub built_in: Vec<String>,
}

/// A snapshot of one or several registries.
#[derive(Clone, Debug)]
pub struct Catalog(Arc<Snapshot>, Arc<Rules>);

#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) sources: Vec<Source>,
    pub(crate) host: Host,
    check: Check,
    pub(crate) owners: Owners,
    pub(crate) plugins: BTreeMap<PluginName, BTreeMap<Version, Arc<Package>>>,
    /// Also those that a file named for one run stands in front of: locks still mean them.
    digests: BTreeMap<Digest, Arc<Package>>,
    problems: Vec<Problem>,
    /// What the journal says, and which versions must not be used for it.
    pub(crate) records: Records,
    pub(crate) held: BTreeMap<Digest, Held>,
    /// The versions that were there when it was made, and the journal.
    seen: (Vec<PathBuf>, Option<Stamp>),
}

/// A task type with the version that describes it.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    pub package: &'a Arc<Package>,
    pub task: &'a TaskType,
}

impl Catalog {
    /// Reads the registries. What cannot be used is in [`Catalog::problems`]; the rest can.
    pub fn open(sources: Vec<Source>, host: Host, check: Check) -> Self {
        let mut snapshot = Snapshot {
            owners: Owners::new(&host.built_in),
            sources,
            host,
            check,
            plugins: BTreeMap::new(),
            digests: BTreeMap::new(),
            problems: Vec::new(),
            records: Records::default(),
            held: BTreeMap::new(),
            seen: (Vec::new(), None),
        };
        snapshot.read();
        Self(Arc::new(snapshot), Arc::default())
    }

    /// The same under an operator's rules.
    #[must_use]
    pub fn with_rules(&self, rules: Rules) -> Self {
        Self(Arc::clone(&self.0), Arc::new(rules))
    }

    /// The operator's rules.
    pub fn rules(&self) -> &Rules {
        &self.1
    }

    /// The same registries as they are now.
    #[must_use]
    pub fn reload(&self) -> Self {
        let read = Self::open(self.0.sources.clone(), self.0.host.clone(), self.0.check);
        Self(read.0, Arc::clone(&self.1))
    }

    /// Whether it is the very snapshot, under the very rules, that another one is.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) && Arc::ptr_eq(&self.1, &other.1)
    }

    /// Whether versions have come or gone since, or something was decided about them.
    pub fn is_outdated(&self) -> bool {
        self.0.look() != self.0.seen
    }

    /// What was done to the registry that is written to, oldest first. Read from the disk.
    pub fn journal(&self) -> Result<Vec<JournalEntry>, Error> {
        match self.writable_root() {
            Ok(root) => Ok(Journal::of(root).read()?.0),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// The registry that is written to.
    pub(crate) fn writable_root(&self) -> Result<&Path, Error> {
        self.0.writable_root().ok_or(Error::NoRegistry)
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.0
    }

    /// The host that plugins are to run on.
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// What lies in the registries and cannot be used, and why.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// All plugins by name, each with its versions, oldest first.
    pub fn plugins(&self) -> impl Iterator<Item = (&PluginName, impl DoubleEndedIterator<Item = &Arc<Package>>)> {
        self.0.plugins.iter().map(|(name, versions)| (name, versions.values()))
    }

    /// The versions of one plugin, oldest first.
    pub fn versions(&self, plugin: &str) -> impl DoubleEndedIterator<Item = &Arc<Package>> {
        self.0.plugins.get(plugin).into_iter().flat_map(BTreeMap::values)
    }

    /// One version of one plugin.
    pub fn package(&self, plugin: &str, version: &Version) -> Option<&Arc<Package>> {
        self.0.plugins.get(plugin)?.get(version)
    }

    /// The version with these bytes.
    pub fn by_digest(&self, digest: &Digest) -> Option<&Arc<Package>> {
        self.0.digests.get(digest)
    }

    /// What a lock means. Fails where it is no longer installed, blocked, or held.
    pub fn locked(&self, locked: &Locked) -> Result<&Arc<Package>, Error> {
        self.1.may_run(locked)?;
        let found = self.by_digest(&locked.digest).ok_or_else(|| {
            let installed: Vec<&Version> =
                self.versions(&locked.plugin).map(|package| &package.manifest().version).collect();
            let other_bytes = installed.contains(&&locked.version);
            Error::NotInstalled {
                plugin: locked.plugin.clone(),
                version: locked.version.clone(),
                detail: if other_bytes { format!(" with the locked digest {}", locked.digest) } else { String::new() },
                hint: match installed.as_slice() {
                    [] => "install it again".to_owned(),
                    versions => format!(
                        "install it again, or lock the flow to another version; installed are {}",
                        List(versions)
                    ),
                },
            }
        })?;
        self.may_be_used(found)?;
        Ok(found)
    }

    /// Every task type and alias with the plugin that owns it, in order.
    pub fn types(&self) -> impl Iterator<Item = (&str, &PluginName)> {
        self.0.owners.iter()
    }

    /// The plugin that owns a task type or alias.
    pub fn owner(&self, task_type: &str) -> Option<&PluginName> {
        self.0.owners.of(task_type)
    }

    /// A task type as its newest version that can be used here describes it; a prerelease only where there is nothing else.
    pub fn describe(&self, task_type: &str) -> Option<Described<'_>> {
        let newest = |prerelease: bool| {
            let fitting = self
                .described(task_type)
                .filter(|described| described.package.manifest().version.pre.is_empty() != prerelease);
            fitting.filter(|described| self.is_usable(described.package)).last()
        };
        newest(false).or_else(|| newest(true))
    }

    /// Whether a version runs on this host and is not held.
    pub fn is_usable(&self, package: &Package) -> bool {
        self.runs_here(package).is_ok() && self.held(package).is_none()
    }

    /// Whether a task may come to run on a version: as [`Self::is_usable`], and no operator has taken it back.
    pub fn is_offered(&self, package: &Package) -> bool {
        let manifest = package.manifest();
        self.is_usable(package) && self.rules().withheld(manifest.name.as_str(), &manifest.version).is_none()
    }

    /// A task type as each version that has it describes it, oldest first.
    pub fn described(&self, task_type: &str) -> impl Iterator<Item = Described<'_>> {
        let owner = self.owner(task_type).map_or("", PluginName::as_str);
        self.versions(owner).filter_map(move |package| {
            let task = package.manifest().task(task_type)?;
            Some(Described { package, task })
        })
    }

    /// Whether this host is new enough for a plugin version.
    pub fn runs_here(&self, package: &Package) -> Result<(), Error> {
        self.0.host_fits(package.manifest())
    }
}

impl Snapshot {
    /// The first registry of [`Origin::Installed`].
    fn writable_root(&self) -> Option<&Path> {
        self.sources.iter().find_map(|source| match source {
            Source::Folder { origin: Origin::Installed, root } => Some(root.as_path()),
            _ => None,
        })
    }

    fn look(&self) -> (Vec<PathBuf>, Option<Stamp>) {
        (version_folders(&self.sources), self.writable_root().map(|root| Journal::of(root).stamp()))
    }

    fn read(&mut self) {
        // Before they are read: what comes meanwhile makes this snapshot an old one.
        self.seen = self.look();
        let mut sources = self.sources.clone();
        sources.sort_by_key(Source::origin);
        for source in &sources {
            let (packages, problems) = source.scan(self.check);
            self.problems.extend(problems);
            for package in packages {
                let path = package.path.clone();
                let origin = package.origin;
                if let Err(error) = self.add(Arc::new(package)) {
                    self.problems.push(Problem { origin, path, error });
                }
            }
        }
        self.read_journal();
    }

    fn read_journal(&mut self) {
        let Some(journal) = self.writable_root().map(Journal::of) else { return };
        let (entries, errors) = match journal.read() {
            Ok(read) => read,
            Err(error) => {
                // Looked at again as soon as somebody asks, until it can be read: what was withdrawn must not come back by chance.
                self.seen.1 = None;
                (Vec::new(), vec![error])
            }
        };
        let problem = |error| Problem { origin: Origin::Installed, path: journal.path().to_owned(), error };
        self.problems.extend(errors.into_iter().map(problem));
        self.records = Records::of(entries);
        let named = self.plugins.values().flat_map(BTreeMap::values).filter(|package| package.origin == Origin::AdHoc);
        self.held = self.records.held(self.digests.values().chain(named));
    }

    fn add(&mut self, package: Arc<Package>) -> Result<(), Error> {
        let manifest = package.manifest();
        let digest = package.published.digest.clone();
        let installed = self.plugins.get(&manifest.name).and_then(|versions| versions.get(&manifest.version));
        if let Some(installed) = installed
            && installed.published.digest != digest
            && package.origin != Origin::AdHoc
        {
            return Err(other_bytes(&installed.published, &digest));
        }
        self.owners.claim(manifest)?;
        match self.plugins.entry(manifest.name.clone()).or_default().entry(manifest.version.clone()) {
            Entry::Occupied(mut entry) if package.origin == Origin::AdHoc => drop(entry.insert(Arc::clone(&package))),
            Entry::Occupied(_) => {}
            Entry::Vacant(entry) => drop(entry.insert(Arc::clone(&package))),
        }
        self.digests.entry(digest).or_insert(package);
        Ok(())
    }

    /// Whether this host is new enough for a plugin.
    pub(crate) fn host_fits(&self, manifest: &Manifest) -> Result<(), Error> {
        match &manifest.minimum_host {
            Some(needs) if *needs > self.host.version => Err(Error::HostTooOld {
                plugin: manifest.name.to_string(),
                version: manifest.version.clone(),
                needs: needs.to_string(),
                host: self.host.version.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// The version of these that a requirement means on this host. A file named for one run goes before what is installed.
    pub(crate) fn pick<'a>(
        &self,
        requirement: &Requirement,
        packages: &[&'a Arc<Package>],
    ) -> Option<&'a Arc<Package>> {
        let pick_of = |fits: &dyn Fn(&Package) -> bool| {
            let usable: Vec<&'a Arc<Package>> = packages
                .iter()
                .copied()
                .filter(|package| fits(package) && self.host_fits(package.manifest()).is_ok())
                .collect();
            let version = requirement.pick(usable.iter().map(|package| &package.manifest().version))?;
            usable.into_iter().find(|package| package.manifest().version == *version)
        };
        pick_of(&|package| package.origin == Origin::AdHoc).or_else(|| pick_of(&|_| true))
    }
}

pub(crate) fn other_bytes(installed: &Published, offered: &Digest) -> Error {
    Error::OtherBytes {
        plugin: installed.manifest.name.to_string(),
        version: installed.manifest.version.clone(),
        installed: installed.digest.clone(),
        offered: offered.clone(),
    }
}
