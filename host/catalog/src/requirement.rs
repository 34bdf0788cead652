//! What a flow may write as `version:`. Reads the text and says which versions fit; never looks at what is installed.

use std::fmt;

use semver::{Version, VersionReq};

use crate::error::Error;

/// Longest requirement text; the longest sensible one has five comparators.
const TEXT_MAX: usize = 200;

/// Which versions of a plugin a task may run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// This version and no other: `1.2.0`.
    Exact(Version),
    /// A semver range: `^1.2`, `>=1, <3`, `1.x`. The newest version in it is taken. Prereleases fit only where the range names one.
    Range(VersionReq),
    /// The newest version that is no prerelease.
    Latest,
    /// The oldest version that is no prerelease.
    Oldest,
}

impl Requirement {
    /// Reads a requirement as written in a flow.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason: String, hint: String| {
            Err(Error::BadRequirement {
                text: shortened(text),
                reason,
                hint,
            })
        };
        let general = "write a version (`1.2.0`), a range (`^1.2`, `>=1, <3`), LATEST or OLDEST";
        let trimmed = text.trim();
        if trimmed.len() > TEXT_MAX {
            return refuse(
                format!(
                    "it has {} characters, at most {TEXT_MAX} are read",
                    trimmed.len()
                ),
                general.to_owned(),
            );
        }
        if trimmed.is_empty() {
            return refuse("it is empty".to_owned(), general.to_owned());
        }
        if trimmed.eq_ignore_ascii_case("latest") {
            return Ok(Self::Latest);
        }
        if trimmed.eq_ignore_ascii_case("oldest") {
            return Ok(Self::Oldest);
        }
        if trimmed.contains("{{") {
            return refuse("expressions are not rendered here, since versions are fixed when the flow is saved".to_owned(), general.to_owned());
        }
        if let Ok(version) = Version::parse(trimmed) {
            return Ok(Self::Exact(version));
        }
        if trimmed
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
        {
            // YAML reads an unquoted 1.10 as the number 1.1, and tools disagree on what `1.2` means: so it has to be said.
            return refuse(
                "it is not a whole version".to_owned(),
                format!(
                    "write `{}` for exactly that, `~{trimmed}` or `^{trimmed}` for newer ones too",
                    whole(trimmed)
                ),
            );
        }
        match VersionReq::parse(trimmed) {
            Ok(range) => Ok(Self::Range(range)),
            Err(error) if trimmed.contains("||") => refuse(
                error.to_string(),
                "`||` is not known; write one range".to_owned(),
            ),
            Err(error) => refuse(error.to_string(), general.to_owned()),
        }
    }

    /// Whether `version` satisfies this, alone. Which of several is taken is [`Requirement::pick`]'s matter.
    pub fn matches(&self, version: &Version) -> bool {
        match self {
            Self::Exact(exact) => exact == version,
            Self::Range(range) => range.matches(version),
            Self::Latest | Self::Oldest => version.pre.is_empty(),
        }
    }

    /// The version to take out of several.
    pub fn pick<'a>(&self, versions: impl Iterator<Item = &'a Version>) -> Option<&'a Version> {
        let fitting = versions.filter(|version| self.matches(version));
        match self {
            Self::Oldest => fitting.min(),
            _ => fitting.max(),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(version) => version.fmt(f),
            Self::Range(range) => range.fmt(f),
            Self::Latest => f.write_str("LATEST"),
            Self::Oldest => f.write_str("OLDEST"),
        }
    }
}

/// `1` and `1.2` as whole versions.
fn whole(digits: &str) -> String {
    let mut parts: Vec<&str> = digits
        .split('.')
        .filter(|part| !part.is_empty())
        .take(3)
        .collect();
    parts.resize(3, "0");
    parts.join(".")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const INSTALLED: &[&str] = &[
        "0.9.0",
        "1.0.0-rc.1",
        "1.0.0",
        "1.2.0",
        "1.10.0",
        "2.0.0-beta.1",
        "2.0.0-beta.2",
    ];

    fn check(requirement: &str, expected: Option<&str>) {
        let versions: Vec<Version> = INSTALLED.iter().map(|text| text.parse().unwrap()).collect();
        let picked = Requirement::parse(requirement)
            .unwrap()
            .pick(versions.iter())
            .map(Version::to_string);
        assert_eq!(picked.as_deref(), expected, "{requirement}");
    }

    #[test]
    fn words_ignore_prereleases_and_case() {
        for word in ["LATEST", "latest", " Latest "] {
            check(word, Some("1.10.0"));
        }
        check("oldest", Some("0.9.0"));
        let prereleases: Vec<Version> = vec!["3.0.0-a".parse().unwrap()];
        assert_eq!(Requirement::Latest.pick(prereleases.iter()), None);
        assert_eq!(Requirement::Oldest.pick(prereleases.iter()), None);
    }

    #[test]
    fn whole_version_is_exact() {
        check("1.2.0", Some("1.2.0"));
        check("1.0.0-rc.1", Some("1.0.0-rc.1"));
        check("1.3.0", None);
    }

    #[test]
    fn range_takes_the_newest() {
        check("^1", Some("1.10.0"));
        check("~1.2", Some("1.2.0"));
        check("1.x", Some("1.10.0"));
        check("=1.2", Some("1.2.0"));
        check(">=1, <1.10", Some("1.2.0"));
        check("*", Some("1.10.0"));
        check("^3", None);
    }

    #[test]
    fn prerelease_fits_a_range_that_names_one() {
        check("^2", None);
        check("^2.0.0-beta.1", Some("2.0.0-beta.2"));
        check(">1.10", None);
    }

    #[test]
    fn unclear_texts_are_refused_with_a_hint() {
        let refused = |text: &str, expected: &str| {
            let message = Requirement::parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        refused("1.2", "write `1.2.0` for exactly that, `~1.2` or `^1.2`");
        refused("1", "write `1.0.0` for exactly that");
        refused("1.2.3.4", "write `1.2.3` for exactly that");
        refused("", "is empty");
        refused("newest", "LATEST or OLDEST");
        refused("v1.0.0", "hint: write a version");
        refused("^1 || ^2", "`||` is not known");
        refused("{{ kv('version') }}", "expressions are not rendered");
        refused(&"é".repeat(300), "at most 200");
    }

    #[test]
    fn written_requirement_reads_back() {
        for text in ["1.2.0", "^1.2", ">=1, <3", "LATEST", "OLDEST"] {
            let requirement = Requirement::parse(text).unwrap();
            assert_eq!(
                Requirement::parse(&requirement.to_string()).unwrap(),
                requirement
            );
        }
    }
}
