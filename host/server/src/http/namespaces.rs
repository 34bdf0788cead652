//! `/namespaces`: what is set for namespaces, and what they get from those above them, in Kestra 1.0's paths and shapes. What of Kestra's
//! namespaces has no effect here is refused, and not kept in silence.

use axum::Json;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use catalog::nearest;
use expr::{Map, Value};
use model::flow::PluginDefault;
use model::ids::Namespace;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json_, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::actor;
use super::flows::Paged;
use super::openapi::tagged;
use super::shown::{attachment, paged};
use super::upload::{self, FileForm};
use super::wire::map_json;
use crate::error::{Error, Issue};
use crate::namespaces::NamespaceSettings;

/// Namespaces on one page, where nothing else is asked for.
const PAGE: usize = 10;
/// Names that a field can be completed to.
const COMPLETED_MAX: usize = 1_000;

/// What of Kestra's namespaces has no effect here.
const WITHOUT_EFFECT: [&str; 11] = [
    "storageIsolation",
    "secretIsolation",
    "allowedNamespaces",
    "workerGroup",
    "storageType",
    "storageConfiguration",
    "secretType",
    "secretReadOnly",
    "secretConfiguration",
    "outputsInInternalStorage",
    "sdkDefaultAuthentication",
];
const KNOWN: [&str; 4] = ["id", "description", "variables", "pluginDefaults"];

/// A namespace.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Namespace)]
pub struct NamespaceBody {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<Json_>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plugin_defaults: Vec<DefaultBody>,
    deleted: bool,
}

/// Properties for every task of a type.
#[derive(Serialize, ToSchema)]
#[schema(as = PluginDefault)]
pub struct DefaultBody {
    r#type: String,
    forced: bool,
    values: Json_,
    /// The namespace that has it, where that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
}

/// What a namespace is set to, as it is described.
#[derive(ToSchema)]
#[schema(as = NewNamespace, rename_all = "camelCase")]
#[expect(dead_code, reason = "tells what is read by hand, so that all that is wrong can be said")]
pub struct NamespaceAsk {
    id: Option<String>,
    description: Option<String>,
    #[schema(value_type = Option<Object>)]
    variables: Option<Json_>,
    plugin_defaults: Option<Vec<DefaultAsk>>,
}

/// Properties for every task of a type, as they are described.
#[derive(ToSchema)]
#[schema(as = NewPluginDefault)]
#[expect(dead_code, reason = "tells what is read by hand, so that all that is wrong can be said")]
pub struct DefaultAsk {
    r#type: String,
    forced: Option<bool>,
    #[schema(value_type = Object)]
    values: Json_,
}

impl DefaultBody {
    fn of(default: &PluginDefault) -> Self {
        Self {
            r#type: default.type_prefix.clone(),
            forced: default.forced,
            values: map_json(&default.values),
            namespace: None,
        }
    }
}

impl NamespaceBody {
    fn of(id: &str, set: Option<&NamespaceSettings>) -> Self {
        let variables = set.map(|set| &set.variables).filter(|variables| !variables.is_empty());
        Self {
            id: id.to_owned(),
            description: set.and_then(|set| set.description.clone()),
            variables: variables.map(map_json),
            plugin_defaults: set.into_iter().flat_map(|set| &set.plugin_defaults).map(DefaultBody::of).collect(),
            deleted: false,
        }
    }
}

type Named = Path<(String, String)>;

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Namespaces",
        OpenApiRouter::new()
            .routes(routes!(create))
            .routes(routes!(search))
            .routes(routes!(autocomplete))
            .routes(routes!(get, update, delete))
            .routes(routes!(inherited_variables))
            .routes(routes!(inherited_defaults))
            .routes(routes!(export_defaults))
            .routes(routes!(import_defaults)),
    )
}

/// Sets a namespace that nothing is set for yet.
#[utoipa::path(
    post, path = "/namespaces", operation_id = "createNamespace",
    request_body = NamespaceAsk,
    responses((status = 200, body = NamespaceBody)),
)]
async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    Json(body): Json<Json_>,
) -> Result<Json<NamespaceBody>, Error> {
    let Some(id) = body.get("id").and_then(Json_::as_str).map(str::to_owned) else {
        return Err(Error::bad_request("namespace.invalid", "a namespace has an `id`"));
    };
    if app.node.namespace_settings().get(&Namespace::trusted(id.as_str())).is_some() {
        let message = format!("namespace `{id}` exists already; hint: update it with PUT");
        return Err(Error::Conflict { code: "namespace.exists", message });
    }
    keep(&app, &id, body, &headers).await
}

