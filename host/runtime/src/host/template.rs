//! `sluice:host/template`: rendering during the run, answered by the server.

use super::answer;
use crate::bindings::sluice::host::{errors::Error, template};
use crate::grants::Need;
use crate::state::State;
use crate::tape::Call;

const RENDER: Call = Call::new("sluice:host/template", "render");

impl template::Host for State {
    async fn render(&mut self, template: String, variables: String) -> wasmtime::Result<Result<String, Error>> {
        let shared = self.shared.clone();
        let work = shared.services.render(template.clone(), variables.clone());
        answer(shared.perform(RENDER, &[template.as_bytes(), variables.as_bytes()], Need::Template, work).await)
    }
}
