//! Plans: flows, files of namespaces and documents that are saved and deleted together. All of a plan is looked at first; then it is one commit,
//! with the key that says that it was carried out. Whether whoever asks may is not decided here.

mod carry;
mod documents;
mod files;

use std::sync::Arc;

use model::ids::FlowKey;
use store::Stored;
use store::rows::{BlobInfo, DocumentKey, UniqueName};

use crate::error::{Error, Issue};

pub(crate) use carry::remember;
pub(crate) use documents::{Kind, digest, is_id};

/// Most changes of one plan: each is a row of up to 1 MiB, and all of them are in memory.
pub(crate) const CHANGES_MAX: usize = 10_000;

/// A plan that whoever asks may have carried out.
pub(crate) struct Plan {
    /// Who has carried it out remembers it under this name; `None`: it is only looked at.
    pub name: Option<UniqueName>,
    pub changes: Vec<Change>,
}

/// What becomes of one thing.
pub(crate) struct Change {
    /// Its place in the plan, as it was written.
    pub index: usize,
    pub thing: Thing,
    pub deed: Deed,
    pub expected: Expected,
}

/// Which thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Flow(FlowKey),
    /// Its whole path, as it is stored, and the namespace that it is of.
    File {
        stored: Arc<str>,
        namespace: Arc<str>,
        path: Arc<str>,
    },
    Document(DocumentKey),
}

impl Thing {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Flow(_) => Kind::Flow,
            Self::File { .. } => Kind::File,
            Self::Document(key) => Kind::of_document(&key.kind),
        }
    }

    pub fn namespace(&self) -> &str {
        match self {
            Self::Flow(key) => key.namespace.as_str(),
            Self::File { namespace, .. } => namespace,
            Self::Document(key) => key.place.namespace.as_str(),
        }
    }

    /// Of a file, its path.
    pub fn id(&self) -> &str {
        match self {
            Self::Flow(key) => key.id.as_str(),
            Self::File { path, .. } => path,
            Self::Document(key) => &key.id,
        }
    }
}

/// What is done to it.
pub(crate) enum Deed {
    Save(Content),
    Delete,
}

/// What is saved.
pub(crate) enum Content {
    Text(Arc<str>),
    /// What a file has already: it is taken by its name.
    Stored(BlobInfo),
}

/// What must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Anything,
    Nothing,
    /// What has this etag.
    This(String),
}

impl Expected {
    /// As a plan has it.
    pub fn of(etag: Option<String>) -> Self {
        match etag {
            None => Self::Anything,
            Some(etag) if etag.is_empty() => Self::Nothing,
            Some(etag) => Self::This(etag),
        }
    }

    /// Whether what is there, by its etag, is what must be.
    fn holds(&self, found: Option<&str>) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing => found.is_none(),
            Self::This(etag) => found == Some(etag.as_str()),
        }
    }
}

/// What became of one thing.
pub(crate) struct Done {
    /// Of what is there and has revisions.
    pub revision: Option<u32>,
    pub changed: bool,
}

/// What is wrong with one change.
#[derive(Clone)]
pub(crate) struct Problem {
    pub index: usize,
    pub code: &'static str,
    pub issue: Issue,
}

impl Problem {
    /// Somebody else was faster.
    pub fn meanwhile(change: &Change) -> Self {
        let Change { thing, expected, .. } = change;
        let what = format!("{} `{}` of namespace `{}`", thing.kind().as_str(), thing.id(), thing.namespace());
        let message = match expected {
            Expected::Nothing => format!("{what} is there: it was made meanwhile; hint: look again, then plan anew"),
            _ => format!("{what} was changed meanwhile; hint: look again, then plan anew"),
        };
        Self::new(change.index, "CONFLICT", message)
    }

    pub fn new(index: usize, code: &'static str, message: String) -> Self {
        let issue = Issue { path: String::new(), line: None, code: code.to_owned(), message, hint: None };
        Self { index, code, issue }
    }
}

/// How a plan ended.
pub(crate) enum End {
    /// With this answer: of a plan that was carried out before, the one of then; of one that is only looked at, as if it were carried out.
    Done(String),
    /// Nothing was done.
    Wrong(Vec<Problem>),
}

/// A row that a change is about, if there is one.
type Found<T> = Option<Stored<Arc<T>>>;

/// What a step of a plan comes to: what became of the thing, or why nothing does, or that the store cannot say.
type Step = Result<Result<Done, Problem>, Error>;
