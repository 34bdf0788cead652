//! What a case does with its flow, read from the corpus' notation: `run+restart*3`, `run_until_paused+api_resume`, `webhook`, …

use model::state::State;

use super::{Miss, beyond};

/// Most times a restart is asked for in one case.
const RESTARTS_MAX: usize = 100;

/// What is done with a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Only until the inputs are typed.
    Resolve,
    /// Started, and left to run to its end, after which something may be done.
    Run(Option<After>),
    /// Not before so many seconds.
    Schedule(i64),
    /// Stopped at its pause, then dealt with.
    Paused(Paused),
    /// Another flow is started and paused first: its execution is an input of this one.
    BesidePaused(String),
    /// Started twice, the second while the first runs.
    Twice(Option<Overlap>),
}

/// What is done once an execution has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    Restart {
        times: usize,
    },
    /// From the last task run of a task; unknown tasks are asked for too.
    Replay {
        task: String,
    },
    ChangeStatus(State),
    ChangeTaskRun {
        of_child: bool,
        index: usize,
        state: State,
    },
    SetLabels,
    Evaluate,
}

/// What is done with an execution that is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paused {
    Resume,
    Kill,
}

/// What is done with two executions of which one waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    RestartFirst,
    UnqueueSecond,
    ForceRunSecond,
}

/// Reads an action.
pub fn action(text: &str) -> Result<Action, Miss> {
    let unknown = || beyond(format!("the action `{text}`"));
    let (name, argument) = with_argument(text);
    match (name, argument) {
        ("run" | "api_create", None | Some("wait=true")) => return Ok(Action::Run(None)),
        ("resolve_inputs", None) => return Ok(Action::Resolve),
        ("schedule_at", Some(when)) => {
            let seconds = when.strip_prefix("now+").and_then(|rest| rest.strip_suffix('s')).map(str::parse);
            return seconds.and_then(Result::ok).map_or_else(unknown, |seconds| Ok(Action::Schedule(seconds)));
        }
        _ => {}
    }
    let Some((first, then)) = text.split_once('+') else {
        return if text == "run_twice_overlapping" { Ok(Action::Twice(None)) } else { unknown() };
    };
    match with_argument(first) {
        ("run", None) => after(then).map_or_else(unknown, |after| Ok(Action::Run(Some(after)))),
        ("run_until_paused", None) => match then {
            "resume" | "api_resume" => Ok(Action::Paused(Paused::Resume)),
            "kill" | "api_kill" => Ok(Action::Paused(Paused::Kill)),
            _ => unknown(),
        },
        ("run_until_paused", Some(flow)) if then == "run" => Ok(Action::BesidePaused(flow.to_owned())),
        ("run_twice_overlapping", None) => match then {
            "restart_first_while_second_runs" => Ok(Action::Twice(Some(Overlap::RestartFirst))),
            "api_unqueue(second)" => Ok(Action::Twice(Some(Overlap::UnqueueSecond))),
            "api_force_run(second)" => Ok(Action::Twice(Some(Overlap::ForceRunSecond))),
            _ => unknown(),
        },
        _ => unknown(),
    }
}

fn after(text: &str) -> Option<After> {
    if let Some(times) = text.strip_prefix("restart*") {
        return times.parse().ok().filter(|times| *times <= RESTARTS_MAX).map(|times| After::Restart { times });
    }
    match with_argument(text) {
        ("restart", None) => Some(After::Restart { times: 1 }),
        ("replay", Some(task)) => Some(After::Replay { task: task.to_owned() }),
        ("change_status", Some(state)) => state_named(state).map(After::ChangeStatus),
        ("change_task_run_state", Some(argument)) => {
            let (run, state) = argument.split_once(',')?;
            let (of_child, run) = match run.strip_prefix("child ") {
                Some(run) => (true, run),
                None => (false, run),
            };
            let index = run.strip_prefix('#')?.parse().ok()?;
            Some(After::ChangeTaskRun { of_child, index, state: state_named(state.trim())? })
        }
        ("api_set_labels", None) => Some(After::SetLabels),
        ("eval", None) => Some(After::Evaluate),
        _ => None,
    }
}

fn state_named(name: &str) -> Option<State> {
    serde_json::from_value(name.into()).ok()
}

/// `name(argument)` as its two parts.
fn with_argument(text: &str) -> (&str, Option<&str>) {
    match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        Some((name, argument)) if !argument.contains(['(', ')']) => (name, Some(argument)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read() {
        let check = |text: &str, expected: Action| assert_eq!(action(text), Ok(expected), "{text}");
        check("run", Action::Run(None));
        check("api_create(wait=true)", Action::Run(None));
        check("schedule_at(now+1s)", Action::Schedule(1));
        check("run+restart*3", Action::Run(Some(After::Restart { times: 3 })));
        check("run+replay(2_end)", Action::Run(Some(After::Replay { task: "2_end".to_owned() })));
        check("run+change_status(WARNING)", Action::Run(Some(After::ChangeStatus(State::Warning))));
        let child = After::ChangeTaskRun { of_child: true, index: 0, state: State::Success };
        check("run+change_task_run_state(child #0,SUCCESS)", Action::Run(Some(child)));
        check("run_until_paused+api_kill", Action::Paused(Paused::Kill));
        check("run_until_paused(pause)+run", Action::BesidePaused("pause".to_owned()));
        check("run_twice_overlapping", Action::Twice(None));
        check("run_twice_overlapping+api_unqueue(second)", Action::Twice(Some(Overlap::UnqueueSecond)));
        for unknown in ["walk", "run+fly", "run+restart*x", "run_until_paused+dance"] {
            assert!(action(unknown).is_err(), "{unknown}");
        }
    }
}
