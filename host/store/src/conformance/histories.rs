//! Random histories, on a store and on the model side by side: same conflicts, same rows, same answers, page by page.

use std::future::Future;
use std::sync::Arc;

use model::execution::Kind as ExecutionKind;
use model::ids::FlowKey;
use model::state::State;
use model::task::LogLevel;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::model::Model;
use super::samples::*;
use crate::query::{ExecutionFilter, LogFilter, LogScope, NamespaceMatch, Within};
use crate::rows::*;
use crate::{Batch, Clear, Error, Lsn, Page, Precondition, Query, Store, View};

/// How many histories a test run tries; `STORE_HISTORIES` sets another number.
pub fn cases() -> u32 {
    std::env::var("STORE_HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(512)
}

/// Longest history: long enough that rows are written, changed, removed and written again.
const LONGEST: usize = 48;

/// Runs so many histories, each on a store of its own.
pub fn check<F: Future<Output = Arc<dyn Store>>>(open: impl Fn() -> F, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let histories = prop::collection::vec(deed(), 1..LONGEST);
    let result = runner.run(&histories, |history| {
        runtime.block_on(async {
            let store = open().await;
            live(&store, &history).await
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// One thing done in a history.
#[derive(Clone, Debug)]
enum Deed {
    /// Preconditions and steps, in one commit.
    Commit(Vec<Need>, Vec<Do>),
    Claim {
        now: i64,
        limit: usize,
    },
    Renew {
        count: usize,
        until: i64,
    },
    Release {
        count: usize,
    },
    Finish {
        stale: bool,
    },
    Log {
        of: u8,
        seconds: i64,
        level: LogLevel,
    },
    ClearExecution(u8),
    Ask(Box<Query>, usize),
}

#[derive(Clone, Debug)]
enum Need {
    Absent(Key),
    /// The version the row has, or one it had not.
    Version(Key, bool),
}

#[derive(Clone, Debug)]
enum Do {
    Put(Row),
    Delete(Key),
    Append { execution: u8, after: u64, count: usize },
    Take(UniqueKey),
    Send(Message),
    Drain(MessageKey),
}

const NAMESPACES: [&str; 4] = ["a", "a.b", "a.b.c", "ab"];
const STATES: [State; 3] = [State::Running, State::Success, State::Failed];
const KINDS: [ExecutionKind; 4] =
    [ExecutionKind::Normal, ExecutionKind::Normal, ExecutionKind::Normal, ExecutionKind::Test];
const LEVELS: [LogLevel; 3] = [LogLevel::Debug, LogLevel::Info, LogLevel::Error];

fn flow_of(number: usize) -> FlowKey {
    flow_key(NAMESPACES[number % NAMESPACES.len()], if number < NAMESPACES.len() { "f" } else { "ff" })
}

fn exec(number: u8) -> String {
    // One id begins with another.
    ["x", "xx", "y"][usize::from(number) % 3].to_owned()
}

fn target(number: u8) -> Target {
    match number % 4 {
        3 => Target::Service("x".into()),
        number => to(&exec(number)),
    }
}

fn execution_row() -> impl Strategy<Value = Row> {
    (0..6u8, 0..6usize, 0..4i64, 0..3usize, 0..4usize, 0..3u8).prop_map(|(id, flow, created, state, kind, labels)| {
        let mut row = execution(&format!("e{id}"), &flow_of(flow), created, STATES[state]);
        row.record.kind = KINDS[kind];
        row.record.labels = (0..labels).map(|n| label("k", &n.to_string())).collect();
        row.into()
    })
}

fn row() -> impl Strategy<Value = Row> {
    prop_oneof![
        4 => execution_row(),
        2 => (0..6usize, 1..4u32, any::<bool>()).prop_map(|(number, revision, deleted)| {
            let key = flow_of(number);
            Flow { deleted, ..flow(key.namespace.as_str(), key.id.as_str(), revision) }.into()
        }),
        2 => (0..3u8, 0..4u8, 0..4u64).prop_map(|(execution, id, order)| {
            task_run(&exec(execution), &format!("r{id}"), order).into()
        }),
        3 => (0..3u8, 0..4u8, 0..6i64).prop_map(|(execution, id, due)| job(&exec(execution), &format!("r{id}"), due).into()),
        2 => (0..4u8, 0..3u8, 0..6i64).prop_map(|(of, name, due)| timer(target(of), &name.to_string(), due).into()),
        1 => (0..6usize, 0..2u8, prop::option::of(0..6i64)).prop_map(|(number, id, next)| {
            let key = flow_of(number);
            trigger(key.namespace.as_str(), key.id.as_str(), &id.to_string(), next).into()
        }),
        1 => (0..4usize, "[ab]{0,2}", 0..9i64).prop_map(|(place, key, value)| kv(NAMESPACES[place], &key, value).into()),
        1 => "[ab/]{0,3}".prop_map(|name| setting(&name).into()),
    ]
}

fn step() -> impl Strategy<Value = Do> {
    let unique_key = (0..3u32, 0..3u8).prop_map(|(slot, by)| unique(UniqueName::Slot(flow_of(0), slot), &exec(by)));
    let sent = (0..4u8, 0..3u8).prop_map(|(of, unique)| message(&target(of), &unique.to_string()));
    prop_oneof![
        8 => row().prop_map(Do::Put),
        3 => row().prop_map(|row| Do::Delete(row.key())),
        3 => (0..3u8, 0..4u64, 0..3usize).prop_map(|(execution, after, count)| Do::Append { execution, after, count }),
        2 => unique_key.clone().prop_map(Do::Take),
        1 => unique_key.prop_map(|key| Do::Delete(Key::Unique(key.name))),
        3 => sent.clone().prop_map(Do::Send),
        2 => sent.clone().prop_map(|message| Do::Drain(message.key)),
        1 => sent.prop_map(|message| Do::Delete(Key::Message(message.key))),
    ]
}

fn need() -> impl Strategy<Value = Need> {
    prop_oneof![
        row().prop_map(|row| Need::Absent(row.key())),
        (row(), prop::bool::weighted(0.8)).prop_map(|(row, right)| Need::Version(row.key(), right)),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        10 => (prop::collection::vec(need(), 0..2), prop::collection::vec(step(), 1..5)).prop_map(|(a, b)| Deed::Commit(a, b)),
        2 => (0..7i64, 1..4usize).prop_map(|(now, limit)| Deed::Claim { now, limit }),
        1 => (0..3usize, 0..20i64).prop_map(|(count, until)| Deed::Renew { count, until }),
        1 => (0..3usize).prop_map(|count| Deed::Release { count }),
        1 => any::<bool>().prop_map(|stale| Deed::Finish { stale }),
        1 => (0..4u8, 0..4i64, 0..3usize).prop_map(|(of, seconds, level)| Deed::Log { of, seconds, level: LEVELS[level] }),
        1 => (0..3u8).prop_map(Deed::ClearExecution),
        8 => (query(), 1..5usize).prop_map(|(query, size)| Deed::Ask(Box::new(query), size)),
    ]
}

fn namespace() -> impl Strategy<Value = NamespaceMatch> {
    (0..3u8, 0..4usize).prop_map(|(how, number)| match how {
        0 => NamespaceMatch::Any,
        1 => NamespaceMatch::Exact(place(NAMESPACES[number])),
        _ => NamespaceMatch::Tree(place(NAMESPACES[number])),
    })
}

fn execution_filter() -> impl Strategy<Value = ExecutionFilter> {
    let within = (prop::option::of(0..4i64), prop::option::of(0..5i64))
        .prop_map(|(from, until)| Within { from: from.map(at), until: until.map(at) });
    let labels = prop::collection::vec((0..3u8).prop_map(|value| label("k", &value.to_string())), 0..3);
    let states = prop::sample::subsequence(STATES.to_vec(), 0..=2);
    (0..3u8, namespace(), prop::option::of(0..6usize), states, labels, within).prop_map(
        |(kinds, namespace, flow, states, labels, created)| ExecutionFilter {
            kinds: match kinds {
                0 => Vec::new(),
                1 => vec![ExecutionKind::Normal],
                _ => vec![ExecutionKind::Test, ExecutionKind::Normal],
            },
            namespace,
            flow: flow.map(flow_of),
            states,
            labels,
            created,
            ..ExecutionFilter::default()
        },
    )
}

fn query() -> impl Strategy<Value = Query> {
    prop_oneof![
        6 => execution_filter().prop_map(Query::Executions),
        2 => (namespace(), any::<bool>()).prop_map(|(namespace, deleted)| Query::Flows { namespace, deleted }),
        1 => (0..6usize).prop_map(|flow| Query::Revisions(flow_of(flow))),
        2 => (0..3u8, 0..4u64).prop_map(|(id, after)| Query::Changes { execution: execution_id(&exec(id)), after }),
        1 => (0..3u8).prop_map(|id| Query::TaskRuns(execution_id(&exec(id)))),
        2 => (0..7i64).prop_map(|now| Query::Claimable { queue: "default".into(), now: at(now) }),
        1 => (0..20i64).prop_map(|now| Query::ExpiredLeases { now: at(now) }),
        1 => Just(Query::LeasesOf(NodeId("n".into()))),
        1 => (0..3u8).prop_map(|id| Query::JobsOf(execution_id(&exec(id)))),
        1 => (0..7i64).prop_map(|until| Query::TimersDue { until: at(until) }),
        1 => (0..4u8).prop_map(|of| Query::TimersOf(target(of))),
        1 => (0..7i64).prop_map(|until| Query::TriggersDue { until: at(until) }),
        2 => (0..4u8).prop_map(|of| Query::Inbox(target(of))),
        1 => Just(Query::Recipients),
        1 => (0..4usize, "[ab]{0,1}").prop_map(|(at, prefix)| Query::KvIn { place: place(NAMESPACES[at]), prefix: prefix.into() }),
        1 => (0..4usize).prop_map(|at| Query::Kv(NamespaceMatch::Tree(place(NAMESPACES[at])))),
        1 => Just(Query::Kv(NamespaceMatch::Any)),
        1 => Just(Query::SlotsOf(flow_of(0))),
        1 => (0..3u8).prop_map(|by| Query::HeldBy(Holder::Execution(execution_id(&exec(by))))),
        1 => "[ab/]{0,2}".prop_map(|prefix| Query::Settings { prefix: prefix.into() }),
        2 => (0..5u8, 0..3usize).prop_map(|(of, level)| {
            let all = LogScope::Flows { namespace: NamespaceMatch::Any, flow: None };
            let of = if of == 4 { all } else { LogScope::Target { target: target(of), after: 0 } };
            Query::Logs(LogFilter { least: LEVELS[level], ..LogFilter::within(of) })
        }),
    ]
}

/// A row without what only the store can know.
fn unplaced(row: &Row) -> Row {
    match row {
        Row::Message(message) => Message { sent: 0, ..Message::clone(message) }.into(),
        row => row.clone(),
    }
}

/// What both have lived through.
struct World<'a> {
    store: &'a Arc<dyn Store>,
    model: Model,
    /// Every fence that was ever given out.
    fences: Vec<Fence>,
    lines: u32,
    /// Payloads of changes, so that each is told from the others.
    changes: u32,
}

async fn live(store: &Arc<dyn Store>, history: &[Deed]) -> Result<(), TestCaseError> {
    let mut world = World { store, model: Model::default(), fences: Vec::new(), lines: 0, changes: 0 };
    for deed in history {
        world.act(deed).await?;
    }
    // In the end everything is durable, and clients see what was there last.
    store.durable(store.head()).await.map_err(failed)?;
    for of in 0..3 {
        world.ask(View::Durable, &Query::TaskRuns(execution_id(&exec(of))), 3).await?;
        world.ask(View::Durable, &Query::JobsOf(execution_id(&exec(of))), 3).await?;
    }
    let every = ExecutionFilter { kinds: Vec::new(), ..ExecutionFilter::default() };
    world.ask(View::Durable, &Query::Executions(every), 3).await
}

fn failed(error: Error) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

impl World<'_> {
    async fn act(&mut self, deed: &Deed) -> Result<(), TestCaseError> {
        match deed {
            Deed::Commit(needs, steps) => self.commit(needs, steps).await,
            Deed::Claim { now, limit } => {
                let claimed = self.store.claim(claim("n", *now, *limit)).await.map_err(failed)?;
                let expected = self.model.claim(&claim("n", *now, *limit), claimed.lsn);
                let found: Vec<Job> = claimed.jobs.iter().map(|job| Job::clone(job)).collect();
                prop_assert_eq!(&found, &expected);
                self.fences.extend(found.iter().filter_map(Job::fence));
                Ok(())
            }
            Deed::Renew { count, until } => {
                let fences = self.some_fences(*count);
                let over = self.store.renew(fences.clone(), at(*until)).await.map_err(failed)?;
                let expected = self.model.each_leased(&fences, self.store.head(), |job| {
                    job.lease = job.lease.clone().map(|lease| Lease { until: at(*until), ..lease });
                });
                prop_assert_eq!(over, expected);
                Ok(())
            }
            Deed::Release { count } => {
                let fences = self.some_fences(*count);
                let lsn = self.store.release(fences.clone()).await.map_err(failed)?;
                self.model.each_leased(&fences, lsn, |job| job.lease = None);
                Ok(())
            }
            Deed::Finish { stale } => {
                let Some(mut fence) = self.fences.last().cloned() else { return Ok(()) };
                fence.epoch -= u32::from(*stale);
                let mut batch = Batch::new();
                batch.require(Precondition::Fence(fence.clone())).delete(Key::Job(fence.job));
                self.compare(batch).await
            }
            Deed::Log { of, seconds, level } => {
                self.lines += 1;
                let lines = vec![line(target(*of), *seconds, *level, &self.lines.to_string())];
                self.store.append_logs(lines.clone()).await.map_err(failed)?;
                self.model.append_lines(&lines);
                Ok(())
            }
            Deed::ClearExecution(id) => {
                let id = execution_id(&exec(*id));
                while self.store.clear(Clear::Execution(id.clone())).await.map_err(failed)?.more {}
                self.model.clear(&id);
                Ok(())
            }
            Deed::Ask(query, size) => self.ask(View::Newest, query, *size).await,
        }
    }

    fn some_fences(&self, count: usize) -> Vec<Fence> {
        let mut fences: Vec<Fence> = self.fences.iter().rev().take(count).cloned().collect();
        fences.dedup();
        fences
    }

    async fn commit(&mut self, needs: &[Need], steps: &[Do]) -> Result<(), TestCaseError> {
        let mut batch = Batch::new();
        for need in needs {
            batch.require(match need {
                Need::Absent(key) => Precondition::Absent(key.clone()),
                Need::Version(key, right) => {
                    let version = self.model.get(key).map_or(Lsn::START, |(version, _)| *version);
                    Precondition::Version(key.clone(), if *right { version } else { Lsn(version.0 + 1_000_000) })
                }
            });
        }
        for step in steps {
            match step {
                Do::Put(row) => batch.put(row.clone()),
                Do::Delete(key) => batch.delete(key.clone()),
                Do::Append { execution, after, count } => {
                    let changes = (0..*count).map(|_| {
                        self.changes += 1;
                        (at(0), payload(&self.changes.to_string()))
                    });
                    let changes = changes.collect();
                    batch.append(execution_id(&exec(*execution)), *after, changes)
                }
                Do::Take(key) => batch.take(key.clone()),
                Do::Send(message) => batch.send(message.clone()),
                Do::Drain(key) => batch.drain(key.clone()),
            };
        }
        self.compare(batch).await
    }

    async fn compare(&mut self, batch: Batch) -> Result<(), TestCaseError> {
        let head = self.store.head();
        match self.store.commit(batch.clone()).await {
            Ok(lsn) => {
                prop_assert!(lsn > head);
                let expected = self.model.commit(&batch, lsn);
                prop_assert_eq!(expected, Ok(()));
            }
            Err(Error::Conflict(conflict)) => {
                let mut model = self.model.clone();
                prop_assert_eq!(model.commit(&batch, Lsn(u64::MAX)), Err(conflict));
                prop_assert_eq!(self.store.head(), head);
            }
            Err(other) => return Err(failed(other)),
        }
        Ok(())
    }

    async fn ask(&self, view: View, query: &Query, size: usize) -> Result<(), TestCaseError> {
        let mut found = Vec::new();
        let mut page = Page::first(size);
        loop {
            let rows = self.store.scan(view, query.clone(), page).await.map_err(failed)?;
            prop_assert!(rows.items.len() <= size);
            found.extend(rows.items);
            match rows.next {
                Some(next) => page = Page::after(next, size),
                None => break,
            }
        }
        if let Query::Logs(filter) = query {
            let texts: Vec<String> =
                found.iter().filter_map(Stored::typed::<LogLine>).map(|line| line.message.to_string()).collect();
            prop_assert_eq!(texts, self.model.lines(filter), "{:?}", query);
            return Ok(());
        }
        let rows: Vec<Row> = found.iter().map(|found| unplaced(&found.row)).collect();
        prop_assert_eq!(&rows, &self.model.answer(query), "{:?}", query);
        for found in found {
            let version = self.model.get(&found.row.key()).map(|(version, _)| *version);
            prop_assert_eq!(Some(found.version), version, "version of {}", found.row.key());
        }
        Ok(())
    }
}
