//! `/namespaces/{namespace}/kv` and `/kv`: the values of namespaces, in Kestra 1.0's paths and shapes.

use axum::Json;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::HeaderMap;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::query::NamespaceMatch;
use store::rows;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::filters::{self, text_test};
use super::flows::Paged;
use super::openapi::tagged;
use super::shown::paged;
use super::wire::value_json;
use crate::error::Error;
use crate::kv::{self, NewValue};
use crate::secrets::place;

/// Longest value, in bytes: what is larger is a file.
const VALUE_BYTES_MAX: usize = 4 << 20;
/// Longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 10_000;
/// Keys taken away by one request.
const KEYS_MAX: usize = 10_000;
/// Keys on one page, where nothing else is asked for.
const PAGE: usize = 10;

/// What is listed of a value.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = KvEntry)]
struct Entry {
    namespace: String,
    key: String,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    creation_date: Timestamp,
    update_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_date: Option<Timestamp>,
}

impl Entry {
    fn of(row: &rows::Kv) -> Self {
        Self {
            namespace: row.place.namespace.to_string(),
            key: row.key.to_string(),
            version: row.revision,
            description: row.description.as_deref().map(str::to_owned),
            creation_date: row.created,
            update_date: row.updated,
            expiration_date: row.expires,
        }
    }
}

/// A value with its type.
#[derive(Serialize, ToSchema)]
#[schema(as = KvDetail)]
struct Detail {
    /// `STRING`, `NUMBER`, `BOOLEAN`, `DATETIME`, `DATE`, `DURATION` or `JSON`.
    r#type: String,
    value: Value,
    revision: u32,
    updated: Timestamp,
}

type InNamespace = Path<(String, String)>;
type AtKey = Path<(String, String, String)>;

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "KV",
        OpenApiRouter::new()
            .routes(routes!(list_all))
            .routes(routes!(list, delete_several))
            .routes(routes!(inherited))
            .routes(routes!(get, set, delete)),
    )
}

/// The keys of a namespace.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/kv", operation_id = "listKeys",
    responses((status = 200, body = Vec<Entry>)),
)]
async fn list(State(app): State<App>, Path((_, namespace)): InNamespace) -> Result<Json<Vec<Entry>>, Error> {
    let found = app.node.kv_entries(NamespaceMatch::Exact(place(&namespace)?)).await?;
    Ok(Json(found.iter().map(|row| Entry::of(row)).collect()))
}

/// The keys of the namespaces above one: what `kv()` finds there that the namespace has not itself.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/kv/inheritance", operation_id = "listKeysWithInheritence",
    responses((status = 200, body = Vec<Entry>)),
)]
async fn inherited(State(app): State<App>, Path((_, namespace)): InNamespace) -> Result<Json<Vec<Entry>>, Error> {
    let mut entries = Vec::new();
    for above in kv::ancestors(&place(&namespace)?.namespace).into_iter().skip(1) {
        entries.extend(app.node.kv_entries(NamespaceMatch::Exact(above)).await?.iter().map(|row| Entry::of(row)));
    }
    Ok(Json(entries))
}

/// A page of all keys.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// From 1.
    page: Option<usize>,
    /// At most 1,000 are shown, whatever is asked for. By default 10.
    size: Option<usize>,
    /// `namespace`, `key`, `creationDate`, `updateDate` or `expirationDate`, with `:desc` behind it for the other way round.
    sort: Option<String>,
}

/// The filters of keys, as they are described.
struct OfKeys;

impl IntoParams for OfKeys {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![filters::described(&["namespace", "q"])]
    }
}

/// The keys of all namespaces, by filters.
#[utoipa::path(
    get, path = "/kv", operation_id = "listAllKeys",
    params(PageQuery, OfKeys),
    responses((status = 200, body = Paged<Entry>)),
)]
async fn list_all(
    State(app): State<App>,
    RawQuery(written): RawQuery,
    Query(query): Query<PageQuery>,
) -> Result<Json<Paged<Entry>>, Error> {
    let mut found = app.node.kv_entries(NamespaceMatch::Any).await?;
    let mut issues = Vec::new();
    for filter in filters::parse(written.as_deref().unwrap_or_default())? {
        let tested = match filter.field.as_str() {
            "namespace" | "q" | "query" => text_test(&filter),
            other => Err(filter.issue(format!("keys are not searched by `{other}`"), "they are by namespace and q")),
        };
        match tested {
            Ok(test) if filter.field == "namespace" => found.retain(|row| test.holds(row.place.namespace.as_str())),
            Ok(_) => {
                let wanted = filter.value.to_lowercase();
                found.retain(|row| row.key.to_lowercase().contains(&wanted));
            }
            Err(issue) => issues.push(issue),
        }
    }
    filters::refuse(issues)?;
    let (by, descending) = match query.sort.as_deref().filter(|sort| !sort.is_empty()) {
        None => ("namespace", false),
        Some(sort) => sort.strip_suffix(":desc").map_or((sort.trim_end_matches(":asc"), false), |by| (by, true)),
    };
    match by {
        // As they come.
        "namespace" => {}
        "key" => found.sort_by(|a, b| a.key.cmp(&b.key)),
        "creationDate" | "created" => found.sort_by_key(|row| row.created),
        "updateDate" | "updated" => found.sort_by_key(|row| row.updated),
        "expirationDate" => found.sort_by_key(|row| row.expires),
        other => {
            let message = format!(
                "keys are not sorted by `{other}`; hint: by namespace, key, creationDate, updateDate or expirationDate"
            );
            return Err(Error::bad_request("query.sort", message));
        }
    }
    if descending {
        found.reverse();
    }
    let (skipped, size) = paged(query.page, query.size, PAGE);
    let results = found.iter().skip(skipped).take(size).map(|row| Entry::of(row)).collect();
    Ok(Json(Paged { results, total: found.len() }))
}