/// Sets a namespace to what the body says.
#[utoipa::path(
    put, path = "/namespaces/{id}", operation_id = "updateNamespace",
    request_body = NamespaceAsk,
    responses((status = 200, body = NamespaceBody)),
)]
async fn update(
    State(app): State<App>,
    Path((_, id)): Named,
    headers: HeaderMap,
    Json(body): Json<Json_>,
) -> Result<Json<NamespaceBody>, Error> {
    known(&app, &id).await?;
    if let Some(other) = body.get("id").and_then(Json_::as_str).filter(|other| *other != id) {
        let message = format!("the body is of namespace `{other}`, not of `{id}`: it cannot be renamed");
        return Err(Error::bad_request("namespace.invalid", message));
    }
    keep(&app, &id, body, &headers).await
}

async fn keep(app: &App, id: &str, body: Json_, headers: &HeaderMap) -> Result<Json<NamespaceBody>, Error> {
    let new = read(app, id, &body)?;
    app.node.set_namespace(id, Some(new), &actor(headers)).await?;
    Ok(Json(shown(app, id)))
}

/// A namespace. One that nothing is set for is there as soon as a flow is in it or below it.
#[utoipa::path(
    get, path = "/namespaces/{id}", operation_id = "namespace",
    responses((status = 200, body = NamespaceBody)),
)]
async fn get(State(app): State<App>, Path((_, id)): Named) -> Result<Json<NamespaceBody>, Error> {
    known(&app, &id).await?;
    Ok(Json(shown(&app, &id)))
}

/// Takes away what is set for a namespace. Its flows, values and files stay.
#[utoipa::path(
    delete, path = "/namespaces/{id}", operation_id = "deleteNamespace",
    responses((status = 204, description = "nothing is set any more")),
)]
async fn delete(State(app): State<App>, Path((_, id)): Named, headers: HeaderMap) -> Result<StatusCode, Error> {
    if app.node.namespace_settings().get(&Namespace::trusted(id.as_str())).is_none() {
        return Err(Error::NotFound(format!("nothing is set for namespace `{id}`")));
    }
    app.node.set_namespace(&id, None, &actor(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which namespaces are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    q: Option<String>,
    page: Option<usize>,
    size: Option<usize>,
    sort: Option<String>,
    /// Only those for which something is set.
    #[serde(default)]
    existing: bool,
}

/// Namespaces, by name.
#[utoipa::path(
    get, path = "/namespaces/search", operation_id = "searchNamespaces",
    params(SearchQuery),
    responses((status = 200, body = Paged<NamespaceBody>)),
)]
async fn search(State(app): State<App>, Query(query): Query<SearchQuery>) -> Result<Json<Paged<NamespaceBody>>, Error> {
    let mut names = names(&app, query.existing).await?;
    if let Some(part) = query.q.as_deref().map(str::to_lowercase) {
        names.retain(|name| name.to_lowercase().contains(&part));
    }
    match query.sort.as_deref().filter(|sort| !sort.is_empty()) {
        None | Some("id" | "id:asc") => {}
        Some("id:desc") => names.reverse(),
        Some(other) => {
            let message = format!("namespaces are not sorted by `{other}`; hint: id:asc or id:desc");
            return Err(Error::bad_request("query.sort", message));
        }
    }
    let (skipped, size) = paged(query.page, query.size, PAGE);
    let results = names.iter().skip(skipped).take(size).map(|name| shown(&app, name)).collect();
    Ok(Json(Paged { results, total: names.len() }))
}

/// What a field is to be completed from.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    q: Option<String>,
    /// These, whatever `q` says.
    ids: Option<Vec<String>>,
    #[serde(default)]
    existing_only: Option<bool>,
}

