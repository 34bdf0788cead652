//! Cases in which time passes: a node on a clock that jumps, from one moment to another. What fires in between is looked at.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::ids::ExecutionId;
use serde_json::{Value as Json, json};
use server::{Clock as _, Node};

use super::check::{Scene, check};
use super::play::{all, gone, save};
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
    let node = stage.node(case, Some(clock)).await?;
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
    let all = all(node).await;
    let flow = saved.flow.key.id.to_string();
    let mut logs = Vec::new();
    for seen in &all {
        let id: &ExecutionId = &seen.execution.id;
        logs.extend(node.logs(id.as_str(), 0, super::check::LINES_MAX).await.map_err(gone)?);
    }
    let main: Vec<_> = all.iter().filter(|seen| seen.execution.flow.id.as_str() == flow).cloned().collect();
    match main.is_empty() {
        true if case.expect.get("fired") == Some(&json!([])) => Ok(()),
        true => wrong("nothing fired"),
        false => check(&case.expect, &Scene { main, all, logs, flow }),
    }
}
