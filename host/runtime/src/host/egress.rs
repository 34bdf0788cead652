//! `sluice:host/egress`: options for requests. A token is worth something in this run only.

use super::answer;
use crate::bindings::sluice::host::{egress, errors::Error};
use crate::grants::Need;
use crate::state::State;
use crate::tape::Call;

const OPTIONS: Call = Call::new("sluice:host/egress", "options");

impl egress::Host for State {
    async fn options(&mut self, options: String) -> wasmtime::Result<Result<String, Error>> {
        let shared = self.shared.clone();
        // `insecure` and `proxy` ask the granter on their own, inside.
        let work = self.egress.options(&options);
        answer(shared.perform(OPTIONS, &[options.as_bytes()], Need::Nothing, work).await)
    }
}
