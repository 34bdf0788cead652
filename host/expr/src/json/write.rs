//! Writes values as JSON text. Numbers look as Java writes them: `10.0`, `1.0E10`.
use std::fmt::Write;

use super::Secrets;
use crate::error::Error;
use crate::number::Kind;
use crate::value::Value;

pub(crate) fn write_value(out: &mut String, value: &Value, secrets: Secrets) -> Result<(), Error> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => push(out, value),
        Value::Float(value) => out.push_str(&float_text(*value)),
        Value::Number(number) => match number.kind() {
            Kind::Float32 => out.push_str(&float32_text(number.as_str())),
            Kind::Long | Kind::BigInteger | Kind::BigDecimal => out.push_str(number.as_str()),
        },
        Value::Text(text) => match secrets {
            Secrets::Masked => write_string(out, &text.masked()),
            Secrets::Revealed => write_string(out, &text.reveal()?),
        },
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, item, secrets)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write_value(out, item, secrets)?;
            }
            out.push('}');
        }
        Value::Time(time) => write_string(out, &time.to_string()),
    }
    Ok(())
}

fn push(out: &mut String, item: impl std::fmt::Display) {
    write!(out, "{item}").expect("writing to a string does not fail");
}

/// A JSON string literal; other than control characters, quote and backslash nothing is escaped.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => push(out, format_args!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// As `Double.toString`: at least one digit after the point, an exponent below 1e-3 and from 1e7 on.
pub(crate) fn float_text(value: f64) -> String {
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return format!("{value:?}");
    }
    with_exponent(format!("{value:e}"))
}

fn float32_text(text: &str) -> String {
    let value = text.parse::<f32>().unwrap_or(0.0);
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return format!("{value:?}");
    }
    with_exponent(format!("{value:e}"))
}

fn with_exponent(text: String) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => format!("{mantissa}E{exponent}"),
        Some((mantissa, exponent)) => format!("{mantissa}.0E{exponent}"),
        None => text,
    }
}
