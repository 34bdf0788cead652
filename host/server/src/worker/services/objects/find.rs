//! What is found and read: flows, executions, logs, files of namespaces, documents. Pages are bounded by rows, and by bytes where they have
//! texts.

use jiff::Timestamp;
use model::ids::{Namespace, TaskId};
use model::state::State;
use runtime::HostError;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use store::query::{ExecutionFilter, LogFilter, LogScope, NamespaceMatch, Within};
use store::rows::{self, DocumentKey, Key, NamespaceKey};
use store::{Count, Page, Position, Query, Rows, View};

use super::super::refused;
use super::shown::{file, shown, source_bytes, whole};
use super::{RunServices, flow_key, host, named, unknown_kind, unreadable};
use crate::plans::Kind;
use crate::secrets::place;

/// Documents of one page.
const PAGE: usize = 500;
/// Most bytes of sources of one page, unless one document alone has more: a guest has it in memory several times.
const SOURCES_BYTES_MAX: usize = 4 << 20;
/// Documents that are counted at most.
const COUNT_MAX: usize = 10_000_000;
/// What can be looked for.
const KINDS: &str = "flow, execution, log, file, namespace, app, test, dashboard, blueprint";
/// What can be read.
const READ: &str = "flow, execution, app, test, dashboard, blueprint";

