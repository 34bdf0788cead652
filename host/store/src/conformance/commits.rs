//! Commits: atomic, refused or done, in order, seen.

use std::sync::Arc;

use jiff::Timestamp;
use model::state::State;

use super::samples::*;
use crate::rows::*;
use crate::{Batch, Conflict, Error, Lsn, MAX_BATCH_STEPS, Precondition, Store, Topic, View};

async fn there(store: &Arc<dyn Store>, key: Key) -> bool {
    store.get(View::Newest, key).await.unwrap().is_some()
}

pub async fn commit_is_all_or_nothing(store: Arc<dyn Store>) {
    store.commit(puts([setting("held").into()])).await.unwrap();
    let head = store.head();
    let mut batch = puts([setting("a").into(), job("x", "r", 0).into()]);
    batch.send(message(&to("x"), "m")).create(setting("held"));
    match store.commit(batch).await {
        Err(Error::Conflict(Conflict::Exists(key))) => assert_eq!(key, Key::Setting("held".into())),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.head(), head);
    assert!(!there(&store, Key::Setting("a".into())).await);
    assert!(!there(&store, Key::Job(job_key("x", "r"))).await);
    // Also where it is a step that is refused, after others were worked out.
    let mut batch = puts([setting("a").into()]);
    batch.append(execution_id("x"), 7, vec![(at(0), payload("c"))]);
    assert!(matches!(store.commit(batch).await, Err(Error::Conflict(Conflict::Sequence { found: 0, .. }))));
    assert!(!there(&store, Key::Setting("a".into())).await);
}

pub async fn versions_change_with_every_write(store: Arc<dyn Store>) {
    let first = store.commit(puts([setting("s").into()])).await.unwrap();
    let found = store.find::<Setting>(View::Newest, Key::Setting("s".into())).await.unwrap().unwrap();
    assert_eq!(found.version, first);
    let mut replace = Batch::new();
    replace.replace(found.version, setting("s"));
    let second = store.commit(replace.clone()).await.unwrap();
    assert!(second > first);
    match store.commit(replace).await {
        Err(Error::Conflict(Conflict::Version { found, .. })) => assert_eq!(found, Some(second)),
        other => panic!("{other:?}"),
    }
    let mut gone = Batch::new();
    gone.delete(Key::Setting("s".into()));
    store.commit(gone).await.unwrap();
    let mut late = Batch::new();
    late.require(Precondition::Version(Key::Setting("s".into()), second));
    assert!(matches!(store.commit(late).await, Err(Error::Conflict(Conflict::Version { found: None, .. }))));
}

pub async fn create_refuses_what_exists(store: Arc<dyn Store>) {
    let mut batch = Batch::new();
    batch.create(flow("a", "f", 1));
    store.commit(batch.clone()).await.unwrap();
    assert!(matches!(store.commit(batch).await, Err(Error::Conflict(Conflict::Exists(_)))));
    let mut next = Batch::new();
    next.create(flow("a", "f", 2));
    store.commit(next).await.unwrap();
}

pub async fn later_steps_see_earlier_ones(store: Arc<dyn Store>) {
    let mut batch = Batch::new();
    batch.put(setting("a")).delete(Key::Setting("a".into()));
    batch.append(execution_id("x"), 0, vec![(at(0), payload("1"))]);
    batch.append(execution_id("x"), 1, vec![(at(0), payload("2"))]);
    batch.send(message(&to("x"), "m")).drain(message(&to("x"), "m").key);
    batch.put(job("x", "r", 5)).put(job("x", "r", 6));
    store.commit(batch).await.unwrap();
    assert!(!there(&store, Key::Setting("a".into())).await);
    assert!(there(&store, Key::Change(execution_id("x"), 2)).await);
    let waiting = store.all::<Message>(View::Newest, crate::Query::Inbox(to("x")), 10).await.unwrap();
    assert!(waiting.is_empty());
    let claimable = crate::Query::Claimable { queue: "default".into(), now: at(9) };
    let jobs = store.all::<Job>(View::Newest, claimable, 10).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.due).collect::<Vec<_>>(), [at(6)]);
}

pub async fn batch_over_the_limit_is_refused(store: Arc<dyn Store>) {
    let mut batch = Batch::new();
    for _ in 0..=MAX_BATCH_STEPS {
        batch.delete(Key::Setting("a".into()));
    }
    assert!(matches!(store.commit(batch).await, Err(Error::Limit { limit: MAX_BATCH_STEPS, .. })));
    let mut long = setting("a");
    long.value = payload(&"x".repeat(crate::MAX_TEXT_BYTES));
    assert!(matches!(store.commit(puts([long.into()])).await, Err(Error::Limit { .. })));
    let far = setting(&"x".repeat(crate::MAX_KEY_BYTES));
    assert!(matches!(store.commit(puts([far.into()])).await, Err(Error::Limit { .. })));
    assert_eq!(store.head(), Lsn::START);
}

