//! Webhooks: who knows the key starts an execution. An unknown flow, a wrong key and a trigger that is off are answered alike, and take
//! about the same time: nobody learns here what flows there are.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use expr::{Map, Value};
use model::ids::ExecutionId;
use model::inputs::Missing;
use model::trigger::{Signature, Trigger, TriggerKind, Webhook};
use sha2::{Digest as _, Sha256};

use super::fire::Firing;
use super::is_on;
use crate::error::Error;
use crate::executions::Seen;
use crate::flows::SavedFlow;
use crate::inputs::FlowScope;
use crate::node::Node;

/// Longest a sender can wait for an execution in one request.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// A request to a webhook.
pub(crate) struct Call<'a> {
    pub namespace: &'a str,
    pub flow: &'a str,
    pub key: &'a str,
    /// What `trigger` is in expressions: body, headers, parameters and the like.
    pub variables: Map,
    /// What a signature is of, and the headers it may be in.
    pub body: &'a [u8],
    pub headers: &'a http::HeaderMap,
}

/// What a request to a webhook brought about.
pub(crate) enum Answered {
    /// Nothing: the conditions do not hold.
    Nothing,
    Execution(Box<Seen>, Outputs),
}

/// What the sender is shown.
pub(crate) enum Outputs {
    /// The execution.
    Whole,
    /// What the flow gives out, in this type of content.
    Alone { content_type: Option<String> },
}

impl Node {
    /// Takes a request to a webhook in. What it starts is durable when this returns.
    pub(crate) async fn call_webhook(self: &Arc<Self>, call: Call<'_>) -> Result<Answered, Error> {
        self.has_room()?;
        let Some((saved, trigger, webhook)) = self.webhook(&call).await? else {
            return Err(Error::NotFound("no such webhook".to_owned()));
        };
        if let Some(signature) = &webhook.signature
            && !self.is_signed(&saved, signature, &call).await
        {
            let header = &signature.header;
            return Err(Error::Unauthorized(format!(
                "the request is not signed as this webhook asks; hint: header `{header}` has the HMAC-SHA256 of the body"
            )));
        }
        if !self.holds_on(&saved, &trigger, &call.variables).await {
            return Ok(Answered::Nothing);
        }
        let scope = FlowScope { node: self, flow: &saved.flow };
        let firing = Firing {
            saved: &saved,
            trigger: &trigger,
            variables: call.variables,
            scope: &scope,
            inputs: &Map::new(),
            labels: &[],
            missing: Missing::Wrong,
            depth: 0,
        };
        let Some(execution) = self.execution_of(firing).await else { return Ok(Answered::Nothing) };
        let id = execution.id.clone();
        let told = self.tell(&id, engine::Event::Start { execution: Box::new(execution) }).await?;
        let seen = self.shown_to(&id, told.lsn, webhook.wait || webhook.return_outputs).await?;
        let outputs = match webhook.return_outputs {
            true => Outputs::Alone { content_type: webhook.response_content_type.clone() },
            false => Outputs::Whole,
        };
        Ok(Answered::Execution(Box::new(seen), outputs))
    }

    /// Whether a request has the HMAC-SHA256 of its body, in hexadecimal or base64.
    async fn is_signed(&self, saved: &SavedFlow, signature: &Signature, call: &Call<'_>) -> bool {
        let scope = FlowScope { node: self, flow: &saved.flow };
        let secret = self.render_in(&scope, &signature.secret.0, false, &saved.flow.key, None).await;
        let Some(secret) = secret.ok().as_ref().and_then(clear).filter(|secret| !secret.is_empty()) else {
            return false;
        };
        let given = call.headers.get(&signature.header).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let given = given.trim();
        let given = given.strip_prefix("sha256=").unwrap_or(given);
        let bytes = unhex(given).or_else(|| base64::engine::general_purpose::STANDARD.decode(given).ok());
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        ring::hmac::verify(&key, call.body, &bytes.unwrap_or_default()).is_ok()
    }

    async fn shown_to(self: &Arc<Self>, id: &ExecutionId, lsn: store::Lsn, waits: bool) -> Result<Seen, Error> {
        if waits && let Ok(seen) = tokio::time::timeout(WAIT_MAX, self.ended(id)).await {
            return seen;
        }
        self.store.durable(lsn).await?;
        self.execution(id.as_str()).await
    }

    /// The webhook whose key was given. Every webhook of the flow is compared, found or not.
    async fn webhook(&self, call: &Call<'_>) -> Result<Option<(Arc<SavedFlow>, Trigger, Webhook)>, Error> {
        let key = crate::flows::key(call.namespace, call.flow);
        let given = Sha256::digest(call.key.as_bytes());
        let mut found = None;
        // Somebody who asks for nothing that is there is compared with something as well.
        let mut different = differs(&given, &Sha256::digest(b""));
        if let Some(saved) = self.triggers.flow(&key) {
            for trigger in &saved.flow.triggers {
                let TriggerKind::Webhook(webhook) = &trigger.kind else { continue };
                let scope = FlowScope { node: self, flow: &saved.flow };
                let Ok(wanted) = self.render_in(&scope, &webhook.key.0, false, &key, None).await else { continue };
                let Some(wanted) = clear(&wanted).filter(|wanted| !wanted.is_empty()) else { continue };
                let row = self.trigger_row(&key, &trigger.id).await?;
                let on = row.is_some_and(|row| is_on(&saved.flow, trigger, &row));
                different = differs(&given, &Sha256::digest(wanted.as_bytes()));
                if different == 0 && on && found.is_none() {
                    found = Some((saved.clone(), trigger.clone(), webhook.clone()));
                }
            }
        }
        std::hint::black_box(different);
        Ok(found)
    }
}

/// The bits two digests differ in, looked at to the end: where they differ says nothing in time, and what was hashed cannot be chosen.
fn differs(one: &[u8], other: &[u8]) -> u8 {
    one.iter().zip(other).fold(0, |bits, (one, other)| bits | (one ^ other))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

/// A text with its secrets in it.
fn clear(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => text.reveal().ok().map(std::borrow::Cow::into_owned),
        Value::Null => None,
        other => Some(other.to_json().to_string()),
    }
}
