//! The embedded store on a real disk, against a raw grouped log: commits made durable by 1, 16 and 256 writers; the
//! start with many executions; the space they take.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::conformance::samples::*;
use store::embedded::{EmbeddedStore, Index, Options};
use store::query::{ExecutionFilter, LogFilter, LogScope, NamespaceMatch};
use store::{Batch, Clear, Key, Lsn, MemoryStore, Page, Query, Row, Store, View};

/// As in `sluice`; what it is compared with is in the same process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CELL: Duration = Duration::from_secs(2);
const EXECUTIONS: i64 = 100_000;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    // Names of parts, to run those alone.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == part);
    for writers in [1, 16, 256].into_iter().filter(|_| wants("commits")) {
        let raw = raw_log(&runtime, writers, 1);
        let two_files = raw_log(&runtime, writers, 2);
        let folder = tempfile::tempdir().expect("a folder");
        let embedded = Arc::new(open(folder.path(), Index::Runs).0);
        let durable = runtime.block_on(commits(embedded.clone() as Arc<dyn Store>, writers));
        let stats = embedded.stats();
        drop(embedded);
        let memory = runtime.block_on(commits(Arc::new(MemoryStore::default()), writers));
        println!(
            "{writers:>3} writers: raw grouped log {raw:>9.0}/s (two files, as with packs before the journal: {two_files:.0}/s), embedded {durable:>9.0}/s ({:.2}x, {:.1} commits a sync), memory {memory:>9.0}/s",
            durable / raw,
            stats.durable.0 as f64 / stats.syncs as f64,
        );
    }
    if wants("logs") {
        runtime.block_on(logs());
    }
    if wants("start") {
        runtime.block_on(start(Index::Runs));
    }
    // Not without being asked: it takes minutes.
    if wanted.iter().any(|wanted| wanted == "sled") {
        runtime.block_on(start(Index::Sled));
    }
}

fn open(path: &std::path::Path, index: Index) -> (EmbeddedStore, store::embedded::Report) {
    EmbeddedStore::open_folder(path, Options { index, ..Options::default() }).expect("a store")
}

/// A million lines of a thousand executions: what they take, and how long a page takes.
async fn logs() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, _) = open(folder.path(), Index::Runs);
    let mut live = 0;
    let began = Instant::now();
    for number in 0..20_000 {
        let of = to(&format!("execution-{:06}", number * 7 % 1_000));
        let lines = (0..50).map(|line_number| {
            let text = format!(
                "line {line_number} of part {number}: read 1,{number:05} rows from `orders`, took {} ms",
                number * 31 % 977
            );
            let mut one = line(of.clone(), number, model::task::LogLevel::Info, &text);
            one.flow = Some(flow_key("company.team", "bench"));
            one.task_run = Some(model::ids::TaskRunId::trusted(format!("run-{}", number % 7)));
            live += size(&one.clone().into());
            one
        });
        store.append_logs(lines.collect()).await.expect("lines");
    }
    store.durable(store.head()).await.expect("durable");
    let appended = began.elapsed();
    store.close().expect("a close");
    println!("1,000,000 lines ({} MB): appended in {appended:?}, closed after {:?}", live >> 20, began.elapsed());
    let (store, _) = open(folder.path(), Index::Runs);
    let stats = store.stats();
    println!(
        "  runs {} MB, packs {} MB; written by this process {} MB",
        stats.run_bytes >> 20,
        stats.pack_bytes >> 20,
        written_mb()
    );
    let shared: Arc<dyn Store> = Arc::new(store);
    for (name, scope) in [
        ("of an execution", LogFilter::of(to("execution-000500"), 0)),
        ("across flows", LogFilter::within(LogScope::Flows { namespace: NamespaceMatch::Any, flow: None })),
    ] {
        let began = Instant::now();
        let mut page = Page::first(100);
        for _ in 0..10 {
            let rows = shared.scan(View::Durable, Query::Logs(scope.clone()), page).await.expect("rows");
            assert_eq!(rows.items.len(), 100);
            page = Page::after(rows.next.expect("more"), 100);
        }
        println!("  100 lines {name}: {:?}", began.elapsed() / 10);
    }
    let began = Instant::now();
    for number in 0..1_000 {
        let mut more = true;
        while more {
            more = shared.clear(Clear::Logs(to(&format!("execution-{number:06}")))).await.expect("cleared").more;
        }
    }
    drop(shared);
    println!("  cleared in {:?}", began.elapsed());
    let (store, _) = open(folder.path(), Index::Runs);
    store.checkpoint().expect("a checkpoint");
    let stats = store.stats();
    println!(
        "  then runs {} MB, packs {} MB, journal {} MB",
        stats.run_bytes >> 20,
        stats.pack_bytes >> 20,
        stats.journal_bytes >> 20
    );
}

