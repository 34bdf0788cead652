//! `/api/v1/cluster/versioned-plugins`: versions of plugins come, go and are looked at while the server runs.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use catalog::{Catalog, Delivery, Held, Origin, Package, Requirement, Which};
use semver::Version;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::auth::actor;
use crate::candidates::Candidate;
use crate::error::{Error, Issue};
use crate::installation::Offered;
use crate::sources::Wanted;

/// Coordinates in one request.
const COORDINATES_MAX: usize = 1_000;

/// What the name of a signature's file ends with, behind the name of the file that it is of.
const SIGNED: &str = ".minisig";

/// What several plugins are named by.
#[derive(Deserialize)]
pub struct Coordinates {
    /// `name:version`, or, where one is looked for, `name:requirement` and `name` alone.
    plugins: Vec<String>,
}

/// Which versions are listed.
#[derive(Deserialize)]
pub struct Listing {
    /// Also those that need a newer host.
    #[serde(default)]
    all: bool,
}

impl Listing {
    fn which(&self) -> Which {
        if self.all { Which::All } else { Which::RunHere }
    }
}

/// Every plugin with its versions, newest first.
pub async fn list(State(app): State<App>, Query(listing): Query<Listing>) -> Json<Value> {
    let results = app.node.catalog().shown(listing.which());
    Json(json!({ "total": results.len(), "results": results }))
}

/// The versions of one plugin, newest first.
pub async fn of_plugin(
    State(app): State<App>,
    Path(plugin): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Json<Value>, Error> {
    let catalog = app.node.catalog();
    let versions: Vec<Value> = catalog
        .versions(&plugin)
        .rev()
        .filter(|package| catalog.is_shown(package, listing.which()))
        .map(|package| {
            let why_not = catalog.runs_here(package).err().map(|error| error.to_string());
            json!({ "runsHere": why_not.is_none(), "whyNot": why_not, "artifact": artifact(&catalog, package) })
        })
        .collect();
    match versions.is_empty() {
        true => Err(Error::NotFound(format!("no plugin `{plugin}`"))),
        false => Ok(Json(json!({ "name": plugin, "versions": versions }))),
    }
}

/// One version with its manifest.
pub async fn of_version(
    State(app): State<App>,
    Path((plugin, version)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
    let catalog = app.node.catalog();
    let missing = || Error::NotFound(format!("no plugin `{plugin}` {version}"));
    let parsed = Version::parse(&version).map_err(|_| missing())?;
    let package = catalog.package(&plugin, &parsed).ok_or_else(missing)?;
    let asked = catalog.asked(package).into_iter();
    let asks = asked.map(|asked| json!({ "capability": asked.capability.to_string(), "beyond": asked.is_beyond }));
    Ok(Json(json!({
        "artifact": artifact(&catalog, package),
        "asks": asks.collect::<Vec<_>>(),
        "manifest": package.published.manifest_json(),
    })))
}

/// Who needs each version of a plugin, newest version first.
pub async fn needed_by(State(app): State<App>, Path(plugin): Path<String>) -> Result<Json<Value>, Error> {
    let mut results = Vec::new();
    for package in app.node.catalog().versions(&plugin).rev() {
        let version = &package.manifest().version;
        let references = app.node.plugin_needed_by(&plugin, version).await?;
        let holders: Vec<String> = references.into_iter().map(|reference| reference.holder).collect();
        results.push(json!({ "version": version.to_string(), "holders": holders }));
    }
    match results.is_empty() {
        true => Err(Error::NotFound(format!("no plugin `{plugin}`"))),
        false => Ok(Json(json!({ "total": results.len(), "results": results }))),
    }
}

/// Whether what a version asks for is approved as it is installed.
#[derive(Default, Deserialize)]
pub struct Approval {
    #[serde(default)]
    approve: bool,
    #[serde(default)]
    reason: String,
}

impl Approval {
    fn reason(&self) -> Option<String> {
        self.approve.then(|| self.reason.clone())
    }
}

/// Installs packed components, each a file of the form, all or none.
pub async fn upload(
    State(app): State<App>,
    Query(approval): Query<Approval>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Result<Json<Value>, Error> {
    let broken = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Error::TooLarge(format!("the body has more than {} bytes", app.body_max_bytes))
        }
        _ => Error::bad_request("body.multipart", error.body_text()),
    };
    let (mut files, mut signatures) = (Vec::new(), BTreeMap::new());
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let Some(name) = field.file_name().map(str::to_owned) else { continue };
        let bytes = field.bytes().await.map_err(broken)?;
        match name.strip_suffix(SIGNED) {
            Some(of) => drop(signatures.insert(of.to_owned(), String::from_utf8_lossy(&bytes).into_owned())),
            None => files.push((name, bytes)),
        }
    }
    if files.is_empty() {
        return Err(Error::bad_request("plugin.no_file", "the form has no file; hint: -F file=@plugin.wasm"));
    }
    let candidate = |(origin, bytes): (String, Bytes)| Candidate {
        signature: signatures.get(&origin).cloned(),
        component: bytes.to_vec(),
        origin,
        from: Delivery::Local,
        approval: approval.reason(),
    };
    let candidates = files.into_iter().map(candidate).collect();
    Ok(installed(app.node.install_plugins(candidates, &actor(&headers)).await?))
}

