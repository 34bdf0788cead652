//! Running again what failed, or from a task run on; and changing a state by hand. A new generation begins: what was sent before is stale.
//!
//! Only executions that have ended and in which nothing runs any more are put back, so every task run found here has ended.

use std::collections::{BTreeMap, BTreeSet};

use model::change::{Change, Phase, Place};
use model::ids::TaskRunId;
use model::state::State as Status;
use model::task::{FlowTask, TaskKind};

use crate::command::Command;
use crate::draft::{Draft, Step};
use crate::event::{RejectCode, Rejected};
use crate::state::worse;

impl Draft {
    /// Puts task runs back. They begin with `Event::Continue`, so that everybody sees the execution RESTARTED before it runs.
    pub(crate) fn restart(&mut self, from: Option<&TaskRunId>) -> Result<(), Rejected> {
        if from.is_none() && self.state.status() == Some(Status::Paused) {
            return self.resume(None, &expr::Map::new());
        }
        self.at_rest("restart")?;
        let chosen = match from {
            Some(run) => vec![self.whole(&self.main_run(run)?)],
            None => self.failed_leaves(),
        };
        // Without a task run that failed it was ended before its time, or its outputs failed: it goes on from where it was.
        if chosen.is_empty() && !self.state.status().is_some_and(Status::is_failed) {
            return Err(Rejected::new(
                RejectCode::Invalid,
                "no task run to restart: none has failed (hint: replay it from a task run)",
            ));
        }
        if let Some(run) = from {
            let below = self.children_of(Some(run));
            self.remove(below);
        }
        self.reopen();
        chosen.iter().for_each(|run| self.drop_after(run));
        // One that came after another is gone, and begins when its turn comes.
        for run in chosen.iter().filter(|run| self.state.node(run).is_some()).cloned().collect::<Vec<_>>() {
            self.put_back(&run);
        }
        self.begin_again();
        Ok(())
    }

    /// Changes a state by hand: of an execution that has ended, or of a task run in one, after which it goes on from there.
    pub(crate) fn change_state(&mut self, run: Option<&TaskRunId>, state: Status) -> Result<(), Rejected> {
        if !state.is_terminal() || state == Status::Retried {
            return Err(Rejected::new(RejectCode::Invalid, format!("a state cannot be changed to {state} by hand")));
        }
        self.at_rest("change the state of")?;
        let Some(run) = run else {
            self.enter_execution(state);
            let outputs = self.state.execution().map(|execution| execution.outputs.clone()).unwrap_or_default();
            self.command(Command::Ended { state, outputs });
            return Ok(());
        };
        let run = self.main_run(run)?;
        if self.whole(&run) != run {
            return Err(Rejected::new(
                RejectCode::Invalid,
                "tasks of a working directory end together (hint: change the state of the WorkingDirectory)",
            ));
        }
        self.reopen();
        self.reopen_parents(&run);
        self.change(Change::RunFailed { run: run.clone(), failure: None });
        self.enter_run(&run, state);
        self.begin_again();
        Ok(())
    }

    fn at_rest(&self, what: &str) -> Result<(), Rejected> {
        match self.state.status() {
            Some(Status::Retried) => Err(Rejected::new(
                RejectCode::Conflict,
                format!("cannot {what} an execution that another has taken the place of (hint: use the other)"),
            )),
            Some(state) if state.is_terminal() && self.state.is_closed() => Ok(()),
            Some(state) if state.is_terminal() => Err(Rejected::new(
                RejectCode::Conflict,
                format!(
                    "cannot {what} an execution whose afterExecution tasks run (hint: wait for them, or kill them)"
                ),
            )),
            _ => Err(self.over(what)),
        }
    }

    // A task run that belongs to `tasks` of the flow, and everything around it as well.
    fn main_run(&self, run: &TaskRunId) -> Result<TaskRunId, Rejected> {
        let mut next = Some(run);
        while let Some(id) = next {
            let node = self
                .state
                .node(id)
                .ok_or_else(|| Rejected::new(RejectCode::Invalid, format!("there is no task run `{run}`")))?;
            if node.place.phase != Phase::Main {
                return Err(Rejected::new(
                    RejectCode::Invalid,
                    format!("task run `{run}` is not one of the flow's `tasks` (hint: choose one of those)"),
                ));
            }
            next = node.run.parent.as_ref();
        }
        Ok(run.clone())
    }

