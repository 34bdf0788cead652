//! What must hold in every state: counters agree with what they count, and nothing waits for nothing.

use model::change::Phase;
use model::ids::TaskRunId;
use model::state::State as Status;

use crate::State;
use crate::state::{Slot, worse};

/// The first invariant that does not hold.
pub fn check(state: &State) -> Result<(), String> {
    counters(state, None)?;
    for run in state.order.values() {
        let Some(node) = state.node(run) else { return Err(format!("`{run}` is ordered and not there")) };
        if node.frame.is_some() {
            counters(state, Some(run))?;
        }
        if node.run.state().is_active() {
            waits(state, run)?;
        }
        items(state, run)?;
        if state.paused.contains(run) != (node.run.state() == Status::Paused) {
            return Err(format!("`{run}` is {} and counted otherwise", node.run.state()));
        }
    }
    if state.order.len() != state.nodes.len() {
        return Err("task runs without a place in the order".to_owned());
    }
    flow(state)
}

fn counters(state: &State, parent: Option<&TaskRunId>) -> Result<(), String> {
    let frame = state.frame(parent);
    let children =
        || state.order.values().filter_map(|id| state.node(id)).filter(|node| node.run.parent.as_ref() == parent);
    let open = children().filter(|node| node.place.phase != Phase::OnPause && node.run.state().is_active()).count();
    if open != frame.open as usize {
        return Err(format!("frame {parent:?} counts {} open children, has {open}", frame.open));
    }
    let worst = children()
        .filter(|node| node.place.phase == Phase::Main && node.run.state().is_terminal())
        .fold(None, |so_far, node| worse(so_far, node.run.state()));
    // From the errors phase on the verdict stands, whatever ended the main phase.
    if frame.phase == Phase::Main
        && frame.expired.is_none()
        && worse(frame.verdict, worst.unwrap_or(Status::Success)) != frame.verdict
    {
        return Err(format!("frame {parent:?} has verdict {:?}, its children say {worst:?}", frame.verdict));
    }
    Ok(())
}

// The batches of a ForEachItem: every one is in one place, and what is under way is waited for.
fn items(state: &State, run: &TaskRunId) -> Result<(), String> {
    let Some(items) = state.items.get(run) else { return Ok(()) };
    let rendering = crate::flowable::items::rendering(state, run).len();
    let own = || state.children.values().filter(|wait| wait.run == *run && wait.batch.is_some());
    let running = own().filter(|wait| wait.waits && wait.started).count();
    let asked = own().filter(|wait| !wait.started).count();
    let ended = items.ended.values().sum::<u32>();
    let active = state.run(run).is_some_and(|run| run.state().is_active());
    if items.not_begun() + items.open + ended != items.batches {
        return Err(format!("batches of `{run}` are lost or doubled: {items:?}"));
    }
    if active && (items.open as usize != rendering + running + asked || items.running as usize != running) {
        return Err(format!("`{run}` waits for {rendering} renders, {asked} + {running} executions: {items:?}"));
    }
    if !active && (items.open > 0 || rendering > 0 || running > 0) {
        return Err(format!("`{run}` has ended with batches under way: {items:?}"));
    }
    Ok(())
}

// Everything that is under way waits for something that will come.
fn waits(state: &State, run: &TaskRunId) -> Result<(), String> {
    let by_timer = state.timers.keys().any(|id| id.run.as_ref() == Some(run));
    let by_render = state.renders.iter().any(|id| id.run.as_ref() == Some(run));
    let by_child = state.children.values().any(|wait| wait.run == *run);
    let by_children =
        state.nodes.values().any(|node| node.run.parent.as_ref() == Some(run) && node.run.state().is_active());
    let by_parent_unit =
        state.node(run).and_then(|node| node.run.parent.as_ref()).is_some_and(|unit| state.jobs.contains_key(unit));
    let waiting = [
        by_timer,
        by_render,
        by_child,
        by_children,
        by_parent_unit,
        state.jobs.contains_key(run),
        state.paused.contains(run),
        state.held_runs.contains(run),
        state.files.contains(run),
        state.held && state.items.contains_key(run),
        state.backlog.contains(&Some(run.clone())),
        state.status().is_some_and(|status| matches!(status, Status::Restarted | Status::Queued)),
    ];
    match waiting.contains(&true) {
        true => Ok(()),
        false => Err(format!(
            "`{run}` of {:?} is {:?} and waits for nothing",
            state.node(run).map(|node| &node.run.task),
            state.run(run).map(|run| run.state())
        )),
    }
}

fn flow(state: &State) -> Result<(), String> {
    let Some(status) = state.status() else { return Ok(()) };
    let ended = status.is_terminal();
    if ended && state.slot != Slot::None {
        return Err(format!("the execution is {status} and has slot {:?}", state.slot));
    }
    if state.is_closed() != (ended && state.root.open == 0 && state.root.phase == Phase::Done) {
        return Err(format!("the execution is {status} and closed: {}", state.is_closed()));
    }
    let by_flow = state.root.open > 0
        || state.renders.iter().any(|id| id.run.is_none())
        || state.timers.keys().any(|id| id.run.is_none())
        || state.backlog.contains(&None)
        || state.slot != Slot::None && !matches!(state.slot, Slot::Held(_));
    if !state.is_closed() && !by_flow && status != Status::Restarted {
        return Err(format!("the execution is {status} and waits for nothing"));
    }
    Ok(())
}
