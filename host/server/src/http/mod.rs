//! The HTTP API: Kestra 1.0's paths and shapes under `/api/v1/{tenant}`, and ours beside them. Parses and shows; decides nothing.

mod answer;
mod auth;
mod bulk;
mod concurrency;
mod decisions;
mod executions;
mod files;
mod filters;
mod flow_filters;
mod flows;
mod flows_bulk;
mod follow;
mod follow_several;
mod graph;
mod health;
mod kv;
mod life;
mod logs;
mod metrics;
mod namespace_files;
mod namespaces;
mod openapi;
mod plugins;
mod preview;
mod secrets;
mod shown;
mod triggers;
mod upgrades;
mod upload;
mod validation;
mod versions;
mod webhook;
pub mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use bytes::Bytes;
use utoipa_axum::router::OpenApiRouter;

use crate::node::Node;

/// Largest body of a request that carries inputs or files, in bytes. Flows have a limit of their own (1 MiB).
pub const BODY_MAX_BYTES: usize = 64 << 20;

/// What every handler has.
#[derive(Clone)]
pub struct App {
    pub node: Arc<Node>,
    /// See [`BODY_MAX_BYTES`].
    pub body_max_bytes: usize,
    /// Of the API, in OpenAPI 3.1.
    pub description: Bytes,
}

/// All routes of a node.
pub fn router(node: Arc<Node>) -> Router {
    let access = node.config.access.clone();
    let tenant = OpenApiRouter::new()
        .merge(flows::routes())
        .merge(flows_bulk::routes())
        .merge(validation::routes())
        .merge(graph::routes())
        .merge(concurrency::routes())
        .merge(upgrades::routes())
        .merge(executions::routes())
        .merge(life::routes())
        .merge(bulk::routes())
        .merge(files::routes())
        .merge(preview::routes())
        .merge(follow::routes())
        .merge(follow_several::routes())
        .merge(logs::routes())
        .merge(metrics::routes())
        .merge(triggers::routes())
        .merge(namespaces::routes())
        .merge(namespace_files::routes())
        .merge(kv::routes())
        .merge(secrets::routes())
        .merge(plugins::routes())
        .layer(middleware::from_fn(known_tenant));
    // Kestra's paths of versioned plugins; a coordinate is `name:requirement`, and plugins belong to the server, not to a tenant.
    let versions = OpenApiRouter::new().merge(versions::routes()).merge(decisions::routes());
    let guarded = OpenApiRouter::new()
        .nest("/api/v1", versions)
        .nest("/api/v1/{tenant}", tenant)
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(middleware::from_fn_with_state(access, auth::guard));
    // Whoever knows the key may: no other login is asked for.
    let open = webhook::routes().layer(middleware::from_fn(known_tenant));
    let (router, api) = OpenApiRouter::new()
        .merge(openapi::guarded(guarded))
        .nest("/api/v1/{tenant}", open)
        .merge(health::routes())
        .merge(openapi::routes())
        .split_for_parts();
    let app = App { node, body_max_bytes: BODY_MAX_BYTES, description: openapi::document(api) };
    router.fallback(no_such_path).layer(middleware::map_response(answer::in_shape)).with_state(app)
}

/// Serves a node until `end` comes; requests that have begun are answered.
pub async fn serve(
    listener: tokio::net::TcpListener,
    node: Arc<Node>,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(node)).with_graceful_shutdown(end).await
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
