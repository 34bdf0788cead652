//! `storage.LocalFiles`, and what other tasks need of the working directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use glob::Glob;
use serde_json::{Map, Value};
use sluice_sdk::files;
use sluice_sdk::prelude::*;

/// How deep the directory is looked through.
const DEPTH_MAX: usize = 32;
/// Most files that are taken out of it.
const FILES_MAX: usize = 10_000;

#[properties]
pub struct LocalFiles {
    /// Files to make in the working directory: a map of names and contents, or its JSON. A content that is the URI of a stored file
    /// stands for what is in it.
    inputs: Option<Map<String, Value>>,
    /// Files of the working directory to store, as patterns: `out/*`, `**/*.csv`.
    outputs: Option<Vec<String>>,
}

#[outputs]
pub struct Stored {
    /// The stored files by their path in the directory.
    uris: BTreeMap<String, String>,
}

/// Put files into the working directory, and store files that are in it.
///
/// Deprecated: a `WorkingDirectory` does both with `inputFiles` and `outputFiles`.
///
/// # Store what the tasks before it made
/// ```yaml
/// id: keep
/// type: io.kestra.plugin.core.storage.LocalFiles
/// outputs:
///   - out/**
/// ```
#[task("io.kestra.plugin.core.storage.LocalFiles", aliases = ["io.kestra.core.tasks.storages.LocalFiles"])]
pub fn local_files(properties: LocalFiles, cx: &Context) -> Result<Stored, Failure> {
    let root = root(cx)?;
    for (name, content) in properties.inputs.iter().flatten() {
        put(&root, name, content)?;
    }
    let mut uris = BTreeMap::new();
    let mut names = Names::default();
    for (path, file) in chosen(&root, &properties.outputs.unwrap_or_default())? {
        let mut out = files::create(&names.of(&path))?;
        std::io::copy(&mut fs::File::open(file)?, &mut out)?;
        uris.insert(path, out.finish()?);
    }
    Ok(Stored { uris })
}

/// The working directory.
pub fn root(cx: &Context) -> Result<PathBuf, Failure> {
    cx.working_dir().ok_or_else(|| Failure::new("NO_WORKING_DIRECTORY", "this run has no working directory"))
}

fn put(root: &Path, name: &str, content: &Value) -> Result<(), Failure> {
    let path = PathBuf::from(name.trim_start_matches("./").trim_start_matches('/'));
    let clean = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !clean || path.as_os_str().is_empty() {
        return Err(Failure::bad_property(format!("property `inputs`: `{name}` is no path within the directory")));
    }
    let path = root.join(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut out = fs::File::create(path)?;
    match content {
        Value::Null => {}
        Value::String(text) if is_stored(text) => {
            std::io::copy(&mut files::open(text)?, &mut out)?;
        }
        Value::String(text) => std::io::Write::write_all(&mut out, text.as_bytes())?,
        other => std::io::Write::write_all(&mut out, other.to_string().as_bytes())?,
    }
    Ok(())
}

/// Whether a text is the URI of a stored file.
pub fn is_stored(text: &str) -> bool {
    text.starts_with("kestra:///") || text.starts_with("nsfile://")
}

/// The files of the working directory that fit one of the patterns, by their path.
pub fn chosen(root: &Path, patterns: &[String]) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let globs: Result<Vec<Glob>, String> = patterns.iter().map(|pattern| Glob::anchored(pattern)).collect();
    let globs = globs.map_err(Failure::bad_property)?;
    let mut found = BTreeMap::new();
    if !globs.is_empty() {
        look(root, "", 0, &globs, &mut found)?;
    }
    if found.len() > FILES_MAX {
        let message = format!("more than {FILES_MAX} files fit the patterns; hint: make them narrower");
        return Err(Failure::bad_property(message));
    }
    Ok(found)
}

fn look(
    folder: &Path,
    prefix: &str,
    depth: usize,
    globs: &[Glob],
    found: &mut BTreeMap<String, PathBuf>,
) -> Result<(), Failure> {
    if depth > DEPTH_MAX || found.len() > FILES_MAX {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if kind.is_dir() {
            look(&entry.path(), &path, depth + 1, globs, found)?;
        } else if kind.is_file() && globs.iter().any(|glob| glob.fits(&path)) {
            found.insert(path, entry.path());
        }
    }
    Ok(())
}

/// Names for stored files: the last segment of a path, told apart where several have the same.
#[derive(Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    pub fn of(&mut self, path: &str) -> String {
        let last = path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut name = last.clone();
        let mut number = 1;
        while !self.0.insert(name.clone()) {
            number += 1;
            name = format!("{number}-{last}");
        }
        name
    }
}
