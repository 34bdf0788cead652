//! The shell around the engine: one node with its mailboxes, workers and timers, and the HTTP API over it.
//!
//! `apply` is the only caller of the engine. Readers watch the store; they never ask a worker.

mod apply;
mod approvals;
mod batches;
mod candidates;
mod clock;
mod conditions;
mod config;
mod entropy;
mod error;
mod executions;
pub mod flow_schema;
mod flows;
pub mod http;
mod inputs;
mod installation;
mod janitor;
mod kv;
mod leases;
mod life;
mod logs;
mod mailbox;
mod metrics;
mod node;
mod outputs;
mod plugins;
mod policy;
mod purge;
mod readable;
mod render;
mod rules;
mod runs;
mod sealing;
mod search;
mod secrets;
mod sources;
mod timers;
mod triggers;
mod upgrades;
mod worker;

pub use approvals::Verdict;
pub use candidates::{Candidate, look_at};
pub use clock::{Clock, SystemClock};
pub use config::Config;
pub use entropy::{Entropy, SystemEntropy};
pub use error::{Error, Issue};
pub use executions::{Given, Seen, Start};
pub use flows::{Save, SavedFlow, Validation};
pub use http::wire;
pub use installation::{Offered, needed_by};
pub use life::Replay;
pub use logs::LogLine;
pub use node::Node;
pub use plugins::{Ground, survey};
pub use policy::{Policies, Refusal, Unusable, allow_net, least};
pub use rules::{AuditEntry, Decision};
pub use runs::Runs;
pub use sealing::KEY_BYTES as ENCRYPTION_KEY_BYTES;
pub use search::{Found, Operation, Rest, Search, TextTest};
pub use secrets::{NewSecret, SecretSeen};
pub use sources::{Fetched, Fetcher, PluginSource, Progress, Times, Wanted};
pub use triggers::{BackfillAsk, TriggerSeen};
pub use upgrades::{Moved, Only, Upgrade};
#[doc(hidden)]
pub use worker::Around;
