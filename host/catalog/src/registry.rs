//! Reads registries: folders `<root>/<name>/<version>/{plugin.wasm, manifest.json}`, and single files for one run. Collects every
//! problem and goes on, so that one bad version never hides the others. Writes nothing.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::component::{COMPONENT_BYTES_MAX, MANIFEST_BYTES_MAX};
use crate::error::Error;
use crate::manifest::Manifest;
use crate::published::Published;
use crate::signature::SIGNATURE_BYTES_MAX;

/// File name of a component in its version's folder.
pub(crate) const COMPONENT_FILE: &str = "plugin.wasm";
/// File name of its signature, where it has one.
pub(crate) const SIGNATURE_FILE: &str = "plugin.wasm.minisig";
/// File name of the entry beside it.
pub(crate) const ENTRY_FILE: &str = "manifest.json";
/// Most entries of one folder. A registry with more plugins, or a plugin with more versions, is no local folder any more.
const FOLDER_ENTRIES_MAX: usize = 10_000;
/// Largest entry: the manifest once more, indented, and what lies beside it.
const ENTRY_BYTES_MAX: u64 = 4 * MANIFEST_BYTES_MAX as u64;

/// Where plugins come from. The order says whose claim to a task type is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The registry that comes with Sluice; never written to.
    Shipped,
    /// What the operator installed.
    Installed,
    /// A file named for one run. It stands in front of installed versions of the same plugin, and never takes a task type away.
    AdHoc,
}

/// One place to read plugins from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A registry folder. One of [`Origin::Installed`] need not exist yet.
    Folder { origin: Origin, root: PathBuf },
    /// One component, for one run.
    File(PathBuf),
}

/// How closely a registry is looked at when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Entries are read and the sizes of components compared. Digests are checked when a component is loaded.
    Sizes,
    /// Every component is read and compared with its entry.
    Digests,
}

/// One plugin version in one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    pub published: Published,
    pub origin: Origin,
    /// The component.
    pub path: PathBuf,
}

impl Package {
    /// What the plugin says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.published.manifest
    }

    /// The component's bytes. They are the published ones: digest and manifest are checked on every load.
    pub fn component(&self) -> Result<Vec<u8>, Error> {
        let bytes = read_bounded(&self.path, COMPONENT_BYTES_MAX)?;
        self.published.agrees_with(&bytes).map_err(|reason| Error::damaged(&self.path, reason))?;
        Ok(bytes)
    }

    /// The signature beside it, if there is one.
    pub fn signature(&self) -> Result<Option<String>, Error> {
        let path = self.path.with_file_name(SIGNATURE_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = read_bounded(&path, SIGNATURE_BYTES_MAX)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn check(&self, check: Check) -> Result<(), Error> {
        if check == Check::Digests {
            return self.component().map(drop);
        }
        let size_bytes = fs::metadata(&self.path).map_err(Error::io("read", &self.path))?.len();
        match self.published.size_bytes {
            Some(published) if published != size_bytes => {
                Err(Error::damaged(&self.path, format!("it has {size_bytes} bytes, and {published} were published")))
            }
            _ => Ok(()),
        }
    }
}

/// Something in a registry that cannot be used, and why.
#[derive(Debug)]
pub struct Problem {
    pub origin: Origin,
    pub path: PathBuf,
    pub error: Error,
}

impl Source {
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Folder { origin, .. } => *origin,
            Self::File(_) => Origin::AdHoc,
        }
    }

    /// Everything usable in this place, by name and version, and everything that is not.
    pub(crate) fn scan(&self, check: Check) -> (Vec<Package>, Vec<Problem>) {
        let mut scan = Scan { origin: self.origin(), check, packages: Vec::new(), problems: Vec::new() };
        match self {
            Self::Folder { root, .. } => scan.registry(root),
            Self::File(path) => {
                let read = file(path);
                scan.keep(path, read);
            }
        }
        let Scan { mut packages, problems, .. } = scan;
        packages.sort_by(|a, b| {
            (&a.manifest().name, &a.manifest().version).cmp(&(&b.manifest().name, &b.manifest().version))
        });
        (packages, problems)
    }
}

/// The folders that are versions, or look like it. What cannot be listed is left out: `scan` says why.
pub(crate) fn version_folders(sources: &[Source]) -> Vec<PathBuf> {
    let roots = sources.iter().filter_map(|source| match source {
        Source::Folder { root, .. } => Some(root),
        Source::File(_) => None,
    });
    let plugins = roots.flat_map(|root| folders(root).unwrap_or_default());
    let versions = plugins.flat_map(|(_, folder)| folders(&folder).unwrap_or_default());
    versions.map(|(_, folder)| folder).collect()
}

/// Whether there is any version of a plugin, usable or not.
pub(crate) fn has_versions(plugin: &Path) -> bool {
    folders(plugin).is_ok_and(|versions| !versions.is_empty())
}

struct Scan {
    origin: Origin,
    check: Check,
    packages: Vec<Package>,
    problems: Vec<Problem>,
}

