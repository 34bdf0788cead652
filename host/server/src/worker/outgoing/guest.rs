//! What the runtime asks of a run's secrets, for its guest and on the way out: one answer for tasks and polls.

use bytes::Bytes;
use runtime::{Filled, HostError, RequestHead, Secrets, Soon};

use super::Outgoing;

impl Secrets for Outgoing {
    fn handle<'a>(&'a self, name: String) -> Soon<'a, Result<String, HostError>> {
        Box::pin(async move { Outgoing::handle(self, &name) })
    }

    fn sign<'a>(
        &'a self,
        name: String,
        algorithm: String,
        parameters: String,
        data: Vec<u8>,
    ) -> Soon<'a, Result<Vec<u8>, HostError>> {
        Box::pin(async move { Outgoing::sign(self, &name, &algorithm, &parameters, &data) })
    }

    fn field<'a>(&'a self, name: String, pointer: String) -> Soon<'a, Result<String, HostError>> {
        Box::pin(async move { Outgoing::field(self, &name, &pointer) })
    }

    fn reveal<'a>(&'a self, name: String) -> Soon<'a, Result<Vec<u8>, HostError>> {
        Box::pin(async move { Outgoing::reveal(self, &name).await })
    }

    fn resolve_url<'a>(&'a self, head: RequestHead) -> Soon<'a, Result<RequestHead, HostError>> {
        Box::pin(async move { self.resolve(head) })
    }

    fn substitute<'a>(&'a self, head: RequestHead) -> Soon<'a, Result<Filled<RequestHead>, HostError>> {
        Box::pin(async move { Outgoing::substitute(self, head) })
    }

    fn looks_at_bodies(&self) -> bool {
        self.secrets().any()
    }

    fn substitute_body<'a>(
        &'a self,
        head: &'a RequestHead,
        body: Bytes,
    ) -> Soon<'a, Result<Option<Filled<Bytes>>, HostError>> {
        Box::pin(async move { Outgoing::substitute_body(self, head, &body) })
    }

    fn refuse_in_body(&self, head: &RequestHead, placeholder: &str) -> Option<HostError> {
        Outgoing::refuse_in_body(self, head, placeholder)
    }

    fn substitute_text<'a>(
        &'a self,
        text: String,
        proxy: Option<&'a url::Url>,
    ) -> Soon<'a, Result<Filled<String>, HostError>> {
        Box::pin(async move { Outgoing::substitute_text(self, &text, proxy) })
    }

    fn gave(&self, placeholder: &str) -> bool {
        self.secrets().gave(placeholder)
    }
}
