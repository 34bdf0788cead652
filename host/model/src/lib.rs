//! What a flow is: flow, task, trigger, input, execution, state; parsing and validation.
//!
//! Pure: no IO, clock or randomness. `yaml.rs` alone knows serde_yaml. Inner types are not wire types: the HTTP shapes live in `server`.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests"))]

pub mod batch;
pub mod change;
pub mod condition;
pub mod duration;
pub mod edit;
pub mod execution;
pub mod flow;
pub mod flow_schema;
pub mod ids;
pub mod input;
pub mod inputs;
pub mod lock;
pub mod lookup;
mod node;
mod outline;
mod packages;
mod parse;
pub mod policy;
pub mod problem;
pub mod schedule;
pub mod state;
pub mod survey;
pub mod task;
pub mod trigger;
pub mod typing;
mod upstream;
pub mod window;
mod yaml;

pub use flow_schema::flow_schema;
pub use lookup::{Role, TypeInfo, Types, Unknown};
pub use parse::{Missing, Parsed, engine_tasks, parse, parse_with, plugin_defaults, policy as read_policy, updates};
pub use problem::{Position, Problem, Severity};
pub use yaml::{read_value as read_yaml, write_value as write_yaml};
