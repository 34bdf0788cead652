//! `/api/v1/{tenant}/plugins`: what flows can use.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::App;
use crate::error::Error;

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
