//! What operators do to values: equality, order, arithmetic, containment. Numbers of different types compare by value;
//! text and numbers never do; integer results are exact or an error, never wrapped.
use std::cmp::Ordering;

use super::decimal;
use crate::error::Error;
use crate::json::float_text;
use crate::number::{Kind, Number};
use crate::parse::ast::Binary;
use crate::text::{Origin, Span};
use crate::value::Value;

/// What `if`, `and`, `or`, `not` and `?` make of a value: numbers but zero and text but the empty one are true, even
/// the text `false`. (`Value::truthy` is what flow properties such as `runIf` make of rendered text.)
pub(crate) fn is_true(value: &Value) -> Result<bool, Error> {
    Ok(match value {
        Value::Bool(value) => *value,
        Value::Text(_) if secret_number(value).is_some_and(|number| !number.truthy()) => false,
        Value::Text(text) => !text.masked().is_empty(),
        other => other.truthy(),
    })
}

/// The language's `==`.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool, Error> {
    if secret_number(a).is_some() != secret_number(b).is_some() {
        let (x, y) = (numeric_secret(a, b), numeric_secret(b, a));
        if is_number(&x) && is_number(&y) {
            return Ok(compare_numbers(&x, &y) == Ordering::Equal);
        }
    }
    Ok(match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => a.reveal()? == b.reveal()?,
        (Value::List(a), Value::List(b)) => a.len() == b.len() && all_equal(a.iter().zip(b.iter()))?,
        (Value::Map(a), Value::Map(b)) => {
            let pairs = a.iter().map_while(|(key, value)| b.get(key).map(|other| (value, other)));
            a.len() == b.len() && a.keys().all(|key| b.contains_key(key)) && all_equal(pairs)?
        }
        (Value::Time(a), Value::Time(b)) => a == b,
        _ => match (is_number(a), is_number(b)) {
            (true, true) => compare_numbers(a, b) == Ordering::Equal,
            _ => false,
        },
    })
}

fn all_equal<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Result<bool, Error> {
    for (a, b) in pairs {
        if !equal(a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(crate) fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Float(_) | Value::Number(_))
}

/// The order of two values that have one; null compares as false with everything, which is `None`.
pub(crate) fn compare(a: &Value, b: &Value) -> Result<Option<Ordering>, Error> {
    let (a, b) = (&numeric_secret(a, b), &numeric_secret(b, a));
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => Ok(None),
        (Value::Text(a), Value::Text(b)) => Ok(Some(utf16_order(&a.reveal()?, &b.reveal()?))),
        (Value::Time(x), Value::Time(y)) => x
            .compare(y)
            .map(Some)
            .ok_or_else(|| Error::invalid(format!("cannot compare {} with {}", a.kind(), b.kind()))),
        _ if is_number(a) && is_number(b) => Ok(Some(compare_numbers(a, b))),
        _ => Err(Error::invalid_hint(
            format!("cannot compare {} with {}", a.kind(), b.kind()),
            "make both sides numbers with `| number`, or both text",
        )),
    }
}

/// Java compares text by UTF-16 unit, which differs from UTF-8 order beyond the basic plane.
fn utf16_order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// Operations whose results are numbers. Made of a secret, such a number is kept as secret text.
const NUMERIC: [&str; 8] = [
    "filter:number",
    "filter:abs",
    "filter:length",
    "filter:timestamp",
    "filter:timestampMilli",
    "filter:timestampMicro",
    "filter:timestampNano",
    "function:max",
];

/// The number that secret text stands for, if it was a number before it became a secret.
pub(crate) fn secret_number(value: &Value) -> Option<Value> {
    let Value::Text(text) = value else { return None };
    let mut spans = text.spans();
    let (Some(span), None) = (spans.next(), spans.next()) else { return None };
    let Span::Secret(secret) = span.as_ref() else { return None };
    match secret.origin() {
        Origin::Derived(recipe)
            if NUMERIC.contains(&recipe.operation.as_ref()) || recipe.operation.starts_with("operator:") =>
        {
            parse_number(secret.value()?.trim())
        }
        _ => None,
    }
}

/// Secret numbers count as numbers next to numbers.
fn numeric_secret(value: &Value, other: &Value) -> Value {
    let other_is_number = is_number(other) || secret_number(other).is_some();
    match other_is_number {
        true => secret_number(value).unwrap_or_else(|| value.clone()),
        false => value.clone(),
    }
}

/// A decimal number in its narrowest exact type.
pub(crate) fn parse_number(text: &str) -> Option<Value> {
    if let Ok(value) = text.parse() {
        return Some(Value::Int(value));
    }
    if let Some(number) = Number::new(Kind::BigInteger, text) {
        return Some(Value::Number(number));
    }
    Number::new(Kind::BigDecimal, text)?;
    text.parse().ok().and_then(Value::float)
}

