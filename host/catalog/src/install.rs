//! Puts versions into a registry folder and takes them out, each in one rename: a crash leaves a version whole or absent. One
//! process at a time per folder. Never overwrites a version; looking after who still needs one is the caller's, naming them is ours.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use semver::Version;

use crate::catalog::{Catalog, other_bytes};
use crate::error::Error;
use crate::name::PluginName;
use crate::published::{Provenance, Published};
use crate::registry::{COMPONENT_FILE, ENTRY_FILE, Origin, Source, version_folder};

/// Held while a registry folder is written to.
const LOCK_FILE: &str = ".lock";
/// Begins the names of folders that are not installed yet, or not any more. Scans skip them.
const WORK_PREFIX: &str = ".work-";
/// A work folder this old was left by a crash: installing takes seconds.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

/// How an installation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// It is there now.
    New,
    /// These very bytes were there already.
    AlreadyThere,
}

/// Somebody who runs on a plugin version: a flow revision or a live execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// As it is to be named: `flow company.team.daily, revision 3`.
    pub holder: String,
    pub plugin: String,
    pub version: Version,
}

impl Catalog {
    /// Installs a component into the first registry of [`Origin::Installed`]. The answer's catalog has it; other snapshots see it
    /// after `reload`. `origin` names the component in messages.
    pub fn install(
        &self,
        component: &[u8],
        provenance: Option<Provenance>,
        origin: &str,
    ) -> Result<(Self, Installed), Error> {
        let root = self.writable_root()?;
        let published = Published::of(component, provenance, origin)?;
        let _lock = lock(root)?;
        let current = self.reload();
        if current.may_install(&published)? == Installed::AlreadyThere {
            return Ok((current, Installed::AlreadyThere));
        }
        let manifest = &published.manifest;
        let plugin_folder = root.join(manifest.name.as_str());
        let version = manifest.version.to_string();
        let target = plugin_folder.join(&version);
        if target.exists() {
            return match version_folder(
                &target,
                manifest.name.as_str(),
                &version,
                Origin::Installed,
            ) {
                Ok(installed) if installed.published.digest != published.digest => {
                    Err(other_bytes(&installed, &published.digest))
                }
                Ok(_) => Err(Error::damaged(&target, "it is there and cannot be used")),
                Err(error) => Err(error),
            };
        }
        fs::create_dir_all(&plugin_folder).map_err(Error::io("create", &plugin_folder))?;
        let work = work_folder(root)?;
        let whole = work.path().join("whole");
        fs::create_dir(&whole).map_err(Error::io("create", &whole))?;
        write_synced(&whole.join(COMPONENT_FILE), component)?;
        write_synced(&whole.join(ENTRY_FILE), published.to_json().as_bytes())?;
        sync_folder(&whole)?;
        fs::rename(&whole, &target).map_err(Error::io("install", &target))?;
        sync_folder(&plugin_folder)?;
        sync_folder(root)?;
        Ok((self.reload(), Installed::New))
    }

    /// Whether a version may be installed beside what is there.
    fn may_install(&self, published: &Published) -> Result<Installed, Error> {
        let manifest = &published.manifest;
        if let Some(there) = self.package(manifest.name.as_str(), &manifest.version) {
            return match there.published.digest == published.digest {
                true => Ok(Installed::AlreadyThere),
                false => Err(other_bytes(there, &published.digest)),
            };
        }
        self.snapshot().host_fits(manifest)?;
        self.snapshot().owners.check(manifest)?;
        Ok(Installed::New)
    }

    /// Takes a version out of the first registry of [`Origin::Installed`], unless one of `references` needs it. A damaged version can be taken out
    /// as well.
    pub fn uninstall(
        &self,
        plugin: &PluginName,
        version: &Version,
        references: &[Reference],
    ) -> Result<Self, Error> {
        let by: Vec<String> = references
            .iter()
            .filter(|reference| {
                reference.plugin == plugin.as_str() && reference.version == *version
            })
            .map(|reference| reference.holder.clone())
            .collect();
        if !by.is_empty() {
            return Err(Error::StillNeeded {
                plugin: plugin.to_string(),
                version: version.clone(),
                by,
            });
        }
        let root = self.writable_root()?;
        let plugin_folder = root.join(plugin.as_str());
        let folder = plugin_folder.join(version.to_string());
        // Looked for before the lock, so that a mistyped name creates nothing.
        if !folder.is_dir() {
            return Err(self.not_installed(plugin, version));
        }
        let _lock = lock(root)?;
        let work = work_folder(root)?;
        fs::rename(&folder, work.path().join("gone")).map_err(Error::io("uninstall", &folder))?;
        sync_folder(&plugin_folder)?;
        // Only where it was the last version; otherwise the folder is not empty and stays.
        let _ = fs::remove_dir(&plugin_folder);
        sync_folder(root)?;
        Ok(self.reload())
    }

