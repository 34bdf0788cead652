//! What the test suite shares with the chores: the hash that says whether a prebuilt guest still fits its sources, and how large published
//! components may be. Nothing here builds, downloads or writes.

pub mod budgets;
pub mod source_hash;
