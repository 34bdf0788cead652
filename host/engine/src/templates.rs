//! Which templates belong to a render. They follow from the flow and the task, so a render that a crash interrupted can be asked again.

use std::sync::Arc;

use expr::Value;
use model::change::{RenderId, RenderPurpose};
use model::flow::SlaRule;
use model::task::{FlowTask, Subflow, Task, TaskKind};

use crate::command::Rendering;
use crate::draft::optional;
use crate::state::State;

type Template = (&'static str, Value, Rendering);

/// The templates of a render, by name, in order.
pub(crate) fn templates(state: &State, id: &RenderId) -> Vec<Template> {
    let task = id.run.as_ref().and_then(|run| state.task_of(run));
    match (id.purpose, task) {
        (RenderPurpose::RunIf, Some(task)) => {
            optional("runIf", task.run_if.as_ref(), Rendering::Typed).into_iter().collect()
        }
        (RenderPurpose::Begin, Some(task)) => begin(&task),
        (RenderPurpose::LoopCondition, Some(task)) => match &task.kind {
            TaskKind::Flow(flow) => match flow.as_ref() {
                FlowTask::LoopUntil { condition, .. } => vec![("condition", condition.0.clone(), Rendering::Typed)],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        },
        (RenderPurpose::ChildOutputs, Some(task)) => match &task.kind {
            TaskKind::Flow(flow) => match flow.as_ref() {
                FlowTask::Subflow(subflow) => {
                    vec![("outputs", Value::Map(Arc::new(subflow.outputs.clone())), Rendering::Typed)]
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        },
        (RenderPurpose::Batch(_), Some(task)) => match &task.kind {
            TaskKind::Flow(flow) => match flow.as_ref() {
                FlowTask::RunItems(subflow) => of_batch(subflow),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        },
        (RenderPurpose::FlowOutputs, _) => {
            let outputs = state.flow.outputs.iter().map(|output| (output.id.clone(), output.value.0.clone()));
            vec![("outputs", Value::map(outputs), Rendering::Typed)]
        }
        (RenderPurpose::Sla(index), _) => match state.flow.sla.get(index as usize).map(|sla| &sla.rule) {
            Some(SlaRule::Assertion(assertion)) => vec![("assert", assertion.0.clone(), Rendering::Typed)],
            _ => Vec::new(),
        },
        (RenderPurpose::Listener(index), _) => match state.flow.listeners.get(index as usize) {
            Some(listener) => {
                vec![("conditions", Value::list(listener.conditions.iter().cloned()), Rendering::Conditions)]
            }
            None => Vec::new(),
        },
        (_, None) => Vec::new(),
    }
}

fn begin(task: &Task) -> Vec<Template> {
    let mut templates: Vec<Template> = match &task.kind {
        TaskKind::Plugin(_) => Vec::new(),
        TaskKind::Engine(engine) => vec![("properties", Value::Map(engine.properties.clone()), Rendering::Typed)],
        TaskKind::Flow(flow) => of_flow_task(flow),
    };
    templates.extend(optional("timeout", task.timeout.as_ref(), Rendering::Text));
    templates
}

fn of_flow_task(task: &FlowTask) -> Vec<Template> {
    match task {
        FlowTask::If { condition, .. } => vec![("condition", condition.0.clone(), Rendering::Typed)],
        FlowTask::Switch { value, .. } => vec![("value", value.0.clone(), Rendering::Text)],
        FlowTask::ForEach { values, .. } => vec![("values", values.0.clone(), Rendering::Typed)],
        FlowTask::LoopUntil { frequency, .. } => {
            let mut templates = vec![("interval", frequency.interval.0.clone(), Rendering::Text)];
            templates.extend(optional("maxIterations", frequency.max_iterations.as_ref(), Rendering::Typed));
            templates.extend(optional("maxDuration", frequency.max_duration.as_ref(), Rendering::Text));
            templates
        }
        FlowTask::Pause(pause) => {
            let mut templates = vec![("behavior", pause.behavior.0.clone(), Rendering::Text)];
            templates.extend(optional("duration", pause.duration.as_ref(), Rendering::Text));
            templates
        }
        FlowTask::Sleep { duration } => vec![("duration", duration.0.clone(), Rendering::Text)],
        FlowTask::Subflow(subflow) => of_children(subflow).into_iter().chain(of_batch(subflow)).collect(),
        FlowTask::RunItems(subflow) => of_children(subflow),
        FlowTask::SplitItems { items, batch } => {
            let batch = Value::Map(Arc::new(batch.clone()));
            vec![("items", items.0.clone(), Rendering::Text), ("batch", batch, Rendering::Typed)]
        }
        FlowTask::Sequential(_)
        | FlowTask::AllowFailure(_)
        | FlowTask::Parallel { .. }
        | FlowTask::Dag { .. }
        | FlowTask::ForEachItem(_)
        | FlowTask::MergeItems
        | FlowTask::WorkingDirectory { .. } => Vec::new(),
        FlowTask::Template { namespace, template_id } => {
            let template_id = ("templateId", template_id.0.clone(), Rendering::Text);
            vec![("namespace", namespace.0.clone(), Rendering::Text), template_id]
        }
    }
}

// What all executions of a task have in common.
fn of_children(subflow: &Subflow) -> Vec<Template> {
    let mut templates = vec![
        ("namespace", subflow.namespace.0.clone(), Rendering::Text),
        ("flowId", subflow.flow_id.0.clone(), Rendering::Text),
        ("wait", subflow.wait.0.clone(), Rendering::Typed),
        ("transmitFailed", subflow.transmit_failed.0.clone(), Rendering::Typed),
        ("inheritLabels", subflow.inherit_labels.0.clone(), Rendering::Typed),
    ];
    templates.extend(optional("scheduleDate", subflow.schedule_date.as_ref(), Rendering::Text));
    templates
}

// What each of them has for itself.
fn of_batch(subflow: &Subflow) -> Vec<Template> {
    let mut templates = vec![("inputs", Value::Map(Arc::new(subflow.inputs.clone())), Rendering::Typed)];
    templates.extend(optional("labels", subflow.labels.as_ref(), Rendering::Typed));
    templates
}
