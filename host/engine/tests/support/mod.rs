//! What the engine's tests share.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
pub mod tiny;
