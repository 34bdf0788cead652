//! Why a task failed, in the shape that crosses the border. It must never carry a secret: everybody who sees the execution sees it.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// Code of a property that has the wrong type or a value that cannot be.
pub const BAD_PROPERTY: &str = "BAD_PROPERTY";

/// Why a task run failed.
// In a box: it travels through every `?`, and its size would be copied by each.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure(Box<Parts>);

#[derive(Debug, Clone, PartialEq)]
struct Parts {
    code: String,
    message: String,
    retryable: Option<bool>,
    details: Map<String, Value>,
}

impl Failure {
    /// A failure of which nobody knows whether another attempt helps. `code` is stable and upper-case; `message` is one sentence
    /// that names the thing and says what to do.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(Parts { code: code.into(), message: message.into(), retryable: None, details: Map::new() }))
    }

    /// A failure that comes from another plugin.
    #[doc(hidden)]
    pub fn of_parts(code: String, message: String, retryable: Option<bool>, details: Option<&str>) -> Self {
        let details = details.and_then(|details| serde_json::from_str(details).ok()).unwrap_or_default();
        Self(Box::new(Parts { code, message, retryable, details }))
    }

    /// The author of the flow has to change a property; another attempt cannot help.
    pub fn bad_property(message: impl Into<String>) -> Self {
        Self::new(BAD_PROPERTY, message).retryable(false)
    }

    /// Says whether another attempt may succeed.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = Some(retryable);
        self
    }

    /// Adds a detail that is kept with the attempt. A value that is no JSON is left out.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.details.insert(name.into(), value);
        }
        self
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The sentence for a person.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether another attempt may succeed, where the plugin knows.
    pub fn is_retryable(&self) -> Option<bool> {
        self.0.retryable
    }

    /// The details.
    pub fn details(&self) -> &Map<String, Value> {
        &self.0.details
    }

    /// The details as they cross the border.
    #[doc(hidden)]
    pub fn details_json(&self) -> Option<String> {
        if self.0.details.is_empty() { None } else { Some(Value::Object(self.0.details.clone()).to_string()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // A failure that travelled through `Read` or `Write` comes out as it went in.
        match error.downcast::<Self>() {
            Ok(failure) => failure,
            Err(error) => Self::new("IO", error.to_string()),
        }
    }
}

impl From<Failure> for std::io::Error {
    fn from(failure: Failure) -> Self {
        Self::other(failure)
    }
}
