//! From a task type and what was asked for to the one version a task runs on. Done when a flow is saved; afterwards the lock
//! answers, and nothing is ever resolved again in silence.

use std::sync::Arc;

use model::ids::TaskId;
use model::lock::{Lock, Locked};
use semver::Version;

use crate::catalog::Catalog;
use crate::error::{Error, List};
use crate::manifest::TaskType;
use crate::name::PluginName;
use crate::nearest::nearest;
use crate::registry::Package;
use crate::requirement::Requirement;
use crate::rules::refusal;

/// What a task runs on when nobody asked for a version.
const DEFAULT_REQUIREMENT: &str = "LATEST";

/// Who asks for a version. The first in this order that asks is heard; the others are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// An operator's pin.
    Operator,
    /// `version:` of the task.
    Task,
    /// The flow: its `pluginDefaults`, else its `plugins`.
    Flow,
    Namespace,
    Server,
}

/// A version requirement as somebody wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish<'a> {
    pub level: Level,
    pub text: &'a str,
}

/// One task that needs a plugin.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub task: TaskId,
    /// The task type or alias as written.
    pub task_type: &'a str,
    /// In any order; of equal levels the first counts.
    pub wishes: Vec<Wish<'a>>,
}

/// What a task runs on.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// For the flow revision's lock.
    pub locked: Locked,
    pub package: Arc<Package>,
}

impl Resolution {
    /// The task type in that version.
    pub fn task(&self) -> &TaskType {
        self.package
            .manifest()
            .task(&self.locked.task_type)
            .expect("a resolution was made from a version that has the task type")
    }
}

