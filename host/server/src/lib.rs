//! The shell around the engine: node, workers, timers, HTTP API.
