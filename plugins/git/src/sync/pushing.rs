//! From here into the repository: one commit, and one move of the branch. When somebody else moves it first, the plan is made again on what is there
//! then, as long as nobody has touched the same files.

use std::collections::BTreeMap;
use std::time::Duration;

use gix_hash::ObjectId;
use sluice_sdk::{Context, Failure};

use super::model::{Key, Kind, comparable};
use super::plan::{Action, Plan, Policy, Target};
use super::properties::{OnDrift, end_of_dry_run};
use super::report::{Report, Summary, path_in};
use super::repository::Repository;
use super::{engine, layout::Layout, model::Side, plan};
use crate::failures::{self, fault};
use crate::objects::commit::{Author, Edit};
use crate::objects::tree::{LeafKind, Leaves};

/// How often a push is made when others move the branch.
const TRIES: u32 = 5;
/// The wait before the second one; each next is twice as long.
const WAIT: Duration = Duration::from_millis(200);
/// Paths that a message names.
const NAMED_MAX: usize = 20;

/// How a commit is made.
pub struct Commit<'a> {
    pub author: Author,
    pub message: &'a str,
    /// Only looked at, and how that ends if there is something to do.
    pub dry: Option<OnDrift>,
}

/// What came of it.
pub struct Pushed {
    /// The URI of the diff.
    pub diff: String,
    pub summary: Summary,
    pub commit_id: Option<String>,
    pub commit_url: Option<String>,
}

impl Pushed {
    fn of(report: &Report, commit: Option<ObjectId>, repository: &Repository) -> Result<Self, Failure> {
        Ok(Self {
            diff: report.store(&[])?,
            summary: report.summary,
            commit_id: commit.map(|id| id.to_string()),
            commit_url: commit.map(|id| repository.commit_url(id)),
        })
    }
}

/// What is to be in the repository, worked out from what is there.
type Planned = (BTreeMap<String, Edit>, Report, Option<&'static str>);

/// Makes a plan, commits it, and pushes it.
pub fn push(
    mut repository: Repository,
    make: impl Fn(&Repository) -> Result<Planned, Failure>,
    commit: &Commit<'_>,
    title: &str,
    cx: &Context,
) -> Result<Pushed, Failure> {
    let first: Leaves = repository.leaves.clone();
    let mut wait = WAIT;
    let mut tries = 1;
    let (edits, report, refused) = make(&repository)?;
    if let Some(on_drift) = commit.dry {
        report.log(title, cx);
        Plan { refused, ..Plan::default() }.warn(cx);
        let pushed = Pushed::of(&report, None, &repository)?;
        end_of_dry_run(&report, on_drift, cx)?;
        return Ok(pushed);
    }
    let check = |refused| Plan { refused, ..Plan::default() }.check();
    check(refused)?;
    let (mut edits, mut report) = (edits, report);
    loop {
        if edits.is_empty() {
            report.log(title, cx);
            cx.info("nothing to commit: the repository is as it is to be");
            return Pushed::of(&report, None, &repository);
        }
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        match repository.commit(&edits, &commit.author, commit.message, at, cx) {
            Ok(made) => {
                report.log(title, cx);
                if let Some(made) = made {
                    cx.info(format!("pushed {made} to `{}`", repository.branch));
                }
                return Pushed::of(&report, made, &repository);
            }
            Err(failure) if failure.code() == failures::REJECTED && tries < TRIES => {
                cx.info(format!("{}: looking at it again ({tries} of {TRIES})", failure.message()));
                cx.sleep(wait);
                (wait, tries) = (wait * 2, tries + 1);
            }
            Err(failure) => return Err(failure),
        }
        let again = repository.again(cx)?;
        let touched: Vec<String> = edits
            .keys()
            .filter(|path| first.get(*path) != again.leaves.get(*path))
            .map(|path| repository.shown(path))
            .collect();
        if !touched.is_empty() {
            return Err(conflict(&touched, &repository.branch));
        }
        repository = again;
        let (next, next_report, refused) = make(&repository)?;
        check(refused)?;
        (edits, report) = (next, next_report);
    }
}

fn conflict(paths: &[String], branch: &str) -> Failure {
    let more = paths.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = paths.get(..paths.len().min(NAMED_MAX)).unwrap_or_default().join("`, `");
    let message = format!(
        "somebody else has changed `{named}`{more} on `{branch}` while this task ran; nothing was pushed; hint: look at it, then run the task again"
    );
    fault(failures::CONFLICT, message)
}

/// Things of the engine as files of a repository.
pub struct Things<'a> {
    pub layout: &'a Layout,
    /// What the repository has and the engine could have.
    pub kinds: &'a [Kind],
    pub source: &'a Side,
    pub policy: Policy<'a>,
}

