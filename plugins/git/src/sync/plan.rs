//! What is to become of each thing, decided before anything is done. Pure: it is shown in a dry run as it is carried out in another.

use sluice_sdk::{Context, Failure};

use super::model::{Key, Side, comparable, is_within};
use crate::failures::{self, fault};

/// Which side is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Repository,
    Engine,
}

/// What becomes of what the source does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Delete,
    Keep,
    Fail,
}

/// The rules of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    pub target: Target,
    pub missing: Missing,
    /// Namespaces of the engine in which nothing is deleted.
    pub protected: &'a [String],
    /// The flow that carries it out, which does not delete itself.
    pub own: Option<&'a Key>,
    /// Whether everything may go because the source is empty.
    pub allow_destructive: bool,
}

/// What becomes of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Add,
    Update,
    Delete,
}

/// One thing that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub key: Key,
    pub action: Action,
}

/// A thing that stays although the source does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub key: Key,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The task says so.
    Asked,
    /// Its namespace is protected.
    Protected,
    /// It is the flow at work.
    Own,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub kept: Vec<Kept>,
    pub unchanged: usize,
    /// Why it must not be carried out, though it may be looked at.
    pub refused: Option<&'static str>,
}

/// Compares both sides.
pub fn plan(source: &Side, target: &Side, policy: &Policy<'_>) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let mut missing = Vec::new();
    for (key, wanted) in source {
        match target.get(key) {
            None => plan.steps.push(Step { key: key.clone(), action: Action::Add }),
            Some(there) if comparable(key.kind, &there.content) == comparable(key.kind, &wanted.content) => {
                plan.unchanged += 1
            }
            Some(_) => plan.steps.push(Step { key: key.clone(), action: Action::Update }),
        }
    }
    for key in target.keys().filter(|key| !source.contains_key(*key)) {
        let in_engine = policy.target == Target::Engine;
        let why = if policy.missing == Missing::Keep {
            Some(Why::Asked)
        } else if in_engine && policy.own == Some(key) {
            Some(Why::Own)
        } else if in_engine && is_within(&key.namespace, policy.protected) {
            Some(Why::Protected)
        } else {
            None
        };
        match why {
            Some(why) => plan.kept.push(Kept { key: key.clone(), why }),
            None if policy.missing == Missing::Fail => missing.push(key.to_string()),
            None => plan.steps.push(Step { key: key.clone(), action: Action::Delete }),
        }
    }
    if !missing.is_empty() {
        let source = match policy.target {
            Target::Engine => "the repository",
            Target::Repository => "the engine",
        };
        let more = missing.len().saturating_sub(20);
        missing.truncate(20);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "{source} does not have `{}`{more}, and `whenMissingInSource` is FAIL; nothing was changed",
            missing.join("`, `")
        );
        return Err(fault(failures::MISSING, message));
    }
    plan.steps.sort_by(|a, b| a.key.cmp(&b.key));
    let deletes = plan.steps.iter().any(|step| step.action == Action::Delete);
    if deletes && source.is_empty() && !policy.allow_destructive {
        plan.refused = Some(match policy.target {
            Target::Engine => "the repository has nothing of it, and everything in the engine would be deleted",
            Target::Repository => "the engine has nothing of it, and everything in the repository would be deleted",
        });
    }
    Ok(plan)
}

impl Plan {
    /// Says in a dry run that the plan would not be carried out.
    pub fn warn(&self, cx: &Context) {
        if let Some(why) = self.refused {
            let code = failures::DESTRUCTIVE;
            cx.warn(format!("{code}: {why}; without `dryRun` the task fails unless it says `allowDestructive: true`"));
        }
    }

    /// Refuses what must not be carried out.
    pub fn check(&self) -> Result<(), Failure> {
        match self.refused {
            None => Ok(()),
            Some(why) => {
                let message = format!(
                    "{why}; hint: if that is meant, say `allowDestructive: true`, else look at `sourceOfTruth`, `whenMissingInSource` and `gitDirectory`"
                );
                Err(fault(failures::DESTRUCTIVE, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Kind, Version};
    use super::*;

    fn key(text: &str) -> Key {
        let (namespace, id) = text.rsplit_once('.').expect("namespace and id");
        Key { kind: Kind::Flow, namespace: namespace.into(), id: id.into() }
    }

    fn side(items: &[(&str, &str)]) -> Side {
        let version = |content: &str| Version { content: content.as_bytes().to_vec(), etag: None, path: None };
        items.iter().map(|(name, content)| (key(name), version(content))).collect()
    }

    fn policy(target: Target, missing: Missing) -> Policy<'static> {
        Policy { target, missing, protected: &[], own: None, allow_destructive: false }
    }

    fn told(plan: &Plan) -> Vec<String> {
        plan.steps.iter().map(|step| format!("{:?} {}", step.action, step.key)).collect()
    }

    #[test]
    fn the_source_wins() {
        let source = side(&[("a.same", "x\r\n"), ("a.new", "n"), ("a.other", "2")]);
        let target = side(&[("a.same", "x"), ("a.other", "1"), ("a.gone", "g")]);
        let made = |missing| plan(&source, &target, &policy(Target::Engine, missing));
        let deleting = made(Missing::Delete).expect("a plan");
        assert_eq!(told(&deleting), ["Delete a.gone", "Add a.new", "Update a.other"]);
        assert_eq!(deleting.unchanged, 1);
        let keeping = made(Missing::Keep).expect("a plan");
        assert_eq!(told(&keeping), ["Add a.new", "Update a.other"]);
        assert_eq!(keeping.kept, [Kept { key: key("a.gone"), why: Why::Asked }]);
        let failure = made(Missing::Fail).expect_err("one is missing");
        assert_eq!(failure.code(), failures::MISSING);
        assert!(failure.message().contains("`a.gone`"), "{failure}");
    }

    #[test]
    fn what_is_protected_stays_in_the_engine_and_so_does_the_flow_at_work() {
        let source = side(&[("a.x", "1")]);
        let target = side(&[("a.x", "1"), ("system.y", "2"), ("system.sub.z", "3"), ("systems.v", "4"), ("a.me", "5")]);
        let (protected, own) = (["system".to_owned()], key("a.me"));
        let rules = Policy { protected: &protected, own: Some(&own), ..policy(Target::Engine, Missing::Delete) };
        let made = plan(&source, &target, &rules).expect("a plan");
        assert_eq!(told(&made), ["Delete systems.v"]);
        assert_eq!(made.kept.len(), 3);
        // Of the repository it may go.
        let made = plan(&source, &target, &Policy { target: Target::Repository, ..rules }).expect("a plan");
        assert_eq!(made.steps.len(), 4);
    }

    #[test]
    fn an_empty_source_deletes_nothing_unless_it_is_said() {
        let (nothing, target) = (Side::new(), side(&[("a.x", "1")]));
        for side in [Target::Engine, Target::Repository] {
            let rules = policy(side, Missing::Delete);
            let made = plan(&nothing, &target, &rules).expect("a plan");
            assert_eq!(made.check().expect_err("refused").code(), failures::DESTRUCTIVE);
            let made = plan(&nothing, &target, &Policy { allow_destructive: true, ..rules }).expect("a plan");
            assert!(made.check().is_ok());
            assert!(plan(&nothing, &nothing, &rules).expect("a plan").check().is_ok());
            assert!(plan(&nothing, &target, &policy(side, Missing::Keep)).expect("a plan").check().is_ok());
        }
    }
}
