//! Cases that call a webhook: over HTTP, as a sender does.

use std::sync::Arc;

use axum::http::Method;
use model::ids::ExecutionId;
use serde_json::{Map, Value as Json};
use server::Node;
use tokio::sync::oneshot;

use super::play::{gone, save, settled};
use super::{Case, Miss, wrong};

/// What is expected of the answer itself.
const OF_THE_ANSWER: [&str; 2] = ["http_status", "no_body"];

pub(super) async fn play(node: &Arc<Node>, case: &Case) -> Result<(), Miss> {
    for source in &case.others {
        save(node, source).await?;
    }
    let saved = save(node, &case.source).await?;
    let (status, body) = call(node, case).await.map_err(|error| Miss::Wrong(error.to_string()))?;
    if case.expect.get("http_status").is_some_and(|wanted| wanted.as_u64() != Some(status.into())) {
        return wrong(format!("the status is {status}: {body}"));
    }
    if case.expect.get("no_body") == Some(&Json::Bool(true)) && !body.is_empty() {
        return wrong(format!("there is a body: {body}"));
    }
    let shown: Json = serde_json::from_str(&body).unwrap_or_default();
    let Some(id) = shown["id"].as_str().map(ExecutionId::trusted) else {
        return if status >= 204 { Ok(()) } else { wrong(format!("no execution is shown: {body}")) };
    };
    node.ended(&id).await.map_err(gone)?;
    let rest = |(name, _): &(&String, &Json)| !OF_THE_ANSWER.contains(&name.as_str());
    let expect: Map<String, Json> =
        case.expect.iter().filter(rest).map(|(name, wanted)| (name.clone(), wanted.clone())).collect();
    settled(node, &saved, &[&id], &Case { expect, ..case.clone() }).await
}

/// Sends the request of a case to a server of its own.
async fn call(node: &Arc<Node>, case: &Case) -> anyhow::Result<(u16, String)> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(server::http::serve(listener, node.clone(), async move {
        let _ = ended.await;
    }));
    let text = |name: &str| case.request.get(name).and_then(Json::as_str);
    // The corpus is older than tenants in paths.
    let path = text("path").unwrap_or_default().replacen("/api/v1/executions", "/api/v1/main/executions", 1);
    let method: Method = text("method").unwrap_or("GET").parse()?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut request = client.request(method, format!("http://{address}{path}"));
    request = match case.request.get("body") {
        None | Some(Json::Null) => request,
        Some(Json::String(text)) => request.body(text.clone()),
        Some(body) => request.header("content-type", "application/json").body(body.to_string()),
    };
    let response = request.send().await?;
    let answer = (response.status().as_u16(), response.text().await?);
    drop(client);
    let _ = end.send(());
    serving.await??;
    Ok(answer)
}
