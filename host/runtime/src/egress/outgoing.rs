//! A request's body as the guest writes it: streamed, counted, limited, digested for the tape. Secrets are put in behind it, so that
//! neither the digest nor the limit ever sees one.

use crate::calls::Shared;
use crate::tape::Sequence;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use sha2::{Digest as _, Sha256};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use wasmtime_wasi_http::{Error, WasiBody};

/// Why a body on its way out was stopped, for whoever only sees that it broke.
#[derive(Clone, Default)]
pub(super) struct Refusal(Arc<Mutex<Option<Error>>>);

impl Refusal {
    pub(super) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn set(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// A request's body. The mutex is never locked: it makes a body that may not be shared one that may.
pub(super) struct Outgoing {
    body: Mutex<WasiBody>,
    shared: Arc<Shared>,
    sequence: Sequence,
    sent: u64,
    digest: Sha256,
    refusal: Refusal,
}

impl Outgoing {
    pub(super) fn new(body: WasiBody, shared: Arc<Shared>, sequence: Sequence) -> Self {
        Self { body: Mutex::new(body), shared, sequence, sent: 0, digest: Sha256::new(), refusal: Refusal::default() }
    }

    pub(super) fn refusal(&self) -> Refusal {
        self.refusal.clone()
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        match ready!(Pin::new(body).poll_frame(context)) {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    self.sent += bytes.len() as u64;
                    self.shared.marks.http_bytes_out.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    self.digest.update(bytes);
                }
                let most = self.shared.limits.http_request_bytes;
                if self.sent > most {
                    self.shared.denied(&format!("a request body is over the limit of {most} bytes"));
                    self.refusal.set(Error::HttpRequestBodySize(Some(most)));
                    return Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(most)))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                // A guest that drops its body unfinished, or writes more or less than it announced.
                self.refusal.set(Error::HttpProtocolError);
                Poll::Ready(Some(Err(error)))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.try_lock().is_ok_and(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.try_lock().map(|body| body.size_hint()).unwrap_or_default()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if self.sent > 0 {
            self.shared.tape.body(self.sequence, b"request", &self.digest.clone().finalize());
        }
    }
}
