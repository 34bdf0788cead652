//! One component, one run: what comes out in good and bad cases. Guests are text.

use crate::support::*;
use runtime::*;
use std::time::{Duration, Instant};

const LOOP: &str = "(loop $again (br $again)) unreachable";

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
    let mut request = request(&component("", LOOP));
    request.limits.wall = Some(Duration::from_millis(100));
    let outcome = runtime.run(request).await;
    assert!(outcome.metrics.guest_cpu > Duration::ZERO);
    let failure = failure(outcome);
    assert_eq!((failure.class, failure.code.as_str()), (Class::Deadline, "DEADLINE"));
    assert!(failure.hint.is_some());
}

/// Start functions run while instantiating: the deadline covers that too.
#[tokio::test]
async fn endless_start_function_meets_the_deadline() {
    let (runtime, _directory) = runtime();
    let module = format!("(func $start {LOOP}) (start $start)");
    let mut request = request(&component(&module, "(call $ok (i32.const 0))"));
    request.limits.wall = Some(Duration::from_millis(100));
    assert_eq!(failure(runtime.run(request).await).class, Class::Deadline);
}

#[tokio::test]
async fn endless_loop_is_cancelled_soon() {
    let (runtime, _directory) = runtime();
    let request = request(&component("", LOOP));
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

/// Two endless guests and an honest one on a single worker: the honest one gets its turn.
#[tokio::test(flavor = "current_thread")]
async fn hot_guests_share_a_worker() {
    let (runtime, _directory) = runtime();
    let honest = request(&trivial());
    runtime.prepare(&honest.plugin).await.unwrap();
    let hot = || async {
        let mut request = request(&component("", LOOP));
        request.limits.wall = Some(Duration::from_millis(300));
        runtime.run(request).await
    };
    let honest = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        runtime.run(honest).await
    };
    let (one, two, honest) = tokio::join!(hot(), hot(), honest);
    assert!(honest.result.is_ok());
    assert_eq!((failure(one).class, failure(two).class), (Class::Deadline, Class::Deadline));
}

#[tokio::test]
async fn cancelled_before_it_starts() {
    let (runtime, _directory) = runtime();
    let request = request(&trivial());
    request.cancel.cancel();
    assert_eq!(failure(runtime.run(request).await).code, "CANCELLED");
}