    // The working directory a task run belongs to, or the task run itself: what runs as one begins again as one.
    fn whole(&self, run: &TaskRunId) -> TaskRunId {
        let parent = self.state.run(run).and_then(|run| run.parent.clone());
        parent.filter(|parent| self.is_unit(parent)).unwrap_or_else(|| run.clone())
    }

    /// Failed, killed or cancelled task runs that hold no such one themselves, in the order they were created.
    pub(crate) fn failed_leaves(&self) -> Vec<TaskRunId> {
        let mut found = Vec::new();
        let mut todo = self.main_children(None);
        while let Some(run) = todo.pop() {
            if !self.is_broken(&run) {
                continue;
            }
            let below: Vec<TaskRunId> =
                self.main_children(Some(&run)).into_iter().filter(|child| self.is_broken(child)).collect();
            match below.is_empty() || self.is_unit(&run) {
                true => found.push(run),
                false => todo.extend(below),
            }
        }
        found.sort_by_key(|run| self.state.node(run).map(|node| node.seq));
        found
    }

    fn is_broken(&self, run: &TaskRunId) -> bool {
        self.run_status(run).is_some_and(Status::is_failed)
    }

    fn main_children(&self, parent: Option<&TaskRunId>) -> Vec<TaskRunId> {
        let main = |run: &TaskRunId| self.state.node(run).is_some_and(|node| node.place.phase == Phase::Main);
        self.children_of(parent).into_iter().filter(main).collect()
    }

    fn remove(&mut self, tops: Vec<TaskRunId>) {
        let mut gone = Vec::new();
        for run in tops {
            gone.extend(self.descendants(&run));
            gone.push(run);
        }
        if !gone.is_empty() {
            self.change(Change::RunsRemoved { runs: gone });
        }
    }

    // What ran in errors, finally and after belongs to the life that is over.
    fn drop_cleanup(&mut self, parent: Option<&TaskRunId>) {
        let cleanup = |run: &TaskRunId| self.state.node(run).is_some_and(|node| node.place.phase > Phase::Main);
        let gone = self.children_of(parent).into_iter().filter(cleanup).collect();
        self.remove(gone);
    }

    /// What came after a task run is gone, so it runs again.
    fn drop_after(&mut self, run: &TaskRunId) {
        let mut next = Some(run.clone());
        while let Some(current) = next {
            let Some(node) = self.state.node(&current) else { return };
            let (parent, place) = (node.run.parent.clone(), node.place);
            let later = self
                .children_of(parent.as_ref())
                .into_iter()
                .filter(|other| self.comes_after(parent.as_ref(), other, place))
                .collect();
            self.remove(later);
            next = parent;
        }
    }

    fn comes_after(&self, parent: Option<&TaskRunId>, other: &TaskRunId, place: Place) -> bool {
        let Some(node) = self.state.node(other).filter(|node| node.place.phase == place.phase) else { return false };
        if let Some(depends_on) = self.dependencies(parent) {
            return reaches(&depends_on, node.place.position as usize, place.position as usize);
        }
        let later_in_lane = node.place.lane == place.lane && node.place.position > place.position;
        later_in_lane || self.is_one_by_one(parent) && node.place.lane > place.lane
    }

    fn dependencies(&self, parent: Option<&TaskRunId>) -> Option<Vec<Vec<usize>>> {
        let task = self.task(parent?)?;
        let TaskKind::Flow(flow) = &task.kind else { return None };
        let FlowTask::Dag { depends_on, .. } = flow.as_ref() else { return None };
        Some(depends_on.clone())
    }

    // The execution lives again: a new generation, in its main phase.
    fn reopen(&mut self) {
        let Some(execution) = self.state.execution().cloned() else { return };
        self.drop_cleanup(None);
        self.change(Change::Generation { generation: execution.generation.saturating_add(1) });
        self.change(Change::Attempt { attempt: execution.attempt.saturating_add(1) });
    }

