//! `sluice flow check`: what somebody gets who comes with a folder of flows. Finds the files, has each looked at, and reports.

mod files;
mod report;

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use console::Term;
use model::problem::{Problem, Severity};
use model::survey::{Survey, Totals, Verdict};

use crate::args::{Check, Global, Report};
use crate::setup;

/// Exit code when at least one flow is invalid.
const INVALID: u8 = 2;
/// Exit code of `--strict` when at least one flow lacks something.
const LACKING: u8 = 3;
/// How often progress is shown: an eye needs no more.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// All that was found.
struct Found {
    files: usize,
    /// Each with the file it is from, in order.
    surveys: Vec<(String, Survey)>,
    totals: Totals,
}

/// Looks at all flows under some paths and says what they lack.
pub fn check(global: &Global, arguments: &Check) -> Result<ExitCode> {
    let catalog = setup::catalog(global, &[])?;
    let files = files::under(&arguments.paths)?;
    let mut progress = Progress::new(files.len());
    let mut found = Found { files: files.len(), surveys: Vec::new(), totals: Totals::default() };
    let mut places: HashMap<(String, String), String> = HashMap::new();
    for file in &files {
        progress.step()?;
        let shown = file.display().to_string();
        let surveys = match files::read(file) {
            Ok(source) => server::survey(&source, &catalog),
            Err(problem) => vec![Survey::invalid(problem)],
        };
        for mut survey in surveys {
            if let Some(first) = twice(&survey, &shown, &mut places) {
                survey.problems.insert(0, first);
            }
            found.totals.add(&survey);
            found.surveys.push((shown.clone(), survey));
        }
    }
    progress.end()?;
    if found.totals.flows == 0 {
        let paths: Vec<String> = arguments.paths.iter().map(|path| format!("`{}`", path.display())).collect();
        bail!(
            "there is no flow in {}\n  hint: flows are .yaml or .yml files with `id`, `namespace` and `tasks`",
            paths.join(", ")
        );
    }
    match arguments.output {
        Report::Text => report::text(&found),
        Report::Json => report::json(&found)?,
    }
    let lacking = found.totals.runs < found.totals.flows;
    Ok(match (found.totals.invalid, arguments.strict && lacking) {
        (0, false) => ExitCode::SUCCESS,
        (0, true) => ExitCode::from(LACKING),
        _ => ExitCode::from(INVALID),
    })
}

/// Of two flows with one name the second would replace the first.
fn twice(survey: &Survey, file: &str, places: &mut HashMap<(String, String), String>) -> Option<Problem> {
    let key = survey.namespace.clone().zip(survey.id.clone()).filter(|_| survey.verdict != Verdict::NotAFlow)?;
    let message = format!("the flow `{}.{}` is there twice", key.0, key.1);
    let first = places.insert(key, format!("{file}:{}", survey.first_line))?;
    Some(Problem {
        path: String::new(),
        line: survey.first_line,
        column: 1,
        code: "flow.twice",
        message,
        hint: Some(format!("the other one is {first}; of two only the one that is saved last is kept")),
        severity: Severity::Warning,
    })
}

/// How far it has come, on a terminal.
struct Progress {
    term: Option<Term>,
    total: usize,
    done: usize,
    shown_at: Instant,
    drawn: usize,
}

impl Progress {
    fn new(total: usize) -> Self {
        let term = std::io::stderr().is_terminal().then(Term::stderr);
        Self { term, total, done: 0, shown_at: Instant::now(), drawn: 0 }
    }

    fn step(&mut self) -> std::io::Result<()> {
        self.done += 1;
        if let Some(term) = &self.term
            && self.shown_at.elapsed() >= PROGRESS_EVERY
        {
            term.clear_last_lines(self.drawn)?;
            term.write_line(&format!("looked at {} of {} files", self.done, self.total))?;
            (self.drawn, self.shown_at) = (1, Instant::now());
        }
        Ok(())
    }

    fn end(&self) -> std::io::Result<()> {
        match &self.term {
            Some(term) => term.clear_last_lines(self.drawn),
            None => Ok(()),
        }
    }
}
