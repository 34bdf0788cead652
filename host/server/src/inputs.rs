//! Inputs of an execution: files stored, expressions rendered, values typed. All problems at once, and nothing stored if there is one
//! but the files, which no row then names.

use std::sync::Arc;

use expr::{Layered, Map, Value};
use model::ids::ExecutionId;
use model::input::InputType;
use model::inputs::{Missing, Purpose, Resolve, Step};
use store::rows;

use crate::error::{Error, Issue};
use crate::executions::Given;
use crate::flows::SavedFlow;
use crate::node::Node;

/// The typed inputs of an execution of a flow.
pub(crate) async fn resolve(
    node: &Arc<Node>,
    saved: &SavedFlow,
    id: &ExecutionId,
    given: Vec<(String, Given)>,
    missing: Missing,
) -> Result<Map, Error> {
    let flow = &saved.flow;
    let mut values = Map::new();
    let mut issues = Vec::new();
    for (name, given) in given {
        let declared = flow.inputs.iter().find(|input| input.id == name);
        let value = match given {
            Given::Text(text) => Value::from(text),
            Given::Value(value) => value,
            Given::File { name: file, bytes } => match declared.map(|input| input.kind) {
                Some(InputType::File) | None => Value::from(store_file(node, saved, id, &name, &file, bytes).await?),
                Some(_) => match std::str::from_utf8(&bytes) {
                    Ok(text) => Value::from(text),
                    Err(_) => {
                        issues.push(issue(&name, "the file is not text, and the input is no FILE".to_owned()));
                        continue;
                    }
                },
            },
        };
        if values.insert(name.as_str().into(), value).is_some() {
            issues.push(issue(&name, "it is given twice".to_owned()));
        }
    }
    let mut resolving = Resolve::new(&flow.inputs, values).missing(missing);
    let outcome = loop {
        match resolving.step() {
            Step::Done(outcome) => break outcome,
            Step::Render(asked) => {
                let mut front = Map::new();
                front.insert("inputs".into(), Value::from(asked.visible));
                let back = FlowScope { node, flow };
                let scope = Layered { front: &front, back: &back };
                let typed = matches!(asked.purpose, Purpose::Choices | Purpose::Default | Purpose::Condition);
                let answer = node.render_in(&scope, &asked.template.0, typed, &flow.key, None).await;
                resolving.answer(answer.map_err(|failure| failure.message));
            }
        }
    };
    for name in &outcome.undeclared {
        tracing::warn!(flow = %flow.key, input = %name, "an input that is not declared is ignored");
    }
    let values = match outcome.values() {
        Ok(values) if issues.is_empty() => values,
        Ok(_) => return Err(Error::inputs(issues)),
        Err(errors) => {
            issues.extend(errors.into_iter().map(|error| issue(&error.input, error.message)));
            return Err(Error::inputs(issues));
        }
    };
    Ok(seal(flow, values))
}

/// SECRET inputs are secrets from here on: whatever is made of them is masked.
fn seal(flow: &model::flow::Flow, mut values: Map) -> Map {
    for input in flow.inputs.iter().filter(|input| input.kind == InputType::Secret) {
        if let Some(value) = values.get_mut(input.id.as_str())
            && let Some(clear) = value.as_str().map(str::to_owned)
        {
            *value = Value::Text(expr::Text::secret(format!("inputs.{}", input.id), clear));
        }
    }
    values
}

fn issue(input: &str, message: String) -> Issue {
    Issue {
        path: format!("inputs.{input}"),
        line: None,
        code: "inputs.value".to_owned(),
        message: format!("input `{input}`: {message}"),
        hint: Some(format!("give `{input}` a value that fits its declaration in the flow's `inputs`")),
    }
}

/// Keeps an uploaded file as `kestra:///<namespace>/<flow>/executions/<id>/inputs/<input>/<file>`.
async fn store_file(
    node: &Arc<Node>,
    saved: &SavedFlow,
    id: &ExecutionId,
    input: &str,
    file: &str,
    bytes: bytes::Bytes,
) -> Result<String, Error> {
    let key = &saved.flow.key;
    let name: String = file.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    let name = if name.chars().all(|c| c == '.') { "file".to_owned() } else { name };
    let folder = key.namespace.as_str().replace('.', "/");
    let path = format!("{folder}/{}/executions/{id}/inputs/{input}/{name}", key.id);
    let mut blob = node.store.write_blob(node.now()).await?;
    blob.write(bytes).await?;
    let content = blob.finish().await?;
    let now = node.now();
    let mut batch = store::Batch::new();
    batch.put(rows::File {
        path: format!("{}/{path}", key.tenant).into(),
        content,
        created: now,
        updated: now,
        metadata: std::collections::BTreeMap::new(),
    });
    node.store.commit(batch).await?;
    Ok(format!("kestra:///{path}"))
}

/// What an expression sees before there is an execution.
pub(crate) struct FlowScope<'a> {
    pub node: &'a Node,
    pub flow: &'a model::flow::Flow,
}

impl expr::Scope for FlowScope<'_> {
    fn lookup(&self, name: &str) -> Option<Value> {
        let flow = self.flow;
        match name {
            "flow" => Some(Value::map([
                ("id", Value::from(flow.key.id.as_str())),
                ("namespace", Value::from(flow.key.namespace.as_str())),
                ("revision", Value::Int(flow.revision.into())),
                ("tenantId", Value::from(flow.key.tenant.as_ref())),
            ])),
            "vars" => Some(Value::from(flow.variables.clone())),
            "labels" => {
                let labels = flow.labels.iter().map(|label| (label.key.as_str(), Value::from(label.value.as_str())));
                Some(Value::map(labels))
            }
            _ => self.node.shell_variable(name),
        }
    }

    fn names(&self) -> Vec<Arc<str>> {
        ["flow", "vars", "labels", "envs", "globals"].map(Arc::from).to_vec()
    }
}
