//! `/api/v1/cluster/versioned-plugins/{rules,approvals,audit}`: what operators decide about plugin versions, and who did what.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use catalog::{Action, Rule};
use semver::Version;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::auth::actor;
use super::versions::artifact;
use crate::approvals::Verdict;
use crate::error::Error;

/// Which rule is lifted.
#[derive(Deserialize)]
pub struct Lifted {
    action: Action,
    plugin: String,
    versions: String,
}

/// What operators have decided.
pub async fn rules(State(app): State<App>) -> Result<Json<Value>, Error> {
    let rules = app.node.plugin_rules().await?;
    Ok(Json(json!({ "total": rules.len(), "results": rules })))
}

pub async fn add_rule(
    State(app): State<App>,
    headers: HeaderMap,
    Json(rule): Json<Rule>,
) -> Result<Json<Value>, Error> {
    app.node.add_plugin_rule(rule, &actor(&headers)).await?;
    rules(State(app)).await
}

pub async fn lift_rule(
    State(app): State<App>,
    headers: HeaderMap,
    Json(lifted): Json<Lifted>,
) -> Result<Json<Value>, Error> {
    let Lifted { action, plugin, versions } = lifted;
    app.node.lift_plugin_rule(action, &plugin, &versions, &actor(&headers)).await?;
    rules(State(app)).await
}

/// A version, and why something is decided about it.
#[derive(Deserialize)]
pub struct Decided {
    plugin: String,
    version: Version,
    #[serde(default)]
    reason: String,
}

/// The versions that are held, with what they ask beyond the approved ones.
pub async fn held(State(app): State<App>) -> Json<Value> {
    let catalog = app.node.catalog();
    let all = catalog.plugins().flat_map(|(_, versions)| versions);
    let held = all.filter(|package| catalog.held(package).is_some());
    let results: Vec<Value> = held.map(|package| artifact(&catalog, package)).collect();
    Json(json!({ "total": results.len(), "results": results }))
}

pub async fn approve(app: State<App>, headers: HeaderMap, decided: Json<Decided>) -> Result<Json<Value>, Error> {
    decide(app, Verdict::Approve, &headers, decided).await
}

pub async fn withdraw(app: State<App>, headers: HeaderMap, decided: Json<Decided>) -> Result<Json<Value>, Error> {
    decide(app, Verdict::Withdraw, &headers, decided).await
}

async fn decide(
    State(app): State<App>,
    verdict: Verdict,
    headers: &HeaderMap,
    Json(decided): Json<Decided>,
) -> Result<Json<Value>, Error> {
    let Decided { plugin, version, reason } = decided;
    app.node.decide_on_plugin(verdict, &plugin, &version, &reason, &actor(headers)).await?;
    Ok(held(State(app)).await)
}

/// The newest entries of the audit log.
pub async fn audit(State(app): State<App>) -> Result<Json<Value>, Error> {
    let entries = app.node.audit_log().await?;
    Ok(Json(json!({ "total": entries.len(), "results": entries })))
}
