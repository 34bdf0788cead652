//! The embedded store on a real disk, against a raw grouped log: commits made durable by 1, 16 and 256 writers; the
//! start with many executions; the space they take.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::conformance::samples::*;
use store::embedded::disk::RealDisk;
use store::embedded::{EmbeddedStore, Options, SledShelf};
use store::{Batch, Lsn, MemoryStore, Row, Store};

const CELL: Duration = Duration::from_secs(2);
const EXECUTIONS: i64 = 100_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for writers in [1, 16, 256] {
        let raw = raw_log(&runtime, writers);
        let folder = tempfile::tempdir().expect("a folder");
        let embedded = Arc::new(open(folder.path()).0);
        let durable = runtime.block_on(commits(embedded.clone() as Arc<dyn Store>, writers));
        let stats = embedded.stats();
        drop(embedded);
        let memory = runtime.block_on(commits(Arc::new(MemoryStore::default()), writers));
        println!(
            "{writers:>3} writers: raw grouped log {raw:>9.0}/s, embedded {durable:>9.0}/s ({:.2}x, {:.1} commits a sync), memory {memory:>9.0}/s",
            durable / raw,
            stats.durable.0 as f64 / stats.syncs as f64,
        );
    }
    runtime.block_on(start());
}

fn open(path: &std::path::Path) -> (EmbeddedStore, store::embedded::Report) {
    let disk = Arc::new(RealDisk::new(path).expect("a folder"));
    EmbeddedStore::open(disk, &SledShelf::new(path.join("index")), Options::default()).expect("a store")
}

/// A state of 200 bytes is updated, an event of 100 bytes appended.
fn batch(writer: usize, sequence: u64) -> Batch {
    let id = format!("execution-{writer}");
    let mut batch = Batch::new();
    batch.append(execution_id(&id), sequence, vec![(at(0), payload(&"e".repeat(30)))]);
    let mut state = setting(&id);
    state.value = payload(&"s".repeat(100));
    batch.put(state);
    batch
}

async fn commits(store: Arc<dyn Store>, writers: usize) -> f64 {
    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (store, done) = (Arc::clone(&store), Arc::clone(&done));
            tokio::spawn(async move {
                let mut sequence = 0;
                while began.elapsed() < CELL {
                    let lsn = store.commit(batch(writer, sequence)).await.expect("no conflict");
                    store.durable(lsn).await.expect("durable");
                    sequence += 1;
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

/// What the disk allows: records of the same length, one write and one sync for all that wait.
fn raw_log(runtime: &tokio::runtime::Runtime, writers: usize) -> f64 {
    let mut file = tempfile::tempfile().expect("a file");
    let (send, receive) = std::sync::mpsc::channel::<(Vec<u8>, tokio::sync::oneshot::Sender<Lsn>)>();
    let log = std::thread::spawn(move || {
        while let Ok(first) = receive.recv() {
            let group: Vec<_> = std::iter::once(first).chain(receive.try_iter()).collect();
            let bytes: Vec<u8> = group.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
            file.write_all(&bytes).and_then(|()| file.sync_data()).expect("a write");
            for (_, done) in group {
                drop(done.send(Lsn(1)));
            }
        }
    });
    let rate = runtime.block_on(async {
        let done = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let tasks: Vec<_> = (0..writers)
            .map(|_| {
                let (send, done) = (send.clone(), Arc::clone(&done));
                tokio::spawn(async move {
                    while began.elapsed() < CELL {
                        let (answer, wait) = tokio::sync::oneshot::channel();
                        send.send((vec![7; 300], answer)).expect("the log runs");
                        wait.await.expect("an answer");
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a writer");
        }
        done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
    });
    drop(send);
    log.join().expect("the log ends");
    rate
}

/// Starts with many executions stored: ended in order, not in order, and without an index.
async fn start() {
    let folder = tempfile::tempdir().expect("a folder");
    let flow = flow_key("company.team", "bench");
    let (store, _) = open(folder.path());
    let mut live = 0;
    let began = Instant::now();
    for number in 0..EXECUTIONS {
        let id = format!("execution-{number:06}");
        let record = execution(&id, &flow, number, model::state::State::Success);
        let mut batch = Batch::new();
        batch.put(record.clone());
        for step in 0..4 {
            batch.put(task_run(&id, &format!("run-{step}"), step));
        }
        batch.append(execution_id(&id), 0, (0..8).map(|_| (at(0), payload("a change of some length, as the engine writes it"))).collect());
        live += size(&record.into()) + 4 * size(&task_run(&id, "run-0", 0).into()) + 8 * 200;
        store.commit(batch).await.expect("no conflict");
    }
    store.durable(store.head()).await.expect("durable");
    println!("{EXECUTIONS} executions of 13 rows stored in {:?}", began.elapsed());
    let began = Instant::now();
    store.close().expect("a close");
    println!("closed in {:?}", began.elapsed());
    for (name, spoil) in [("ended in order", ""), ("killed", "index.seal"), ("without index", "index")] {
        let path = folder.path().join(spoil);
        if spoil == "index" {
            std::fs::remove_dir_all(&path).expect("a folder");
        } else if !spoil.is_empty() {
            std::fs::remove_file(&path).expect("a file");
        }
        let began = Instant::now();
        let (store, report) = open(folder.path());
        println!("start, {name}: {:?}; {report}", began.elapsed());
        let stats = store.stats();
        println!(
            "  live rows {} MB, journal {} MB, runs {} MB, index {} MB",
            live >> 20,
            stats.journal_bytes >> 20,
            stats.run_bytes >> 20,
            stats.index_bytes >> 20
        );
        store.close().expect("a close");
    }
}

fn size(row: &Row) -> usize {
    let mut bytes = Vec::new();
    store::encode_row(row, &mut bytes).expect("a row");
    bytes.len()
}
