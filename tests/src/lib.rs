//! Helpers the test binaries share.

pub mod conformance;
