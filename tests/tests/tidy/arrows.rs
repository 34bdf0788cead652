//! Who may depend on whom, from `cargo metadata`. The table is the whole truth: a crate that is not in it is a problem.

use serde_json::Value;

use crate::{none, one, output};

/// Each crate with all that it may reach, directly or not.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sluice-expr", &[]),
    // What a pattern of paths means is the same on both sides of the plugin border.
    ("sluice-glob", &[]),
    ("sluice-model", &["sluice-expr"]),
    ("sluice-engine", &["sluice-model", "sluice-expr"]),
    ("sluice-store", &["sluice-model", "sluice-expr"]),
    ("sluice-catalog", &["sluice-model", "sluice-expr"]),
    ("sluice-runtime", &["sluice-model", "sluice-expr"]),
    (
        "sluice-server",
        &[
            "sluice-engine",
            "sluice-store",
            "sluice-catalog",
            "sluice-runtime",
            "sluice-model",
            "sluice-expr",
            "sluice-glob",
        ],
    ),
    (
        "sluice-cli",
        &[
            "sluice-server",
            "sluice-engine",
            "sluice-store",
            "sluice-catalog",
            "sluice-runtime",
            "sluice-model",
            "sluice-expr",
            "sluice-glob",
        ],
    ),
    ("sluice-sdk-macros", &[]),
    ("sluice-sdk", &["sluice-sdk-macros"]),
];
/// May depend on anything; nothing may depend on them.
const OUTSIDE: &[&str] = &["tests", "xtask"];
/// What a plugin may use of this repository, besides crates of the plugins' own workspace.
const FOR_PLUGINS: &[&str] = &["sluice-glob", "sluice-sdk"];
/// Published on crates.io: what a plugin author depends on.
const PUBLISHED: &[&str] = &["sluice-sdk", "sluice-sdk-macros"];

/// A crate of this repository.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Crate {
    name: String,
    /// Crates of this repository it names, whatever for.
    uses: Vec<String>,
    publishable: bool,
}

/// The crates in the answer of `cargo metadata --no-deps`. Without dependencies it needs neither network nor downloaded crates.
fn crates(metadata: &[u8]) -> Vec<Crate> {
    let metadata: Value = serde_json::from_slice(metadata).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("cargo lists packages");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    packages
        .iter()
        .map(|package| Crate {
            name: text(&package["name"]),
            uses: package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|dependency| dependency["path"].is_string())
                .map(|dependency| text(&dependency["name"]))
                // A crate's own tests may ask it for a feature that only tests need.
                .filter(|used| *used != text(&package["name"]))
                .collect(),
            // `publish = false` comes as an empty list of registries.
            publishable: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
        })
        .collect()
}

fn wrong_arrows(crates: &[Crate]) -> Vec<String> {
    let mut problems = Vec::new();
    for one in crates.iter().filter(|one| !OUTSIDE.contains(&one.name.as_str())) {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == one.name) else {
            problems.push(format!("`{}` is not in the table of arrows; say there what it may depend on", one.name));
            continue;
        };
        for reached in reached(crates, one) {
            if !allowed.contains(&reached.as_str()) {
                problems.push(format!("`{}` depends on `{reached}`, directly or not", one.name));
            }
        }
    }
    problems
}

/// All crates that one depends on, in the order they are found.
fn reached(crates: &[Crate], from: &Crate) -> Vec<String> {
    let mut reached: Vec<String> = Vec::new();
    let mut open: Vec<&str> = from.uses.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        if reached.iter().any(|known| known == name) {
            continue;
        }
        reached.push(name.to_owned());
        open.extend(crates.iter().filter(|one| one.name == name).flat_map(|one| one.uses.iter().map(String::as_str)));
    }
    reached
}

fn wrongly_published(crates: &[Crate]) -> Vec<String> {
    let wrong = crates.iter().filter(|one| one.publishable != PUBLISHED.contains(&one.name.as_str()));
    wrong
        .map(|one| match one.publishable {
            true => format!("`{}` lacks `publish = false`", one.name),
            false => format!("`{}` is to be published and has `publish = false`", one.name),
        })
        .collect()
}

