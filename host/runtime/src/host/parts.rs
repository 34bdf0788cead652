//! `sluice:llm/parts`: where a provider hands over the parts of a streamed answer.

use crate::bindings::sluice::llm::parts;
use crate::grants::Need;
use crate::state::State;
use crate::tape::Call;

const EMIT: Call = Call::new("sluice:llm/parts", "emit");

impl parts::Host for State {
    async fn emit(&mut self, part: String) -> wasmtime::Result<bool> {
        let shared = self.shared.clone();
        let work = async { Ok(shared.services.emit_part(part.clone()).await) };
        Ok(shared.perform(EMIT, &[part.as_bytes()], Need::Nothing, work).await.unwrap_or(false))
    }
}
