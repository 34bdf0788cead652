//! Submodules of a clone: the commits that a tree names, fetched from where `.gitmodules` says. Only over HTTP, only so deep, and with the flow's
//! credentials only to where the flow sent them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gix_hash::ObjectId;
use gix_object::Kind;
use sluice_sdk::http::Url;
use sluice_sdk::{Context, Failure};

use super::checkout::Checkout;
use super::dot_git::{DotGit, Head};
use super::{Links, files_of};
use crate::access::Access;
use crate::failures::{self, fault};
use crate::objects::Objects;
use crate::objects::tree::{LeafKind, Leaves};
use crate::remote::{Remote, Wanted};

/// How deep submodules have submodules.
const DEPTH_MAX: usize = 5;
/// Most submodules of one repository.
const MODULES_MAX: usize = 100;
/// Longest `.gitmodules` that is read.
const FILE_BYTES_MAX: usize = 256 * 1024;

/// One submodule.
pub struct Module {
    path: String,
    url: Url,
    commit: ObjectId,
}

/// The submodules of a tree. One that `.gitmodules` does not explain is a folder without files, as `git` has it.
pub fn planned(objects: &Objects, leaves: &Leaves, access: &Access) -> Result<Vec<Module>, Failure> {
    let Some(file) = leaves.get(".gitmodules").filter(|leaf| leaf.kind == LeafKind::File) else {
        return Ok(Vec::new());
    };
    let bytes = objects.read_as(Kind::Blob, &file.id)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(fault(failures::TOO_LARGE, format!("`.gitmodules` is longer than {FILE_BYTES_MAX} bytes")));
    }
    let mut modules = Vec::new();
    for (path, url) in read(&String::from_utf8_lossy(&bytes)) {
        let Some(leaf) = leaves.get(&path).filter(|leaf| leaf.kind == LeafKind::Submodule) else { continue };
        let url = resolved(&url, &access.url).map_err(|failure| {
            fault(
                failure.code(),
                format!("submodule `{path}`: {}; hint: `cloneSubmodules: false` leaves them out", failure.message()),
            )
        })?;
        modules.push(Module { path, url, commit: leaf.id });
    }
    if modules.len() > MODULES_MAX {
        return Err(fault(
            failures::TOO_LARGE,
            format!("the repository has {} submodules, at most {MODULES_MAX} are cloned", modules.len()),
        ));
    }
    Ok(modules)
}

impl Module {
    pub fn clone(&self, root: &Path, access: &Access, links: Links, cx: &Context, depth: usize) -> Result<(), Failure> {
        if depth > DEPTH_MAX {
            return Err(fault(failures::TOO_LARGE, format!("submodule `{}` is more than {DEPTH_MAX} deep", self.path)));
        }
        let authorization = access.authorization.clone().filter(|_| self.url.same_origin(&access.url));
        let access = Access { url: self.url.clone(), authorization, ..access.clone() };
        let mut remote = Remote::connect(&access)?;
        let refs = remote.refs()?;
        // A commit that no branch has may still be asked for by its name; what cannot be given so is behind a branch.
        let wanted = Wanted { objects: vec![self.commit], depth: Some(1), tags: false };
        let fetched = remote.fetch(&wanted, cx)?;
        let objects = Objects::of(fetched.pack)?;
        let leaves = files_of(&objects, self.commit)?;
        let checkout = Checkout::planned(&objects, &leaves, links)?;
        let modules = planned(&objects, &leaves, &access)?;
        let root = root.join(&self.path);
        fs::create_dir_all(&root)?;
        checkout.write(&root, &objects, cx)?;
        let url = access.url.to_string();
        let head = Head::Detached(self.commit);
        let dot_git = DotGit {
            objects: &objects,
            refs: &refs,
            shallow: &fetched.shallow,
            url: &url,
            head,
            tags: false,
            config: None,
        };
        dot_git.write(&root, &checkout)?;
        modules.iter().try_for_each(|module| module.clone(&root, &access, links, cx, depth + 1))
    }
}

/// Paths and addresses of a `.gitmodules`: of Git's configuration as much as it uses.
fn read(text: &str) -> Vec<(String, String)> {
    let mut found: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    let mut section = None;
    for line in text.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[') {
            let head = head.split(']').next().unwrap_or_default();
            section = head.strip_prefix("submodule").map(|name| name.trim().trim_matches('"').to_owned());
        } else if let (Some(section), Some((key, value))) = (&section, line.split_once('=')) {
            let value = value.trim().trim_matches('"').to_owned();
            let entry = found.entry(section.clone()).or_default();
            match key.trim().to_ascii_lowercase().as_str() {
                "path" => entry.0 = Some(value),
                "url" => entry.1 = Some(value),
                _ => {}
            }
        }
    }
    found.into_values().filter_map(|(path, url)| Some((path?, url?))).collect()
}

/// An address, which may be relative to the repository's own.
fn resolved(url: &str, base: &Url) -> Result<Url, Failure> {
    if url.starts_with("./") || url.starts_with("../") {
        return Url::parse(&format!("{base}/"))?.join(url);
    }
    if !url.starts_with("http://") && !url.starts_with("https://") {
        let message = format!("`{}` is not reached over HTTP", url.escape_debug());
        return Err(fault(failures::SSH, message));
    }
    Url::parse(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read() {
        let text = "[submodule \"lib\"]\n\tpath = third/lib\n\turl = ../lib.git\n[other]\n\tpath = x\n[submodule \"no url\"]\n path = y\n";
        assert_eq!(read(text), [("third/lib".to_owned(), "../lib.git".to_owned())]);
    }

    #[test]
    fn addresses_are_relative_to_the_repository() {
        let base = Url::parse("https://git.example/team/app.git").expect("one");
        let told =
            |url: &str| resolved(url, &base).map(|url| url.to_string()).map_err(|failure| failure.code().to_owned());
        assert_eq!(told("../lib.git"), Ok("https://git.example/team/lib.git".into()));
        assert_eq!(told("https://other.example/x"), Ok("https://other.example/x".into()));
        assert_eq!(told("git@github.com:a/b"), Err(failures::SSH.into()));
        assert_eq!(told("file:///etc"), Err(failures::SSH.into()));
    }
}