    /// A task run is to run again; what holds it runs as if it had not ended.
    fn put_back(&mut self, run: &TaskRunId) {
        self.change(Change::RunFailed { run: run.clone(), failure: None });
        self.reopen_parents(run);
        self.drop_cleanup(Some(run));
        let below = self.main_children(Some(run));
        // A pause is not waited for twice: what it holds goes on.
        if self.is_pause(run) && !below.is_empty() {
            return self.enter_run(run, Status::Running);
        }
        let all = self.children_of(Some(run));
        self.remove(all);
        if self.state.node(run).is_some_and(|node| node.frame.is_some()) {
            self.change(Change::Reopened { parent: Some(run.clone()), lanes: 0 });
            self.change(Change::Verdict { parent: Some(run.clone()), state: Status::Success });
        }
        self.enter_run(run, Status::Restarted);
    }

    fn reopen_parents(&mut self, run: &TaskRunId) {
        let mut next = self.state.run(run).and_then(|run| run.parent.clone());
        while let Some(parent) = next {
            if self.run_status(&parent).is_some_and(Status::is_terminal) {
                self.change(Change::RunFailed { run: parent.clone(), failure: None });
                self.drop_cleanup(Some(&parent));
                self.enter_run(&parent, Status::Running);
            }
            next = self.state.run(&parent).and_then(|run| run.parent.clone());
        }
    }

    fn begin_again(&mut self) {
        self.recount(None);
        self.enter_execution(Status::Restarted);
        self.command(Command::Continue);
    }

    // Verdicts and phases of everything that runs again, from the children that stay.
    fn recount(&mut self, parent: Option<&TaskRunId>) {
        let children = self.main_children(parent);
        let verdict = children
            .iter()
            .filter_map(|child| self.run_status(child))
            .filter(|state| state.is_terminal())
            .fold(None, worse);
        let lanes = children
            .iter()
            .filter_map(|child| self.state.node(child))
            .map(|node| node.place.lane.saturating_add(1))
            .max()
            .unwrap_or(0);
        self.change(Change::Reopened { parent: parent.cloned(), lanes });
        self.change(Change::Verdict { parent: parent.cloned(), state: verdict.unwrap_or(Status::Success) });
        for child in children {
            if self.run_status(&child) == Some(Status::Running) {
                self.recount(Some(&child));
            }
        }
    }

    /// What was put back begins, and what had ended goes on after its last child.
    pub(crate) fn rerun(&mut self) {
        self.rerun_in(None);
    }

    fn rerun_in(&mut self, parent: Option<&TaskRunId>) {
        let children = self.main_children(parent);
        // Where a child of a lane runs again, none that comes after it in the lane says that the lane has come to its end.
        let runs = |child: &TaskRunId| matches!(self.run_status(child), Some(Status::Restarted | Status::Running));
        let mut ends_of_lanes: BTreeMap<u32, Option<TaskRunId>> = BTreeMap::new();
        for child in &children {
            let Some(lane) = self.state.node(child).map(|node| node.place.lane) else { continue };
            let end = ends_of_lanes.entry(lane).or_insert_with(|| Some(child.clone()));
            *end = if runs(child) || end.is_none() { None } else { Some(child.clone()) };
        }
        let ends_of_lanes: BTreeSet<TaskRunId> = ends_of_lanes.into_values().flatten().collect();
        let mut goes_on = false;
        for child in &children {
            match self.run_status(child) {
                Some(Status::Restarted) => self.then(Step::Begin(child.clone())),
                Some(Status::Running) => {
                    self.start_clock(child);
                    self.rerun_in(Some(child));
                }
                // A failure that stays says nothing again: its siblings would be ended for it.
                Some(state) if !state.is_failed() && ends_of_lanes.contains(child) => {
                    self.then(Step::Ended(child.clone()))
                }
                _ => continue,
            }
            goes_on = true;
        }
        if goes_on {
            return;
        }
        match children.into_iter().max_by_key(|child| self.state.node(child).map(|node| node.seq)) {
            Some(last) => self.then(Step::Ended(last)),
            None => self.go_to(parent.cloned(), Phase::Main),
        }
    }
}

/// Whether task `from` of a Dag depends on task `to`, directly or not. Dags are free of cycles and as small as their source.
fn reaches(depends_on: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut todo: Vec<usize> = depends_on.get(from).cloned().unwrap_or_default();
    let mut seen = vec![false; depends_on.len()];
    while let Some(next) = todo.pop() {
        if next == to {
            return true;
        }
        if let Some(seen) = seen.get_mut(next).filter(|seen| !**seen) {
            *seen = true;
            todo.extend(depends_on.get(next).into_iter().flatten().copied());
        }
    }
    false
}