/// Names of namespaces, for a field that is being filled in.
#[utoipa::path(
    post, path = "/namespaces/autocomplete", operation_id = "autocompleteNamespaces",
    request_body = Completion,
    responses((status = 200, body = Vec<String>)),
)]
async fn autocomplete(State(app): State<App>, Json(asked): Json<Completion>) -> Result<Json<Vec<String>>, Error> {
    let mut names = names(&app, asked.existing_only.unwrap_or_default()).await?;
    let part = asked.q.as_deref().unwrap_or_default().to_lowercase();
    let ids = asked.ids.unwrap_or_default();
    names.retain(|name| match (part.is_empty(), ids.is_empty()) {
        (true, false) => ids.contains(name),
        _ => ids.contains(name) || name.to_lowercase().contains(&part),
    });
    names.truncate(COMPLETED_MAX);
    Ok(Json(names))
}

/// The variables that flows of a namespace see: its own over those of the namespaces above it.
#[utoipa::path(
    get, path = "/namespaces/{id}/inherited-variables", operation_id = "inheritedVariables",
    responses((status = 200, body = std::collections::HashMap<String, Json_>)),
)]
async fn inherited_variables(State(app): State<App>, Path((_, id)): Named) -> Json<Json_> {
    Json(map_json(&app.node.namespace_settings().variables_for(&id)))
}

/// The plugin defaults that flows of a namespace get, in the order they are heard.
#[utoipa::path(
    get, path = "/namespaces/{id}/inherited-plugindefaults", operation_id = "inheritedPluginDefaults",
    responses((status = 200, body = Vec<DefaultBody>)),
)]
async fn inherited_defaults(State(app): State<App>, Path((_, id)): Named) -> Json<Vec<DefaultBody>> {
    let all = app.node.namespace_settings().inherited(&id);
    let body = |(place, default): &(Namespace, PluginDefault)| DefaultBody {
        namespace: Some(place.to_string()),
        ..DefaultBody::of(default)
    };
    Json(all.iter().map(body).collect())
}

/// The plugin defaults of a namespace as a YAML file.
#[utoipa::path(
    post, path = "/namespaces/{id}/plugindefaults/export", operation_id = "exportPluginDefaults",
    responses((status = 200, body = String, content_type = "application/octet-stream")),
)]
async fn export_defaults(State(app): State<App>, Path((_, id)): Named) -> Result<Response, Error> {
    known(&app, &id).await?;
    let settings = app.node.namespace_settings();
    let defaults = settings.get(&Namespace::trusted(id.as_str())).map(|set| &*set.plugin_defaults).unwrap_or_default();
    let entry = |default: &PluginDefault| {
        let mut entry = Map::new();
        entry.insert("type".into(), default.type_prefix.as_str().into());
        if default.forced {
            entry.insert("forced".into(), Value::Bool(true));
        }
        entry.insert("values".into(), default.values.clone().into());
        Value::from(entry)
    };
    let document = Value::map([("pluginDefaults", Value::list(defaults.iter().map(entry)))]);
    Ok(attachment("application/octet-stream", "plugin-defaults.yaml", model::write_yaml(&document)))
}

