//! What somebody gets who comes with flows made for Kestra: of each whether it runs as it is, and what it lacks. A file may hold
//! several, or something that is no flow. Parses and counts; never looks for files and runs nothing.

use std::collections::{BTreeMap, BTreeSet};

use expr::Value;

use crate::lookup::Types;
use crate::parse::{self, Missing};
use crate::problem::{Problem, Problems};
use crate::yaml;

/// Documents of one file that are looked at: a file of more is an export to be split, and each costs the lines before it.
pub const MAX_DOCUMENTS: usize = 1_000;

/// Keys of documents that have a namespace, as flows have, and are something else: unit tests, dashboards, apps.
const NOT_OF_FLOWS: &[&str] = &["testCases", "charts", "flowId", "type", "blocks"];

/// What becomes of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It can be saved, and runs.
    Runs,
    /// Nothing is wrong with it, and plugins are missing.
    NeedsPlugins,
    /// It uses what Kestra has and Sluice has not.
    NotThere,
    /// It is wrong in Kestra as well.
    Invalid,
    /// Some other YAML.
    NotAFlow,
}

impl Verdict {
    /// Stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::NeedsPlugins => "needs-plugins",
            Self::NotThere => "not-there",
            Self::Invalid => "invalid",
            Self::NotAFlow => "not-a-flow",
        }
    }
}

/// What an error says about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A plugin is missing.
    Plugin,
    /// Sluice does not have it.
    Feature,
    /// The flow is wrong.
    Fault,
}

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Its first line in the file, from 1.
    pub first_line: u32,
    /// As far as they can be read.
    pub namespace: Option<String>,
    pub id: Option<String>,
    pub verdict: Verdict,
    /// Errors and warnings, with lines of the file.
    pub problems: Vec<Problem>,
    /// What is not installed.
    pub missing: Vec<Missing>,
}

impl Survey {
    /// What a problem says; nothing where it is a warning.
    pub fn reason(&self, problem: &Problem) -> Option<Reason> {
        reason(problem, &self.missing)
    }
}

fn reason(problem: &Problem, missing: &[Missing]) -> Option<Reason> {
    if !problem.is_error() {
        return None;
    }
    let needs = |missing: &Missing| missing.path == problem.path;
    Some(match problem.code {
        "flow.missing_plugin" => Reason::Plugin,
        "flow.unknown_type" | "flow.version" if missing.iter().any(needs) => Reason::Plugin,
        "flow.not_supported" => Reason::Feature,
        _ => Reason::Fault,
    })
}

impl Survey {
    /// Of a document, or of what should be one, that cannot be read.
    pub fn invalid(problem: Problem) -> Self {
        let (namespace, id) = (None, None);
        Self { first_line: 1, namespace, id, verdict: Verdict::Invalid, problems: vec![problem], missing: Vec::new() }
    }
}

/// Looks at every document of a file.
pub fn survey(source: &str, types: &dyn Types) -> Vec<Survey> {
    let documents = documents(source);
    let told = documents.len().saturating_sub(MAX_DOCUMENTS);
    let mut found: Vec<Survey> =
        documents.into_iter().take(MAX_DOCUMENTS).map(|(line, text)| look_at(line, text, types)).collect();
    if told > 0 {
        let message = format!("{told} more documents of this file are not looked at");
        let problem = Problem::error("yaml.documents", message).hint("split the file");
        found.push(Survey::invalid(problem));
    }
    found
}

fn look_at(first_line: u32, text: &str, types: &dyn Types) -> Survey {
    // Empty lines in front give every place the line it has in the file.
    let padded = format!("{}{text}", "\n".repeat(first_line.saturating_sub(1) as usize));
    let document = yaml::read(&padded, &mut Problems::default());
    let name = |key: &str| {
        let value = document.as_ref()?.value.get(key)?;
        value.as_str().map(str::to_owned)
    };
    let (namespace, id) = (name("namespace"), name("id"));
    if document.as_ref().is_some_and(|document| !is_flow(&document.value)) {
        let (problems, missing) = (Vec::new(), Vec::new());
        return Survey { first_line, namespace, id, verdict: Verdict::NotAFlow, problems, missing };
    }
    let read = parse::read(&padded, types, &[]);
    let worst = read.problems.iter().filter_map(|problem| reason(problem, &read.missing)).max();
    let verdict = match worst {
        None => Verdict::Runs,
        Some(Reason::Plugin) => Verdict::NeedsPlugins,
        Some(Reason::Feature) => Verdict::NotThere,
        Some(Reason::Fault) => Verdict::Invalid,
    };
    Survey { first_line, namespace, id, verdict, problems: read.problems, missing: read.missing }
}

