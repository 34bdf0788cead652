//! The memory store against the suite, and what is its own: durability on command.

use std::sync::Arc;

use super::*;
use crate::conformance::samples::*;
use crate::rows::Record;

crate::conformance_tests!(|| async { Arc::new(MemoryStore::default()) as Arc<dyn Store> });

#[tokio::test]
async fn clients_see_nothing_before_it_is_durable() {
    let store: Arc<MemoryStore> = Arc::new(MemoryStore::new(Durability::OnCommand));
    let first = store.commit(puts([setting("a").into(), kv("n", "k", 1).into()])).await.unwrap();
    store.make_durable(first);
    let mut batch = puts([setting("b").into(), kv("n", "k", 2).into()]);
    batch.delete(Key::Setting("a".into()));
    let second = store.commit(batch).await.unwrap();
    let third = store.commit(puts([kv("n", "k", 3).into()])).await.unwrap();
    let shared: Arc<dyn Store> = store.clone();
    let look = |view| {
        let shared = Arc::clone(&shared);
        async move {
            let settings =
                shared.all::<crate::rows::Setting>(view, Query::Settings { prefix: "".into() }, 10).await.unwrap();
            let kv = shared.find::<crate::rows::Kv>(view, kv("n", "k", 0).row_key()).await.unwrap().unwrap();
            let names: Vec<String> = settings.iter().map(|row| row.name.to_string()).collect();
            (names, kv.value.clone())
        }
    };
    assert_eq!(look(View::Newest).await, (vec!["b".to_owned()], expr::Value::Int(3)));
    assert_eq!(look(View::Durable).await, (vec!["a".to_owned()], expr::Value::Int(1)));
    store.make_durable(second);
    assert_eq!(look(View::Durable).await, (vec!["b".to_owned()], expr::Value::Int(2)));
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.durable(third).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert_eq!(store.wanted(), third);
    store.make_durable(third);
    waiting.await.unwrap().unwrap();
    assert_eq!(look(View::Durable).await, (vec!["b".to_owned()], expr::Value::Int(3)));
}

#[tokio::test]
async fn power_cut_loses_what_is_not_durable() {
    let store = Arc::new(MemoryStore::new(Durability::OnCommand));
    let kept = store.commit(puts([setting("a").into(), kv("n", "k", 1).into()])).await.unwrap();
    store.make_durable(kept);
    let keys = store.keys();
    let mut batch = puts([setting("b").into(), kv("n", "k", 2).into()]);
    batch.delete(Key::Setting("a".into()));
    store.commit(batch).await.unwrap();
    let lost = store.commit(puts([setting("a").into()])).await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.durable(lost).await }
    });
    tokio::task::yield_now().await;
    store.power_cut();
    assert!(matches!(waiting.await.unwrap(), Err(Error::Lost { durable }) if durable == kept));
    assert_eq!(store.keys(), keys);
    for view in [View::Newest, View::Durable] {
        let found = store.get(view, Key::Setting("a".into())).await.unwrap().unwrap();
        assert_eq!(found.version, kept);
        assert!(store.get(view, Key::Setting("b".into())).await.unwrap().is_none());
    }
    let after = store.commit(puts([setting("c").into()])).await.unwrap();
    assert!(after > lost, "numbers of lost commits are not used again");
    store.make_durable(after);
    store.durable(after).await.unwrap();
    assert!(matches!(store.durable(lost).await, Err(Error::Lost { .. })));
}

#[tokio::test]
async fn hints_are_repeated_when_clients_can_see() {
    let store = MemoryStore::new(Durability::OnCommand);
    let mut timers = store.watch(Topic::Timers);
    let lsn = store.commit(puts([timer(to("x"), "t", 1).into()])).await.unwrap();
    assert!(timers.take() && !timers.take());
    store.make_durable(lsn);
    assert!(timers.take() && !timers.take());
}

#[tokio::test]
async fn deleted_rows_leave_nothing() {
    let store = MemoryStore::default();
    for _ in 0..3 {
        store.commit(puts([job("x", "r", 0).into(), timer(to("x"), "t", 1).into()])).await.unwrap();
        let mut batch = Batch::new();
        batch.delete(Key::Job(job_key("x", "r"))).delete(timer(to("x"), "t", 1).row_key());
        store.commit(batch).await.unwrap();
        assert_eq!(store.keys(), 0);
    }
}
