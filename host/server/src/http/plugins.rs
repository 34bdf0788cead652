//! `/api/v1/{tenant}/plugins`: what flows can use.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::App;
use crate::error::Error;
use crate::flow_schema::{self, Of};

/// Every plugin with its versions, those that are held aside, and the task types of the newest.
pub async fn list(State(app): State<App>) -> Json<Vec<Value>> {
    let catalog = app.node.catalog();
    let plugins = catalog.plugins().map(|(name, versions)| {
        let versions: Vec<_> = versions.filter(|package| catalog.held(package).is_none()).collect();
        let newest = versions.last().map(|package| package.manifest());
        json!({
            "name": name.to_string(),
            "title": newest.map(|manifest| &manifest.title),
            "description": newest.map(|manifest| &manifest.description),
            "versions": versions.iter().map(|package| package.manifest().version.to_string()).collect::<Vec<_>>(),
            "tasks": newest.map(|manifest| manifest.tasks.iter().map(|task| &task.name).collect::<Vec<_>>()),
        })
    });
    Json(plugins.collect())
}

/// The versions that have a task or trigger type and can be used here, newest first: what an editor offers after `version:`.
pub async fn versions_of_type(
    State(app): State<App>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
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
    Ok(Json(json!({ "type": name, "versions": versions })))
}

/// A type as one version describes it.
pub async fn version_of_type(
    State(app): State<App>,
    Path((_, name, version)): Path<(String, String, String)>,
) -> Result<Json<Value>, Error> {
    let catalog = app.node.catalog();
    let found = catalog.described(&name).find(|described| described.package.manifest().version.to_string() == version);
    let task =
        found.ok_or_else(|| Error::NotFound(format!("no plugin has the type `{name}` in version {version}")))?.task;
    let definitions = task.properties.get("$defs").cloned().unwrap_or_else(|| json!({}));
    let parts = [task.title.as_str(), task.description.as_str()].into_iter().filter(|part| !part.is_empty());
    Ok(Json(json!({
        "markdown": parts.collect::<Vec<_>>().join("\n\n"),
        "schema": { "properties": task.properties, "outputs": task.outputs, "definitions": definitions },
    })))
}

/// The JSON Schema of flows, tasks or triggers, for editors. It is the same until plugins or rules about them change.
pub async fn schema(
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
