//! The pure state machine of executions: an event and a state go in, changes and commands come out.
//!
//! No IO, clock, randomness, async or rendering here. What needs one of them is a [`Command`]; its answer is an [`Event`].
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests"))]

mod act;
mod apart;
mod command;
mod decide;
mod draft;
mod duration;
mod ending;
mod event;
mod flowable;
mod halt;
pub mod ids;
mod items;
mod job;
mod labels;
mod life;
mod outstanding;
mod replay;
mod restart;
mod retry;
// Not behind a feature: with one, every crate above would be built twice, once for use and once for tests.
pub mod sim;
mod sla;
mod slots;
mod snapshot;
mod state;
mod task;
mod templates;
pub mod view;

pub use command::{Command, Message, RenderScope, Rendering, Work};
pub use decide::{Decision, decide, decide_shown};
pub use event::{ChildResult, Effects, End, Event, JobId, Outcome, RejectCode, Rejected, UnitReport};
pub use flowable::each::VALUES_PER_EACH;
pub use flowable::items::ITEMS_AT_ONCE;
pub use job::{LOSSES_PER_ATTEMPT, timed_out};
pub use life::CORRELATION;
pub use replay::replay;
pub use retry::ATTEMPTS_PER_RUN;
pub use snapshot::Snapshot;
pub use state::{Node, State};
