//! Secrets of namespaces over several lives of a server: sealed on the disk, sealed again with a new key, of no use without theirs.

use model::state::State;
use server::{Config, NewSecret, Node, Save};
use tests::stand_in::StandIn;

use super::life::{close, config, embedded, ended, started};
use super::sealed::is_found;

const CLEAR: &str = "hunter2-and-more-of-it";
const USING: &str = "
id: using
namespace: life.part
tasks:
  - {id: same, type: io.kestra.plugin.core.execution.Assert, conditions: [\"{{ secret('KEY') | length == 22 }}\"]}
  - {id: kept, type: io.kestra.plugin.core.debug.Return, format: \"{{ secret('KEY') }}\"}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_of_namespaces_follow_the_keys_of_the_server() {
    let (folder, scratch) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let outside = StandIn::open().await;
    // Starts with these keys, sets the secret if it is to be set, and tells how the flow ended and what the audit log says last.
    let life = async |keys: &[u8], sets: bool| {
        let store = embedded(&folder);
        let encryption_keys = keys.iter().map(|key| [*key; server::ENCRYPTION_KEY_BYTES]).collect();
        let config = Config { encryption_keys, ..config(store.clone(), &scratch, &outside) };
        let node = Node::open(config).await.expect("it opens");
        if sets {
            let secret = NewSecret { name: "key".to_owned(), value: CLEAR.to_owned(), ..NewSecret::default() };
            node.set_secrets("life", vec![secret], "a test").await.expect("it is set");
        }
        node.save_flow(USING, Save::Any).await.expect("it is valid");
        let id = started(&node, USING, Vec::new()).await;
        let seen = ended(&node, &id).await;
        // What is closed is compressed: looked at is what is written.
        assert!(!sets || is_found(folder.path(), "secret.set"), "nothing is found at all");
        assert!(!is_found(folder.path(), CLEAR), "it is on the disk in clear");
        let audit: Vec<String> =
            node.audit_log().await.expect("it has one").into_iter().map(|one| one.action).collect();
        node.shutdown().await;
        drop(node);
        close(store).await;
        (seen.execution.state(), audit)
    };
    assert_eq!(life(&[1], true).await, (State::Success, vec!["secret.set".to_owned()]));
    // With another key alone it cannot be used; behind a new one it is sealed again, once, and the old key is needed no more.
    assert_eq!(life(&[2], false).await.0, State::Failed);
    let (state, audit) = life(&[2, 1], false).await;
    assert_eq!((state, audit[0].as_str()), (State::Success, "secret.reseal"));
    assert_eq!(life(&[2, 1], false).await.1.iter().filter(|action| *action == "secret.reseal").count(), 1);
    assert_eq!(life(&[2], false).await.0, State::Success);
    assert_eq!(life(&[1], false).await.0, State::Failed);
    assert!(!is_found(folder.path(), CLEAR));
    outside.end().await;
}
