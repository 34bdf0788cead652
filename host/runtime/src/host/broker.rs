//! `sluice:llm/broker`: the way to any model provider. Which component that is, and with which grants it runs, the server decides.

use crate::bindings::sluice::llm::broker;
use crate::calls::Opaque;
use crate::failure::Failure;
use crate::grants::Need;
use crate::services::{Answer, HostError};
use crate::state::State;
use crate::tape::Call;
use wasmtime::component::Resource;

const fn call(function: &'static str) -> Call {
    Call::new("sluice:llm/broker", function)
}

/// An answer on its way. Dropping it ends the provider's run.
pub struct Pending(Box<dyn Answer>);

fn told(failure: Failure) -> broker::Failure {
    broker::Failure {
        code: failure.code,
        message: failure.message,
        retryable: failure.retryable,
        details: failure.details,
    }
}

impl broker::Host for State {
    async fn chat(
        &mut self,
        provider: String,
        configuration: String,
        request: String,
    ) -> wasmtime::Result<Result<Resource<Pending>, broker::Failure>> {
        let shared = self.shared.clone();
        let arguments = [provider.as_bytes(), configuration.as_bytes(), request.as_bytes()];
        let work =
            async { Ok(Opaque(shared.services.chat(provider.clone(), configuration.clone(), request.clone()).await)) };
        let answer = shared.perform(call("chat"), &arguments, Need::Model(&provider), work).await;
        match answer.map_err(Failure::denied).and_then(|Opaque(answer)| answer) {
            Ok(answer) => Ok(Ok(self.table.push(Pending(answer))?)),
            Err(failure) => Ok(Err(told(failure))),
        }
    }
}

impl broker::HostAnswer for State {
    async fn next(&mut self, this: Resource<Pending>) -> wasmtime::Result<Option<String>> {
        let shared = self.shared.clone();
        let pending = self.table.get_mut(&this)?;
        let work = async { Ok(pending.0.next().await) };
        Ok(shared.perform(call("answer.next"), &[], Need::Nothing, work).await.unwrap_or(None))
    }

    async fn finish(&mut self, this: Resource<Pending>) -> wasmtime::Result<Result<String, broker::Failure>> {
        let shared = self.shared.clone();
        let pending = self.table.get_mut(&this)?;
        let mut failed = None;
        let work = async {
            pending.0.finish().await.map_err(|failure| {
                let error = HostError::new(&failure.code, failure.message.clone());
                failed = Some(failure);
                error
            })
        };
        let answer = shared.perform(call("answer.finish"), &[], Need::Nothing, work).await;
        Ok(answer.map_err(|error| told(failed.unwrap_or_else(|| Failure::denied(error)))))
    }

    async fn drop(&mut self, this: Resource<Pending>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
