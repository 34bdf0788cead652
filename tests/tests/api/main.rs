//! The HTTP API, over a real port, against a node of its own for each test.

mod access;
mod approvals;
mod bulk;
mod command_line;
mod executions;
mod flows;
mod flows_bulk;
mod follow;
mod graph;
mod kv;
mod life;
mod logs;
mod metrics;
mod namespace_files;
mod namespaces;
mod openapi;
mod outputs;
mod policy;
mod polling;
mod refusals;
mod rules;
mod secrets;
mod side_by_side;
mod signatures;
mod sources;
mod triggers;
mod upgrades;
mod versions;
mod webhook;

/// A flow that logs and answers; `TEXT` is what it says.
pub fn saying(id: &str, text: &str) -> String {
    format!(
        "id: {id}\nnamespace: tests.api\ntasks:\n  - {{id: say, type: io.kestra.plugin.core.log.Log, message: '{text}'}}\noutputs:\n  - {{id: said, type: STRING, value: '{text}'}}\n"
    )
}

/// A flow that sleeps for ten minutes.
pub const SLEEPING: &str = "id: sleeping\nnamespace: tests.api\ntasks:\n  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT10M}\n";
