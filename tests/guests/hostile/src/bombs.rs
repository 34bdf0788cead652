//! Too much of everything: `WHAT HOW-MUCH`.

use crate::answers::{Answer, failed, number};
use crate::sluice::host::{context, log, report};
use std::hint::black_box;
use wasip2::http::types::Fields;

pub fn bomb(with: &[&str]) -> Answer {
    let much = number(with.get(1));
    match with.first().copied().unwrap_or_default() {
        "memory" => {
            let mut all: Vec<Vec<u8>> = Vec::new();
            for _ in 0..much {
                all.push(vec![1; 1 << 20]);
                black_box(&all);
            }
        }
        "stack" => {
            black_box(deep(much));
        }
        "log-lines" => (0..much).for_each(|_| log::log(log::Level::Info, "again", &[])),
        "log-bytes" => {
            let line = "l".repeat(much as usize);
            (0..1_000).for_each(|_| log::log(log::Level::Info, &line, &[]));
        }
        "log-fields" => {
            let fields: Vec<(String, String)> = (0..much).map(|number| (format!("f{number}"), String::from("v"))).collect();
            log::log(log::Level::Info, "fields", &fields);
        }
        "stdout" => {
            let line = "o".repeat(1_000);
            (0..much).for_each(|_| println!("{line}"));
        }
        "output" => return Ok("o".repeat(much as usize)),
        "error" => return Err(failed("LONG", "e".repeat(much as usize))),
        "metrics" => (0..much).for_each(|number| report::metric("counter", &format!("m{number}"), 1.0, &[])),
        "progress" => (0..much).for_each(|_| report::progress(Some(1), "on")),
        "random" => {
            black_box(wasip2::random::random::get_random_bytes(much));
        }
        "insecure-random" => {
            black_box(wasip2::random::insecure::get_insecure_random_bytes(much));
        }
        "handles" => (0..much).for_each(|_| std::mem::forget(Fields::new())),
        "call" => log::log(log::Level::Info, &"c".repeat(much as usize), &[]),
        "loop" => (0..much).for_each(|number| {
            black_box(number);
        }),
        "calls" => (0..much).for_each(|_| {
            black_box(context::attempt());
        }),
        "polls" => {
            let ready = wasip2::clocks::monotonic_clock::subscribe_duration(0);
            (0..much).for_each(|_| {
                black_box(wasip2::io::poll::poll(&[&ready]));
            });
        }
        other => return Err(failed("NO_OPERATION", other)),
    }
    Ok(String::new())
}

fn deep(left: u64) -> u64 {
    let here = black_box([left; 16]);
    if left == 0 { here[0] } else { deep(left - 1).wrapping_add(here[1]) }
}
