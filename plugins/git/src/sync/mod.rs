//! Keeping a repository and the engine in step. One way for all tasks: what is there on both sides is listed, a plan says what becomes of each thing,
//! the plan is looked at whole, and then it is one push or one commit of the engine, or nothing.
//!
//! `model` and `plan` decide and do nothing else; `engine` and `repository` are the two sides.

pub mod diff;
pub mod engine;
pub mod files;
pub mod flows;
pub mod layout;
pub mod model;
pub mod namespaces;
pub mod plan;
pub mod properties;
pub mod pulling;
pub mod push;
pub mod pushing;
pub mod report;
pub mod repository;
