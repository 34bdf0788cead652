//! Flows that others wrote for other tests: the schema and the parser agree on each.

use std::path::{Path, PathBuf};

use catalog::Catalog;
use model::Role;
use model::survey::Verdict;
use tests::conformance::{corpus, own};

use crate::{catalog, of_flows, wrong};

/// What a schema can tell. All else that a flow is refused for lies between its values, or in the text of one.
const SHAPE: &[&str] = &[
    "flow.unknown_property",
    "flow.required",
    "flow.wrong_type",
    "flow.unknown_type",
    "flow.choice",
    "flow.not_supported",
    "flow.null_default",
    "flow.duration",
];
/// Told by these codes as well, and beyond a schema: a pattern of a kind that is not supported.
const BEYOND: &[&str] = &["invalid pattern"];

/// How flows were found, by both.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    accepted: usize,
    /// Refused by both: all that have the wrong shape, and what else a schema can tell.
    refused: usize,
    /// Refused by the parser for something else.
    beyond: usize,
    /// They need a plugin, or something that Sluice has not.
    left_out: usize,
}

/// Looks at flows, and fails for each on which the two disagree.
fn agree(sources: &[(String, String)]) -> Figures {
    let (catalog, schema) = (catalog(), of_flows());
    let mut figures = Figures::default();
    let mut disagreements = Vec::new();
    for (name, source) in sources {
        let surveys = server::survey(source, &catalog);
        let ([survey], Some(wrong)) = (surveys.as_slice(), wrong(schema, source)) else {
            figures.beyond += 1;
            continue;
        };
        let of_shape = survey.problems.iter().any(|problem| {
            let beyond = BEYOND.iter().any(|text| problem.message.contains(text));
            problem.is_error() && SHAPE.contains(&problem.code) && !beyond
        });
        match (survey.verdict, wrong.is_empty()) {
            (Verdict::Runs, true) => figures.accepted += 1,
            (Verdict::Runs, false) => disagreements.push(format!("{name} runs, and the schema says {wrong:#?}")),
            (Verdict::NeedsPlugins | Verdict::NotAFlow, _) => figures.left_out += 1,
            (_, true) if of_shape => {
                disagreements.push(format!("{name} fits the schema, and the parser says {:#?}", survey.problems));
            }
            (_, true) => figures.beyond += 1,
            (_, false) => figures.refused += 1,
        }
    }
    println!("{figures:?}");
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    figures
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn own_cases() {
    let cases = own(&tests::root().join("tests/cases")).expect("our own cases");
    let sources: Vec<(String, String)> = cases
        .into_iter()
        .flat_map(|case| std::iter::once(case.source).chain(case.others).map(move |source| (case.id.clone(), source)))
        .collect();
    let figures = agree(&sources);
    assert!(figures.accepted >= 229 && figures.refused >= 22, "{figures:?}");
}

#[test]
fn cases_of_the_parser() {
    let figures = agree(&files(&tests::root().join("host/model/tests/cases")));
    assert!(figures.accepted >= 7 && figures.refused >= 29, "{figures:?}");
}

#[test]
fn examples() {
    let sources = files(&tests::root().join("examples"));
    assert_eq!(agree(&sources), Figures { accepted: sources.len(), ..Figures::default() });
}

/// A flow of an example's one task or trigger.
fn around(role: Role, yaml: &str) -> String {
    let lines = yaml.lines().enumerate();
    let item: String = lines.map(|(at, line)| format!("{}{line}\n", if at == 0 { "  - " } else { "    " })).collect();
    let head = "id: example\nnamespace: tests.schema\n";
    let other = "tasks:\n  - {id: other, type: io.kestra.plugin.core.log.Log, message: m}\n";
    match role {
        _ if yaml.lines().any(|line| line.starts_with("tasks:")) => yaml.to_owned(),
        Role::Trigger => format!("{head}{other}triggers:\n{item}"),
        _ => format!("{head}tasks:\n{item}"),
    }
}

fn of_manifests(catalog: &Catalog) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for (_, versions) in catalog.plugins() {
        for manifest in versions.map(|package| package.manifest()) {
            for task in &manifest.tasks {
                let of_task = task.examples.iter().map(|example| {
                    (format!("{} {}: {}", task.name, manifest.version, example.title), around(task.role, &example.yaml))
                });
                sources.extend(of_task);
            }
        }
    }
    sources
}

#[test]
fn examples_of_manifests() {
    let sources = of_manifests(&catalog());
    let figures = agree(&sources);
    assert!(sources.len() >= 66, "{}", sources.len());
    assert_eq!(figures, Figures { accepted: sources.len(), ..Figures::default() });
}

#[test]
fn corpus_of_others() {
    let Some(folder) = std::env::var_os("SLUICE_CONFORMANCE").map(PathBuf::from) else {
        println!("not run: SLUICE_CONFORMANCE names no folder with a corpus");
        return;
    };
    assert!(!corpus(&folder).expect("a corpus").is_empty());
    let fine = agree(&files(&folder.join("flows")));
    assert!(fine.accepted >= 182, "{fine:?}");
    let invalid = agree(&files(&folder.join("flows-invalid")));
    assert!(invalid.refused >= 29, "{invalid:?}");
}
