//! Ending what runs, from the leaves up. What only waits ends at once; what a worker holds ends when the worker, or its loss, is heard of.

use model::change::{CancelReason, Change, Phase, Place, RenderId, RenderPurpose, TimerPurpose};
use model::ids::TaskRunId;
use model::state::State as Status;

use crate::command::Message;
use crate::draft::Draft;
use crate::flowable::{subflow::current_child, tasks_in};
use crate::life::PHASES;
use crate::state::worse;

const RUN_RENDERS: [RenderPurpose; 4] =
    [RenderPurpose::RunIf, RenderPurpose::Begin, RenderPurpose::LoopCondition, RenderPurpose::ChildOutputs];
const RUN_TIMERS: [TimerPurpose; 4] =
    [TimerPurpose::Wake, TimerPurpose::Timeout, TimerPurpose::Retry, TimerPurpose::Loop];

impl Draft {
    /// Ends everything under a task run, or, with `None`, everything.
    pub(crate) fn halt_children(&mut self, parent: Option<&TaskRunId>, state: Status) {
        if self.state.backlog.contains(&parent.cloned()) {
            self.change(Change::Backlog { parent: parent.cloned(), waiting: false });
        }
        for child in self.children_of(parent) {
            if self.run_status(&child).is_some_and(Status::is_active) {
                self.halt_children(Some(&child), state);
                self.halt(&child, state);
            }
        }
    }

    /// Ends one task run whose children have ended or are ending.
    pub(crate) fn halt(&mut self, run: &TaskRunId, state: Status) {
        if self.run_status(run).is_none_or(Status::is_terminal) {
            return;
        }
        self.drop_renders(Some(run));
        self.release(run);
        for purpose in RUN_TIMERS {
            self.clear_timer(Some(run), purpose);
        }
        self.halt_items(run);
        if self.state.jobs.contains_key(run) {
            self.enter_run(run, Status::Killing);
            return self.cancel_job(run, CancelReason::Stopped(state));
        }
        if let Some(child) = current_child(&self.state, run)
            .filter(|child| self.state.children.get(child).is_some_and(|wait| wait.waits))
        {
            if !self.spares_children {
                self.message(&format!("kill/{child}"), Message::Kill { execution: child.clone(), cascade: true });
            }
            self.change(Change::ChildEnded { child });
        }
        self.end_open_attempt(run, state);
        if self.children_of(Some(run)).iter().any(|child| self.run_status(child).is_some_and(Status::is_active)) {
            // It ends as they are told to, also where they are not of its main phase.
            let verdict = self.frame(Some(run)).verdict;
            if let Some(state) = worse(verdict, state).filter(|worst| Some(*worst) != verdict) {
                self.change(Change::Verdict { parent: Some(run.clone()), state });
            }
            self.enter_run(run, Status::Killing);
        } else {
            self.finish_as(run, state);
        }
    }

    /// Nothing holds a task run back or will begin it.
    fn release(&mut self, run: &TaskRunId) {
        if self.state.held_runs.contains(run) {
            self.change(Change::RunHeld { run: run.clone(), on: false });
        }
    }

    fn end_open_attempt(&mut self, run: &TaskRunId, state: Status) {
        let attempts = self.state.run(run).map(|run| &run.attempts);
        let open =
            attempts.and_then(|attempts| attempts.last()).is_some_and(|attempt| attempt.history.current().is_active());
        if open {
            let attempt = attempts.map_or(0, |attempts| attempts.len() as u32);
            self.change(Change::AttemptEnded { run: run.clone(), attempt, state, failure: None, at: self.now });
        }
    }

    /// Whether a task run is being ended while its children are.
    pub(crate) fn is_halting(&self, run: Option<&TaskRunId>) -> bool {
        run.is_some_and(|run| self.run_status(run) == Some(Status::Killing))
    }

    pub(crate) fn drop_renders(&mut self, run: Option<&TaskRunId>) {
        let own: Vec<RenderId> = match run {
            Some(run) => {
                // Those of batches go with the batches.
                RUN_RENDERS.iter().map(|purpose| RenderId { run: Some(run.clone()), purpose: *purpose }).collect()
            }
            None => self.state.renders.iter().filter(|id| id.run.is_none()).cloned().collect(),
        };
        for id in own {
            if self.state.renders.contains(&id) {
                self.change(Change::RenderAnswered { id });
            }
        }
    }

    /// Kills every execution that task runs of this one started.
    pub(crate) fn kill_children(&mut self) {
        let children: Vec<_> = self.state.children.keys().cloned().collect();
        for child in children {
            self.message(&format!("kill/{child}"), Message::Kill { execution: child, cascade: true });
        }
    }

    /// The children a task run, or the flow, has now. Their ids follow from where they are, so nothing need be searched.
    pub(crate) fn children_of(&self, parent: Option<&TaskRunId>) -> Vec<TaskRunId> {
        let flow = self.flow();
        let mut children = Vec::new();
        let mut add = |place: Place, iteration: Option<(u32, String)>| {
            let key = iteration.as_ref().map(|(index, value)| (*index, value.as_str()));
            for task in tasks_in(&self.state, &flow, parent, place) {
                children.extend(self.child_run_id(parent, task, key).filter(|id| self.state.node(id).is_some()));
            }
        };
        let frame = self.frame(parent);
        for phase in PHASES {
            let place = Place { phase, lane: 0, position: 0 };
            match (phase, parent) {
                (Phase::Main, Some(_)) if self.iteration(parent, 0).is_some() => {
                    (0..frame.next).for_each(|lane| add(place, self.iteration(parent, lane)));
                }
                (Phase::Listeners, None) => {
                    (0..flow.listeners.len() as u32).for_each(|lane| add(Place { lane, ..place }, None));
                }
                _ => add(place, None),
            }
        }
        children
    }
}
