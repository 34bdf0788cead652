//! `sluice flow`: looks at flows without running them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use model::problem::{Problem, Severity};
use server::Issue;

use crate::args::Global;
use crate::setup;

/// Exit code when at least one file is not valid.
const INVALID: u8 = 2;

/// Says everything that is wrong with each file. Needs no node: nothing is saved or run.
pub async fn validate(global: &Global, files: &[PathBuf], json: bool) -> Result<ExitCode> {
    let catalog = setup::catalog(global, &[])?;
    let mut reports = Vec::new();
    let mut invalid = 0;
    for file in files {
        let problems = match std::fs::read_to_string(file) {
            Ok(source) => server::check(&source, &catalog),
            Err(error) => vec![unreadable(&error)],
        };
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        invalid += usize::from(errors > 0);
        if json {
            reports.push(serde_json::json!({
                "file": file, "valid": errors == 0,
                "problems": problems.iter().map(|problem| {
                    let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
                    let mut body = serde_json::to_value(Issue::from(problem)).unwrap_or_default();
                    if let Some(entries) = body.as_object_mut() {
                        entries.insert("severity".to_owned(), severity.into());
                    }
                    body
                }).collect::<Vec<_>>(),
            }));
            continue;
        }
        if problems.is_empty() {
            crate::print(&format!("{}: valid", file.display()));
        }
        for problem in &problems {
            crate::print(&format!("{}:{problem}", file.display()));
        }
        if errors == 0 && !problems.is_empty() {
            crate::print(&format!("{}: valid, with warnings", file.display()));
        }
    }
    if json {
        crate::print(&serde_json::to_string_pretty(&reports)?);
    }
    Ok(if invalid == 0 { ExitCode::SUCCESS } else { ExitCode::from(INVALID) })
}

fn unreadable(error: &std::io::Error) -> Problem {
    Problem {
        path: String::new(),
        line: 0,
        column: 0,
        code: "file.unreadable",
        message: format!("cannot be read: {error}"),
        hint: None,
        severity: Severity::Error,
    }
}
