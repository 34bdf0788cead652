//! The pure state machine of executions.
