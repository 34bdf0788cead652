//! A plan carried out: read, looked at, committed, told to triggers. From the first look to the commit no version is taken away that a lock of
//! it names.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use store::rows::{Holder, Key, UniqueKey, UniqueName};
use store::{Batch, Precondition, View};

use super::documents;
use super::files::Files;
use super::{Change, Content, Deed, Done, End, Expected, Plan, Problem, Thing};
use crate::error::{Error, Issue};
use crate::flows::Save;
use crate::node::Node;
use crate::plugins::Draft;
use crate::revisions::{Outcome, TRIES};

/// How long a plan that was carried out is remembered: longer than attempts of one task run go on.
pub(crate) const REMEMBERED: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);
/// Longest part of an answer that is one unique key: they are in a list by what holds them, and its keys have at most 4 KiB.
const PART_BYTES: usize = 3_000;
/// Most parts that are read: an answer of 10,000 changes with the longest names has as many.
const PARTS_MAX: usize = 8_192;

/// What is told of a plan that went well.
pub(crate) type Told = fn(&Plan, &[Done]) -> String;

/// A plan whose flows are read: one draft for each flow that is saved, in the order of the changes.
struct Drafted {
    plan: Plan,
    drafts: Vec<Option<Box<Draft>>>,
    problems: Vec<Problem>,
}

/// One try of a commit.
#[derive(Default)]
struct Staged {
    batch: Batch,
    done: Vec<Done>,
    outcomes: Vec<Outcome>,
    problems: Vec<Problem>,
}

impl Node {
    /// Carries a plan out, all or nothing, and remembers the answer that `told` makes of it; or only looks at it. Goes on when whoever asked does not wait
    /// any more: what is committed is told to triggers.
    pub(crate) async fn carry_out(self: &Arc<Self>, plan: Plan, told: Told) -> Result<End, Error> {
        let node = self.clone();
        let work = self.tasks.spawn(async move { node.carry(plan, told).await });
        work.await.map_err(|error| Error::Internal(error.to_string()))?
    }

