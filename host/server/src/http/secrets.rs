//! `/namespaces/{namespace}/secrets`: set, described, listed by name, taken away. A value goes in and never comes out.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::actor;
use super::openapi::tagged;
use super::shown::paged;
use crate::error::Error;
use crate::secrets::{NewSecret, SecretSeen};

/// Secrets on one page, where nothing else is asked for (Kestra's default).
const PAGE: usize = 10;

/// A label of a secret.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = SecretTag)]
struct Tag {
    key: String,
    value: String,
}

/// A secret that is set. `hosts` is ours.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewSecret)]
struct Set {
    key: String,
    value: String,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    hosts: Vec<String>,
}

/// What is said about a secret.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SecretDescription)]
struct Describe {
    description: Option<String>,
    tags: Option<Vec<Tag>>,
    hosts: Option<Vec<String>>,
}

/// Which secrets are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// From 1.
    page: Option<usize>,
    /// At most 1,000 are shown, whatever is asked for. By default 10.
    size: Option<usize>,
    /// What ends with `:desc` has the names the other way round.
    sort: Option<String>,
    /// A part of the name.
    q: Option<String>,
}

/// A secret without its value.
#[derive(Serialize, ToSchema)]
#[schema(as = Secret)]
struct Shown {
    key: String,
    namespace: String,
    description: Option<String>,
    tags: Vec<Tag>,
    /// Ours: where it may be sent.
    hosts: Vec<String>,
    /// Ours.
    updated: Timestamp,
}

/// A page of secrets.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SecretPage)]
struct Page {
    read_only: bool,
    results: Vec<Shown>,
    total: usize,
}

/// One secret, or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = NewSecrets)]
#[expect(dead_code, reason = "tells what is read by hand, so that what is wrong can be said")]
enum OneOrSeveral {
    One(Set),
    Several(Vec<Set>),
}

type InNamespace = Path<(String, String)>;

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Namespaces",
        OpenApiRouter::new().routes(routes!(list, set)).routes(routes!(describe, delete)).routes(routes!(inherited)),
    )
}

/// The secrets of a namespace, by name.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/secrets", operation_id = "listNamespaceSecrets",
    params(Asked),
    responses((status = 200, body = Page)),
)]
async fn list(State(app): State<App>, Path((_, namespace)): InNamespace, Query(asked): Query<Asked>) -> Json<Page> {
    let mut found = app.node.secrets_of(&namespace);
    if let Some(part) = asked.q.as_deref().map(str::to_ascii_uppercase) {
        found.retain(|secret| secret.name.contains(&part));
    }
    if asked.sort.as_deref().is_some_and(|sort| sort.ends_with(":desc")) {
        found.reverse();
    }
    let (first, size) = paged(asked.page, asked.size, PAGE);
    let total = found.len();
    let results = found.iter().skip(first).take(size).map(shown).collect();
    Json(Page { read_only: false, results, total })
}

/// Names of secrets by namespace, those above included.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/inherited-secrets", operation_id = "inheritedSecrets",
    responses((status = 200, body = BTreeMap<String, Vec<String>>)),
)]
async fn inherited(State(app): State<App>, Path((_, namespace)): InNamespace) -> Json<BTreeMap<String, Vec<String>>> {
    Json(app.node.inherited_secrets(&namespace))
}

/// Sets one secret, or several.
#[utoipa::path(
    put, path = "/namespaces/{namespace}/secrets", operation_id = "putSecrets",
    request_body = OneOrSeveral,
    responses((status = 200, body = Vec<Shown>)),
)]
async fn set(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Vec<Shown>>, Error> {
    let wrong =
        |error: serde_json::Error| Error::bad_request("secret.invalid", format!("the body is no secret: {error}"));
    let several: Vec<Set> = match body {
        Value::Array(_) => serde_json::from_value(body).map_err(wrong)?,
        one => vec![serde_json::from_value(one).map_err(wrong)?],
    };
    let new = several.into_iter().map(|one| NewSecret {
        name: one.key,
        value: one.value,
        description: one.description,
        tags: pairs(one.tags),
        hosts: one.hosts,
    });
    app.node.set_secrets(&namespace, new.collect(), &actor(&headers)).await?;
    Ok(Json(all(&app, &namespace)))
}

/// Says something else about a secret.
#[utoipa::path(
    patch, path = "/namespaces/{namespace}/secrets/{key}", operation_id = "patchSecret",
    request_body = Describe,
    responses((status = 200, body = Vec<Shown>)),
)]
async fn describe(
    State(app): State<App>,
    Path((_, namespace, key)): Path<(String, String, String)>,
    headers: HeaderMap,
    Json(body): Json<Describe>,
) -> Result<Json<Vec<Shown>>, Error> {
    let tags = body.tags.map(pairs);
    let by = actor(&headers);
    app.node.describe_secret(&namespace, &key, body.description, tags, body.hosts, &by).await?;
    Ok(Json(all(&app, &namespace)))
}

/// Takes a secret away.
#[utoipa::path(
    delete, path = "/namespaces/{namespace}/secrets/{key}", operation_id = "deleteSecret",
    responses((status = 200, description = "it is gone")),
)]
async fn delete(
    State(app): State<App>,
    Path((_, namespace, key)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<(), Error> {
    app.node.delete_secret(&namespace, &key, &actor(&headers)).await
}

fn all(app: &App, namespace: &str) -> Vec<Shown> {
    app.node.secrets_of(namespace).iter().map(shown).collect()
}

fn pairs(tags: Vec<Tag>) -> Vec<(String, String)> {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

fn shown(secret: &SecretSeen) -> Shown {
    let tags = secret.tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() });
    Shown {
        key: secret.name.clone(),
        namespace: secret.namespace.clone(),
        description: secret.description.clone(),
        tags: tags.collect(),
        hosts: secret.hosts.clone(),
        updated: secret.updated,
    }
}