    fn writable_root(&self) -> Result<&Path, Error> {
        let mut roots = self
            .snapshot()
            .sources
            .iter()
            .filter_map(|source| match source {
                Source::Folder {
                    origin: Origin::Installed,
                    root,
                } => Some(root.as_path()),
                _ => None,
            });
        roots.next().ok_or(Error::NoRegistry)
    }

    fn not_installed(&self, plugin: &PluginName, version: &Version) -> Error {
        let shipped = self
            .package(plugin.as_str(), version)
            .is_some_and(|package| package.origin == Origin::Shipped);
        let hint = match shipped {
            true => "it comes with Sluice and cannot be uninstalled",
            false => "`sluice plugin list` shows what is installed",
        };
        Error::NotInstalled {
            plugin: plugin.to_string(),
            version: version.clone(),
            detail: String::new(),
            hint: hint.to_owned(),
        }
    }
}

/// Waits until no other process writes to this registry. Given back when the file is dropped, also by a crash.
fn lock(root: &Path) -> Result<File, Error> {
    fs::create_dir_all(root).map_err(Error::io("create", root))?;
    let path = root.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    file.lock().map_err(Error::io("lock", &path))?;
    Ok(file)
}

/// A folder of our own in the same file system, gone when dropped. Takes away what crashes left.
fn work_folder(root: &Path) -> Result<tempfile::TempDir, Error> {
    remove_leftovers(root);
    tempfile::Builder::new()
        .prefix(WORK_PREFIX)
        .tempdir_in(root)
        .map_err(Error::io("create a folder in", root))
}

