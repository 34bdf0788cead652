//! Documents that are kept and not run: apps, test suites, dashboards, blueprints. They are not looked into beyond their ids: they are validated
//! once the engine knows them.

use std::sync::Arc;

use expr::Value;
use model::ids::FLOW_ID_MAX;
use sha2::{Digest, Sha256};
use store::rows::{self, DocumentKey, Key};
use store::{Batch, Precondition, View};

use super::{Change, Content, Deed, Done, Found, Problem, Step};
use crate::error::Error;
use crate::node::Node;

/// Longest source of a document, in bytes: as of a flow.
const SOURCE_MAX_BYTES: usize = 1 << 20;

/// The kinds of what plans are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Flow,
    File,
    App,
    Test,
    Dashboard,
    Blueprint,
}

impl Kind {
    /// Those of documents.
    pub const DOCUMENTS: [Self; 4] = [Self::App, Self::Test, Self::Dashboard, Self::Blueprint];

    /// By its word.
    pub fn named(word: &str) -> Option<Self> {
        let all = [Self::Flow, Self::File].into_iter().chain(Self::DOCUMENTS);
        all.into_iter().find(|kind| kind.as_str() == word)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::File => "file",
            Self::App => "app",
            Self::Test => "test",
            Self::Dashboard => "dashboard",
            Self::Blueprint => "blueprint",
        }
    }

    pub fn is_document(self) -> bool {
        Self::DOCUMENTS.contains(&self)
    }

    /// The kind of a stored document; no plan makes another.
    pub(super) fn of_document(word: &str) -> Self {
        Self::DOCUMENTS.into_iter().find(|kind| kind.as_str() == word).unwrap_or(Self::App)
    }
}

/// The etag of a document: of its source alone, so that what was deleted and made again is not taken for what it was.
pub(crate) fn digest(source: &str) -> String {
    Sha256::digest(source.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text is an id, by the rule of flows.
pub(crate) fn is_id(id: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=FLOW_ID_MAX).contains(&id.len())
        && id.bytes().all(good)
        && id.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// What is wrong with a document: in words, and on which line where there is one.
pub(super) fn wrong(key: &DocumentKey, source: &str) -> Option<(String, Option<u32>)> {
    if source.len() > SOURCE_MAX_BYTES {
        return Some((format!("the source has {} bytes, at most {SOURCE_MAX_BYTES} are kept", source.len()), None));
    }
    let document = match model::read_yaml(source) {
        Ok(document @ Value::Map(_)) => document,
        Ok(_) => return Some(("the source is no YAML map".to_owned(), None)),
        Err(problem) => return Some((problem.message.clone(), (problem.line > 0).then_some(problem.line))),
    };
    let said = |name: &str| document.get(name).map(|value| value.as_str().unwrap_or_default().to_owned());
    let namespace = key.place.namespace.as_str();
    match (said("id"), said("namespace")) {
        (Some(id), _) if id != *key.id => Some((format!("the source is of `{id}`, not of `{}`", key.id), None)),
        (None, _) => Some((format!("the source has no `id`; hint: write `id: {}`", key.id), None)),
        (_, Some(said)) if said != namespace => {
            Some((format!("the source is of namespace `{said}`, not of `{namespace}`"), None))
        }
        _ => None,
    }
}

impl Node {
    /// What a change of a document does, into a commit that is refused if somebody else changes what must be so.
    pub(super) async fn stage_document(&self, batch: &mut Batch, change: &Change, key: &DocumentKey) -> Step {
        let found: Found<rows::Document> = self.store.find(View::Newest, Key::Document(key.clone())).await?;
        let etag = found.as_ref().map(|row| digest(&row.source));
        if !change.expected.holds(etag.as_deref()) {
            return Ok(Err(Problem::meanwhile(change)));
        }
        match &found {
            Some(row) => batch.require(row.unchanged()),
            None => batch.require(Precondition::Absent(Key::Document(key.clone()))),
        };
        let source: &Arc<str> = match (&change.deed, &found) {
            (Deed::Delete, None) => return Ok(Ok(Done { revision: None, changed: false })),
            (Deed::Delete, Some(_)) => {
                batch.delete(Key::Document(key.clone()));
                return Ok(Ok(Done { revision: None, changed: true }));
            }
            (Deed::Save(Content::Text(source)), Some(row)) if *row.source == **source => {
                return Ok(Ok(Done { revision: Some(row.revision), changed: false }));
            }
            (Deed::Save(Content::Text(source)), _) => source,
            (Deed::Save(Content::Stored(_)), _) => {
                return Err(Error::Internal("a document is text, not a file".to_owned()));
            }
        };
        let revision = found.map_or(0, |row| row.revision) + 1;
        batch.put(rows::Document { key: key.clone(), revision, source: source.clone(), updated: self.now() });
        Ok(Ok(Done { revision: Some(revision), changed: true }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ids::Namespace;
    use store::rows::NamespaceKey;

    #[test]
    fn a_document_is_the_one_it_says_it_is() {
        let check = |namespace: &str, source: &str, expected: &str| {
            let place = NamespaceKey::main(Namespace::trusted(namespace));
            let key = DocumentKey { place, kind: "app".into(), id: "one".into() };
            let said = wrong(&key, source).map(|(message, _)| message).unwrap_or_default();
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{source:?}: {said}");
        };
        check("a.b", "id: one\nnamespace: a.b\nwhatever: [1]\n", "");
        check("a.b", "id: one\n", "");
        check("", "id: one\n", "");
        check("", "id: one\nnamespace: a\n", "of namespace `a`");
        check("a.b", "id: two\n", "of `two`, not of `one`");
        check("a.b", "title: one\n", "write `id: one`");
        check("a.b", "id: one\nnamespace: a\n", "not of `a.b`");
        check("a.b", "- one\n", "no YAML map");
    }

    #[test]
    fn ids_are_those_of_flows() {
        for good in ["a", "A-b_c.d", "0x"] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", ".a", "-a", "a/b", "a b", "ä", &"a".repeat(101)] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
