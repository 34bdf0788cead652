//! ForEachItem: a file is cut into batches, each is given to an execution of its own, and what those give is gathered.
//!
//! Only the shell touches files: it is asked to cut and to gather, and answers. How many executions there are at once is bounded.

use std::sync::Arc;

use expr::{Map, Value};
use model::batch::{Batches, Batching};
use model::change::{Again, Change, Child, Evaluated, RenderId, RenderPurpose};
use model::execution::Failure;
use model::ids::{ExecutionId, TaskRunId};
use model::state::State as Status;
use model::task::{FlowTask, TaskKind};

use crate::command::{Command, Message};
use crate::draft::{Draft, failure};
use crate::event::{ChildResult, JobId, RejectCode, Rejected};
use crate::flowable::subflow::CHILD_FAILED;
use crate::ids::{child_id, retry_id};
use crate::items::Items;
use crate::state::{ChildWait, State};
use crate::task::text_of;

/// Executions of one ForEachItem that are waited for at once: each is held in memory on the node that owns it.
pub const ITEMS_AT_ONCE: u32 = 200;

impl Draft {
    /// `_split`: asks for the file to be cut.
    pub(crate) fn ask_split(&mut self, run: &TaskRunId, values: &Map) {
        self.start_attempt(run);
        let batch = values.get("batch").and_then(Value::as_map).cloned().unwrap_or_default();
        let batching = Batching::read(&batch).map_err(|reason| failure("invalid-property", reason));
        let items = text_of(values, "items").filter(|items| !items.is_empty());
        let items = items.ok_or_else(|| {
            failure(
                "invalid-property",
                "`items` is empty (hint: give the URI of a file, such as `{{ outputs.x.uri }}`)",
            )
        });
        match batching.and_then(|batching| items.map(|items| (items.to_string(), batching))) {
            Ok((items, batching)) => {
                self.evaluated(run, Evaluated::Split { items, batching });
                self.ask_files(run);
            }
            Err(problem) => self.attempt_over(run, Err(problem), Value::Null),
        }
    }

    fn ask_files(&mut self, run: &TaskRunId) {
        self.change(Change::FilesAsked { run: run.clone() });
        if let Some(command) = files_command(&self.state, run) {
            self.command(command);
        }
    }

    pub(crate) fn split_over(&mut self, job: &JobId, result: Result<Batches, Failure>) -> Result<(), Rejected> {
        self.files_answered(job, |kind| matches!(kind, FlowTask::SplitItems { .. }))?;
        let run = &job.run;
        match (result, self.state.run(run).and_then(|run| run.parent.clone())) {
            (Ok(batches), Some(parent)) => {
                self.outputs(run, Value::map([("splits", Value::text(batches.list.as_str()))]));
                self.evaluated(&parent, Evaluated::Batches(batches));
                self.attempt_over(run, Ok(Status::Success), Value::Null);
            }
            (Ok(_), None) => {}
            (Err(problem), _) => self.attempt_over(run, Err(problem), Value::Null),
        }
        Ok(())
    }

    /// `_items`: begins, or begins again with what did not end well.
    pub(crate) fn begin_items(&mut self, run: &TaskRunId, values: &Map) {
        let restarted = self.run_status(run) == Some(Status::Restarted);
        self.start_attempt(run);
        let child = match self.child_of(run, values) {
            Ok(child) => child,
            Err(problem) => return self.attempt_over(run, Err(problem), Value::Null),
        };
        let Some(batches) = batches_of(&self.state, run).map(|batches| batches.count) else {
            return self.attempt_over(run, Err(no_batches()), Value::Null);
        };
        let restart_new =
            matches!(self.flow_task(run).as_deref(), Some(FlowTask::RunItems(subflow)) if subflow.restart_new);
        let again = if restarted && !restart_new && child.wait { Again::Restart } else { Again::Anew };
        self.evaluated(run, Evaluated::Items(Box::new(child)));
        match self.state.items.get(run).is_some_and(|items| items.batches == batches) {
            true => {
                self.change(Change::ItemsAgain { run: run.clone(), again });
                self.change(Change::RunFailed { run: run.clone(), failure: None });
            }
            false => self.change(Change::ItemsBegun { run: run.clone(), batches }),
        }
        self.fill_items(run);
    }

