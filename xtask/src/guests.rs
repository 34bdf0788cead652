//! `cargo xtask guests`: builds the first-party plugins of `plugins/` and the test guests of `tests/guests/`, so that the same
//! sources give the same bytes anywhere, and compares with what is published. It never writes into `registry/`.
//!
//! A plugin is `plugins/<name>/`, a crate `sluice-plugin-<name>` of the workspace there. A test guest is a crate
//! `tests/guests/<name>/` with an empty `[workspace]` of its own. Its component is committed as `tests/guests/<name>.wasm`,
//! with a manifest inside if it exports `describe`, and the hash of its sources as `tests/guests/<name>.sha256`: the test
//! suite compares that hash, and so needs no wasm target. Text guests (`*.wat`) need no building.
//!
//! `[package.metadata.sluice]` of a guest may say `stack-bytes = N` where its dependencies need a deeper stack than ours, and
//! `committed = false` where a test guest's component is too large for the repository: it goes to `target/guests/<name>.wasm`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use xtask::source_hash::{self, Tree};

use crate::check;
use crate::component;
use crate::flags;
use crate::pack;
use crate::process;
use crate::progress::{say, size};
use crate::publish::Provenance;
use crate::rustc_wrapper;
use crate::toolchain::{Std, TARGET, Toolchain};
use crate::wasm_target;

/// What the command line asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Compare with what is published instead of only building.
    pub check: bool,
    /// Use the project's overlay even where the toolchain has the target.
    pub overlay: bool,
    /// Leave the manifest out: needs no built `sluice`.
    pub no_pack: bool,
    /// Plugins and test guests; none means all.
    pub names: Vec<String>,
}

/// A crate that becomes a component.
#[derive(Debug, Clone)]
pub struct Guest {
    pub name: String,
    pub version: String,
    package: String,
    folder: PathBuf,
    stack_bytes: u64,
    pub keeping: Keeping,
    /// Folders of the crates beside it that it is made of as well.
    beside: Vec<PathBuf>,
}

/// Where a test guest's component is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Beside its sources.
    Committed,
    /// In `target/guests/`, for whoever built it; its tests are skipped elsewhere.
    Local,
}

/// Whether a build may bring the lock file up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockFile {
    /// While somebody works on a plugin.
    MayMove,
    /// For what is published or compared: the lock file is part of the sources.
    Fixed,
}

/// A component fresh from the compiler.
#[derive(Debug)]
pub struct Built {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

#[cfg(test)]
impl Guest {
    /// A guest that is nowhere on disk.
    pub fn named(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            package: format!("sluice-plugin-{name}"),
            folder: PathBuf::new(),
            stack_bytes: flags::STACK_BYTES,
            keeping: Keeping::Committed,
            beside: Vec::new(),
        }
    }
}

pub fn run(options: &Options) -> Result<()> {
    let toolchain = Toolchain::find()?;
    let plugins = select(plugins(&toolchain)?, &options.names);
    let guests = select(test_guests(&toolchain)?, &options.names);
    refuse_unknown(options, &plugins, &guests)?;
    if plugins.is_empty() && guests.is_empty() {
        say("there is nothing to build: no crate in plugins/ or tests/guests/");
        return Ok(());
    }
    if options.check {
        return check::run(&toolchain, options, &plugins, &guests);
    }
    let standard = wasm_target::choose(&toolchain, options.overlay)?;
    for plugin in &plugins {
        let built = build_plugin(&toolchain, &standard, plugin, LockFile::MayMove)?;
        let path = if options.no_pack { built.path } else { pack::pack(&toolchain, plugin, &built)?.path };
        say(format!(
            "plugin `{}` {}: {}, {}",
            plugin.name,
            plugin.version,
            size(built.bytes.len() as u64),
            path.display()
        ));
    }
    for guest in &guests {
        build_test_guest(&toolchain, &standard, guest, options)?;
    }
    Ok(())
}

