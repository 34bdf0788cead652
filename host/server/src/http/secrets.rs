//! `/namespaces/{namespace}/secrets`: set, described, listed by name, taken away. A value goes in and never comes out.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::auth::actor;
use crate::error::Error;
use crate::secrets::{NewSecret, SecretSeen};

/// Secrets on one page, where nothing else is asked for (Kestra's default), and at most.
const PAGE: usize = 10;
const PAGE_MAX: usize = 1_000;

#[derive(Deserialize)]
pub struct Tag {
    key: String,
    value: String,
}

/// A secret that is set. `hosts` is ours.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Set {
    key: String,
    value: String,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    hosts: Vec<String>,
}

/// What is said about a secret.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Describe {
    description: Option<String>,
    tags: Option<Vec<Tag>>,
    hosts: Option<Vec<String>>,
}

/// Which secrets are listed.
#[derive(Deserialize)]
pub struct Asked {
    page: Option<usize>,
    size: Option<usize>,
    sort: Option<String>,
    /// A part of the name.
    q: Option<String>,
}

type InNamespace = Path<(String, String)>;

pub async fn list(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(asked): Query<Asked>,
) -> Json<Value> {
    let mut found = app.node.secrets_of(&namespace);
    if let Some(part) = asked.q.as_deref().map(str::to_ascii_uppercase) {
        found.retain(|secret| secret.name.contains(&part));
    }
    if asked.sort.as_deref().is_some_and(|sort| sort.ends_with(":desc")) {
        found.reverse();
    }
    let (total, size) = (found.len(), asked.size.unwrap_or(PAGE).clamp(1, PAGE_MAX));
    let first = asked.page.unwrap_or(1).max(1).saturating_sub(1).saturating_mul(size);
    let results: Vec<Value> = found.iter().skip(first).take(size).map(shown).collect();
    Json(json!({ "readOnly": false, "results": results, "total": total }))
}

/// Names by namespace, those above included.
pub async fn inherited(State(app): State<App>, Path((_, namespace)): InNamespace) -> Json<Value> {
    Json(json!(app.node.inherited_secrets(&namespace)))
}

/// Sets one secret, or several.
pub async fn set(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Error> {
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

pub async fn describe(
    State(app): State<App>,
    Path((_, namespace, key)): Path<(String, String, String)>,
    headers: HeaderMap,
    Json(body): Json<Describe>,
) -> Result<Json<Value>, Error> {
    let tags = body.tags.map(pairs);
    let by = actor(&headers);
    app.node.describe_secret(&namespace, &key, body.description, tags, body.hosts, &by).await?;
    Ok(Json(all(&app, &namespace)))
}

pub async fn delete(
    State(app): State<App>,
    Path((_, namespace, key)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<(), Error> {
    app.node.delete_secret(&namespace, &key, &actor(&headers)).await
}

fn all(app: &App, namespace: &str) -> Value {
    app.node.secrets_of(namespace).iter().map(shown).collect()
}

fn pairs(tags: Vec<Tag>) -> Vec<(String, String)> {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

fn shown(secret: &SecretSeen) -> Value {
    let tags: Vec<Value> = secret.tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    json!({
        "key": secret.name,
        "namespace": secret.namespace,
        "description": secret.description,
        "tags": tags,
        "hosts": secret.hosts,
        "updated": secret.updated.to_string(),
    })
}
