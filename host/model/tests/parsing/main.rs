//! Flows as others see them: only through the public interface of the crate.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod cases;
mod conformance;
mod hostile;
mod shape;
mod support;
mod surveys;
