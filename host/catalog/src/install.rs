//! Puts versions into a registry folder and takes them out. What comes is staged beside, moved into place by a rename each, and told to the
//! journal; until the journal has it, everything is undone. Never overwrites a version; looking after who still needs one is the caller's,
//! naming them is ours.

use std::fs;
use std::path::{Path, PathBuf};

use semver::Version;

use crate::approvals::lines;
use crate::catalog::{Catalog, other_bytes};
use crate::error::Error;
use crate::folder::{lock, sync_folder, work_folder, write_synced};
use crate::journal::{APPROVE, By, Details, Entry, INSTALL, Journal, UNINSTALL};
use crate::name::PluginName;
use crate::ownership::Owners;
use crate::published::{Provenance, Published};
use crate::registry::{COMPONENT_FILE, ENTRY_FILE, Origin, SIGNATURE_FILE, has_versions, version_folder};
use crate::trust::Signed;

/// How an installation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// It is there now.
    New,
    /// These very bytes were there already.
    AlreadyThere,
}

/// A component that is to be installed.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    pub component: Vec<u8>,
    pub provenance: Option<Provenance>,
    /// Where it comes from: names it in messages and in the journal.
    pub origin: String,
    /// Its signature, which is kept beside it.
    pub signed: Option<Signed>,
    /// Why what it asks for is approved, whatever that is; `None`: it is held if it asks for more than others.
    pub approval: Option<String>,
}

impl Offer {
    /// A component and nothing else.
    pub fn new(component: Vec<u8>, origin: &str) -> Self {
        Self { component, origin: origin.to_owned(), ..Self::default() }
    }
}

/// Somebody who runs on a plugin version: a flow revision or a live execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// As it is to be named: `flow company.team.daily, revision 3`.
    pub holder: String,
    pub plugin: String,
    pub version: Version,
}

/// A version that passed every check and is not there yet.
struct Coming<'a> {
    published: Published,
    offer: &'a Offer,
    target: PathBuf,
}

impl Catalog {
    /// Installs components into the first registry of [`Origin::Installed`], all or none. The answer's catalog has them, and how each came;
    /// other snapshots see them after `reload`.
    pub fn install(&self, offers: &[Offer], by: By<'_>) -> Result<(Self, Vec<Installed>), Error> {
        let root = self.writable_root()?;
        let published = offers.iter().map(|offer| {
            Published::of(&offer.component, offer.provenance.clone(), &offer.origin).map(|published| (published, offer))
        });
        let published = published.collect::<Result<Vec<_>, Error>>()?;
        let _lock = lock(root)?;
        let current = self.reload();
        let mut entries = current.approved_again(&published, by);
        let (coming, how) = current.may_install(root, published)?;
        entries.extend(current.entries_of(root, &coming, by));
        if entries.is_empty() {
            return Ok((current, how));
        }
        let work = work_folder(root)?;
        for (place, coming) in coming.iter().enumerate() {
            stage(&work.path().join(place.to_string()), coming)?;
        }
        let moved = move_in(root, work.path(), &coming).and_then(|()| Journal::of(root).append(&entries));
        if let Err(error) = moved {
            move_out(root, work.path(), &coming);
            return Err(error);
        }
        Ok((self.reload(), how))
    }