    /// Begins batches as far as the limit allows; with none left and none under way, the task is over.
    pub(crate) fn fill_items(&mut self, run: &TaskRunId) {
        if self.run_status(run) != Some(Status::Running) {
            return;
        }
        let broken = self.state.node(run).is_some_and(|node| node.failure.is_some());
        while let Some(items) = self.state.items.get(run).filter(|items| items.open < ITEMS_AT_ONCE) {
            let Some(batch) = items.waiting().filter(|_| !broken && !self.state.held) else { break };
            let known = items.restart.contains(&batch).then(|| batch_child(&self.state, run, batch)).flatten();
            self.change(Change::BatchBegun { run: run.clone(), batch });
            match known {
                Some(child) => self.restart_batch(run, batch, child),
                None => self.ask_for(run, RenderPurpose::Batch(batch)),
            }
        }
        self.show_items(run);
        let over = |items: &Arc<Items>| items.open == 0 && (broken || items.waiting().is_none());
        if self.state.items.get(run).is_some_and(over) {
            self.items_over(run);
        }
    }

    fn restart_batch(&mut self, run: &TaskRunId, batch: u32, child: ExecutionId) {
        let asked = Change::BatchAsked { run: run.clone(), batch, child: child.clone(), waits: true, ask: None };
        self.change(asked);
        self.change(Change::ChildStarted { run: run.clone(), child: child.clone() });
        let attempt = self.next_attempt(run);
        self.message(&format!("restart/{child}/{attempt}"), Message::Restart { execution: child });
    }

    /// What the execution of a batch gets is known: it is asked for.
    pub(crate) fn batch_rendered(&mut self, run: &TaskRunId, batch: u32, result: Result<Map, Failure>) {
        let ask = result.and_then(|values| self.batch_ask(run, &values));
        let attempt = self.next_attempt(run).saturating_sub(1);
        let id = self.state.execution().map(|execution| child_id(&execution.id, run, attempt, batch));
        match (ask, id) {
            (Ok(ask), Some(child)) => {
                self.change(Change::BatchAsked {
                    run: run.clone(),
                    batch,
                    child: child.clone(),
                    waits: ask.wait,
                    ask: Some(Box::new(ask.clone())),
                });
                self.command(Command::StartChild { run: run.clone(), child, ask: Box::new(ask) });
            }
            (Err(problem), _) => self.batch_broken(run, batch, problem),
            (Ok(_), None) => {}
        }
    }

    fn batch_ask(&self, run: &TaskRunId, values: &Map) -> Result<Child, Failure> {
        let node = self.state.node(run);
        let Some(Evaluated::Items(common)) = node.and_then(|node| node.evaluated.as_ref()) else {
            return Err(failure("task-missing", "the task is no ForEachItem"));
        };
        let mut ask = (**common).clone();
        ask.inputs = values.get("inputs").and_then(Value::as_map).cloned().unwrap_or_default();
        ask.labels = self.own_labels(&ask.labels, values.get("labels"))?;
        Ok(ask)
    }

    // What goes wrong before there is an execution goes wrong for all of them: no more are begun, and the task fails.
    fn batch_broken(&mut self, run: &TaskRunId, batch: u32, problem: Failure) {
        if self.state.node(run).is_some_and(|node| node.failure.is_none()) {
            self.change(Change::RunFailed { run: run.clone(), failure: Some(problem) });
        }
        self.batch_over(run, batch, Status::Failed, false);
    }

    fn batch_over(&mut self, run: &TaskRunId, batch: u32, state: Status, made: bool) {
        self.change(Change::BatchEnded { run: run.clone(), batch, state, made });
        self.fill_items(run);
    }

    pub(crate) fn batch_started(&mut self, child: &ExecutionId, wait: &ChildWait, batch: u32) {
        self.change(Change::ChildStarted { run: wait.run.clone(), child: child.clone() });
        match (wait.waits, self.run_status(&wait.run).is_some_and(Status::is_active)) {
            // The execution is remembered for kills, and for nothing else.
            (false, true) => self.batch_over(&wait.run, batch, Status::Success, true),
            (true, true) => self.show_items(&wait.run),
            (_, false) => {}
        }
    }

