//! Dates of properties, as the host reads them: a moment with its zone.

use sluice_sdk::prelude::*;

/// A moment as RFC 3339. The name of a zone behind it, as `[Europe/Paris]`, is left out: the offset says it all.
pub fn moment(property: &str, text: &str) -> Result<String, Failure> {
    let text = text.trim().split('[').next().unwrap_or_default().trim();
    let shape = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T' || byte == b't' || byte == b' ',
        13 => byte == b':',
        0..=15 => byte.is_ascii_digit(),
        _ => true,
    };
    let dated = text.len() > 16 && text.bytes().enumerate().all(shape);
    let rest = text.get(16..).unwrap_or_default();
    let zoned = rest.ends_with(['Z', 'z']) || rest.contains(['+', '-']);
    if !dated || !zoned {
        return Err(Failure::bad_property(format!(
            "property `{property}`: `{text}` is no moment with its zone, as `2024-05-01T12:00:00Z`"
        )));
    }
    Ok(text.to_owned())
}

/// A moment, where there is one.
pub fn moment_of(property: &str, text: &Option<String>) -> Result<Option<String>, Failure> {
    text.as_deref().filter(|text| !text.trim().is_empty()).map(|text| moment(property, text)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_a_zone() {
        for (text, expected) in [
            ("2024-05-01T12:00:00Z", Some("2024-05-01T12:00:00Z")),
            (" 2024-05-01T12:00:00.123+02:00[Europe/Paris] ", Some("2024-05-01T12:00:00.123+02:00")),
            ("2024-05-01T12:00:00", None),
            ("2024-05-01", None),
            ("yesterday at noon, Z", None),
            ("", None),
        ] {
            assert_eq!(moment("at", text).ok().as_deref(), expected, "{text}");
        }
    }
}