#[tokio::test]
async fn memory_is_summed_and_refused() {
    let (runtime, _directory) = runtime();
    let wasm = component(
        "",
        "(if (i32.eq (memory.grow (i32.const 200)) (i32.const -1)) (then unreachable)) (call $ok (i32.const 0))",
    );
    let mut request = request(&wasm);
    request.limits.memory_bytes = 4 << 20;
    let failure = failure(runtime.run(request).await);
    assert_eq!((failure.class, failure.code.as_str()), (Class::Limit, "MEMORY_LIMIT"));
    assert!(
        failure.message.contains("asked for 13 MiB") && failure.message.contains("limit is 4 MiB"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn initial_memory_over_the_limit_is_refused() {
    let (runtime, _directory) = runtime();
    let mut request = request(&trivial());
    request.limits.memory_bytes = 65536;
    assert_eq!(failure(runtime.run(request).await).code, "MEMORY_LIMIT");
}

#[tokio::test]
async fn more_memory_than_a_slot_has_runs_on_demand() {
    let (runtime, _directory) = runtime();
    let wasm = component(
        r#"(data (i32.const 1024) "{\"a\":1}")"#,
        "(if (i32.eq (memory.grow (i32.const 4800)) (i32.const -1)) (then unreachable)) (call $ok (i32.const 7))",
    );
    let mut request = request(&wasm);
    request.limits.memory_bytes = 400 << 20;
    let outcome = runtime.run(request).await;
    assert_eq!(outcome.result.unwrap(), "{\"a\":1}");
    assert!(outcome.metrics.memory_peak_bytes > 300 << 20);
}

#[tokio::test]
async fn table_bomb_is_refused() {
    let (runtime, _directory) = runtime();
    let wasm = component(
        "(table $t 1 funcref)",
        "(if (i32.eq (table.grow $t (ref.null func) (i32.const 100000000)) (i32.const -1)) (then unreachable)) (call $ok (i32.const 0))",
    );
    assert_eq!(failure(runtime.run(request(&wasm)).await).code, "TABLE_LIMIT");
}

#[tokio::test]
async fn endless_recursion_is_a_stack_overflow() {
    let (runtime, _directory) = runtime();
    let wasm = component("(func $down (call $down))", "(call $down) (call $ok (i32.const 0))");
    assert_eq!(failure(runtime.run(request(&wasm)).await).code, "STACK_OVERFLOW");
}

#[tokio::test]
async fn wild_pointers_are_traps_not_panics() {
    let (runtime, _directory) = runtime();
    let result_outside = failure(runtime.run(request(&component("", "(i32.const -16)"))).await);
    assert_eq!(result_outside.class, Class::Trap);
    let bad_tag =
        failure(runtime.run(request(&component("", "(i32.store8 (i32.const 16) (i32.const 9)) (i32.const 16)"))).await);
    assert_eq!(bad_tag.class, Class::Trap);
    let bad_text = component(r#"(data (i32.const 1024) "\ff\fe")"#, "(call $ok (i32.const 2))");
    assert_eq!(failure(runtime.run(request(&bad_text)).await).class, Class::Trap);
    let division = component("", "(i32.div_u (i32.const 1) (i32.const 0))");
    let failure = failure(runtime.run(request(&division)).await);
    assert!(failure.message.contains("divide by zero"), "{}", failure.message);
}

#[tokio::test]
async fn answer_must_be_an_object() {
    let (runtime, _directory) = runtime();
    let list = component(r#"(data (i32.const 1024) "[1]")"#, "(call $ok (i32.const 3))");
    assert_eq!(failure(runtime.run(request(&list)).await).code, "BAD_OUTPUT");
}

#[tokio::test]
async fn large_input_is_refused_before_anything_runs() {
    let (runtime, _directory) = runtime();
    let mut request = request(&trivial());
    request.limits.input_bytes = 1;
    assert_eq!(failure(runtime.run(request).await).code, "INPUT_LIMIT");
}

#[tokio::test]
async fn hostile_bytes_are_refused_with_words() {
    let (runtime, _directory) = runtime();
    let whole = trivial();
    let mut bent = whole.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 0xff;
    let module = wat::parse_str("(module (func (export \"run\")))").unwrap();
    for (bytes, expected) in [
        (&b""[..], "not WebAssembly"),
        (b"#!/bin/sh", "not WebAssembly"),
        (&whole[..whole.len() / 2], "test 1.0.0"),
        (&bent[..], "test 1.0.0"),
        (&module[..], "core module"),
    ] {
        let failure = failure(runtime.run(request(bytes)).await);
        assert_eq!(failure.code, "BAD_COMPONENT", "{}", failure.message);
        assert!(failure.message.contains(expected), "{}", failure.message);
        assert!(failure.hint.is_some());
    }
}

#[tokio::test]
async fn wrong_digest_is_refused() {
    let (runtime, _directory) = runtime();
    let mut request = request(&trivial());
    request.plugin.digest = "0".repeat(64);
    assert_eq!(failure(runtime.run(request).await).code, "WRONG_DIGEST");
    let mut outside = crate::support::request(&trivial());
    outside.plugin.digest = "../../etc/passwd".to_owned();
    assert_eq!(failure(runtime.run(outside).await).code, "WRONG_DIGEST");
}

#[tokio::test]
async fn missing_export_and_unknown_import_are_told_apart() {
    let (runtime, _directory) = runtime();
    let empty = failure(runtime.run(request(&wat::parse_str("(component)").unwrap())).await);
    assert_eq!((empty.class, empty.code.as_str()), (Class::Link, "NO_EXPORT"));
    assert!(empty.message.contains("sluice:task/run"), "{}", empty.message);

    let check = |import: &str| {
        request(&wat::parse_str(format!("(component (import \"{import}\" (instance (export \"x\" (func)))))")).unwrap())
    };
    let foreign = failure(runtime.run(check("acme:tools/hammer@1.0.0")).await);
    assert_eq!((foreign.class, foreign.code.as_str()), (Class::Link, "LINK"));
    assert!(
        foreign.message.contains("`acme:tools/hammer@1.0.0`, which this host does not offer"),
        "{}",
        foreign.message
    );
    let newer = failure(runtime.run(check("sluice:host/kv@2.0.0")).await);
    assert!(
        newer.message.contains("needs host API `sluice:host/kv@2.0.0`, this host has `sluice:host/kv@1.0.0`"),
        "{}",
        newer.message
    );
    assert!(newer.hint.unwrap().contains("newer Sluice"));
}

#[tokio::test]
async fn wrong_shape_of_an_export_is_a_link_error() {
    let (runtime, _directory) = runtime();
    let text = r#"(component
      (component $shim (import "run" (func $run)) (export "run" (func $run)))
      (core module $m (func (export "run"))) (core instance $i (instantiate $m))
      (func $lifted (canon lift (core func $i "run")))
      (instance $out (instantiate $shim (with "run" (func $lifted))))
      (export "sluice:task/run@1.0.0" (instance $out)))"#;
    let failure = failure(runtime.run(request(&wat::parse_str(text).unwrap())).await);
    assert_eq!(failure.class, Class::Link, "{}", failure.message);
}

/// More at once than the pool has slots: all of them run, none waits for ever, and every slot comes back.
#[tokio::test(flavor = "multi_thread")]
async fn more_runs_than_slots() {
    let (runtime, _directory) = runtime_with(|config| config.pool_slots = 8);
    let wasm = component(r#"(data (i32.const 1024) "{\"a\":1}")"#, "(call $ok (i32.const 7))");
    let runs = (0..100).map(|_| {
        let runtime = runtime.clone();
        let request = request(&wasm);
        tokio::spawn(async move { runtime.run(request).await.result })
    });
    for run in runs.collect::<Vec<_>>() {
        assert_eq!(run.await.unwrap().unwrap(), "{\"a\":1}");
    }
    let status = runtime.status();
    assert_eq!((status.pool_used, status.on_demand_used, status.components_loaded), (0, 0, 1));
}

/// A component with more core instances than one slot's share uses up the pool's, and goes on demand.
#[tokio::test]
async fn large_components_fall_back_to_on_demand() {
    let (runtime, _directory) = runtime_with(|config| config.pool_slots = 8);
    let mut text = String::from("(component (core module $m (memory 1))");
    for _ in 0..20 {
        text.push_str("(core instance (instantiate $m))");
    }
    text.push(')');
    // 20 memories, where a pool of 8 slots has 16.
    let failure = failure(runtime.run(request(&wat::parse_str(&text).unwrap())).await);
    assert_eq!(failure.code, "NO_EXPORT", "it was instantiated: {}", failure.message);
}

/// A table larger than a slot's: the component is loaded for the other engine from the start.
#[tokio::test]
async fn large_tables_run_on_demand() {
    let (runtime, _directory) = runtime();
    let wasm = component(r#"(table 200000 funcref) (data (i32.const 1024) "{\"a\":1}")"#, "(call $ok (i32.const 7))");
    assert_eq!(runtime.run(request(&wasm)).await.result.unwrap(), "{\"a\":1}");
}

/// The second runtime finds the first one's code: the component's bytes are not looked at again.
#[tokio::test]
async fn compiled_code_outlives_the_runtime() {
    let (runtime, directory) = runtime_with(|_| ());
    let mut request = request(&trivial());
    runtime.prepare(&request.plugin).await.unwrap();
    drop(runtime);
    request.plugin.wasm = Wasm::Path("/nowhere/plugin.wasm".into());
    // Without a pool: what one kind of engine compiled, the other loads.
    let config = Config { pool_slots: 0, ..Config::new(directory.path().join("code"), Compiler::InProcess) };
    let second = Runtime::new(config).unwrap();
    assert_eq!(second.status().allocator, Allocator::OnDemand);
    assert_eq!(second.run(request).await.result.unwrap(), "{\"a\":1}");
}

#[tokio::test]
async fn missing_file_is_the_hosts_fault() {
    let (runtime, _directory) = runtime_with(|_| ());
    let mut request = request(&trivial());
    request.plugin.wasm = Wasm::Path("/nowhere/plugin.wasm".into());
    let failure = failure(runtime.run(request).await);
    assert_eq!((failure.class, failure.retryable), (Class::Host, Some(true)));
    assert!(failure.message.contains("/nowhere/plugin.wasm"), "{}", failure.message);
}

/// The compiler's child is this test binary's own: a program that fails, and one that never ends, must not hurt the host.
#[tokio::test]
async fn failing_and_endless_compilers_are_words() {
    let child = |program: &str, arguments: &[&str], time| Compiler::Child {
        program: program.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        time,
    };
    let (fails, _directory) = runtime_with(|config| {
        config.compiler = child("/bin/sh", &["-c", "echo out of luck >&2; exit 1"], Duration::from_secs(60));
    });
    let said = failure(fails.run(request(&trivial())).await);
    assert_eq!(said.code, "COMPILE");
    assert!(said.message.contains("out of luck"), "{}", said.message);
    let (hangs, _directory) = runtime_with(|config| {
        config.compiler = child("/bin/sh", &["-c", "exec sleep 60"], Duration::from_millis(200));
    });
    let failure = failure(hangs.run(request(&trivial())).await);
    assert!(failure.message.contains("took longer"), "{}", failure.message);
}

/// What marks this test binary as the compiler's child; to the test harness it is one more name that matches nothing.
const AS_CHILD: &str = "as-compile-child";

/// Not a test by itself: what the child of `compiles_in_a_child` does.
#[test]
fn compile_child_entry() {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == AS_CHILD) {
        let code = runtime::compile::child_main(arguments[at + 1..].to_vec());
        // The harness has exit codes of its own; the number is in what `ExitCode` shows of itself.
        let number = format!("{code:?}").chars().filter(char::is_ascii_digit).collect::<String>();
        std::process::exit(number.parse().unwrap());
    }
}

#[tokio::test]
async fn compiles_in_a_child() {
    let (runtime, directory) = runtime_with(|config| {
        config.compiler = Compiler::Child {
            program: std::env::current_exe().unwrap(),
            arguments: ["--exact", "runs::compile_child_entry", AS_CHILD].map(Into::into).to_vec(),
            time: Duration::from_secs(120),
        };
    });
    assert_eq!(runtime.run(request(&trivial())).await.result.unwrap(), "{\"a\":1}");
    let names: Vec<String> = std::fs::read_dir(directory.path().join("code"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 1, "drafts are gone: {names:?}");
    // A module body that does not validate passes the look at its outermost names; the child finds it.
    let invalid = wat::parse_str("(component (core module (func (result i32))))").unwrap();
    let failure = failure(runtime.run(request(&invalid)).await);
    assert_eq!(failure.code, "BAD_COMPONENT", "{}", failure.message);
    assert!(failure.message.contains("type mismatch"), "{}", failure.message);
}
