//! One component, one run: what comes out in good and bad cases. Guests are text.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "each test file uses its part of the support module")]

mod support;

use runtime::*;
use std::time::{Duration, Instant};
use support::*;

#[tokio::test]
async fn trivial_run_answers() {
    let (runtime, _directory) = runtime();
    let outcome = runtime.run(request(&trivial())).await;
    assert_eq!(outcome.result.unwrap(), "{\"a\":1}");
    assert_eq!(outcome.metrics.memory_peak_bytes, 2 * 65536);
    assert_eq!(outcome.metrics.host_calls, 0);
    assert_eq!(runtime.status().pool_used, 0);
}

#[tokio::test]
async fn guest_failure_comes_back_whole() {
    let (runtime, _directory) = runtime();
    let wasm = component(
        r#"(data (i32.const 1024) "BAD_THINGno such thing")"#,
        r#"(i32.store (i32.const 16) (i32.const 1))
           (i32.store (i32.const 20) (i32.const 1024)) (i32.store (i32.const 24) (i32.const 9))
           (i32.store (i32.const 28) (i32.const 1033)) (i32.store (i32.const 32) (i32.const 13))
           (i32.store8 (i32.const 36) (i32.const 1)) (i32.store8 (i32.const 37) (i32.const 1))
           (i32.store (i32.const 40) (i32.const 0))
           (i32.const 16)"#,
    );
    let failure = failure(runtime.run(request(&wasm)).await);
    assert_eq!((failure.class, failure.code.as_str()), (Class::Guest, "BAD_THING"));
    assert_eq!((failure.message.as_str(), failure.retryable), ("no such thing", Some(true)));
}

#[tokio::test]
async fn endless_loop_meets_its_deadline() {
    let (runtime, _directory) = runtime();
    let mut request = request(&component("", "(loop $again (br $again)) unreachable"));
    request.limits.wall = Some(Duration::from_millis(100));
    let outcome = runtime.run(request).await;
    assert!(outcome.metrics.guest_cpu > Duration::ZERO);
    let failure = failure(outcome);
    assert_eq!((failure.class, failure.code.as_str()), (Class::Deadline, "DEADLINE"));
}

#[tokio::test]
async fn endless_loop_is_cancelled_soon() {
    let (runtime, _directory) = runtime();
    let wasm = component("", "(loop $again (br $again)) unreachable");
    let request = request(&wasm);
    runtime.prepare(&request.plugin).await.unwrap();
    let cancel = request.cancel.clone();
    let asked = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancel.cancel();
        Instant::now()
    };
    let (outcome, asked) = tokio::join!(runtime.run(request), asked);
    assert_eq!(failure(outcome).class, Class::Cancelled);
    // 20 ms as a rule; generous for a busy machine.
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}
