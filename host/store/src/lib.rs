//! Durable state: the [`Store`] trait, its rows and questions, and its backends.
//!
//! Knows what is stored, never what it means: no engine, no expressions, no plugins. Changes and jobs are payloads that
//! their owners read. See [`store`](Store) for the two rules everything above relies on.
#![cfg_attr(test, expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests"))]

mod batch;
mod codec;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod embedded;
mod error;
mod index;
mod local;
mod memory;
pub mod query;
pub mod rows;
mod store;
mod watch;

pub use batch::{Batch, MAX_APPEND, MAX_BATCH_STEPS, MAX_KEY_BYTES, MAX_TEXT_BYTES, Precondition, Step};
pub use codec::{decode_row, encode_row};
pub use error::{Conflict, Error};
pub use memory::{Durability, MemoryStore};
pub use query::{Count, Page, Position, Query, Rows};
pub use rows::{Fence, Key, Payload, Record, Row, Stored};
pub use store::{
    Answer, BLOB_PIECE, BlobReader, BlobWriter, Claim, Claimed, Clear, Cleared, Health, Lsn, MAX_CLAIM, MAX_LINES,
    Store, View,
};
pub use watch::{Topic, Watch};

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
