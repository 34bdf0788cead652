//! The host's side of `sluice:host` and `sluice:llm`, one file per interface. Each function says what it needs and leaves the asking to
//! the granter and the recording to the tape.

pub(crate) mod broker;
mod context;
mod egress;
pub(crate) mod files;
mod kv;
mod log;
mod objects;
mod parts;
pub(crate) mod process;
mod report;
mod reveal;
mod secrets;
mod template;

use crate::bindings::sluice::host::errors;
use crate::services::HostError;
use crate::state::State;

impl errors::Host for State {}

impl From<HostError> for errors::Error {
    fn from(error: HostError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

/// A host call's answer as the bindings want it: refusals are answers, not traps.
fn answer<T>(result: Result<T, HostError>) -> wasmtime::Result<Result<T, errors::Error>> {
    Ok(result.map_err(Into::into))
}