/// What is to be installed from a source.
#[derive(Deserialize)]
pub struct Wished {
    /// `name:requirement`, or `name` alone.
    plugins: Vec<String>,
    /// One of the sources that are configured; by default the first that offers the plugin.
    from: Option<String>,
    #[serde(flatten)]
    approval: Approval,
}

/// Installs plugins by name, all or none.
pub async fn install(
    State(app): State<App>,
    headers: HeaderMap,
    Json(wished): Json<Wished>,
) -> Result<Json<Value>, Error> {
    let Wished { plugins, from, approval } = wished;
    within(&plugins)?;
    let (mut wanted, mut problems) = (Vec::new(), Vec::new());
    for (index, coordinate) in plugins.iter().enumerate() {
        match Wanted::parse(coordinate, ':') {
            Ok(one) => wanted.push(one),
            Err(error) => problems.push(problem(index, error.code(), error.to_string())),
        }
    }
    all_good("these are no coordinates", problems)?;
    let by = actor(&headers);
    Ok(installed(app.node.install_from_sources(&wanted, from.as_deref(), approval.reason(), &by).await?))
}

/// What the sources that are configured offer. One that does not answer hides no other.
pub async fn available(State(app): State<App>) -> Result<Json<Value>, Error> {
    let (mut results, mut problems) = (Vec::new(), Vec::new());
    for (source, offered) in app.node.available_plugins().await? {
        match offered {
            Ok(index) => results.extend(index.plugins.into_iter().map(|listed| {
                json!({ "name": listed.name, "title": listed.title, "versions": listed.versions, "source": source })
            })),
            Err(error) => {
                problems.push(json!({ "source": source, "code": error.code(), "message": error.to_string() }));
            }
        }
    }
    Ok(Json(json!({ "total": results.len(), "results": results, "problems": problems })))
}

/// What became of what was to be installed.
fn installed(offered: Vec<Offered>) -> Json<Value> {
    let shown = |offered: Offered| {
        let mut shown = json!({
            "name": offered.plugin, "version": offered.version.to_string(), "alreadyInstalled": offered.was_there,
        });
        if let Some(held) = &offered.held {
            shown["held"] = reasons(held);
        }
        shown
    };
    let results: Vec<Value> = offered.into_iter().map(shown).collect();
    Json(json!({ "total": results.len(), "results": results }))
}

