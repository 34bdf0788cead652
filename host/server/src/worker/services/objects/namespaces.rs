//! The namespaces that have a flow, a file or a document: walked by what they have, because nobody keeps a list of them.

use std::collections::BTreeSet;

use model::ids::TENANT;
use runtime::HostError;
use serde_json::{Value as Json, json};
use store::query::NamespaceMatch;
use store::rows;
use store::{Page, Position, Query, View};

use super::find::Asked;
use super::{RunServices, host};
use crate::plans::Kind;

/// Most rows of each kind that are walked, and most steps over folders of files: beyond, the walk would hold up the run.
const WALKED_MAX: usize = 100_000;
/// What the files of a namespace are in, and those of the executions of a flow (`readable.rs`).
const FILES: &str = "/_files/";
const EXECUTIONS: &str = "/executions/";

impl RunServices {
    pub(super) async fn find_namespaces(&self, asked: &Asked) -> Result<String, HostError> {
        let places = self.asked_namespaces(asked)?;
        let mut names = BTreeSet::new();
        let flows = Query::Flows { namespace: places.clone(), deleted: false };
        let rows = self.node.store.all::<rows::Flow>(View::Newest, flows, WALKED_MAX).await.map_err(host)?;
        names.extend(rows.iter().map(|row| row.key.namespace.to_string()));
        for kind in Kind::DOCUMENTS {
            let query = Query::Documents { kind: kind.as_str().into(), namespace: places.clone() };
            let rows = self.node.store.all::<rows::Document>(View::Newest, query, WALKED_MAX).await.map_err(host)?;
            names.extend(rows.iter().map(|row| row.key.place.namespace.to_string()));
        }
        self.with_files(&places, &mut names).await?;
        // What is in no namespace is in none that could be named.
        names.remove("");
        if asked.count {
            return Ok(json!({ "count": names.len() }).to_string());
        }
        let items: Vec<Json> = names.iter().map(|name| json!({ "kind": "namespace", "namespace": name })).collect();
        Ok(json!({ "items": items, "next": Json::Null }).to_string())
    }

    /// Adds those that have files: from folder to folder, over all that is in each.
    async fn with_files(&self, places: &NamespaceMatch, names: &mut BTreeSet<String>) -> Result<(), HostError> {
        let prefix = match places {
            NamespaceMatch::Any => format!("{TENANT}/"),
            NamespaceMatch::Exact(place) | NamespaceMatch::Tree(place) => {
                format!("{TENANT}/{}/", place.namespace.as_str().replace('.', "/"))
            }
        };
        let question = Query::Files { prefix: prefix.as_str().into() };
        let mut after = None;
        for _ in 0..WALKED_MAX {
            let page = Page { size: 1, after };
            let found = self.node.store.list::<rows::File>(View::Newest, question.clone(), page).await.map_err(host)?;
            after = found.next;
            if let Some(folder) = found.items.first().and_then(|file| folder(&file.path)) {
                names.extend(namespace(folder).filter(|name| places.holds_in(TENANT, name)));
                after = Position::behind_files(&prefix, folder);
            }
            if after.is_none() {
                return Ok(());
            }
        }
        Err(HostError::limit(format!(
            "more than {WALKED_MAX} folders of files are to be looked through for their namespaces; hint: name a `namespace`"
        )))
    }
}

/// The folder of a stored path that is stepped over at once: all files of a namespace, or of the executions of a flow. A namespace below one
/// that is called as the folder of executions is, `a.flow.executions.b`, is found by its flows and documents only.
fn folder(path: &str) -> Option<&str> {
    let end = |of: &str| path.find(of).map(|at| at + of.len());
    let end = match (end(FILES), end(EXECUTIONS)) {
        (Some(files), Some(executions)) => Some(files.min(executions)),
        (files, executions) => files.or(executions),
    };
    path.get(..end?)
}

/// The namespace whose files a folder has.
fn namespace(folder: &str) -> Option<String> {
    let name = folder.strip_prefix(TENANT)?.strip_prefix('/')?.strip_suffix(FILES)?;
    Some(name.replace('/', "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_stepped_over_with_its_folder() {
        let check = |path: &str, expected: Option<&str>, name: Option<&str>| {
            assert_eq!(folder(path), expected, "{path}");
            assert_eq!(folder(path).and_then(namespace).as_deref(), name, "{path}");
        };
        check("main/a/b/_files/x/y.txt", Some("main/a/b/_files/"), Some("a.b"));
        check("main/a/f/executions/1/tasks/t/2/x", Some("main/a/f/executions/"), None);
        check("main/a/_files/executions/x", Some("main/a/_files/"), Some("a"));
        check("main/other", None, None);
    }
}
