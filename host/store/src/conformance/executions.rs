//! Executions: their changes, their lists, their end.

use std::sync::Arc;

use model::execution::{Kind, Parent, Triggered};
use model::ids::{TaskRunId, TriggerId};
use model::state::State;

use super::samples::*;
use crate::query::{ExecutionFilter, NamespaceMatch, Within};
use crate::rows::*;
use crate::{Batch, Clear, Conflict, Count, Error, Page, Query, Store, View};

async fn append(store: &Arc<dyn Store>, id: &str, after: u64, changes: &[&str]) -> Result<crate::Lsn, Error> {
    let mut batch = Batch::new();
    batch.append(execution_id(id), after, changes.iter().map(|change| (at(0), payload(change))).collect());
    store.commit(batch).await
}

async fn ids(store: &Arc<dyn Store>, filter: ExecutionFilter) -> Vec<String> {
    let found = store.all::<Execution>(View::Newest, Query::Executions(filter), 10_000).await.unwrap();
    found.iter().map(|execution| execution.record.id.to_string()).collect()
}

pub async fn appends_are_contiguous(store: Arc<dyn Store>) {
    append(&store, "x", 0, &["1", "2", "3"]).await.unwrap();
    append(&store, "xy", 0, &["1"]).await.unwrap();
    for wrong in [0, 2, 4] {
        match append(&store, "x", wrong, &["no"]).await {
            Err(Error::Conflict(Conflict::Sequence { expected, found: 3, .. })) => assert_eq!(expected, wrong),
            other => panic!("{other:?}"),
        }
    }
    append(&store, "x", 3, &["4"]).await.unwrap();
    let query = Query::Changes { execution: execution_id("x"), after: 1 };
    let changes = store.all::<Change>(View::Newest, query, 100).await.unwrap();
    let texts: Vec<String> = changes.iter().map(|change| change.change.read().unwrap()).collect();
    assert_eq!(texts, ["2", "3", "4"]);
    assert_eq!(changes.iter().map(|change| change.sequence).collect::<Vec<_>>(), [2, 3, 4]);
}

pub async fn second_owner_is_fenced_off(store: Arc<dyn Store>) {
    append(&store, "x", 0, &["1"]).await.unwrap();
    append(&store, "x", 1, &["new owner"]).await.unwrap();
    let mut late = puts([execution("x", &flow_key("a", "f"), 0, State::Failed).into()]);
    late.append(execution_id("x"), 1, vec![(at(0), payload("old owner"))]);
    assert!(matches!(store.commit(late).await, Err(Error::Conflict(Conflict::Sequence { .. }))));
    assert!(store.get(View::Newest, Key::Execution(execution_id("x"))).await.unwrap().is_none());
}

pub async fn lists_by_every_filter(store: Arc<dyn Store>) {
    let mut rows = Vec::new();
    for (number, (namespace, flow, state)) in [
        ("a", "f", State::Running),
        ("a.b", "f", State::Success),
        ("a.b", "g", State::Failed),
        ("a.bc", "f", State::Success),
    ]
    .into_iter()
    .enumerate()
    {
        let mut row = execution(&format!("e{number}"), &flow_key(namespace, flow), number as i64, state);
        row.record.labels = vec![label("n", &number.to_string()), label("all", "yes")];
        rows.push(row);
    }
    rows[1].record.parent =
        Some(Parent { execution: execution_id("e0"), task_run: TaskRunId::trusted("r"), waits: true });
    rows[2].record.trigger =
        Some(Triggered { id: TriggerId::trusted("t"), type_name: "T".into(), variables: expr::Map::new(), depth: 0 });
    store.commit(puts(rows.into_iter().map(Row::from))).await.unwrap();
    let any = ExecutionFilter::default;
    let tree = |namespace| NamespaceMatch::Tree(place(namespace));
    let within = Within { from: Some(at(1)), until: Some(at(3)) };
    let cases: Vec<(ExecutionFilter, &[&str])> = vec![
        (any(), &["e3", "e2", "e1", "e0"]),
        (ExecutionFilter { namespace: tree("a"), ..any() }, &["e3", "e2", "e1", "e0"]),
        (ExecutionFilter { namespace: tree("a.b"), ..any() }, &["e2", "e1"]),
        (ExecutionFilter { namespace: NamespaceMatch::Exact(place("a")), ..any() }, &["e0"]),
        (ExecutionFilter { flow: Some(flow_key("a.b", "f")), ..any() }, &["e1"]),
        (ExecutionFilter { flow: Some(flow_key("a", "f")), namespace: tree("a.b"), ..any() }, &[]),
        (ExecutionFilter { states: vec![State::Success], ..any() }, &["e3", "e1"]),
        (ExecutionFilter { states: vec![State::Success, State::Running], ..any() }, &["e3", "e1", "e0"]),
        (ExecutionFilter { states: vec![State::Paused], ..any() }, &[]),
        (ExecutionFilter { labels: vec![label("n", "2")], ..any() }, &["e2"]),
        (ExecutionFilter { labels: vec![label("n", "2"), label("n", "3")], ..any() }, &[]),
        (
            ExecutionFilter {
                labels: vec![label("all", "yes")],
                states: vec![State::Success],
                namespace: tree("a.b"),
                ..any()
            },
            &["e1"],
        ),
        (ExecutionFilter { created: within, ..any() }, &["e2", "e1"]),
        (ExecutionFilter { created: within, states: vec![State::Failed], ..any() }, &["e2"]),
        (ExecutionFilter { parent: Some(execution_id("e0")), ..any() }, &["e1"]),
        (ExecutionFilter { trigger: Some(TriggerId::trusted("t")), ..any() }, &["e2"]),
        (ExecutionFilter { text: Some("BC".into()), ..any() }, &["e3"]),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&store, filter.clone()).await, expected, "{filter:?}");
    }
}

