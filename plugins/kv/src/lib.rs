//! The plugin `kv`: values that outlive an execution. What it writes is there for others when the task has succeeded, and not before.

mod get;
mod glob;
mod purge;
mod set;
mod state;

use sluice_sdk::prelude::*;

plugin! {
    manifest: "manifest.json",
    tasks: [
        set::set, get::get, get::get_keys, get::version, get::delete, purge::purge,
        state::set, state::get, state::delete,
    ],
    title: "Key-value store",
    effects: Effects::None,
    capabilities: Capabilities::none().kv(&["get", "set", "delete", "keys"]),
}
