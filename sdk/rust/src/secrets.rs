//! Secrets a plugin uses without ever holding them.

use serde_json::Value;

use crate::{Failure, host};

/// A placeholder for the secret `name`, worth nothing by itself: the host puts the value in its place when a request leaves for a
/// host the secret may go to.
pub fn handle(name: &str) -> Result<String, Failure> {
    Ok(host::secret_handle(name)?)
}

/// Signs `data` with the secret `name`. `algorithm` is `hmac-sha256`, `aws-sigv4`, `rs256` or `es256`; `parameters` is a JSON
/// object of what it needs.
pub fn sign(name: &str, algorithm: &str, parameters: &Value, data: &[u8]) -> Result<Vec<u8>, Failure> {
    Ok(host::secret_sign(name, algorithm, &parameters.to_string(), data)?)
}

/// A field of a structured secret that is not itself secret, by JSON pointer.
pub fn field(name: &str, pointer: &str) -> Result<Value, Failure> {
    let text = host::secret_field(name, pointer)?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::new("HOST", format!("field `{pointer}` of secret `{name}` is no JSON: {error}")))
}
