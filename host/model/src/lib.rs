//! What a flow is: flow, task, trigger, input, execution, state; parsing and validation.
//!
//! Pure: no IO, clock or randomness. `yaml.rs` alone knows serde_yaml. Inner types are not wire types: the HTTP shapes live in `server`.

pub mod change;
pub mod execution;
pub mod flow;
pub mod ids;
pub mod input;
pub mod lock;
pub mod state;
pub mod task;
pub mod trigger;
