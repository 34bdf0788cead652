//! Durable commits a second of 1, 16 and 256 writers: the embedded store against a raw log, sled, redb and SQLite, all
//! in one run on one disk. Each of the others in two ways: every writer commits for itself, and one thread commits
//! groups for all, which is the best they can do.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bench_stores::{Commit, ENGINES, Make};
use store::conformance::samples::{at, execution_id, payload, setting};
use store::embedded::{EmbeddedStore, Options};
use store::{Batch, Store};

/// As in `sluice`; what it is compared with is in the same process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Short, and often: others use the machine too, and what they do changes. Only what was measured in one round, one
/// after the other, is compared.
const CELL: Duration = Duration::from_millis(400);
const ROUNDS: usize = 9;
/// Most commits of a group, as many as the others bear well.
const GROUP: usize = 1_024;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for writers in [1, 16, 256] {
        let mut rates: Vec<[f64; ENGINES.len() + 1]> = Vec::new();
        for _ in 0..ROUNDS {
            let mut round = [0.0; ENGINES.len() + 1];
            for (rate, (_, make)) in round.iter_mut().zip(&ENGINES) {
                *rate = within(|path| runtime.block_on(commit_in_groups(*make, path, writers)));
            }
            round[ENGINES.len()] = within(|path| runtime.block_on(embedded(path, writers)));
            rates.push(round);
        }
        let ours = median(rates.iter().map(|round| round[ENGINES.len()]));
        println!("{writers:>3} writers: embedded {ours:.0}/s; medians of {ROUNDS} rounds");
        for (at, (name, make)) in ENGINES.iter().enumerate() {
            let rate = median(rates.iter().map(|round| round[at]));
            let ratio = median(rates.iter().map(|round| round[ENGINES.len()] / round[at]));
            let alone = within(|path| commit_alone(*make, path, writers));
            println!("    {ratio:>5.2}x of {name:>13} in groups ({rate:.0}/s; each writer for itself: {alone:.0}/s)");
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn within(bench: impl FnOnce(&Path) -> f64) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    bench(folder.path())
}

async fn embedded(path: &Path, writers: usize) -> f64 {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open_folder(path, Options::default()).expect("a store").0);
    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (store, done) = (Arc::clone(&store), Arc::clone(&done));
            tokio::spawn(async move {
                let id = format!("execution-{writer}");
                for sequence in 0.. {
                    if began.elapsed() >= CELL {
                        return;
                    }
                    let mut batch = Batch::new();
                    batch.append(execution_id(&id), sequence, vec![(at(0), payload(&"e".repeat(30)))]);
                    let mut state = setting(&id);
                    state.value = payload(&"s".repeat(100));
                    batch.put(state);
                    let lsn = store.commit(batch).await.expect("no conflict");
                    store.durable(lsn).await.expect("durable");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a writer");
    }
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// One thread takes what waits, commits it, and tells the writers.
async fn commit_in_groups(make: Make, path: &Path, writers: usize) -> f64 {
    let mut engine = make(path);
    let (send, receive) = std::sync::mpsc::channel::<(Commit, tokio::sync::oneshot::Sender<()>)>();
    let committer = std::thread::spawn(move || {
        while let Ok(first) = receive.recv() {
            let group: Vec<_> = std::iter::once(first).chain(receive.try_iter().take(GROUP - 1)).collect();
            engine.commit(&group.iter().map(|(commit, _)| *commit).collect::<Vec<_>>());
            for (_, done) in group {
                // Who asked is still there, or does not care.
                done.send(()).ok();
            }
        }
    });
    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (send, done) = (send.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                for sequence in 0.. {
                    if began.elapsed() >= CELL {
                        return;
                    }
                    let (answer, wait) = tokio::sync::oneshot::channel();
                    send.send((Commit { writer, sequence }, answer)).expect("the committer runs");
                    wait.await.expect("an answer");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a writer");
    }
    let rate = done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    drop(send);
    committer.join().expect("the committer ends");
    rate
}

/// Every writer waits for its turn and commits for itself.
fn commit_alone(make: Make, path: &Path, writers: usize) -> f64 {
    let engine = Mutex::new(make(path));
    let done = AtomicU64::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (engine, done) = (&engine, &done);
            scope.spawn(move || {
                for sequence in 0.. {
                    let mut engine = engine.lock().expect("no writer panics");
                    if began.elapsed() >= CELL {
                        return;
                    }
                    engine.commit(&[Commit { writer, sequence }]);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}