/// A value with its type. One that is a secret is masked.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/kv/{key}", operation_id = "keyValue",
    responses((status = 200, body = Detail)),
)]
async fn get(State(app): State<App>, Path((_, namespace, key)): AtKey) -> Result<Json<Detail>, Error> {
    let row = app.node.kv_entry(&place(&namespace)?, &key).await?;
    Ok(Json(Detail {
        r#type: kv::type_of(&row).to_owned(),
        value: value_json(&row.value),
        revision: row.revision,
        updated: row.updated,
    }))
}

/// Sets a value: the body is JSON, a moment, a date, a duration, or text. Headers: `ttl`, an ISO 8601 duration, and `description`.
#[utoipa::path(
    put, path = "/namespaces/{namespace}/kv/{key}", operation_id = "setKeyValue",
    params(
    ("ttl" = Option<String>, Header, description = "How long it lives: an ISO 8601 duration."),
    ("description" = Option<String>, Header, description = "What it is."),
    ),
    request_body(content = String, content_type = "text/plain"),
    responses((status = 200, description = "it is set")),
)]
async fn set(
    State(app): State<App>,
    Path((_, namespace, key)): AtKey,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(), Error> {
    if body.len() > VALUE_BYTES_MAX {
        let message = format!("the value has {} bytes, at most {VALUE_BYTES_MAX} are taken", body.len());
        return Err(Error::TooLarge(message));
    }
    let text = std::str::from_utf8(&body).map_err(|_| Error::bad_request("kv.value", "the value is not UTF-8 text"))?;
    let header = |name: &str| -> Result<Option<&str>, Error> {
        let Some(value) = headers.get(name) else { return Ok(None) };
        let wrong = |_| Error::bad_request("kv.header", format!("header `{name}` is not plain text"));
        Ok(Some(std::str::from_utf8(value.as_bytes()).map_err(wrong)?.trim()).filter(|text| !text.is_empty()))
    };
    let description = header("description")?;
    if description.is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX) {
        let message = format!("a description has at most {DESCRIPTION_BYTES_MAX} bytes");
        return Err(Error::bad_request("kv.header", message));
    }
    let expires = header("ttl")?.map(|ttl| expiry(ttl, app.node.now())).transpose()?;
    let (value, declared) = kv::read(text);
    let new = NewValue { value, declared, description: description.map(Into::into), expires };
    app.node.set_kv(&place(&namespace)?, &key, new).await
}

fn expiry(ttl: &str, now: Timestamp) -> Result<Timestamp, Error> {
    let wrong = |why: String| Error::bad_request("kv.header", format!("header `ttl`: {why}"));
    let span = model::duration::parse(ttl).map_err(wrong)?;
    match now.checked_add(span) {
        Ok(at) if span > SignedDuration::ZERO => Ok(at),
        _ => Err(wrong(format!("`{ttl}` is no time that a value can live"))),
    }
}

/// Takes a value away, and says whether it was there.
#[utoipa::path(
    delete, path = "/namespaces/{namespace}/kv/{key}", operation_id = "deleteKeyValue",
    responses((status = 200, body = bool, content_type = "application/json")),
)]
async fn delete(State(app): State<App>, Path((_, namespace, key)): AtKey) -> Result<Json<bool>, Error> {
    let there = app.node.delete_kv(&place(&namespace)?, &[key]).await?;
    Ok(Json(!there.is_empty()))
}

/// Keys that are to be taken away, or were.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = KvKeys)]
struct Keys {
    keys: Vec<String>,
}

/// Takes several values away in one commit, and says which were there.
#[utoipa::path(
    delete, path = "/namespaces/{namespace}/kv", operation_id = "deleteKeyValues",
    request_body = Keys,
    responses((status = 200, body = Keys)),
)]
async fn delete_several(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Json(asked): Json<Keys>,
) -> Result<Json<Keys>, Error> {
    if asked.keys.len() > KEYS_MAX {
        let message = format!("there are {} keys, at most {KEYS_MAX} are taken", asked.keys.len());
        return Err(Error::bad_request("kv.key", message));
    }
    let there = app.node.delete_kv(&place(&namespace)?, &asked.keys).await?;
    Ok(Json(Keys { keys: there }))
}
