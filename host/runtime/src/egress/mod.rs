//! The one way out of the sandbox.

pub mod address;

use crate::calls::Shared;
use crate::services::HostError;
use std::sync::Arc;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

#[derive(Default)]
pub(crate) struct Clients;

impl Clients {
    pub(crate) fn new() -> Self {
        Self
    }
}

pub(crate) struct Hooks {
    shared: Arc<Shared>,
}

impl Hooks {
    pub(crate) fn new(shared: Arc<Shared>, _: Arc<Clients>) -> Self {
        Self { shared }
    }

    pub(crate) async fn options(&mut self, _: &str) -> Result<String, HostError> {
        Err(HostError::not_granted("requests are not granted to this run"))
    }
}

type Sent = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        self.shared.denied("requests are not granted to this run");
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}
