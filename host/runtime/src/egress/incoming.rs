//! A response's body: streamed piece by piece, counted, limited, scrubbed of the secrets its request carried, digested for the tape as
//! the guest sees it. Never held whole.

use crate::calls::Shared;
use crate::scrub::{Needles, Scrubber};
use crate::tape::Sequence;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use sha2::{Digest as _, Sha256};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

/// A response's body.
pub(super) struct Incoming {
    body: reqwest::Body,
    shared: Arc<Shared>,
    sequence: Sequence,
    received: u64,
    digest: Sha256,
    idle: Duration,
    until: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Where the request carried a secret.
    scrubber: Option<Scrubber>,
    hidden: Needles,
    /// What comes behind the last held-back bytes.
    trailers: Option<HeaderMap>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Incoming {
    pub(super) fn new(
        body: reqwest::Body,
        shared: Arc<Shared>,
        sequence: Sequence,
        permit: Option<OwnedSemaphorePermit>,
        idle: Duration,
        end: Option<Instant>,
        hidden: Needles,
    ) -> Self {
        Self {
            body,
            shared,
            sequence,
            received: 0,
            digest: Sha256::new(),
            idle,
            until: end,
            sleep: None,
            scrubber: (!hidden.is_empty()).then(|| Scrubber::new(hidden.clone())),
            hidden,
            trailers: None,
            _permit: permit,
        }
    }

    /// Pending, unless nothing came for too long.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let (idle, end) = (self.idle, self.until);
        let sleep = self.sleep.get_or_insert_with(|| {
            let until = Instant::now() + idle;
            Box::pin(tokio::time::sleep_until(end.map_or(until, |end| end.min(until))))
        });
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    /// What the guest sees is what the tape has.
    fn seen(&mut self, bytes: Bytes) -> Frame<Bytes> {
        self.digest.update(&bytes);
        Frame::data(bytes)
    }

    /// The end of the data: what was held back, then the trailers.
    fn end(&mut self) -> Option<Frame<Bytes>> {
        let rest = self.scrubber.take().map(|mut scrubber| scrubber.rest()).unwrap_or_default();
        if !rest.is_empty() {
            return Some(self.seen(rest));
        }
        self.trailers.take().map(Frame::trailers)
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            let frame = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending => return self.wait(context),
                Poll::Ready(None) => return Poll::Ready(self.end().map(Ok)),
                Poll::Ready(Some(Err(cause))) if cause.is_timeout() => {
                    return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(Error::HttpResponseIncomplete))),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            self.sleep = None;
            let bytes = match frame.into_data() {
                Ok(bytes) => bytes,
                Err(frame) => {
                    let mut trailers = frame.into_trailers().unwrap_or_default();
                    super::exchange::scrub_headers(&mut trailers, &self.hidden);
                    self.trailers = Some(trailers);
                    return Poll::Ready(self.end().map(Ok));
                }
            };
            self.received += bytes.len() as u64;
            self.shared.marks.http_bytes_in.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            let most = self.shared.limits.http_response_bytes;
            if self.received > most {
                self.shared.denied(&format!("a response body is over the limit of {most} bytes"));
                return Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(most)))));
            }
            let bytes = match &mut self.scrubber {
                None => bytes,
                Some(scrubber) => scrubber.pass(&bytes),
            };
            // All of a piece may be held back: then the next one is asked for.
            if !bytes.is_empty() || self.scrubber.is_none() {
                return Poll::Ready(Some(Ok(self.seen(bytes))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.scrubber.is_none() && self.trailers.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.scrubber.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.shared.tape.body(self.sequence, b"response", &self.digest.clone().finalize());
    }
}
