//! How an answer is put on the wire: in which pieces, with what before and between, and how it ends. Knows what pieces are, not what they say.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures::{Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Provider;
use super::faults::{Fault, response};
use super::frames::{Data, Frame, Framing};

/// What answers in a provider's place, if a fault says so.
pub(super) fn instead(faults: &[Fault]) -> Option<Response<Body>> {
    faults.iter().find_map(|fault| match fault {
        Fault::HtmlError { status } => {
            let page = "<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>\n";
            Some(response(*status, "text/html; charset=utf-8", Body::from(page)))
        }
        Fault::NotJson => Some(response(200, "application/json", Body::from("{\"choices\": [{\"mess"))),
        _ => None,
    })
}

/// How an answer goes out.
pub(super) struct Delivery<'a> {
    pub provider: Provider,
    pub faults: &'a [Fault],
    /// Nobody is kept waiting by a server that has ended.
    pub ended: watch::Receiver<bool>,
}

impl Delivery<'_> {
    fn has(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    /// A whole answer.
    pub fn whole(self, mut body: Value) -> Response<Body> {
        if self.has(&Fault::UnknownFields) {
            strange(self.provider, &mut body);
        }
        let mut bytes = body.to_string().into_bytes();
        if self.has(&Fault::BlankLines) {
            bytes.splice(0..0, *b"\n\n\n\n");
        }
        let body = match sending(self.faults) {
            None => Body::from(bytes),
            Some(sending) => sending.body(vec![bytes], self.ended),
        };
        response(200, "application/json", body)
    }

    /// A stream.
    pub fn streamed(self, framing: Framing, mut frames: Vec<Frame>) -> Response<Body> {
        if self.has(&Fault::UnknownFields) {
            let unknown = unknown(&frames);
            for frame in &mut frames {
                if let Data::Json(json) = &mut frame.data {
                    strange(self.provider, json);
                }
            }
            let middle = frames.len() / 2;
            frames.splice(middle..middle, unknown);
        }
        if self.has(&Fault::KeepAlive) {
            let alive = keep_alive(self.provider, framing);
            frames = frames.into_iter().flat_map(|frame| alive.iter().cloned().chain([frame])).collect();
        }
        let mut pieces = framing.written(&frames);
        let middle = pieces.len() / 2;
        let spoilt = pieces.get_mut(middle).and_then(|piece| piece.last_mut());
        if let (Framing::Binary, true, Some(last)) = (framing, self.has(&Fault::WrongCrc), spoilt) {
            *last ^= 0x55;
        }
        let sending = sending(self.faults).unwrap_or_default();
        response(200, framing.media_type(), sending.body(pieces, self.ended))
    }
}

/// How pieces go out.
#[derive(Clone, Copy, Debug, Default)]
struct Sending {
    every_byte: bool,
    truncated: bool,
    delay: Option<Duration>,
}

/// Nothing if a body goes out as a body does.
fn sending(faults: &[Fault]) -> Option<Sending> {
    let delay = faults.iter().find_map(|fault| match fault {
        Fault::Drip { delay_ms } => Some(Duration::from_millis(*delay_ms)),
        _ => None,
    });
    let (every_byte, truncated) = (faults.contains(&Fault::EveryByte), faults.contains(&Fault::Truncated));
    (every_byte || truncated || delay.is_some()).then_some(Sending { every_byte, truncated, delay })
}

impl Sending {
    fn body(self, mut pieces: Vec<Vec<u8>>, ended: watch::Receiver<bool>) -> Body {
        if self.truncated {
            pieces = cut(pieces);
        } else if self.delay.is_some() && pieces.len() == 1 {
            // A drip has to have drops.
            pieces = pieces.concat().chunks(16).map(<[u8]>::to_vec).collect();
        }
        if self.every_byte {
            pieces = pieces.concat().into_iter().map(|byte| vec![byte]).collect();
        }
        let end = self.truncated.then(|| Err(std::io::Error::other("the answer was cut off")));
        let pieces = pieces.into_iter().map(|piece| Ok(Bytes::from(piece))).chain(end);
        Body::from_stream(paced(pieces, self.delay, ended))
    }
}

/// Each piece is on its way before the next one comes; a server that ends waits for none.
fn paced(
    pieces: impl Iterator<Item = std::io::Result<Bytes>> + Send + 'static,
    delay: Option<Duration>,
    ended: watch::Receiver<bool>,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    futures::stream::iter(pieces).then(move |piece| {
        let mut ended = ended.clone();
        async move {
            // Who is asked again later sends what it has.
            tokio::task::yield_now().await;
            if let Some(delay) = delay {
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    _ = ended.wait_for(|ended| *ended) => return Err(std::io::Error::other("the server has ended")),
                }
            }
            piece
        }
    })
}

/// The first part of it, ending within a piece.
fn cut(pieces: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let whole: usize = pieces.iter().map(Vec::len).sum();
    let mut left = whole * 2 / 3;
    let mut kept = Vec::new();
    for mut piece in pieces {
        piece.truncate(left);
        left -= piece.len();
        kept.push(piece);
    }
    kept.retain(|piece| !piece.is_empty());
    kept
}

/// Fields that nobody knows, in every object but those that a model made.
fn strange(provider: Provider, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                // Within unions, AWS allows for nothing beside the one that is meant.
                let is_open = provider != Provider::Bedrock || matches!(name.as_str(), "usage" | "metrics");
                if is_open && !matches!(name.as_str(), "arguments" | "args" | "input") {
                    strange(provider, value);
                }
            }
            fields.insert("x_unheard_of".into(), json!({ "list": [1, null], "text": "✨" }));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strange(provider, item)),
        _ => {}
    }
}

/// An event that nobody knows: one of another name, or one that says nothing known where events have no names.
fn unknown(frames: &[Frame]) -> Option<Frame> {
    if frames.iter().any(|frame| frame.name.is_some()) {
        return Some(Frame::named("x_unheard_of", json!({ "type": "x_unheard_of", "text": "✨" })));
    }
    let mut json = frames.iter().find_map(|frame| match &frame.data {
        Data::Json(json) if json["choices"] != json!([]) => Some(json.clone()),
        _ => None,
    })?;
    if json["choices"].is_array() {
        json["choices"][0]["delta"] = json!({});
    }
    if json["message"].is_object() {
        json["message"] = json!({ "role": "assistant", "content": "" });
    }
    if json["candidates"].is_array() {
        json = json!({ "modelVersion": json["modelVersion"], "responseId": json["responseId"] });
    }
    Some(Frame::plain(json))
}

/// What a provider sends so that a connection is not thought dead.
fn keep_alive(provider: Provider, framing: Framing) -> Vec<Frame> {
    match (provider, framing) {
        (Provider::Anthropic, _) => vec![Frame::named("ping", json!({ "type": "ping" }))],
        (Provider::OpenRouter, Framing::Events) => vec![Frame::text(": OPENROUTER PROCESSING")],
        (_, Framing::Events) => vec![Frame::text(": keep-alive")],
        // There are no comments in these.
        (_, Framing::Lines | Framing::List | Framing::Binary) => Vec::new(),
    }
}