fn is_flow(document: &Value) -> bool {
    let has = |key: &str| document.get(key).is_some();
    has("tasks") || (has("namespace") && !NOT_OF_FLOWS.iter().any(|key| has(key)))
}

/// The documents of a file that are not empty, each with its first line. In YAML `---` and `...` at the start of a line end a
/// document wherever they stand, texts in blocks included.
pub fn documents(source: &str) -> Vec<(u32, &str)> {
    let is_marker = |line: &str, marker: &str| {
        line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    };
    let mut found = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    let mut keep = |from: usize, to: usize, line: u32| {
        let text = source.get(from..to).unwrap_or_default();
        let content = |line: &str| {
            let line = if is_marker(line, "---") { line.get(3..).unwrap_or_default() } else { line };
            let line = line.trim_start_matches('\u{feff}').trim();
            !line.is_empty() && !line.starts_with(['#', '%'])
        };
        if text.lines().any(content) {
            found.push((line, text));
        }
    };
    for (number, line) in (1..).zip(source.split_inclusive('\n')) {
        let shown = line.trim_end_matches(['\r', '\n']);
        if is_marker(shown, "---") {
            keep(start, at, start_line);
            (start, start_line) = (at, number);
        } else if is_marker(shown, "...") {
            keep(start, at, start_line);
            (start, start_line) = (at + line.len(), number + 1);
        }
        at += line.len();
    }
    keep(start, source.len(), start_line);
    found
}

/// What many surveys come to.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub flows: usize,
    pub runs: usize,
    pub needs_plugins: usize,
    pub not_there: usize,
    pub invalid: usize,
    pub not_flows: usize,
    /// By name.
    pub plugins: BTreeMap<String, Need>,
    /// Flows by what they use that is not there (code and words).
    pub features: BTreeMap<(&'static str, String), usize>,
    /// Flows by the codes of what is wrong with them.
    pub faults: BTreeMap<&'static str, usize>,
}

/// Who needs a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Flows that need it.
    pub flows: usize,
    /// Flows that would run if only it were installed.
    pub frees: usize,
    /// The types that flows name.
    pub types: BTreeSet<String>,
}

impl Totals {
    /// Counts one document.
    pub fn add(&mut self, survey: &Survey) {
        let count = match survey.verdict {
            Verdict::Runs => &mut self.runs,
            Verdict::NeedsPlugins => &mut self.needs_plugins,
            Verdict::NotThere => &mut self.not_there,
            Verdict::Invalid => &mut self.invalid,
            Verdict::NotAFlow => &mut self.not_flows,
        };
        *count += 1;
        if survey.verdict == Verdict::NotAFlow {
            return;
        }
        self.flows += 1;
        let plugins: BTreeSet<&str> = survey.missing.iter().map(|missing| missing.plugin.as_str()).collect();
        for plugin in &plugins {
            let need = self.plugins.entry((*plugin).to_owned()).or_default();
            need.flows += 1;
            need.frees += usize::from(survey.verdict == Verdict::NeedsPlugins && plugins.len() == 1);
        }
        for missing in &survey.missing {
            self.plugins.entry(missing.plugin.clone()).or_default().types.insert(missing.type_name.clone());
        }
        let because = |wanted: Reason| {
            let of_reason = move |problem: &&Problem| survey.reason(problem) == Some(wanted);
            survey.problems.iter().filter(of_reason)
        };
        let features: BTreeSet<_> =
            because(Reason::Feature).map(|problem| (problem.code, problem.message.clone())).collect();
        for feature in features {
            *self.features.entry(feature).or_default() += 1;
        }
        let faults: BTreeSet<_> = because(Reason::Fault).map(|problem| problem.code).collect();
        for code in faults {
            *self.faults.entry(code).or_default() += 1;
        }
    }
}
