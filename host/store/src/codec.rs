//! The stored form of a row: kind, format, JSON. What the journal, the index and exports hold.
//!
//! A stored kind and format never change their meaning. When a row type changes, its format grows by one and
//! `upcast` learns to bring the older one up; a newer one than this program knows is refused in words.

use crate::error::Error;
use crate::rows::{Kind, Row};

/// Bytes before the JSON: kind, and format in two bytes.
const HEAD: usize = 3;

/// Appends the stored form of a row to `out`.
pub fn encode_row(row: &Row, out: &mut Vec<u8>) -> Result<(), Error> {
    let kind = row.kind();
    out.push(kind.code());
    out.extend_from_slice(&kind.format().to_be_bytes());
    let wrong = |source| Error::Misuse(format!("`{}` cannot be stored: {source}", row.key()));
    row.write_json(out).map_err(wrong)
}

/// The row of a stored form.
pub fn decode_row(bytes: &[u8]) -> Result<Row, Error> {
    let corrupt = |what: String| Error::Corrupt { what };
    let Some((&[code, high, low], json)) = bytes.split_first_chunk::<HEAD>() else {
        return Err(corrupt(format!("a stored row of {} bytes", bytes.len())));
    };
    let kind = Kind::from_code(code).ok_or_else(|| corrupt(format!("a stored row of unknown kind {code}")))?;
    let (found, known) = (u16::from_be_bytes([high, low]), kind.format());
    if found > known {
        return Err(Error::Newer { kind, found, known });
    }
    if found == known {
        return Row::from_json(kind, json).map_err(|error| corrupt(format!("a stored `{kind:?}`: {error}")));
    }
    // No kind has an older format yet: the first that gets one adds its step here.
    Err(corrupt(format!("a stored `{kind:?}` of format {found}, which never was")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::samples::*;
    use crate::rows::*;

    #[test]
    fn rows_survive_their_stored_form() {
        let mut full = execution("x", &flow_key("a", "f"), 5, model::state::State::Failed);
        full.record.inputs.insert("big".into(), expr::Value::Int(i64::MAX));
        full.record.outputs.insert("float".into(), expr::Value::Float(0.1));
        let rows: Vec<Row> = vec![
            full.into(),
            flow("a", "f", 1).into(),
            metric("x", "m", 1.0 / 3.0).into(),
            Message::new(MessageKey { to: to("x"), unique: "u".into() }, at(0), Payload::empty()).into(),
            unique(UniqueName::Slot(flow_key("a", "f"), 3), "x").into(),
            line(Target::Service("kv".into()), 1, model::task::LogLevel::Warn, "é\n\u{0}").into(),
        ];
        for row in rows {
            let mut bytes = Vec::new();
            encode_row(&row, &mut bytes).unwrap();
            assert_eq!(decode_row(&bytes).unwrap(), row);
        }
    }

    #[test]
    fn newer_format_is_refused_in_words() {
        let mut bytes = Vec::new();
        encode_row(&setting("s").into(), &mut bytes).unwrap();
        bytes[2] += 1;
        let error = decode_row(&bytes).unwrap_err();
        assert!(matches!(error, Error::Newer { kind: Kind::Setting, found: 2, known: 1 }), "{error}");
        assert!(error.to_string().contains("hint:"));
    }

    #[test]
    fn damage_is_an_error() {
        for bytes in [&b""[..], &[19, 0], &[99, 0, 1], &[19, 0, 1, b'{'], &[19, 0, 0, b'{', b'}']] {
            assert!(matches!(decode_row(bytes), Err(Error::Corrupt { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn kinds_have_numbers_of_their_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(*kind));
            assert!(kind.code() < 64, "64 and above are index entries");
        }
    }
}
