//! Amazon Ion in its text form: writes values, reads what Kestra's files hold. Bounded in depth; exact in numbers.
mod parse;

use std::fmt::Write;

pub(crate) use parse::{parse_first, parse_rows};

use crate::error::Error;
use crate::json;
use crate::number::Kind;
use crate::time::Time;
use crate::value::Value;

impl Value {
    /// The first value of an Ion text, null where there is none. An error says what and where.
    pub fn parse_ion(text: &str) -> Result<Value, String> {
        parse_first(text).map_err(|error| error.to_string())
    }
}

/// Writes a value as Ion text.
pub(crate) fn write(out: &mut String, value: &Value) -> Result<(), Error> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => push(out, value),
        Value::Float(value) => out.push_str(&float_text(*value)),
        Value::Number(number) => match number.kind() {
            Kind::Float32 => out.push_str(&float_text(number.as_f64())),
            Kind::BigDecimal => out.push_str(&decimal_text(number.as_str())),
            Kind::Long | Kind::BigInteger => out.push_str(number.as_str()),
        },
        Value::Text(text) => write_text(out, &text.reveal()?, '"'),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(out, item)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write_symbol(out, key);
                out.push(':');
                write(out, item)?;
            }
            out.push('}');
        }
        Value::Time(time) => match time.as_ref() {
            Time::Zoned(_) | Time::Instant(_) | Time::Date(_) => out.push_str(&time.to_json_text()),
            Time::Local(_) | Time::Clock(_) | Time::Duration(_) => write_text(out, &time.to_json_text(), '"'),
        },
    }
    Ok(())
}

/// A float has an exponent, which tells it from a decimal: `12.5e0`, `10e0`, `1.0E10`.
fn float_text(value: f64) -> String {
    let text = json::float_text(value);
    match text.strip_suffix(".0") {
        Some(whole) => format!("{whole}e0"),
        None if text.contains('E') => text,
        None => format!("{text}e0"),
    }
}

/// A decimal has a point or `d`, which tells it from an integer.
fn decimal_text(text: &str) -> String {
    let text = text.to_ascii_lowercase().replace('e', "d");
    if text.contains(['.', 'd']) { text } else { text + "." }
}

fn push(out: &mut String, item: impl std::fmt::Display) {
    write!(out, "{item}").expect("writing to a string does not fail");
}

fn write_symbol(out: &mut String, name: &str) {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '$');
    let bare = first && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    match bare && !matches!(name, "null" | "true" | "false" | "nan") {
        true => out.push_str(name),
        false => write_text(out, name, '\''),
    }
}

fn write_text(out: &mut String, text: &str, quote: char) {
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => push(out, format_args!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_errors_say_where() {
        assert_eq!(Value::parse_ion("{a: 1}"), Ok(Value::map([("a", Value::Int(1))])));
        assert_eq!(Value::parse_ion(" "), Ok(Value::Null));
        assert_eq!(Value::parse_ion("[1 2]"), Err("expected `,` or `]` at character 3 of the Ion text".into()));
        assert_eq!(parse_rows("1 2", 2).unwrap().len(), 2);
        assert_eq!(
            parse_rows("1 2 3", 2).unwrap_err().to_string(),
            "more than 2 values at character 5 of the Ion text"
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| Value::parse_ion(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert!(nested(257).is_ok());
        assert!(nested(258).is_err_and(|error| error.contains("nested more than 256 deep")));
        assert!(Value::parse_ion(&format!("{}1{}", "{a:".repeat(257), "}".repeat(257))).is_err());
    }
}
