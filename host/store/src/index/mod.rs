//! Rows as ordered keys: how the backends that have no SQL keep rows, their indexes and their newest versions, and
//! answer questions from them. Pure but for the state it is given: no IO, no waiting, no clock.

pub mod encode;
pub mod keys;
mod matches;
pub mod plan;
pub mod stage;
pub mod table;