/// What this process has written to disks so far.
fn written_mb() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse::<u64>().ok());
    bytes.unwrap_or(0) >> 20
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
fn raw_log(runtime: &tokio::runtime::Runtime, writers: usize, files: usize) -> f64 {
    let mut files: Vec<_> = (0..files).map(|_| tempfile::tempfile().expect("a file")).collect();
    let (send, receive) = std::sync::mpsc::channel::<(Vec<u8>, tokio::sync::oneshot::Sender<Lsn>)>();
    let log = std::thread::spawn(move || {
        while let Ok(first) = receive.recv() {
            let group: Vec<_> = std::iter::once(first).chain(receive.try_iter()).collect();
            let bytes: Vec<u8> = group.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
            for file in &mut files {
                file.write_all(&bytes).and_then(|()| file.sync_data()).expect("a write");
            }
            for (_, done) in group {
                // Who asked is still there, or does not care.
                done.send(Lsn(1)).ok();
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

/// Stores executions of 13 rows; how many bytes those are.
async fn fill(store: &EmbeddedStore, numbers: std::ops::Range<i64>) -> usize {
    let flow = flow_key("company.team", "bench");
    let mut live = 0;
    for number in numbers {
        let id = format!("execution-{number:06}");
        let record = execution(&id, &flow, number, model::state::State::Success);
        let mut batch = Batch::new();
        batch.put(record.clone());
        for step in 0..4 {
            batch.put(task_run(&id, &format!("run-{step}"), step));
        }
        batch.append(
            execution_id(&id),
            0,
            (0..8).map(|_| (at(0), payload("a change of some length, as the engine writes it"))).collect(),
        );
        live += size(&record.into()) + 4 * size(&task_run(&id, "run-0", 0).into()) + 8 * 200;
        store.commit(batch).await.expect("no conflict");
    }
    live
}

/// Starts with many executions stored: ended in order, killed, and without an index.
async fn start(index: Index) {
    println!("looked up in {index:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let flow = flow_key("company.team", "bench");
    let (store, _) = open(folder.path(), index);
    let began = Instant::now();
    let live = fill(&store, 0..EXECUTIONS).await;
    store.durable(store.head()).await.expect("durable");
    println!("{EXECUTIONS} executions of 13 rows stored in {:?}", began.elapsed());
    let began = Instant::now();
    store.close().expect("a close");
    println!("closed in {:?}", began.elapsed());
    for (name, spoil) in [("ended in order", ""), ("killed", "index.seal"), ("without index", "index")] {
        let path = folder.path().join(spoil);
        if index == Index::Runs && !spoil.is_empty() {
            continue;
        }
        if spoil == "index" {
            std::fs::remove_dir_all(&path).expect("a folder");
        } else if !spoil.is_empty() {
            // Not there unless it was closed in order: then this is how it was killed.
            std::fs::remove_file(&path).ok();
        }
        let began = Instant::now();
        let (store, report) = open(folder.path(), index);
        println!("start, {name}: {:?}; {report}", began.elapsed());
        let began = Instant::now();
        for number in (0..EXECUTIONS).step_by(97) {
            let id = execution_id(&format!("execution-{:06}", number * 31 % EXECUTIONS));
            let found = store.get(View::Durable, Key::Execution(id)).await.expect("a row");
            assert!(found.is_some());
        }
        println!("  a point read: {:?}", began.elapsed() / (EXECUTIONS / 97 + 1) as u32);
        let stats = store.stats();
        println!(
            "  live rows {} MB, on disk {:.2} of that: journal {} MB, runs {} MB, packs {} MB, index {} MB",
            live >> 20,
            (stats.journal_bytes + stats.run_bytes + stats.pack_bytes + stats.index_bytes) as f64 / live as f64,
            stats.journal_bytes >> 20,
            stats.run_bytes >> 20,
            stats.pack_bytes >> 20,
            stats.index_bytes >> 20
        );
        let shared: Arc<dyn Store> = Arc::new(store);
        for (name, filter) in [
            ("all", ExecutionFilter::default()),
            ("by state", ExecutionFilter { states: vec![model::state::State::Success], ..ExecutionFilter::default() }),
            (
                "by flow and state",
                ExecutionFilter {
                    flow: Some(flow.clone()),
                    states: vec![model::state::State::Success],
                    ..ExecutionFilter::default()
                },
            ),
        ] {
            let began = Instant::now();
            const ROUNDS: u32 = 20;
            for _ in 0..ROUNDS {
                let rows =
                    shared.scan(View::Durable, Query::Executions(filter.clone()), Page::first(50)).await.expect("rows");
                assert_eq!(rows.items.len(), 50);
            }
            println!("  50 of {EXECUTIONS}, {name}: {:?}", began.elapsed() / ROUNDS);
        }
    }
    // As full as a journal gets, and not closed.
    let (store, _) = open(folder.path(), index);
    fill(&store, EXECUTIONS..EXECUTIONS + 25_000).await;
    store.durable(store.head()).await.expect("durable");
    let journal_mb = store.stats().journal_bytes >> 20;
    drop(store);
    let began = Instant::now();
    let (store, report) = open(folder.path(), index);
    println!("start, killed with {journal_mb} MB of journal: {:?}; {report}", began.elapsed());
    drop(store);
    let began = Instant::now();
    let found = store::embedded::verify(folder.path()).expect("a verification");
    assert!(found.is_sound(), "{found}");
    println!("verified in {:?}", began.elapsed());
    let began = Instant::now();
    let figures = store::embedded::stats(folder.path()).expect("figures");
    println!("counted in {:?}: {:.2} bytes on disk for a live one", began.elapsed(), figures.disk_per_live());
    let began = Instant::now();
    let rebuilt = store::embedded::rebuild(folder.path(), index).expect("a rebuild");
    println!("rebuilt in {:?}: {rebuilt}", began.elapsed());
}

fn size(row: &Row) -> usize {
    let mut bytes = Vec::new();
    store::encode_row(row, &mut bytes).expect("a row");
    bytes.len()
}
