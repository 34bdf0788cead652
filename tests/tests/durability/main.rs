//! What is promised about crashes: nothing is shown or sent that could still be lost, and nothing is lost that was shown or sent.

mod crash;
mod full;
mod gates;
mod life;
mod sealed;
mod secrets;
mod table;

use model::state::State;
use store::rows::{self, Key};
use store::{Store, View};

/// Longest a test waits for something that must happen.
const WAIT: std::time::Duration = std::time::Duration::from_secs(60);
/// How often it looks.
const LOOK: std::time::Duration = std::time::Duration::from_millis(5);

/// Waits until something is so.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(WAIT, looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The state of an execution, as a view has it.
async fn state_of(store: &dyn Store, view: View, id: &str) -> Option<State> {
    let key = Key::Execution(model::ids::ExecutionId::trusted(id));
    let found = store.find::<rows::Execution>(view, key).await.expect("the store reads");
    found.map(|row| row.record.state())
}

/// The newest state of the one execution there is.
async fn only_execution(store: &dyn Store) -> Option<(String, State)> {
    let filter = store::query::ExecutionFilter { kinds: Vec::new(), ..store::query::ExecutionFilter::default() };
    let page = store::Page::first(10);
    let found = store.list::<rows::Execution>(View::Newest, store::Query::Executions(filter), page).await;
    let row = found.expect("the store reads").items.into_iter().next()?;
    Some((row.record.id.to_string(), row.record.state()))
}
