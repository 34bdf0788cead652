//! `sluice:host/context`: what a plugin may know of its run. Facts only; nothing here has an effect.

use crate::bindings::sluice::host::context;
use crate::state::State;
use crate::tape::Call;

const fn call(function: &'static str) -> Call {
    Call::new("sluice:host/context", function)
}

impl context::Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let facts = &self.shared.facts;
        Ok(self.shared.note(call("get"), &[key.as_bytes()], || facts.keys.get(&key).cloned()))
    }

    fn attempt(&mut self) -> wasmtime::Result<u32> {
        Ok(self.shared.note(call("attempt"), &[], || self.shared.facts.attempt))
    }

    fn idempotency_key(&mut self) -> wasmtime::Result<String> {
        Ok(self.shared.note(call("idempotency-key"), &[], || self.shared.facts.idempotency_key.clone()))
    }

    fn remaining_ms(&mut self) -> wasmtime::Result<Option<u64>> {
        Ok(self.shared.note(call("remaining-ms"), &[], || {
            self.shared.remaining().map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
        }))
    }

    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.shared.note(call("cancelled"), &[], || self.shared.cancel.is_cancelled()))
    }
}
