//! The plugin `records`: executions and their logs, of the flow's own namespace and of those that the task names.

mod count;
mod dates;
mod fetch;
mod purge;

use sluice_sdk::prelude::*;

plugin! {
    manifest: "manifest.json",
    tasks: [count::count, fetch::fetch, purge::purge_executions, purge::purge_logs],
    title: "Executions and logs",
    effects: Effects::Idempotent,
    capabilities: Capabilities::none().files().objects(&["execution", "execution:delete", "flow", "log", "log:delete"]),
}