/// Best effort: what cannot be removed now is tried again next time.
fn remove_leftovers(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    let leftovers = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(WORK_PREFIX));
    for entry in leftovers {
        let modified = entry.metadata().and_then(|meta| meta.modified()).ok();
        let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        if age.is_some_and(|age| age > LEFTOVER_AGE) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create_new(path).map_err(Error::io("create", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.sync_all().map_err(Error::io("sync", path))
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io("sync", path))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::testing::{EMPTY_COMPONENT, Place, component, manifest, plugin};
    use serde_json::json;

    fn refused(place: &Place, bytes: &[u8], expected: &str) {
        let before = place.files();
        let message = place
            .catalog()
            .install(bytes, None, "new.wasm")
            .unwrap_err()
            .to_string();
        assert!(message.contains(expected), "{message}");
        assert_eq!(place.files(), before, "a refusal leaves nothing behind");
    }

    #[test]
    fn installed_version_is_in_the_new_snapshot_only() {
        let place = Place::new();
        let before = place.catalog();
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        let (after, installed) = before.install(&bytes, None, "mail.wasm").unwrap();
        assert_eq!(installed, Installed::New);
        assert!(before.owner("com.example.Send").is_none());
        assert_eq!(
            after
                .resolve("com.example.Send", &[])
                .unwrap()
                .package
                .component()
                .unwrap(),
            bytes
        );
        assert_eq!(
            place.files(),
            ["mail/1.0.0/manifest.json", "mail/1.0.0/plugin.wasm"]
        );
    }

    #[test]
    fn same_bytes_again_change_nothing_and_others_are_refused() {
        let place = Place::new();
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        let (catalog, _) = place.catalog().install(&bytes, None, "mail.wasm").unwrap();
        assert_eq!(
            catalog.install(&bytes, None, "mail.wasm").unwrap().1,
            Installed::AlreadyThere
        );
        refused(
            &place,
            &plugin("mail", "1.0.0", &["com.example.Other"]),
            "plugin `mail` 1.0.0 is installed with other bytes",
        );
    }

    #[test]
    fn an_old_snapshot_does_not_overlook_what_came_since() {
        let place = Place::new();
        let old = place.catalog();
        place
            .catalog()
            .install(&plugin("mail", "1.0.0", &["com.example.Send"]), None, "a")
            .unwrap();
        let error = old
            .install(&plugin("thief", "1.0.0", &["com.example.Send"]), None, "b")
            .unwrap_err();
        assert_eq!(error.code(), "TASK_TYPE_TAKEN");
    }

    #[test]
    fn refusals_leave_nothing_behind() {
        let place = Place::new();
        place.put("mail", "1.0.0", &["com.example.Send"]);
        place
            .catalog()
            .install(&plugin("mail", "1.1.0", &["com.example.Send"]), None, "x")
            .unwrap();
        refused(
            &place,
            &plugin("thief", "1.0.0", &["com.example.Send"]),
            "belongs to plugin `mail`",
        );
        refused(
            &place,
            &plugin("mine", "1.0.0", &["io.kestra.plugin.core.log.Log"]),
            "belongs to the plugins of Sluice",
        );
        refused(
            &place,
            &plugin("mine", "1.0.0", &["io.kestra.plugin.core.flow.If"]),
            "belongs to Sluice itself",
        );
        refused(
            &place,
            EMPTY_COMPONENT,
            "`new.wasm` is not a plugin: it has no section",
        );
        let bytes = plugin("mine", "1.0.0", &["com.example.Mine"]);
        refused(&place, &bytes[..bytes.len() - 1], "is not a plugin");
        let mut newer = manifest("mine", "1.0.0", &["com.example.Mine"]);
        newer["minimumHost"] = json!("9.0.0");
        refused(
            &place,
            &component(&newer),
            "needs Sluice 9.0.0 or later, and this is 1.0.0",
        );
    }

    #[test]
    fn a_damaged_version_is_not_overwritten_but_can_be_taken_out() {
        let place = Place::new();
        place.put("mail", "1.0.0", &["com.example.Send"]);
        place.write("mail/1.0.0/manifest.json", b"{");
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        refused(&place, &bytes, "is not JSON");
        let name = PluginName::parse("mail").unwrap();
        let catalog = place
            .catalog()
            .uninstall(&name, &Version::new(1, 0, 0), &[])
            .unwrap();
        assert!(catalog.problems().is_empty());
        assert_eq!(
            catalog.install(&bytes, None, "mail.wasm").unwrap().1,
            Installed::New
        );
    }

    #[test]
    fn needed_version_is_not_uninstalled() {
        let place = Place::new();
        place.put("mail", "1.0.0", &["com.example.Send"]);
        place.put("mail", "1.1.0", &["com.example.Send"]);
        let name = PluginName::parse("mail").unwrap();
        let reference = Reference {
            holder: "flow a.b, revision 3".to_owned(),
            plugin: "mail".to_owned(),
            version: Version::new(1, 0, 0),
        };
        let references = [reference];
        let message = place
            .catalog()
            .uninstall(&name, &Version::new(1, 0, 0), &references)
            .unwrap_err()
            .to_string();
        assert!(
            message
                .starts_with("plugin `mail` 1.0.0 is still needed by flow a.b, revision 3\nhint:"),
            "{message}"
        );
        let catalog = place
            .catalog()
            .uninstall(&name, &Version::new(1, 1, 0), &references)
            .unwrap();
        assert_eq!(catalog.versions("mail").count(), 1);
        place
            .catalog()
            .uninstall(&name, &Version::new(1, 0, 0), &[])
            .unwrap();
        assert!(place.files().is_empty());
    }

    #[test]
    fn what_is_not_installed_cannot_be_uninstalled() {
        let place = Place::new();
        let name = PluginName::parse("mail").unwrap();
        let message = place
            .catalog()
            .uninstall(&name, &Version::new(1, 0, 0), &[])
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("plugin `mail` 1.0.0 is not installed\nhint: `sluice plugin list`"),
            "{message}"
        );
        let shipped = place.shipped(&[("mail", "1.0.0", "com.example.Send")]);
        let message = shipped
            .uninstall(&name, &Version::new(1, 0, 0), &[])
            .unwrap_err()
            .to_string();
        assert!(message.contains("comes with Sluice"), "{message}");
    }

    #[test]
    fn without_a_registry_of_its_own_nothing_is_installed() {
        let place = Place::new();
        let catalog = Catalog::open(Vec::new(), place.host(), crate::Check::Digests);
        let error = catalog
            .install(&plugin("mail", "1.0.0", &[]), None, "x")
            .unwrap_err();
        assert_eq!(error.code(), "CATALOG_NO_REGISTRY");
    }

    #[test]
    fn two_at_once_both_get_an_answer() {
        let place = Place::new();
        let catalog = place.catalog();
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        let outcomes: Vec<Installed> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| catalog.install(&bytes, None, "x").unwrap().1))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(
            outcomes
                .iter()
                .filter(|outcome| **outcome == Installed::New)
                .count(),
            1
        );
    }
}
