//! The report of a check: lines for people, one JSON document for programs. The JSON only ever gains names.

use std::cmp::Reverse;

use anyhow::Result;
use model::problem::{Problem, Severity};
use model::survey::{Need, Reason, Survey, Totals, Verdict};
use serde_json::{Value, json};

use super::Found;
use crate::tree::visible;

/// Types of a missing plugin that are shown; the others are counted.
const TYPES_SHOWN: usize = 3;

/// Lines: flow by flow, then the totals.
pub fn text(found: &Found) {
    for (file, survey) in &found.surveys {
        if survey.verdict == Verdict::NotAFlow {
            continue;
        }
        say(&format!("{file}:{}: {}: {}", survey.first_line, name(survey), outcome(survey)));
        for problem in &survey.problems {
            say(&format!("  {file}:{problem} [{}]", problem.code));
        }
    }
    say("");
    totals(found.files, &found.totals);
}

/// Names and texts of flows must not drive a terminal.
fn say(line: &str) {
    let line = line.chars().map(|character| if character == '\n' { ' ' } else { character });
    crate::print(&line.flat_map(visible).collect::<String>());
}

fn name(survey: &Survey) -> String {
    match (&survey.namespace, &survey.id) {
        (Some(namespace), Some(id)) => format!("{namespace}.{id}"),
        (_, Some(id)) => id.clone(),
        _ => "a flow without a name".to_owned(),
    }
}

fn outcome(survey: &Survey) -> String {
    match survey.verdict {
        Verdict::Runs => "runs".to_owned(),
        Verdict::NeedsPlugins => {
            let mut plugins: Vec<&str> = survey.missing.iter().map(|missing| missing.plugin.as_str()).collect();
            plugins.sort_unstable();
            plugins.dedup();
            let plugins: Vec<String> = plugins.into_iter().map(shown_plugin).collect();
            format!("needs {}", plugins.join(", "))
        }
        Verdict::NotThere => "uses what is not there".to_owned(),
        Verdict::Invalid | Verdict::NotAFlow => "invalid".to_owned(),
    }
}

/// A name has no dots; what has is the package of types whose plugin nobody knows.
fn shown_plugin(plugin: &str) -> String {
    match plugin.contains('.') {
        true => format!("a plugin with `{plugin}.*`"),
        false => format!("plugin `{plugin}`"),
    }
}

fn totals(files: usize, totals: &Totals) {
    say(&format!("{} in {}", counted(totals.flows, "flow"), counted(files, "file")));
    for (count, what) in [
        (totals.runs, "run as they are"),
        (totals.needs_plugins, "need plugins that are not installed"),
        (totals.not_there, "use what is not there"),
        (totals.invalid, "are invalid"),
    ] {
        say(&format!("{count:>6} {what}"));
    }
    if totals.not_flows > 0 {
        say(&format!("{:>6} other YAML documents, passed over", totals.not_flows));
    }
    if !totals.plugins.is_empty() {
        say("plugins that are missing:");
        for (plugin, need) in by_use(totals) {
            let types: Vec<&str> = need.types.iter().take(TYPES_SHOWN).map(String::as_str).collect();
            let more = need.types.len().saturating_sub(types.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (flows, types) = (counted(need.flows, "flow"), types.join(", "));
            say(&format!(
                "  {}: for {flows}, {} of which need nothing else ({types}{more})",
                shown_plugin(plugin),
                need.frees
            ));
        }
    }
    if !totals.features.is_empty() {
        say("features that are missing:");
        for ((_, what), flows) in by_count(&totals.features) {
            say(&format!("  {what}: {}", counted(flows, "flow")));
        }
    }
    if !totals.faults.is_empty() {
        say("what is wrong:");
        for (code, flows) in by_count(&totals.faults) {
            say(&format!("  {code}: {}", counted(flows, "flow")));
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The plugin that frees most flows first.
fn by_use(totals: &Totals) -> Vec<(&str, &Need)> {
    let mut plugins: Vec<(&str, &Need)> = totals.plugins.iter().map(|(name, need)| (name.as_str(), need)).collect();
    plugins.sort_by_key(|(_, need)| (Reverse(need.frees), Reverse(need.flows)));
    plugins
}

fn by_count<K: Clone + Ord>(counts: &std::collections::BTreeMap<K, usize>) -> Vec<(K, usize)> {
    let mut counts: Vec<(K, usize)> = counts.iter().map(|(key, count)| (key.clone(), *count)).collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts
}

/// One JSON document.
pub fn json(found: &Found) -> Result<()> {
    let totals = &found.totals;
    let document = json!({
        "flows": found.surveys.iter().map(|(file, survey)| of_survey(file, survey)).collect::<Vec<_>>(),
        "totals": {
            "files": found.files, "flows": totals.flows, "runs": totals.runs, "needsPlugins": totals.needs_plugins,
            "notThere": totals.not_there, "invalid": totals.invalid, "notFlows": totals.not_flows,
        },
        "plugins": by_use(totals).into_iter().map(|(plugin, need)| json!({
            "plugin": plugin, "flows": need.flows, "frees": need.frees, "types": need.types,
        })).collect::<Vec<_>>(),
        "features": by_count(&totals.features).into_iter().map(|((code, what), flows)| json!({
            "code": code, "what": what, "flows": flows,
        })).collect::<Vec<_>>(),
        "faults": by_count(&totals.faults).into_iter().map(|(code, flows)| json!({
            "code": code, "flows": flows,
        })).collect::<Vec<_>>(),
    });
    crate::print(&serde_json::to_string_pretty(&document)?);
    Ok(())
}

fn of_survey(file: &str, survey: &Survey) -> Value {
    json!({
        "file": file, "line": survey.first_line, "namespace": survey.namespace, "id": survey.id,
        "verdict": survey.verdict.as_str(),
        "missing": survey.missing.iter().map(|missing| json!({
            "plugin": missing.plugin, "type": missing.type_name, "path": missing.path,
        })).collect::<Vec<_>>(),
        "problems": survey.problems.iter().map(|problem| of_problem(survey, problem)).collect::<Vec<_>>(),
    })
}

fn of_problem(survey: &Survey, problem: &Problem) -> Value {
    let reason = survey.reason(problem).map(|reason| match reason {
        Reason::Plugin => "plugin",
        Reason::Feature => "feature",
        Reason::Fault => "fault",
    });
    json!({
        "severity": if problem.severity == Severity::Error { "error" } else { "warning" },
        "reason": reason, "code": problem.code, "path": problem.path, "line": problem.line, "column": problem.column,
        "message": problem.message, "hint": problem.hint,
    })
}
