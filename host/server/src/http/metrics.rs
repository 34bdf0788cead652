//! `/api/v1/{tenant}/metrics`: what an execution measured, and what the newest executions of a flow did, by name, task and time.

mod buckets;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use catalog::nearest;
use jiff::{Timestamp, ToSpan};
use model::ids::TENANT;
use serde::{Deserialize, Serialize};
use store::query::Within;
use store::rows::{self, MetricKind};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::filters;
use super::openapi::tagged;
use super::shown::paged;
use crate::error::Error;
use crate::metrics::{EXECUTIONS_MAX, Measured};
use buckets::{Aggregation, Aggregations};

/// Metrics of one execution that are sorted and counted: totals are exact up to here.
const METRICS_MAX: usize = 10_000;
/// Metrics of one page, where nothing else is asked for.
const PAGE: usize = 10;
/// How far back is looked without being asked.
const DAYS: i64 = 30;
/// Ours: what an answer about a flow was worked out from, where there is more.
const PARTIAL: HeaderName = HeaderName::from_static("sluice-partial");

/// A page of metrics.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct MetricsQuery {
    page: Option<usize>,
    size: Option<usize>,
    sort: Option<String>,
    task_run_id: Option<String>,
    task_id: Option<String>,
}

/// What to work out, and of when.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct AggregateQuery {
    start_date: Option<String>,
    end_date: Option<String>,
    aggregation: Option<String>,
}

/// One measurement as Kestra shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Metric)]
struct MetricBody<'a> {
    tenant_id: &'a str,
    namespace: &'a str,
    flow_id: &'a str,
    task_id: &'a str,
    execution_id: &'a str,
    task_run_id: &'a str,
    r#type: &'static str,
    name: &'a str,
    value: f64,
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: &'a BTreeMap<String, String>,
}

/// A page of metrics with the number of all.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MetricPage)]
struct MetricsPage<'a> {
    results: Vec<MetricBody<'a>>,
    total: usize,
    /// Ours: there are more than `total`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    total_is_lower_bound: bool,
}

impl<'a> From<&'a rows::Metric> for MetricBody<'a> {
    fn from(metric: &'a rows::Metric) -> Self {
        Self {
            tenant_id: TENANT,
            namespace: metric.flow.namespace.as_str(),
            flow_id: metric.flow.id.as_str(),
            task_id: metric.task.as_str(),
            execution_id: metric.execution.as_str(),
            task_run_id: metric.task_run.as_str(),
            r#type: match metric.kind {
                MetricKind::Counter => "counter",
                MetricKind::Timer => "timer",
            },
            name: &metric.name,
            value: shown_value(metric),
            timestamp: metric.at,
            tags: &metric.tags,
        }
    }
}

/// Kestra shows timers in milliseconds.
fn shown_value(metric: &rows::Metric) -> f64 {
    match metric.kind {
        MetricKind::Counter => metric.value,
        MetricKind::Timer => metric.value * 1e3,
    }
}

type Order = fn(&rows::Metric, &rows::Metric) -> Ordering;

/// What metrics of an execution can be sorted by.
const ORDERS: [(&str, Order); 5] = [
    ("name", |a, b| a.name.cmp(&b.name)),
    ("taskId", |a, b| a.task.as_str().cmp(b.task.as_str())),
    ("taskrunId", |a, b| a.task_run.as_str().cmp(b.task_run.as_str())),
    ("timestamp", |a, b| a.at.cmp(&b.at)),
    ("value", |a, b| shown_value(a).total_cmp(&shown_value(b))),
];

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Metrics",
        OpenApiRouter::new()
            .routes(routes!(of_execution))
            .routes(routes!(names_of_flow))
            .routes(routes!(names_of_task))
            .routes(routes!(tasks_of_flow))
            .routes(routes!(aggregate_of_flow))
            .routes(routes!(aggregate_of_task)),
    )
}

