//! Runs the expression cases of a conformance corpus: `SLUICE_CONFORMANCE` names the directory with
//! `expressions.json`. Without it, the test says so and passes; the project's own cases are in `cases.rs`.
mod support;

use support::Verdict;

/// Share of the cases, in per cent, that must pass.
const WANTED_PER_CENT: usize = 98;

#[test]
#[expect(clippy::print_stdout, reason = "the report is what this test is for")]
fn corpus_of_expressions() {
    let Some(directory) = std::env::var_os("SLUICE_CONFORMANCE") else {
        println!("not run: SLUICE_CONFORMANCE is not set");
        return;
    };
    let cases = support::load(&std::path::Path::new(&directory).join("expressions.json"));
    let (mut failed, mut skipped) = (Vec::new(), Vec::new());
    for case in &cases {
        let id = case["id"].as_str().unwrap_or("?");
        match support::run(case) {
            Verdict::Passed => {}
            Verdict::Failed(reason) => failed.push(format!("{id}: {} => {reason}", case["template"])),
            Verdict::Skipped(reason) => skipped.push(format!("{id}: {reason}")),
        }
    }
    let passed = cases.len() - failed.len() - skipped.len();
    println!("expressions: {passed} passed, {} failed, {} skipped of {}", failed.len(), skipped.len(), cases.len());
    failed.iter().for_each(|line| println!("failed {line}"));
    skipped.iter().for_each(|line| println!("skipped {line}"));
    assert!(passed * 100 >= cases.len() * WANTED_PER_CENT, "fewer than {WANTED_PER_CENT} % passed");
}
