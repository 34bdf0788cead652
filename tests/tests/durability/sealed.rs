//! Inputs of type SECRET over several lives of a server: they are stored sealed, and opened with the same key alone.

use std::path::Path;

use model::state::State;
use server::{Config, Given, Node};
use store::View;
use tests::stand_in::StandIn;

use super::life::{close, config, embedded, ended, started};
use super::{state_of, until};

const SEALED: &str = "
id: sealed
namespace: life
inputs:
  - {id: token, type: SECRET}
tasks:
  - {id: gate, type: io.kestra.plugin.core.flow.Pause}
  - {id: same, type: io.kestra.plugin.core.debug.Return, runIf: \"{{ inputs.token == 'hunter2-and-more' }}\", format: '{{ inputs.token }}'}
";
const CLEAR: &str = "hunter2-and-more";

/// Whether any file below a folder has a text in it.
pub fn is_found(folder: &Path, text: &str) -> bool {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.into_iter().any(|path| match path.is_dir() {
        true => is_found(&path, text),
        false => std::fs::read(&path).expect("a file").windows(text.len()).any(|window| window == text.as_bytes()),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secret_inputs_outlive_a_server_that_keeps_its_key() {
    let (folder, scratch) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let outside = StandIn::open().await;
    let life = async |key: u8, id: Option<&str>| {
        let store = embedded(&folder);
        let config = Config {
            encryption_keys: vec![[key; server::ENCRYPTION_KEY_BYTES]],
            ..config(store.clone(), &scratch, &outside)
        };
        let node = Node::open(config).await.expect("it opens");
        let seen = match id {
            None => {
                let id = started(&node, SEALED, vec![("token".to_owned(), Given::Text(CLEAR.to_owned()))]).await;
                let paused = async || {
                    let state = state_of(store.as_ref(), View::Durable, &id).await;
                    state == Some(State::Paused)
                };
                until("it is paused", paused).await;
                node.execution(&id).await.expect("it is there")
            }
            Some(id) => {
                node.resume(id, Vec::new()).await.expect("it is paused");
                ended(&node, id).await
            }
        };
        let logs = node.logs(seen.execution.id.as_str(), 0, 100).await.expect("it has a log");
        let told: Vec<String> = logs.into_iter().map(|line| line.message).collect();
        node.shutdown().await;
        drop(node);
        close(store).await;
        (seen, told)
    };
    let (first, _) = life(7, None).await;
    let (second, _) = life(7, None).await;
    assert!(!is_found(folder.path(), CLEAR), "a secret is in the store in clear");
    assert!(is_found(folder.path(), "sealed"), "nothing is found at all");
    let (same, _) = life(7, Some(first.execution.id.as_str())).await;
    assert_eq!(same.execution.state(), State::Success, "{:?} {:?}", same.execution.failure, same.runs);
    assert_eq!(same.runs.last().map(|run| run.state()), Some(State::Success), "the value was another");
    let (other, told) = life(8, Some(second.execution.id.as_str())).await;
    assert_eq!(other.execution.state(), State::Failed);
    assert!(told.iter().any(|line| line.contains("another encryption key")), "{told:?}");
    assert!(!is_found(folder.path(), CLEAR), "a secret is in the store in clear");
    outside.end().await;
}
