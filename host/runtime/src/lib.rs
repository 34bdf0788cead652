//! Runs one component once, in a sandbox.