    async fn carry(self: Arc<Self>, plan: Plan, told: Told) -> Result<End, Error> {
        let _resolving = self.resolving.read().await;
        if let Some(answer) = self.carried_out(plan.name.as_ref()).await? {
            return Ok(End::Done(answer));
        }
        let node = self.clone();
        let Drafted { plan, drafts, problems: wrong } = self.blocking(move || drafted(&node, plan)).await?;
        for _ in 0..TRIES {
            // What is wrong with the text of one change says nothing of the others: all is told at once.
            let mut staged = self.stage(&plan, &drafts, &wrong).await?;
            if !staged.problems.is_empty() {
                staged.problems.sort_by_key(|problem| problem.index);
                return Ok(End::Wrong(staged.problems));
            }
            let answer = told(&plan, &staged.done);
            let Some(name) = &plan.name else { return Ok(End::Done(answer)) };
            remember(&mut staged.batch, name, &answer, self.now());
            match self.store.commit(staged.batch).await {
                Ok(_) => {
                    for outcome in staged.outcomes {
                        self.settle(outcome).await?;
                    }
                    // Up to the head: what was there already was perhaps saved just now.
                    self.store.durable(self.store.head()).await?;
                    return Ok(End::Done(answer));
                }
                Err(store::Error::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
            // Another attempt of the same run may have been faster.
            if let Some(answer) = self.carried_out(plan.name.as_ref()).await? {
                return Ok(End::Done(answer));
            }
        }
        let message = "what the plan is about is being changed by others, again and again; hint: try again".to_owned();
        Err(Error::Conflict { code: "plan.conflict", message })
    }

    /// Everything a plan does, into a commit that holds only if what was seen here is still so.
    async fn stage(&self, plan: &Plan, drafts: &[Option<Box<Draft>>], wrong: &[Problem]) -> Result<Staged, Error> {
        let mut staged = Staged::default();
        let files = Files::of(plan);
        let known: BTreeSet<usize> = wrong.iter().map(|problem| problem.index).collect();
        staged.problems.extend(wrong.iter().map(Problem::clone));
        for (change, draft) in plan.changes.iter().zip(drafts) {
            if known.contains(&change.index) {
                continue;
            }
            let step = match &change.thing {
                Thing::Flow(_) => self.stage_flow(&mut staged, change, draft.as_deref()).await?,
                Thing::File { .. } => self.stage_file(&mut staged.batch, change, &files, plan.name.is_some()).await?,
                Thing::Document(key) => self.stage_document(&mut staged.batch, change, key).await?,
            };
            match step {
                Ok(done) => staged.done.push(done),
                Err(problem) => staged.problems.push(problem),
            }
        }
        Ok(staged)
    }

    async fn stage_flow(
        &self,
        staged: &mut Staged,
        change: &Change,
        draft: Option<&Draft>,
    ) -> Result<Result<Done, Problem>, Error> {
        let Thing::Flow(key) = &change.thing else {
            return Err(Error::Internal("what is no flow is taken for one".to_owned()));
        };
        let revision = match &change.expected {
            Expected::This(etag) => match etag.parse::<u32>() {
                Ok(revision) => Some(revision),
                Err(_) => return Ok(Err(Problem::meanwhile(change))),
            },
            Expected::Anything | Expected::Nothing => None,
        };
        let outcome = match draft {
            Some(draft) => {
                let save = match (&change.expected, revision) {
                    (Expected::Nothing, _) => Save::New,
                    (_, Some(revision)) => Save::Revision(revision),
                    _ => Save::Any,
                };
                self.stage_save(&mut staged.batch, draft, &save).await
            }
            None if change.expected == Expected::Nothing => {
                let there = self.newest_row(key).await?.is_some_and(|row| !row.deleted);
                return Ok(match there {
                    true => Err(Problem::meanwhile(change)),
                    false => Ok(Done { revision: None, changed: false }),
                });
            }
            None => self.stage_end(&mut staged.batch, key, revision).await,
        };
        match outcome {
            Ok(outcome) => {
                let done = Done { revision: outcome.revision(), changed: outcome.is_change() };
                staged.outcomes.push(outcome);
                Ok(Ok(done))
            }
            // What is gone already is deleted, whoever did it, unless it must have been there.
            Err(Error::NotFound(_)) if revision.is_none() => Ok(Ok(Done { revision: None, changed: false })),
            Err(Error::NotFound(_) | Error::Conflict { .. }) => Ok(Err(Problem::meanwhile(change))),
            Err(error) => Err(error),
        }
    }

    /// What a plan answered that was carried out under this name.
    pub(crate) async fn carried_out(&self, name: Option<&UniqueName>) -> Result<Option<String>, Error> {
        let Some(name) = name else { return Ok(None) };
        let Some(first) = self.held(name).await? else { return Ok(None) };
        let Some(count) = first.strip_prefix(IN_PARTS).and_then(|count| count.parse::<usize>().ok()) else {
            return Ok(Some(first));
        };
        let mut answer = String::new();
        for number in 0..count.min(PARTS_MAX) {
            let part = self.held(&part_name(name, number)).await?;
            let missing = || Error::Internal(format!("part {number} of what plan `{name}` answered is gone"));
            answer.push_str(&part.ok_or_else(missing)?);
        }
        Ok(Some(answer))
    }

    async fn held(&self, name: &UniqueName) -> Result<Option<String>, Error> {
        let found = self.store.find::<UniqueKey>(View::Newest, Key::Unique(name.clone())).await?;
        Ok(found.map(|key| key.holder.to_string()))
    }
}

/// What stands in the place of an answer that is in parts, before their number.
const IN_PARTS: &str = "parts/";

/// The key that says that a plan was carried out, with its answer.
pub(crate) fn remember(batch: &mut Batch, name: &UniqueName, answer: &str, now: Timestamp) {
    let expires = Some(now.saturating_add(REMEMBERED).unwrap_or(Timestamp::MAX));
    let mut take = |name: UniqueName, held: &str| {
        batch.take(UniqueKey { name, holder: Holder::Named(held.into()), created: now, expires });
    };
    if answer.len() <= PART_BYTES {
        take(name.clone(), answer);
    } else {
        let parts = parts(answer);
        take(name.clone(), &format!("{IN_PARTS}{}", parts.len()));
        for (number, part) in parts.iter().enumerate() {
            take(part_name(name, number), part);
        }
    }
    batch.require(Precondition::Absent(Key::Unique(name.clone())));
}

fn part_name(name: &UniqueName, number: usize) -> UniqueName {
    match name {
        UniqueName::Named(name) => UniqueName::Named(format!("{name}/{number}").into()),
        other => UniqueName::Named(format!("{other}/{number}").into()),
    }
}

/// A text in pieces of at most [`PART_BYTES`], none of them cut within a letter.
fn parts(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while !text.is_empty() {
        let end = (0..=text.len().min(PART_BYTES)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let (part, rest) = text.split_at(end);
        parts.push(part);
        text = rest;
    }
    parts
}

/// Reads the flows and looks at the documents of a plan.
fn drafted(node: &Node, plan: Plan) -> Drafted {
    let (mut drafts, mut problems) = (Vec::with_capacity(plan.changes.len()), Vec::new());
    let mut seen = BTreeSet::new();
    for change in &plan.changes {
        if !seen.insert(&change.thing) {
            let what = format!("{} `{}`", change.thing.kind().as_str(), change.thing.id());
            problems.push(Problem::new(change.index, "BAD_ARGUMENT", format!("{what} is in the plan twice")));
            drafts.push(None);
            continue;
        }
        let draft = match (&change.thing, &change.deed) {
            (Thing::Flow(_), Deed::Save(Content::Text(source))) => match read_flow(node, change, source) {
                Ok(draft) => Some(draft),
                Err(wrong) => {
                    problems.extend(wrong);
                    None
                }
            },
            (Thing::Document(key), Deed::Save(Content::Text(source))) => {
                problems.extend(documents::wrong(key, source).map(|(message, line)| {
                    let problem = Problem::new(change.index, "BAD_ARGUMENT", message);
                    Problem { issue: Issue { line, ..problem.issue }, ..problem }
                }));
                None
            }
            (Thing::Flow(_) | Thing::Document(_), Deed::Save(Content::Stored(_))) => {
                let message = "a file is not taken for the source of a flow or a document".to_owned();
                problems.push(Problem::new(change.index, "BAD_ARGUMENT", message));
                None
            }
            (Thing::File { .. }, _) | (_, Deed::Delete) => None,
        };
        drafts.push(draft);
    }
    drop(seen);
    Drafted { plan, drafts, problems }
}

/// The flow that a change saves, or all that is wrong with it.
fn read_flow(node: &Node, change: &Change, source: &str) -> Result<Box<Draft>, Vec<Problem>> {
    let Change { thing, index, .. } = change;
    match node.read_flow(source) {
        Ok(draft) => {
            let found = &draft.flow.key;
            if (found.namespace.as_str(), found.id.as_str()) == (thing.namespace(), thing.id()) {
                return Ok(Box::new(draft));
            }
            let message = format!("the source is of flow `{found}`, not of `{}.{}`", thing.namespace(), thing.id());
            Err(vec![Problem::new(*index, INVALID, message)])
        }
        Err(found) => {
            let errors = found.iter().filter(|problem| problem.is_error()).map(Issue::from);
            Err(errors.map(|issue| Problem { index: *index, code: INVALID, issue }).collect())
        }
    }
}

/// The code of a flow that cannot be saved.
const INVALID: &str = "INVALID_FLOW";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answers_are_in_parts_that_are_put_together_again() {
        let answer = "aä€".repeat(PART_BYTES);
        let found = parts(&answer);
        assert!(found.len() > 5 && found.iter().all(|part| part.len() <= PART_BYTES));
        assert_eq!(found.concat(), answer);
        assert!(parts("").is_empty());
        let mut batch = Batch::new();
        remember(&mut batch, &UniqueName::Named("p/1".into()), &answer, Timestamp::UNIX_EPOCH);
        assert_eq!(batch.steps.len(), found.len() + 1);
    }
}