/// Builds one plugin; what would keep it from being published is said here, and refused by [`refuse_faults`].
pub fn build_plugin(toolchain: &Toolchain, standard: &Std, plugin: &Guest, lock_file: LockFile) -> Result<Built> {
    say(format!("building plugin `{}`", plugin.name));
    let plugins = toolchain.root.join("plugins");
    let built = build(toolchain, standard, plugin, &plugins.join("Cargo.toml"), &plugins.join("target"), lock_file)?;
    for fault in component::faults(&plugin.name, &built.bytes, &places(toolchain))? {
        say(format!("plugin `{}` cannot be published: {fault}", plugin.name));
    }
    Ok(built)
}

/// Refuses a component that must not be published.
pub fn refuse_faults(toolchain: &Toolchain, plugin: &Guest, bytes: &[u8]) -> Result<()> {
    let faults = component::faults(&plugin.name, bytes, &places(toolchain))?;
    if faults.is_empty() {
        return Ok(());
    }
    bail!(
        "plugin `{}` cannot be published:\n  {}\nhint: `cargo xtask guests {}` says so too, without publishing",
        plugin.name,
        faults.join("\n  "),
        plugin.name
    )
}

fn build_test_guest(toolchain: &Toolchain, standard: &Std, guest: &Guest, options: &Options) -> Result<()> {
    say(format!("building test guest `{}`", guest.name));
    let built = build(
        toolchain,
        standard,
        guest,
        &guest.folder.join("Cargo.toml"),
        &toolchain.root.join("target/guests"),
        LockFile::MayMove,
    )?;
    let bytes = if !options.no_pack && pack::describes_itself(&built.bytes) {
        pack::pack(toolchain, guest, &built)?.bytes
    } else {
        built.bytes
    };
    let component = match guest.keeping {
        Keeping::Local => toolchain.root.join("target/guests").join(format!("{}.wasm", guest.name)),
        Keeping::Committed => {
            let (component, sum) = prebuilt(toolchain, guest);
            let hash = source_hash::of_test_guest(&guest.folder)?;
            fs::write(&sum, format!("{hash}\n")).with_context(|| format!("cannot write `{}`", sum.display()))?;
            component
        }
    };
    fs::write(&component, &bytes).with_context(|| format!("cannot write `{}`", component.display()))?;
    say(format!("test guest `{}`: {}, {}", guest.name, size(bytes.len() as u64), component.display()));
    Ok(())
}

/// Where a test guest's component and the hash of its sources are committed.
pub fn prebuilt(toolchain: &Toolchain, guest: &Guest) -> (PathBuf, PathBuf) {
    let folder = toolchain.root.join("tests/guests");
    (folder.join(format!("{}.wasm", guest.name)), folder.join(format!("{}.sha256", guest.name)))
}

pub fn test_guest_hash(guest: &Guest) -> Result<String> {
    source_hash::of_test_guest(&guest.folder)
}

/// What a plugin is built from, by which compiler.
pub fn provenance(toolchain: &Toolchain, standard: &Std, plugin: &Guest) -> Result<Provenance> {
    let plugins = toolchain.root.join("plugins");
    let sdk = toolchain.root.join("sdk");
    // The workspace's manifest decides on profiles, the lock file on the versions of dependencies.
    let mut trees = vec![
        Tree::new("plugin", &plugin.folder),
        Tree::new("plugins/Cargo.toml", plugins.join("Cargo.toml")),
        Tree::new("plugins/Cargo.lock", plugins.join("Cargo.lock")),
        Tree::new("sdk/rust", sdk.join("rust")),
        Tree::new("sdk/rust-macros", sdk.join("rust-macros")),
    ];
    let libraries = plugin.beside.iter().filter_map(|folder| Some((folder, folder.strip_prefix(&plugins).ok()?)));
    trees.extend(libraries.map(|(folder, name)| Tree::new(&format!("plugins/{}", name.display()), folder)));
    Ok(Provenance {
        source: source_hash::hash(&trees)?,
        rustc: toolchain.description.clone(),
        std: standard.identity().to_owned(),
        flags: flags::told(plugin.stack_bytes),
    })
}

