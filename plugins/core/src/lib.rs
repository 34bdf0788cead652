//! The plugin `core`: tasks every flow needs. None of them touches anything outside the execution.

mod debug;
mod execution;
mod log;
mod output;

use sluice_sdk::prelude::*;

plugin! {
    manifest: "manifest.json",
    tasks: [log::log, debug::hand_on, debug::echo, output::output_values, execution::fail],
    title: "Core tasks",
    effects: Effects::None,
    capabilities: Capabilities::none(),
}
