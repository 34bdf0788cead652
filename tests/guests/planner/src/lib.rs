//! Looks for what the engine keeps, and has plans carried out, whatever it is told. A refusal is an answer like any other: tests look at its code.
//! Queries and plans are texts: a namespace in them is not one that the task names.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};
use sluice_sdk::prelude::*;
use sluice_sdk::{files, objects};

/// Letters of a source that are shown: outputs are small.
const SHOWN_MAX: usize = 1_000;
/// What stands in a plan for the URI of the file that the task has written.
const WRITTEN: &str = "WRITTEN";

#[properties]
pub struct Find {
    /// Reached because they are named.
    #[expect(dead_code, reason = "the host reads it")]
    namespaces: Option<Vec<String>>,
    /// As whom: see `objects.act-as`.
    auth: Option<Value>,
    /// A list of queries of `objects.find`, each asked to its last page.
    queries: Option<String>,
    /// Kind, namespace and id of what is read; of kind `file`, by its URI.
    reads: Option<Vec<Vec<String>>>,
}

#[outputs]
pub struct FoundAll {
    /// What `auth` was answered.
    acted: Value,
    /// A list for each query.
    found: Vec<Value>,
    /// A text for each that is read.
    read: Vec<Value>,
}

/// Finds and reads.
#[task("test.planner.Find")]
pub fn find(properties: Find) -> Result<FoundAll, Failure> {
    let acted = act_as(properties.auth.as_ref());
    let found = list(properties.queries.as_deref().unwrap_or("[]"))?.into_iter().map(found).collect();
    let read = properties.reads.unwrap_or_default().iter().map(|of| told(read(of))).collect();
    Ok(FoundAll { acted, found, read })
}

fn list(text: &str) -> Result<Vec<Value>, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::new("BAD_PROPERTY", format!("no list of objects: {error}")))
}

fn found(query: Value) -> Value {
    match query.get("count") {
        Some(_) => told(objects::count(query).map(Value::from)),
        None => told(
            objects::find(query).map(|item| item.map(short)).collect::<Result<Vec<Value>, Failure>>().map(Value::from),
        ),
    }
}

fn short(mut item: Value) -> Value {
    if let Some(Value::String(source)) = item.get_mut("source") {
        *source = source.chars().take(SHOWN_MAX).collect();
    }
    item
}

fn read(of: &[String]) -> Result<Value, Failure> {
    let [kind, namespace, id] = of else {
        return Err(Failure::new("BAD_PROPERTY", "a read has a kind, a namespace and an id"));
    };
    if kind != "file" {
        return Ok(Value::from(objects::read(kind, namespace, id)?));
    }
    let mut text = String::new();
    let mut file = files::open(&format!("nsfile://{namespace}/{id}"))?;
    file.read_to_string(&mut text).map_err(|error| Failure::new("READ", error.to_string()))?;
    Ok(Value::from(text))
}

#[properties]
pub struct Apply {
    /// Reached because they are named.
    #[expect(dead_code, reason = "the host reads it")]
    namespaces: Option<Vec<String>>,
    /// As whom: see `objects.act-as`.
    auth: Option<Value>,
    /// The number of the plan.
    sequence: u64,
    /// The list of what it changes.
    changes: String,
    /// Only looks at it.
    dry: Option<bool>,
    /// Written to a file of this run first, whose URI takes the place of `WRITTEN`.
    write: Option<String>,
    /// Applied once more, under the same number.
    twice: Option<bool>,
}

#[outputs]
pub struct Applied {
    /// What `auth` was answered.
    acted: Value,
    /// The answer, or the problems of a plan that is only looked at.
    answer: Value,
    /// What it was answered the second time.
    again: Value,
}

/// Has a plan carried out.
#[task("test.planner.Apply")]
pub fn apply(properties: Apply) -> Result<Applied, Failure> {
    carried_out(properties)
}

/// The same by a task that asks for less.
#[task("test.planner.Save", capabilities = || Capabilities::none().files().objects(&["flow:save"]))]
pub fn save(properties: Apply) -> Result<Applied, Failure> {
    carried_out(properties)
}

fn carried_out(properties: Apply) -> Result<Applied, Failure> {
    let acted = act_as(properties.auth.as_ref());
    let mut changes = list(&properties.changes)?;
    if let Some(text) = &properties.write {
        let uri = written(text)?;
        for uri_of in changes.iter_mut().filter_map(|change| change.get_mut("uri")) {
            if uri_of == WRITTEN {
                *uri_of = Value::from(uri.as_str());
            }
        }
    }
    let once = || match properties.dry {
        Some(true) => told(objects::try_out(&changes).map(|problems| problems.iter().map(shown).collect())),
        _ => told(objects::apply(properties.sequence, &changes)),
    };
    let answer = once();
    let again = if properties.twice == Some(true) { once() } else { Value::Null };
    Ok(Applied { acted, answer, again })
}

fn shown(problem: &objects::Problem) -> Value {
    let objects::Problem { index, kind, namespace, id, code, message, line, path, hint } = problem;
    json!({
        "index": index, "kind": kind, "namespace": namespace, "id": id, "code": code, "message": message, "line": line,
        "path": path, "hint": hint,
    })
}

fn written(text: &str) -> Result<String, Failure> {
    let mut file = files::create("written.txt")?;
    file.write_all(text.as_bytes()).map_err(|error| Failure::new("WRITE", error.to_string()))?;
    file.finish()
}

fn act_as(user: Option<&Value>) -> Value {
    user.map_or(Value::Null, |user| told(objects::act_as(user).map(|()| Value::from("ok"))))
}

/// An answer, or the code and the words of a refusal.
fn told(answer: Result<Value, Failure>) -> Value {
    answer.unwrap_or_else(|failure| json!({ "code": failure.code(), "message": failure.message() }))
}

plugin! {
    tasks: [find, apply, save],
    title: "Planner",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().files().objects(&[
        "flow", "file", "namespace", "app", "test", "dashboard", "blueprint", "flow:save", "flow:delete", "app:save", "app:delete", "test:save",
        "test:delete", "dashboard:save", "dashboard:delete", "blueprint:save", "blueprint:delete",
    ]),
}
