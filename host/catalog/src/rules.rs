//! What an operator has decided about versions, above everything that flows ask for: a pin for what is resolved from now on, versions that
//! are taken back, versions that must not run at all.

use model::lock::Locked;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::requirement::Requirement;

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Tasks of the plugin are resolved as if each asked for this, and for nothing else.
    Pin,
    /// Nothing is resolved to these versions any more. What is locked to them goes on.
    Yank,
    /// As [`Action::Yank`], and what is locked to them fails.
    Block,
}

impl Action {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Yank => "yank",
            Self::Block => "block",
        }
    }
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub action: Action,
    pub plugin: String,
    /// A requirement: `1.2.0`, `<2`, `LATEST`.
    pub versions: String,
    /// Shown to everybody whom the rule stops.
    pub reason: String,
}

/// All decisions.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<(Rule, Requirement)>);

impl Rules {
    /// Fails where a requirement cannot be read.
    pub fn new(rules: Vec<Rule>) -> Result<Self, Error> {
        let read = rules.into_iter().map(|rule| Requirement::parse(&rule.versions).map(|versions| (rule, versions)));
        read.collect::<Result<_, _>>().map(Self)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter().map(|(rule, _)| rule)
    }

    /// The requirement that a plugin is pinned to.
    pub fn pin(&self, plugin: &str) -> Option<&str> {
        let mut pins = self.0.iter().filter(|(rule, _)| rule.action == Action::Pin && rule.plugin == plugin);
        pins.next().map(|(rule, _)| rule.versions.as_str())
    }

    /// Why nothing is to be resolved to a version.
    pub(crate) fn withheld(&self, plugin: &str, version: &Version) -> Option<&Rule> {
        // What must not run says more than what is only taken back.
        self.of(plugin, version, Action::Block).or_else(|| self.of(plugin, version, Action::Yank))
    }

    /// Whether what is locked to a version may run.
    pub(crate) fn may_run(&self, locked: &Locked) -> Result<(), Error> {
        match self.of(&locked.plugin, &locked.version, Action::Block) {
            None => Ok(()),
            Some(rule) => Err(refusal(rule, &locked.version)),
        }
    }

    fn of(&self, plugin: &str, version: &Version, action: Action) -> Option<&Rule> {
        let mut rules = self.0.iter().filter(|(rule, _)| rule.action == action && rule.plugin == plugin);
        rules.find(|(_, versions)| versions.matches(version)).map(|(rule, _)| rule)
    }
}

/// What is said to whom a rule stops.
pub(crate) fn refusal(rule: &Rule, version: &Version) -> Error {
    Error::Withheld {
        plugin: rule.plugin.clone(),
        version: version.clone(),
        blocked: rule.action == Action::Block,
        reason: rule.reason.clone(),
    }
}
