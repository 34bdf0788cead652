//! Secrets of one run: what a guest may ask of them, and what is done with them on the way out. Whoever answers knows the values; this crate
//! never does.

use crate::scrub::Needles;
use crate::services::{HostError, Soon, absent};
use bytes::Bytes;

/// The head of an outgoing request at the point where secrets are put in.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The method.
    pub method: http::Method,
    /// The whole URL.
    pub url: url::Url,
    /// The headers the guest set.
    pub headers: http::HeaderMap,
    /// The placeholder that stood for the whole URL, if one did.
    pub placeholder: Option<String>,
}

/// What a secret was put into, and what must not be seen in the answer for that.
pub struct Filled<T> {
    /// The head or the body.
    pub with: T,
    /// Every spelling of every secret in it.
    pub hidden: Needles,
}

/// The secrets of one run. Every default has none.
pub trait Secrets: Send + Sync {
    /// `secrets.handle`: a placeholder for this run.
    fn handle<'a>(&'a self, name: String) -> Soon<'a, Result<String, HostError>> {
        let _ = name;
        absent("secrets")
    }
    /// `secrets.sign`.
    fn sign<'a>(
        &'a self,
        name: String,
        algorithm: String,
        parameters: String,
        data: Vec<u8>,
    ) -> Soon<'a, Result<Vec<u8>, HostError>> {
        let _ = (name, algorithm, parameters, data);
        absent("secrets")
    }
    /// `secrets.field`.
    fn field<'a>(&'a self, name: String, pointer: String) -> Soon<'a, Result<String, HostError>> {
        let _ = (name, pointer);
        absent("secrets")
    }
    /// `reveal.reveal`; audited by the implementation.
    fn reveal<'a>(&'a self, name: String) -> Soon<'a, Result<Vec<u8>, HostError>> {
        let _ = name;
        absent("secrets in the clear")
    }
    /// Whole-URL placeholders, before the grants are asked.
    fn resolve_url<'a>(&'a self, head: RequestHead) -> Soon<'a, Result<RequestHead, HostError>> {
        Box::pin(async move { Ok(head) })
    }
    /// Puts secrets into a request that the grants allowed. The host must not change: it is checked again.
    fn substitute<'a>(&'a self, head: RequestHead) -> Soon<'a, Result<Filled<RequestHead>, HostError>> {
        Box::pin(async move { Ok(Filled { with: head, hidden: Needles::default() }) })
    }
    /// Whether placeholders may be in bodies of this run: if none was handed out, bodies are streamed unseen.
    fn looks_at_bodies(&self) -> bool {
        false
    }
    /// Puts secrets into a whole body; `None`: there are none in it.
    fn substitute_body<'a>(
        &'a self,
        head: &'a RequestHead,
        body: Bytes,
    ) -> Soon<'a, Result<Option<Filled<Bytes>>, HostError>> {
        let _ = (head, body);
        Box::pin(async { Ok(None) })
    }
    /// A word of the shape of a placeholder came to light in a body that is too long to be held: the refusal, if it is one of this run.
    fn refuse_in_body(&self, head: &RequestHead, placeholder: &str) -> Option<HostError> {
        let _ = (head, placeholder);
        None
    }
    /// Whether the guest was given this placeholder: what it was given, it may use without a grant of its name.
    fn gave(&self, placeholder: &str) -> bool {
        let _ = placeholder;
        false
    }
    /// Puts secrets into texts of egress options: PEM, which goes nowhere, and credentials, which go to the `proxy`.
    fn substitute_text<'a>(
        &'a self,
        text: String,
        proxy: Option<&'a url::Url>,
    ) -> Soon<'a, Result<Filled<String>, HostError>> {
        let _ = proxy;
        Box::pin(async move { Ok(Filled { with: text, hidden: Needles::default() }) })
    }
}
