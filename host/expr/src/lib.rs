//! The expression language: Pebble templates as Kestra extends them.
//!
//! A template and a [`Scope`] go in, a [`Value`] comes out. Nothing here does IO, reads a clock, draws a random number
//! or starts a thread: a function that would need one asks the [`Memo`], and when the answer is not there evaluation
//! ends with [`Error::Missing`]; the shell performs the call, inserts the answer and evaluates again.
//!
//! ```
//! use expr::{Answer, Map, Memo, Settings, drive, eval_text};
//!
//! let mut scope = Map::new();
//! scope.insert("name".into(), "world".into());
//! let answer = |call: &expr::Call| Answer::Failed(format!("nobody answers `{}`", call.function));
//! let evaluate = |memo: &Memo| eval_text("Hello {{ name | upper }}", &scope, memo, &Settings::default());
//! assert_eq!(drive(&mut Memo::new(), answer, evaluate)?.to_string(), "Hello WORLD");
//! # Ok::<(), expr::Error>(())
//! ```
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests"))]

mod calls;
mod error;
mod eval;
mod filters;
mod functions;
mod ion;
mod jq;
mod json;
mod limits;
mod memo;
mod number;
mod parse;
mod predicates;
mod raw;
mod scope;
mod source;
mod stack;
mod stored;
mod template;
mod text;
mod time;
mod value;

pub use calls::first_arguments;
pub use error::{Error, Position, Problem};
pub use json::{JsonError, Secrets};
pub use limits::{Limits, Settings};
pub use memo::{Answer, Call, MAX_CALLS, Memo, drive};
pub use number::{Kind as NumberKind, Number};
pub use scope::{Empty, Layered, Lookup, Scope};
pub use template::{Template, eval, eval_text, parse, render, render_map, render_text, render_value};
pub use text::{MASK, Origin, Recipe, Secret, Span, Step, Text, TextBuilder};
pub use time::holidays::is_public_holiday;
pub use time::{Time, parse_local, parse_zoned, zone};
pub use value::{Map, Value};