impl Catalog {
    /// The version a task runs on.
    pub fn resolve(&self, task_type: &str, wishes: &[Wish<'_>]) -> Result<Resolution, Error> {
        let snapshot = self.snapshot();
        let plugin = self.owner(task_type).ok_or_else(|| Error::UnknownType {
            task_type: task_type.to_owned(),
            nearest: nearest(task_type, snapshot.owners.names()),
        })?;
        let having: Vec<&Arc<Package>> = self.described(task_type).map(|described| described.package).collect();
        let (package, text) = self.choose(plugin, Some(task_type), &having, wishes)?;
        let manifest = package.manifest();
        let task = manifest.task(task_type).expect("only versions with the task type were looked at");
        let locked = Locked {
            task_type: task.name.clone(),
            plugin: plugin.to_string(),
            version: manifest.version.clone(),
            digest: package.published.digest.clone(),
            requirement: text.trim().to_owned(),
        };
        Ok(Resolution { locked, package: Arc::clone(package) })
    }

    /// The version of a plugin that a task would run on now that asks for this.
    pub fn select(&self, plugin: &str, requirement: &str) -> Result<&Arc<Package>, Error> {
        let Some((name, versions)) = self.plugins().find(|(name, _)| name.as_str() == plugin) else {
            let names = self.plugins().map(|(name, _)| name.as_str());
            return Err(Error::UnknownPlugin { plugin: plugin.to_owned(), nearest: nearest(plugin, names) });
        };
        let having: Vec<&Arc<Package>> = versions.collect();
        let wish = Wish { level: Level::Task, text: requirement };
        self.choose(name, None, &having, &[wish]).map(|(package, _)| package)
    }

    /// The version out of these that is heard to be asked for, and what was asked.
    fn choose<'a, 'w>(
        &'a self,
        plugin: &PluginName,
        task_type: Option<&str>,
        having: &[&'a Arc<Package>],
        wishes: &'w [Wish<'w>],
    ) -> Result<(&'a Arc<Package>, &'w str), Error>
    where
        'a: 'w,
    {
        let snapshot = self.snapshot();
        // `min_by_key` keeps the first of equals.
        let pin = self.rules().pin(plugin.as_str()).map(|text| Wish { level: Level::Operator, text });
        let wish = pin.as_ref().into_iter().chain(wishes).min_by_key(|wish| wish.level);
        let text = wish.map_or(DEFAULT_REQUIREMENT, |wish| wish.text);
        let requirement = Requirement::parse(text)?;
        let withheld = |package: &Package| self.rules().withheld(plugin.as_str(), &package.manifest().version);
        let offered: Vec<&Arc<Package>> = having
            .iter()
            .copied()
            .filter(|package| withheld(package).is_none() && self.held(package).is_none())
            .collect();
        let Some(package) = snapshot.pick(&requirement, &offered) else {
            // Something would fit, and must not be taken.
            if let Some(package) = snapshot.pick(&requirement, having) {
                if let Some(rule) = withheld(package) {
                    return Err(refusal(rule, &package.manifest().version));
                }
                self.may_be_used(package)?;
            }
            return Err(self.no_match(plugin, task_type, &requirement, having, wish));
        };
        Ok((package, text))
    }

    /// The lock of a flow revision, or every task that cannot be resolved.
    pub fn lock(&self, asks: &[Ask<'_>]) -> Result<Lock, Vec<(TaskId, Error)>> {
        let mut lock = Lock::default();
        let mut problems = Vec::new();
        for ask in asks {
            match self.resolve(ask.task_type, &ask.wishes) {
                Ok(resolution) => drop(lock.tasks.insert(ask.task.clone(), resolution.locked)),
                Err(error) => problems.push((ask.task.clone(), error)),
            }
        }
        if problems.is_empty() { Ok(lock) } else { Err(problems) }
    }

    /// Why nothing fits: another version would have the task type, another host would run it, or nothing is there.
    fn no_match(
        &self,
        plugin: &PluginName,
        task_type: Option<&str>,
        requirement: &Requirement,
        having: &[&Arc<Package>],
        wish: Option<&Wish<'_>>,
    ) -> Error {
        let version = |package: &&Arc<Package>| package.manifest().version.clone();
        let fitting = |package: &&&Arc<Package>| requirement.matches(&package.manifest().version);
        if let Some(too_new) = having.iter().rev().find(fitting)
            && let Err(error) = self.runs_here(too_new)
        {
            return error;
        }
        let all: Vec<&Arc<Package>> = self.versions(plugin.as_str()).collect();
        if let Some(task_type) = task_type
            && let Some(without) = all.iter().rev().find(fitting)
        {
            return Error::NotInVersion {
                plugin: plugin.to_string(),
                version: version(without),
                task_type: task_type.to_owned(),
                having: having.iter().map(version).collect(),
            };
        }
        let versions: Vec<Version> = all.iter().map(version).collect();
        let mut hint = format!("installed are {}", List(&versions));
        if versions.iter().any(|version| !version.pre.is_empty()) && !matches!(requirement, Requirement::Exact(_)) {
            hint.push_str("; a prerelease is taken only when it is named");
        }
        if let Some(asker) = wish.and_then(|wish| asker(wish.level)) {
            hint.push_str("; the requirement comes from ");
            hint.push_str(asker);
        }
        Error::NoMatch { plugin: plugin.to_string(), requirement: requirement.to_string(), hint }
    }
}

/// Where a requirement comes from, unless it is plain to see at the task.
fn asker(level: Level) -> Option<&'static str> {
    match level {
        Level::Operator => Some("the operator's pin"),
        Level::Task => None,
        Level::Flow => Some("the flow's `plugins` or `pluginDefaults`"),
        Level::Namespace => Some("the namespace"),
        Level::Server => Some("the server's configuration"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::rules::{Action, Rule, Rules};
    use crate::testing::{Place, component, manifest};
    use serde_json::json;

    const SEND: &str = "com.example.mail.Send";

    /// `mail` with prereleases, a task type that came late, a renamed one and a version for a newer host.
    fn catalog() -> (Place, Catalog) {
        let place = Place::new();
        place.put("mail", "1.0.0", &[SEND, "com.example.mail.Old"]);
        place.put("mail", "1.2.0", &[SEND, "com.example.mail.Old"]);
        let mut renamed = manifest("mail", "2.0.0", &[SEND, "com.example.mail.New"]);
        renamed["tasks"][1]["aliases"] = json!(["com.example.mail.Old"]);
        place.put_bytes(&component(&renamed));
        place.put("mail", "2.1.0-rc.1", &[SEND, "com.example.mail.New"]);
        let mut newer = manifest("mail", "3.0.0", &[SEND]);
        newer["minimumHost"] = json!("1.1.0");
        place.put_bytes(&component(&newer));
        let catalog = place.catalog();
        assert!(catalog.problems().is_empty(), "{:?}", catalog.problems());
        (place, catalog)
    }

    fn task(text: &str) -> [Wish<'_>; 1] {
        [Wish { level: Level::Task, text }]
    }

    fn check(task_type: &str, requirement: &str, expected: &str) {
        let resolution = catalog().1.resolve(task_type, &task(requirement)).unwrap();
        assert_eq!(resolution.locked.version.to_string(), expected, "{task_type} {requirement}");
        assert_eq!(resolution.locked.requirement, requirement);
        assert_eq!(resolution.locked.digest, resolution.package.published.digest);
    }

    fn refused(task_type: &str, wishes: &[Wish<'_>], expected: &[&str]) {
        let message = catalog().1.resolve(task_type, wishes).unwrap_err().to_string();
        for part in expected {
            assert!(message.contains(part), "`{message}` does not say `{part}`");
        }
    }

    #[test]
    fn operators_are_heard_before_all_others() {
        let (_place, catalog) = catalog();
        let ruled = |rules: &[(Action, &str)]| {
            let rule = |(action, versions): &(Action, &str)| Rule {
                action: *action,
                plugin: "mail".to_owned(),
                versions: (*versions).to_owned(),
                reason: "it loses mail".to_owned(),
            };
            catalog.with_rules(Rules::new(rules.iter().map(rule).collect()).unwrap())
        };
        let picked = |catalog: &Catalog, text: &str| {
            let wishes = [Wish { level: Level::Task, text }];
            catalog.resolve(SEND, &wishes).map(|found| (found.locked.version.to_string(), found.locked.requirement))
        };
        let pinned = ruled(&[(Action::Pin, "1.0.0")]);
        assert_eq!(picked(&pinned, "^2").unwrap(), ("1.0.0".to_owned(), "1.0.0".to_owned()));
        assert_eq!(picked(&pinned.reload(), "^2").unwrap().0, "1.0.0", "rules outlive a look at the registries");
        let locked = catalog.resolve(SEND, &[Wish { level: Level::Task, text: "1.2.0" }]).unwrap().locked;
        for (action, code) in [(Action::Yank, "PLUGIN_YANKED"), (Action::Block, "PLUGIN_BLOCKED")] {
            let ruled = ruled(&[(action, "~1.2")]);
            assert_eq!(picked(&ruled, "^1").unwrap().0, "1.0.0");
            let refused = picked(&ruled, "1.2.0").unwrap_err();
            assert_eq!(refused.code(), code);
            assert!(refused.to_string().contains("it loses mail"), "{refused}");
            // What has it in its lock goes on, unless it is blocked.
            assert_eq!(ruled.locked(&locked).is_ok(), action == Action::Yank);
        }
        let both = ruled(&[(Action::Yank, "*"), (Action::Block, "1.2.0")]);
        assert_eq!(picked(&both, "1.2.0").unwrap_err().code(), "PLUGIN_BLOCKED");
        // A pin to what is withheld is a mistake that is told, not passed over.
        assert_eq!(
            picked(&ruled(&[(Action::Pin, "1.2.0"), (Action::Yank, "1.2.0")]), "^1").unwrap_err().code(),
            "PLUGIN_YANKED"
        );
        assert!(
            Rules::new(vec![Rule {
                action: Action::Pin,
                plugin: "mail".into(),
                versions: "^x".into(),
                reason: String::new()
            }])
            .is_err()
        );
    }

    #[test]
    fn versions_side_by_side() {
        check(SEND, "1.0.0", "1.0.0");
        check(SEND, "^1", "1.2.0");
        check(SEND, "latest", "2.0.0");
        check(SEND, "OLDEST", "1.0.0");
        check(SEND, "2.1.0-rc.1", "2.1.0-rc.1");
        check("com.example.mail.New", "OLDEST", "2.0.0");
    }

    #[test]
    fn alias_resolves_to_the_type_of_that_version() {
        let (_place, catalog) = catalog();
        let newest = catalog.resolve("com.example.mail.Old", &[]).unwrap();
        assert_eq!(
            (newest.locked.task_type.as_str(), newest.task().name.as_str()),
            ("com.example.mail.New", "com.example.mail.New")
        );
        assert_eq!(newest.locked.requirement, "LATEST");
        let oldest = catalog.resolve("com.example.mail.Old", &task("1.0.0")).unwrap();
        assert_eq!(oldest.locked.task_type, "com.example.mail.Old");
    }

    #[test]
    fn first_level_that_asks_is_heard() {
        let wish = |level, text| Wish { level, text };
        let chosen = |wishes: &[Wish<'_>]| catalog().1.resolve(SEND, wishes).unwrap().locked.version.to_string();
        let all = [
            wish(Level::Server, "LATEST"),
            wish(Level::Namespace, "1.2.0"),
            wish(Level::Flow, "OLDEST"),
            wish(Level::Task, "2.0.0"),
            wish(Level::Operator, "1.2.0"),
        ];
        assert_eq!(chosen(&all), "1.2.0");
        assert_eq!(chosen(&all[..4]), "2.0.0");
        assert_eq!(chosen(&all[..3]), "1.0.0");
        assert_eq!(chosen(&all[..2]), "1.2.0");
        assert_eq!(chosen(&all[..1]), "2.0.0");
        assert_eq!(chosen(&[wish(Level::Flow, "1.0.0"), wish(Level::Flow, "1.2.0")]), "1.0.0");
    }

    #[test]
    fn refusals_name_what_is_there() {
        refused(
            SEND,
            &task("^4"),
            &[
                "no version of plugin `mail` matches `^4`",
                "hint: installed are 1.0.0, 1.2.0, 2.0.0, 2.1.0-rc.1, 3.0.0",
                "a prerelease is taken only",
            ],
        );
        refused(
            SEND,
            &[Wish { level: Level::Namespace, text: "9.9.9" }],
            &["matches `9.9.9`", "comes from the namespace"],
        );
        refused(
            "com.example.mail.New",
            &task("1.0.0"),
            &[
                "plugin `mail` 1.0.0 has no task type `com.example.mail.New`",
                "these versions have it: 2.0.0, 2.1.0-rc.1",
            ],
        );
        refused(SEND, &task("3.0.0"), &["plugin `mail` 3.0.0 needs Sluice 1.1.0 or later, and this is 1.0.0"]);
        refused(SEND, &task("^3"), &["needs Sluice 1.1.0"]);
        refused(SEND, &task("1.2"), &["`1.2` is not a version requirement"]);
        refused(
            "com.example.mail.Snd",
            &[],
            &["unknown task type `com.example.mail.Snd`", "did you mean `com.example.mail.Send`?"],
        );
        refused("io.kestra.plugin.core.flow.iff", &[], &["did you mean `io.kestra.plugin.core.flow.If`?"]);
        refused("org.other.Thing", &[], &["hint: `sluice plugin list`"]);
    }

    #[test]
    fn lock_has_every_task_or_every_problem() {
        let (_place, catalog) = catalog();
        let ask = |task: &str, task_type, text| Ask {
            task: TaskId::trusted(task),
            task_type,
            wishes: vec![Wish { level: Level::Task, text }],
        };
        let lock = catalog.lock(&[ask("a", SEND, "1.0.0"), ask("b", SEND, "^2")]).unwrap();
        let versions: Vec<String> = lock.tasks.values().map(|locked| locked.version.to_string()).collect();
        assert_eq!(versions, ["1.0.0", "2.0.0"]);
        let problems =
            catalog.lock(&[ask("a", SEND, "^7"), ask("b", SEND, "^2"), ask("c", "com.no.Such", "^2")]).unwrap_err();
        let tasks: Vec<&str> = problems.iter().map(|(task, _)| task.as_str()).collect();
        assert_eq!(tasks, ["a", "c"]);
    }

    #[test]
    fn description_is_of_the_newest_that_runs_here() {
        let (_place, catalog) = catalog();
        assert_eq!(catalog.describe(SEND).unwrap().package.manifest().version, Version::new(2, 0, 0));
        assert_eq!(catalog.described(SEND).count(), 5);
        assert!(catalog.describe("com.no.Such").is_none());
        let place = Place::new();
        place.put("beta", "0.1.0-a", &["com.example.Beta"]);
        assert!(place.catalog().describe("com.example.Beta").is_some(), "a prerelease is better than nothing");
    }
}
