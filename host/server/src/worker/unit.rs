//! A WorkingDirectory: its tasks one after the other in one directory, with the files that are put in before and taken out after.

use std::sync::Arc;

use engine::{Event, UnitReport};
use expr::Value;
use model::execution::Failure;
use model::ids::TaskId;
use model::task::{FlowTask, Task, TaskKind};
use runtime::Cancel;

use super::directory::{Place, Wanted};
use super::kept::Keeping;
use super::{Assignment, Done, Ready, failed, unknown_task};
use crate::node::Node;

/// The properties that say which files.
const FILES: [&str; 4] = ["inputFiles", "outputFiles", "namespaceFiles", "cache"];

impl Node {
    /// The whole of it, on this worker.
    pub(super) async fn unit(self: &Arc<Self>, unit: &Assignment, tasks: &[TaskId], cancel: &Cancel) -> Done {
        let directory = match self.working_dir(unit.job.run.as_str()) {
            Ok(directory) => directory,
            Err(failure) => return Done::failed(failure),
        };
        let root = directory.path();
        let place =
            Place { flow: &unit.saved.flow.key, execution: &unit.execution, task: &unit.task, run: &unit.job.run };
        let ready = async {
            let wanted = Wanted::read(&self.unit_files(unit).await?, &place)?;
            let cached = self.fill(root, &wanted, &place).await?;
            Ok((wanted, cached))
        };
        let (wanted, cached) = match ready.await {
            Ok(ready) => ready,
            Err(failure) => return Done::failed(failure),
        };
        match self.unit_tasks(unit, tasks, root, cancel).await {
            engine::End::Success => {}
            end => return Done::of(end),
        }
        let keeping = Keeping::new(unit.job.run.clone());
        match self.harvest(root, &wanted, &place, cached, &keeping).await {
            Ok(outputs) => {
                let outcome = engine::Outcome { end: engine::End::Success, outputs };
                Done { outcome, kept: keeping.take() }
            }
            Err(failure) => Done::failed(failure),
        }
    }

    /// The properties about files, rendered.
    async fn unit_files(self: &Arc<Self>, unit: &Assignment) -> Result<expr::Map, Failure> {
        let properties = match unit.saved.flow.task(&unit.task).map(|task| &task.kind) {
            Some(TaskKind::Flow(flow)) => match flow.as_ref() {
                FlowTask::WorkingDirectory { properties, .. } => properties.clone(),
                _ => Arc::default(),
            },
            _ => Arc::default(),
        };
        let written = FILES.iter().filter_map(|name| Some((*name, properties.get(*name)?.clone())));
        let templates = written.map(|(name, value)| (name, value, engine::Rendering::Typed)).collect();
        self.render(&unit.state, &unit.saved, &engine::RenderScope::Run(unit.job.run.clone()), templates).await
    }

    async fn unit_tasks(
        self: &Arc<Self>,
        unit: &Assignment,
        tasks: &[TaskId],
        root: &std::path::Path,
        cancel: &Cancel,
    ) -> engine::End {
        for id in tasks {
            let Some(task) = unit.saved.flow.task(id) else { return engine::End::Failed(unknown_task(id)) };
            let tell = |report| Event::UnitTask { job: unit.job.clone(), epoch: unit.epoch, task: id.clone(), report };
            if task.disabled {
                continue;
            }
            let wanted = self.unit_condition(unit, task).await;
            if let Ok(false) = wanted {
                self.report(&unit.execution, tell(UnitReport::Skipped), None).await;
                continue;
            }
            self.report(&unit.execution, tell(UnitReport::Started), None).await;
            if let Err(failure) = wanted {
                self.report(&unit.execution, tell(UnitReport::Ended(failed(failure.clone()))), None).await;
                if task.allow_failure {
                    continue;
                }
                return engine::End::Failed(failure);
            }
            // What the tasks before it gave is in the newest state only.
            let Some(state) = self.peek(&unit.execution).await else { return engine::End::Killed };
            let run = state.runs().filter(|run| run.task == *id && run.parent.as_ref() == Some(&unit.job.run)).last();
            let (Some(record), Some(run)) = (state.execution(), run) else {
                return engine::End::Failed(unknown_task(id));
            };
            let ready = Ready {
                state: &state,
                saved: &unit.saved,
                execution: record,
                run,
                task,
                job: &unit.job,
                epoch: unit.epoch,
                attempt: 1,
                timeout: unit.timeout,
                working_dir: Some(root.to_owned()),
                cancel: cancel.clone(),
            };
            let Done { outcome, kept } = self.attempt(ready).await;
            let end = outcome.end.clone();
            self.report(&unit.execution, tell(UnitReport::Ended(outcome)), kept).await;
            match end {
                engine::End::Failed(failure) if !task.allow_failure => return engine::End::Failed(failure),
                engine::End::Killed => return engine::End::Killed,
                _ => {}
            }
        }
        engine::End::Success
    }

    /// Whether a task of a WorkingDirectory is to run, by its `runIf` and what the tasks before it gave.
    async fn unit_condition(self: &Arc<Self>, unit: &Assignment, task: &Task) -> Result<bool, Failure> {
        let (Some(condition), Some(state)) = (&task.run_if, self.peek(&unit.execution).await) else { return Ok(true) };
        let scope = engine::RenderScope::Run(unit.job.run.clone());
        let template = vec![("runIf", condition.0.clone(), engine::Rendering::Typed)];
        let values = self.render(&state, &unit.saved, &scope, template).await?;
        Ok(values.get("runIf").is_some_and(Value::truthy))
    }
}
