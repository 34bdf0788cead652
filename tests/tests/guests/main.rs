//! Real guests in the real runtime: what `wit/` promises, kept for the languages that are hardest on it. See wit/PROOF.md.
//!
//! The Rust guests are prebuilt beside their sources. JavaScript and Python components are never committed: their tests say so and
//! pass when nobody built them.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests; a skipped one must say so")]

mod endings;
mod figures;
mod gitoxide;
mod javascript;
mod prebuilt;
mod python;
mod streamed;
mod support;
