//! The list of cases that are known not to pass, each with its reason: `- id: reason` lines of a Markdown file.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// Reasons by case id.
pub fn known(list: &str) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for line in list.lines().filter_map(|line| line.strip_prefix("- ")) {
        let Some((id, reason)) = line.split_once(": ").filter(|(_, reason)| !reason.trim().is_empty()) else {
            bail!("`{line}` names no reason\n  hint: write `- id: reason`");
        };
        if found.insert(id.trim().to_owned(), reason.trim().to_owned()).is_some() {
            bail!("`{id}` is listed twice");
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::known;

    #[test]
    fn every_entry_has_a_reason() {
        let list = known("# Head\n\n- a--b: not yet: later\nprose\n").unwrap();
        assert_eq!(list.get("a--b").map(String::as_str), Some("not yet: later"));
        assert!(known("- a--b:\n").is_err());
        assert!(known("- a: x\n- a: y\n").is_err());
    }
}
