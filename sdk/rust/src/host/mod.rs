//! The one door to the host. In a component it is the generated bindings, elsewhere the mock host of this thread; both offer the
//! same functions, so nothing above this module knows which it is.

use std::fmt;

use crate::Failure;

#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
mod outgoing;
#[cfg(target_family = "wasm")]
pub use {component::*, outgoing::*};

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
mod objects;
#[cfg(not(target_family = "wasm"))]
pub use native::*;

/// Why a host call was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostError {
    /// Stable and open: `NOT_GRANTED`, `NOT_FOUND`, `LIMIT`, `BAD_ARGUMENT`, `HOST`.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        let failure = Self::new(error.code, error.message);
        // What the host itself got wrong may be better next time; a missing grant or a wrong argument will not.
        match failure.code() {
            "HOST" => failure.retryable(true),
            "NOT_GRANTED" | "BAD_ARGUMENT" | "INVALID_FLOW" => failure.retryable(false),
            _ => failure,
        }
    }
}
