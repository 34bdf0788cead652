//! Flows, executions and logs that the engine keeps, files of namespaces and documents. Importing it is a visible request.

use serde_json::{Value, json};

use crate::{Failure, host};

/// What was asked for, page by page.
#[derive(Debug)]
pub struct Found {
    query: Value,
    page: std::vec::IntoIter<Value>,
    more: bool,
}

fn parsed(answer: &str) -> Result<Value, Failure> {
    serde_json::from_str(answer).map_err(|error| Failure::new("HOST", format!("the host's answer is no JSON: {error}")))
}

/// Looks for documents. `query` is the object that `sluice:host/objects` describes, without `after`.
pub fn find(query: Value) -> Found {
    Found { query, page: Vec::new().into_iter(), more: true }
}

/// How many documents there are.
pub fn count(mut query: Value) -> Result<u64, Failure> {
    if let Some(fields) = query.as_object_mut() {
        fields.insert("count".to_owned(), json!(true));
    }
    let answer = parsed(&host::objects_find(&query.to_string())?)?;
    answer.get("count").and_then(Value::as_u64).ok_or_else(|| Failure::new("HOST", "the host counted nothing"))
}

/// The text of one document.
pub fn read(kind: &str, namespace: &str, id: &str) -> Result<Option<String>, Failure> {
    Ok(host::objects_read(kind, namespace, id)?)
}

/// Carries out a plan of changes. `sequence` tells plans of one run apart: one that was carried out before is not carried out again.
pub fn apply(sequence: u64, changes: &[Value]) -> Result<Value, Failure> {
    parsed(&host::objects_apply(&json!({ "sequence": sequence, "changes": changes }).to_string())?)
}

/// What is wrong with one change of a plan.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Problem {
    /// Its place in the plan.
    pub index: usize,
    /// What kind of thing it is about.
    pub kind: String,
    /// Empty: of no namespace.
    pub namespace: String,
    /// Of a file, its path.
    pub id: String,
    /// Stable: `INVALID_FLOW`, `CONFLICT`, `NOT_GRANTED`, …
    pub code: String,
    /// One sentence.
    pub message: String,
    /// Line of the source, from 1.
    pub line: Option<u32>,
    /// Where in the source.
    pub path: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Looks at a plan of changes without making them: all that is wrong with it.
pub fn try_out(changes: &[Value]) -> Result<Vec<Problem>, Failure> {
    let mut answer = parsed(&host::objects_apply(&json!({ "dry": true, "changes": changes }).to_string())?)?;
    let problems = answer.get_mut("problems").map(Value::take).unwrap_or_default();
    serde_json::from_value(problems)
        .map_err(|error| Failure::new("HOST", format!("the host's problems cannot be read: {error}")))
}

/// Acts as a user of this server from now on: what this run reaches is the whole tenant, within what it is granted. `user` is an object of
/// `username` and `password`, or of `apiToken`; placeholders of secrets in it are their values.
pub fn act_as(user: &Value) -> Result<(), Failure> {
    Ok(host::objects_act_as(&user.to_string())?)
}

impl Iterator for Found {
    type Item = Result<Value, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.page.next() {
                return Some(Ok(item));
            }
            if !self.more {
                return None;
            }
            if let Err(failure) = self.turn() {
                self.more = false;
                return Some(Err(failure));
            }
        }
    }
}

impl Found {
    /// Fetches the next page.
    fn turn(&mut self) -> Result<(), Failure> {
        let mut answer = parsed(&host::objects_find(&self.query.to_string())?)?;
        let next = answer.get("next").cloned().unwrap_or_default();
        self.more = next.is_string();
        if let Some(fields) = self.query.as_object_mut() {
            fields.insert("after".to_owned(), next);
        }
        if let Some(Value::Array(items)) = answer.get_mut("items").map(Value::take) {
            self.page = items.into_iter();
        }
        Ok(())
    }
}
