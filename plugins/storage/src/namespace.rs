//! `namespace.UploadFiles`, `namespace.DownloadFiles` and `namespace.DeleteFiles`.

use std::collections::BTreeMap;

use glob::Glob;
use serde_json::Value;
use sluice_sdk::files;
use sluice_sdk::prelude::*;

use crate::directory::{Names, chosen, is_stored, root};

/// What happens to a file that is there already.
#[properties]
#[derive(Clone, Copy)]
pub enum Conflict {
    Overwrite,
    Error,
    Skip,
}

#[properties]
pub struct UploadFiles {
    /// The namespace.
    namespace: String,
    /// A list of URIs and of patterns of files in the working directory; or a map of paths and URIs.
    #[schemars(extend("type" = ["string", "array", "object", "null"]))]
    files: Option<Value>,
    /// A map of paths and URIs, beside `files`.
    files_map: Option<BTreeMap<String, String>>,
    /// The folder in the namespace.
    #[default("/")]
    destination: String,
    /// What happens to a file that is there already.
    #[default(Conflict::Overwrite)]
    conflict: Conflict,
}

#[outputs]
pub struct Named {
    /// The files: paths in the namespace, and URIs.
    files: BTreeMap<String, String>,
}

/// Put files into a namespace, where all its flows find them.
///
/// They are there when the task has succeeded.
///
/// Failure codes: `FILE_EXISTS`.
///
/// # Under a name of its own
/// ```yaml
/// id: publish
/// type: io.kestra.plugin.core.namespace.UploadFiles
/// namespace: company.team
/// filesMap:
///   reports/today.csv: "{{ outputs.report.uri }}"
/// ```
#[task("io.kestra.plugin.core.namespace.UploadFiles")]
pub fn upload(properties: UploadFiles, cx: &Context) -> Result<Named, Failure> {
    let mut upload = Upload { to: base(&properties.namespace)?, conflict: properties.conflict, files: BTreeMap::new() };
    let mut patterns = Vec::new();
    match structured(properties.files)? {
        Value::Object(entries) => {
            for (path, uri) in entries {
                let uri =
                    uri.as_str().ok_or_else(|| Failure::bad_property("property `files`: paths and URIs are wanted"))?;
                upload.stored(&path, uri)?;
            }
        }
        Value::Array(items) => {
            for item in &items {
                let text = item.as_str().unwrap_or_default();
                match is_stored(text) {
                    true => {
                        let name = text.rsplit('/').next().unwrap_or_default();
                        upload.stored(&format!("{}/{name}", properties.destination), text)?;
                    }
                    false => patterns.push(text.to_owned()),
                }
            }
        }
        _ => {}
    }
    for (path, uri) in properties.files_map.unwrap_or_default() {
        upload.stored(&path, &uri)?;
    }
    if !patterns.is_empty() {
        for (path, file) in chosen(&root(cx)?, &patterns)? {
            upload.local(&format!("{}/{path}", properties.destination), &file)?;
        }
    }
    cx.counter("uploaded", upload.files.len() as f64, &[]);
    Ok(Named { files: upload.files })
}

struct Upload {
    to: String,
    conflict: Conflict,
    files: BTreeMap<String, String>,
}

impl Upload {
    fn stored(&mut self, path: &str, uri: &str) -> Result<(), Failure> {
        if !is_stored(uri) {
            return Err(Failure::bad_property(format!("property `files`: `{uri}` is not the URI of a stored file")));
        }
        if let Some((path, target)) = self.place(path)? {
            self.files.insert(path, files::copy(uri, &target)?);
        }
        Ok(())
    }

    fn local(&mut self, path: &str, file: &std::path::Path) -> Result<(), Failure> {
        if let Some((path, target)) = self.place(path)? {
            let mut out = files::create(&target)?;
            std::io::copy(&mut std::fs::File::open(file)?, &mut out)?;
            self.files.insert(path, out.finish()?);
        }
        Ok(())
    }

    /// The path as it is shown, and its URI; `None`: it is there already and stays.
    fn place(&self, path: &str) -> Result<Option<(String, String)>, Failure> {
        let clean: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let path = clean.join("/");
        let target = format!("{}{path}", self.to);
        match self.conflict {
            Conflict::Overwrite => {}
            Conflict::Skip if files::exists(&target)? => return Ok(None),
            Conflict::Error if files::exists(&target)? => {
                let message = format!("`/{path}` is there already; hint: `conflict: OVERWRITE` replaces it");
                return Err(Failure::new("FILE_EXISTS", message).retryable(false));
            }
            Conflict::Skip | Conflict::Error => {}
        }
        Ok(Some((format!("/{path}"), target)))
    }
}

