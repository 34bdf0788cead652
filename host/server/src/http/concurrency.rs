//! `/concurrency-limit`: how many executions of flows that have a limit hold a slot.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::flows::Paged;
use super::openapi::tagged;
use crate::error::Error;
use crate::flows::key;

/// The slots of a flow.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConcurrencyLimit {
    tenant_id: &'static str,
    namespace: String,
    flow_id: String,
    /// Executions that hold a slot.
    running: usize,
    /// Ours: how many may.
    limit: u32,
}

pub fn routes() -> OpenApiRouter<App> {
    tagged("Flows", OpenApiRouter::new().routes(routes!(search)).routes(routes!(update)))
}

/// The flows that have a concurrency limit, with the slots that are taken.
#[utoipa::path(
    get, path = "/concurrency-limit/search", operation_id = "searchConcurrencyLimits",
    responses((status = 200, body = Paged<ConcurrencyLimit>)),
)]
async fn search(State(app): State<App>) -> Result<Json<Paged<ConcurrencyLimit>>, Error> {
    let mut results = Vec::new();
    for saved in app.node.flows(None).await? {
        let Some(concurrency) = saved.flow.concurrency else { continue };
        let flow = &saved.flow.key;
        results.push(ConcurrencyLimit {
            tenant_id: model::ids::TENANT,
            namespace: flow.namespace.to_string(),
            flow_id: flow.id.to_string(),
            running: app.node.slots_taken(flow).await?,
            limit: concurrency.limit,
        });
    }
    let total = results.len();
    Ok(Json(Paged { results, total }))
}

/// What a client believes is running.
#[derive(Deserialize, ToSchema)]
#[schema(as = BelievedLimit)]
pub struct Believed {
    running: Option<usize>,
}

/// Kestra corrects a counter so. Here the slots are counted, and cannot be wrong: another number is refused.
#[utoipa::path(
    put, path = "/concurrency-limit/{namespace}/{flowId}", operation_id = "updateConcurrencyLimit",
    request_body = Believed,
    responses((status = 200, body = ConcurrencyLimit)),
)]
async fn update(
    State(app): State<App>,
    Path((_, namespace, id)): Path<(String, String, String)>,
    Json(believed): Json<Believed>,
) -> Result<Json<ConcurrencyLimit>, Error> {
    let saved = app.node.flow(&namespace, &id, None).await?;
    let Some(concurrency) = saved.flow.concurrency else {
        return Err(Error::NotFound(format!("flow `{}` has no concurrency limit", saved.flow.key)));
    };
    let running = app.node.slots_taken(&key(&namespace, &id)).await?;
    if let Some(other) = believed.running.filter(|believed| *believed != running) {
        let message = format!(
            "{running} executions of flow `{}` hold a slot, not {other}, and that number cannot be set; hint: kill executions, or \
             unqueue those that wait",
            saved.flow.key
        );
        return Err(Error::Conflict { code: "concurrency.counted", message });
    }
    Ok(Json(ConcurrencyLimit {
        tenant_id: model::ids::TENANT,
        namespace,
        flow_id: id,
        running,
        limit: concurrency.limit,
    }))
}
