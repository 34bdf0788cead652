//! Runs one component once, in a sandbox.
//!
//! It knows WebAssembly, limits, grants and the outside of a guest. It never knows a flow, a store or a registry: whatever only the
//! server can answer it asks through [`Services`], and whatever a guest tells goes to a [`Sink`].
#![expect(clippy::result_large_err, reason = "a failure ends its run: there is one of it, and it is moved once")]

mod bindings;
mod cache;
mod calls;
mod capture;
pub mod compile;
mod describe;
mod directory;
mod egress;
mod engine;
mod errors;
mod failure;
mod grants;
mod host;
mod inspect;
mod limits;
pub mod placeholder;
mod plugins;
mod request;
mod run;
mod scrub;
mod secrets;
mod services;
mod sink;
mod state;
mod swap;
mod tape;
mod ticker;
mod wasi;

pub use cache::Cache;
pub use compile::Compiler;
pub use egress::address;
pub use egress::outside::{Internet, Outside};
pub use engine::{Allocator, Status};
pub use errors::Error;
pub use failure::{Class, Failure, Frame};
pub use grants::{Access, Grants, HostPattern, KvRule, Need, NetworkRule, Ports, Says, SpecialRanges};
pub use limits::Limits;
pub use plugins::{PluginSource, Wasm};
pub use request::{Cancel, Entry, Facts, Outcome, Request, RunMetrics};
pub use run::{Config, Runtime};
pub use scrub::{MASK, Needle, Needles};
pub use secrets::{Filled, RequestHead, Secrets};
pub use services::{Answer, Effect, FileTarget, FileWriter, HostError, NoServices, Services, Soon};
pub use sink::{Level, Line, Metric, MetricKind, NoSink, Progress, Sink};
pub use tape::{Call, TapeSummary};
