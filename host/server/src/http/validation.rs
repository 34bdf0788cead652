//! `/flows/validate…`: what is wrong with flows, or with a task or trigger that is not in one yet. Saves nothing.

use axum::Json;
use axum::extract::multipart::Multipart;
use axum::extract::{FromRequest as _, Query, Request, State};
use axum::http::header;
use model::problem::{Problem, Severity};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::openapi::tagged;
use super::upload::{FilesForm, broken};
use super::wire::flow::TaskBody;
use crate::error::{Error, Issue};
use crate::flow_bulk::Source;

/// Most files of one form.
const FILES_MAX: usize = 1_000;
/// What a task or trigger is put into to be looked at.
const AROUND: &str = "id: validation\nnamespace: validation\n";
const OTHER_TASK: &str = "tasks: [{id: validation-other, type: io.kestra.plugin.core.flow.Sleep, duration: PT0S}]\n";

/// Kestra's answer to a validation, one per document.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Validation)]
pub struct Validated {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    /// All errors as one text, a line each; absent when it is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    constraints: Option<String>,
    outdated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation_paths: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    infos: Option<Vec<String>>,
    /// Ours: the same, for programs.
    problems: Vec<Issue>,
}

impl Validated {
    fn of(problems: &[Problem]) -> Self {
        let texts = |severity: Severity| -> Vec<String> {
            problems.iter().filter(|problem| problem.severity == severity).map(ToString::to_string).collect()
        };
        let (errors, warnings) = (texts(Severity::Error), texts(Severity::Warning));
        Self {
            constraints: (!errors.is_empty()).then(|| errors.join("\n")),
            warnings: (!warnings.is_empty()).then_some(warnings),
            problems: problems.iter().map(Issue::from).collect(),
            ..Self::default()
        }
    }
}

pub fn routes() -> OpenApiRouter<App> {
    tagged("Flows", OpenApiRouter::new().routes(routes!(flows)).routes(routes!(task)).routes(routes!(trigger)))
}

/// Says what is wrong with each document of a YAML stream, or of the files of a form.
#[utoipa::path(
    post, path = "/flows/validate", operation_id = "validateFlows",
    request_body(content((String = "application/x-yaml"), (FilesForm = "multipart/form-data"))),
    responses((status = 200, body = Vec<Validated>)),
)]
async fn flows(State(app): State<App>, request: Request) -> Result<Json<Vec<Validated>>, Error> {
    let mut answers = Vec::new();
    for (filename, text) in texts(&app, request).await? {
        let mut documents = Source::documents(&text);
        if documents.is_empty() {
            documents.push(Source { name: String::new(), text, first_line: 1 });
        }
        for (index, document) in documents.into_iter().enumerate() {
            let mut validation = app.node.validate_flow(&document.text).await;
            for problem in validation.problems.iter_mut().filter(|problem| problem.line > 0) {
                problem.line = problem.line.saturating_add(document.first_line).saturating_sub(1);
            }
            answers.push(Validated {
                index,
                filename: filename.clone(),
                namespace: validation.namespace,
                flow: validation.id,
                ..Validated::of(&validation.problems)
            });
        }
    }
    Ok(Json(answers))
}

async fn texts(app: &App, request: Request) -> Result<Vec<(Option<String>, String)>, Error> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/form-data")) {
        let text = String::from_request(request, &()).await;
        let text = text.map_err(|error| match error.status() {
            axum::http::StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge(error.body_text()),
            _ => Error::bad_request("body.unreadable", error.body_text()),
        })?;
        return Ok(vec![(None, text)]);
    }
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| Error::bad_request("body.multipart", error.body_text()))?;
    let mut texts = Vec::new();
    while let Some(field) = form.next_field().await.map_err(|error| broken(app, &error))? {
        if texts.len() == FILES_MAX {
            return Err(Error::bad_request("body.too_many", format!("the form has more than {FILES_MAX} files")));
        }
        let name = field.file_name().or(field.name()).map(str::to_owned);
        let bytes = field.bytes().await.map_err(|error| broken(app, &error))?;
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| {
            let name = name.as_deref().unwrap_or_default();
            Error::bad_request("body.multipart", format!("`{}` is not UTF-8 text", name.escape_debug()))
        })?;
        texts.push((name, text));
    }
    Ok(texts)
}

/// `?section=TASKS`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SectionQuery {
    #[serde(default)]
    #[param(inline)]
    section: Section,
}

/// Where in a flow something is to stand.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Section {
    #[default]
    Tasks,
    Triggers,
}

/// Says what is wrong with a task, or with a trigger, as YAML or JSON.
#[utoipa::path(
    post, path = "/flows/validate/task", operation_id = "validateTask",
    params(SectionQuery),
    request_body(content((String = "application/x-yaml"), (TaskBody = "application/json"))),
    responses((status = 200, body = Validated)),
)]
async fn task(
    State(app): State<App>,
    Query(query): Query<SectionQuery>,
    text: String,
) -> Result<Json<Validated>, Error> {
    Ok(Json(looked_at(&app, query.section, &text).await))
}

/// Says what is wrong with a trigger, as YAML or JSON.
#[utoipa::path(
    post, path = "/flows/validate/trigger", operation_id = "validateTrigger",
    request_body(content((String = "application/x-yaml"), (TaskBody = "application/json"))),
    responses((status = 200, body = Validated)),
)]
async fn trigger(State(app): State<App>, text: String) -> Result<Json<Validated>, Error> {
    Ok(Json(looked_at(&app, Section::Triggers, &text).await))
}

/// Puts it into a flow that has nothing else, and tells of its own lines.
async fn looked_at(app: &App, section: Section, text: &str) -> Validated {
    let (head, place) = match section {
        Section::Tasks => (format!("{AROUND}tasks:\n-\n"), "tasks[0]"),
        Section::Triggers => (format!("{AROUND}{OTHER_TASK}triggers:\n-\n"), "triggers[0]"),
    };
    let lines = head.lines().count();
    let indented: String = text.lines().map(|line| format!("  {line}\n")).collect();
    let mut problems = app.node.validate_flow(&format!("{head}{indented}")).await.problems;
    for problem in &mut problems {
        problem.line = problem.line.saturating_sub(u32::try_from(lines).unwrap_or_default());
        problem.column = problem.column.saturating_sub(2);
        if let Some(inner) = problem.path.strip_prefix(place) {
            problem.path = inner.trim_start_matches('.').to_owned();
        }
    }
    Validated::of(&problems)
}