/// Metrics of an execution, in the order they were written or as asked.
#[utoipa::path(
    get, path = "/metrics/{executionId}", operation_id = "searchByExecution",
    params(MetricsQuery),
    responses((status = 200, body = MetricsPage<'_>)),
)]
async fn of_execution(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    RawQuery(written): RawQuery,
    Query(query): Query<MetricsQuery>,
) -> Result<Response, Error> {
    let known = ["page", "size", "sort", "taskRunId", "taskId"];
    filters::nothing_but(written.as_deref().unwrap_or_default(), &known)?;
    let order = query.sort.as_deref().filter(|sort| !sort.is_empty()).map(order).transpose()?;
    let execution = app.node.execution_alone(&id).await?;
    let Measured { mut metrics, is_part } = app.node.metrics(&execution.id, METRICS_MAX).await?;
    metrics.retain(|metric| {
        query.task_id.as_ref().is_none_or(|id| metric.task.as_str() == id)
            && query.task_run_id.as_ref().is_none_or(|id| metric.task_run.as_str() == id)
    });
    if let Some((by, is_descending)) = order {
        metrics.sort_by(|a, b| if is_descending { by(b, a) } else { by(a, b) });
    }
    let (skipped, size) = paged(query.page, query.size, PAGE);
    let results = metrics.iter().skip(skipped).take(size).map(|metric| MetricBody::from(metric.as_ref())).collect();
    let page = MetricsPage { results, total: metrics.len(), total_is_lower_bound: is_part };
    Ok(Json(page).into_response())
}

fn order(sort: &str) -> Result<(Order, bool), Error> {
    let (name, direction) = sort.split_once(':').unwrap_or((sort, "asc"));
    let found = ORDERS.iter().find(|(known, _)| *known == name);
    match (found, direction) {
        (Some((_, order)), "asc" | "desc") => Ok((*order, direction == "desc")),
        _ => {
            let names = ORDERS.map(|(name, _)| name).join(", ");
            let message = format!("metrics are not sorted by `{sort}`; hint: one of {names}, with :asc or :desc");
            Err(Error::bad_request("query.sort", message))
        }
    }
}

/// Names of what a flow measures.
#[utoipa::path(
    get, path = "/metrics/names/{namespace}/{flowId}", operation_id = "listFlowMetrics",
    responses((status = 200, body = Vec<String>)),
)]
async fn names_of_flow(
    State(app): State<App>,
    Path((_, namespace, flow)): Path<(String, String, String)>,
) -> Result<Response, Error> {
    let flow = app.node.known_flow(&namespace, &flow).await?;
    let measured = app.node.metrics_of_flow(&flow, Within::ALWAYS, |_| true).await?;
    Ok(partial(measured.is_part, Json(measured.distinct(|metric| &metric.name)).into_response()))
}

/// Names of what a task of a flow measures.
#[utoipa::path(
    get, path = "/metrics/names/{namespace}/{flowId}/{taskId}", operation_id = "listTaskMetrics",
    responses((status = 200, body = Vec<String>)),
)]
async fn names_of_task(
    State(app): State<App>,
    Path((_, namespace, flow, task)): Path<(String, String, String, String)>,
) -> Result<Response, Error> {
    let flow = app.node.known_flow(&namespace, &flow).await?;
    let measured = app.node.metrics_of_flow(&flow, Within::ALWAYS, |metric| metric.task.as_str() == task).await?;
    Ok(partial(measured.is_part, Json(measured.distinct(|metric| &metric.name)).into_response()))
}

/// Tasks of a flow that have measured something, those that it has no more among them.
#[utoipa::path(
    get, path = "/metrics/tasks/{namespace}/{flowId}", operation_id = "listTasksWithMetrics",
    responses((status = 200, body = Vec<String>)),
)]
async fn tasks_of_flow(
    State(app): State<App>,
    Path((_, namespace, flow)): Path<(String, String, String)>,
) -> Result<Response, Error> {
    let flow = app.node.known_flow(&namespace, &flow).await?;
    let measured = app.node.metrics_of_flow(&flow, Within::ALWAYS, |_| true).await?;
    Ok(partial(measured.is_part, Json(measured.distinct(|metric| metric.task.as_str())).into_response()))
}

