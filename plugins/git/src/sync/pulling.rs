//! From the repository into the engine: one plan that the engine carries out whole or not at all.

use sluice_sdk::{Context, Failure};

use super::engine::{self, Change, Scope};
use super::layout::Layout;
use super::model::{Key, Kind, Side};
use super::plan::{Action, Missing, Plan, Policy, Target, plan};
use super::properties::{OnDrift, end_of_dry_run};
use super::report::{Report, Summary, path_in};
use super::repository::Repository;
use crate::failures::{self, fault};

/// Problems that a message names.
const NAMED_MAX: usize = 20;

/// What becomes of a flow that is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    Skip,
    Warn,
    Fail,
}

/// What is pulled, and how.
pub struct Pull<'a> {
    pub repository: &'a Repository,
    pub scope: Scope,
    pub kinds: &'a [Kind],
    /// Which layout each kind is in: most have one for all.
    pub layout: &'a Layout,
    pub policy: Policy<'a>,
    pub invalid: Invalid,
    /// Only looked at, and how that ends if there is something to do.
    pub dry: Option<OnDrift>,
    /// What a flow's source says of its namespace is replaced by that of its place.
    pub rewrite: bool,
}

/// What came of it.
pub struct Pulled {
    /// The URI of the diff.
    pub diff: String,
    pub summary: Summary,
    pub revisions: Vec<(Key, u64)>,
}

impl Pull<'_> {
    /// Compares, tries out, and, unless it is dry, applies.
    pub fn carry_out(&self, title: &str, cx: &Context) -> Result<Pulled, Failure> {
        let wanted = |key: &Key| self.kinds.contains(&key.kind);
        let mut source = self.repository.side(self.layout, wanted, cx)?;
        if self.rewrite {
            source.iter_mut().filter(|(key, _)| key.kind == Kind::Flow).for_each(|(key, version)| {
                version.content = super::flows::in_namespace(&version.content, &key.namespace);
            });
        }
        // What the layout has no place for is not kept in step with it.
        let there = engine::side(&self.scope, self.kinds, |key| self.layout.path(key).is_ok())?;
        let plan = plan(&source, &there, &self.policy)?;
        let mut report = Report::of(&plan, Target::Engine, &source, &there, |key| {
            path_in(self.repository, self.layout, [&source, &source], key)
        });
        if self.dry.is_none() {
            plan.check()?;
        }
        let mut changes = changes(&plan, &source, &there);
        self.leave_out(&mut changes, &source, &mut report, cx)?;
        let revisions = match self.dry {
            Some(_) => Vec::new(),
            None => engine::apply(&engine::written(&changes)?)?,
        };
        report.log(title, cx);
        let diff = report.store(&revisions)?;
        if let Some(on_drift) = self.dry {
            plan.warn(cx);
            end_of_dry_run(&report, on_drift, cx)?;
        }
        Ok(Pulled { diff, summary: report.summary, revisions })
    }

    /// Takes out what is not valid, or refuses all of it.
    fn leave_out(
        &self,
        changes: &mut Vec<Change>,
        source: &Side,
        report: &mut Report,
        cx: &Context,
    ) -> Result<(), Failure> {
        let refusals = if changes.is_empty() { Vec::new() } else { engine::try_out(&engine::written(changes)?)? };
        if refusals.is_empty() {
            return Ok(());
        }
        let mut told = Vec::new();
        let mut out = Vec::new();
        let mut others = Vec::new();
        for refusal in &refusals {
            let Some(change) = changes.get(refusal.index) else { continue };
            let path = source.get(&change.key).and_then(|version| version.path.clone());
            let place = path.map_or_else(|| change.key.to_string(), |path| self.repository.shown(&path));
            let line = refusal.line.map(|line| format!(":{line}")).unwrap_or_default();
            let hint = refusal.hint.as_ref().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
            let words = format!("{place}{line}: {}{hint}", refusal.message);
            // Whether it is the content that is wrong, or what is to be done with it.
            if change.content.is_some()
                && change.key.kind.is_yaml()
                && !matches!(refusal.code.as_str(), "CONFLICT" | "NOT_GRANTED")
            {
                out.push((change.key.clone(), words.clone()));
                told.push(words);
            } else {
                others.push((refusal.code.clone(), words));
            }
        }
        if let Some((code, _)) = others.first() {
            let code = if code == "CONFLICT" { failures::CONFLICT } else { code.as_str() };
            let words: Vec<&str> = others.iter().map(|(_, words)| words.as_str()).collect();
            return Err(fault(code, format!("nothing was changed: {}", listed(&words))));
        }
        if self.invalid == Invalid::Fail {
            let words: Vec<&str> = told.iter().map(String::as_str).collect();
            let message = format!("nothing was changed, the repository has what is not valid: {}", listed(&words));
            return Err(fault(failures::INVALID, message));
        }
        for (key, words) in &out {
            match self.invalid {
                Invalid::Warn => cx.warn(format!("{}: left out: {words}", failures::INVALID)),
                _ => cx.debug(format!("left out: {words}")),
            }
            report.skip(key, words);
        }
        changes.retain(|change| !out.iter().any(|(key, _)| *key == change.key));
        Ok(())
    }
}

fn listed(words: &[&str]) -> String {
    let more = words.len().saturating_sub(NAMED_MAX);
    let mut text = words.get(..words.len().min(NAMED_MAX)).unwrap_or_default().join("\n");
    if more > 0 {
        text.push_str(&format!("\nand {more} more"));
    }
    text
}

fn changes(plan: &Plan, source: &Side, there: &Side) -> Vec<Change> {
    let change = |step: &super::plan::Step| Change {
        key: step.key.clone(),
        content: (step.action != Action::Delete)
            .then(|| source.get(&step.key).map(|version| version.content.clone()).unwrap_or_default()),
        etag: there.get(&step.key).and_then(|version| version.etag.clone()),
    };
    plan.steps.iter().map(change).collect()
}

/// The policy of the older tasks.
pub fn simple(own: Option<&Key>, delete: bool) -> Policy<'_> {
    Policy {
        target: Target::Engine,
        missing: if delete { Missing::Delete } else { Missing::Keep },
        protected: &[],
        own,
        allow_destructive: false,
    }
}
