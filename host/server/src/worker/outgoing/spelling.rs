//! How a value is written where its placeholder stood, so that it stays one value there.

use std::fmt::Write as _;

/// In a query or a form: everything but letters, digits and `-._~`.
pub(crate) fn query(value: &str) -> String {
    percent(value, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// In a path: what segments may have stays, and so do the slashes between them. Never a query, a fragment or an escape.
pub(crate) fn path(value: &str) -> String {
    percent(value, |byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte))
}

/// Within the quotes of a JSON text.
pub(crate) fn json(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

fn percent(value: &str, stays: impl Fn(u8) -> bool) -> String {
    value.bytes().fold(String::with_capacity(value.len()), |mut text, byte| {
        if stays(byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_one_value() {
        assert_eq!(query("a&b=c d/é%?#"), "a%26b%3Dc%20d%2F%C3%A9%25%3F%23");
        assert_eq!(path("T0/B:1?x#y%2e"), "T0/B:1%3Fx%23y%252e");
        assert_eq!(json("a\"b\\\n"), "a\\\"b\\\\\\n");
    }
}
