//! Cases in which time passes: a node on a clock that jumps, from one moment to another. What fires in between is looked at.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::ids::ExecutionId;
use serde_json::{Value as Json, json};
use server::{Clock as _, Node};
use store::{Durability, MemoryStore};

use super::check::check;
use super::play::{all, save, scene};
use super::{Case, Miss, Stage, wrong};
use crate::simulation::SimulatedClock;

/// What happens at the last moment is still looked at.
const LAST: Duration = Duration::from_secs(1);

/// Plays a case on a thread of its own, since its time is its own.
pub(super) fn play(stage: &Stage, case: &Case) -> Result<(), Miss> {
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let playing = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
                runtime.map_err(|error| Miss::Wrong(error.to_string()))?.block_on(passing(stage, case))
            });
            playing.join().unwrap_or_else(|_| wrong("it panicked"))
        })
    })
}

fn moment(case: &Case, name: &str) -> Result<Timestamp, Miss> {
    let text = case.clock.get(name).and_then(Json::as_str).unwrap_or_default();
    text.parse().map_err(|error| Miss::Wrong(format!("`clock.{name}`: {error}")))
}

async fn passing(stage: &Stage, case: &Case) -> Result<(), Miss> {
    let (start, end) = (moment(case, "start")?, moment(case, "end")?);
    let clock = SimulatedClock::starting_at(start);
    // A disk takes time that a simulated clock knows nothing of.
    let store = Arc::new(MemoryStore::new(Durability::AtOnce));
    let node = stage.node_on(case, store, Arc::new(clock)).await?;
    let played = attempt(&node, case, clock, end).await;
    node.shutdown().await;
    played
}

async fn attempt(node: &Arc<Node>, case: &Case, clock: SimulatedClock, end: Timestamp) -> Result<(), Miss> {
    for source in &case.others {
        save(node, source).await?;
    }
    let saved = save(node, &case.source).await?;
    let left = Duration::try_from(end.duration_since(clock.now())).unwrap_or_default();
    tokio::time::sleep(left + LAST).await;
    let flow = &saved.flow.key.id;
    let ids: Vec<ExecutionId> = all(node)
        .await
        .iter()
        .filter(|seen| seen.execution.flow.id == *flow)
        .map(|seen| seen.execution.id.clone())
        .collect();
    match ids.is_empty() {
        true if case.expect.get("fired") == Some(&json!([])) => Ok(()),
        true => wrong("nothing fired"),
        false => check(&case.expect, &scene(node, &saved, &ids.iter().collect::<Vec<_>>()).await?),
    }
}
