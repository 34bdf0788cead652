//! `/api/v1/{tenant}/plugins`: what flows can use.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::App;

/// Every plugin with its versions, and the task types of the newest.
pub async fn list(State(app): State<App>) -> Json<Vec<Value>> {
    let catalog = app.node.catalog();
    let plugins = catalog.plugins().map(|(name, versions)| {
        let versions: Vec<_> = versions.collect();
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
