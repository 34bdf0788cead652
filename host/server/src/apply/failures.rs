//! Failures in the log of an execution: what went wrong at ERROR, where and when at TRACE.

use std::sync::Arc;

use model::execution::{Failure, TaskRun};
use model::ids::{ExecutionId, TaskRunId};
use model::state::History;
use model::task::LogLevel;
use store::rows::{LogLine, Target};

use super::Hot;
use super::commands::After;
use crate::node::Node;

/// Writes the failures that a turn decided on into the log. What runs because of them may ask for them (`errorLogs()`), so this comes
/// before the commit.
pub(super) async fn log(node: &Arc<Node>, id: &ExecutionId, hot: &Hot, deeds: &[After]) {
    let failures = deeds.iter().filter_map(|deed| match deed {
        After::Log { run, failure } => Some((run.as_ref(), failure)),
        _ => None,
    });
    let lines: Vec<LogLine> = failures.flat_map(|(run, failure)| node.failure_lines(id, hot, run, failure)).collect();
    if lines.is_empty() {
        return;
    }
    if let Err(error) = node.store.append_logs(lines).await {
        tracing::warn!(%error, "a log line was lost");
    }
}

impl Node {
    /// A failure as lines of the execution's log. As in Kestra, whose second line is the stack of its exception, there are two of them:
    /// its words, and at [`LogLevel::Trace`] its code and the attempt it ended.
    fn failure_lines(
        &self,
        id: &ExecutionId,
        hot: &Hot,
        run: Option<&TaskRunId>,
        failure: &Failure,
    ) -> impl Iterator<Item = LogLine> {
        let run = run.and_then(|run| hot.state.run(run));
        let attempt = run.and_then(|run| run.attempts.last()).filter(|last| last.failure.as_ref() == Some(failure));
        let words = LogLine {
            of: Target::Execution(id.clone()),
            position: 0,
            at: self.now(),
            level: LogLevel::Error,
            flow: Some(hot.saved.flow.key.clone()),
            task: run.map(|run| run.task.clone()),
            task_run: run.map(|run| run.id.clone()),
            attempt: run.filter(|_| attempt.is_some()).map_or(0, attempts),
            message: failure.message.as_str().into(),
            fields: Vec::new(),
        };
        let least = run.and_then(|run| hot.state.flow().task(&run.task)).and_then(|task| task.log_level);
        let place = run.filter(|_| matches!(least, None | Some(LogLevel::Trace))).map(|run| LogLine {
            level: LogLevel::Trace,
            message: place(hot, run, attempt.map(|attempt| &attempt.history), failure).into(),
            ..words.clone()
        });
        std::iter::once(words).chain(place)
    }
}

fn attempts(run: &TaskRun) -> u32 {
    u32::try_from(run.attempts.len()).unwrap_or(u32::MAX)
}

/// The failure with its code, then the task run, and the attempt if it ended one, each on a line of its own.
fn place(hot: &Hot, run: &TaskRun, attempt: Option<&History>, failure: &Failure) -> String {
    let flow = &hot.saved.flow.key;
    let mut place = format!(
        "{}: {}\nat task `{}` of flow `{flow}`, revision {}, task run {}",
        failure.code, failure.message, run.task, hot.saved.flow.revision, run.id
    );
    if let Some(attempt) = attempt {
        let lasted = attempt.since().duration_since(attempt.started());
        place.push_str(&format!("\nattempt {} began at {} and lasted {lasted:#}", attempts(run), attempt.started()));
    }
    place
}