    /// What of these is new, and how each is to come, if all of them may be installed beside what is there and beside each other.
    fn may_install<'a>(
        &self,
        root: &Path,
        offered: Vec<(Published, &'a Offer)>,
    ) -> Result<(Vec<Coming<'a>>, Vec<Installed>), Error> {
        let mut owners = self.snapshot().owners.clone();
        let (mut coming, mut how): (Vec<Coming<'a>>, _) = (Vec::new(), Vec::new());
        for (published, offer) in offered {
            let target = folder_of(root, &published.manifest.name, &published.manifest.version);
            let twice = coming.iter().any(|other| other.target == target && other.published.digest == published.digest);
            if twice || self.may_come(&published, &target, &mut owners)? == Installed::AlreadyThere {
                how.push(Installed::AlreadyThere);
                continue;
            }
            if let Some(other) = coming.iter().find(|other| other.target == target) {
                return Err(other_bytes(&other.published, &published.digest));
            }
            how.push(Installed::New);
            coming.push(Coming { published, offer, target });
        }
        Ok((coming, how))
    }

    fn may_come(&self, published: &Published, target: &Path, owners: &mut Owners) -> Result<Installed, Error> {
        let manifest = &published.manifest;
        if let Some(there) = self.package(manifest.name.as_str(), &manifest.version) {
            return match there.published.digest == published.digest {
                true => Ok(Installed::AlreadyThere),
                false => Err(other_bytes(&there.published, &published.digest)),
            };
        }
        self.snapshot().host_fits(manifest)?;
        owners.claim(manifest)?;
        if !target.exists() {
            return Ok(Installed::New);
        }
        match version_folder(target, manifest.name.as_str(), &manifest.version.to_string(), Origin::Installed) {
            Ok(there) if there.published.digest != published.digest => {
                Err(other_bytes(&there.published, &published.digest))
            }
            Ok(_) => Err(Error::damaged(target, "it is there and cannot be used")),
            Err(error) => Err(error),
        }
    }

    /// Takes a version out of the first registry of [`Origin::Installed`], unless one of `references` needs it. A damaged version can be taken out
    /// as well.
    pub fn uninstall(
        &self,
        plugin: &PluginName,
        version: &Version,
        references: &[Reference],
        by: By<'_>,
    ) -> Result<Self, Error> {
        let holders: Vec<String> = references
            .iter()
            .filter(|reference| reference.plugin == plugin.as_str() && reference.version == *version)
            .map(|reference| reference.holder.clone())
            .collect();
        if !holders.is_empty() {
            return Err(Error::StillNeeded { plugin: plugin.to_string(), version: version.clone(), by: holders });
        }
        let root = self.writable_root()?;
        let folder = folder_of(root, plugin, version);
        // Looked for before the lock, so that a mistyped name creates nothing.
        if !folder.is_dir() {
            return Err(self.not_installed(plugin, version));
        }
        let _lock = lock(root)?;
        let there = version_folder(&folder, plugin.as_str(), &version.to_string(), Origin::Installed).ok();
        let work = work_folder(root)?;
        let gone = work.path().join("gone");
        fs::rename(&folder, &gone).map_err(Error::io("uninstall", &folder))?;
        let sha256 = there.map(|package| package.published.digest);
        let details = Details { sha256, ..Details::default() };
        let entry = Entry::new(UNINSTALL, plugin, version, details, by);
        let told = sync_parent(&folder).and_then(|()| Journal::of(root).append(&[entry]));
        if let Err(error) = told {
            // Only where this fails as well the version is gone without a word.
            let _ = fs::rename(&gone, &folder);
            return Err(error);
        }
        // Only where it was the last version; otherwise the folder is not empty and stays.
        let _ = fs::remove_dir(root.join(plugin.as_str()));
        sync_folder(root)?;
        Ok(self.reload())
    }

    /// Approvals of what is there already and held.
    fn approved_again(&self, offered: &[(Published, &Offer)], by: By<'_>) -> Vec<Entry> {
        let approval = |(published, offer): &(Published, &Offer)| {
            let reason = offer.approval.as_ref()?;
            let there = self.by_digest(&published.digest)?;
            let beyond = lines(&self.held(there)?.beyond);
            Some(approved(published, beyond, reason, by))
        };
        offered.iter().filter_map(approval).collect()
    }

    /// What the journal is told of versions that come: whether each is approved by that, beside what is there and what comes before it.
    fn entries_of(&self, root: &Path, coming: &[Coming<'_>], by: By<'_>) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut accepted: Vec<&Published> = Vec::new();
        for (place, Coming { published, offer, .. }) in coming.iter().enumerate() {
            let name = &published.manifest.name;
            let is_first = self.versions(name.as_str()).all(|package| package.origin == Origin::AdHoc)
                && !has_versions(&root.join(name.as_str()))
                && !coming.iter().take(place).any(|before| before.published.manifest.name == *name);
            let usable = self
                .versions(name.as_str())
                .filter(|package| package.origin != Origin::AdHoc && self.held(package).is_none());
            let with = accepted.iter().filter(|other| other.manifest.name == *name).copied();
            let others = usable.map(|package| &package.published).chain(with);
            let beyond =
                published.manifest.capabilities.beyond(others.map(|published| &published.manifest.capabilities));
            let is_accepted = is_first || beyond.is_empty();
            let beyond = if is_accepted { Vec::new() } else { lines(&beyond) };
            let details = Details {
                sha256: Some(published.digest.clone()),
                source: Some(offer.origin.clone()),
                signer: offer.signed.as_ref().map(|signed| signed.signer.clone()),
                approved: is_accepted,
                beyond: beyond.clone(),
                ..Details::default()
            };
            entries.push(Entry::new(INSTALL, name, &published.manifest.version, details, by));
            let is_free = is_accepted && !self.snapshot().records.is_withdrawn(&published.digest);
            match &offer.approval {
                Some(reason) if !is_free => entries.push(approved(published, beyond, reason, by)),
                None if !is_free => continue,
                _ => {}
            }
            accepted.push(published);
        }
        entries
    }

    pub(crate) fn not_installed(&self, plugin: &PluginName, version: &Version) -> Error {
        let shipped = self.package(plugin.as_str(), version).is_some_and(|package| package.origin == Origin::Shipped);
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

fn approved(published: &Published, beyond: Vec<String>, reason: &str, by: By<'_>) -> Entry {
    let (sha256, reason) = (Some(published.digest.clone()), Some(reason.to_owned()));
    let details = Details { sha256, beyond, reason, ..Details::default() };
    Entry::new(APPROVE, &published.manifest.name, &published.manifest.version, details, by)
}

fn folder_of(root: &Path, plugin: &PluginName, version: &Version) -> PathBuf {
    root.join(plugin.as_str()).join(version.to_string())
}

/// Writes a version's files where no scan sees them.
fn stage(folder: &Path, coming: &Coming<'_>) -> Result<(), Error> {
    fs::create_dir(folder).map_err(Error::io("create", folder))?;
    write_synced(&folder.join(COMPONENT_FILE), &coming.offer.component)?;
    write_synced(&folder.join(ENTRY_FILE), coming.published.to_json().as_bytes())?;
    if let Some(signed) = &coming.offer.signed {
        write_synced(&folder.join(SIGNATURE_FILE), signed.signature.as_bytes())?;
    }
    sync_folder(folder)
}

fn move_in(root: &Path, staged: &Path, coming: &[Coming<'_>]) -> Result<(), Error> {
    for (place, coming) in coming.iter().enumerate() {
        let plugin_folder = root.join(coming.published.manifest.name.as_str());
        fs::create_dir_all(&plugin_folder).map_err(Error::io("create", &plugin_folder))?;
        fs::rename(staged.join(place.to_string()), &coming.target).map_err(Error::io("install", &coming.target))?;
        sync_folder(&plugin_folder)?;
    }
    sync_folder(root)
}

/// Takes back what `move_in` did, as far as it came. What the disk refuses stays, and is a version that nobody was told of.
fn move_out(root: &Path, staged: &Path, coming: &[Coming<'_>]) {
    for (place, coming) in coming.iter().enumerate() {
        let from = staged.join(place.to_string());
        // Still staged: it, and what comes after it, never got there.
        if !from.exists() {
            let _ = fs::rename(&coming.target, &from);
        }
        let _ = fs::remove_dir(root.join(coming.published.manifest.name.as_str()));
    }
    let _ = sync_folder(root);
}

fn sync_parent(folder: &Path) -> Result<(), Error> {
    folder.parent().map_or(Ok(()), sync_folder)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::registry::Check;
    use crate::testing::{EMPTY_COMPONENT, Place, by, component, install, manifest, plugin};
    use serde_json::json;

    fn refused(place: &Place, bytes: &[u8], expected: &str) {
        let before = place.contents();
        let message = install(&place.catalog(), bytes, "new.wasm").unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert_eq!(place.contents(), before, "a refusal leaves nothing behind");
    }

    #[test]
    fn installed_version_is_in_the_new_snapshot_only() {
        let place = Place::new();
        let before = place.catalog();
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        let (after, installed) = install(&before, &bytes, "mail.wasm").unwrap();
        assert_eq!(installed, Installed::New);
        assert!(before.owner("com.example.Send").is_none());
        assert_eq!(after.resolve("com.example.Send", &[]).unwrap().package.component().unwrap(), bytes);
        assert_eq!(place.files(), ["mail/1.0.0/manifest.json", "mail/1.0.0/plugin.wasm"]);
    }

    #[test]
    fn same_bytes_again_change_nothing_and_others_are_refused() {
        let place = Place::new();
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        let (catalog, _) = install(&place.catalog(), &bytes, "mail.wasm").unwrap();
        assert_eq!(install(&catalog, &bytes, "mail.wasm").unwrap().1, Installed::AlreadyThere);
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
        install(&place.catalog(), &plugin("mail", "1.0.0", &["com.example.Send"]), "a").unwrap();
        let error = install(&old, &plugin("thief", "1.0.0", &["com.example.Send"]), "b").unwrap_err();
        assert_eq!(error.code(), "TASK_TYPE_TAKEN");
    }

    #[test]
    fn refusals_leave_nothing_behind() {
        let place = Place::new();
        place.put("mail", "1.0.0", &["com.example.Send"]);
        install(&place.catalog(), &plugin("mail", "1.1.0", &["com.example.Send"]), "x").unwrap();
        refused(&place, &plugin("thief", "1.0.0", &["com.example.Send"]), "belongs to plugin `mail`");
        refused(
            &place,
            &plugin("mine", "1.0.0", &["io.kestra.plugin.core.log.Log"]),
            "belongs to the plugins of Sluice",
        );
        refused(&place, &plugin("mine", "1.0.0", &["io.kestra.plugin.core.flow.If"]), "belongs to Sluice itself");
        refused(&place, EMPTY_COMPONENT, "`new.wasm` is not a plugin: it has no section");
        let bytes = plugin("mine", "1.0.0", &["com.example.Mine"]);
        refused(&place, &bytes[..bytes.len() - 1], "is not a plugin");
        let mut newer = manifest("mine", "1.0.0", &["com.example.Mine"]);
        newer["minimumHost"] = json!("9.0.0");
        refused(&place, &component(&newer), "needs Sluice 9.0.0 or later, and this is 1.0.0");
    }

    #[test]
    fn a_damaged_version_is_not_overwritten_but_can_be_taken_out() {
        let place = Place::new();
        place.put("mail", "1.0.0", &["com.example.Send"]);
        place.write("mail/1.0.0/manifest.json", b"{");
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        refused(&place, &bytes, "is not JSON");
        let name = PluginName::parse("mail").unwrap();
        let catalog = place.catalog().uninstall(&name, &Version::new(1, 0, 0), &[], by()).unwrap();
        assert!(catalog.problems().is_empty());
        assert_eq!(install(&catalog, &bytes, "mail.wasm").unwrap().1, Installed::New);
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
        let message =
            place.catalog().uninstall(&name, &Version::new(1, 0, 0), &references, by()).unwrap_err().to_string();
        assert!(message.starts_with("plugin `mail` 1.0.0 is still needed by flow a.b, revision 3\nhint:"), "{message}");
        let catalog = place.catalog().uninstall(&name, &Version::new(1, 1, 0), &references, by()).unwrap();
        assert_eq!(catalog.versions("mail").count(), 1);
        place.catalog().uninstall(&name, &Version::new(1, 0, 0), &[], by()).unwrap();
        assert!(place.files().is_empty());
    }

    #[test]
    fn what_is_not_installed_cannot_be_uninstalled() {
        let place = Place::new();
        let name = PluginName::parse("mail").unwrap();
        let message = place.catalog().uninstall(&name, &Version::new(1, 0, 0), &[], by()).unwrap_err().to_string();
        assert!(message.starts_with("plugin `mail` 1.0.0 is not installed\nhint: `sluice plugin list`"), "{message}");
        let shipped = place.shipped(&[("mail", "1.0.0", "com.example.Send")]);
        let message = shipped.uninstall(&name, &Version::new(1, 0, 0), &[], by()).unwrap_err().to_string();
        assert!(message.contains("comes with Sluice"), "{message}");
    }

    #[test]
    fn without_a_registry_of_its_own_nothing_is_installed() {
        let place = Place::new();
        let catalog = Catalog::open(Vec::new(), place.host(), Check::Digests);
        let error = install(&catalog, &plugin("mail", "1.0.0", &[]), "x").unwrap_err();
        assert_eq!(error.code(), "CATALOG_NO_REGISTRY");
    }

    #[test]
    fn two_at_once_both_get_an_answer() {
        let place = Place::new();
        let catalog = place.catalog();
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        let outcomes: Vec<Installed> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| install(&catalog, &bytes, "x").unwrap().1)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Installed::New).count(), 1);
    }

    #[test]
    fn what_was_done_is_in_the_journal() {
        let place = Place::new();
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        let (catalog, _) = install(&place.catalog(), &bytes, "mail.wasm").unwrap();
        install(&catalog, &bytes, "again.wasm").unwrap();
        assert!(!catalog.is_outdated());
        let uninstalled = catalog.uninstall(&PluginName::parse("mail").unwrap(), &Version::new(1, 0, 0), &[], by());
        let entries = uninstalled.unwrap().journal().unwrap();
        let said: Vec<_> = entries.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
        assert_eq!(said, [("ada", INSTALL), ("ada", UNINSTALL)]);
        assert!(entries.iter().all(|entry| entry.subject == "mail 1.0.0"));
        assert!(entries.iter().all(|entry| entry.details.sha256 == Some(crate::digest_of(&bytes))));
        assert_eq!(entries[0].details.source.as_deref(), Some("mail.wasm"));
        assert!(catalog.is_outdated());
    }

    #[test]
    fn of_several_all_are_installed_or_none() {
        let place = Place::new();
        let offer = |name: &str, version: &str, task_type: &str| Offer::new(plugin(name, version, &[task_type]), name);
        let refused = |offers: &[Offer], code: &str| {
            let before = place.contents();
            assert_eq!(place.catalog().install(offers, by()).unwrap_err().code(), code);
            assert_eq!(place.contents(), before);
        };
        let mail = offer("mail", "1.0.0", "com.example.Send");
        refused(&[mail.clone(), offer("thief", "1.0.0", "com.example.Send")], "TASK_TYPE_TAKEN");
        refused(&[mail.clone(), offer("mail", "1.0.0", "com.example.Other")], "PLUGIN_VERSION_CHANGED");
        let offers = [mail.clone(), mail.clone(), offer("post", "1.0.0", "com.example.Post")];
        let (catalog, how) = place.catalog().install(&offers, by()).unwrap();
        assert_eq!(how, [Installed::New, Installed::AlreadyThere, Installed::New]);
        assert_eq!(catalog.journal().unwrap().len(), 2);
    }

    #[test]
    fn what_the_journal_cannot_take_is_not_installed_and_not_uninstalled() {
        let place = Place::new();
        place.put("mail", "1.0.0", &["com.example.Send"]);
        // A folder in its place: a disk that refuses, for any user.
        fs::create_dir(place.root().join("journal.jsonl")).unwrap();
        refused(&place, &plugin("mail", "1.1.0", &["com.example.Send"]), "journal.jsonl`");
        refused(&place, &plugin("post", "1.0.0", &["com.example.Post"]), "journal.jsonl`");
        let before = place.contents();
        let name = PluginName::parse("mail").unwrap();
        let error = place.catalog().uninstall(&name, &Version::new(1, 0, 0), &[], by()).unwrap_err();
        assert_eq!(error.code(), "CATALOG_IO");
        assert_eq!(place.contents(), before);
    }

    #[test]
    fn what_the_disk_refuses_is_not_installed() {
        let place = Place::new();
        place.put("mail", "1.0.0", &["com.example.Send"]);
        // A file where the plugin's folder would be.
        fs::write(place.root().join("post"), b"").unwrap();
        let offers = [
            Offer::new(plugin("mail", "1.1.0", &["com.example.Send"]), "mail.wasm"),
            Offer::new(plugin("post", "1.0.0", &["com.example.Post"]), "post.wasm"),
        ];
        let before = place.contents();
        let error = place.catalog().install(&offers, by()).unwrap_err();
        assert_eq!(error.code(), "CATALOG_IO");
        assert!(error.to_string().contains("post"), "{error}");
        assert_eq!(place.contents(), before, "what came before it is taken back");
    }
}
