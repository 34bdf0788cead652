//! `sluice:host/template`: rendering during the run, answered by the server.

use super::answer;
use crate::bindings::sluice::host::{errors::Error, template};
use crate::calls::Recorded;
use crate::grants::Need;
use crate::services::HostError;
use crate::state::State;
use crate::tape::Call;

const RENDER: Call = Call::new("sluice:host/template", "render");
const RENDER_EACH: Call = Call::new("sluice:host/template", "render-each");
/// Most renderings of one call: an answer of each waits in memory.
const EACH_MAX: usize = 1_000;

/// The answers of `render-each`: each as its mark and its text.
struct Each(Vec<Result<String, HostError>>);

impl Recorded for Each {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        let parts = self.0.iter().flat_map(|answer| match answer {
            Ok(text) => [b"+".as_slice(), text.as_bytes()],
            Err(error) => [b"-".as_slice(), error.message.as_bytes()],
        });
        take(&parts.collect::<Vec<_>>())
    }
}

impl template::Host for State {
    async fn render(&mut self, template: String, variables: String) -> wasmtime::Result<Result<String, Error>> {
        let shared = self.shared.clone();
        let work = shared.services.render(template.clone(), variables.clone());
        answer(shared.perform(RENDER, &[template.as_bytes(), variables.as_bytes()], Need::Template, work).await)
    }

    async fn render_each(
        &mut self,
        template: String,
        variables: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Result<String, Error>>, Error>> {
        let shared = self.shared.clone();
        let mut arguments = vec![template.as_bytes()];
        arguments.extend(variables.iter().map(String::as_bytes));
        let work = async {
            if variables.len() > EACH_MAX {
                let message = format!("{} renderings in one call, at most {EACH_MAX} are done", variables.len());
                return Err(HostError::limit(message));
            }
            shared.services.render_each(template.clone(), variables.clone()).await.map(Each)
        };
        let answers = shared.perform(RENDER_EACH, &arguments, Need::Template, work).await;
        answer(answers.map(|Each(answers)| answers.into_iter().map(|one| one.map_err(Into::into)).collect()))
    }
}
