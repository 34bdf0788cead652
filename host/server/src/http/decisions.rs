//! `/api/v1/cluster/versioned-plugins/{rules,approvals,audit}`: what operators decide about plugin versions, and who did what.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use catalog::{Action, Rule};
use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::actor;
use super::openapi::tagged;
use super::wire::Listed;
use super::wire::plugin::Artifact;
use crate::approvals::Verdict;
use crate::error::Error;
use crate::rules::{AuditEntry, Decision};

/// What a rule does: `pin` has tasks resolved as if each asked for these versions, `yank` resolves nothing to them any more, and `block` also
/// has what is locked to them fail.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes `catalog::Action`, which knows no HTTP")]
enum RuleAction {
    Pin,
    Yank,
    Block,
}

/// A rule about versions of a plugin.
#[derive(ToSchema)]
#[schema(as = Rule)]
#[expect(dead_code, reason = "describes `catalog::Rule`, which knows no HTTP")]
struct RuleBody {
    action: RuleAction,
    plugin: String,
    /// A requirement: `1.2.0`, `<2`, `LATEST`.
    versions: String,
    /// Shown to everybody whom the rule stops.
    reason: String,
}

/// A rule, whose it is and since when.
#[derive(Serialize, ToSchema)]
struct DecisionBody {
    #[serde(flatten)]
    #[schema(value_type = RuleBody)]
    rule: Rule,
    by: String,
    at: Timestamp,
}

impl From<Decision> for DecisionBody {
    fn from(Decision { rule, by, at }: Decision) -> Self {
        Self { rule, by, at }
    }
}

/// Which rule is lifted.
#[derive(Deserialize, ToSchema)]
#[schema(as = LiftedRule)]
struct Lifted {
    #[schema(value_type = RuleAction)]
    action: Action,
    plugin: String,
    versions: String,
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Plugin versions",
        OpenApiRouter::new()
            .routes(routes!(rules, add_rule, lift_rule))
            .routes(routes!(held, approve, withdraw))
            .routes(routes!(audit)),
    )
}

/// What operators have decided about versions, oldest first.
#[utoipa::path(
    get, path = "/cluster/versioned-plugins/rules", operation_id = "pluginRules",
    responses((status = 200, body = Listed<DecisionBody>)),
)]
async fn rules(State(app): State<App>) -> Result<Json<Listed<DecisionBody>>, Error> {
    let rules = app.node.plugin_rules().await?;
    Ok(Json(Listed::all(rules.into_iter().map(DecisionBody::from))))
}

/// Puts a rule in force, and says which are.
#[utoipa::path(
    put, path = "/cluster/versioned-plugins/rules", operation_id = "addPluginRule",
    request_body = RuleBody,
    responses((status = 200, body = Listed<DecisionBody>)),
)]
async fn add_rule(
    State(app): State<App>,
    headers: HeaderMap,
    Json(rule): Json<Rule>,
) -> Result<Json<Listed<DecisionBody>>, Error> {
    app.node.add_plugin_rule(rule, &actor(&headers)).await?;
    rules(State(app)).await
}

/// Lifts a rule, and says which are left.
#[utoipa::path(
    delete, path = "/cluster/versioned-plugins/rules", operation_id = "liftPluginRule",
    request_body = Lifted,
    responses((status = 200, body = Listed<DecisionBody>)),
)]
async fn lift_rule(
    State(app): State<App>,
    headers: HeaderMap,
    Json(lifted): Json<Lifted>,
) -> Result<Json<Listed<DecisionBody>>, Error> {
    let Lifted { action, plugin, versions } = lifted;
    app.node.lift_plugin_rule(action, &plugin, &versions, &actor(&headers)).await?;
    rules(State(app)).await
}

/// A version, and why something is decided about it.
#[derive(Deserialize, ToSchema)]
#[schema(as = DecidedVersion)]
struct Decided {
    plugin: String,
    #[schema(value_type = String)]
    version: Version,
    #[serde(default)]
    reason: String,
}

/// The versions that are held, with what they ask beyond the approved ones.
#[utoipa::path(
    get, path = "/cluster/versioned-plugins/approvals", operation_id = "heldPlugins",
    responses((status = 200, body = Listed<Artifact>)),
)]
async fn held(State(app): State<App>) -> Json<Listed<Artifact>> {
    let catalog = app.node.catalog();
    let all = catalog.plugins().flat_map(|(_, versions)| versions);
    let held = all.filter(|package| catalog.held(package).is_some());
    Json(Listed::all(held.map(|package| Artifact::of(&catalog, package))))
}

/// Approves what a version asks for, and says which are held still.
#[utoipa::path(
    post, path = "/cluster/versioned-plugins/approvals", operation_id = "approvePlugin",
    request_body = Decided,
    responses((status = 200, body = Listed<Artifact>)),
)]
async fn approve(app: State<App>, headers: HeaderMap, decided: Json<Decided>) -> Result<Json<Listed<Artifact>>, Error> {
    decide(app, Verdict::Approve, &headers, decided).await
}

/// Takes an approval back, and says which versions are held.
#[utoipa::path(
    delete, path = "/cluster/versioned-plugins/approvals", operation_id = "withdrawPluginApproval",
    request_body = Decided,
    responses((status = 200, body = Listed<Artifact>)),
)]
async fn withdraw(
    app: State<App>,
    headers: HeaderMap,
    decided: Json<Decided>,
) -> Result<Json<Listed<Artifact>>, Error> {
    decide(app, Verdict::Withdraw, &headers, decided).await
}

async fn decide(
    State(app): State<App>,
    verdict: Verdict,
    headers: &HeaderMap,
    Json(decided): Json<Decided>,
) -> Result<Json<Listed<Artifact>>, Error> {
    let Decided { plugin, version, reason } = decided;
    app.node.decide_on_plugin(verdict, &plugin, &version, &reason, &actor(headers)).await?;
    Ok(held(State(app)).await)
}

/// The newest entries of the audit log.
#[utoipa::path(
    get, path = "/cluster/versioned-plugins/audit", operation_id = "pluginAudit",
    responses((status = 200, body = Listed<AuditEntry>)),
)]
async fn audit(State(app): State<App>) -> Result<Json<Listed<AuditEntry>>, Error> {
    Ok(Json(Listed::all(app.node.audit_log().await?)))
}