impl Scan {
    fn registry(&mut self, root: &Path) {
        if self.origin == Origin::Installed && !root.exists() {
            return;
        }
        for (name, folder) in self.folders(root) {
            for (version, folder) in self.folders(&folder) {
                let read = version_folder(&folder, &name, &version, self.origin).and_then(|package| {
                    package.check(self.check)?;
                    Ok(package)
                });
                self.keep(&folder, read);
            }
        }
    }

    fn keep(&mut self, path: &Path, read: Result<Package, Error>) {
        match read {
            Ok(package) => self.packages.push(package),
            Err(error) => self.problems.push(Problem { origin: self.origin, path: path.to_owned(), error }),
        }
    }

    /// The folders in a folder. Names with a dot in front are ours (half-done installs) or the system's; files are not plugins.
    fn folders(&mut self, parent: &Path) -> Vec<(String, PathBuf)> {
        match folders(parent) {
            Ok(found) => found,
            Err(error) => {
                self.problems.push(Problem { origin: self.origin, path: parent.to_owned(), error });
                Vec::new()
            }
        }
    }
}

fn folders(parent: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut found = Vec::new();
    for (count, entry) in fs::read_dir(parent).map_err(Error::io("list", parent))?.enumerate() {
        if count >= FOLDER_ENTRIES_MAX {
            return Err(Error::damaged(parent, format!("it has more than {FOLDER_ENTRIES_MAX} entries")));
        }
        let path = entry.map_err(Error::io("list", parent))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.starts_with('.') && path.is_dir() {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}

/// One version as it lies in a registry.
pub(crate) fn version_folder(folder: &Path, name: &str, version: &str, origin: Origin) -> Result<Package, Error> {
    let entry = folder.join(ENTRY_FILE);
    let text = read_bounded(&entry, ENTRY_BYTES_MAX)?;
    let published = Published::parse(&text, &entry.display().to_string())?;
    let manifest = &published.manifest;
    if manifest.name.as_str() != name || manifest.version.to_string() != version {
        let reason = format!(
            "it holds plugin `{}` {}, which belongs into `{}/{}`",
            manifest.name, manifest.version, manifest.name, manifest.version
        );
        return Err(Error::damaged(folder, reason));
    }
    let path = folder.join(COMPONENT_FILE);
    if !path.is_file() {
        return Err(Error::damaged(folder, format!("it has no `{COMPONENT_FILE}`")));
    }
    Ok(Package { published, origin, path })
}

fn file(path: &Path) -> Result<Package, Error> {
    let bytes = read_bounded(path, COMPONENT_BYTES_MAX)?;
    let published = Published::of(&bytes, None, &path.display().to_string())?;
    Ok(Package { published, origin: Origin::AdHoc, path: path.to_owned() })
}

/// A file's bytes, if it is a file and not larger than `limit`.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    // Opening a pipe would wait for its writer.
    let meta = fs::metadata(path).map_err(Error::io("read", path))?;
    if !meta.is_file() {
        return Err(Error::io("read", path)(ErrorKind::InvalidInput.into()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(Error::damaged(path, format!("it is larger than {} MiB", limit / 1024 / 1024)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::catalog::Catalog;
    use crate::testing::{Place, plugin};
    use model::lock::Digest;

    /// A registry with one good plugin, and `mail` 1.0.0 to be broken.
    fn place() -> Place {
        let place = Place::new();
        place.put("good", "1.0.0", &["com.example.Good"]);
        place.put("mail", "1.0.0", &["com.example.Send"]);
        place
    }

    fn one_problem(catalog: &Catalog, expected: &str) {
        let messages: Vec<String> = catalog.problems().iter().map(|problem| problem.error.to_string()).collect();
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(messages[0].contains(expected), "{messages:?}");
        assert!(catalog.owner("com.example.Good").is_some(), "one bad version hides no other");
        assert!(catalog.owner("com.example.Send").is_none());
    }

    #[test]
    fn changed_component_is_found_by_its_digest() {
        let place = place();
        let mut bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        *bytes.last_mut().unwrap() ^= 1;
        place.write("mail/1.0.0/plugin.wasm", &bytes);
        one_problem(&place.catalog(), "mail/1.0.0/plugin.wasm` is damaged: its sha256 is");
    }

    #[test]
    fn truncated_component_is_found_by_its_size_alone() {
        let place = place();
        place.write("mail/1.0.0/plugin.wasm", b"\0asm");
        let catalog = Catalog::open(vec![place.installed()], place.host(), Check::Sizes);
        one_problem(&catalog, "it has 4 bytes, and ");
    }

    #[test]
    fn component_changed_after_opening_is_not_loaded() {
        let place = place();
        let catalog = Catalog::open(vec![place.installed()], place.host(), Check::Sizes);
        let mut bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        *bytes.last_mut().unwrap() ^= 1;
        place.write("mail/1.0.0/plugin.wasm", &bytes);
        let package = catalog.versions("mail").next().unwrap();
        assert_eq!(package.component().unwrap_err().code(), "PLUGIN_DAMAGED");
    }

    #[test]
    fn broken_folders_are_problems_of_their_own() {
        let break_with = |action: &dyn Fn(&Path)| {
            let place = place();
            action(&place.root());
            place.catalog()
        };
        one_problem(
            &break_with(&|root| fs::remove_file(root.join("mail/1.0.0/plugin.wasm")).unwrap()),
            "it has no `plugin.wasm`",
        );
        one_problem(
            &break_with(&|root| fs::remove_file(root.join("mail/1.0.0/manifest.json")).unwrap()),
            "cannot read `",
        );
        one_problem(
            &break_with(&|root| fs::write(root.join("mail/1.0.0/manifest.json"), "[]").unwrap()),
            "is not valid",
        );
        one_problem(
            &break_with(&|root| fs::rename(root.join("mail"), root.join("other")).unwrap()),
            "belongs into `mail/1.0.0`",
        );
        one_problem(
            &break_with(&|root| fs::rename(root.join("mail/1.0.0"), root.join("mail/2.0.0")).unwrap()),
            "belongs into `mail/1.0.0`",
        );
    }

    #[test]
    fn oversize_files_are_not_read() {
        let place = place();
        let entry = File::options().write(true).open(place.root().join("mail/1.0.0/manifest.json")).unwrap();
        entry.set_len(ENTRY_BYTES_MAX + 1).unwrap();
        one_problem(&place.catalog(), "larger than 4 MiB");
    }

    #[test]
    fn half_installed_folders_and_stray_files_are_no_plugins() {
        let place = place();
        fs::rename(place.root().join("mail"), place.root().join(".work-x")).unwrap();
        place.write("README.md", b"hello");
        let catalog = place.catalog();
        assert!(catalog.problems().is_empty(), "{:?}", catalog.problems());
        assert_eq!(catalog.plugins().count(), 1);
    }

    #[test]
    fn missing_registry_is_a_problem_unless_it_is_the_users_own() {
        let place = Place::new();
        assert!(place.catalog().problems().is_empty());
        let root = place.root().join("nowhere");
        let catalog =
            Catalog::open(vec![Source::Folder { origin: Origin::Shipped, root }], place.host(), Check::Digests);
        assert_eq!(catalog.problems().len(), 1);
    }

    #[test]
    fn file_for_one_run_stands_in_front_and_locks_still_find_the_installed_bytes() {
        let place = place();
        place.put("mail", "2.0.0", &["com.example.Send"]);
        let installed = place.catalog().resolve("com.example.Send", &[]).unwrap().locked;
        let rebuilt = plugin("mail", "2.0.0", &["com.example.Send", "com.example.New"]);
        let catalog =
            Catalog::open(vec![place.file("my.wasm", &rebuilt), place.installed()], place.host(), Check::Digests);
        assert!(catalog.problems().is_empty(), "{:?}", catalog.problems());
        let chosen = catalog.resolve("com.example.Send", &[]).unwrap();
        assert_eq!(chosen.package.component().unwrap(), rebuilt);
        assert_ne!(chosen.locked.digest, installed.digest);
        assert_eq!(catalog.locked(&installed).unwrap().origin, Origin::Installed);
        let older = plugin("mail", "1.5.0", &["com.example.Send"]);
        let catalog =
            Catalog::open(vec![place.installed(), place.file("old.wasm", &older)], place.host(), Check::Digests);
        assert_eq!(catalog.resolve("com.example.Send", &[]).unwrap().locked.version.to_string(), "1.5.0");
    }

    #[test]
    fn file_for_one_run_takes_no_task_type_away() {
        let place = place();
        let thief = place.file("thief.wasm", &plugin("thief", "1.0.0", &["com.example.Send"]));
        let catalog = Catalog::open(vec![thief, place.installed()], place.host(), Check::Digests);
        assert_eq!(catalog.owner("com.example.Send").unwrap().as_str(), "mail");
        assert_eq!(catalog.problems()[0].origin, Origin::AdHoc);
        assert_eq!(catalog.problems()[0].error.code(), "TASK_TYPE_TAKEN");
    }

    #[test]
    fn shipped_bytes_win_over_others_under_the_same_version() {
        let place = Place::new();
        place.put("mail", "1.0.0", &["com.example.Send", "com.example.More"]);
        let catalog = place.shipped(&[("mail", "1.0.0", "com.example.Send")]);
        assert_eq!(catalog.versions("mail").next().unwrap().origin, Origin::Shipped);
        assert_eq!(catalog.problems()[0].error.code(), "PLUGIN_VERSION_CHANGED");
        assert!(catalog.owner("com.example.More").is_none());
    }

    #[test]
    fn gone_version_is_named() {
        let place = place();
        let catalog = place.catalog();
        let mut locked = catalog.resolve("com.example.Send", &[]).unwrap().locked;
        locked.digest = Digest("0".repeat(64));
        let message = catalog.locked(&locked).unwrap_err().to_string();
        assert!(message.starts_with("plugin `mail` 1.0.0 is not installed with the locked digest 000"), "{message}");
        assert!(message.ends_with("installed are 1.0.0"), "{message}");
    }
}
