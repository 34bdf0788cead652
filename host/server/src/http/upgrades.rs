//! `/api/v1/{tenant}/flows/...`: what flows would run on if they were saved now, revisions that do, and the way back.

use axum::Json;
use axum::extract::{Path, Query, State};
use semver::Version;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use crate::error::Error;
use crate::upgrades::{Moved, Only, Upgrade};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeQuery {
    /// `NAME` or `NAME@VERSION`: this plugin alone.
    plugin: Option<String>,
    /// Only say what would change.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
pub struct RollBackQuery {
    revision: u32,
}

/// Every flow that another lock would be made for.
pub async fn outdated(State(app): State<App>) -> Result<Json<Value>, Error> {
    let outdated = app.node.outdated_flows().await?;
    let results: Vec<Value> = outdated
        .iter()
        .map(|(saved, changes)| {
            let key = &saved.flow.key;
            let (changes, message) = match changes {
                Ok(moved) => (moved.as_slice(), None),
                Err(error) => (<&[Moved]>::default(), Some(error.to_string())),
            };
            json!({
                "namespace": key.namespace.as_str(), "id": key.id.as_str(), "revision": saved.flow.revision,
                "changes": changes, "message": message,
            })
        })
        .collect();
    Ok(Json(json!({ "total": results.len(), "results": results })))
}

pub async fn upgrade(
    State(app): State<App>,
    Path((_, namespace, id)): Path<(String, String, String)>,
    Query(query): Query<UpgradeQuery>,
) -> Result<Json<Value>, Error> {
    let only = query.plugin.as_deref().map(only).transpose()?;
    let upgrade = app.node.upgrade_flow(&namespace, &id, only.as_ref(), !query.dry_run).await?;
    Ok(Json(body(&upgrade)))
}

pub async fn roll_back(
    State(app): State<App>,
    Path((_, namespace, id)): Path<(String, String, String)>,
    Query(query): Query<RollBackQuery>,
) -> Result<Json<Value>, Error> {
    Ok(Json(body(&app.node.roll_back_flow(&namespace, &id, query.revision).await?)))
}

fn only(text: &str) -> Result<Only, Error> {
    let (plugin, version) = match text.split_once('@') {
        None => (text, None),
        Some((plugin, version)) => {
            let parsed = Version::parse(version).map_err(|error| {
                Error::bad_request("plugin.coordinate", format!("`{text}` is not NAME or NAME@VERSION: {error}"))
            })?;
            (plugin, Some(parsed))
        }
    };
    Ok(Only { plugin: plugin.to_owned(), version })
}

fn body(upgrade: &Upgrade) -> Value {
    let key = &upgrade.flow.flow.key;
    json!({
        "namespace": key.namespace.as_str(), "id": key.id.as_str(), "revision": upgrade.flow.flow.revision,
        "changes": upgrade.moved,
    })
}
