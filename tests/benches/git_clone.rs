//! A clone of 10,000 files and 5,000 commits by the plugin `git`, and by real git from the same server: the ratio, and how much memory the guest took.
//!
//!     cargo bench --locked --workspace --bench git_clone
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints what it measured")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime::{
    Access, Cancel, Compiler, Config, Facts, Grants, HostPattern, Limits, NetworkRule, NoServices, PluginSource, Ports,
    Request, Runtime, SpecialRanges,
};
use serde_json::json;
use tests::data_dir;
use tests::git::{Client, Options, Server, available, files, history_large};

/// As in `sluice`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FILES: usize = 10_000;
const COMMITS: usize = 5_000;
const ROUNDS: usize = 5;

struct Quiet;

impl runtime::Sink for Quiet {
    fn log(&self, _: runtime::Line) {}
    fn metric(&self, _: runtime::Metric) {}
    fn progress(&self, _: runtime::Progress) {}
}

fn main() {
    // `cargo test --benches` calls benches too; only `cargo bench` says `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") || !available() {
        return;
    }
    rustls::crypto::ring::default_provider().install_default().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(measure());
}

async fn measure() {
    let repository = history_large(FILES, COMMITS);
    let server = Server::start(Options::default()).await;
    server.add("large.git", &repository);
    let url = server.url("large.git");
    let registry = tests::registry().join("git");
    let newest = std::fs::read_dir(registry).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let plugin = PluginSource::of_bytes("git", "1.0.0", std::fs::read(newest.join("plugin.wasm")).unwrap());
    let runtime = Runtime::new(Config::new(data_dir().join("compiled"), Compiler::InProcess)).unwrap();
    for depth in [0, 1] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut peak = 0;
        let mut guest = Duration::ZERO;
        for round in 0..=ROUNDS {
            let client = Client::new();
            let began = Instant::now();
            let mut arguments = vec!["clone", "-q", "--no-single-branch"];
            if depth == 1 {
                arguments.extend(["--depth", "1"]);
            }
            arguments.extend([url.as_str(), "clone"]);
            client.git(&arguments).await.well();
            let of_git = began.elapsed();
            let folder = tempfile::tempdir().unwrap();
            let began = Instant::now();
            let outcome = runtime.run(request(&plugin, &server, folder.path(), &url, depth)).await;
            let of_ours = began.elapsed();
            outcome.result.unwrap_or_else(|failure| panic!("{failure:#?}"));
            if round == 0 {
                // The first compiles, and is looked at.
                assert_eq!(files(&folder.path().join("clone")), files(&client.folder().join("clone")));
                continue;
            }
            peak = peak.max(outcome.metrics.memory_peak_bytes);
            guest = guest.max(outcome.metrics.guest_cpu);
            ours.push(of_ours);
            theirs.push(of_git);
        }
        let (ours, theirs) = (middle(ours), middle(theirs));
        println!(
            "depth {depth}: {FILES} files, {COMMITS} commits: plugin {} ms, git {} ms, ratio {:.2}; guest at most {} MiB, {} ms of processor",
            ours.as_millis(),
            theirs.as_millis(),
            ours.as_secs_f64() / theirs.as_secs_f64(),
            peak >> 20,
            guest.as_millis(),
        );
    }
    server.end().await;
}

fn middle(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

fn request(plugin: &PluginSource, server: &Server, folder: &std::path::Path, url: &str, depth: u32) -> Request {
    let network = vec![NetworkRule {
        host: HostPattern::Address(server.address().ip()),
        ports: Ports::Only(vec![server.address().port()]),
        scheme: None,
        methods: None,
        special: SpecialRanges::Allowed,
    }];
    Request {
        plugin: plugin.clone(),
        task_type: "io.kestra.plugin.git.Clone".to_owned(),
        input: json!({ "directory": "clone", "url": url, "depth": depth }).to_string(),
        facts: Facts { keys: [("working-dir".to_owned(), ".".to_owned())].into_iter().collect(), ..Facts::default() },
        grants: Arc::new(Grants { network, working_dir: Access::Write, ..Grants::none() }),
        limits: Limits::default(),
        working_dir: Some(folder.to_owned()),
        services: Arc::new(NoServices),
        sink: Arc::new(Quiet),
        cancel: Cancel::new(),
    }
}
