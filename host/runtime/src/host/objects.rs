//! `sluice:host/objects`: documents of the engine, answered by the server, which checks each document it is asked about.

use std::collections::BTreeSet;

use super::answer;
use crate::bindings::sluice::host::{errors::Error, objects};
use crate::grants::{Grants, Need};
use crate::services::Effect;
use crate::sink::Level;
use crate::state::State;
use crate::tape::Call;

const fn call(function: &'static str) -> Call {
    Call::new("sluice:host/objects", function)
}

/// The kind a query names, for the granter. A query without one asks for every kind.
fn kind_of(query: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Query {
        kind: Option<String>,
    }
    serde_json::from_str::<Query>(query).ok().and_then(|query| query.kind).unwrap_or_else(|| "*".to_owned())
}

/// What a plan does, as far as the granter asks. What cannot be read does nothing: the server says what is wrong with it.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Plan {
    dry: bool,
    changes: Vec<Change>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Change {
    op: String,
    kind: String,
}

impl Plan {
    fn read(plan: &str) -> Self {
        serde_json::from_str(plan).unwrap_or_default()
    }

    /// The word for what it does that is not granted, if there is one; else any of its words.
    fn word(&self, grants: &Grants) -> Option<String> {
        let words: BTreeSet<String> = self.changes.iter().filter_map(Change::word).collect();
        let refused = words.iter().find(|word| grants.allow(&need(word)).is_err());
        refused.or(words.first()).cloned()
    }
}

impl Change {
    fn word(&self) -> Option<String> {
        match (self.kind.as_str(), self.op.as_str()) {
            (FILE, "save" | "delete") => Some(FILE.to_owned()),
            (kind, op @ ("save" | "delete")) => Some(format!("{kind}:{op}")),
            _ => None,
        }
    }
}

/// The kind of the files of namespaces: one word grants all that is done to them, here and in `files`.
const FILE: &str = "file";

fn need(word: &str) -> Need<'_> {
    if word == FILE { Need::NamespaceFiles } else { Need::ObjectsChange(word) }
}

impl objects::Host for State {
    async fn find(&mut self, query: String) -> wasmtime::Result<Result<String, Error>> {
        let shared = self.shared.clone();
        let kind = kind_of(&query);
        let work = shared.services.objects_find(query.clone());
        answer(shared.perform(call("find"), &[query.as_bytes()], Need::ObjectsRead(&kind), work).await)
    }

    async fn read(
        &mut self,
        kind: String,
        namespace: String,
        id: String,
    ) -> wasmtime::Result<Result<Option<String>, Error>> {
        let shared = self.shared.clone();
        let arguments = [kind.as_bytes(), namespace.as_bytes(), id.as_bytes()];
        let work = shared.services.objects_read(kind.clone(), namespace.clone(), id.clone());
        answer(shared.perform(call("read"), &arguments, Need::ObjectsRead(&kind), work).await)
    }

    async fn apply(&mut self, plan: String) -> wasmtime::Result<Result<String, Error>> {
        let shared = self.shared.clone();
        let read = Plan::read(&plan);
        let work = async {
            // Looking changes nothing.
            if !read.dry {
                shared.services.before_effect(Effect::Objects).await?;
            }
            shared.services.objects_apply(plan.clone()).await
        };
        // What is only looked at is refused change by change, by the server, with all else that is wrong.
        let word = read.word(&shared.grants).filter(|_| !read.dry);
        let need = word.as_deref().map_or(Need::Nothing, need);
        answer(shared.perform(call("apply"), &[plan.as_bytes()], need, work).await)
    }

    async fn act_as(&mut self, user: String) -> wasmtime::Result<Result<(), Error>> {
        let shared = self.shared.clone();
        let work = async {
            let told = shared.services.objects_act_as(user).await?;
            shared.log(Level::Debug, told, Vec::new());
            Ok(())
        };
        // Not even a digest of credentials is kept: who has it could try passwords.
        answer(shared.perform(call("act-as"), &[], Need::Nothing, work).await)
    }
}
