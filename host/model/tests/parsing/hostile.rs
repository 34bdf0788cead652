//! Hostile sources: refused, quickly, without a panic. Those of a size that is no file are made here.

use std::time::{Duration, Instant};

use crate::support::Table;

/// Far above what any of these takes unoptimised, far below what an explosion would.
const SOON: Duration = Duration::from_secs(10);

#[track_caller]
fn refused(source: &str, code: &str) {
    let started = Instant::now();
    let problems = model::parse(source, &Table::core()).map(|parsed| parsed.flow.key).unwrap_err();
    let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    assert!(codes.contains(&code), "{code} not in {:?}", problems.first());
    assert!(problems.len() <= model::problem::MAX_PROBLEMS + 1);
    assert!(problems.iter().all(|problem| problem.to_string().len() < 4_000), "messages stay short");
    assert!(started.elapsed() < SOON, "took {:?}", started.elapsed());
}

fn big(unit: &str) -> String {
    unit.repeat((1 << 20) / unit.len())
}

#[test]
fn sources_above_the_size_are_not_looked_at() {
    refused(&"x".repeat((1 << 20) + 1), "yaml.too_large");
}

#[test]
fn sources_of_full_size_that_nest_or_repeat_end_soon() {
    refused(&big("["), "yaml.too_deep");
    refused(&big("{a: "), "yaml.too_deep");
    refused(&big("- "), "yaml.too_deep");
    refused(&format!("a: [{}]", big("1,").split_at((1 << 20) - 10).0), "yaml.too_many_nodes");
    refused(&format!("a: {}", "x".repeat(1_000_000)), "flow.required");
    refused(&big("# comment\n"), "flow.empty");
    refused(&"? ".repeat(500_000), "yaml.key");
    refused(&big("&a "), "yaml.syntax");
    refused(&big("!"), "yaml.syntax");
    refused(&big("\"\\"), "yaml.syntax");
}

#[test]
fn a_source_full_of_mistakes_is_told_in_few() {
    let keys: String = (0..20_000).map(|n| format!("k{n}: {n}\n")).collect();
    refused(&keys, "flow.more_problems");
    let tasks: String = (0..5_000).map(|n| format!("- {{id: t{n}, type: com.example.Wrong{n}}}\n")).collect();
    refused(&format!("id: a\nnamespace: b\ntasks:\n{tasks}"), "flow.unknown_type");
}

#[test]
fn more_aliases_than_anybody_writes_are_refused() {
    refused(&format!("a: &a 1\nb: [{}]", "*a, ".repeat(1_001)), "yaml.too_many_aliases");
}

#[test]
fn aliases_cannot_nest_deeper_than_lists() {
    let nested: String = (1..40).map(|n| format!("a{n}: &a{n} [[*a{}]]\n", n - 1)).collect();
    refused(&format!("a0: &a0 [x]\n{nested}"), "yaml.too_deep");
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let mut table = Table::core();
    let itself = serde_json::json!({"properties": {"x": {"$ref": "#/$defs/A"}, "y": {"$ref": "#/$defs/B"}}, "$defs": {
        "A": {"$ref": "#/$defs/A"},
        "B": {"anyOf": [{"$ref": "#/$defs/B"}, {"$ref": "#/$defs/B"}, {"type": "integer"}]},
    }});
    table.task("com.example.Loop", itself);
    let started = Instant::now();
    let _ = model::parse("id: a\nnamespace: b\ntasks: [{id: t, type: com.example.Loop, x: 1, y: text}]", &table);
    assert!(started.elapsed() < SOON, "took {:?}", started.elapsed());
}

/// Prefixes of a flow, and the flow with one character changed, end in a flow or in problems.
#[test]
fn no_mutation_of_a_flow_panics() {
    let source = include_str!("../cases/fine-every-control-task.yaml");
    let table = Table::core();
    for (end, _) in source.char_indices().filter(|(at, _)| at % 4 == 0) {
        let _ = model::parse(&source[..end], &table);
    }
    for (at, _) in source.char_indices().filter(|(at, _)| at % 9 == 0) {
        for with in ["\t", "[", ":", "&", "*", "\"", "{{", "- ", "é", "|"] {
            let _ = model::parse(&format!("{}{with}{}", &source[..at], &source[at + 1..]), &table);
        }
    }
}