/// What a flow measured over time.
#[utoipa::path(
    get, path = "/metrics/aggregates/{namespace}/{flowId}/{metric}", operation_id = "aggregateMetricsFromFlow",
    params(AggregateQuery),
    responses((status = 200, body = Aggregations)),
)]
async fn aggregate_of_flow(
    State(app): State<App>,
    Path((_, namespace, flow, metric)): Path<(String, String, String, String)>,
    RawQuery(written): RawQuery,
    Query(query): Query<AggregateQuery>,
) -> Result<Response, Error> {
    let wanted = |known: &rows::Metric| *known.name == *metric;
    aggregate(&app, (&namespace, &flow), written.as_deref(), &query, &metric, wanted).await
}

/// What a task of a flow measured over time.
#[utoipa::path(
    get, path = "/metrics/aggregates/{namespace}/{flowId}/{taskId}/{metric}", operation_id = "aggregateMetricsFromTask",
    params(AggregateQuery),
    responses((status = 200, body = Aggregations)),
)]
async fn aggregate_of_task(
    State(app): State<App>,
    Path((_, namespace, flow, task, metric)): Path<(String, String, String, String, String)>,
    RawQuery(written): RawQuery,
    Query(query): Query<AggregateQuery>,
) -> Result<Response, Error> {
    let wanted = |known: &rows::Metric| *known.name == *metric && known.task.as_str() == task;
    aggregate(&app, (&namespace, &flow), written.as_deref(), &query, &metric, wanted).await
}

async fn aggregate(
    app: &App,
    (namespace, flow): (&str, &str),
    written: Option<&str>,
    query: &AggregateQuery,
    name: &str,
    wanted: impl Fn(&rows::Metric) -> bool,
) -> Result<Response, Error> {
    filters::nothing_but(written.unwrap_or_default(), &["startDate", "endDate", "aggregation"])?;
    let aggregation = aggregation(query.aggregation.as_deref().unwrap_or("sum"))?;
    let until = query.end_date.as_deref().map(moment).transpose()?.unwrap_or(app.node.now());
    let from = match query.start_date.as_deref().map(moment).transpose()? {
        Some(from) => from,
        None => until.checked_sub((DAYS * 24).hours()).unwrap_or(Timestamp::MIN),
    };
    if from >= until {
        let message = format!("`{from}` is not before `{until}`; hint: startDate is before endDate");
        return Err(Error::bad_request("query.invalid", message));
    }
    let empty = Aggregations::empty(name, from, until)?;
    let flow = app.node.known_flow(namespace, flow).await?;
    let measured = app.node.metrics_of_flow(&flow, Within { from: Some(from), until: Some(until) }, wanted).await?;
    let values = measured.metrics.iter().map(|metric| (metric.at, shown_value(metric)));
    Ok(partial(measured.is_part, Json(empty.filled(aggregation, values)).into_response()))
}

fn aggregation(name: &str) -> Result<Aggregation, Error> {
    let found = Aggregation::ALL.iter().find(|(known, _)| *known == name);
    found.map(|(_, aggregation)| *aggregation).ok_or_else(|| {
        let near = nearest(name, Aggregation::ALL.iter().map(|(name, _)| *name));
        let names = if near.is_empty() { "avg, sum, min, max".to_owned() } else { near.join(" or ") };
        Error::bad_request("query.invalid", format!("`{name}` is no aggregation; hint: {names}"))
    })
}

fn moment(text: &str) -> Result<Timestamp, Error> {
    text.parse().map_err(|_| {
        let message = format!("`{text}` is no time; hint: a moment with its offset, as `2024-05-01T12:00:00Z`");
        Error::bad_request("query.invalid", message)
    })
}

/// Says that an answer is about a part of what there is.
fn partial(is_part: bool, mut answer: Response) -> Response {
    if is_part {
        let said = format!("newest {EXECUTIONS_MAX} executions");
        let said = HeaderValue::from_str(&said).unwrap_or(HeaderValue::from_static("newest executions"));
        answer.headers_mut().insert(PARTIAL, said);
    }
    answer
}
