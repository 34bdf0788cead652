//! Running again what failed or paused, or from a task on; and changing a state by hand. A new generation begins: what was sent before is stale.

use model::change::{Change, Phase};
use model::ids::TaskRunId;
use model::state::State as Status;

use crate::draft::{Draft, Step};
use crate::event::{RejectCode, Rejected};
use crate::state::worse;

impl Draft {
    /// Puts task runs back. They begin with `Event::Continue`, so that everybody sees the execution RESTARTED before it runs.
    pub(crate) fn restart(&mut self, from: Option<&TaskRunId>) -> Result<(), Rejected> {
        let state = self.state.status().ok_or_else(|| Rejected::new(RejectCode::Unknown, "the execution has not started"))?;
        if !state.is_terminal() && state != Status::Paused {
            return Err(self.over("restart"));
        }
        if state.is_terminal() && !self.state.is_closed() {
            return Err(Rejected::new(RejectCode::Conflict, "the execution's afterExecution tasks are still running (hint: wait for them, or kill them)"));
        }
        let chosen = match from {
            Some(run) if self.state.node(run).is_none() => return Err(Rejected::new(RejectCode::Invalid, format!("no task run `{run}` to restart from"))),
            Some(run) => vec![run.clone()],
            None => self.failed_leaves(),
        };
        if chosen.is_empty() {
            return Err(Rejected::new(RejectCode::Invalid, "no task run to restart: none has failed"));
        }
        self.new_generation();
        if let Some(run) = from {
            self.drop_after(run);
        }
        self.drop_cleanup(None);
        for run in &chosen {
            self.put_back(run);
        }
        self.recount(None);
        self.enter_execution(Status::Restarted);
        self.command(crate::command::Command::Continue);
        Ok(())
    }

    fn new_generation(&mut self) {
        let Some(execution) = self.state.execution().cloned() else { return };
        self.change(Change::Generation { generation: execution.generation.saturating_add(1) });
        self.change(Change::Attempt { attempt: execution.attempt.saturating_add(1) });
        self.change(Change::Phase { parent: None, phase: Phase::Main });
    }

    // Failed, killed or paused task runs of the main phases that hold no failed one themselves.
    pub(crate) fn failed_leaves(&self) -> Vec<TaskRunId> {
        let mut found = Vec::new();
        let mut todo = self.main_children(None);
        while let Some(run) = todo.pop() {
            let Some(state) = self.run_status(&run) else { continue };
            let below: Vec<TaskRunId> = self.main_children(Some(&run)).into_iter().filter(|child| self.is_broken(child)).collect();
            match (self.is_broken(&run), below.is_empty()) {
                (true, true) => found.push(run),
                (true, false) => todo.extend(below),
                // Something in it failed and was allowed to.
                (false, _) if state == Status::Paused => found.push(run),
                (false, _) => {}
            }
        }
        found.sort_by_key(|run| self.state.node(run).map(|node| node.seq));
        found
    }

    fn is_broken(&self, run: &TaskRunId) -> bool {
        self.run_status(run).is_some_and(|state| state.is_failed() || state == Status::Paused)
    }

    fn main_children(&self, parent: Option<&TaskRunId>) -> Vec<TaskRunId> {
        let main = |run: &TaskRunId| self.state.node(run).is_some_and(|node| node.place.phase == Phase::Main);
        self.children_of(parent).into_iter().filter(main).collect()
    }

    /// Removes what ran in errors, finally and after, of a flow or of a task that is put back.
    fn drop_cleanup(&mut self, parent: Option<&TaskRunId>) {
        let cleanup = |run: &TaskRunId| self.state.node(run).is_some_and(|node| node.place.phase > Phase::Main);
        let tops: Vec<TaskRunId> = self.children_of(parent).into_iter().filter(cleanup).collect();
        let mut gone = Vec::new();
        for run in tops {
            gone.extend(self.descendants(&run));
            gone.push(run);
        }
        if !gone.is_empty() {
            self.change(Change::RunsRemoved { runs: gone });
        }
    }

    /// Replay: what ran after a task run is gone, so it runs again.
    fn drop_after(&mut self, run: &TaskRunId) {
        let gone = self.descendants(run);
        if !gone.is_empty() {
            self.change(Change::RunsRemoved { runs: gone });
        }
        let mut next = Some(run.clone());
        while let Some(current) = next {
            let Some(node) = self.state.node(&current) else { return };
            let (parent, place) = (node.run.parent.clone(), node.place);
            let later: Vec<TaskRunId> = self
                .children_of(parent.as_ref())
                .into_iter()
                .filter(|other| self.state.node(other).is_some_and(|other| other.place.phase == place.phase && other.place.lane == place.lane && other.place.position > place.position))
                .collect();
            let mut gone: Vec<TaskRunId> = Vec::new();
            for run in later {
                gone.extend(self.descendants(&run));
                gone.push(run);
            }
            if !gone.is_empty() {
                self.change(Change::RunsRemoved { runs: gone });
            }
            next = parent;
        }
    }

