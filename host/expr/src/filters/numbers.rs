//! Filters on numbers, and the names Java has for types.
use super::number_format::{self, Given};
use super::wrong_input;
use crate::error::Error;
use crate::eval::ops::is_number;
use crate::eval::print::string_of;
use crate::eval::{Args, Evaluator};
use crate::number::{Kind, Number};
use crate::parse::ast::Binary;
use crate::time::Time;
use crate::value::Value;

pub(super) fn abs(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    if !is_number(input) {
        return Err(wrong_input(args, "a number", input));
    }
    match input.as_f64().is_some_and(|number| number < 0.0) {
        true => evaluator.arithmetic(Binary::Multiply, &Value::Int(-1), input),
        false => Ok(input.clone()),
    }
}

/// Text to a number: of the type that is named, or of the narrowest that holds it.
pub(super) fn number(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let text = match input {
        Value::Text(_) => string_of(input)?,
        number if is_number(number) => {
            return Err(Error::invalid_hint("filter `number` needs text, found a number", "leave the filter out"));
        }
        other => return Err(wrong_input(args, "text", other)),
    };
    let kind = args.optional_text(0)?.unwrap_or_default().to_ascii_uppercase();
    let tagged = |kind| Number::new(kind, &text).map(Value::Number);
    let number = match kind.as_str() {
        "" => narrowest(&text),
        "INT" => text.parse::<i32>().ok().map(Value::from),
        "LONG" => match text.parse::<i64>() {
            Ok(value) if i32::try_from(value).is_err() => Some(Value::Int(value)),
            Ok(_) => tagged(Kind::Long),
            Err(_) => None,
        },
        "FLOAT" => tagged(Kind::Float32),
        "DOUBLE" => Number::new(Kind::BigDecimal, &text).and_then(|_| text.parse().ok()).and_then(Value::float),
        "BIGDECIMAL" => tagged(Kind::BigDecimal),
        "BIGINTEGER" => tagged(Kind::BigInteger),
        other => {
            let hint = "use INT, LONG, FLOAT, DOUBLE, BIGDECIMAL or BIGINTEGER";
            return Err(Error::invalid_hint(format!("`number` knows no type `{other}`"), hint));
        }
    };
    // The text may be a secret: the message does not show it.
    number.ok_or_else(|| match kind.as_str() {
        "" => Error::invalid("the input of `number` is no number"),
        kind => Error::invalid(format!("the input of `number` is no {kind}")),
    })
}

fn narrowest(text: &str) -> Option<Value> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok().map(Value::Int);
    }
    if let Ok(value) = text.parse() {
        return Some(Value::Int(value));
    }
    if let Some(integer) = Number::new(Kind::BigInteger, text) {
        return Some(Value::Number(integer));
    }
    let decimal = Number::new(Kind::BigDecimal, text)?;
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    let digits = text.split_once('.').map_or(0, |(_, part)| part.len());
    // As Java does it: few digits make a float, more a double, too many a decimal; but never one that loses digits.
    match Number::new(Kind::Float32, text) {
        Some(float) if digits <= 7 && format!("{}", value as f32) == format!("{value}") => Some(Value::Number(float)),
        _ if digits <= 16 => Value::float(value),
        _ => Some(Value::Number(decimal)),
    }
}

/// The name of the Java class that Kestra would have here.
pub(super) fn class_name(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    let name = match input {
        Value::Null => return Ok(Value::Null),
        Value::Bool(_) => "java.lang.Boolean",
        Value::Int(value) if i32::try_from(*value).is_ok() => "java.lang.Integer",
        Value::Int(_) => "java.lang.Long",
        Value::Float(_) => "java.lang.Double",
        Value::Number(number) => match number.kind() {
            Kind::Long => "java.lang.Long",
            Kind::Float32 => "java.lang.Float",
            Kind::BigInteger => "java.math.BigInteger",
            Kind::BigDecimal => "java.math.BigDecimal",
        },
        Value::Text(_) => "java.lang.String",
        Value::List(_) => "java.util.ArrayList",
        Value::Map(_) => "java.util.LinkedHashMap",
        Value::Time(time) => match time.as_ref() {
            Time::Zoned(_) => "java.time.ZonedDateTime",
            Time::Instant(_) => "java.time.Instant",
            Time::Local(_) => "java.time.LocalDateTime",
            Time::Date(_) => "java.time.LocalDate",
            Time::Clock(_) => "java.time.LocalTime",
            Time::Duration(_) => "java.time.Duration",
        },
    };
    Ok(name.into())
}

pub(super) fn number_format(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    if !is_number(input) {
        return Err(wrong_input(args, "a number", input));
    }
    let pattern = args.optional_text(0)?.unwrap_or("#,##0.###".into());
    let text = string_of(input)?;
    let given = match input {
        Value::Float(value) => Given::Float(*value),
        Value::Number(number) if number.kind() == Kind::Float32 => Given::Float(number.as_f64()),
        _ => Given::Exact(&text),
    };
    number_format::format(&pattern, &given).map(Value::from)
}
