//! Objects of the mock host: what a test has put there, found and changed by plans as a server does it. It knows no grants, validates no flow,
//! and has all in one page.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::HostError;
use crate::testing::State;

/// The kinds that plans change, beside files.
const KINDS: [&str; 5] = ["flow", "app", "test", "dashboard", "blueprint"];

fn bad(message: impl Into<String>) -> HostError {
    HostError { code: "BAD_ARGUMENT".to_owned(), message: message.into() }
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn is(of: &Value, name: &str) -> bool {
    of.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// Names a content: FNV-1a, which a test's few texts are told apart by.
fn etag(content: &[u8]) -> String {
    let hash = content
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

fn file_uri(namespace: &str, path: &str) -> String {
    format!("nsfile://{namespace}/{path}")
}

/// The namespace and the path of a file of a namespace.
fn file_of(uri: &str) -> Option<(&str, &str)> {
    uri.strip_prefix("nsfile://")?.split_once('/')
}

pub fn find(state: &mut State, query: &str) -> Result<String, HostError> {
    let query: Value = serde_json::from_str(query).map_err(|error| bad(error.to_string()))?;
    let (kind, asked) = (text(&query, "kind"), text(&query, "namespace"));
    let within = |namespace: &str| {
        let below = namespace.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        is(&query, "everywhere") || namespace == asked || (below && !asked.is_empty() && !is(&query, "exact"))
    };
    let files = state.files.iter().filter_map(|(uri, bytes)| Some((file_of(uri)?, bytes)));
    let items: Vec<Value> = match kind {
        "namespace" => {
            let of_objects = state.objects.keys().map(|(_, namespace, _)| namespace.as_str());
            let all: BTreeSet<&str> = of_objects.chain(files.map(|((namespace, _), _)| namespace)).collect();
            let named = all.into_iter().filter(|name| !name.is_empty() && within(name));
            named.map(|name| json!({ "kind": kind, "namespace": name })).collect()
        }
        "file" => files
            .filter(|((namespace, _), _)| *namespace == asked)
            .map(|((namespace, path), bytes)| {
                json!({ "kind": kind, "namespace": namespace, "id": path, "size": bytes.len(), "etag": etag(bytes) })
            })
            .collect(),
        kind if KINDS.contains(&kind) => state
            .objects
            .iter()
            .filter(|((of, namespace, _), _)| of == kind && within(namespace))
            .map(|((_, namespace, id), source)| {
                let mut item =
                    json!({ "kind": kind, "namespace": namespace, "id": id, "etag": etag(source.as_bytes()) });
                if let (Some(fields), true) = (item.as_object_mut(), is(&query, "sources")) {
                    fields.insert("source".to_owned(), json!(source));
                }
                item
            })
            .collect(),
        other => return Err(bad(format!("the mock host finds no `{other}`; hint: `answer_call(\"objects.find\", …)`"))),
    };
    Ok(match is(&query, "count") {
        true => json!({ "count": items.len() }).to_string(),
        false => json!({ "items": items, "next": null }).to_string(),
    })
}

pub fn apply(state: &mut State, plan: &str) -> Result<String, HostError> {
    let plan: Value = serde_json::from_str(plan).map_err(|error| bad(error.to_string()))?;
    let changes = plan.get("changes").and_then(Value::as_array).cloned().unwrap_or_default();
    let (mut objects, mut files) = (state.objects.clone(), state.files.clone());
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    for (index, change) in changes.iter().enumerate() {
        let (kind, namespace, id) = (text(change, "kind"), text(change, "namespace"), text(change, "id"));
        let key = (kind.to_owned(), namespace.to_owned(), id.to_owned());
        let uri = file_uri(namespace, id);
        let found = match kind {
            "file" => files.get(&uri).cloned(),
            kind if KINDS.contains(&kind) => objects.get(&key).map(|source| source.clone().into_bytes()),
            other => {
                return Err(bad(format!(
                    "the mock host changes no `{other}`; hint: `answer_call(\"objects.apply\", …)`"
                )));
            }
        };
        let there = found.as_deref().map(etag).unwrap_or_default();
        if change.get("etag").and_then(Value::as_str).is_some_and(|expected| expected != there) {
            problems.push(json!({
                "index": index, "kind": kind, "namespace": namespace, "id": id, "code": "CONFLICT",
                "message": format!("{kind} `{id}` was changed meanwhile"), "line": null, "path": null, "hint": null,
            }));
            continue;
        }
        let saved = match (text(change, "op"), change.get("uri").and_then(Value::as_str)) {
            ("delete", _) => None,
            (_, Some(uri)) => Some(files.get(uri).cloned().ok_or_else(|| bad(format!("there is no file `{uri}`")))?),
            _ => Some(text(change, "source").as_bytes().to_vec()),
        };
        items.push(json!({
            "kind": kind, "namespace": namespace, "id": id, "revision": null, "changed": saved != found,
        }));
        match (saved, kind == "file") {
            (Some(bytes), true) => drop(files.insert(uri, bytes)),
            (None, true) => drop(files.remove(&uri)),
            (Some(bytes), false) => drop(objects.insert(key, String::from_utf8_lossy(&bytes).into_owned())),
            (None, false) => drop(objects.remove(&key)),
        }
    }
    if is(&plan, "dry") {
        return Ok(json!({ "items": [], "problems": problems }).to_string());
    }
    if let Some(first) = problems.first() {
        return Err(HostError { code: text(first, "code").to_owned(), message: text(first, "message").to_owned() });
    }
    (state.objects, state.files) = (objects, files);
    Ok(json!({ "items": items, "problems": [] }).to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use crate::objects;
    use crate::testing::MockHost;

    #[test]
    fn a_plan_changes_what_is_found() {
        let host =
            MockHost::new().object("flow", "a.b", "one", "1").object("app", "", "all", "x").file("nsfile://a/x/y", "f");
        host.with(|_| {
            let found = |query| {
                objects::find(query).map(|item| item.unwrap()["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(found(json!({"kind": "flow", "namespace": "a"})), ["one"]);
            assert!(found(json!({"kind": "flow", "namespace": "a", "exact": true})).is_empty());
            assert_eq!(found(json!({"kind": "file", "namespace": "a"})), ["x/y"]);
            assert_eq!(found(json!({"kind": "app", "everywhere": true})), ["all"]);
            assert_eq!(objects::count(json!({"kind": "namespace", "everywhere": true})).unwrap(), 2);
            let new = json!({"op": "save", "kind": "test", "namespace": "c", "id": "t", "source": "s", "etag": ""});
            let gone = json!({"op": "delete", "kind": "file", "namespace": "a", "id": "x/y", "etag": "other"});
            let problems = objects::try_out(&[new.clone(), gone.clone()]).unwrap();
            assert_eq!((problems.len(), problems[0].index, problems[0].code.as_str()), (1, 1, "CONFLICT"));
            assert_eq!(objects::apply(1, &[new.clone(), gone]).unwrap_err().code(), "CONFLICT");
            assert_eq!(objects::apply(1, &[new]).unwrap()["items"][0]["changed"], json!(true));
            objects::act_as(&json!({"username": "ada"})).unwrap();
        });
        assert_eq!(host.object_source("test", "c", "t").as_deref(), Some("s"));
        assert!(host.file_bytes("nsfile://a/x/y").is_some());
        assert_eq!(host.asked("objects.apply").len(), 3);
        assert_eq!(host.asked("objects.act-as"), [json!({"username": "ada"})]);
        assert!(MockHost::new().refuses_users().with(|_| objects::act_as(&json!({}))).is_err());
    }
}