    /// The execution of a batch has ended, or could not be made.
    pub(crate) fn batch_child_over(
        &mut self,
        child: &ExecutionId,
        wait: &ChildWait,
        batch: u32,
        result: Result<ChildResult, Failure>,
    ) {
        let run = &wait.run;
        self.change(Change::ChildEnded { child: child.clone() });
        if !wait.waits && wait.started || self.run_status(run).is_none_or(Status::is_terminal) {
            return;
        }
        match result {
            Ok(_) if !wait.waits => self.batch_over(run, batch, Status::Success, true),
            Ok(result) if result.state == Status::Retried => {
                let (run, child) = (run.clone(), retry_id(child));
                let asked =
                    Change::BatchAsked { run: run.clone(), batch, child: child.clone(), waits: true, ask: None };
                self.change(asked);
                self.change(Change::ChildStarted { run, child });
            }
            Ok(result) => self.batch_over(run, batch, result.state, true),
            Err(problem) => self.batch_broken(run, batch, problem),
        }
    }

    // The outputs tell how far it is.
    fn show_items(&mut self, run: &TaskRunId) {
        let Some(items) = self.state.items.get(run).filter(|items| items.batches > 0) else { return };
        let under_way =
            [(Status::Created, items.not_begun() + items.open - items.running), (Status::Running, items.running)];
        let waits = self
            .state
            .node(run)
            .is_some_and(|node| matches!(&node.evaluated, Some(Evaluated::Items(child)) if child.wait));
        // What nobody waits for counts as done when it has begun.
        let mut counts: Map = under_way
            .into_iter()
            .filter(|(state, _)| waits || *state == Status::Running)
            .map(|(state, count)| (Arc::from(state.as_str()), Value::Int(count.into())))
            .collect();
        for (state, count) in &items.ended {
            counts.insert(Arc::from(state.as_str()), Value::Int((*count).into()));
        }
        let outputs =
            Value::map([("numberOfBatches", Value::Int(items.batches.into())), ("iterations", Value::from(counts))]);
        if self.state.run(run).is_some_and(|run| run.outputs != outputs) {
            self.outputs(run, outputs);
        }
    }

    fn items_over(&mut self, run: &TaskRunId) {
        let Some(node) = self.state.node(run) else { return };
        let Some(items) = self.state.items.get(run) else { return };
        let transmits = matches!(&node.evaluated, Some(Evaluated::Items(child)) if child.transmit_failed);
        let result = match &node.failure {
            Some(problem) => Err(problem.clone()),
            None if transmits && !items.bad.is_empty() => Err(child_failure(items)),
            None if transmits && items.ended.contains_key(&Status::Warning) => Ok(Status::Warning),
            None => Ok(Status::Success),
        };
        self.attempt_over(run, result, Value::Null);
    }

    /// Ends what a task of a ForEachItem has under way.
    pub(crate) fn halt_items(&mut self, run: &TaskRunId) {
        if self.state.files.contains(run) {
            self.change(Change::FilesAnswered { run: run.clone() });
        }
        if !self.state.items.contains_key(run) {
            return;
        }
        for batch in rendering(&self.state, run) {
            self.change(Change::RenderAnswered {
                id: RenderId { run: Some(run.clone()), purpose: RenderPurpose::Batch(batch) },
            });
            self.change(Change::BatchDropped { run: run.clone(), batch });
        }
        let own = |(child, wait): (&ExecutionId, &ChildWait)| {
            let batch = wait.batch.filter(|_| wait.run == *run && (wait.waits || !wait.started))?;
            Some((child.clone(), batch, wait.waits, wait.started))
        };
        let open: Vec<_> = self.state.children.iter().filter_map(own).collect();
        for (child, batch, waits, made) in open {
            // One that was asked for and is not waited for is on its way.
            if !waits {
                self.change(Change::BatchEnded { run: run.clone(), batch, state: Status::Success, made: true });
                continue;
            }
            if !self.spares_children {
                self.message(&format!("kill/{child}"), Message::Kill { execution: child.clone(), cascade: true });
            }
            self.change(Change::ChildEnded { child });
            self.change(Change::BatchEnded { run: run.clone(), batch, state: Status::Killed, made });
        }
        self.show_items(run);
    }

    /// `_merge`: asks for what the executions gave to be gathered.
    pub(crate) fn ask_merge(&mut self, run: &TaskRunId) {
        self.start_attempt(run);
        match merge_children(&self.state, run) {
            None => self.attempt_over(run, Err(no_batches()), Value::Null),
            // Without batches, or with executions that nobody waited for, there is nothing to gather.
            Some(children) if children.is_empty() => self.attempt_over(run, Ok(Status::Success), Value::Null),
            Some(_) => self.ask_files(run),
        }
    }

