//! The HTTP API: Kestra 1.0's paths and shapes under `/api/v1/{tenant}`, and ours beside them. Parses and shows; decides nothing.

mod answer;
pub mod auth;
mod bulk;
mod decisions;
mod executions;
mod files;
mod filters;
mod flows;
mod follow;
mod health;
mod kv;
mod life;
mod logs;
mod metrics;
mod plugins;
mod secrets;
mod triggers;
mod upgrades;
mod versions;
mod webhook;
pub mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, patch, post, put};

use crate::node::Node;
use auth::Access;

/// Largest body of a request that carries inputs or files, in bytes. Flows have a limit of their own (1 MiB).
pub const BODY_MAX_BYTES: usize = 64 << 20;

/// What every handler has.
#[derive(Clone)]
pub struct App {
    pub node: Arc<Node>,
    /// See [`BODY_MAX_BYTES`].
    pub body_max_bytes: usize,
}

/// All routes of a node.
pub fn router(node: Arc<Node>, access: Access) -> Router {
    let app = App { node, body_max_bytes: BODY_MAX_BYTES };
    let tenant = Router::new()
        .route("/flows", post(flows::create))
        .route("/flows/search", get(flows::search))
        .route("/flows/validate", post(flows::validate))
        .route("/flows/distinct-namespaces", get(flows::distinct_namespaces))
        .route("/flows/{namespace}", get(flows::of_namespace))
        .route("/flows/{namespace}/{id}", get(flows::get).put(flows::update).delete(flows::delete))
        .route("/flows/{namespace}/{id}/revisions", get(flows::revisions))
        .route("/flows/{namespace}/{id}/lock", get(flows::lock))
        .route("/flows/outdated", get(upgrades::outdated))
        .route("/flows/{namespace}/{id}/upgrade", post(upgrades::upgrade))
        .route("/flows/{namespace}/{id}/rollback", post(upgrades::roll_back))
        .route("/executions", get(executions::search))
        .route("/executions/search", get(executions::search))
        .route("/executions/{execution}", get(executions::get).delete(bulk::delete_one))
        .route("/executions/kill/by-ids", delete(bulk::kill_by_ids))
        .route("/executions/kill/by-query", delete(bulk::kill_by_query))
        .route("/executions/pause/by-ids", post(bulk::pause_by_ids))
        .route("/executions/pause/by-query", post(bulk::pause_by_query))
        .route("/executions/resume/by-ids", post(bulk::resume_by_ids))
        .route("/executions/resume/by-query", post(bulk::resume_by_query))
        .route("/executions/restart/by-ids", post(bulk::restart_by_ids))
        .route("/executions/restart/by-query", post(bulk::restart_by_query))
        .route("/executions/replay/by-ids", post(bulk::replay_by_ids))
        .route("/executions/replay/by-query", post(bulk::replay_by_query))
        .route("/executions/force-run/by-ids", post(bulk::force_run_by_ids))
        .route("/executions/force-run/by-query", post(bulk::force_run_by_query))
        .route("/executions/unqueue/by-ids", post(bulk::unqueue_by_ids))
        .route("/executions/unqueue/by-query", post(bulk::unqueue_by_query))
        .route("/executions/change-status/by-ids", post(bulk::status_by_ids))
        .route("/executions/change-status/by-query", post(bulk::status_by_query))
        .route("/executions/labels/by-ids", post(bulk::labels_by_ids))
        .route("/executions/labels/by-query", post(bulk::labels_by_query))
        .route("/executions/by-ids", delete(bulk::delete_by_ids))
        .route("/executions/by-query", delete(bulk::delete_by_query))
        .route("/executions/{execution}/kill", delete(life::kill))
        .route("/executions/{execution}/pause", post(life::pause))
        .route("/executions/{execution}/resume", post(life::resume))
        .route("/executions/{execution}/resume-from-breakpoint", post(life::resume_from_breakpoint))
        .route("/executions/{execution}/restart", post(life::restart))
        .route("/executions/{execution}/replay", post(life::replay))
        .route("/executions/{execution}/replay-with-inputs", post(life::replay_with_inputs))
        .route("/executions/{execution}/state", post(life::change_state))
        .route("/executions/{execution}/change-status", post(life::change_status))
        .route("/executions/{execution}/labels", post(life::set_labels))
        .route("/executions/{execution}/force-run", post(life::force_run))
        .route("/executions/{execution}/unqueue", post(life::unqueue))
        .route("/executions/{execution}/eval", post(life::evaluate))
        .route("/executions/{execution}/eval/{run}", post(life::evaluate_in_run))
        .route("/executions/{execution}/follow", get(follow::execution))
        .route("/executions/{execution}/file", get(files::download))
        .route("/executions/{execution}/file/metas", get(files::metas))
        .route("/executions/{execution}/flow", get(executions::flow_of))
        .route("/executions/flows/{namespace}/{flow}", get(executions::flow))
        .route("/executions/latest", post(executions::latest))
        .route("/executions/{namespace}/{flow}", post(executions::create))
        .route("/logs/search", get(logs::search))
        .route("/logs/{execution}", get(logs::of_execution).delete(logs::delete))
        .route("/logs/{execution}/download", get(logs::download))
        .route("/logs/{execution}/follow", get(follow::logs))
        .route("/logs/{namespace}/{flow}", delete(logs::delete_of_flow))
        .route("/metrics/{execution}", get(metrics::of_execution))
        .route("/metrics/names/{namespace}/{flow}", get(metrics::names_of_flow))
        .route("/metrics/names/{namespace}/{flow}/{task}", get(metrics::names_of_task))
        .route("/metrics/tasks/{namespace}/{flow}", get(metrics::tasks_of_flow))
        .route("/metrics/aggregates/{namespace}/{flow}/{metric}", get(metrics::aggregate_of_flow))
        .route("/metrics/aggregates/{namespace}/{flow}/{task}/{metric}", get(metrics::aggregate_of_task))
        .route("/kv", get(kv::list_all))
        .route("/namespaces/{namespace}/kv", get(kv::list).delete(kv::delete_several))
        .route("/namespaces/{namespace}/kv/inheritance", get(kv::inherited))
        .route("/namespaces/{namespace}/kv/{key}", get(kv::get).put(kv::set).delete(kv::delete))
        .route("/namespaces/{namespace}/secrets", get(secrets::list).put(secrets::set))
        .route("/namespaces/{namespace}/secrets/{key}", patch(secrets::describe).delete(secrets::delete))
        .route("/namespaces/{namespace}/inherited-secrets", get(secrets::inherited))
        .route("/plugins", get(plugins::list))
        .route("/plugins/schemas/{of}", get(plugins::schema))
        .route("/plugins/{type}/versions", get(plugins::versions_of_type))
        .route("/plugins/{type}/versions/{version}", get(plugins::version_of_type))
        .route("/triggers", put(triggers::update))
        .route("/triggers/search", get(triggers::search))
        .route("/triggers/backfill/create", put(triggers::backfill))
        .route("/triggers/backfill/pause", put(triggers::pause_backfill))
        .route("/triggers/backfill/unpause", put(triggers::resume_backfill))
        .route("/triggers/backfill/delete", post(triggers::end_backfill))
        .route("/triggers/unlock/by-triggers", post(triggers::unlock_by_ids))
        .route("/triggers/unlock/by-query", post(triggers::unlock_by_query))
        .route("/triggers/backfill/pause/by-triggers", post(triggers::pause_backfill_by_ids))
        .route("/triggers/backfill/pause/by-query", post(triggers::pause_backfill_by_query))
        .route("/triggers/backfill/unpause/by-triggers", post(triggers::resume_backfill_by_ids))
        .route("/triggers/backfill/unpause/by-query", post(triggers::resume_backfill_by_query))
        .route("/triggers/backfill/delete/by-triggers", post(triggers::end_backfill_by_ids))
        .route("/triggers/backfill/delete/by-query", post(triggers::end_backfill_by_query))
        .route("/triggers/set-disabled/by-triggers", post(triggers::switch_by_ids))
        .route("/triggers/set-disabled/by-query", post(triggers::switch_by_query))
        .route("/triggers/{namespace}/{flow}", get(triggers::of_flow))
        .route("/triggers/{namespace}/{flow}/{trigger}/unlock", post(triggers::unlock))
        .route("/triggers/{namespace}/{flow}/{trigger}/restart", post(triggers::restart))
        .layer(middleware::from_fn(known_tenant));
    // Kestra's paths of versioned plugins; a coordinate is `name:requirement`, and plugins belong to the server, not to a tenant.
    let versions = Router::new()
        .route("/", get(versions::list))
        .route("/available", get(versions::available))
        .route("/install", post(versions::install))
        .route("/upload", post(versions::upload))
        .route("/resolve", post(versions::resolve))
        .route("/rules", get(decisions::rules).put(decisions::add_rule).delete(decisions::lift_rule))
        .route("/approvals", get(decisions::held).post(decisions::approve).delete(decisions::withdraw))
        .route("/audit", get(decisions::audit))
        .route("/uninstall", delete(versions::uninstall))
        .route("/{plugin}", get(versions::of_plugin))
        .route("/{plugin}/needed-by", get(versions::needed_by))
        .route("/{plugin}/{version}", get(versions::of_version));
    let guarded = Router::new()
        .nest("/api/v1/cluster/versioned-plugins", versions)
        .nest("/api/v1/{tenant}", tenant)
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(middleware::from_fn_with_state(access, auth::guard));
    // Whoever knows the key may: no other login is asked for.
    let open = Router::new()
        .route(
            "/executions/webhook/{namespace}/{flow}/{key}",
            get(webhook::call).post(webhook::call).put(webhook::call),
        )
        .route(
            "/executions/webhook/{namespace}/{flow}/{key}/{*path}",
            get(webhook::call_with_path).post(webhook::call_with_path).put(webhook::call_with_path),
        )
        .layer(middleware::from_fn(known_tenant));
    Router::new()
        .nest("/api/v1/{tenant}", open)
        .route("/health", get(health::ready))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/ping", get(health::ping))
        .merge(guarded)
        .fallback(no_such_path)
        .layer(middleware::map_response(answer::in_shape))
        .with_state(app)
}

/// Serves a node until `end` comes; requests that have begun are answered.
pub async fn serve(
    listener: tokio::net::TcpListener,
    node: Arc<Node>,
    access: Access,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(node, access)).with_graceful_shutdown(end).await
}

/// There is one tenant; every other name is unknown.
async fn known_tenant(Path(parameters): Path<Vec<(String, String)>>, request: Request, next: Next) -> Response {
    let tenant = parameters.iter().find(|(name, _)| name == "tenant").map(|(_, value)| value.as_str());
    match tenant {
        Some(model::ids::TENANT) | None => next.run(request).await,
        Some(other) => {
            let message = format!("no tenant `{other}`; hint: this server has one, `{}`", model::ids::TENANT);
            answer::refusal(StatusCode::NOT_FOUND, "tenant.unknown", &message, &[])
        }
    }
}

async fn no_such_path(request: Request) -> Response {
    let message =
        format!("no `{} {}` here; hint: paths begin with /api/v1/main", request.method(), request.uri().path());
    answer::refusal(StatusCode::NOT_FOUND, "path.unknown", &message, &[])
}
