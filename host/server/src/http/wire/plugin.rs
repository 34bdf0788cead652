//! The shapes of plugin versions: what is installed, offered, held, resolved.

use catalog::{Catalog, Held, Origin, Package, Shown};
use semver::Version;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A plugin with its versions.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = VersionedPlugin)]
pub struct PluginBody {
    name: String,
    /// As the newest version that flows can use has it.
    title: String,
    /// Newest first.
    versions: Vec<String>,
    /// Those of them that wait for approval.
    held: Vec<String>,
    /// Those of them that need a newer host.
    too_new: Vec<String>,
    /// Of the newest version that flows can use.
    tasks: Vec<TaskTitle>,
}

/// A task type.
#[derive(Serialize, ToSchema)]
pub struct TaskTitle {
    r#type: String,
    title: String,
}

impl From<Shown> for PluginBody {
    fn from(shown: Shown) -> Self {
        let tasks = shown.tasks.into_iter().map(|task| TaskTitle { r#type: task.name, title: task.title });
        Self {
            name: shown.name,
            title: shown.title,
            versions: texts(&shown.versions),
            held: texts(&shown.held),
            too_new: texts(&shown.too_new),
            tasks: tasks.collect(),
        }
    }
}

/// Versions as texts.
pub fn texts(versions: &[Version]) -> Vec<String> {
    versions.iter().map(ToString::to_string).collect()
}

/// A version of a plugin.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    name: String,
    version: String,
    /// sha256 of the component.
    digest: String,
    size_bytes: Option<u64>,
    /// Else it came with the server.
    installed: bool,
    held: Option<Reasons>,
    signer: Option<String>,
}

impl Artifact {
    pub fn of(catalog: &Catalog, package: &Package) -> Self {
        let manifest = package.manifest();
        Self {
            name: manifest.name.as_str().to_owned(),
            version: manifest.version.to_string(),
            digest: package.published.digest.to_string(),
            size_bytes: package.published.size_bytes,
            installed: package.origin == Origin::Installed,
            held: catalog.held(package).map(Reasons::of),
            signer: catalog.signer(package).map(str::to_owned),
        }
    }
}

/// Why a version is held.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldReasons)]
pub struct Reasons {
    /// What it asks for that no approved version does.
    beyond: Vec<String>,
    /// Why its approval was taken back.
    withdrawn: Option<String>,
}

impl Reasons {
    pub fn of(held: &Held) -> Self {
        Self { beyond: held.beyond.iter().map(ToString::to_string).collect(), withdrawn: held.withdrawn.clone() }
    }
}

/// All versions of one plugin.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginVersions)]
pub struct Versions {
    pub name: String,
    pub versions: Vec<OfferedVersion>,
}

/// A version, and whether this server can run it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferedVersion {
    pub runs_here: bool,
    pub why_not: Option<String>,
    pub artifact: Artifact,
}

/// A version with its manifest.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginVersion)]
pub struct OneVersion {
    pub artifact: Artifact,
    pub asks: Vec<Asks>,
    pub manifest: Value,
}

/// Something that a version asks for.
#[derive(Serialize, ToSchema)]
#[schema(as = AskedCapability)]
pub struct Asks {
    pub capability: String,
    /// No approved version asks for it.
    pub beyond: bool,
}

/// Who needs a version.
#[derive(Serialize, ToSchema)]
#[schema(as = NeededVersion)]
pub struct Needed {
    pub version: String,
    pub holders: Vec<String>,
}

/// A version that was to be installed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InstalledVersion)]
pub struct Installed {
    pub name: String,
    pub version: String,
    /// These very bytes were there.
    pub already_installed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Reasons>,
}

/// What a coordinate means now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ResolvedCoordinate)]
pub struct Resolved {
    pub artifact: String,
    pub resolved: bool,
    pub resolved_version: Option<String>,
    pub digest: Option<String>,
    /// Newest first.
    pub versions: Vec<String>,
    pub problem: Option<Unresolved>,
}

/// Why a coordinate means nothing.
#[derive(Serialize, ToSchema)]
pub struct Unresolved {
    pub code: String,
    pub message: String,
}

/// A version by its name.
#[derive(Serialize, ToSchema)]
#[schema(as = ExactVersion)]
pub struct Exact {
    pub name: String,
    pub version: String,
}

/// What sources offer.
#[derive(Serialize, ToSchema)]
#[schema(as = AvailablePlugins)]
pub struct Available {
    pub total: usize,
    pub results: Vec<AvailablePlugin>,
    /// Of sources that did not answer.
    pub problems: Vec<SourceProblem>,
}

/// A plugin that a source offers.
#[derive(Serialize, ToSchema)]
pub struct AvailablePlugin {
    pub name: String,
    pub title: String,
    /// Oldest first.
    pub versions: Vec<String>,
    pub source: String,
}

/// Why a source did not answer.
#[derive(Serialize, ToSchema)]
pub struct SourceProblem {
    pub source: String,
    pub code: String,
    pub message: String,
}
