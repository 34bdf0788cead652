//! Secrets in bodies: a body of a run that has placeholders is held until it is whole, filled, and sent with its new length. One that is too
//! long for that is streamed on, watched, and broken off before a placeholder leaves.

use super::exchange::Refused;
use super::outgoing::{Outgoing, Refusal};
use crate::calls::Shared;
use crate::placeholder::Watch;
use crate::scrub::Needles;
use crate::secrets::{Filled, RequestHead};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use wasmtime_wasi_http::Error;

/// Most bytes of a body that are held. A secret stands in a form or in a document of some kilobytes; what is longer is a file.
const HELD_BYTES: usize = 1 << 20;

/// A body that may leave.
pub(super) struct Ready {
    pub(super) body: reqwest::Body,
    /// Its length, where secrets changed it.
    pub(super) length: Option<u64>,
    /// What must not be seen in the answer.
    pub(super) hidden: Needles,
}

/// A body as it is, in a run without placeholders.
pub(super) fn untouched(body: Outgoing) -> Ready {
    Ready { body: reqwest::Body::wrap(body), length: None, hidden: Needles::default() }
}

/// A body with its secrets.
pub(super) async fn filled(shared: &Arc<Shared>, head: &RequestHead, mut body: Outgoing) -> Result<Ready, Refused> {
    let refusal = body.refusal();
    let (mut held, mut trailers) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refused::silently(refusal.take().unwrap_or(error)))?;
        match frame.into_data() {
            Ok(data) => held.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
        if held.len() > HELD_BYTES {
            let late = Late::new(shared.clone(), head.clone(), held.freeze(), body, refusal);
            return Ok(Ready { body: reqwest::Body::wrap(late), length: None, hidden: Needles::default() });
        }
    }
    let held = held.freeze();
    let found = shared.services.secrets().substitute_body(head, held.clone()).await.map_err(Refused::by_grants)?;
    let (data, length, hidden) = match found {
        None => (held, None, Needles::default()),
        Some(Filled { with, hidden }) => {
            let length = with.len() as u64;
            (with, Some(length), hidden)
        }
    };
    let body = match trailers {
        None => reqwest::Body::from(data),
        Some(trailers) => reqwest::Body::wrap(Whole { data: Some(data), trailers: Some(trailers) }),
    };
    Ok(Ready { body, length, hidden })
}

/// A held body with what came after it.
struct Whole {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let data = self.data.take().map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }
}

/// A body that is too long to be held.
struct Late {
    shared: Arc<Shared>,
    head: RequestHead,
    first: Option<Bytes>,
    rest: Outgoing,
    watch: Watch,
    refusal: Refusal,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl Late {
    fn new(shared: Arc<Shared>, head: RequestHead, first: Bytes, rest: Outgoing, refusal: Refusal) -> Self {
        let watch = Watch::default();
        Self { shared, head, first: Some(first), rest, watch, refusal, trailers: None, ended: false }
    }

    fn pass(&mut self, piece: &Bytes) -> Result<Bytes, Error> {
        self.watch.pass(piece).map_err(|placeholder| {
            let refused =
                self.shared.services.secrets().refuse_in_body(&self.head, &placeholder).unwrap_or_else(|| {
                    crate::services::HostError::bad_argument(
                        "a body that is too long to be held has a placeholder of another run in it",
                    )
                });
            self.shared.denied(&refused.message);
            self.refusal.set(Error::HttpRequestDenied);
            Error::HttpRequestDenied
        })
    }
}

impl Body for Late {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(this.pass(&first).map(Frame::data)));
        }
        while !this.ended {
            let Some(frame) = ready!(Pin::new(&mut this.rest).poll_frame(context)) else {
                this.ended = true;
                let rest = this.watch.rest();
                if !rest.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(rest))));
                }
                break;
            };
            match frame?.into_data() {
                Ok(data) => {
                    let passed = this.pass(&data)?;
                    if !passed.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(passed))));
                    }
                }
                Err(frame) => this.trailers = frame.into_trailers().ok(),
            }
        }
        Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}
