//! Plans that save and delete flows, files of namespaces and documents: what a run asks for becomes what the server carries out, once it is
//! granted, in reach, and well named. All that is wrong is told.

use std::sync::Arc;

use model::ids::Namespace;
use runtime::HostError;
use serde_json::{Value as Json, json};
use store::rows::{DocumentKey, NamespaceKey};

use super::{Change, Plan, RunServices, failed, flow_key};
use crate::error::Issue;
use crate::namespace_files::At;
use crate::plans::{self, CHANGES_MAX, Content, Deed, Done, End, Expected, Kind, Problem, Thing, is_id};
use crate::secrets::place;

/// Problems that an error names.
const NAMED_MAX: usize = 20;
/// What can be changed.
const KINDS: &str = "flow, file, app, test, dashboard, blueprint; execution and log are purged by plans of their own";

/// What is wrong with a change before the server is asked: the refusal of the host.
type Wrong = HostError;

impl RunServices {
    pub(super) async fn change_documents(&self, plan: Plan) -> Result<String, HostError> {
        if plan.changes.len() > CHANGES_MAX {
            let message = format!("{} changes in one plan, at most {CHANGES_MAX} are carried out", plan.changes.len());
            return Err(HostError::limit(message));
        }
        let Plan { sequence, dry, changes } = plan;
        let name = (!dry).then(|| self.plan_name(sequence));
        // First of all: what a plan took up may be gone since it was carried out.
        if let Some(answer) = self.node.carried_out(name.as_ref()).await.map_err(failed)? {
            return Ok(answer);
        }
        let named: Vec<Named> = changes.iter().map(Named::of).collect();
        let (mut asked, mut wrong) = (Vec::new(), Vec::new());
        for (index, change) in changes.into_iter().enumerate() {
            match self.asked(index, change).await {
                Ok(change) => asked.push(change),
                Err(error) => wrong.push(told(index, error)),
            }
        }
        // Where something is not granted or not in reach, nothing is done; what else is wrong is told with it.
        let name = name.filter(|_| wrong.is_empty());
        let plan = plans::Plan { name, changes: asked };
        match self.node.carry_out(plan, answer).await.map_err(failed)? {
            End::Done(answer) if wrong.is_empty() => Ok(answer),
            End::Done(_) => ended(dry, &named, wrong),
            End::Wrong(more) => {
                wrong.extend(more);
                ended(dry, &named, wrong)
            }
        }
    }

    /// What a change asks for, if this run may ask for it.
    async fn asked(&self, index: usize, change: Change) -> Result<plans::Change, Wrong> {
        let Change { op, kind, id, namespace, source, uri, etag, .. } = change;
        let kind = Kind::named(&kind).ok_or_else(|| super::unknown_kind(&kind, KINDS))?;
        let bad = |what: String| HostError::bad_argument(what);
        if op != "save" && op != "delete" {
            return Err(bad(format!("`{}` is nothing a plan can do; hint: `save` or `delete`", op.escape_debug())));
        }
        self.may_change(kind.as_str(), &op)?;
        let missing = |what: &str| bad(format!("the change of a {} has no `{what}`", kind.as_str()));
        let namespace = namespace.ok_or_else(|| missing("namespace"))?;
        let id = id.ok_or_else(|| missing("id"))?;
        let thing = thing(kind, &namespace, &id)?;
        self.must_reach(&namespace)?;
        let deed = match (op.as_str(), source, uri) {
            ("delete", None, None) => Deed::Delete,
            ("delete", ..) => return Err(bad("what is deleted has no `source` and no `uri`".to_owned())),
            (_, Some(source), None) => Deed::Save(Content::Text(source.into())),
            (_, None, Some(uri)) if kind == Kind::File => {
                Deed::Save(Content::Stored(self.file(&uri).await?.content.clone()))
            }
            (_, None, Some(_)) => {
                return Err(bad(format!("a {} is saved by its `source`, not by a `uri`", kind.as_str())));
            }
            (_, Some(_), Some(_)) => return Err(bad("a file has a `source` or a `uri`, not both".to_owned())),
            (_, None, None) => return Err(missing("source")),
        };
        Ok(plans::Change { index, thing, deed, expected: Expected::of(etag) })
    }
}