pub async fn rows_with_their_own_step_are_not_put(store: Arc<dyn Store>) {
    let change = Change { execution: execution_id("x"), sequence: 1, at: at(0), change: payload("c") };
    let rows: Vec<Row> = vec![
        change.into(),
        message(&to("x"), "m").into(),
        unique(UniqueName::Named("n".into()), "x").into(),
        line(to("x"), 0, model::task::LogLevel::Info, "l").into(),
        metric("x", "m", 1.0).into(),
    ];
    for row in rows {
        let kind = row.kind();
        assert!(matches!(store.commit(puts([row])).await, Err(Error::Misuse(_))), "{kind:?}");
    }
}

pub async fn durable_commits_are_seen_by_clients(store: Arc<dyn Store>) {
    for number in 0..20 {
        let lsn = store.commit(puts([setting(&format!("s{number}")).into()])).await.unwrap();
        assert_eq!(store.head(), lsn);
        store.durable(lsn).await.unwrap();
        let key = Key::Setting(format!("s{number}").into());
        assert!(store.get(View::Durable, key).await.unwrap().is_some());
    }
    let mut gone = Batch::new();
    gone.delete(Key::Setting("s0".into()));
    let lsn = store.commit(gone).await.unwrap();
    store.durable(lsn).await.unwrap();
    assert!(store.get(View::Durable, Key::Setting("s0".into())).await.unwrap().is_none());
}

pub async fn durable_of_a_future_commit_is_refused(store: Arc<dyn Store>) {
    store.durable(Lsn::START).await.unwrap();
    assert!(matches!(store.durable(Lsn(1)).await, Err(Error::Misuse(_))));
}

pub async fn a_row_of_every_kind_comes_back(store: Arc<dyn Store>) {
    let blob = BlobInfo { id: BlobId("ab".repeat(32).into()), size_bytes: 3 };
    let mut full = execution("x", &flow_key("a.b", "f"), 5, State::Failed);
    full.record.labels = vec![label("k", "v")];
    full.record.inputs.insert("n".into(), expr::Value::Int(i64::MAX));
    full.lock = Some(Arc::default());
    let rows: Vec<Row> = vec![
        flow("a.b", "f", 3).into(),
        full.into(),
        snapshot("x", 1000).into(),
        task_run("x", "r", 1).into(),
        job("x", "r", 1).into(),
        timer(to("x"), "t", 1).into(),
        timer(Target::Trigger(flow_key("a", "f"), model::ids::TriggerId::trusted("t")), "t", 1).into(),
        trigger("a", "f", "t", Some(3)).into(),
        kv("a", "k\0zero", -1).into(),
        secret("a", "TOKEN").into(),
        file("main/a/é.txt", blob).into(),
        node("n1").into(),
        audit(1, "a").into(),
        document("a", "app", "d").into(),
        setting("plugin/pin/git").into(),
    ];
    let mut batch = puts(rows.clone());
    let sent = message(&Target::Service("kv".into()), "m");
    let held =
        unique(UniqueName::Scheduled(flow_key("a", "f"), model::ids::TriggerId::trusted("t"), Timestamp::MAX), "x");
    batch.append(execution_id("x"), 0, vec![(at(7), payload("c"))]).send(sent.clone()).take(held.clone());
    let lsn = store.commit(batch).await.unwrap();
    store.durable(lsn).await.unwrap();
    let change = Change { execution: execution_id("x"), sequence: 1, at: at(7), change: payload("c") };
    for row in rows.into_iter().chain([change.into(), sent.into(), held.into()]) {
        for view in [View::Newest, View::Durable] {
            let found = store.get(view, row.key()).await.unwrap().unwrap_or_else(|| panic!("no {}", row.key()));
            let row = match (&row, &found.row) {
                (Row::Message(sent), Row::Message(kept)) => Message { sent: kept.sent, ..Message::clone(sent) }.into(),
                (row, _) => row.clone(),
            };
            assert_eq!((found.version, &found.row), (lsn, &row));
        }
    }
}

pub async fn hints_follow_commits(store: Arc<dyn Store>) {
    let mut jobs = store.watch(Topic::Jobs);
    let mut inbox = store.watch(Topic::Inbox(to("x")));
    let mut other = store.watch(Topic::Inbox(to("y")));
    let mut batch = puts([job("x", "r", 0).into()]);
    batch.send(message(&to("x"), "m"));
    let lsn = store.commit(batch).await.unwrap();
    store.durable(lsn).await.unwrap();
    jobs.changed().await;
    inbox.changed().await;
    assert!(!other.take());
}
