//! Lives through simulated worlds: `simulate --seeds N [--from S] [--threads T]`, or one again with all that happened in it:
//! `simulate --seed S --trace`.

#![expect(clippy::print_stdout, reason = "a program that prints")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use tests::simulation::{Failed, Stage, simulate};

/// Failing seeds that are shown; the others are counted.
const SHOWN: usize = 10;

struct Asked {
    from: u64,
    seeds: u64,
    threads: usize,
    trace: bool,
}

fn asked() -> Result<Asked> {
    let mut asked = Asked {
        from: 0,
        seeds: 100,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        trace: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut number = || -> Result<u64> {
            let text = arguments.next().with_context(|| format!("`{name}` needs a number"))?;
            text.parse().with_context(|| format!("`{name} {text}`: not a number"))
        };
        match name.as_str() {
            "--seeds" => asked.seeds = number()?,
            "--from" => asked.from = number()?,
            "--seed" => (asked.from, asked.seeds) = (number()?, 1),
            "--threads" => asked.threads = usize::try_from(number()?)?.max(1),
            "--trace" => asked.trace = true,
            other => bail!("`{other}` is not known\n  hint: --seeds N, --from S, --seed S, --trace, --threads T"),
        }
    }
    Ok(asked)
}

fn main() -> Result<ExitCode> {
    let asked = asked()?;
    let stage = Stage::open()?;
    let next = AtomicU64::new(asked.from);
    let upto = asked.from.saturating_add(asked.seeds);
    let failures: Mutex<Vec<Failed>> = Mutex::default();
    let (lives, executions) = (AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..asked.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= upto {
                        return;
                    }
                    match simulate(&stage, seed, asked.trace) {
                        Ok(passed) => {
                            lives.fetch_add(passed.lives.into(), Ordering::Relaxed);
                            executions.fetch_add(passed.executions as u64, Ordering::Relaxed);
                        }
                        Err(failed) => failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(failed),
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failures.sort_by_key(|failed| failed.seed);
    for failed in failures.iter().take(SHOWN) {
        for line in &failed.trace {
            println!("{line}");
        }
        println!("seed {}: {}", failed.seed, failed.problem);
    }
    println!(
        "{} seeds in {:.1} s: {} lives, {} executions, {} failed",
        asked.seeds,
        began.elapsed().as_secs_f64(),
        lives.into_inner(),
        executions.into_inner(),
        failures.len()
    );
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
