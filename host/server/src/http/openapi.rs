//! The API's description in OpenAPI 3.1, made of what stands at the handlers, and the page that shows it. What is the same for all operations
//! (the tenant, refusals, the login) is added here, once. Says nothing of this one server, so nobody is asked for a login.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ComponentsBuilder, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answer::Body;
use crate::error::Issue;

/// Of the API, not of the server: Kestra's whose paths and shapes these are.
const VERSION: &str = "1.0";

const DESCRIPTION: &str = "Kestra 1.0's paths and shapes, and Sluice's own beside them.\n\nWhat did not work is answered with a status of 4XX or \
5XX and always in one shape: a `message` for people, a stable `code` for programs, and all `problems` at once.";

/// Tags, in the order in which they are shown.
const TAGS: &[(&str, &str)] = &[
    ("Flows", "What is to be run: saved in revisions, each with the exact versions of the plugins that it runs on."),
    ("Executions", "Runs of flows: started, followed, acted on, searched."),
    ("Logs", "What tasks have said."),
    ("Metrics", "What tasks have measured."),
    ("Triggers", "What starts executions by itself."),
    ("KV", "Values of namespaces that flows read and write."),
    ("Namespaces", "What belongs to all flows of a namespace. The values of secrets go in and never come out."),
    ("Plugins", "What flows can use: task types, their versions and schemas."),
    ("Plugin versions", "Versions of plugins that come, go and are decided on while the server runs."),
    ("Server", "Whether the server lives and can work, and what it can do."),
];

/// What the parts of paths are.
const PARTS: &[(&str, &str)] = &[
    ("namespace", "A namespace: `company.team`."),
    ("id", "The id of a flow, or of a namespace."),
    ("flowId", "The id of a flow."),
    ("executionId", "The id of an execution."),
    ("taskRunId", "The id of a task run."),
    ("taskId", "The id of a task in its flow."),
    ("metric", "The name of a metric."),
    ("triggerId", "The id of a trigger in its flow."),
    ("key", "A key: of a value, of a secret, or of a webhook."),
    ("path", "Whatever the caller puts behind the key."),
    ("of", "What is described."),
    ("type", "The type of a task or trigger."),
    ("plugin", "The name of a plugin."),
    ("version", "An exact version: `1.2.0`."),
];

/// The page that shows the document.
const PAGE: &str = include_str!("openapi.html");
/// The page runs what it has inside and asks this server alone.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; \
form-action 'none'; frame-ancestors 'none'";

pub fn routes() -> OpenApiRouter<App> {
    tagged("Server", OpenApiRouter::new().routes(routes!(serve)).routes(routes!(page)))
}

/// This description, in OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", responses((status = 200, body = Object, description = "the document")))]
async fn serve(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.description).into_response()
}

/// This description as a page to read.
#[utoipa::path(
    get, path = "/docs", operation_id = "docs",
    responses((status = 200, body = String, content_type = "text/html", description = "the page")),
)]
async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, PAGE).into_response()
}

/// These operations belong together.
pub fn tagged(tag: &str, mut router: OpenApiRouter<App>) -> OpenApiRouter<App> {
    for operation in operations(router.get_openapi_mut()) {
        operation.tags = Some(vec![tag.to_owned()]);
    }
    router
}

/// These operations ask for a login.
pub fn guarded(mut router: OpenApiRouter<App>) -> OpenApiRouter<App> {
    for operation in operations(router.get_openapi_mut()) {
        operation.security = Some(vec![SecurityRequirement::new("basic", [""; 0])]);
    }
    router
}

fn operations(api: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    api.paths.paths.values_mut().flat_map(|item| {
        let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        methods.into_iter().flatten()
    })
}

/// The whole document.
pub fn document(mut api: OpenApi) -> Bytes {
    let components = ComponentsBuilder::from(api.components.take().unwrap_or_default());
    api.components = Some(components.schema_from::<Body<'_>>().schema_from::<Issue>().build());
    let mut document = serde_json::to_value(&api).expect("the description has string keys only");
    document["info"] = json!({ "title": "Sluice", "description": DESCRIPTION, "version": VERSION });
    document["tags"] =
        TAGS.iter().map(|(name, description)| json!({ "name": name, "description": description })).collect();
    document["components"]["parameters"]["tenant"] = json!({
        "name": "tenant", "in": "path", "required": true, "description": "There is one.",
        "schema": { "type": "string", "enum": [model::ids::TENANT] },
    });
    let refusal = |description: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Refusal" });
        json!({ "description": description, "content": { "application/json": { "schema": schema } } })
    };
    document["components"]["responses"] = json!({
        "Refused": refusal("It was not done, and the request is why."),
        "Failed": refusal("It was not done, and the server is why. It may be tried again."),
        "Unauthorized": refusal("A server that has credentials asks for them; one without serves its own machine alone."),
    });
    document["components"]["securitySchemes"] = json!({
        "basic": { "type": "http", "scheme": "basic", "description": "Asked for by a server that has credentials." },
    });
    name_results(&mut document["components"]["schemas"]);
    let paths = document["paths"].as_object_mut().map(std::mem::take).unwrap_or_default();
    document["paths"] = paths.into_iter().map(|(path, item)| finished(&path.replace("{*", "{"), item)).collect();
    document.to_string().into()
}

/// Has pages and lists (`Paged_Flow`) refer to what they are of: derived schemas of generic types repeat it.
fn name_results(schemas: &mut Value) {
    for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
        if let Some((_, of)) = name.split_once('_') {
            schema["properties"]["results"]["items"] = json!({ "$ref": format!("#/components/schemas/{of}") });
        }
    }
}

/// A path with its parameters, and with what is answered everywhere.
fn finished(path: &str, mut item: Value) -> (String, Value) {
    let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    item["parameters"] = parts.map(part).collect();
    let operations = item.as_object_mut().into_iter().flatten().filter(|(_, value)| value.is_object());
    operations.for_each(|(_, operation)| finish(operation));
    (path.to_owned(), item)
}

fn finish(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    parameters.into_iter().flatten().for_each(|parameter| or_nothing(&mut parameter["schema"]));
    let bodies = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut);
    bodies.into_iter().flatten().for_each(|(_, media)| or_nothing(&mut media["schema"]));
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        let reason = status.parse().ok().and_then(|status: StatusCode| status.canonical_reason());
        if response["description"].as_str().is_none_or(str::is_empty) {
            response["description"] = reason.into();
        }
    }
    let reference = |name: &str| json!({ "$ref": format!("#/components/responses/{name}") });
    if operation.get("security").is_some() {
        operation["responses"]["401"] = reference("Unauthorized");
    }
    operation["responses"]["4XX"] = reference("Refused");
    operation["responses"]["5XX"] = reference("Failed");
}

/// What may be left out of a request is described like what may be null, which it may not be.
fn or_nothing(schema: &mut Value) {
    if let Some(kind) = schema.get("type").and_then(Value::as_array).and_then(|kinds| kinds.first().cloned()) {
        schema["type"] = kind;
    }
}

fn part(name: &str) -> Value {
    if name == "tenant" {
        return json!({ "$ref": "#/components/parameters/tenant" });
    }
    let described = PARTS.iter().find(|(part, _)| *part == name).map(|(_, description)| *description);
    let schema = match name {
        "of" => json!({ "type": "string", "enum": ["flow", "task", "trigger"] }),
        _ => json!({ "type": "string" }),
    };
    json!({ "name": name, "in": "path", "required": true, "description": described, "schema": schema })
}