/// What coordinates mean now.
pub async fn resolve(State(app): State<App>, Json(asked): Json<Coordinates>) -> Result<Json<Value>, Error> {
    within(&asked.plugins)?;
    let catalog = app.node.catalog();
    let mut problems = Vec::new();
    let mut results = Vec::new();
    for (index, coordinate) in asked.plugins.iter().enumerate() {
        let (plugin, text) = coordinate.split_once(':').unwrap_or((coordinate, "LATEST"));
        if let Err(error) = Requirement::parse(text) {
            problems.push(problem(index, error.code(), error.to_string()));
            continue;
        }
        let found = catalog.select(plugin, text);
        let package = found.as_ref().ok();
        let usable = catalog.versions(plugin).rev().filter(|package| catalog.is_offered(package));
        results.push(json!({
            "artifact": coordinate,
            "resolved": package.is_some(),
            "resolvedVersion": package.map(|package| package.manifest().version.to_string()),
            "digest": package.map(|package| package.published.digest.to_string()),
            "versions": usable.map(|package| package.manifest().version.to_string()).collect::<Vec<_>>(),
            "problem": found.err().map(|error| json!({ "code": error.code(), "message": error.to_string() })),
        }));
    }
    all_good("these are no coordinates", problems)?;
    Ok(Json(json!({ "total": results.len(), "results": results })))
}

/// Takes versions away. All of them are tried; what was refused is said of each.
pub async fn uninstall(
    State(app): State<App>,
    headers: HeaderMap,
    Json(asked): Json<Coordinates>,
) -> Result<Json<Value>, Error> {
    within(&asked.plugins)?;
    let mut problems = Vec::new();
    let mut versions = Vec::new();
    for (index, coordinate) in asked.plugins.iter().enumerate() {
        let exact = coordinate.split_once(':').and_then(|(name, text)| Some((name, Version::parse(text).ok()?)));
        match exact {
            Some(exact) => versions.push((index, exact)),
            None => problems.push(problem(index, "plugin.coordinate", format!("`{coordinate}` is not NAME:VERSION"))),
        }
    }
    // What cannot be read is said before anything is done.
    all_good("these are no coordinates", problems)?;
    let mut results = Vec::new();
    let mut problems = Vec::new();
    for (index, (plugin, version)) in versions {
        match app.node.uninstall_plugin(plugin, &version, &actor(&headers)).await {
            Ok(()) => results.push(json!({ "name": plugin, "version": version.to_string() })),
            Err(error) if asked.plugins.len() == 1 => return Err(error),
            Err(error) => problems.push(problem(index, error.code(), error.to_string())),
        }
    }
    all_good("not all of these were uninstalled", problems)?;
    Ok(Json(json!({ "total": results.len(), "results": results })))
}

fn within(plugins: &[String]) -> Result<(), Error> {
    match plugins.len() {
        0 => Err(Error::bad_request("plugin.coordinate", "`plugins` names none")),
        count if count > COORDINATES_MAX => {
            Err(Error::bad_request("plugin.coordinate", format!("`plugins` names more than {COORDINATES_MAX}")))
        }
        _ => Ok(()),
    }
}

fn problem(index: usize, code: &str, message: String) -> Issue {
    Issue { path: format!("plugins[{index}]"), line: None, code: code.to_owned(), message, hint: None }
}

fn all_good(message: &str, issues: Vec<Issue>) -> Result<(), Error> {
    match issues.is_empty() {
        true => Ok(()),
        false => Err(Error::Invalid { code: "plugins.refused", message: message.to_owned(), issues }),
    }
}

/// Why a version is held, as clients are told.
pub(super) fn reasons(held: &Held) -> Value {
    json!({ "beyond": held.beyond.iter().map(ToString::to_string).collect::<Vec<_>>(), "withdrawn": held.withdrawn })
}

pub(super) fn artifact(catalog: &Catalog, package: &Package) -> Value {
    let manifest = package.manifest();
    json!({
        "name": manifest.name.as_str(),
        "version": manifest.version.to_string(),
        "digest": package.published.digest.to_string(),
        "sizeBytes": package.published.size_bytes,
        "installed": package.origin == Origin::Installed,
        "held": catalog.held(package).map(reasons),
        "signer": catalog.signer(package),
    })
}
