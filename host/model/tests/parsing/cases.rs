//! The cases in `tests/cases/`: a flow, and behind it what is wrong with it, one line `#! SEVERITY CODE LINE:COLUMN PATH | MESSAGE`
//! each, all of them and in order. `SLUICE_BLESS=1` writes what is found; read it before you commit it.

use std::path::{Path, PathBuf};

use model::{Problem, Severity};
use crate::support::Table;

const MARK: &str = "#! ";

fn written(problem: &Problem) -> String {
    let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
    let hint = problem.hint.as_ref().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
    let Problem { code, line, column, path, message, .. } = problem;
    let path = if path.is_empty() { "-" } else { path };
    format!("{MARK}{severity} {code} {line}:{column} {path} | {message}{hint}")
}

fn found(source: &str) -> Vec<String> {
    let problems = match model::parse(source, &Table::core()) {
        Ok(parsed) => {
            assert_eq!(&*parsed.flow.source, source, "the source is kept byte for byte");
            parsed.warnings
        }
        Err(problems) => {
            assert!(problems.iter().any(Problem::is_error), "what is refused has an error");
            problems
        }
    };
    problems.iter().map(written).collect()
}

#[test]
fn every_case_finds_its_problems_and_no_others() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 40, "{} cases", paths.len());
    let mut failed = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let (expected, source): (Vec<&str>, Vec<&str>) = text.split_inclusive('\n').partition(|line| line.starts_with(MARK));
        let (source, expected) = (source.concat(), expected.concat());
        let found: String = found(&source).into_iter().map(|line| line + "\n").collect();
        if std::env::var_os("SLUICE_BLESS").is_some() {
            std::fs::write(&path, format!("{source}{found}")).unwrap();
        } else if found != expected {
            failed.push(format!("{}:\n{found}expected:\n{expected}", path.display()));
        }
    }
    println!("{}", failed.join("\n"));
    assert!(failed.is_empty(), "{} cases", failed.len());
}
