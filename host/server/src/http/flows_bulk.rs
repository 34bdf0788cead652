//! `/flows/…`: many flows at once, as a stream of YAML documents, as an archive, by ids or by query. All of them, or none.

use axum::Json;
use axum::extract::{Multipart, Path, Query, RawQuery, State};
use axum::response::Response;
use model::ids::FlowKey;
use serde::Deserialize;
use serde_json::Value as Json_;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::filters;
use super::flow_filters::{OfFlows, PLAIN};
use super::flows::body;
use super::openapi::tagged;
use super::shown::attachment;
use super::upload::{self, FileForm, Upload};
use super::wire::Count;
use super::wire::flow::FlowBody;
use crate::archive::{self, Entry};
use crate::error::Error;
use crate::flow_bulk::{Destination, Source};
use crate::flow_search::FlowSearch;
use crate::flows::key;

/// Longest source in an archive, in bytes: that of any flow.
const SOURCE_MAX_BYTES: u64 = 1 << 20;

/// `?delete=&namespace=&allowNamespaceChild=`
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct BulkQuery {
    /// Whether flows of the namespace that are not in the body are deleted.
    #[serde(default = "yes")]
    delete: bool,
    /// The namespace that all of them must be in.
    namespace: Option<String>,
    /// Whether they may be in namespaces below it as well.
    #[serde(default)]
    allow_namespace_child: bool,
}

fn yes() -> bool {
    true
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Flows",
        OpenApiRouter::new()
            .routes(routes!(update))
            .routes(routes!(update_namespace))
            .routes(routes!(import))
            .routes(routes!(export_by_ids))
            .routes(routes!(export_by_query))
            .routes(routes!(delete_by_ids))
            .routes(routes!(delete_by_query))
            .routes(routes!(disable_by_ids))
            .routes(routes!(disable_by_query))
            .routes(routes!(enable_by_ids))
            .routes(routes!(enable_by_query)),
    )
}

/// Saves the flows of a stream of YAML documents; of a namespace that is named, those that are not in it are deleted.
#[utoipa::path(
    post, path = "/flows/bulk", operation_id = "bulkUpdateFlows",
    params(BulkQuery),
    request_body(content = String, content_type = "application/x-yaml"),
    responses((status = 200, body = Vec<FlowBody>)),
)]
async fn update(
    State(app): State<App>,
    Query(query): Query<BulkQuery>,
    text: String,
) -> Result<Json<Vec<Json_>>, Error> {
    let into = query.namespace.filter(|namespace| !namespace.is_empty()).map(|namespace| Destination {
        namespace,
        children: query.allow_namespace_child,
        rename: false,
        delete: query.delete,
    });
    save(&app, &text, into.as_ref()).await
}

/// `?delete=&override=`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NamespaceQuery {
    #[serde(default = "yes")]
    delete: bool,
    /// Whether the flows are put into the namespace whatever they say.
    #[serde(default, rename = "override")]
    rename: bool,
}

/// Makes the flows of a stream of YAML documents the flows of a namespace.
#[utoipa::path(
    post, path = "/flows/{namespace}", operation_id = "updateFlowsInNamespace",
    params(NamespaceQuery),
    request_body(content = String, content_type = "application/x-yaml"),
    responses((status = 200, body = Vec<FlowBody>)),
)]
async fn update_namespace(
    State(app): State<App>,
    Path((_, namespace)): Path<(String, String)>,
    Query(query): Query<NamespaceQuery>,
    text: String,
) -> Result<Json<Vec<Json_>>, Error> {
    let NamespaceQuery { delete, rename } = query;
    save(&app, &text, Some(&Destination { namespace, children: false, rename, delete })).await
}

async fn save(app: &App, text: &str, into: Option<&Destination>) -> Result<Json<Vec<Json_>>, Error> {
    let saved = app.node.save_flows(&Source::documents(text), into).await?;
    Ok(Json(saved.iter().map(|saved| body(saved, true)).collect()))
}

/// `?failOnError=`
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Whether all of them must be valid; otherwise those that are are saved, and the others are named.
    #[serde(default)]
    fail_on_error: bool,
}

/// Saves the flows of a file (`fileUpload`), which is a ZIP archive or a stream of YAML documents. The names of the files in the archive, or
/// the numbers of the documents, that could not be imported; why is told with `failOnError`.
#[utoipa::path(
    post, path = "/flows/import", operation_id = "importFlows",
    params(ImportQuery),
    request_body(content = FileForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Vec<String>)),
)]
async fn import(
    State(app): State<App>,
    Query(query): Query<ImportQuery>,
    form: Multipart,
) -> Result<Json<Vec<String>>, Error> {
    let file = upload::one(&app, form, "fileUpload").await?;
    let (sources, mut others) = app.node.blocking(move || unpacked(&file)).await??;
    if !query.fail_on_error {
        others.extend(app.node.import_flows(&sources).await?);
        return Ok(Json(others));
    }
    if let Some(name) = others.first() {
        return Err(Error::bad_request("archive.invalid", format!("`{name}` is no YAML file with UTF-8 text")));
    }
    app.node.save_flows(&sources, None).await?;
    Ok(Json(Vec::new()))
}