/// One crate per call of cargo: several in one call would share the features of their dependencies, and a component would
/// depend on what it was built together with.
fn build(
    toolchain: &Toolchain,
    standard: &Std,
    guest: &Guest,
    manifest: &Path,
    target: &Path,
    lock_file: LockFile,
) -> Result<Built> {
    let mut cargo = toolchain.guest_cargo();
    cargo.args([
        "build",
        "--release",
        "--target",
        TARGET,
        "--message-format=json-render-diagnostics",
        "--package",
        &guest.package,
    ]);
    cargo.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(target);
    if lock_file == LockFile::Fixed {
        cargo.arg("--locked");
    }
    flags::set_for_guest(&mut cargo, toolchain, standard, guest.stack_bytes);
    rustc_wrapper::arm(&mut cargo)?;
    let messages =
        process::stdout(&mut cargo, &format!("building `{}`", guest.name), "the messages of cargo are above")?;
    let path = artifact(&messages, &guest.package).ok_or_else(|| {
        anyhow!(
            "building `{}` produced no component\nhint: its Cargo.toml needs `[lib]` with `crate-type = [\"cdylib\"]`",
            guest.name
        )
    })?;
    let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(Built { path, bytes })
}

/// The `.wasm` file of `package` among cargo's messages (one JSON object per line).
fn artifact(messages: &str, package: &str) -> Option<PathBuf> {
    let library = package.replace('-', "_");
    let of_package = |message: &Value| {
        let name = message.pointer("/target/name").and_then(Value::as_str).unwrap_or_default();
        message.get("reason").and_then(Value::as_str) == Some("compiler-artifact")
            && (name == package || name == library)
    };
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let files = messages
        .filter(of_package)
        .filter_map(|message| message.get("filenames").and_then(Value::as_array).cloned())
        .flatten();
    files
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}

/// Paths that would tell on which machine a component was built.
fn places(toolchain: &Toolchain) -> Vec<String> {
    let mut places: Vec<_> = [&toolchain.root, &toolchain.cargo_home, &toolchain.sysroot]
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if let Some(home) = std::env::home_dir() {
        places.push(format!("{}/", home.display()));
    }
    places.push("registry/src/".to_owned());
    places
}

/// The plugins of the workspace in `plugins/`, by name.
pub fn plugins(toolchain: &Toolchain) -> Result<Vec<Guest>> {
    let manifest = toolchain.root.join("plugins/Cargo.toml");
    if !manifest.is_file() {
        return Ok(Vec::new());
    }
    let packages = metadata(toolchain, &manifest)?;
    let mut plugins: Vec<_> = packages
        .iter()
        .map(|package| Guest { beside: closure(package, &packages), ..package.clone() })
        .filter_map(|package| {
            package
                .package
                .strip_prefix("sluice-plugin-")
                .map(|name| Guest { name: name.to_owned(), ..package.clone() })
        })
        .collect();
    plugins.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(plugins)
}

/// The folders of all packages of the workspace that one depends on, directly or not.
fn closure(package: &Guest, packages: &[Guest]) -> Vec<PathBuf> {
    let mut found = std::collections::BTreeSet::new();
    let mut open = package.beside.clone();
    while let Some(folder) = open.pop() {
        let member = packages.iter().find(|other| other.folder == folder);
        if let Some(member) = member.filter(|_| !found.contains(&folder)) {
            found.insert(folder);
            open.extend(member.beside.iter().cloned());
        }
    }
    found.into_iter().collect()
}

