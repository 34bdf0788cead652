//! `/api/v1/{tenant}/flows/...`: what flows would run on if they were saved now, revisions that do, and the way back.

use axum::Json;
use axum::extract::{Path, Query, State};
use semver::Version;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::openapi::tagged;
use super::wire::Listed;
use crate::error::Error;
use crate::upgrades::{Moved, Only, Upgrade};

/// What is upgraded.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct UpgradeQuery {
    /// `NAME` or `NAME@VERSION`: this plugin alone.
    plugin: Option<String>,
    /// Only say what would change.
    #[serde(default)]
    dry_run: bool,
}

/// Where to go back to.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RollBackQuery {
    /// Whose lock is taken.
    revision: u32,
}

/// What an upgrade or a way back did, or would do.
#[derive(Serialize, ToSchema)]
#[schema(as = FlowUpgrade)]
struct Upgraded {
    namespace: String,
    id: String,
    /// The newest revision afterwards.
    revision: u32,
    changes: Vec<Moved>,
}

/// A flow that another lock would be made for.
#[derive(Serialize, ToSchema)]
#[schema(as = OutdatedFlow)]
struct Outdated {
    namespace: String,
    id: String,
    revision: u32,
    changes: Vec<Moved>,
    /// Why it could not be saved again.
    message: Option<String>,
}

pub fn routes() -> OpenApiRouter<App> {
    tagged("Flows", OpenApiRouter::new().routes(routes!(outdated)).routes(routes!(upgrade)).routes(routes!(roll_back)))
}

/// Every flow that another lock would be made for.
#[utoipa::path(
    get, path = "/flows/outdated", operation_id = "outdatedFlows",
    responses((status = 200, body = Listed<Outdated>)),
)]
async fn outdated(State(app): State<App>) -> Result<Json<Listed<Outdated>>, Error> {
    let outdated = app.node.outdated_flows().await?;
    Ok(Json(Listed::all(outdated.into_iter().map(|(saved, changes)| {
        let (namespace, id) = (saved.flow.key.namespace.to_string(), saved.flow.key.id.to_string());
        let (changes, message) = match changes {
            Ok(moved) => (moved, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Outdated { namespace, id, revision: saved.flow.revision, changes, message }
    }))))
}

/// Resolves the plugins of a flow anew, and saves what comes out as a revision.
#[utoipa::path(
    post, path = "/flows/{namespace}/{id}/upgrade", operation_id = "upgradeFlow",
    params(UpgradeQuery),
    responses((status = 200, body = Upgraded)),
)]
async fn upgrade(
    State(app): State<App>,
    Path((_, namespace, id)): Path<(String, String, String)>,
    Query(query): Query<UpgradeQuery>,
) -> Result<Json<Upgraded>, Error> {
    let only = query.plugin.as_deref().map(only).transpose()?;
    let upgrade = app.node.upgrade_flow(&namespace, &id, only.as_ref(), !query.dry_run).await?;
    Ok(Json(body(&upgrade)))
}

/// Saves a revision that runs on what an older one did.
#[utoipa::path(
    post, path = "/flows/{namespace}/{id}/rollback", operation_id = "rollBackFlow",
    params(RollBackQuery),
    responses((status = 200, body = Upgraded)),
)]
async fn roll_back(
    State(app): State<App>,
    Path((_, namespace, id)): Path<(String, String, String)>,
    Query(query): Query<RollBackQuery>,
) -> Result<Json<Upgraded>, Error> {
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

fn body(upgrade: &Upgrade) -> Upgraded {
    let flow = &upgrade.flow.flow;
    Upgraded {
        namespace: flow.key.namespace.to_string(),
        id: flow.key.id.to_string(),
        revision: flow.revision,
        changes: upgrade.moved.clone(),
    }
}