pub async fn only_normal_ones_by_default(store: Arc<dyn Store>) {
    let mut rows = Vec::new();
    for (number, kind) in [Kind::Normal, Kind::Test, Kind::Playground, Kind::Normal].into_iter().enumerate() {
        let mut row = execution(&format!("e{number}"), &flow_key("a", "f"), number as i64, State::Running);
        row.record.kind = kind;
        rows.push(Row::from(row));
    }
    store.commit(puts(rows)).await.unwrap();
    assert_eq!(ids(&store, ExecutionFilter::default()).await, ["e3", "e0"]);
    let every = ExecutionFilter { kinds: Vec::new(), ..Default::default() };
    assert_eq!(ids(&store, every).await, ["e3", "e2", "e1", "e0"]);
    let tests = ExecutionFilter { kinds: vec![Kind::Test], states: vec![State::Running], ..Default::default() };
    assert_eq!(ids(&store, tests).await, ["e1"]);
}

pub async fn change_of_state_moves_it_between_lists(store: Arc<dyn Store>) {
    let mut row = execution("e", &flow_key("a", "f"), 0, State::Running);
    row.record.labels = vec![label("old", "1"), label("both", "1")];
    store.commit(puts([row.clone().into()])).await.unwrap();
    row.record.history.enter(State::Success, at(9));
    row.record.labels = vec![label("both", "1"), label("new", "1")];
    store.commit(puts([row.into()])).await.unwrap();
    let state = |state| ExecutionFilter { states: vec![state], ..Default::default() };
    let labelled = |key| ExecutionFilter { labels: vec![label(key, "1")], ..Default::default() };
    for (filter, found) in [
        (state(State::Running), 0),
        (state(State::Success), 1),
        (labelled("old"), 0),
        (labelled("both"), 1),
        (labelled("new"), 1),
        (ExecutionFilter::default(), 1),
    ] {
        assert_eq!(ids(&store, filter.clone()).await.len(), found, "{filter:?}");
    }
}

pub async fn paging_is_stable_under_writes(store: Arc<dyn Store>) {
    let flow = flow_key("a", "f");
    let name = |number: i64| format!("e{number:03}");
    store.commit(puts((0..100).map(|n| execution(&name(n), &flow, n, State::Running).into()))).await.unwrap();
    let mut seen = Vec::new();
    let mut page = Page::first(7);
    let mut round = 0;
    loop {
        let rows =
            store.list::<Execution>(View::Newest, Query::Executions(ExecutionFilter::default()), page).await.unwrap();
        assert!(rows.items.len() <= 7);
        seen.extend(rows.items.iter().map(|row| row.record.id.to_string()));
        // Meanwhile: newer ones come, one that was seen goes, one that is ahead changes.
        let mut batch = puts([execution(&format!("new{round}"), &flow, 1_000 + round, State::Running).into()]);
        if let Some(last) = seen.last() {
            batch.delete(Key::Execution(execution_id(last)));
        }
        batch.put(execution("e000", &flow, 0, State::Paused));
        store.commit(batch).await.unwrap();
        round += 1;
        match rows.next {
            Some(next) => page = Page::after(next, 7),
            None => break,
        }
    }
    let expected: Vec<String> = (0..100).rev().map(name).collect();
    assert_eq!(seen, expected);
}

