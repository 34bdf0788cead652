//! Jobs and their leases, messages, timers, unique keys.

use std::sync::Arc;

use super::samples::*;
use crate::rows::*;
use crate::{Batch, Conflict, Error, Precondition, Query, Store, View};

pub async fn claims_take_due_jobs_in_order(store: Arc<dyn Store>) {
    let mut other = job("x", "other", 0);
    other.queue = "gpu".into();
    let rows =
        [job("x", "c", 3).into(), job("x", "a", 1).into(), job("x", "b", 2).into(), job("x", "later", 50).into()];
    let lsn = store.commit(puts(rows.into_iter().chain([other.into()]))).await.unwrap();
    let claimed = store.claim(claim("n", 10, 2)).await.unwrap();
    assert!(claimed.lsn > lsn);
    let names = |claimed: &crate::Claimed| -> Vec<String> {
        claimed.jobs.iter().map(|job| job.key.task_run.to_string()).collect()
    };
    assert_eq!(names(&claimed), ["a", "b"]);
    for job in &claimed.jobs {
        let lease = job.lease.as_ref().unwrap();
        assert_eq!((&*lease.node.0, &*lease.boot.0, lease.until, job.epoch), ("n", "boot", at(20), 1));
    }
    assert_eq!(names(&store.claim(claim("m", 10, 9)).await.unwrap()), ["c"]);
    assert!(store.claim(claim("m", 10, 9)).await.unwrap().jobs.is_empty());
    let of_n = store.all::<Job>(View::Newest, Query::LeasesOf(NodeId("n".into())), 10).await.unwrap();
    assert_eq!(of_n.len(), 2);
    let mut gpu = claim("n", 10, 9);
    gpu.queue = "gpu".into();
    assert_eq!(names(&store.claim(gpu).await.unwrap()), ["other"]);
    assert!(matches!(store.claim(claim("n", 0, crate::MAX_CLAIM + 1)).await, Err(Error::Limit { .. })));
}

pub async fn expired_lease_is_not_claimed_again(store: Arc<dyn Store>) {
    store.commit(puts([job("x", "r", 0).into()])).await.unwrap();
    store.claim(claim("n", 0, 1)).await.unwrap();
    let expired = |now| store.all::<Job>(View::Newest, Query::ExpiredLeases { now: at(now) }, 10);
    assert!(expired(9).await.unwrap().is_empty());
    assert_eq!(expired(10).await.unwrap().len(), 1);
    assert!(store.claim(claim("m", 100, 1)).await.unwrap().jobs.is_empty());
}

pub async fn release_and_claim_raises_the_epoch(store: Arc<dyn Store>) {
    store.commit(puts([job("x", "r", 0).into()])).await.unwrap();
    for epoch in 1..4 {
        let claimed = store.claim(claim("n", 0, 1)).await.unwrap();
        let fence = claimed.jobs[0].fence().unwrap();
        assert_eq!(fence.epoch, epoch);
        store.release(vec![fence]).await.unwrap();
    }
}

pub async fn stale_fence_is_refused(store: Arc<dyn Store>) {
    store.commit(puts([job("x", "r", 0).into()])).await.unwrap();
    let first = store.claim(claim("n", 0, 1)).await.unwrap().jobs[0].fence().unwrap();
    store.release(vec![first.clone()]).await.unwrap();
    let result = |fence: &Fence| {
        let mut batch = puts([setting("result").into()]);
        batch.require(Precondition::Fence(fence.clone())).delete(Key::Job(fence.job.clone()));
        batch
    };
    assert!(matches!(store.commit(result(&first)).await, Err(Error::Conflict(Conflict::Fence(_)))));
    let second = store.claim(claim("m", 0, 1)).await.unwrap().jobs[0].fence().unwrap();
    assert!(matches!(store.commit(result(&first)).await, Err(Error::Conflict(Conflict::Fence(_)))));
    store.commit(result(&second)).await.unwrap();
    assert!(matches!(store.commit(result(&second)).await, Err(Error::Conflict(Conflict::Fence(_)))));
}

pub async fn renewal_names_what_is_over(store: Arc<dyn Store>) {
    store.commit(puts([job("x", "a", 0).into(), job("x", "b", 0).into()])).await.unwrap();
    let claimed = store.claim(claim("n", 0, 2)).await.unwrap();
    let fences: Vec<Fence> = claimed.jobs.iter().filter_map(|job| job.fence()).collect();
    let mut gone = Batch::new();
    gone.delete(Key::Job(fences[0].job.clone()));
    store.commit(gone).await.unwrap();
    assert_eq!(store.renew(fences.clone(), at(500)).await.unwrap(), [fences[0].clone()]);
    let expired = store.all::<Job>(View::Newest, Query::ExpiredLeases { now: at(499) }, 10).await.unwrap();
    assert!(expired.is_empty());
    let job = store.find::<Job>(View::Newest, Key::Job(fences[1].job.clone())).await.unwrap().unwrap();
    assert_eq!((job.lease.as_ref().unwrap().until, job.epoch), (at(500), 1));
}