    /// A leaf is to run again; what holds it runs as if it had not ended.
    fn put_back(&mut self, run: &TaskRunId) {
        self.change(Change::RunFailed { run: run.clone(), failure: None });
        let holds = !self.main_children(Some(run)).is_empty();
        self.drop_cleanup(Some(run));
        // A task that failed although nothing in it did, such as a Pause whose time was over, goes on with what it holds.
        self.enter_run(run, if holds { Status::Running } else { Status::Restarted });
        let mut next = self.state.run(run).and_then(|run| run.parent.clone());
        while let Some(parent) = next {
            if self.run_status(&parent).is_some_and(Status::is_terminal) {
                self.change(Change::RunFailed { run: parent.clone(), failure: None });
                self.drop_cleanup(Some(&parent));
                self.change(Change::RunEntered { run: parent.clone(), state: Status::Running, at: self.now });
            }
            next = self.state.run(&parent).and_then(|run| run.parent.clone());
        }
    }

    /// Verdicts and phases of everything that runs again, from the children that stay.
    fn recount(&mut self, parent: Option<&TaskRunId>) {
        let children = self.main_children(parent);
        let verdict = children.iter().filter_map(|child| self.run_status(child)).filter(|state| state.is_terminal()).fold(None, worse);
        let lanes = children.iter().filter_map(|child| self.state.node(child)).map(|node| node.place.lane.saturating_add(1)).max().unwrap_or(0);
        self.change(Change::Reopened { parent: parent.cloned(), lanes });
        self.change(Change::Verdict { parent: parent.cloned(), state: verdict.unwrap_or(Status::Success) });
        for child in children {
            if self.has_block(&child) && self.run_status(&child) == Some(Status::Running) {
                self.recount(Some(&child));
            }
        }
    }

    /// What was put back begins.
    pub(crate) fn rerun(&mut self) {
        self.rerun_in(None);
    }

    fn rerun_in(&mut self, parent: Option<&TaskRunId>) {
        let children = self.main_children(parent);
        let mut waiting = false;
        for child in children {
            match self.run_status(&child) {
                Some(Status::Restarted) => {
                    waiting = true;
                    self.then(Step::Begin(child));
                }
                Some(Status::Running) if self.has_block(&child) => {
                    waiting = true;
                    self.rerun_in(Some(&child));
                }
                Some(state) if state.is_active() => waiting = true,
                _ => {}
            }
        }
        if !waiting {
            self.go_on_after_last(parent);
        }
    }

    // Nothing in it runs again by itself: it goes on after the last child that ended.
    fn go_on_after_last(&mut self, parent: Option<&TaskRunId>) {
        let last = self.main_children(parent).into_iter().max_by_key(|child| self.state.node(child).map(|node| node.seq));
        match last {
            Some(last) => self.then(Step::Ended(last)),
            None => self.then(Step::Enter(parent.cloned(), Phase::Main)),
        }
    }

    /// Changes a state by hand: of an execution that has ended, or of a task run in one, after which it goes on from there.
    pub(crate) fn change_state(&mut self, run: Option<&TaskRunId>, state: Status) -> Result<(), Rejected> {
        self.existing()?;
        if !state.is_terminal() || matches!(state, Status::Retried) {
            return Err(Rejected::new(RejectCode::Invalid, format!("a state cannot be changed to {state} by hand")));
        }
        let ended = self.state.status().is_some_and(Status::is_terminal) && self.state.is_closed();
        if !ended {
            return Err(Rejected::new(RejectCode::Conflict, "the state of an execution that has not ended cannot be changed (hint: kill it first)"));
        }
        let Some(run) = run else {
            self.enter_execution(state);
            let outputs = self.state.execution().map(|execution| execution.outputs.clone()).unwrap_or_default();
            self.command(crate::command::Command::Ended { state, outputs });
            return Ok(());
        };
        if self.state.node(run).is_none() {
            return Err(Rejected::new(RejectCode::Unknown, format!("there is no task run `{run}`")));
        }
        self.new_generation();
        self.drop_cleanup(None);
        self.put_back(run);
        self.change(Change::RunEntered { run: run.clone(), state, at: self.now });
        self.recount(None);
        self.enter_execution(Status::Restarted);
        self.command(crate::command::Command::Continue);
        Ok(())
    }
}
