//! `/api/v1/cluster/versioned-plugins`: versions of plugins come, go and are looked at while the server runs.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use catalog::{Delivery, Requirement, Which};
use semver::Version;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::actor;
use super::openapi::tagged;
use super::wire::Listed;
use super::wire::plugin::{
    Artifact, Asks, Available, AvailablePlugin, Exact, Installed, Needed, OfferedVersion, OneVersion, PluginBody,
    Reasons, Resolved, SourceProblem, Unresolved, Versions, texts,
};
use crate::candidates::Candidate;
use crate::error::{Error, Issue};
use crate::installation::Offered;
use crate::sources::Wanted;

/// Coordinates in one request.
const COORDINATES_MAX: usize = 1_000;

/// What the name of a signature's file ends with, behind the name of the file that it is of.
const SIGNED: &str = ".minisig";

/// What several plugins are named by.
#[derive(Deserialize, ToSchema)]
#[schema(as = PluginCoordinates)]
struct Coordinates {
    /// `name:version`, or, where one is looked for, `name:requirement` and `name` alone.
    plugins: Vec<String>,
}

/// Which versions are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// Also those that need a newer host.
    #[serde(default)]
    all: bool,
}

impl Listing {
    fn which(&self) -> Which {
        if self.all { Which::All } else { Which::RunHere }
    }
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Plugin versions",
        OpenApiRouter::new()
            .routes(routes!(list))
            .routes(routes!(available))
            .routes(routes!(install))
            .routes(routes!(upload))
            .routes(routes!(resolve))
            .routes(routes!(uninstall))
            .routes(routes!(of_plugin))
            .routes(routes!(needed_by))
            .routes(routes!(of_version)),
    )
}

/// Every plugin with its versions, newest first.
#[utoipa::path(
    get, path = "/cluster/versioned-plugins", operation_id = "listVersionedPlugins",
    params(Listing),
    responses((status = 200, body = Listed<PluginBody>)),
)]
async fn list(State(app): State<App>, Query(listing): Query<Listing>) -> Json<Listed<PluginBody>> {
    Json(Listed::all(app.node.catalog().shown(listing.which()).into_iter().map(PluginBody::from)))
}

/// The versions of one plugin, newest first.
#[utoipa::path(
    get, path = "/cluster/versioned-plugins/{plugin}", operation_id = "versionsOfPlugin",
    params(Listing),
    responses((status = 200, body = Versions)),
)]
async fn of_plugin(
    State(app): State<App>,
    Path(plugin): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Json<Versions>, Error> {
    let catalog = app.node.catalog();
    let versions: Vec<OfferedVersion> = catalog
        .versions(&plugin)
        .rev()
        .filter(|package| catalog.is_shown(package, listing.which()))
        .map(|package| {
            let why_not = catalog.runs_here(package).err().map(|error| error.to_string());
            OfferedVersion { runs_here: why_not.is_none(), why_not, artifact: Artifact::of(&catalog, package) }
        })
        .collect();
    match versions.is_empty() {
        true => Err(Error::NotFound(format!("no plugin `{plugin}`"))),
        false => Ok(Json(Versions { name: plugin, versions })),
    }
}

/// One version with its manifest.
#[utoipa::path(
    get, path = "/cluster/versioned-plugins/{plugin}/{version}", operation_id = "versionedPlugin",
    responses((status = 200, body = OneVersion)),
)]
async fn of_version(
    State(app): State<App>,
    Path((plugin, version)): Path<(String, String)>,
) -> Result<Json<OneVersion>, Error> {
    let catalog = app.node.catalog();
    let missing = || Error::NotFound(format!("no plugin `{plugin}` {version}"));
    let parsed = Version::parse(&version).map_err(|_| missing())?;
    let package = catalog.package(&plugin, &parsed).ok_or_else(missing)?;
    let asked = catalog.asked(package).into_iter();
    let asks = asked.map(|asked| Asks { capability: asked.capability.to_string(), beyond: asked.is_beyond });
    Ok(Json(OneVersion {
        artifact: Artifact::of(&catalog, package),
        asks: asks.collect(),
        manifest: package.published.manifest_json().clone(),
    }))
}

/// Who needs each version of a plugin, newest version first.
#[utoipa::path(
    get, path = "/cluster/versioned-plugins/{plugin}/needed-by", operation_id = "pluginNeededBy",
    responses((status = 200, body = Listed<Needed>)),
)]
async fn needed_by(State(app): State<App>, Path(plugin): Path<String>) -> Result<Json<Listed<Needed>>, Error> {
    let mut results = Vec::new();
    for package in app.node.catalog().versions(&plugin).rev() {
        let version = &package.manifest().version;
        let references = app.node.plugin_needed_by(&plugin, version).await?;
        let holders = references.into_iter().map(|reference| reference.holder).collect();
        results.push(Needed { version: version.to_string(), holders });
    }
    match results.is_empty() {
        true => Err(Error::NotFound(format!("no plugin `{plugin}`"))),
        false => Ok(Json(Listed::all(results))),
    }
}

