//! `sluice:host/objects`: documents of the engine, answered by the server, which checks each document it is asked about.

use super::answer;
use crate::bindings::sluice::host::{errors::Error, objects};
use crate::grants::{Grants, Need};
use crate::services::Effect;
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

/// The kind a plan deletes of, for the granter: one that is not granted, if there is one. What cannot be read deletes nothing.
fn deleted(plan: &str, grants: &Grants) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Plan {
        changes: Vec<Change>,
    }
    #[derive(serde::Deserialize)]
    struct Change {
        kind: String,
    }
    let kinds = serde_json::from_str::<Plan>(plan).map(|plan| plan.changes).unwrap_or_default();
    let refused = kinds.iter().find(|change| grants.allow(&Need::ObjectsDelete(&change.kind)).is_err());
    refused.or(kinds.first()).map(|change| change.kind.clone())
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
        let work = async {
            shared.services.before_effect(Effect::Objects).await?;
            shared.services.objects_apply(plan.clone()).await
        };
        let kind = deleted(&plan, &shared.grants);
        let need = kind.as_deref().map_or(Need::Nothing, Need::ObjectsDelete);
        answer(shared.perform(call("apply"), &[plan.as_bytes()], need, work).await)
    }
}