/// What is looked for.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Asked {
    pub kind: String,
    pub after: Option<String>,
    pub count: bool,
    pub namespace: Option<String>,
    pub exact: bool,
    pub everywhere: bool,
    pub sources: bool,
    pub flow: Option<String>,
    pub execution: Option<String>,
    pub states: Vec<String>,
    pub level: Option<String>,
    pub task: Option<String>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl RunServices {
    pub(in crate::worker::services) async fn find_objects(&self, query: String) -> Result<String, HostError> {
        let asked: Asked = serde_json::from_str(&query).map_err(|error| unreadable("the query", error))?;
        // Of a file, the namespace and what its path begins with where it is stored.
        let mut of_files = None;
        let question = match asked.kind.as_str() {
            "flow" => Query::Flows { namespace: self.asked_namespaces(&asked)?, deleted: false },
            "execution" => Query::Executions(self.executions(&asked)?),
            "log" => Query::Logs(self.logs(&asked).await?),
            "namespace" => return self.find_namespaces(&asked).await,
            "file" => {
                let (namespace, root) = self.files_of(&asked)?;
                of_files = Some((namespace, root.clone()));
                Query::Files { prefix: root.into() }
            }
            kind => match Kind::named(kind).filter(|kind| kind.is_document()) {
                Some(_) => Query::Documents { kind: kind.into(), namespace: self.asked_namespaces(&asked)? },
                None => return Err(unknown_kind(kind, KINDS)),
            },
        };
        if asked.count {
            let count = self.node.store.count(View::Newest, question, COUNT_MAX).await.map_err(host)?;
            let (Count::Exactly(number) | Count::AtLeast(number)) = count;
            return Ok(json!({ "count": number }).to_string());
        }
        let after = match asked.after.as_deref().map(str::parse::<Position>) {
            None => None,
            Some(Ok(position)) => Some(position),
            Some(Err(error)) => return Err(unreadable("the cursor", error)),
        };
        let found = self.page(question, after, asked.sources).await?;
        let items: Vec<Json> = found
            .items
            .iter()
            .filter_map(|row| match (&row.row, &of_files) {
                (rows::Row::File(row), Some((namespace, root))) => file(row, namespace, root),
                (row, _) => shown(row, asked.sources),
            })
            .collect();
        Ok(json!({ "items": items, "next": found.next.map(|next| next.to_string()) }).to_string())
    }

    /// A page; of rows that are shown with their sources fewer, so that all of them are not more than a guest can hold.
    async fn page(&self, question: Query, after: Option<Position>, sources: bool) -> Result<Rows, HostError> {
        let mut size = PAGE;
        loop {
            let page = Page { size, after: after.clone() };
            let found = self.node.store.scan(View::Newest, question.clone(), page).await.map_err(host)?;
            let bytes: usize = found.items.iter().map(|row| source_bytes(&row.row)).sum();
            if !sources || size == 1 || bytes <= SOURCES_BYTES_MAX {
                return Ok(found);
            }
            size /= 2;
        }
    }

    pub(in crate::worker::services) async fn read_object(
        &self,
        kind: String,
        namespace: String,
        id: String,
    ) -> Result<Option<String>, HostError> {
        let everybodys = namespace.is_empty() && Kind::named(&kind).is_some_and(Kind::is_document);
        if everybodys {
            self.must_reach(&namespace)?;
        } else if !self.may_read(&namespace) {
            return Err(refused(&namespace));
        }
        match kind.as_str() {
            "flow" => {
                let query = Query::Revisions(flow_key(&namespace, &id));
                let rows =
                    self.node.store.list::<rows::Flow>(View::Newest, query, Page::first(1)).await.map_err(host)?;
                let newest = rows.items.into_iter().next().filter(|flow| !flow.deleted);
                Ok(newest.map(|flow| flow.source.to_string()))
            }
            "execution" => {
                let found = self.stored_object(&id).await?;
                let found = found.filter(|row| row.record.flow.namespace.as_str() == namespace);
                Ok(found.map(|row| whole(&row).to_string()))
            }
            kind if Kind::named(kind).is_some_and(Kind::is_document) => {
                let place = NamespaceKey::main(Namespace::trusted(namespace));
                let key = Key::Document(DocumentKey { place, kind: kind.into(), id: id.into() });
                let found = self.node.store.find::<rows::Document>(View::Newest, key).await.map_err(host)?;
                Ok(found.map(|document| document.source.to_string()))
            }
            other => Err(unknown_kind(other, READ)),
        }
    }

    fn executions(&self, asked: &Asked) -> Result<ExecutionFilter, HostError> {
        let states: Result<_, _> = asked.states.iter().map(|name| named::<State>(name, "state")).collect();
        let namespace = self.tree(asked.namespace.as_deref())?;
        let flow = asked.flow.as_ref().map(|flow| flow_key(&self.named_or_own(asked.namespace.as_deref()), flow));
        Ok(ExecutionFilter {
            namespace,
            flow,
            states: states?,
            created: Within { from: asked.from, until: asked.until },
            ..ExecutionFilter::default()
        })
    }

    pub(super) async fn logs(&self, asked: &Asked) -> Result<LogFilter, HostError> {
        let of = match &asked.execution {
            Some(id) => {
                let row = self.stored_object(id).await?;
                let row = row.ok_or_else(|| HostError::not_found(format!("there is no execution `{id}`")))?;
                let flow = &row.record.flow;
                let namespace = flow.namespace.as_str();
                if !self.may_read(namespace) {
                    return Err(refused(namespace));
                }
                let other = |asked: &Option<String>, is: &str| asked.as_ref().is_some_and(|asked| asked != is);
                if other(&asked.namespace, namespace) || other(&asked.flow, flow.id.as_str()) {
                    return Err(HostError::not_found(format!("execution `{id}` is of flow `{flow}`, not of that one")));
                }
                LogScope::Target { target: rows::Target::Execution(row.record.id.clone()), after: 0 }
            }
            None => LogScope::Flows {
                namespace: self.tree(asked.namespace.as_deref())?,
                flow: asked.flow.as_ref().map(|flow| flow_key(&self.named_or_own(asked.namespace.as_deref()), flow)),
            },
        };
        let mut filter = LogFilter::within(of);
        if let Some(name) = &asked.level {
            filter.least = named(name, "level")?;
        }
        filter.task = asked.task.as_ref().map(|task| TaskId::trusted(task.as_str()));
        filter.at = Within { from: asked.from, until: asked.until };
        Ok(filter)
    }

    /// The namespaces that are asked for: all, one, or one and those below it.
    pub(super) fn asked_namespaces(&self, asked: &Asked) -> Result<NamespaceMatch, HostError> {
        if asked.everywhere {
            return match self.is_user() {
                true => Ok(NamespaceMatch::Any),
                false => Err(self.not_a_user("looking everywhere")),
            };
        }
        let namespace = asked.namespace.as_deref();
        if namespace == Some("") {
            self.must_reach("")?;
            return Ok(NamespaceMatch::Exact(NamespaceKey::main(Namespace::trusted(""))));
        }
        match (self.tree(namespace)?, asked.exact) {
            (NamespaceMatch::Tree(place), true) => Ok(NamespaceMatch::Exact(place)),
            (places, _) => Ok(places),
        }
    }

    /// A namespace and those below it: the one that is asked for, or the flow's own.
    fn tree(&self, asked: Option<&str>) -> Result<NamespaceMatch, HostError> {
        let name = self.named_or_own(asked);
        match self.may_read(&name) {
            true if self.reaches(&name) => Ok(NamespaceMatch::Tree(NamespaceKey::main(Namespace::trusted(name)))),
            // Above the flow's own: what lies beside it is not this run's.
            true => Ok(NamespaceMatch::Exact(NamespaceKey::main(Namespace::trusted(name)))),
            false => Err(refused(&name)),
        }
    }

    /// The namespace whose files are asked for, and what their paths begin with where they are stored.
    fn files_of(&self, asked: &Asked) -> Result<(String, String), HostError> {
        let name = self.named_or_own(asked.namespace.as_deref());
        if asked.everywhere {
            return Err(HostError::bad_argument(
                "files are found in one `namespace`; hint: look for kind `namespace` first",
            ));
        }
        if !self.may_read(&name) {
            return Err(refused(&name));
        }
        let place = place(&name).map_err(|error| HostError::bad_argument(error.to_string()))?;
        let folder = crate::readable::namespace_folder(&place.namespace);
        Ok((name, format!("{}/{folder}", place.tenant)))
    }
}