impl Things<'_> {
    /// What becomes of the files, with those that `wanted` says at most.
    pub fn plan(
        &self,
        repository: &Repository,
        wanted: impl Fn(&Key) -> bool,
        cx: &Context,
    ) -> Result<Planned, Failure> {
        let there = repository.side(self.layout, |key| self.kinds.contains(&key.kind) && wanted(key), cx)?;
        let ignored = |key: &Key| self.layout.path(key).is_ok_and(|path| repository.is_ignored(&path));
        let source: Side = self
            .source
            .iter()
            .filter(|(key, _)| !ignored(key))
            .map(|(key, version)| (key.clone(), version.clone()))
            .collect();
        let plan = plan::plan(&source, &there, &self.policy)?;
        let path = |key: &Key| {
            there.get(key).and_then(|version| version.path.clone()).map_or_else(|| self.layout.path(key), Ok)
        };
        let mut edits = BTreeMap::new();
        for step in &plan.steps {
            let edit = match (step.action, source.get(&step.key)) {
                (Action::Delete, _) | (_, None) => Edit::Remove,
                (_, Some(version)) => {
                    Edit::Put { content: stored(step.key.kind, &version.content), kind: LeafKind::File }
                }
            };
            edits.insert(path(&step.key)?, edit);
        }
        let report = Report::of(&plan, Target::Repository, &source, &there, |key| {
            path_in(repository, self.layout, [&there, &source], key)
        });
        Ok((edits, report, plan.refused))
    }
}

/// Content as a repository has it: YAML ends with its line.
fn stored(kind: Kind, content: &[u8]) -> Vec<u8> {
    let mut content = match kind.is_yaml() {
        true => comparable(kind, content),
        false => return content.to_vec(),
    };
    content.push(b'\n');
    content
}

/// Files as they are: what is there is replaced; what `owned` says and is not among them goes.
pub fn plain(
    repository: &Repository,
    files: &BTreeMap<String, Vec<u8>>,
    owned: impl Fn(&str) -> bool,
) -> Result<Planned, Failure> {
    let (mut edits, mut report) = (BTreeMap::new(), Report::default());
    for (path, content) in files {
        let there = match repository.leaves.contains_key(path) {
            true => Some(repository.content(path)?),
            false => None,
        };
        let action = match &there {
            Some(there) if there == content => {
                report.summary.unchanged += 1;
                continue;
            }
            Some(_) => Action::Update,
            None => Action::Add,
        };
        let lines = super::diff::lines(&there.unwrap_or_default(), content);
        report.push(repository.shown(path), None, action, Target::Repository, lines);
        edits.insert(path.clone(), Edit::Put { content: content.clone(), kind: LeafKind::File });
    }
    for path in repository.leaves.keys().filter(|path| owned(path) && !files.contains_key(*path)) {
        let lines = super::diff::lines(&repository.content(path)?, b"");
        report.push(repository.shown(path), None, Action::Delete, Target::Repository, lines);
        edits.insert(path.clone(), Edit::Remove);
    }
    Ok((edits, report, None))
}

/// What the engine has, for a push.
pub fn source(scope: &engine::Scope, kinds: &[Kind], wanted: impl Fn(&Key) -> bool) -> Result<Side, Failure> {
    engine::side(scope, kinds, wanted)
}