fn compare_numbers(a: &Value, b: &Value) -> Ordering {
    if let (Value::Int(a), Value::Int(b)) = (a, b) {
        return a.cmp(b);
    }
    if let (Value::Float(a), Value::Float(b)) = (a, b) {
        return a.total_cmp(b);
    }
    Decimal::of(a).compare(&Decimal::of(b))
}

/// A decimal number taken apart for exact comparison: sign, digits without leading or trailing zeros, and the power of
/// ten of the first digit.
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(value: &Value) -> Decimal {
        let text = match value {
            Value::Int(value) => value.to_string(),
            Value::Float(value) => format!("{value:e}"),
            Value::Number(number) => number.as_str().to_owned(),
            _ => String::new(),
        };
        let lower = text.to_ascii_lowercase();
        let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
        let negative = mantissa.starts_with('-');
        let mantissa = mantissa.trim_start_matches(['-', '+']);
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{part}");
        let leading = all.len() - all.trim_start_matches('0').len();
        let digits = all.trim_matches('0').to_owned();
        let exponent = exponent.parse::<i64>().unwrap_or(0).saturating_add(whole.len() as i64 - leading as i64);
        match digits.is_empty() {
            true => Decimal { negative: false, digits, exponent: 0 },
            false => Decimal { negative, digits, exponent },
        }
    }

    fn compare(&self, other: &Decimal) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }

    fn magnitude(&self, other: &Decimal) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Both without trailing zeros: the longer of two with a common start is the larger.
            _ => self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

/// `+ - * / %` on numbers.
pub(crate) fn arithmetic(operator: Binary, a: &Value, b: &Value) -> Result<Value, Error> {
    let (a, b) = (&numeric_secret(a, b), &numeric_secret(b, a));
    if !is_number(a) || !is_number(b) {
        return Err(Error::invalid_hint(
            format!("`{}` needs numbers, found {} and {}", symbol(operator), a.kind(), b.kind()),
            "make numbers of text with `| number`; join text with `~`",
        ));
    }
    let kind = |value: &Value| match value {
        Value::Number(number) => Some(number.kind()),
        _ => None,
    };
    let is_float = |value: &Value| matches!(value, Value::Float(_));
    let kinds = [kind(a), kind(b)];
    if kinds.contains(&Some(Kind::BigDecimal)) {
        let (a, b) = (approximate(a), approximate(b));
        let text = match decimal::calculate(operator, a, b) {
            Some(text) => text,
            None => float_text(floats(operator, a, b)?),
        };
        return Number::new(Kind::BigDecimal, &text).map(Value::Number).ok_or_else(no_number);
    }
    if is_float(a) || is_float(b) {
        return Value::float(floats(operator, approximate(a), approximate(b))?).ok_or_else(no_number);
    }
    if kinds.contains(&Some(Kind::Float32)) {
        let result = floats(operator, approximate(a), approximate(b))? as f32;
        return Number::new(Kind::Float32, &format!("{result:?}")).map(Value::Number).ok_or_else(no_number);
    }
    integers(operator, integer(a)?, integer(b)?)
}

fn approximate(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn no_number() -> Error {
    Error::invalid("the result is no finite number")
}

fn floats(operator: Binary, a: f64, b: f64) -> Result<f64, Error> {
    let result = match operator {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        _ => a % b,
    };
    if result.is_finite() { Ok(result) } else { Err(no_number()) }
}

fn integer(value: &Value) -> Result<i128, Error> {
    match value {
        Value::Int(value) => Ok((*value).into()),
        Value::Number(number) => {
            number.as_str().parse().map_err(|_| Error::invalid(format!("`{number}` is too large to compute with")))
        }
        _ => Err(no_number()),
    }
}

fn integers(operator: Binary, a: i128, b: i128) -> Result<Value, Error> {
    if b == 0 && matches!(operator, Binary::Divide | Binary::Remainder) {
        return Err(Error::invalid("division by zero"));
    }
    let result = match operator {
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        Binary::Multiply => a.checked_mul(b),
        Binary::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    let result = result.ok_or_else(|| Error::invalid("the result is too large to compute with"))?;
    Ok(match i64::try_from(result) {
        Ok(value) => Value::Int(value),
        Err(_) => Number::new(Kind::BigInteger, &result.to_string()).map_or(Value::Null, Value::Number),
    })
}

pub(crate) fn symbol(operator: Binary) -> &'static str {
    match operator {
        Binary::Or => "or",
        Binary::And => "and",
        Binary::Contains => "contains",
        Binary::IsIn => "isIn",
        Binary::IsNotIn => "isNotIn",
        Binary::Equal => "==",
        Binary::NotEqual => "!=",
        Binary::Greater => ">",
        Binary::Less => "<",
        Binary::GreaterOrEqual => ">=",
        Binary::LessOrEqual => "<=",
        Binary::Add => "+",
        Binary::Subtract => "-",
        Binary::Multiply => "*",
        Binary::Divide => "/",
        Binary::Remainder => "%",
        Binary::Concat => "~",
        Binary::Range => "..",
        Binary::Coalesce => "??",
        Binary::CoalesceUndefined => "???",
    }
}
