//! An execution as a tree of lines for people. Pure: takes what is known, gives text; never touches the terminal.

use std::collections::HashMap;

use console::Style;
use jiff::Timestamp;
use model::execution::{Execution, TaskRun};
use model::lock::Lock;
use model::state::State;

/// Most characters of one output or failure shown in the tree: it is for seeing, the API has it whole.
const SHOWN_CHARS: usize = 120;

/// The lines of the tree, coloured where `console` says that colours are wanted.
pub fn lines(execution: &Execution, runs: &[TaskRun], lock: &Lock, now: Timestamp) -> Vec<String> {
    let mut children: HashMap<Option<&str>, Vec<&TaskRun>> = HashMap::new();
    for run in runs {
        children.entry(run.parent.as_ref().map(|id| id.as_str())).or_default().push(run);
    }
    let mut lines = vec![format!(
        "{} {} {}  {}",
        mark(execution.state()),
        Style::new().bold().apply_to(&execution.flow),
        Style::new().dim().apply_to(format!("{} · revision {}", execution.id, execution.revision)),
        duration(execution.history.started(), execution.history.ended(), now),
    )];
    let top = children.get(&None).cloned().unwrap_or_default();
    branch(&top, &children, "", &Seen { lock, now }, &mut lines);
    lines
}

/// What every line is drawn with.
struct Seen<'a> {
    lock: &'a Lock,
    now: Timestamp,
}

fn branch(
    runs: &[&TaskRun],
    children: &HashMap<Option<&str>, Vec<&TaskRun>>,
    indent: &str,
    seen: &Seen<'_>,
    lines: &mut Vec<String>,
) {
    for (position, run) in runs.iter().enumerate() {
        let last = position + 1 == runs.len();
        let (joint, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let value = run.value.as_deref().map(|value| format!(" [{}]", short(value))).unwrap_or_default();
        let mut line = format!(
            "{indent}{joint}{} {}{value}  {}",
            mark(run.state()),
            run.task,
            duration(run.history.started(), run.history.ended(), seen.now)
        );
        line.push_str(&plugin(run, seen.lock));
        if run.attempts.len() > 1 {
            line.push_str(&format!("  {}", Style::new().dim().apply_to(format!("attempt {}", run.attempts.len()))));
        }
        if let Some(failure) = run.attempts.last().and_then(|attempt| attempt.failure.as_ref())
            && run.state() != State::Success
        {
            line.push_str(&format!("  {}", Style::new().red().apply_to(short(&failure.message))));
        }
        lines.push(line);
        if let Some(grandchildren) = children.get(&Some(run.id.as_str())) {
            branch(grandchildren, children, &format!("{indent}{below}"), seen, lines);
        }
    }
}

/// The plugin and version a task run runs on, behind two spaces; nothing for the engine's own tasks.
pub fn plugin(run: &TaskRun, lock: &Lock) -> String {
    let locked = lock.tasks.get(&run.task);
    let text = locked.map(|locked| format!("{} {}", locked.plugin, locked.version));
    text.map(|text| format!("  {}", Style::new().dim().apply_to(text))).unwrap_or_default()
}

/// One character for a state.
pub fn mark(state: State) -> String {
    let (mark, style) = match state {
        State::Success => ("✓", Style::new().green()),
        State::Warning => ("!", Style::new().yellow()),
        State::Failed => ("✗", Style::new().red()),
        State::Killed | State::Cancelled => ("■", Style::new().red()),
        State::Skipped => ("○", Style::new().dim()),
        State::Paused | State::Queued | State::Breakpoint => ("‖", Style::new().cyan()),
        State::Running | State::Killing | State::Retrying | State::Restarted => ("●", Style::new().cyan()),
        State::Created | State::Retried => ("·", Style::new().dim()),
    };
    style.apply_to(mark).to_string()
}

/// A time that passed, as people read it: `12 ms`, `3.4 s`, `2 min 5 s`.
pub fn duration(from: Timestamp, to: Option<Timestamp>, now: Timestamp) -> String {
    let milliseconds = to.unwrap_or(now).duration_since(from).as_millis().max(0);
    let text = match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds / 1_000 % 60),
    };
    Style::new().dim().apply_to(text).to_string()
}

/// Text on one line, cut where it gets long; control characters are shown, not obeyed.
pub fn short(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(SHOWN_CHARS)
        .map(|character| if character == '\n' { ' ' } else { character })
        .flat_map(visible)
        .collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        out.push('…');
    }
    out
}

/// A character as it may be sent to a terminal: a guest's log must not move the cursor or recolour the screen.
pub fn visible(character: char) -> impl Iterator<Item = char> {
    let escaped = character.is_control() && character != '\n' && character != '\t';
    let mut plain = (!escaped).then_some(character);
    let mut shown = escaped.then(|| character.escape_unicode());
    std::iter::from_fn(move || plain.take().or_else(|| shown.as_mut().and_then(Iterator::next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        console::set_colors_enabled(false);
        let at = |ms: i64| Timestamp::from_millisecond(ms).expect("a time");
        let check = |ms: i64, expected: &str| assert_eq!(duration(at(0), Some(at(ms)), at(0)), expected);
        check(0, "0 ms");
        check(999, "999 ms");
        check(3_456, "3.4 s");
        check(125_000, "2 min 5 s");
    }

    #[test]
    fn guests_cannot_drive_the_terminal() {
        assert_eq!(short("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb c");
    }
}
