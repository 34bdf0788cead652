//! Templates that guests hand over: rendered with variables of their own in front of what a run or a poll sees, and with placeholders where
//! secrets come out.

use expr::{Layered, Map, Scope, Value};
use model::ids::{ExecutionId, FlowKey};
use runtime::HostError;

use super::secrets::RunSecrets;
use crate::node::Node;

/// Bytes of the answers of one `render-each`: they wait in memory together.
const RENDERED_MAX_BYTES: usize = 16 << 20;

/// What templates of one run, or of one poll, are rendered with.
pub(super) struct Templates<'a> {
    pub node: &'a Node,
    pub secrets: &'a RunSecrets,
    pub back: &'a dyn Scope,
    pub flow: &'a FlowKey,
    pub execution: Option<&'a ExecutionId>,
}

impl Templates<'_> {
    /// One template. `variables`: a JSON or ION object.
    pub async fn render(&self, template: &str, variables: &str) -> Result<String, HostError> {
        let variables = Value::parse_json(variables)
            .or_else(|_| Value::parse_ion(variables))
            .map_err(|error| HostError::bad_argument(format!("the variables are neither JSON nor ION: {error}")))?;
        let empty = Map::new();
        let scope = Layered { front: variables.as_map().unwrap_or(&empty), back: self.back };
        let rendered = self
            .node
            .render_in(&scope, &Value::from(template), false, self.flow, self.execution)
            .await
            .map_err(|failure| HostError::new(&failure.code, failure.message))?;
        let concealed = self.secrets.conceal(&rendered);
        self.secrets.remember_written(&concealed, &[]);
        Ok(concealed.as_str().unwrap_or_default().to_owned())
    }

    /// One template for each of the variables.
    pub async fn render_each(
        &self,
        template: &str,
        variables: &[String],
    ) -> Result<Vec<Result<String, HostError>>, HostError> {
        let mut answers = Vec::with_capacity(variables.len());
        let mut size_bytes = 0;
        for one in variables {
            let answer = self.render(template, one).await;
            size_bytes += answer.as_ref().map_or(0, String::len);
            if size_bytes > RENDERED_MAX_BYTES {
                return Err(HostError::limit(format!(
                    "the renderings of one call have more than {RENDERED_MAX_BYTES} bytes; hint: ask for fewer at once"
                )));
            }
            answers.push(answer);
        }
        Ok(answers)
    }
}
