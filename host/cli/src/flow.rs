//! `sluice flow`: looks at flows without running them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use model::problem::{Problem, Severity};
use server::Issue;

use crate::args::Global;
use crate::setup;

/// Exit code when at least one file is not valid.
const INVALID: u8 = 2;

/// Says everything that is wrong with each file. Needs no node: nothing is saved or run.
pub async fn validate(global: &Global, files: &[PathBuf], json: bool) -> Result<ExitCode> {
    let (catalog, policies) = (setup::catalog(global, &[])?, setup::policies(global)?);
    let usual = runtime::Limits::default();
    // What namespaces give their flows is known to their server alone.
    let namespaces = server::Namespaces::default();
    let ground = server::Ground { catalog: &catalog, policies: &policies, namespaces: &namespaces, usual: &usual };
    let mut reports = Vec::new();
    let mut invalid = 0;
    for file in files {
        let problems = match std::fs::read_to_string(file) {
            Ok(source) => ground.check(&source),
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

/// Prints the least policy for a flow.
pub fn grants(global: &Global, file: &Path) -> Result<ExitCode> {
    let catalog = setup::catalog(global, &[])?;
    let source = std::fs::read_to_string(file).with_context(|| format!("cannot read the flow `{}`", file.display()))?;
    match server::least(&source, &catalog, &runtime::Limits::default()) {
        Ok(policy) => {
            crate::print(policy.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            for problem in &problems {
                crate::complain(&format!("{}:{problem}", file.display()));
            }
            Ok(ExitCode::from(INVALID))
        }
    }
}

/// Writes the schema of flows that editors complete and check with.
pub fn schema(global: &Global, output: Option<&Path>) -> Result<ExitCode> {
    let catalog = setup::catalog(global, &[])?;
    let document = server::flow_schema::document(&catalog, server::flow_schema::Of::Flow);
    let text = serde_json::to_string_pretty(&document)?;
    match output {
        Some(file) => {
            std::fs::write(file, text + "\n").with_context(|| format!("cannot write `{}`", file.display()))?;
        }
        None => crate::print(&text),
    }
    Ok(ExitCode::SUCCESS)
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
