//! Files of namespaces in plans. What a file has is its etag: equal ones mean equal content.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use store::rows::{self, BlobInfo, Key};
use store::{Batch, Precondition, View};

use super::documents::digest;
use super::{Change, Content, Deed, Done, Found, Plan, Problem, Step, Thing};
use crate::error::Error;
use crate::node::Node;

/// The files of a plan by their whole paths, for what they mean to each other.
pub(super) struct Files<'a> {
    saved: BTreeSet<&'a str>,
    deleted: BTreeSet<&'a str>,
}

impl<'a> Files<'a> {
    pub fn of(plan: &'a Plan) -> Self {
        let (mut saved, mut deleted) = (BTreeSet::new(), BTreeSet::new());
        for change in &plan.changes {
            let Thing::File { stored, .. } = &change.thing else { continue };
            match change.deed {
                Deed::Save(_) => saved.insert(&**stored),
                Deed::Delete => deleted.insert(&**stored),
            };
        }
        Self { saved, deleted }
    }
}

/// What the content of a file is, or will be.
fn content_of(content: &Content) -> BlobInfo {
    match content {
        Content::Text(text) => BlobInfo { id: rows::BlobId(digest(text).into()), size_bytes: text.len() as u64 },
        Content::Stored(content) => content.clone(),
    }
}

impl Node {
    /// What a change of a file does, into a commit that is refused if somebody else changes what must be so. `write`: whether its content is
    /// written now, so that the commit can name it.
    pub(super) async fn stage_file(&self, batch: &mut Batch, change: &Change, files: &Files<'_>, write: bool) -> Step {
        let Thing::File { stored, namespace, path } = &change.thing else {
            return Err(Error::Internal("what is no file is taken for one".to_owned()));
        };
        let key = Key::File(stored.clone());
        let found: Found<rows::File> = self.store.find(View::Newest, key.clone()).await?;
        if !change.expected.holds(found.as_ref().map(|row| &*row.content.id.0)) {
            return Ok(Err(Problem::meanwhile(change)));
        }
        match &found {
            Some(row) => batch.require(row.unchanged()),
            None => batch.require(Precondition::Absent(key.clone())),
        };
        let content = match (&change.deed, &found) {
            (Deed::Delete, None) => return Ok(Ok(Done { revision: None, changed: false })),
            (Deed::Delete, Some(_)) => {
                batch.delete(key);
                return Ok(Ok(Done { revision: None, changed: true }));
            }
            (Deed::Save(content), Some(row)) if content_of(content) == row.content => {
                return Ok(Ok(Done { revision: None, changed: false }));
            }
            (Deed::Save(content), _) => content,
        };
        if found.is_none() {
            let root = stored.strip_suffix(&**path).unwrap_or_default();
            if let Some(what) = self.in_the_way(root, path, files).await? {
                let message = format!("file `{path}` of namespace `{namespace}` cannot be: {what}");
                return Ok(Err(Problem::new(change.index, "CONFLICT", message)));
            }
        }
        let now = self.now();
        let content = match content {
            Content::Text(text) if write => {
                let mut blob = self.store.write_blob(now).await?;
                blob.write(Bytes::copy_from_slice(text.as_bytes())).await?;
                blob.finish().await?
            }
            content => content_of(content),
        };
        let created = found.map_or(now, |row| row.created);
        let metadata = BTreeMap::new();
        batch.put(rows::File { path: Arc::clone(stored), content, created, updated: now, metadata });
        Ok(Ok(Done { revision: None, changed: true }))
    }

    /// What keeps a new file from its place once the plan is carried out: on the way to it stands a file, or in its place a folder.
    async fn in_the_way(&self, root: &str, path: &str, files: &Files<'_>) -> Result<Option<String>, Error> {
        for (end, _) in path.match_indices('/') {
            let above = path.get(..end).unwrap_or_default();
            let whole = format!("{root}{above}");
            let there = match (files.saved.contains(whole.as_str()), files.deleted.contains(whole.as_str())) {
                (true, _) => true,
                (_, true) => false,
                _ => self.store.get(View::Newest, Key::File(whole.as_str().into())).await?.is_some(),
            };
            if there {
                return Ok(Some(format!("`{above}` is a file")));
            }
        }
        let within = format!("{root}{path}/");
        let saved = files.saved.range(within.as_str()..).next().is_some_and(|path| path.starts_with(&within));
        let there = saved || self.files_within(&within).await?.iter().any(|file| !files.deleted.contains(&*file.path));
        Ok(there.then(|| format!("`{path}` is a folder")))
    }
}
