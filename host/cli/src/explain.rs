//! `sluice explain`: what a code means and what to do, from the page that says it.

use std::process::ExitCode;

use anyhow::{Result, bail};
use console::Style;

/// A section of it begins with `### CODE`, and ends where the next heading begins.
const PAGE: &str = include_str!("../../../docs/codes.md");

/// Every code with what is said of it, in the order of the page.
fn sections() -> Vec<(&'static str, String)> {
    let mut sections = Vec::new();
    for part in PAGE.split("\n### ").skip(1) {
        let (code, rest) = part.split_once('\n').unwrap_or((part, ""));
        let said: Vec<&str> = rest.lines().take_while(|line| !line.starts_with('#')).collect();
        sections.push((code.trim(), said.join("\n").trim().to_owned()));
    }
    sections
}

/// Prints what one code means, or the list of all.
pub fn explain(code: Option<&str>) -> Result<ExitCode> {
    let sections = sections();
    let Some(asked) = code else {
        for (code, said) in &sections {
            let first = said.lines().next().unwrap_or_default();
            crate::print(&format!("{}  {}", Style::new().bold().apply_to(code), Style::new().dim().apply_to(first)));
        }
        return Ok(ExitCode::SUCCESS);
    };
    // As it is written first: a few differ in case alone.
    let found = sections.iter().find(|(code, _)| *code == asked);
    let found = found.or_else(|| sections.iter().find(|(code, _)| code.eq_ignore_ascii_case(asked)));
    if let Some((code, said)) = found {
        crate::print(&format!("{}\n{said}", Style::new().bold().apply_to(code)));
        return Ok(ExitCode::SUCCESS);
    }
    let near = catalog::nearest(asked, sections.iter().map(|(code, _)| *code));
    let hint = match near.as_slice() {
        [] => "`sluice explain` lists all codes".to_owned(),
        near => format!("did you mean `{}`?", near.join("`, `")),
    };
    bail!("no code `{asked}`\n  hint: {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once_and_says_something() {
        let sections = sections();
        let mut codes: Vec<&str> = sections.iter().map(|(code, _)| *code).collect();
        codes.sort_unstable();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count, "a code is there twice");
        assert!(sections.iter().all(|(_, said)| said.len() > 15 && !said.contains("###")), "a section says nothing");
    }
}
