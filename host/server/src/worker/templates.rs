//! Templates that guests hand over: rendered with variables of their own in front of what a run or a poll sees, and with placeholders where
//! secrets come out.
//!
//! A template that the flow's author wrote into the task may ask for all that a flow may. One that the plugin made of itself asks for no more
//! than the plugin could: else rendering were the way around every grant.

use std::collections::BTreeSet;
use std::sync::Arc;

use expr::{Call, Layered, Map, Scope, Value};
use model::ids::{ExecutionId, FlowKey};
use runtime::{Access, Grants, HostError, Need};

use super::reach::Reach;
use super::secrets::RunSecrets;
use crate::node::Node;
use crate::readable::NAMESPACE_SCHEME;

/// Bytes of the answers of one `render-each`: they wait in memory together.
const RENDERED_MAX_BYTES: usize = 16 << 20;

/// What templates of one run, or of one poll, are rendered with.
pub(super) struct Templates<'a> {
    pub node: &'a Node,
    pub secrets: &'a RunSecrets,
    pub back: &'a dyn Scope,
    pub flow: &'a FlowKey,
    pub execution: Option<&'a ExecutionId>,
    pub author: &'a Author,
}

/// Whose word a template is, and what a plugin's own may ask for.
pub(super) struct Author {
    grants: Arc<Grants>,
    reach: Reach,
    /// The texts of the task as the flow has them, before anything is rendered.
    written: BTreeSet<String>,
}

impl Author {
    /// `written`: the properties as they stand in the flow.
    pub fn new(grants: Arc<Grants>, reach: Reach, written: &Map) -> Self {
        let mut texts = BTreeSet::new();
        written.values().for_each(|value| collect(value, &mut texts));
        Self { grants, reach, written: texts }
    }

    fn is_flow(&self, template: &str) -> bool {
        self.written.contains(template)
    }

    /// Whether a template of the plugin's own may make a call.
    fn may(&self, call: &Call) -> Result<(), HostError> {
        let text = |name: &str| call.arg_text(name).unwrap_or_default();
        match &*call.function {
            "secret" => {
                self.grants.allow(&Need::Secret(&text("key").to_ascii_uppercase()))?;
                self.may_read(call.arg_text("namespace"))
            }
            "kv" => {
                self.grants.allow(&Need::Kv(Access::Read, &text("key")))?;
                self.may_read(call.arg_text("namespace"))
            }
            "read" | "fileSize" | "fileExists" | "isFileEmpty" | "fileURI" => {
                self.grants.allow(&Need::Files(Access::Read))?;
                let path = text("path");
                let named = path.strip_prefix(NAMESPACE_SCHEME).and_then(|rest| rest.split('/').next());
                self.may_read(named.filter(|name| !name.is_empty()).map(str::to_owned))?;
                self.may_read(call.arg_text("namespace"))
            }
            _ => Ok(()),
        }
    }

    fn may_read(&self, namespace: Option<String>) -> Result<(), HostError> {
        match namespace.filter(|name| !self.reach.may_read(name)) {
            Some(name) => Err(super::services::refused(&name)),
            None => Ok(()),
        }
    }
}

fn collect(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::Text(_) => texts.extend(value.as_str().map(str::to_owned)),
        Value::List(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Map(entries) => entries.values().for_each(|item| collect(item, texts)),
        _ => {}
    }
}

impl Templates<'_> {
    /// One template. `variables`: a JSON or ION object.
    pub async fn render(&self, template: &str, variables: &str) -> Result<String, HostError> {
        let variables = Value::parse_json(variables)
            .or_else(|_| Value::parse_ion(variables))
            .map_err(|error| HostError::bad_argument(format!("the variables are neither JSON nor ION: {error}")))?;
        let empty = Map::new();
        let scope = Layered { front: variables.as_map().unwrap_or(&empty), back: self.back };
        let value = Value::from(template);
        let may = |call: &Call| self.author.may(call);
        let rendered = match self.author.is_flow(template) {
            true => self.node.render_in(&scope, &value, false, self.flow, self.execution).await,
            false => self.node.render_asking(&scope, &value, self.flow, self.execution, &may).await,
        };
        let rendered = rendered.map_err(|failure| HostError::new(&failure.code, failure.message))?;
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
