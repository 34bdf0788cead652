//! Inputs of an execution: files stored, expressions rendered, values typed. All problems at once, and nothing stored if there is one
//! but the files, which no row then names.

use std::sync::Arc;

use expr::{Layered, Map, Scope, Value};
use model::ids::{ExecutionId, FlowKey};
use model::input::{Input, InputType};
use model::inputs::{Missing, Outcome, Purpose, Resolve, Step};
use store::rows;

use crate::error::{Error, Issue};
use crate::executions::Given;
use crate::node::Node;
use crate::readable::{SCHEME, folder_of};

/// What is asked for, by a flow or by a pause.
pub(crate) struct Asked<'a> {
    pub flow: &'a FlowKey,
    /// The execution that the values are for; `None`: they are only looked at, and no file is kept.
    pub execution: Option<&'a ExecutionId>,
    pub declared: &'a [Input],
    /// What defaults, conditions and choices see beside the inputs.
    pub scope: &'a dyn Scope,
    /// What becomes of what is required and not given.
    pub missing: Missing,
}

/// The typed values of what is asked for.
pub(crate) async fn resolve(node: &Arc<Node>, asked: Asked<'_>, given: Vec<(String, Given)>) -> Result<Map, Error> {
    let (outcome, mut issues) = typed(node, &asked, given).await?;
    let values = match outcome.values() {
        Ok(values) if issues.is_empty() => values,
        Ok(_) => return Err(Error::inputs(issues)),
        Err(errors) => {
            issues.extend(errors.into_iter().map(|error| issue(&error.input, error.message)));
            return Err(Error::inputs(issues));
        }
    };
    Ok(seal(node, asked.declared, values))
}

/// Every input with its value or what is wrong with it, and what is wrong with the request.
pub(crate) async fn typed(
    node: &Arc<Node>,
    asked: &Asked<'_>,
    given: Vec<(String, Given)>,
) -> Result<(Outcome, Vec<Issue>), Error> {
    let Asked { flow, declared, scope, .. } = *asked;
    let mut values = Map::new();
    let mut issues = Vec::new();
    for (name, given) in given {
        let input = declared.iter().find(|input| input.id == name);
        let value = match given {
            Given::Text(text) => Value::from(text),
            Given::Value(value) => value,
            Given::File { name: file, bytes } => match input.map(|input| input.kind) {
                Some(InputType::File) | None => Value::from(store_file(node, asked, &name, &file, bytes).await?),
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
    let mut resolving = Resolve::new(declared, values).missing(asked.missing);
    let outcome = loop {
        match resolving.step() {
            Step::Done(outcome) => break outcome,
            Step::Render(wanted) => {
                let mut front = Map::new();
                front.insert("inputs".into(), Value::from(wanted.visible));
                let scope = Layered { front: &front, back: scope };
                let typed = matches!(wanted.purpose, Purpose::Choices | Purpose::Default | Purpose::Condition);
                let answer = node.render_in(&scope, &wanted.template.0, typed, flow, None).await;
                resolving.answer(answer.map_err(|failure| failure.message));
            }
        }
    };
    for name in &outcome.undeclared {
        tracing::warn!(%flow, input = %name, "an input that is not declared is ignored");
    }
    Ok((outcome, issues))
}

/// SECRET inputs are secrets from here on: whatever is made of them is masked, and they are stored sealed.
fn seal(node: &Node, declared: &[Input], mut values: Map) -> Map {
    for input in declared.iter().filter(|input| input.kind == InputType::Secret) {
        if let Some(value) = values.get_mut(input.id.as_str())
            && let Some(clear) = value.as_str().map(str::to_owned)
        {
            *value = Value::Text(expr::Text::secret(node.config.sealer.seal(&clear, node.entropy.number()), clear));
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
    asked: &Asked<'_>,
    input: &str,
    file: &str,
    bytes: bytes::Bytes,
) -> Result<String, Error> {
    let key = asked.flow;
    let name: String = file.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    let name = if name.chars().all(|c| c == '.') { "file".to_owned() } else { name };
    let Some(id) = asked.execution else { return Ok(format!("{SCHEME}{name}")) };
    let path = format!("{}inputs/{input}/{name}", folder_of(key, id));
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
    Ok(format!("{SCHEME}{path}"))
}

/// What an expression sees before there is an execution.
pub(crate) struct FlowScope<'a> {
    pub node: &'a Node,
    pub flow: &'a model::flow::Flow,
}

impl expr::Scope for FlowScope<'_> {
    fn lookup(&self, name: &str, _known: &expr::Memo) -> expr::Lookup<Value> {
        let flow = self.flow;
        Ok(match name {
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
            _ => self.node.shell_variable(name, flow.key.namespace.as_str()),
        })
    }

    fn names(&self) -> Vec<Arc<str>> {
        ["flow", "vars", "labels", "envs", "globals", "namespace"].map(Arc::from).to_vec()
    }
}
