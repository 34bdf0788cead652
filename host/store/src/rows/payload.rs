//! Text that the store keeps for others without reading it, with the version of its format.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// JSON of somebody else's type, with the version that its owner upcasts from when reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The format, numbered by the owner of the type.
    pub version: u16,
    /// JSON.
    pub json: Arc<str>,
}

/// A payload that is not what its reader expects, or cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("payload of version {version} is not a `{wanted}`: {source}")]
pub struct PayloadError {
    /// The version of the payload.
    pub version: u16,
    /// The type that was asked for.
    pub wanted: &'static str,
    /// What serde says.
    pub source: serde_json::Error,
}

impl Payload {
    /// No content.
    pub fn empty() -> Self {
        Self { version: 0, json: Arc::from("null") }
    }

    /// Writes a value.
    pub fn of<T: Serialize + ?Sized>(version: u16, value: &T) -> Result<Self, PayloadError> {
        match serde_json::to_string(value) {
            Ok(json) => Ok(Self { version, json: json.into() }),
            Err(source) => Err(PayloadError { version, wanted: std::any::type_name::<T>(), source }),
        }
    }

    /// Reads it as the present format. Who has older versions looks at `version` first.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        serde_json::from_str(&self.json).map_err(|source| PayloadError {
            version: self.version,
            wanted: std::any::type_name::<T>(),
            source,
        })
    }
}