/// Plugins use the SDK and each other's libraries, nothing of the host.
fn wrong_plugins(plugins: &[Crate]) -> Vec<String> {
    let own = |name: &str| plugins.iter().any(|one| one.name == name);
    let mut problems = Vec::new();
    for plugin in plugins {
        for used in plugin.uses.iter().filter(|used| !own(used) && !FOR_PLUGINS.contains(&used.as_str())) {
            problems.push(format!("plugin crate `{}` depends on `{used}`", plugin.name));
        }
        if plugin.publishable {
            problems.push(format!("plugin crate `{}` lacks `publish = false`", plugin.name));
        }
    }
    problems
}

fn metadata(manifest: &str) -> Vec<Crate> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["metadata", "--offline", "--no-deps", "--format-version", "1", "--manifest-path", manifest];
    crates(&output(&cargo, &arguments))
}

#[test]
fn crates_depend_in_one_direction() {
    let crates = metadata("Cargo.toml");
    assert!(crates.len() >= ALLOWED.len(), "the workspace has its crates: {crates:?}");
    none(wrong_arrows(&crates));
    none(wrongly_published(&crates));
}

#[test]
fn plugins_depend_on_the_sdk_only() {
    let plugins = metadata("plugins/Cargo.toml");
    assert!(!plugins.is_empty());
    none(wrong_plugins(&plugins));
}

fn sample(name: &str, uses: &[&str]) -> Crate {
    Crate { name: name.to_owned(), uses: uses.iter().map(|&used| used.to_owned()).collect(), publishable: false }
}

#[test]
fn wrong_arrow_is_found_however_long() {
    let model = sample("sluice-model", &["sluice-expr"]);
    assert_eq!(wrong_arrows(&[model.clone(), sample("sluice-expr", &[])]), Vec::<String>::new());
    one(
        &wrong_arrows(&[model.clone(), sample("sluice-expr", &["sluice-store"])][1..]),
        "`sluice-expr` depends on `sluice-store`",
    );
    let detour =
        [sample("sluice-engine", &["sluice-model"]), sample("sluice-model", &["sluice-expr", "sluice-runtime"])];
    assert_eq!(wrong_arrows(&detour).len(), 2, "both the crate and the one that uses it are named");
    one(&wrong_arrows(&[sample("sluice-catalog", &["tests"])]), "`sluice-catalog` depends on `tests`");
    one(&wrong_arrows(&[sample("sluice-utils", &[])]), "`sluice-utils` is not in the table");
    let circle = [sample("sluice-expr", &["sluice-model"]), sample("sluice-model", &["sluice-expr"])];
    assert_eq!(wrong_arrows(&circle).len(), 3, "{:?}", wrong_arrows(&circle));
}

#[test]
fn wrong_publishing_is_found() {
    let public = |name: &str| Crate { publishable: true, ..sample(name, &[]) };
    one(&wrongly_published(&[public("sluice-model"), public("sluice-sdk")]), "`sluice-model` lacks");
    one(&wrongly_published(&[sample("sluice-sdk", &[])]), "`sluice-sdk` is to be published");
}

#[test]
fn wrong_plugin_is_found() {
    let plugins = [sample("plugin-a", &["codec", "sluice-sdk", "sluice-runtime"]), sample("codec", &[])];
    one(&wrong_plugins(&plugins), "plugin crate `plugin-a` depends on `sluice-runtime`");
}

#[test]
fn metadata_is_understood() {
    let metadata = br#"{ "packages": [{ "name": "a", "publish": [], "dependencies": [
        { "name": "b", "path": "/x/b", "kind": "dev" }, { "name": "serde", "path": null }] },
        { "name": "b", "publish": null, "dependencies": [] }] }"#;
    let expected = [sample("a", &["b"]), Crate { publishable: true, ..sample("b", &[]) }];
    assert_eq!(crates(metadata), expected);
}