/// What a change is about, as it was written: for answers.
struct Named {
    kind: String,
    namespace: String,
    id: String,
}

impl Named {
    fn of(change: &Change) -> Self {
        let Change { kind, namespace, id, .. } = change;
        let (namespace, id) = (namespace.clone().unwrap_or_default(), id.clone().unwrap_or_default());
        Self { kind: kind.clone(), namespace, id }
    }
}

/// What a change is about, if it is well named.
fn thing(kind: Kind, namespace: &str, id: &str) -> Result<Thing, Wrong> {
    let bad = |error: crate::error::Error| HostError::bad_argument(error.to_string());
    let no_id = || HostError::bad_argument(format!("`{}` is no id of a {}", id.escape_debug(), kind.as_str()));
    match kind {
        Kind::File => {
            let at = At::file(namespace, id).map_err(bad)?;
            let path = Arc::from(id.trim_start_matches('/'));
            Ok(Thing::File { stored: at.stored().into(), namespace: namespace.into(), path })
        }
        Kind::Flow => {
            place(namespace).map_err(bad)?;
            if is_id(id) { Ok(Thing::Flow(flow_key(namespace, id))) } else { Err(no_id()) }
        }
        Kind::App | Kind::Test | Kind::Dashboard | Kind::Blueprint => {
            let place = match namespace {
                // Of no namespace: everybody's.
                "" => NamespaceKey::main(Namespace::trusted("")),
                namespace => place(namespace).map_err(bad)?,
            };
            let key = DocumentKey { place, kind: kind.as_str().into(), id: id.into() };
            if is_id(id) { Ok(Thing::Document(key)) } else { Err(no_id()) }
        }
    }
}

/// A refusal as a problem of a change. Its code is one of the host's.
fn told(index: usize, error: HostError) -> Problem {
    let code = match error.code.as_str() {
        "NOT_GRANTED" => "NOT_GRANTED",
        "NOT_FOUND" => "NOT_FOUND",
        "BAD_ARGUMENT" => "BAD_ARGUMENT",
        "LIMIT" => "LIMIT",
        _ => "HOST",
    };
    Problem::new(index, code, error.message)
}

/// What a plan answers, and what is remembered of it once it was carried out.
fn answer(plan: &plans::Plan, done: &[Done]) -> String {
    let item = |(change, done): (&plans::Change, &Done)| {
        json!({
            "kind": change.thing.kind().as_str(),
            "namespace": change.thing.namespace(),
            "id": change.thing.id(),
            "revision": done.revision,
            "changed": done.changed,
        })
    };
    let items: Vec<Json> = plan.changes.iter().zip(done).map(item).collect();
    json!({ "items": items, "problems": [] }).to_string()
}

/// The end of a plan that has problems: an answer that has them, or an error that names them.
fn ended(dry: bool, named: &[Named], mut problems: Vec<Problem>) -> Result<String, HostError> {
    problems.sort_by_key(|problem| problem.index);
    let of = |problem: &Problem| {
        named.get(problem.index).map_or(("", "", ""), |named| (&*named.kind, &*named.namespace, &*named.id))
    };
    if dry {
        let shown = problems.iter().map(|problem| {
            let (kind, namespace, id) = of(problem);
            let Issue { path, line, message, hint, .. } = &problem.issue;
            let path = (!path.is_empty()).then_some(path);
            json!({
                "index": problem.index, "kind": kind, "namespace": namespace, "id": id, "code": problem.code,
                "message": message, "line": line, "path": path, "hint": hint,
            })
        });
        return Ok(json!({ "items": [], "problems": shown.collect::<Vec<Json>>() }).to_string());
    }
    let Some(first) = problems.first() else {
        return Err(HostError::host("a plan was not carried out, and nobody knows why"));
    };
    let line = |problem: &Problem| {
        let (kind, namespace, id) = of(problem);
        format!("\n{kind} `{id}` of namespace `{namespace}`: {}", problem.issue)
    };
    let lines: String = problems.iter().take(NAMED_MAX).map(line).collect();
    let more = match problems.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!("\nand {more} more"),
    };
    Err(HostError::new(first.code, format!("nothing was done, {} problems:{lines}{more}", problems.len())))
}
