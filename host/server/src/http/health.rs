//! Whether the server lives, and whether it can work. Asked without credentials, so it says little.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::App;

pub async fn ping() -> &'static str {
    "pong"
}

pub async fn live() -> Json<Value> {
    Json(json!({ "status": "UP" }))
}

/// Ready when the store takes writes and the node is not shutting down.
pub async fn ready(State(app): State<App>) -> (StatusCode, Json<Value>) {
    match app.node.ready().await {
        Ok(()) => (StatusCode::OK, Json(json!({ "status": "UP" }))),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "DOWN", "reason": reason }))),
    }
}
