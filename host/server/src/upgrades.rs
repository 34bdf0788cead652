//! Other plugin versions for flows that are there: what would change, a new revision that has it, and the way back. A lock is never
//! rewritten; every change of one is a revision.

use std::sync::Arc;

use catalog::{Level, Requirement, Wish};
use model::lock::{Lock, Locked};
use model::problem::Problem;
use semver::Version;

use crate::error::{Error, Issue};
use crate::flows::{Save, SavedFlow};
use crate::node::Node;
use crate::plugins::Draft;
use crate::policy::Refusal;

/// The one plugin that is to be upgraded, and to which version; `None`: as the flow asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    pub plugin: String,
    pub version: Option<Version>,
}

/// A task or trigger that runs on another version than before.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MovedTask)]
pub struct Moved {
    /// Of the task or trigger.
    pub id: String,
    #[serde(rename = "type")]
    pub type_name: String,
    pub plugin: String,
    #[schema(value_type = String)]
    pub from: Version,
    #[schema(value_type = String)]
    pub to: Version,
}

/// What an upgrade or a way back did, or would do.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// The newest revision afterwards.
    pub flow: Arc<SavedFlow>,
    pub moved: Vec<Moved>,
}

impl Node {
    /// Resolves a flow again and saves what comes out as a revision, if it is another lock. `save`: else only what would change is told.
    pub async fn upgrade_flow(
        &self,
        namespace: &str,
        id: &str,
        only: Option<&Only>,
        save: bool,
    ) -> Result<Upgrade, Error> {
        let _resolving = self.resolving.read().await;
        let before = self.flow(namespace, id, None).await?;
        let source = &before.flow.source;
        let mut draft = self.on_ground(|ground| ground.resolve(source)).map_err(|problems| Error::flow(&problems))?;
        if let Some(only) = only {
            self.leave_others(Arc::make_mut(&mut draft.lock), &before.lock, only)?;
        }
        let refused = self.refusals(&draft.flow, &draft.lock);
        if !refused.is_empty() {
            let problems: Vec<Problem> = refused.iter().map(Refusal::problem).collect();
            return Err(Error::flow(&problems));
        }
        let moved = moved(&before.lock, &draft.lock);
        if moved.is_empty() || !save {
            return Ok(Upgrade { flow: before, moved });
        }
        let expected = Save::Revision(before.flow.revision);
        Ok(Upgrade { flow: self.save_draft(draft, expected).await?, moved })
    }

    /// Flows whose tasks would run on other versions if they were saved now, and what would change. Those that could not be saved now have
    /// the reason in its place.
    pub async fn outdated_flows(&self) -> Result<Vec<(Arc<SavedFlow>, Result<Vec<Moved>, Error>)>, Error> {
        let mut outdated = Vec::new();
        for saved in self.flows(None).await? {
            let key = &saved.flow.key;
            match self.upgrade_flow(key.namespace.as_str(), key.id.as_str(), None, false).await {
                Ok(upgrade) if upgrade.moved.is_empty() => {}
                Ok(upgrade) => outdated.push((saved, Ok(upgrade.moved))),
                // Deleted since.
                Err(Error::NotFound(_)) => {}
                Err(error) => outdated.push((saved, Err(error))),
            }
        }
        Ok(outdated)
    }

    /// Makes an earlier revision the newest again: its source with its lock, as a revision of its own.
    pub async fn roll_back_flow(&self, namespace: &str, id: &str, revision: u32) -> Result<Upgrade, Error> {
        let _resolving = self.resolving.read().await;
        let before = self.flow(namespace, id, None).await?;
        let wanted = self.flow(namespace, id, Some(revision)).await?;
        if wanted.deleted {
            return Err(Error::bad_request(
                "flow.rollback",
                format!("revision {revision} is where the flow was deleted"),
            ));
        }
        let catalog = self.catalog();
        let missing = wanted.lock.each().filter_map(|(id, locked)| Some(issue(id, catalog.locked(locked).err()?)));
        let mut issues: Vec<Issue> = missing.collect();
        issues.extend(self.refusals(&wanted.flow, &wanted.lock).iter().map(|refusal| Issue::from(&refusal.problem())));
        if !issues.is_empty() {
            let message = format!(
                "revision {revision} runs on plugin versions that are not there any more, or may not do what it needs"
            );
            return Err(Error::Invalid { code: "flow.rollback", message, issues });
        }
        let moved = moved(&before.lock, &wanted.lock);
        let expected = Save::Revision(before.flow.revision);
        let draft = Draft { flow: (*wanted.flow).clone(), lock: wanted.lock.clone(), warnings: Vec::new() };
        let saved = self.save_draft(draft, expected).await?;
        Ok(Upgrade { flow: saved, moved })
    }

    /// Leaves a lock as it was but for one plugin.
    fn leave_others(&self, lock: &mut Lock, before: &Lock, only: &Only) -> Result<(), Error> {
        let catalog = self.catalog();
        if catalog.versions(&only.plugin).next().is_none() {
            return Err(Error::NotFound(format!("no plugin `{}`", only.plugin)));
        }
        let mut issues = Vec::new();
        let mut settle = |id: &str, locked: &mut Locked, before: Option<&Locked>| {
            match (locked.plugin == only.plugin, &only.version) {
                (true, Some(version)) => match self.at_version(locked, version) {
                    Ok(chosen) => *locked = chosen,
                    Err(why) => issues.push(issue(id, why)),
                },
                (true, None) => {}
                (false, _) => drop(before.map(|before| *locked = before.clone())),
            };
        };
        lock.each_with(before).for_each(|(id, locked, before)| settle(id, locked, before));
        match issues.is_empty() {
            true => Ok(()),
            false => {
                let version = only.version.as_ref().map(ToString::to_string).unwrap_or_default();
                let message = format!("the flow cannot run on plugin `{}` {version}", only.plugin);
                Err(Error::Invalid { code: "flow.upgrade", message, issues })
            }
        }
    }

    /// The same task type in another version, if what the flow asks for allows it. Resolved as everything is: operators' rules hold.
    fn at_version(&self, locked: &Locked, version: &Version) -> Result<Locked, catalog::Error> {
        let exact = version.to_string();
        let wish = Wish { level: Level::Task, text: &exact };
        let found = self.catalog().resolve(&locked.task_type, &[wish])?.locked;
        if found.version != *version || !Requirement::parse(&locked.requirement)?.matches(version) {
            return Err(catalog::Error::NoMatch {
                plugin: locked.plugin.clone(),
                requirement: exact,
                // LATEST and OLDEST leave the choice to whoever saves.
                hint: format!("the flow, or an operator's pin, asks for `{}`", locked.requirement),
            });
        }
        Ok(Locked { requirement: locked.requirement.clone(), ..found })
    }
}

fn issue(id: &str, why: catalog::Error) -> Issue {
    Issue { path: format!("`{id}`"), line: None, code: why.code().to_owned(), message: why.to_string(), hint: None }
}

fn moved(before: &Lock, after: &Lock) -> Vec<Moved> {
    let mut after = after.clone();
    let both = after.each_with(before).filter_map(|(id, to, from)| Some((id, from?, to)));
    let moved = both.filter(|(_, from, to)| from.digest != to.digest);
    moved
        .map(|(id, from, to)| Moved {
            id: id.to_owned(),
            type_name: to.task_type.clone(),
            plugin: to.plugin.clone(),
            from: from.version.clone(),
            to: to.version.clone(),
        })
        .collect()
}
