//! What is said of whole files: documents, verdicts, what is missing.

use model::survey::{MAX_DOCUMENTS, Reason, Survey, Totals, Verdict, survey};

use crate::support::Table;

const FLOW: &str = "id: a\nnamespace: b\ntasks:\n  - {id: t, type: ";

fn flow(type_name: &str) -> String {
    format!("{FLOW}{type_name}}}\n")
}

fn look(source: &str) -> Vec<Survey> {
    survey(source, &Table::core())
}

fn verdicts(source: &str) -> Vec<(u32, Verdict)> {
    look(source).iter().map(|survey| (survey.first_line, survey.verdict)).collect()
}

#[test]
fn each_kind_of_flow_has_its_verdict() {
    use Verdict::{Invalid, NeedsPlugins, NotAFlow, NotThere, Runs};
    for (source, verdict) in [
        (flow("io.kestra.plugin.core.debug.Return"), Runs),
        (flow("io.kestra.plugin.git.Clone"), NeedsPlugins),
        (flow("com.acme.mail.Send"), NeedsPlugins),
        (flow("io.kestra.plugin.core.debug.Return, version: 9.0.0"), NeedsPlugins),
        // The plugin is there, and the type is one that Kestra has.
        (flow("io.kestra.plugin.core.kv.Version"), NotThere),
        (flow("io.kestra.plugin.core.flow.Loop"), NotThere),
        (flow("io.kestra.plugin.core.debug.Return, workerGroup: {key: a}"), NotThere),
        // The worst counts.
        (flow("io.kestra.plugin.git.Clone, workerGroup: {key: a}"), NotThere),
        (flow("io.kestra.plugin.git.Clone, retry: 1"), Invalid),
        (flow("io.kestra.plugin.core.debug.Retrun"), Invalid),
        (flow("Return"), Invalid),
        ("id: [".to_owned(), Invalid),
        ("id: a\nnamespace: b\n".to_owned(), Invalid),
        ("tasks: []\n".to_owned(), Invalid),
        ("services: {web: {image: x}}\n".to_owned(), NotAFlow),
        ("- a\n- b\n".to_owned(), NotAFlow),
        ("id: a\nnamespace: b\nflowId: c\ntestCases: []\n".to_owned(), NotAFlow),
    ] {
        let found = look(&source);
        assert_eq!(found.len(), 1, "{source}");
        assert_eq!(found.first().map(|survey| survey.verdict), Some(verdict), "{source}{found:?}");
    }
}

#[test]
fn documents_keep_their_lines() {
    use Verdict::{Invalid, NotAFlow, Runs};
    let fine = flow("io.kestra.plugin.core.debug.Return");
    assert_eq!(verdicts(""), []);
    assert_eq!(verdicts("# nothing\n---\n\n---\n"), []);
    assert_eq!(verdicts(&format!("%YAML 1.2\n---\n{fine}")), [(2, Runs)]);
    assert_eq!(verdicts(&format!("\u{feff}{fine}---\r\n{fine}...\n# end\n")), [(1, Runs), (5, Runs)]);
    assert_eq!(
        verdicts(&format!("{fine}--- {{a: b}}\n---\n{fine}---x: 1\n")),
        [(1, Runs), (5, NotAFlow), (6, Invalid)]
    );
    let two = format!("{fine}---\n{}", flow("io.kestra.plugin.git.Clone"));
    let found = look(&two);
    let problem = found.last().and_then(|survey| survey.problems.first()).unwrap();
    assert_eq!((problem.code, problem.line, problem.column), ("flow.missing_plugin", 9, 19));
}

#[test]
fn documents_are_bounded() {
    let many = "---\na: 1\n".repeat(MAX_DOCUMENTS + 2);
    let found = look(&many);
    assert_eq!(found.len(), MAX_DOCUMENTS + 1);
    let last = found.last().and_then(|survey| survey.problems.first()).unwrap();
    assert!(last.message.starts_with("2 more documents"), "{last}");
}

#[test]
fn totals_say_what_each_plugin_would_free() {
    let mut totals = Totals::default();
    for source in [
        flow("io.kestra.plugin.core.debug.Return"),
        flow("io.kestra.plugin.git.Clone"),
        format!("{}  - {{id: u, type: io.kestra.plugin.git.Push}}\n", flow("io.kestra.plugin.git.Clone")),
        format!("{}  - {{id: u, type: io.kestra.plugin.dbt.Run}}\n", flow("io.kestra.plugin.git.Clone")),
        format!(
            "{}  - {{id: u, type: io.kestra.plugin.dbt.Run, workerGroup: {{key: a}}}}\n",
            flow("com.acme.mail.Send")
        ),
        format!("{}oops: 1\nuups: 2\n", flow("io.kestra.plugin.core.debug.Return")),
        "a: 1\n".to_owned(),
    ] {
        look(&source).iter().for_each(|survey| totals.add(survey));
    }
    let Totals { flows, runs, needs_plugins, not_there, invalid, not_flows, .. } = totals;
    assert_eq!([flows, runs, needs_plugins, not_there, invalid, not_flows], [6, 1, 3, 1, 1, 1]);
    let needs: Vec<(&str, usize, usize, usize)> =
        totals.plugins.iter().map(|(name, need)| (name.as_str(), need.flows, need.frees, need.types.len())).collect();
    assert_eq!(needs, [("com.acme.mail", 1, 0, 1), ("dbt", 2, 0, 1), ("git", 3, 2, 2)]);
    assert_eq!(totals.features.values().sum::<usize>(), 1);
    assert_eq!(totals.faults.into_iter().collect::<Vec<_>>(), [("flow.unknown_property", 1)]);
}

#[test]
fn reasons_are_of_errors_alone() {
    let found =
        look(&format!("{}retry: {{type: constant, interval: x}}\n", flow("io.kestra.plugin.git.Clone, body: '{oops'")));
    let survey = found.first().unwrap();
    let reasons: Vec<(&str, Option<Reason>)> =
        survey.problems.iter().map(|problem| (problem.code, survey.reason(problem))).collect();
    assert!(reasons.contains(&("flow.missing_plugin", Some(Reason::Plugin))), "{reasons:?}");
    assert!(reasons.contains(&("flow.json", None)), "{reasons:?}");
    assert!(reasons.iter().any(|(_, reason)| *reason == Some(Reason::Fault)), "{reasons:?}");
}