pub async fn counts_up_to_a_limit(store: Arc<dyn Store>) {
    let flow = flow_key("a", "f");
    store.commit(puts((0..50).map(|n| execution(&n.to_string(), &flow, n, State::Running).into()))).await.unwrap();
    let count = |limit| store.count(View::Newest, Query::Executions(ExecutionFilter::default()), limit);
    assert_eq!(count(100).await.unwrap(), Count::Exactly(50));
    assert_eq!(count(20).await.unwrap(), Count::AtLeast(20));
}

pub async fn task_runs_keep_their_order(store: Arc<dyn Store>) {
    let runs = ["z", "m", "a"].into_iter().enumerate();
    store.commit(puts(runs.map(|(order, id)| task_run("x", id, order as u64 + 250).into()))).await.unwrap();
    store.commit(puts([task_run("x", "m", 251).into(), task_run("y", "other", 1).into()])).await.unwrap();
    let found = store.all::<TaskRun>(View::Newest, Query::TaskRuns(execution_id("x")), 10).await.unwrap();
    assert_eq!(found.iter().map(|run| run.record.id.as_str()).collect::<Vec<_>>(), ["z", "m", "a"]);
}

pub async fn clearing_removes_everything_in_steps(store: Arc<dyn Store>) {
    for id in ["x", "xx"] {
        let mut batch = puts([
            execution(id, &flow_key("a", "f"), 0, State::Success).into(),
            job(id, "r", 0).into(),
            timer(to(id), "t", 0).into(),
            task_run(id, "r", 0).into(),
            snapshot(id, 1).into(),
        ]);
        batch.append(execution_id(id), 0, vec![(at(0), payload("1"))]).send(message(&to(id), "m"));
        store.commit(batch).await.unwrap();
        store.append_metrics(vec![metric(id, "m", 1.0)]).await.unwrap();
        for _ in 0..3 {
            let lines = (0..5_000).map(|n| line(to(id), n, model::task::LogLevel::Info, "l")).collect();
            store.append_logs(lines).await.unwrap();
        }
    }
    let mut removed = 0;
    for round in 0.. {
        assert!(round < 100);
        let cleared = store.clear(Clear::Execution(execution_id("x"))).await.unwrap();
        removed += cleared.rows;
        if !cleared.more {
            break;
        }
    }
    assert_eq!(removed, 15_000 + 8);
    for (id, left) in [("x", 0), ("xx", 1)] {
        assert_eq!(
            store.all::<Execution>(View::Newest, Query::Executions(Default::default()), 10).await.unwrap().len(),
            1
        );
        for query in [
            Query::JobsOf(execution_id(id)),
            Query::TimersOf(to(id)),
            Query::Inbox(to(id)),
            Query::TaskRuns(execution_id(id)),
            Query::Snapshots(execution_id(id)),
            Query::Changes { execution: execution_id(id), after: 0 },
            Query::Metrics { execution: execution_id(id), after: 0 },
        ] {
            assert_eq!(store.count(View::Newest, query.clone(), 10).await.unwrap(), Count::Exactly(left), "{query:?}");
        }
    }
}

pub async fn changes_before_a_snapshot_can_go(store: Arc<dyn Store>) {
    append(&store, "x", 0, &["1", "2", "3", "4"]).await.unwrap();
    store.commit(puts([snapshot("x", 2).into(), snapshot("x", 4).into()])).await.unwrap();
    // Even when all are in the snapshot, the last one stays: it says where to append.
    let cleared = store.clear(Clear::Changes { execution: execution_id("x"), upto: 4 }).await.unwrap();
    assert_eq!((cleared.rows, cleared.more), (3, false));
    assert!(matches!(
        append(&store, "x", 0, &["old"]).await,
        Err(Error::Conflict(Conflict::Sequence { found: 4, .. }))
    ));
    append(&store, "x", 4, &["5"]).await.unwrap();
    let cleared = store.clear(Clear::Snapshots { execution: execution_id("x"), before: 4 }).await.unwrap();
    assert_eq!(cleared.rows, 1);
    let left = store.all::<Snapshot>(View::Newest, Query::Snapshots(execution_id("x")), 10).await.unwrap();
    assert_eq!(left.iter().map(|snapshot| snapshot.sequence).collect::<Vec<_>>(), [4]);
}
