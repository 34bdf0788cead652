//! What lies in `registry/`: entries that open, components within their budget and without a folder of the machine they were
//! built on.

use std::fs;
use std::path::PathBuf;

use xtask::budgets;

use crate::{files, none, one, root};

/// Where people and build machines keep their files.
const HOMES: &[&str] = &["/home/", "/root/", "/Users/", "C:\\Users\\"];
/// Shortest folder name looked for: `/` or `/app` would be found by chance.
const FOLDER_LENGTH_MIN: usize = 6;

/// A component in the registry.
struct Component {
    /// `registry/<name>/<version>/plugin.wasm`.
    path: String,
    bytes: Vec<u8>,
}

impl Component {
    fn plugin(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }
}

fn over_budget(components: &[Component]) -> Vec<String> {
    let mut problems = Vec::new();
    for component in components {
        let budget = budgets::of(component.plugin());
        if component.bytes.len() > budget {
            problems.push(format!("`{}` has {} bytes, its budget is {budget}", component.path, component.bytes.len()));
        }
    }
    let total: usize = components.iter().map(|component| component.bytes.len()).sum();
    if total > budgets::REGISTRY_BYTES {
        problems.push(format!("the registry has {total} bytes, its budget is {}", budgets::REGISTRY_BYTES));
    }
    problems
}

/// Components that name one of these folders.
fn machine_paths(component: &Component, folders: &[String]) -> Vec<String> {
    let names = |folder: &str| component.bytes.windows(folder.len()).any(|window| window == folder.as_bytes());
    let found = folders.iter().filter(|folder| names(folder));
    found
        .map(|folder| format!("`{}` names the folder `{folder}`; build it with path prefixes remapped", component.path))
        .collect()
}

/// Folders no component may name: everybody's homes, and what this machine has.
fn folders() -> Vec<String> {
    let of_this_machine = ["HOME", "CARGO_HOME", "RUSTUP_HOME"].into_iter().filter_map(|name| std::env::var(name).ok());
    let known =
        of_this_machine.chain([root().display().to_string()]).filter(|folder| folder.len() >= FOLDER_LENGTH_MIN);
    HOMES.iter().map(|&home| home.to_owned()).chain(known).collect()
}

fn components() -> Vec<Component> {
    let paths = files().into_iter().filter(|file| file.starts_with("registry/") && file.ends_with(".wasm"));
    paths
        .map(|path| Component { bytes: fs::read(root().join(&path)).expect("git lists files that are there"), path })
        .collect()
}

/// Everything in a registry that the host could not use.
fn unusable(registry: PathBuf) -> Vec<String> {
    let host = catalog::Host {
        version: env!("CARGO_PKG_VERSION").parse().expect("cargo checks versions"),
        built_in: Vec::new(),
    };
    let source = catalog::Source::Folder { origin: catalog::Origin::Shipped, root: registry };
    let catalog = catalog::Catalog::open(vec![source], host, catalog::Check::Digests);
    let broken = catalog.problems().iter().map(|problem| problem.error.to_string());
    let packages = catalog.plugins().flat_map(|(_, versions)| versions);
    let too_new = packages.filter_map(|package| catalog.runs_here(package).err()).map(|error| error.to_string());
    broken.chain(too_new).collect()
}

#[test]
fn published_components_keep_their_budget_and_name_no_machine() {
    let components = components();
    none(over_budget(&components));
    let folders = folders();
    none(components.iter().flat_map(|component| machine_paths(component, &folders)).collect());
}

#[test]
fn published_components_are_usable() {
    if root().join("registry").is_dir() {
        none(unusable(root().join("registry")));
    }
}

fn sample(plugin: &str, bytes: &[u8]) -> Component {
    Component { path: format!("registry/{plugin}/1.0.0/plugin.wasm"), bytes: bytes.to_vec() }
}

#[test]
fn exceeded_budgets_are_found() {
    assert!(
        over_budget(&[sample("core", &[0; budgets::COMPONENT_BYTES]), sample("git", &vec![0; budgets::of("git")])])
            .is_empty()
    );
    one(
        &over_budget(&[sample("core", &[0; budgets::COMPONENT_BYTES + 1])]),
        "`registry/core/1.0.0/plugin.wasm` has 300001 bytes",
    );
    one(&over_budget(&[sample("git", &vec![0; budgets::of("git") + 1])]), "its budget is 1950000");
    let many: Vec<Component> = (0..67).map(|_| sample("core", &[0; budgets::COMPONENT_BYTES])).collect();
    one(&over_budget(&many), "the registry has 20100000 bytes");
}

#[test]
fn machine_paths_in_components_are_found() {
    let folders = folders();
    one(
        &machine_paths(&sample("core", b"\0asm at /root/x/lib.rs:1"), &["/root/".to_owned()]),
        "names the folder `/root/`",
    );
    let here = format!("\0at {}/plugins/x.rs", root().display());
    assert!(!machine_paths(&sample("core", here.as_bytes()), &folders).is_empty());
    assert!(machine_paths(&sample("core", b"\0asm at /rustc/abc/library/core/src/panicking.rs"), &folders).is_empty());
}

#[test]
fn unusable_entries_are_found() {
    let registry = std::env::temp_dir().join(format!("sluice-tidy-{}", std::process::id()));
    let version = registry.join("core/1.0.0");
    fs::create_dir_all(&version).expect("tests may write");
    fs::write(version.join("manifest.json"), "{}").expect("tests may write");
    let problems = unusable(registry.clone());
    fs::remove_dir_all(registry).expect("tests may write");
    one(&problems, "missing field `sha256`");
}
