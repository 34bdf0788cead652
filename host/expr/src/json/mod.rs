//! JSON in and out, and how values print. Order is kept, integers of any size are exact, NaN is refused.
//! Never writes a secret in clear unless the function says `revealed`.
mod parse;
mod write;

use std::fmt;
use std::sync::Arc;

pub use parse::{JsonError, parse};
pub(crate) use write::{float_text, write_string, write_value};

use crate::error::Error;
use crate::number::{Kind, Number};
use crate::value::{Map, Value};

/// Which text a secret shows as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secrets {
    Masked,
    Revealed,
}

impl Value {
    /// From parsed JSON. `None` for a number that is not finite. (`serde_json` reads integers above 64 bits as floats:
    /// use `parse_json` where the text is at hand.)
    pub fn from_json(json: &serde_json::Value) -> Option<Value> {
        Some(match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => from_json_number(number)?,
            serde_json::Value::String(text) => Value::text(text.as_str()),
            serde_json::Value::Array(items) => {
                Value::List(Arc::new(items.iter().map(Value::from_json).collect::<Option<_>>()?))
            }
            serde_json::Value::Object(entries) => Value::Map(Arc::new(
                entries
                    .iter()
                    .map(|(key, item)| Some((Arc::from(key.as_str()), Value::from_json(item)?)))
                    .collect::<Option<Map>>()?,
            )),
        })
    }

    /// From JSON text, exactly.
    pub fn parse_json(text: &str) -> Result<Value, JsonError> {
        parse(text)
    }

    /// JSON with secrets masked. Numbers beyond 64 bits become text.
    pub fn to_json(&self) -> serde_json::Value {
        let masked = self.convert(&|text| Ok(text.masked().into_owned()));
        masked.expect("masking does not fail")
    }

    /// JSON with secrets in clear.
    pub fn to_json_revealed(&self) -> Result<serde_json::Value, Error> {
        self.convert(&|text| text.reveal().map(|text| text.into_owned()))
    }

    fn convert(&self, show: &dyn Fn(&crate::text::Text) -> Result<String, Error>) -> Result<serde_json::Value, Error> {
        use serde_json::Value as Json;
        Ok(match self {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => Json::from(*value),
            Value::Float(value) => serde_json::Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Value::Number(number) => number_to_json(number),
            Value::Text(text) => Json::String(show(text)?),
            Value::List(items) => Json::Array(items.iter().map(|item| item.convert(show)).collect::<Result<_, _>>()?),
            Value::Map(map) => Json::Object(
                map.iter()
                    .map(|(key, item)| Ok((key.to_string(), item.convert(show)?)))
                    .collect::<Result<_, Error>>()?,
            ),
            Value::Time(time) => Json::String(time.to_string()),
        })
    }

    /// JSON text with secrets in clear, as `toJson` writes it.
    pub fn to_json_text_revealed(&self) -> Result<String, Error> {
        let mut out = String::new();
        write_value(&mut out, self, Secrets::Revealed)?;
        Ok(out)
    }
}

fn from_json_number(number: &serde_json::Number) -> Option<Value> {
    if let Some(value) = number.as_i64() {
        return Some(Value::Int(value));
    }
    if number.is_u64() {
        return Number::new(Kind::BigInteger, &number.to_string()).map(Value::Number);
    }
    number.as_f64().and_then(Value::float)
}

fn number_to_json(number: &Number) -> serde_json::Value {
    match (number.kind(), number.as_i64()) {
        (_, Some(value)) => value.into(),
        // The shortest text of a 32-bit float read as a 64-bit one keeps the digits people wrote.
        (Kind::Float32, _) => number.as_str().parse::<f64>().map_or(serde_json::Value::Null, Into::into),
        (Kind::Long | Kind::BigInteger | Kind::BigDecimal, _) => number.as_str().into(),
    }
}

/// As an expression prints it: text as it is, lists and maps as JSON, null as nothing; secrets masked.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => Ok(()),
            Value::Text(text) => text.fmt(f),
            Value::Time(time) => time.fmt(f),
            other => {
                let mut out = String::new();
                write_value(&mut out, other, Secrets::Masked).map_err(|_| fmt::Error)?;
                f.write_str(&out)
            }
        }
    }
}
