//! What one run can do and cannot: one binary, for linking wasmtime is slow.
#![expect(clippy::unwrap_used, reason = "tests")]

mod addresses;
mod guests;
mod outside;
mod runs;
mod secrets;
mod support;
