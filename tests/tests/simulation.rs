//! A few hundred simulated worlds; `simulate --seeds 10000` lives through more (README).

use tests::simulation::{Stage, simulate};

/// Worlds of one run: a few seconds.
const SEEDS: u64 = 200;
/// Worlds that are lived through twice.
const TWICE: u64 = 10;

#[test]
fn no_world_breaks_a_promise() {
    let stage = Stage::open().expect("the fake plugin can be written");
    let seeds = std::sync::atomic::AtomicU64::new(0);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let live = || {
            let mut failures = Vec::new();
            loop {
                let seed = seeds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if seed >= SEEDS {
                    return failures;
                }
                if let Err(failed) = simulate(&stage, seed, false) {
                    failures.push(format!("seed {seed}: {}", failed.problem));
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(live)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a world does not panic")).collect()
    });
    assert!(failures.is_empty(), "hint: `simulate --seed S --trace` shows one\n{}", failures.join("\n"));
}

#[test]
fn the_same_seed_is_the_same_world() {
    let stage = Stage::open().expect("the fake plugin can be written");
    for seed in 0..TWICE {
        let lived = || simulate(&stage, seed, false).map_err(|failed| failed.problem);
        assert_eq!(lived(), lived(), "seed {seed}");
    }
}
