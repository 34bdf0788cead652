//! Keys as secrets have them: PEM, alone or in a document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runtime::HostError;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// The bytes of a PKCS#8 key. Line ends that were escaped on their way through an environment are taken as line ends.
pub(super) fn pkcs8(pem: &str) -> Option<Vec<u8>> {
    let pem = pem.replace("\\n", "\n");
    let (_, rest) = pem.split_once(BEGIN)?;
    let (inside, _) = rest.split_once(END)?;
    let inside: String = inside.chars().filter(|letter| !letter.is_whitespace()).collect();
    STANDARD.decode(inside).ok()
}

/// The document a structured secret is.
pub(super) fn document(value: &str) -> Option<serde_json::Value> {
    serde_json::from_str(value).ok().filter(serde_json::Value::is_object)
}

pub(super) fn no_document(name: &str) -> HostError {
    HostError::bad_argument(format!("secret `{name}` is no JSON object, so it has no fields"))
}

/// A key that cannot sign. `why` is never a part of it.
pub(super) fn unfit(name: &str, wanted: &str, why: &str) -> HostError {
    HostError::bad_argument(format!(
        "secret `{name}` is not {wanted}: {why}; hint: `openssl pkcs8 -topk8 -nocrypt` makes one of another PEM, and `pointer` names the \
         key within a JSON document"
    ))
}