#[properties]
pub struct DownloadFiles {
    /// The namespace.
    namespace: String,
    /// Which files: patterns, or one of them. One that does not begin with `/` fits at any depth.
    #[schemars(extend("type" = ["string", "array"], "items" = { "type": "string" }))]
    files: Value,
    /// What the paths of the output begin with.
    #[default("")]
    destination: String,
}

/// Get files of a namespace as files of this execution.
///
/// # All queries
/// ```yaml
/// id: queries
/// type: io.kestra.plugin.core.namespace.DownloadFiles
/// namespace: company.team
/// files:
///   - "**.sql"
/// ```
#[task("io.kestra.plugin.core.namespace.DownloadFiles")]
pub fn download(properties: DownloadFiles, cx: &Context) -> Result<Named, Failure> {
    let mut downloaded = BTreeMap::new();
    let mut names = Names::default();
    let folder = match properties.destination.trim_matches('/') {
        "" => String::new(),
        folder => format!("/{folder}"),
    };
    for (path, uri) in matching(&properties.namespace, properties.files)? {
        downloaded.insert(format!("{folder}/{path}"), files::copy(&uri, &names.of(&path))?);
    }
    cx.counter("downloaded", downloaded.len() as f64, &[]);
    Ok(Named { files: downloaded })
}

#[properties]
pub struct DeleteFiles {
    /// The namespace.
    namespace: String,
    /// Which files: patterns, or one of them. One that does not begin with `/` fits at any depth.
    #[schemars(extend("type" = ["string", "array"], "items" = { "type": "string" }))]
    files: Value,
}

/// Delete files of a namespace.
///
/// They are gone when the task has succeeded.
///
/// # Everything below a folder
/// ```yaml
/// id: clean
/// type: io.kestra.plugin.core.namespace.DeleteFiles
/// namespace: company.team
/// files: /tmp/**
/// ```
#[task("io.kestra.plugin.core.namespace.DeleteFiles")]
pub fn delete(properties: DeleteFiles, cx: &Context) -> Result<Named, Failure> {
    let mut deleted = BTreeMap::new();
    for (path, uri) in matching(&properties.namespace, properties.files)? {
        if files::delete(&uri)? {
            deleted.insert(format!("/{path}"), uri);
        }
    }
    cx.counter("deleted", deleted.len() as f64, &[]);
    Ok(Named { files: deleted })
}

/// What the URIs of a namespace's files begin with.
fn base(namespace: &str) -> Result<String, Failure> {
    let namespace = namespace.trim();
    if namespace.is_empty() || namespace.contains('/') {
        return Err(Failure::bad_property(format!("property `namespace`: `{namespace}` is no namespace")));
    }
    Ok(format!("nsfile://{namespace}/"))
}

/// A structure, also where an expression gave its JSON as text; one text is a list of it.
fn structured(value: Option<Value>) -> Result<Value, Failure> {
    match value {
        Some(Value::String(text)) => match serde_json::from_str(&text) {
            Ok(parsed @ (Value::Array(_) | Value::Object(_))) => Ok(parsed),
            _ => Ok(Value::Array(vec![Value::String(text)])),
        },
        Some(value @ (Value::Array(_) | Value::Object(_))) => Ok(value),
        None | Some(Value::Null) => Ok(Value::Null),
        Some(_) => Err(Failure::bad_property("property `files`: a list or a map is wanted")),
    }
}

/// Path and URI of the files of a namespace that fit a pattern.
fn matching(namespace: &str, patterns: Value) -> Result<Vec<(String, String)>, Failure> {
    let base = base(namespace)?;
    let Value::Array(patterns) = structured(Some(patterns))? else {
        return Err(Failure::bad_property("property `files`: a pattern or a list of patterns is wanted"));
    };
    let globs: Result<Vec<Glob>, String> =
        patterns.iter().map(|pattern| Glob::anywhere(pattern.as_str().unwrap_or_default())).collect();
    let globs = globs.map_err(Failure::bad_property)?;
    let uris = files::find(&base)?.into_iter();
    let named = uris.filter_map(|uri| Some((uri.strip_prefix(&base)?.to_owned(), uri)));
    Ok(named.filter(|(path, _)| globs.iter().any(|glob| glob.fits(path))).collect())
}
