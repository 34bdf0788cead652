//! `sluice:host/kv`: the key-value store, answered by the server. Buffering and visibility are the server's.

use super::answer;
use crate::bindings::sluice::host::{errors::Error, kv};
use crate::grants::{Access, Need};
use crate::services::HostError;
use crate::state::State;
use crate::tape::Call;

/// A key; longer ones are refused.
const KEY_BYTES: usize = 1_024;
/// A value; larger data belongs into files.
const VALUE_BYTES: usize = 1 << 20;

const fn call(function: &'static str) -> Call {
    Call::new("sluice:host/kv", function)
}

fn bytes(text: &Option<String>) -> &[u8] {
    text.as_deref().unwrap_or_default().as_bytes()
}

fn good_key(key: &str) -> Result<(), HostError> {
    if key.is_empty() || key.len() > KEY_BYTES {
        return Err(HostError::bad_argument(format!("a key has 1 to {KEY_BYTES} bytes, this one has {}", key.len())));
    }
    Ok(())
}

/// What the keys begin with that a query is about; a query that cannot be read is about all of them, and is refused where it is answered.
fn prefix_of(query: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Asked {
        prefix: String,
    }
    serde_json::from_str::<Asked>(query).map(|asked| asked.prefix).unwrap_or_default()
}

impl kv::Host for State {
    async fn get(&mut self, namespace: Option<String>, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        let shared = self.shared.clone();
        let arguments = [bytes(&namespace), key.as_bytes()];
        let work = async {
            good_key(&key)?;
            shared.services.kv_get(namespace.clone(), key.clone()).await
        };
        answer(shared.perform(call("get"), &arguments, Need::Kv(Access::Read, &key), work).await)
    }

    async fn set(
        &mut self,
        namespace: Option<String>,
        key: String,
        value: String,
        options: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        let shared = self.shared.clone();
        let arguments = [bytes(&namespace), key.as_bytes(), value.as_bytes(), options.as_bytes()];
        let work = async {
            good_key(&key)?;
            if value.len() > VALUE_BYTES {
                return Err(HostError::limit(format!(
                    "the value of `{key}` has {} bytes, more than {VALUE_BYTES}; hint: write a file and store its URI",
                    value.len()
                )));
            }
            shared.services.kv_set(namespace.clone(), key.clone(), value.clone(), options.clone()).await
        };
        answer(shared.perform(call("set"), &arguments, Need::Kv(Access::Write, &key), work).await)
    }

    async fn delete(&mut self, namespace: Option<String>, key: String) -> wasmtime::Result<Result<bool, Error>> {
        let shared = self.shared.clone();
        let arguments = [bytes(&namespace), key.as_bytes()];
        let work = async {
            good_key(&key)?;
            shared.services.kv_delete(namespace.clone(), key.clone()).await
        };
        answer(shared.perform(call("delete"), &arguments, Need::Kv(Access::Write, &key), work).await)
    }

    async fn keys(
        &mut self,
        namespace: Option<String>,
        prefix: String,
        after: Option<String>,
    ) -> wasmtime::Result<Result<Vec<String>, Error>> {
        let shared = self.shared.clone();
        let arguments = [bytes(&namespace), prefix.as_bytes(), bytes(&after)];
        let work = shared.services.kv_keys(namespace.clone(), prefix.clone(), after.clone());
        answer(shared.perform(call("keys"), &arguments, Need::Kv(Access::Read, &prefix), work).await)
    }

    async fn find(&mut self, query: String) -> wasmtime::Result<Result<String, Error>> {
        let shared = self.shared.clone();
        let prefix = prefix_of(&query);
        let work = shared.services.kv_find(query.clone());
        answer(shared.perform(call("find"), &[query.as_bytes()], Need::Kv(Access::Read, &prefix), work).await)
    }
}
