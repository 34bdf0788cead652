//! What the test suite shares with the chores: the hash that says whether a prebuilt guest still fits its sources.
//! Nothing here builds, downloads or writes.

pub mod source_hash;