/// The sources of a file, and the names of what cannot be one.
fn unpacked(file: &Upload) -> Result<(Vec<Source>, Vec<String>), Error> {
    if !archive::is_archive(&file.content) {
        let text = std::str::from_utf8(&file.content).map_err(|_| {
            let message = format!("`{}` is neither a ZIP archive nor UTF-8 text", file.name.escape_debug());
            Error::bad_request("archive.invalid", message)
        })?;
        return Ok((Source::documents(text), Vec::new()));
    }
    let (mut sources, mut others) = (Vec::new(), Vec::new());
    for entry in archive::unpack(&file.content, SOURCE_MAX_BYTES)? {
        let is_yaml = [".yml", ".yaml"].iter().any(|end| entry.name.to_ascii_lowercase().ends_with(end));
        match String::from_utf8(entry.content) {
            Ok(text) if is_yaml => {
                let within = |source: Source| Source { name: entry.name.clone(), ..source };
                sources.extend(Source::documents(&text).into_iter().map(within));
            }
            _ => others.push(entry.name),
        }
    }
    Ok((sources, others))
}

/// A flow by its names.
#[derive(Deserialize, ToSchema)]
#[schema(as = NamedFlow)]
pub struct Named {
    namespace: String,
    id: String,
}

fn keys(named: &[Named]) -> Vec<FlowKey> {
    named.iter().map(|named| key(&named.namespace, &named.id)).collect()
}

async fn found(app: &App, query: Option<&str>) -> Result<Vec<FlowKey>, Error> {
    let query = query.unwrap_or_default();
    filters::only_meant(query, &PLAIN)?;
    let rows = app.node.search_flows(&FlowSearch::parse(query)?).await?;
    Ok(rows.iter().map(|row| row.key.clone()).collect())
}

/// The sources of these flows as a ZIP archive, each as `NAMESPACE.ID.yml`.
#[utoipa::path(
    post, path = "/flows/export/by-ids", operation_id = "exportFlowsByIds",
    request_body = Vec<Named>,
    responses((status = 200, body = String, content_type = "application/octet-stream")),
)]
async fn export_by_ids(State(app): State<App>, Json(flows): Json<Vec<Named>>) -> Result<Response, Error> {
    exported(&app, keys(&flows)).await
}

/// The sources of the flows that a query finds as a ZIP archive, each as `NAMESPACE.ID.yml`.
#[utoipa::path(
    get, path = "/flows/export/by-query", operation_id = "exportFlowsByQuery",
    params(OfFlows),
    responses((status = 200, body = String, content_type = "application/octet-stream")),
)]
async fn export_by_query(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Error> {
    exported(&app, found(&app, query.as_deref()).await?).await
}

async fn exported(app: &App, flows: Vec<FlowKey>) -> Result<Response, Error> {
    let mut entries = Vec::new();
    for flow in flows {
        let saved = app.node.flow(flow.namespace.as_str(), flow.id.as_str(), None).await?;
        let name = format!("{}.{}.yml", flow.namespace, flow.id);
        entries.push(Entry { name, content: saved.flow.source.as_bytes().to_vec() });
    }
    let packed = app.node.blocking(move || archive::pack(entries)).await??;
    Ok(attachment("application/octet-stream", "flows.zip", packed))
}

/// Deletes these flows.
#[utoipa::path(
    delete, path = "/flows/delete/by-ids", operation_id = "deleteFlowsByIds",
    request_body = Vec<Named>,
    responses((status = 200, body = Count)),
)]
async fn delete_by_ids(State(app): State<App>, Json(flows): Json<Vec<Named>>) -> Result<Json<Count>, Error> {
    Ok(Json(Count { count: app.node.delete_flows(&keys(&flows)).await? }))
}

/// Deletes the flows that a query finds.
#[utoipa::path(
    delete, path = "/flows/delete/by-query", operation_id = "deleteFlowsByQuery",
    params(OfFlows),
    responses((status = 200, body = Count)),
)]
async fn delete_by_query(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Count>, Error> {
    let flows = found(&app, query.as_deref()).await?;
    Ok(Json(Count { count: app.node.delete_flows(&flows).await? }))
}

/// Switches these flows off.
#[utoipa::path(
    post, path = "/flows/disable/by-ids", operation_id = "disableFlowsByIds",
    request_body = Vec<Named>,
    responses((status = 200, body = Count)),
)]
async fn disable_by_ids(State(app): State<App>, Json(flows): Json<Vec<Named>>) -> Result<Json<Count>, Error> {
    Ok(Json(Count { count: app.node.switch_flows(&keys(&flows), true).await? }))
}

/// Switches the flows that a query finds off.
#[utoipa::path(
    post, path = "/flows/disable/by-query", operation_id = "disableFlowsByQuery",
    params(OfFlows),
    responses((status = 200, body = Count)),
)]
async fn disable_by_query(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Count>, Error> {
    let flows = found(&app, query.as_deref()).await?;
    Ok(Json(Count { count: app.node.switch_flows(&flows, true).await? }))
}

/// Switches these flows on.
#[utoipa::path(
    post, path = "/flows/enable/by-ids", operation_id = "enableFlowsByIds",
    request_body = Vec<Named>,
    responses((status = 200, body = Count)),
)]
async fn enable_by_ids(State(app): State<App>, Json(flows): Json<Vec<Named>>) -> Result<Json<Count>, Error> {
    Ok(Json(Count { count: app.node.switch_flows(&keys(&flows), false).await? }))
}

/// Switches the flows that a query finds on.
#[utoipa::path(
    post, path = "/flows/enable/by-query", operation_id = "enableFlowsByQuery",
    params(OfFlows),
    responses((status = 200, body = Count)),
)]
async fn enable_by_query(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Count>, Error> {
    let flows = found(&app, query.as_deref()).await?;
    Ok(Json(Count { count: app.node.switch_flows(&flows, false).await? }))
}
