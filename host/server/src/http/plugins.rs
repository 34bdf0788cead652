//! `/api/v1/{tenant}/plugins`: what flows can use.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::openapi::tagged;
use crate::error::Error;
use crate::flow_schema::{self, Of};

/// A plugin that flows can use.
#[derive(Serialize, ToSchema)]
#[schema(as = Plugin)]
struct Shown {
    name: String,
    /// Of the newest version, and so what follows; null where every version is held.
    title: Option<String>,
    description: Option<String>,
    /// Oldest first.
    versions: Vec<String>,
    tasks: Option<Vec<String>>,
}

/// The versions that have a type.
#[derive(Serialize, ToSchema)]
struct VersionsOfType {
    r#type: String,
    /// Newest first.
    versions: Vec<String>,
}

/// A type as one version describes it.
#[derive(Serialize, ToSchema)]
struct DescribedType {
    markdown: String,
    schema: SchemaOfType,
}

/// JSON Schemas of what a type takes and gives.
#[derive(Serialize, ToSchema)]
struct SchemaOfType {
    properties: Value,
    outputs: Value,
    definitions: Value,
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Plugins",
        OpenApiRouter::new()
            .routes(routes!(list))
            .routes(routes!(schema))
            .routes(routes!(versions_of_type))
            .routes(routes!(version_of_type)),
    )
}

/// Every plugin with its versions, those that are held aside, and the task types of the newest.
#[utoipa::path(
    get, path = "/plugins", operation_id = "listPlugins",
    responses((status = 200, body = Vec<Shown>)),
)]
async fn list(State(app): State<App>) -> Json<Vec<Shown>> {
    let catalog = app.node.catalog();
    let plugins = catalog.plugins().map(|(name, versions)| {
        let versions: Vec<_> = versions.filter(|package| catalog.held(package).is_none()).collect();
        let newest = versions.last().map(|package| package.manifest());
        Shown {
            name: name.to_string(),
            title: newest.map(|manifest| manifest.title.clone()),
            description: newest.map(|manifest| manifest.description.clone()),
            versions: versions.iter().map(|package| package.manifest().version.to_string()).collect(),
            tasks: newest.map(|manifest| manifest.tasks.iter().map(|task| task.name.clone()).collect()),
        }
    });
    Json(plugins.collect())
}

/// The versions that have a task or trigger type and can be used here, newest first: what an editor offers after `version:`.
#[utoipa::path(
    get, path = "/plugins/{type}/versions", operation_id = "pluginVersions",
    responses((status = 200, body = VersionsOfType)),
)]
async fn versions_of_type(
    State(app): State<App>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Json<VersionsOfType>, Error> {
    let catalog = app.node.catalog();
    if catalog.owner(&name).is_none() {
        return Err(Error::NotFound(format!("no plugin has the type `{name}`")));
    }
    let mut versions: Vec<String> = catalog
        .described(&name)
        .filter(|described| catalog.is_usable(described.package))
        .map(|described| described.package.manifest().version.to_string())
        .collect();
    versions.reverse();
    Ok(Json(VersionsOfType { r#type: name, versions }))
}

/// A type as one version describes it.
#[utoipa::path(
    get, path = "/plugins/{type}/versions/{version}", operation_id = "pluginDocumentationFromVersion",
    responses((status = 200, body = DescribedType)),
)]
async fn version_of_type(
    State(app): State<App>,
    Path((_, name, version)): Path<(String, String, String)>,
) -> Result<Json<DescribedType>, Error> {
    let catalog = app.node.catalog();
    let found = catalog.described(&name).find(|described| described.package.manifest().version.to_string() == version);
    let task =
        found.ok_or_else(|| Error::NotFound(format!("no plugin has the type `{name}` in version {version}")))?.task;
    let definitions = task.properties.get("$defs").cloned().unwrap_or_else(|| json!({}));
    let parts = [task.title.as_str(), task.description.as_str()].into_iter().filter(|part| !part.is_empty());
    Ok(Json(DescribedType {
        markdown: parts.collect::<Vec<_>>().join("\n\n"),
        schema: SchemaOfType { properties: json!(task.properties), outputs: json!(task.outputs), definitions },
    }))
}

/// The JSON Schema of flows, tasks or triggers, for editors. It is the same until plugins or rules about them change.
#[utoipa::path(
    get, path = "/plugins/schemas/{of}", operation_id = "schemasFromType",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the schema that the caller has.")),
    responses((status = 200, body = Object), (status = 304, description = "the caller has it")),
)]
async fn schema(
    State(app): State<App>,
    Path((_, of)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let known = || Error::NotFound(format!("no schema of `{of}`; hint: there are `flow`, `task` and `trigger`"));
    let of = Of::named(&of).ok_or_else(known)?;
    let catalog = app.node.catalog();
    let tag = flow_schema::tag(&catalog);
    let cached = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    let asked = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    if asked
        .flat_map(|value| value.split(','))
        .any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*")
    {
        return Ok((StatusCode::NOT_MODIFIED, cached).into_response());
    }
    let text = app.node.blocking(move || flow_schema::document(&catalog, of).to_string()).await?;
    Ok((cached, [(header::CONTENT_TYPE, "application/json")], text).into_response())
}
