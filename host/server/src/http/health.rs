//! Whether the server lives, and whether it can work. Asked without credentials, so it says little.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::openapi::tagged;

/// How the server is.
#[derive(Serialize, ToSchema)]
struct Health {
    status: Status,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = HealthStatus)]
enum Status {
    Up,
    Down,
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Server",
        OpenApiRouter::new().routes(routes!(health)).routes(routes!(live)).routes(routes!(ready)).routes(routes!(ping)),
    )
}

/// Whether the server answers.
#[utoipa::path(get, path = "/ping", operation_id = "ping", responses((status = 200, body = String, content_type = "text/plain")))]
async fn ping() -> &'static str {
    "pong"
}

/// Whether the server lives.
#[utoipa::path(get, path = "/health/live", operation_id = "live", responses((status = 200, body = Health)))]
async fn live() -> Json<Health> {
    Json(Health { status: Status::Up, reason: None })
}

/// Whether the server can work: as `/health/ready`.
#[utoipa::path(
    get, path = "/health", operation_id = "health",
    responses((status = 200, body = Health), (status = 503, body = Health, description = "not ready")),
)]
async fn health(app: State<App>) -> (StatusCode, Json<Health>) {
    ready(app).await
}

/// Ready when the store takes writes and the node is not shutting down.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "ready",
    responses((status = 200, body = Health), (status = 503, body = Health, description = "not ready")),
)]
async fn ready(State(app): State<App>) -> (StatusCode, Json<Health>) {
    match app.node.ready().await {
        Ok(()) => (StatusCode::OK, Json(Health { status: Status::Up, reason: None })),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: Status::Down, reason: Some(reason) })),
    }
}