/// Sets the plugin defaults of a file (`fileUpload`) in a namespace; those of other types stay. The types that were set.
#[utoipa::path(
    post, path = "/namespaces/{id}/plugindefaults/import", operation_id = "importPluginDefaults",
    request_body(content = FileForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Vec<String>)),
)]
async fn import_defaults(
    State(app): State<App>,
    Path((_, id)): Named,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Json<Vec<String>>, Error> {
    known(&app, &id).await?;
    let file = upload::one(&app, form, "fileUpload").await?;
    let wrong = |message: String| Error::bad_request("namespace.invalid", message);
    let text = std::str::from_utf8(&file.content).map_err(|_| wrong("the file is not UTF-8 text".to_owned()))?;
    // A list alone is taken as well.
    let source = match model::read_yaml(text) {
        Ok(Value::List(list)) => Value::map([("pluginDefaults", Value::List(list))]).to_json().to_string(),
        Ok(document) if document.get("pluginDefaults").is_none() => {
            return Err(wrong("the file has no `pluginDefaults`, and is no list of them".to_owned()));
        }
        _ => text.to_owned(),
    };
    let new = app.node.read_plugin_defaults(&id, &source)?;
    let mut set = current(&app, &id);
    set.plugin_defaults.retain(|old| !new.iter().any(|new| new.type_prefix == old.type_prefix));
    let types = new.iter().map(|default| default.type_prefix.clone()).collect();
    set.plugin_defaults.extend(new);
    app.node.set_namespace(&id, Some(set), &actor(&headers)).await?;
    Ok(Json(types))
}

fn current(app: &App, id: &str) -> NamespaceSettings {
    let settings = app.node.namespace_settings();
    settings.get(&Namespace::trusted(id)).map(|set| (**set).clone()).unwrap_or_default()
}

fn shown(app: &App, id: &str) -> NamespaceBody {
    let settings = app.node.namespace_settings();
    NamespaceBody::of(id, settings.get(&Namespace::trusted(id)).map(|set| &**set))
}

async fn names(app: &App, only_set: bool) -> Result<Vec<String>, Error> {
    let names = match only_set {
        true => app.node.namespace_settings().names().map(ToString::to_string).collect(),
        false => app.node.namespace_names().await?.iter().map(ToString::to_string).collect(),
    };
    Ok(names)
}

async fn known(app: &App, id: &str) -> Result<(), Error> {
    let name = Namespace::trusted(id);
    let is_set = app.node.namespace_settings().get(&name).is_some();
    match is_set || app.node.namespace_names().await?.contains(&name) {
        true => Ok(()),
        false => Err(Error::NotFound(format!("no namespace `{id}`; hint: create it, or save a flow in it"))),
    }
}

/// What a body sets; everything that is wrong with it at once.
fn read(app: &App, id: &str, body: &Json_) -> Result<NamespaceSettings, Error> {
    let mut issues = Vec::new();
    let mut wrong = |path: &str, message: String, hint: Option<String>| {
        issues.push(Issue { path: path.to_owned(), line: None, code: "namespace.invalid".to_owned(), message, hint });
    };
    let Some(fields) = body.as_object() else {
        return Err(Error::bad_request("namespace.invalid", "a namespace is an object"));
    };
    for (name, value) in fields {
        match name.as_str() {
            known if KNOWN.contains(&known) => {}
            "tenantId" => {}
            "deleted" if !says_something(value) => {}
            inert if WITHOUT_EFFECT.contains(&inert) => {
                if says_something(value) {
                    let message = format!("`{inert}` has no effect on this server, and is not kept");
                    wrong(inert, message, Some("leave it out".to_owned()));
                }
            }
            other => {
                let near = nearest(other, KNOWN.iter().copied());
                let hint = if near.is_empty() { KNOWN.join(", ") } else { near.join(" or ") };
                wrong(other, format!("a namespace has no `{other}`"), Some(format!("it has {hint}")));
            }
        }
    }
    let description = match fields.get("description") {
        None | Some(Json_::Null) => None,
        Some(Json_::String(text)) => Some(text.clone()),
        Some(_) => {
            wrong("description", "a description is a text".to_owned(), None);
            None
        }
    };
    let variables = match fields.get("variables").map(Value::from_json) {
        None | Some(Some(Value::Null)) => Map::new(),
        Some(Some(Value::Map(map))) => (*map).clone(),
        Some(_) => {
            wrong("variables", "variables are a map".to_owned(), None);
            Map::new()
        }
    };
    let defaults = match fields.get("pluginDefaults").filter(|defaults| !defaults.is_null()) {
        None => Ok(Vec::new()),
        Some(defaults) => app.node.read_plugin_defaults(id, &json!({ "pluginDefaults": defaults }).to_string()),
    };
    let plugin_defaults = match defaults {
        Ok(defaults) => defaults,
        Err(error) => {
            // They came as JSON on one line: a line says nothing.
            issues.extend(error.issues().iter().cloned().map(|issue| Issue { line: None, ..issue }));
            Vec::new()
        }
    };
    match issues.as_slice() {
        [] => Ok(NamespaceSettings { description, variables, plugin_defaults }),
        many => {
            let message = format!("{} problems with namespace `{id}`", many.len());
            Err(Error::Invalid { code: "namespace.invalid", message, issues })
        }
    }
}

/// Whether a value is more than what clients send for what they do not set.
fn says_something(value: &Json_) -> bool {
    match value {
        Json_::Null | Json_::Bool(false) => false,
        Json_::Bool(true) | Json_::Number(_) => true,
        Json_::String(text) => !text.is_empty(),
        Json_::Array(items) => items.iter().any(says_something),
        Json_::Object(entries) => entries.values().any(says_something),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_for_nothing_says_nothing() {
        assert!(!says_something(&json!({ "enabled": false, "deniedServices": [] })));
        assert!(says_something(&json!({ "enabled": true })));
    }
}
