//! What operators decide about plugin versions, kept in the store: pins, versions taken back, versions blocked. Every decision is an entry of
//! the store's audit log, in the same commit. What was done to the registry itself is in the registry's journal, whoever did it; the audit
//! log shows both.

use catalog::{Action, Rule, Rules};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::rows::{self, Key, Payload, Setting};
use store::{Batch, Page, Precondition, Query, View};

use crate::apply::FORMAT;
use crate::error::Error;
use crate::installation::refused;
use crate::node::Node;

/// The setting that has all of them.
const NAME: &str = "plugin/rules";
/// Most decisions.
const RULES_MAX: usize = 10_000;
/// Longest reason, in bytes.
const REASON_MAX_BYTES: usize = 1_000;
/// Most entries of the audit log in one answer.
const AUDIT_MAX: usize = 1_000;

/// A rule, whose it is and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    #[serde(flatten)]
    pub rule: Rule,
    pub by: String,
    pub at: Timestamp,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AuditEntry {
    pub at: Timestamp,
    pub actor: String,
    /// `plugin.install`, `plugin.pin`: an open list.
    pub action: String,
    pub subject: String,
    pub details: serde_json::Value,
}

impl Node {
    /// Puts what was decided in earlier lives in force.
    pub(crate) async fn load_rules(&self) -> Result<(), Error> {
        let (decisions, _) = self.stored_decisions().await?;
        self.enforce(&decisions)
    }

    /// What is in force, oldest first.
    pub async fn plugin_rules(&self) -> Result<Vec<Decision>, Error> {
        Ok(self.stored_decisions().await?.0)
    }

    /// Puts a rule in force, for flows that are saved from then on, and with a block for all that runs. One pin of a plugin takes the place of
    /// another.
    pub async fn add_plugin_rule(&self, rule: Rule, by: &str) -> Result<(), Error> {
        let problem = |message: String| Error::bad_request("plugin.rule", message);
        if rule.reason.trim().is_empty() || rule.reason.len() > REASON_MAX_BYTES {
            return Err(problem(format!("a rule has a reason, of at most {REASON_MAX_BYTES} bytes")));
        }
        let _one = self.installing.lock().await;
        if self.catalog().versions(&rule.plugin).next().is_none() {
            return Err(Error::NotFound(format!("no plugin `{}`", rule.plugin)));
        }
        let (mut decisions, before) = self.stored_decisions().await?;
        decisions.retain(|known| !replaces(&rule, &known.rule));
        if decisions.len() >= RULES_MAX {
            return Err(problem(format!("there are {RULES_MAX} rules already")));
        }
        let (action, subject) = (rule.action, format!("{} {}", rule.plugin, rule.versions));
        let details = serde_json::json!({ "reason": rule.reason });
        decisions.push(Decision { rule, by: by.to_owned(), at: self.now() });
        // Read first: what cannot be read must not be stored.
        rules_of(&decisions)?;
        let entry = self.audited(by, &format!("plugin.{}", action.as_str()), &subject, &details)?;
        self.decide_on(&decisions, before, entry).await
    }

    /// Lifts a rule.
    pub async fn lift_plugin_rule(&self, action: Action, plugin: &str, versions: &str, by: &str) -> Result<(), Error> {
        let _one = self.installing.lock().await;
        let (mut decisions, before) = self.stored_decisions().await?;
        let count = decisions.len();
        decisions.retain(|Decision { rule, .. }| {
            rule.action != action || rule.plugin != plugin || rule.versions.trim() != versions.trim()
        });
        if decisions.len() == count {
            return Err(Error::NotFound(format!("there is no {} of plugin `{plugin}` {versions}", action.as_str())));
        }
        let subject = format!("{plugin} {versions}");
        let entry = self.audited(by, &format!("plugin.lift-{}", action.as_str()), &subject, &serde_json::json!({}))?;
        self.decide_on(&decisions, before, entry).await
    }

    async fn decide_on(&self, decisions: &[Decision], before: Precondition, mut entry: Batch) -> Result<(), Error> {
        entry.require(before);
        let value = Payload::of(FORMAT, &decisions).map_err(crate::apply::unwritable)?;
        entry.put(Setting { name: NAME.into(), value, updated: self.now() });
        self.keep(entry).await?;
        self.enforce(decisions)
    }

    fn enforce(&self, decisions: &[Decision]) -> Result<(), Error> {
        self.set_catalog(self.catalog().with_rules(rules_of(decisions)?));
        Ok(())
    }

    async fn stored_decisions(&self) -> Result<(Vec<Decision>, Precondition), Error> {
        let key = Key::Setting(NAME.into());
        match self.store.find::<Setting>(View::Newest, key.clone()).await? {
            None => Ok((Vec::new(), Precondition::Absent(key))),
            Some(found) => Ok((found.value.read().map_err(crate::apply::unreadable)?, found.unchanged())),
        }
    }

    /// A commit that adds an entry to the audit log.
    pub(crate) fn audited(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        details: &serde_json::Value,
    ) -> Result<Batch, Error> {
        let mut batch = Batch::new();
        batch.put(self.audit_entry(actor, action, subject, details)?);
        Ok(batch)
    }

    /// An entry of the audit log.
    pub(crate) fn audit_entry(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        details: &serde_json::Value,
    ) -> Result<rows::Audit, Error> {
        Ok(rows::Audit {
            at: self.now(),
            id: format!("{:032x}", self.entropy.number()).into(),
            actor: actor.into(),
            action: action.into(),
            subject: subject.into(),
            details: Payload::of(FORMAT, details).map_err(crate::apply::unwritable)?,
            chain: None,
        })
    }

    /// Commits, and waits until it is durable.
    pub(crate) async fn keep(&self, batch: Batch) -> Result<(), Error> {
        let lsn = self.store.commit(batch).await?;
        Ok(self.store.durable(lsn).await?)
    }

    /// The newest entries of the audit log, newest first: what the store has, and what the registry's journal has.
    pub async fn audit_log(&self) -> Result<Vec<AuditEntry>, Error> {
        let query = Query::Audit(store::query::Within::default());
        let found = self.store.list::<rows::Audit>(View::Durable, query, Page::first(AUDIT_MAX)).await?;
        let decided = found.items.iter().map(|found| decided(&found.row));
        let mut entries = decided.collect::<Result<Vec<_>, Error>>()?;
        let catalog = self.catalog();
        let journal = self.blocking(move || catalog.journal()).await?.map_err(refused)?;
        entries.extend(journal.into_iter().rev().take(AUDIT_MAX).map(done));
        // Stable: of the same moment each keeps its order.
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        entries.truncate(AUDIT_MAX);
        Ok(entries)
    }
}

fn decided(row: &rows::Audit) -> Result<AuditEntry, Error> {
    Ok(AuditEntry {
        at: row.at,
        actor: row.actor.to_string(),
        action: row.action.to_string(),
        subject: row.subject.to_string(),
        details: row.details.read().map_err(crate::apply::unreadable)?,
    })
}

fn done(entry: catalog::Entry) -> AuditEntry {
    let catalog::Entry { at, actor, action, subject, details } = entry;
    let details = serde_json::to_value(details).unwrap_or_default();
    AuditEntry { at, actor, action, subject, details }
}

fn replaces(new: &Rule, known: &Rule) -> bool {
    let same = new.action == known.action && new.plugin == known.plugin;
    same && (new.action == Action::Pin || new.versions.trim() == known.versions.trim())
}

fn rules_of(decisions: &[Decision]) -> Result<Rules, Error> {
    Rules::new(decisions.iter().map(|decision| decision.rule.clone()).collect()).map_err(refused)
}