pub async fn messages_are_drained_once(store: Arc<dyn Store>) {
    let send = || {
        let mut batch = Batch::new();
        batch.send(message(&to("x"), "m"));
        batch
    };
    let mut drain = Batch::new();
    drain.drain(message(&to("x"), "m").key).put(setting("taken"));
    assert!(matches!(store.commit(drain.clone()).await, Err(Error::Conflict(Conflict::Drained(_)))));
    store.commit(send()).await.unwrap();
    store.commit(send()).await.unwrap();
    let inbox = || store.all::<Message>(View::Newest, Query::Inbox(to("x")), 10);
    assert_eq!(inbox().await.unwrap().len(), 1);
    store.commit(drain.clone()).await.unwrap();
    assert!(matches!(store.commit(drain).await, Err(Error::Conflict(Conflict::Drained(_)))));
    // Sent again by a sender that does not know: it stays drained.
    store.commit(send()).await.unwrap();
    assert!(inbox().await.unwrap().is_empty());
}

pub async fn inbox_keeps_the_order_of_sending(store: Arc<dyn Store>) {
    for unique in ["z", "a", "m"] {
        let mut batch = Batch::new();
        batch.send(message(&to("x"), unique)).send(message(&to("xx"), unique));
        // The order within a commit counts too.
        batch.send(message(&to("x"), &format!("9{unique}"))).send(message(&to("x"), &format!("1{unique}")));
        store.commit(batch).await.unwrap();
    }
    let inbox = store.all::<Message>(View::Newest, Query::Inbox(to("x")), 10).await.unwrap();
    assert_eq!(
        inbox.iter().map(|message| &*message.key.unique).collect::<Vec<_>>(),
        ["z", "9z", "1z", "a", "9a", "1a", "m", "9m", "1m"]
    );
    assert_eq!(inbox[0].body.read::<String>().unwrap(), "z");
}

pub async fn recipients_are_named_once(store: Arc<dyn Store>) {
    let trigger = Target::Trigger(flow_key("a", "f"), model::ids::TriggerId::trusted("t"));
    let targets = [to("x"), to("xx"), trigger, Target::Service("x".into())];
    let mut batch = Batch::new();
    for target in &targets {
        for unique in 0..5 {
            batch.send(message(target, &unique.to_string()));
        }
    }
    store.commit(batch).await.unwrap();
    let recipients = store.all::<Message>(View::Newest, Query::Recipients, 10).await.unwrap();
    let mut found: Vec<Target> = recipients.iter().map(|message| message.key.to.clone()).collect();
    found.sort();
    assert_eq!(found, targets);
}

pub async fn timer_put_again_moves(store: Arc<dyn Store>) {
    store.commit(puts([timer(to("x"), "t", 10).into(), timer(to("y"), "t", 20).into()])).await.unwrap();
    store.commit(puts([timer(to("x"), "t", 30).into()])).await.unwrap();
    let due = |until| store.all::<Timer>(View::Newest, Query::TimersDue { until: at(until) }, 10);
    assert!(due(10).await.unwrap().is_empty());
    let both = due(30).await.unwrap();
    assert_eq!(both.iter().map(|timer| timer.key.target.clone()).collect::<Vec<_>>(), [to("y"), to("x")]);
    assert_eq!(store.all::<Timer>(View::Newest, Query::TimersOf(to("x")), 10).await.unwrap().len(), 1);
}

pub async fn unique_key_has_one_holder(store: Arc<dyn Store>) {
    let name = UniqueName::Idempotency("start".into(), "key".into());
    let take = |holder: &str| {
        let mut batch = Batch::new();
        batch.take(unique(name.clone(), holder));
        batch
    };
    store.commit(take("first")).await.unwrap();
    store.commit(take("first")).await.unwrap();
    match store.commit(take("second")).await {
        Err(Error::Conflict(Conflict::Held { holder, .. })) => {
            assert_eq!(holder, Holder::Execution(execution_id("first")))
        }
        other => panic!("{other:?}"),
    }
    let mut back = Batch::new();
    back.delete(Key::Unique(name.clone()));
    store.commit(back).await.unwrap();
    store.commit(take("second")).await.unwrap();
}

pub async fn slot_is_handed_over_in_one_commit(store: Arc<dyn Store>) {
    let slot = UniqueName::Slot(flow_key("a", "f"), 0);
    let mut batch = Batch::new();
    batch.take(unique(slot.clone(), "old"));
    store.commit(batch).await.unwrap();
    let mut hand_over = Batch::new();
    hand_over.delete(Key::Unique(slot.clone())).take(unique(slot.clone(), "new"));
    store.commit(hand_over).await.unwrap();
    let held = store.find::<UniqueKey>(View::Newest, Key::Unique(slot)).await.unwrap().unwrap();
    assert_eq!(held.holder, Holder::Execution(execution_id("new")));
    let of_old = Query::HeldBy(Holder::Execution(execution_id("old")));
    assert!(store.all::<UniqueKey>(View::Newest, of_old, 10).await.unwrap().is_empty());
}
