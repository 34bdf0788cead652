//! The ways a run can end, the same for every language: as it should, in a failure of its own, over its time, over its memory.

use crate::support::*;
use runtime::{Class, PluginSource, Runtime};
use std::time::Duration;

/// The manifest is asked for without any grant, and is the same twice.
pub async fn describes_itself(runtime: &Runtime, plugin: &PluginSource, task: &str) {
    let runtime::Wasm::Bytes(bytes) = &plugin.wasm else { panic!("at hand") };
    let manifest: serde_json::Value = serde_json::from_str(&runtime.describe(bytes).await.unwrap()).unwrap();
    assert_eq!(manifest["name"], plugin.name);
    let mut tasks = manifest["tasks"].as_array().unwrap().iter();
    assert!(tasks.any(|one| one["type"] == task), "{manifest}");
}

/// All fields of a failure cross the border, and the plugin's code is the run's code.
pub async fn fails(runtime: &Runtime, plugin: &PluginSource, task: &str) -> runtime::Failure {
    let failure = failure(runtime.run(request(plugin, task, "{}")).await);
    assert_failure(&failure, Class::Guest, "PROOF");
    assert_eq!((failure.message.as_str(), failure.retryable), ("this run was to fail", Some(true)));
    failure
}

/// An endless loop ends at its deadline. While it runs it is in the pool: guests of every language fit a slot.
pub async fn meets_its_deadline(runtime: &Runtime, plugin: &PluginSource, task: &str) {
    runtime.prepare(plugin).await.unwrap();
    let mut request = request(plugin, task, "{}");
    request.limits.wall = Some(Duration::from_millis(800));
    let watch = async {
        let mut seen = None;
        while seen.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let status = runtime.status();
            seen = (status.pool_used + status.on_demand_used > 0).then_some(status);
        }
        // Long enough for a guest that does not fit to have been moved.
        tokio::time::sleep(Duration::from_millis(300)).await;
        runtime.status()
    };
    let (outcome, status) = tokio::join!(runtime.run(request), watch);
    if status.pool_slots > 0 {
        assert_eq!((status.pool_used, status.on_demand_used), (1, 0));
    }
    assert!(outcome.metrics.guest_cpu > Duration::ZERO);
    assert_failure(&failure(outcome), Class::Deadline, "DEADLINE");
}

/// Memory over the limit: `class` and `code` are what the language makes of it; that it was memory is told in any case.
pub async fn meets_its_memory_limit(runtime: &Runtime, plugin: &PluginSource, task: &str, class: Class, code: &str) {
    let mut request = request(plugin, task, "{}");
    request.limits.memory_bytes = 96 << 20;
    let outcome = runtime.run(request).await;
    assert!(outcome.metrics.memory_peak_bytes <= 96 << 20);
    let failure = failure(outcome);
    assert_failure(&failure, class, code);
    let told = format!("{} {}", failure.message, failure.hint.clone().unwrap_or_default());
    assert!(told.contains("its limit is 96 MiB"), "{failure:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_guest_ends_in_every_way() {
    let (runtime, plugin) = (runtime(), prebuilt("proof-http"));
    describes_itself(&runtime, &plugin, "proof.http.Stream").await;
    fails(&runtime, &plugin, "proof.http.Fail").await;
    meets_its_deadline(&runtime, &plugin, "proof.http.Spin").await;
    meets_its_memory_limit(&runtime, &plugin, "proof.http.Eat", Class::Limit, "MEMORY_LIMIT").await;
}
