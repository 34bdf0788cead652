//! Runs flows with known outcomes against a real node: real plugins, real sandbox, the durable store in a folder of its own.
//!
//! The format is the corpus' (`cases.json` beside `flows/`), and our own data cases are the same thing in one file each. Nothing here
//! knows a case by name: what cannot hold yet is listed in a file, with its reason.

mod action;
mod afterwards;
mod case;
mod check;
mod known;
mod matcher;
mod play;
mod report;
mod stage;
mod timed;
mod webhook;

pub use case::{Case, corpus, own};
pub use known::known;
pub use play::play_all;
pub use report::Report;
pub use stage::Stage;

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed(String),
    /// It was not played, and why.
    Skipped(String),
}

/// Why a case was not passed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Miss {
    /// It says something that is not so.
    Wrong(String),
    /// It needs something that is not there, in Sluice or in this runner.
    Beyond(String),
}

fn wrong<T>(why: impl Into<String>) -> Result<T, Miss> {
    Err(Miss::Wrong(why.into()))
}

fn beyond<T>(why: impl Into<String>) -> Result<T, Miss> {
    Err(Miss::Beyond(why.into()))
}
