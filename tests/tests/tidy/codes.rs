//! Every code that a refusal or a failure can have is explained on the page that `sluice explain` reads, and no other is.

use std::collections::BTreeSet;
use std::fs;

use regex::Regex;

use crate::{files, none, one, root};

const PAGE: &str = "docs/codes.md";
/// How codes stand in the sources, and where.
const PATTERNS: &[(&str, &str)] = &[
    ("host/", r#"\bcode: "([A-Za-z_.-]+)""#),
    ("host/", r#"Failure::new\(\s*"([A-Za-z_.-]+)""#),
    ("host/", r#"(?:\b(?:error|warning|bad_request|refusal))\(\s*(?:[A-Za-z_:.]+,\s*)?"([a-z_]+(?:\.[a-z_]+)+)""#),
    ("host/expr/src/", r#""(expression\.[a-z_.]+)""#),
    ("host/model/src/yaml", r#""(yaml\.[a-z_]+)""#),
    ("host/catalog/src/fault.rs", r#"=> "([A-Z_]+)""#),
    ("host/catalog/src/error.rs", r#"=> "([A-Z_]+)""#),
    ("host/server/src/plans/", r#""([A-Z]+_?[A-Z]+)""#),
    ("host/server/src/error.rs", r#"=> "([a-z_.]+)""#),
    ("host/runtime/src/failure.rs", r#""([A-Z][A-Z_]{2,})""#),
    ("host/runtime/src/services.rs", r#""([A-Z][A-Z_]{2,})""#),
    ("plugins/", r#"Failure::new\(\s*"([A-Z_]+)""#),
    ("plugins/", r#"=> "(LLM_[A-Z_]+)""#),
    ("plugins/", r#"pub const [A-Z_]+: &str = "([A-Z]+_[A-Z_]+)""#),
    ("sdk/rust/src/", r#"Failure::new\(\s*"([A-Z_]+)""#),
    ("sdk/rust/src/http/mod.rs", r#": &str = "([A-Z_]+)""#),
];
/// Codes in a source, but for its tests.
fn codes_in(path: &str, text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let here = PATTERNS.iter().filter(|(folder, _)| path.starts_with(folder));
    let found = here.flat_map(|(_, pattern)| {
        let pattern = Regex::new(pattern).expect("a pattern");
        pattern.captures_iter(text).map(|found| found[1].to_owned()).collect::<Vec<_>>()
    });
    found.collect()
}

fn explained(page: &str) -> BTreeSet<String> {
    page.lines().filter_map(|line| line.strip_prefix("### ")).map(|code| code.trim().to_owned()).collect()
}

fn problems(used: &BTreeSet<String>, page: &str, is_used: impl Fn(&str) -> bool) -> Vec<String> {
    let explained = explained(page);
    let unknown = used.difference(&explained).map(|code| format!("`{code}` is not explained in `{PAGE}`"));
    let stale = explained.iter().filter(|code| !is_used(code));
    unknown.chain(stale.map(|code| format!("`{code}` is explained in `{PAGE}` and used nowhere"))).collect()
}

#[test]
fn every_code_is_explained_and_no_other() {
    let mut used = BTreeSet::new();
    let mut all = String::new();
    for path in files() {
        let ours = ["host/", "plugins/", "sdk/rust/"].iter().any(|folder| path.starts_with(folder));
        // Guests of tests have codes of their own.
        if ours && path.contains("/src/") && !path.contains("/tests/") && path.ends_with(".rs") {
            let text = fs::read_to_string(root().join(&path)).expect("a file of ours");
            used.extend(codes_in(&path, &text));
            all.push_str(&text);
        }
    }
    assert!(used.len() > 100, "{} codes are found", used.len());
    let page = fs::read_to_string(root().join(PAGE)).expect("a file of ours");
    none(problems(&used, &page, |code| all.contains(&format!("\"{code}\""))));
}

#[test]
fn codes_are_found_and_missed() {
    let text = "Failure::new(\n \"NEW_CODE\", x) Error::Invalid { code: \"a.b\" } node.error(\"flow.x\", y)\n#[cfg(test)]\nmod tests { code: \"no\" }";
    let used = codes_in("host/server/src/x.rs", text);
    assert_eq!(used.iter().map(String::as_str).collect::<Vec<_>>(), ["NEW_CODE", "a.b", "flow.x"]);
    let page = "### NEW_CODE\n### a.b\n### old\n";
    let found = problems(&used, page, |code| code != "old");
    one(&found[..1], "`flow.x` is not explained");
    one(&found[1..], "`old` is explained in `docs/codes.md` and used nowhere");
}
