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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_from_and_to_parsed_json() {
        let text = r#"{"a":[null,true,-5,1.5,"x"],"b":{}}"#;
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        let value = Value::from_json(&json).unwrap();
        assert_eq!(value, Value::parse_json(text).unwrap());
        assert_eq!((value.to_json(), value.to_json_revealed().unwrap()), (json.clone(), json));
        let large: serde_json::Value = serde_json::from_str("18446744073709551615").unwrap();
        let number = |kind, text: &str| Value::Number(Number::new(kind, text).unwrap());
        assert_eq!(Value::from_json(&large), Some(number(Kind::BigInteger, "18446744073709551615")));
        for (value, wanted) in [
            (number(Kind::Long, "7"), serde_json::json!(7)),
            (number(Kind::BigInteger, "-7"), serde_json::json!(-7)),
            (number(Kind::BigInteger, "18446744073709551615"), serde_json::json!("18446744073709551615")),
            (number(Kind::BigDecimal, "1.50"), serde_json::json!("1.50")),
            (number(Kind::Float32, "0.1"), serde_json::json!(0.1)),
            (Value::Float(f64::NAN), serde_json::json!(null)),
            (
                Value::time(crate::time::Time::from_stored("date", "2024-01-02").unwrap()),
                serde_json::json!("2024-01-02"),
            ),
        ] {
            assert_eq!(value.to_json(), wanted, "{value:?}");
        }
    }

    #[test]
    fn secrets_show_only_where_revealed() {
        let value = Value::list([crate::text::Text::secret("S", "v").into(), Value::Int(1)]);
        assert_eq!(
            (value.to_json(), value.to_string().as_str()),
            (serde_json::json!(["******", 1]), r#"["******",1]"#)
        );
        assert_eq!(value.to_json_revealed().unwrap(), serde_json::json!(["v", 1]));
        assert_eq!(value.to_json_text_revealed().unwrap(), r#"["v",1]"#);
    }

    #[test]
    fn values_print_as_expressions_do() {
        let time = crate::time::Time::from_stored("local", "2024-01-02T03:04:00").unwrap();
        for (value, wanted) in [
            (Value::Null, ""),
            ("a\"b".into(), "a\"b"),
            (Value::time(time.clone()), "2024-01-02T03:04"),
            (Value::Float(1e7), "1.0E7"),
            (Value::list([Value::Null, "a".into(), Value::time(time)]), r#"[null,"a","2024-01-02T03:04"]"#),
            (Value::from(true), "true"),
        ] {
            assert_eq!(value.to_string(), wanted);
        }
    }
}