fn test_guests(toolchain: &Toolchain) -> Result<Vec<Guest>> {
    let folder = toolchain.root.join("tests/guests");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut guests = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list `{}`", folder.display()))? {
        let path = entry.with_context(|| format!("cannot list `{}`", folder.display()))?.path();
        let manifest = path.join("Cargo.toml");
        if !manifest.is_file() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let package = metadata(toolchain, &manifest)?.into_iter().find(|package| package.folder == path);
        let package = package.ok_or_else(|| {
            anyhow!("`{}` is not a crate of its own\nhint: give it an empty `[workspace]` table", manifest.display())
        })?;
        guests.push(Guest { name, ..package });
    }
    guests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(guests)
}

/// The packages of the workspace that `manifest` belongs to, named as cargo names them.
fn metadata(toolchain: &Toolchain, manifest: &Path) -> Result<Vec<Guest>> {
    let mut cargo = Command::new(&toolchain.cargo);
    cargo
        .current_dir(&toolchain.root)
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(manifest);
    let text =
        process::stdout(&mut cargo, &format!("reading `{}`", manifest.display()), "the messages of cargo are above")?;
    let value: Value = serde_json::from_str(&text).context("`cargo metadata` wrote no JSON")?;
    let packages = value.get("packages").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |package: &Value, key: &str| {
        package
            .get(key)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| anyhow!("`cargo metadata` names no {key}"))
    };
    packages
        .iter()
        .map(|package| {
            let manifest = PathBuf::from(text(package, "manifest_path")?);
            let name = text(package, "name")?;
            Ok(Guest {
                package: name.clone(),
                name,
                version: text(package, "version")?,
                folder: manifest.parent().map(Path::to_owned).unwrap_or_default(),
                stack_bytes: package
                    .pointer("/metadata/sluice/stack-bytes")
                    .and_then(Value::as_u64)
                    .unwrap_or(flags::STACK_BYTES),
                keeping: match package.pointer("/metadata/sluice/committed") {
                    Some(Value::Bool(false)) => Keeping::Local,
                    _ => Keeping::Committed,
                },
                beside: package
                    .get("dependencies")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(|dependency| dependency.get("path")?.as_str().map(PathBuf::from))
                    .collect(),
            })
        })
        .collect()
}

fn select(guests: Vec<Guest>, names: &[String]) -> Vec<Guest> {
    guests.into_iter().filter(|guest| names.is_empty() || names.contains(&guest.name)).collect()
}

fn refuse_unknown(options: &Options, plugins: &[Guest], guests: &[Guest]) -> Result<()> {
    let known = |name: &&String| plugins.iter().chain(guests).any(|guest| guest.name == **name);
    match options.names.iter().find(|name| !known(name)) {
        Some(name) => {
            bail!("there is no plugin or test guest `{name}`\nhint: they are folders of plugins/ and tests/guests/")
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_made_of_all_it_depends_on() {
        let package = |name: &str, beside: &[&str]| Guest {
            folder: PathBuf::from(name),
            beside: beside.iter().map(PathBuf::from).collect(),
            ..Guest::named(name, "1.0.0")
        };
        // What lies outside of the workspace is not of it; what comes back to itself is there once.
        let packages = [package("ai", &["chat", "../sdk"]), package("chat", &["llm"]), package("llm", &["chat"])];
        assert_eq!(closure(&packages[0], &packages), [PathBuf::from("chat"), PathBuf::from("llm")]);
        assert!(closure(&package("core", &["../sdk"]), &packages).is_empty());
    }

    #[test]
    fn component_of_the_package_is_found_among_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"serde\"},\"filenames\":[\"/t/other.wasm\"]}\nnoise\n\
            {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"sluice_plugin_core\"},\"filenames\":[\"/t/core.d\",\"/t/core.wasm\"]}";
        assert_eq!(artifact(messages, "sluice-plugin-core"), Some(PathBuf::from("/t/core.wasm")));
        assert_eq!(artifact(messages, "sluice-plugin-http"), None);
    }
}
