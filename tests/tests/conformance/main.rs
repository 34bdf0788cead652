//! Flows with known outcomes on a real node: our own cases always, the corpus where `SLUICE_CONFORMANCE` names its folder.
//!
//! `ONLY=part-of-an-id` plays a few. Needs the registry, or packed plugins named in `SLUICE_TEST_PLUGINS`.
#![expect(clippy::print_stdout, reason = "the table is what is read")]

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use tests::conformance::{Case, Report, Stage, corpus, known, own, play_all};

/// Cases of the corpus that do not pass yet, with their reasons.
const KNOWN: &str = include_str!("KNOWN.md");

fn only(mut cases: Vec<Case>) -> Vec<Case> {
    if let Ok(part) = std::env::var("ONLY") {
        cases.retain(|case| case.id.contains(&part));
    }
    cases
}

async fn played(cases: &[Case]) -> Result<Report> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<PathBuf> = std::env::var_os("SLUICE_TEST_PLUGINS")
        .map(|files| std::env::split_paths(&files).collect())
        .unwrap_or_default();
    let stage = Stage::open(Path::new(env!("CARGO_TARGET_TMPDIR")), &root.join("../registry"), &files)?;
    let verdicts = play_all(&stage, cases).await;
    let report = Report::new(cases, verdicts);
    println!("{report}");
    Ok(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn own_cases_hold() -> Result<()> {
    let cases = only(own(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"))?);
    let report = played(&cases).await?;
    let wrong = report.not_passed();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn corpus_holds() -> Result<()> {
    let Some(folder) = std::env::var_os("SLUICE_CONFORMANCE") else {
        println!("not run: SLUICE_CONFORMANCE names no folder with a corpus");
        return Ok(());
    };
    let cases = only(corpus(Path::new(&folder))?);
    let mut known = known(KNOWN)?;
    // Another corpus has other cases, and is played as well.
    known.retain(|id, _| cases.iter().any(|case| case.id == *id));
    let contradictions = played(&cases).await?.contradictions(&known);
    ensure!(contradictions.is_empty(), "{}", contradictions.join("\n"));
    Ok(())
}
