//! `sluice:host/reveal`: secrets in the clear, for the few that cannot do without. The value never reaches the tape.

use crate::bindings::sluice::host::{errors::Error, reveal};
use crate::calls::Opaque;
use crate::grants::Need;
use crate::state::State;
use crate::tape::Call;

const REVEAL: Call = Call::new("sluice:host/reveal", "reveal");

impl reveal::Host for State {
    async fn reveal(&mut self, name: String) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let shared = self.shared.clone();
        let work = async { shared.services.secrets().reveal(name.clone()).await.map(Opaque) };
        let answer = shared.perform(REVEAL, &[name.as_bytes()], Need::Reveal(&name), work).await;
        Ok(answer.map(|Opaque(value)| value).map_err(Into::into))
    }
}
