//! `sluice:host/secrets`: secrets a plugin uses without holding them, answered by the server.

use super::answer;
use crate::bindings::sluice::host::{errors::Error, secrets};
use crate::calls::Shared;
use crate::grants::Need;
use crate::state::State;
use crate::tape::Call;

const fn call(function: &'static str) -> Call {
    Call::new("sluice:host/secrets", function)
}

/// What the guest was given a placeholder of, it may use: nobody else knows that placeholder.
fn need<'a>(shared: &Shared, name: &'a str) -> Need<'a> {
    if shared.services.secrets().gave(name) { Need::Nothing } else { Need::Secret(name) }
}

impl secrets::Host for State {
    async fn handle(&mut self, name: String) -> wasmtime::Result<Result<String, Error>> {
        let shared = self.shared.clone();
        let work = shared.services.secrets().handle(name.clone());
        answer(shared.perform(call("handle"), &[name.as_bytes()], Need::Secret(&name), work).await)
    }

    async fn sign(
        &mut self,
        name: String,
        algorithm: String,
        parameters: String,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let shared = self.shared.clone();
        let arguments = [name.as_bytes(), algorithm.as_bytes(), parameters.as_bytes(), &data];
        let work = shared.services.secrets().sign(name.clone(), algorithm.clone(), parameters.clone(), data.clone());
        answer(shared.perform(call("sign"), &arguments, need(&shared, &name), work).await)
    }

    async fn field(&mut self, name: String, pointer: String) -> wasmtime::Result<Result<String, Error>> {
        let shared = self.shared.clone();
        let work = shared.services.secrets().field(name.clone(), pointer.clone());
        answer(shared.perform(call("field"), &[name.as_bytes(), pointer.as_bytes()], need(&shared, &name), work).await)
    }
}
