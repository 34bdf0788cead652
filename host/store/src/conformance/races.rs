//! Many at once.

use std::collections::HashSet;
use std::sync::Arc;

use super::samples::*;
use crate::rows::*;
use crate::{Batch, Conflict, Error, Precondition, Query, Store, View};

const RACERS: usize = 8;

pub async fn every_job_is_claimed_once(store: Arc<dyn Store>) {
    const JOBS: usize = 400;
    store.commit(puts((0..JOBS).map(|n| job("x", &format!("r{n}"), 0).into()))).await.unwrap();
    let racers: Vec<_> = (0..RACERS)
        .map(|racer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut done = Vec::new();
                let mut handed_back = 0;
                loop {
                    let claimed = store.claim(claim(&format!("n{racer}"), 1, 5)).await.unwrap();
                    if claimed.jobs.is_empty() {
                        return done;
                    }
                    for job in claimed.jobs {
                        let fence = job.fence().unwrap();
                        // Now and then a worker gives a job back, and still tries to finish it.
                        let stale = handed_back < 20 && done.len() % 7 == 0;
                        if stale {
                            handed_back += 1;
                            store.release(vec![fence.clone()]).await.unwrap();
                        }
                        let mut result = Batch::new();
                        result.require(Precondition::Fence(fence.clone())).delete(Key::Job(fence.job.clone()));
                        match store.commit(result).await {
                            Ok(_) => {
                                assert!(!stale, "a released job was finished");
                                done.push(job.key.task_run.to_string());
                            }
                            Err(Error::Conflict(Conflict::Fence(_))) => assert!(stale, "a leased job was not finished"),
                            Err(other) => panic!("{other}"),
                        }
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for racer in racers {
        all.extend(racer.await.unwrap());
    }
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "a job was done twice");
    let left = store.all::<Job>(View::Newest, Query::JobsOf(execution_id("x")), JOBS).await.unwrap();
    assert_eq!(all.len() + left.len(), JOBS);
    assert!(left.is_empty(), "somebody ended while there was work: {}", left.len());
}

pub async fn slots_are_never_held_twice(store: Arc<dyn Store>) {
    let slot = UniqueName::Slot(flow_key("a", "f"), 0);
    let inside = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let racers: Vec<_> = (0..RACERS)
        .map(|racer| {
            let (store, slot, inside) = (Arc::clone(&store), slot.clone(), Arc::clone(&inside));
            tokio::spawn(async move {
                let mut got = 0;
                for _ in 0..10_000 {
                    let mut take = Batch::new();
                    take.take(unique(slot.clone(), &format!("e{racer}")));
                    match store.commit(take).await {
                        Ok(_) => {
                            use std::sync::atomic::Ordering::SeqCst;
                            assert_eq!(inside.fetch_add(1, SeqCst), 0);
                            tokio::task::yield_now().await;
                            inside.fetch_sub(1, SeqCst);
                            let mut back = Batch::new();
                            back.delete(Key::Unique(slot.clone()));
                            store.commit(back).await.unwrap();
                            got += 1;
                        }
                        Err(Error::Conflict(Conflict::Held { .. })) => {}
                        Err(other) => panic!("{other}"),
                    }
                    if got == 20 {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
                panic!("starved after {got}");
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
}

pub async fn one_of_many_owners_appends(store: Arc<dyn Store>) {
    const EACH: u64 = 25;
    let racers: Vec<_> = (0..RACERS)
        .map(|racer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let (mut after, mut mine) = (0, 0);
                while mine < EACH {
                    let mut batch = Batch::new();
                    batch.append(execution_id("x"), after, vec![(at(0), payload(&racer.to_string()))]);
                    match store.commit(batch).await {
                        Ok(_) => {
                            mine += 1;
                            after += 1;
                        }
                        Err(Error::Conflict(Conflict::Sequence { found, .. })) => after = found,
                        Err(other) => panic!("{other}"),
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    let query = Query::Changes { execution: execution_id("x"), after: 0 };
    let changes = store.all::<Change>(View::Newest, query, 10_000).await.unwrap();
    let sequences: Vec<u64> = changes.iter().map(|change| change.sequence).collect();
    assert_eq!(sequences, (1..=RACERS as u64 * EACH).collect::<Vec<_>>());
}