    pub(crate) fn merge_over(&mut self, job: &JobId, result: Result<Option<String>, Failure>) -> Result<(), Rejected> {
        self.files_answered(job, |kind| matches!(kind, FlowTask::MergeItems))?;
        match result {
            Ok(Some(uri)) => {
                let outputs = Value::map([("subflowOutputs", Value::text(uri))]);
                self.attempt_over(&job.run, Ok(Status::Success), outputs);
            }
            Ok(None) => self.attempt_over(&job.run, Ok(Status::Success), Value::Null),
            Err(problem) => self.attempt_over(&job.run, Err(problem), Value::Null),
        }
        Ok(())
    }

    fn files_answered(&mut self, job: &JobId, asked: fn(&FlowTask) -> bool) -> Result<(), Rejected> {
        let run = &job.run;
        let current = self.state.files.contains(run)
            && self.state.generation() == job.generation
            && self.next_attempt(run).saturating_sub(1) == job.attempt
            && self.flow_task(run).is_some_and(|task| asked(&task));
        if !current {
            let message = format!("files of task run `{run}` are not, or no longer, waited for");
            return Err(Rejected::new(RejectCode::Stale, message));
        }
        self.change(Change::FilesAnswered { run: run.clone() });
        Ok(())
    }

    fn flow_task(&self, run: &TaskRunId) -> Option<Box<FlowTask>> {
        match &self.task(run)?.kind {
            TaskKind::Flow(task) => Some(task.clone()),
            _ => None,
        }
    }
}

fn child_failure(items: &Items) -> Failure {
    let bad = items.ended.iter().filter(|(state, _)| state.is_failed());
    let counts: Vec<String> = bad.map(|(state, count)| format!("{count} {state}")).collect();
    failure(CHILD_FAILED, format!("of {} executions, not all ended well: {}", items.batches, counts.join(", ")))
}

/// The batches of the ForEachItem that a task run belongs to.
pub(crate) fn batches_of<'a>(state: &'a State, run: &TaskRunId) -> Option<&'a Batches> {
    let parent = state.run(run)?.parent.as_ref()?;
    match &state.node(parent)?.evaluated {
        Some(Evaluated::Batches(batches)) => Some(batches),
        _ => None,
    }
}

/// The execution that stands for a batch.
fn batch_child(state: &State, run: &TaskRunId, batch: u32) -> Option<ExecutionId> {
    let known = state.items.get(run)?.ids.get(&batch).cloned();
    known.or_else(|| Some(child_id(&state.execution()?.id, run, 1, batch)))
}

/// The batches whose inputs are being rendered.
pub(crate) fn rendering(state: &State, run: &TaskRunId) -> Vec<u32> {
    let id = |batch| RenderId { run: Some(run.clone()), purpose: RenderPurpose::Batch(batch) };
    let pending = state.renders.range(id(0)..=id(u32::MAX));
    pending
        .filter_map(|id| match id.purpose {
            RenderPurpose::Batch(batch) => Some(batch),
            _ => None,
        })
        .collect()
}

fn no_batches() -> Failure {
    let message = "the batches of this ForEachItem belong to another execution (hint: replay the ForEachItem itself)";
    failure("no-batches", message)
}

// The executions that a `_merge` gathers from, in the order of the batches, none where nobody waited for them. `None`: this execution,
// a replay, does not know them.
fn merge_children(state: &State, run: &TaskRunId) -> Option<Vec<ExecutionId>> {
    let merge = state.run(run)?;
    let parent = merge.parent.as_ref()?;
    let task = state.flow.task(&state.run(parent)?.task)?;
    let items_task = crate::flowable::block(&task.kind)?.tasks.get(1)?;
    let values = state.values_path(Some(parent), None);
    let items = state.run_of(items_task, &values)?;
    let batches = match &state.node(&items.id)?.evaluated {
        Some(Evaluated::Items(child)) if !child.wait => 0,
        _ => state.items.get(&items.id)?.batches,
    };
    Some((0..batches).filter_map(|batch| batch_child(state, &items.id, batch)).collect())
}

/// The command that asks for the files of a task run, from the state alone.
pub(crate) fn files_command(state: &State, run: &TaskRunId) -> Option<Command> {
    let node = state.node(run).filter(|_| state.files.contains(run))?;
    let attempt = node.run.attempts.len() as u32;
    let job = JobId { run: run.clone(), attempt, generation: state.generation() };
    match &node.evaluated {
        Some(Evaluated::Split { items, batching }) => {
            Some(Command::Split { job, items: items.clone(), batching: batching.clone() })
        }
        _ => Some(Command::Merge { job, children: merge_children(state, run)? }),
    }
}