/// Whether what a version asks for is approved as it is installed.
#[derive(Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = PluginApproval)]
struct Approval {
    /// Whether it is.
    #[serde(default)]
    approve: bool,
    /// Kept in the journal.
    #[serde(default)]
    reason: String,
}

impl Approval {
    fn reason(&self) -> Option<String> {
        self.approve.then(|| self.reason.clone())
    }
}

/// Installs packed components, each a file of the form, all or none.
#[utoipa::path(
    post, path = "/cluster/versioned-plugins/upload", operation_id = "uploadVersionedPlugins",
    params(Approval),
    request_body(
        content = Object, content_type = "multipart/form-data",
        description = "Files, each a packed component, or its signature: `NAME.minisig` is of the file `NAME`.",
    ),
    responses((status = 200, body = Listed<Installed>)),
)]
async fn upload(
    State(app): State<App>,
    Query(approval): Query<Approval>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Result<Json<Listed<Installed>>, Error> {
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
#[derive(Deserialize, ToSchema)]
#[schema(as = WishedPlugins)]
struct Wished {
    /// `name:requirement`, or `name` alone.
    plugins: Vec<String>,
    /// One of the sources that are configured; by default the first that offers the plugin.
    from: Option<String>,
    #[serde(flatten)]
    approval: Approval,
}

/// Installs plugins by name, all or none.
#[utoipa::path(
    post, path = "/cluster/versioned-plugins/install", operation_id = "installVersionedPlugins",
    request_body = Wished,
    responses((status = 200, body = Listed<Installed>)),
)]
async fn install(
    State(app): State<App>,
    headers: HeaderMap,
    Json(wished): Json<Wished>,
) -> Result<Json<Listed<Installed>>, Error> {
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
#[utoipa::path(
    get, path = "/cluster/versioned-plugins/available", operation_id = "listAvailableVersionedPlugins",
    responses((status = 200, body = Available)),
)]
async fn available(State(app): State<App>) -> Result<Json<Available>, Error> {
    let (mut results, mut problems) = (Vec::new(), Vec::new());
    for (source, offered) in app.node.available_plugins().await? {
        match offered {
            Ok(index) => results.extend(index.plugins.into_iter().map(|listed| AvailablePlugin {
                name: listed.name,
                title: listed.title,
                versions: texts(&listed.versions),
                source: source.clone(),
            })),
            Err(error) => {
                problems.push(SourceProblem { source, code: error.code().to_owned(), message: error.to_string() });
            }
        }
    }
    Ok(Json(Available { total: results.len(), results, problems }))
}

/// What became of what was to be installed.
fn installed(offered: Vec<Offered>) -> Json<Listed<Installed>> {
    Json(Listed::all(offered.into_iter().map(|offered| Installed {
        name: offered.plugin,
        version: offered.version.to_string(),
        already_installed: offered.was_there,
        held: offered.held.as_ref().map(Reasons::of),
    })))
}

/// What coordinates mean now.
#[utoipa::path(
    post, path = "/cluster/versioned-plugins/resolve", operation_id = "resolveVersionedPlugins",
    request_body = Coordinates,
    responses((status = 200, body = Listed<Resolved>)),
)]
async fn resolve(State(app): State<App>, Json(asked): Json<Coordinates>) -> Result<Json<Listed<Resolved>>, Error> {
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
        results.push(Resolved {
            artifact: coordinate.clone(),
            resolved: package.is_some(),
            resolved_version: package.map(|package| package.manifest().version.to_string()),
            digest: package.map(|package| package.published.digest.to_string()),
            versions: usable.map(|package| package.manifest().version.to_string()).collect(),
            problem: found.err().map(|error| Unresolved { code: error.code().to_owned(), message: error.to_string() }),
        });
    }
    all_good("these are no coordinates", problems)?;
    Ok(Json(Listed::all(results)))
}

/// Takes versions away. All of them are tried; what was refused is said of each.
#[utoipa::path(
    delete, path = "/cluster/versioned-plugins/uninstall", operation_id = "uninstallVersionedPlugins",
    request_body = Coordinates,
    responses((status = 200, body = Listed<Exact>)),
)]
async fn uninstall(
    State(app): State<App>,
    headers: HeaderMap,
    Json(asked): Json<Coordinates>,
) -> Result<Json<Listed<Exact>>, Error> {
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
            Ok(()) => results.push(Exact { name: plugin.to_owned(), version: version.to_string() }),
            Err(error) if asked.plugins.len() == 1 => return Err(error),
            Err(error) => problems.push(problem(index, error.code(), error.to_string())),
        }
    }
    all_good("not all of these were uninstalled", problems)?;
    Ok(Json(Listed::all(results)))
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
