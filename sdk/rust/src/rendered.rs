//! Rendered properties into typed ones. An expression often yields text where a property is a number, a boolean or a list, and the
//! other way round; whatever can be read without guessing is. It never changes a value whose type already fits.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use crate::Failure;

/// Reads rendered properties.
pub fn from_rendered<T: DeserializeOwned>(properties: Value) -> Result<T, Failure> {
    T::deserialize(Rendered(properties)).map_err(|error| Failure::bad_property(error.to_string()))
}

/// What is wrong, and with which property.
// In a box, for the same reason as `Failure`.
#[derive(Debug)]
struct Error(Box<Problem>);

#[derive(Debug)]
struct Problem {
    path: String,
    message: String,
}

impl Error {
    fn inside(mut self, name: &str) -> Self {
        let path = &mut self.0.path;
        let separator = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        path.insert_str(0, separator);
        path.insert_str(0, name);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { path, message } = &*self.0;
        if path.is_empty() { f.write_str(message) } else { write!(f, "property `{path}`: {message}") }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self(Box::new(Problem { path: String::new(), message: message.to_string() }))
    }

    // As serde's own, but without the code that prints a float, which is a tenth of a small component.
    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        // Names of Rust types mean nothing to whoever writes a flow.
        let expected = match expected.to_string() {
            name if matches!(name.as_str(), "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64") => {
                "a whole number that fits".to_owned()
            }
            name if name.starts_with("struct ") => "an object".to_owned(),
            name => name,
        };
        Self::custom(format_args!("{} is given, and {expected} is wanted", Found(found)))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

/// What was found, for a person.
struct Found<'a>(de::Unexpected<'a>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            de::Unexpected::Bool(flag) => write!(f, "`{flag}`"),
            de::Unexpected::Unsigned(number) => write!(f, "`{number}`"),
            de::Unexpected::Signed(number) => write!(f, "`{number}`"),
            de::Unexpected::Str(text) => write!(f, "the text `{text}`"),
            de::Unexpected::Float(_) => f.write_str("a fractional number"),
            de::Unexpected::Unit | de::Unexpected::Option => f.write_str("nothing"),
            de::Unexpected::Seq => f.write_str("a list"),
            de::Unexpected::Map => f.write_str("an object"),
            _ => f.write_str("something else"),
        }
    }
}

struct Rendered(Value);

impl Rendered {
    /// A number or a boolean written as text becomes one; anything else stays.
    fn scalar(self) -> Value {
        let Value::String(text) = &self.0 else {
            return self.0;
        };
        match serde_json::from_str::<Value>(text.trim()) {
            Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
            _ => self.0,
        }
    }

    /// A list or an object written as JSON text becomes one; anything else stays.
    fn structure(self) -> Value {
        let Value::String(text) = &self.0 else {
            return self.0;
        };
        match serde_json::from_str::<Value>(text) {
            Ok(value @ (Value::Array(_) | Value::Object(_))) => value,
            _ => self.0,
        }
    }

    /// A value printed as an expression prints it: text bare, anything else as JSON.
    fn text(self) -> Value {
        match self.0 {
            Value::Null | Value::String(_) => self.0,
            other => Value::String(other.to_string()),
        }
    }
}

fn mismatch(found: &Value, expected: &dyn de::Expected) -> Error {
    let found = match found {
        Value::Null => de::Unexpected::Unit,
        Value::Bool(flag) => de::Unexpected::Bool(*flag),
        Value::Number(number) => unexpected_number(number),
        Value::String(text) => de::Unexpected::Str(text),
        Value::Array(_) => de::Unexpected::Seq,
        Value::Object(_) => de::Unexpected::Map,
    };
    de::Error::invalid_type(found, expected)
}

fn unexpected_number(number: &Number) -> de::Unexpected<'static> {
    match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => de::Unexpected::Unsigned(number),
        (None, Some(number)) => de::Unexpected::Signed(number),
        (None, None) => de::Unexpected::Float(0.0),
    }
}

/// Hands over a value that holds no others. `Value`'s own reading is not used: a component would hold it once for each type.
fn visit_plain<'de, V: Visitor<'de>>(value: Value, visitor: V) -> Result<V::Value, Error> {
    match value {
        Value::Null => visitor.visit_unit(),
        Value::Bool(flag) => visitor.visit_bool(flag),
        Value::String(text) => visitor.visit_string(text),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => visitor.visit_u64(number),
            (None, Some(number), _) => visitor.visit_i64(number),
            (None, None, Some(number)) => visitor.visit_f64(number),
            (None, None, None) => Err(mismatch(&Value::Number(number), &visitor)),
        },
        Value::Array(_) | Value::Object(_) => Err(mismatch(&value, &visitor)),
    }
}

/// Says how each of these methods finds its kind of value; anything else is a mismatch. Apart for each kind, so that a component holds
/// of a visitor only what its type can be made of.
macro_rules! read_as {
    ($how:ident, $visit:ident: $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            $visit(self.$how(), visitor)
        }
    )*};
}

fn visit_bool<'de, V: Visitor<'de>>(value: Value, visitor: V) -> Result<V::Value, Error> {
    match value {
        Value::Bool(flag) => visitor.visit_bool(flag),
        other => Err(mismatch(&other, &visitor)),
    }
}

fn visit_integer<'de, V: Visitor<'de>>(value: Value, visitor: V) -> Result<V::Value, Error> {
    match (value.as_u64(), value.as_i64()) {
        (Some(number), _) => visitor.visit_u64(number),
        (None, Some(number)) => visitor.visit_i64(number),
        (None, None) => Err(mismatch(&value, &visitor)),
    }
}

fn visit_float<'de, V: Visitor<'de>>(value: Value, visitor: V) -> Result<V::Value, Error> {
    match value.as_f64() {
        Some(number) => visitor.visit_f64(number),
        None => Err(mismatch(&value, &visitor)),
    }
}

fn visit_text<'de, V: Visitor<'de>>(value: Value, visitor: V) -> Result<V::Value, Error> {
    match value {
        Value::String(text) => visitor.visit_string(text),
        other => Err(mismatch(&other, &visitor)),
    }
}

impl<'de> de::Deserializer<'de> for Rendered {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(Items(items.into_iter().enumerate())),
            Value::Object(entries) => visitor.visit_map(Entries { entries: entries.into_iter(), current: None }),
            other => visit_plain(other, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.structure() {
            Value::Array(items) => visitor.visit_seq(Items(items.into_iter().enumerate())),
            other => Err(mismatch(&other, &visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.structure() {
            Value::Object(entries) => visitor.visit_map(Entries { entries: entries.into_iter(), current: None }),
            other => Err(mismatch(&other, &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            Value::Object(entries) => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries { entries: entries.into_iter(), current: None }))
            }
            other => Err(mismatch(&other, &visitor)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    read_as! { scalar, visit_bool: deserialize_bool }
    read_as! { scalar, visit_integer:
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }
    read_as! { scalar, visit_float: deserialize_f32 deserialize_f64 }
    read_as! { text, visit_text:
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_identifier
    }

    serde::forward_to_deserialize_any! { unit unit_struct tuple tuple_struct }
}

struct Items(std::iter::Enumerate<std::vec::IntoIter<Value>>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, value)) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(Rendered(value)).map(Some).map_err(|error| error.inside(&format!("[{index}]")))
    }
}

struct Entries {
    entries: serde_json::map::IntoIter,
    current: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((name, value)) = self.entries.next() else {
            return Ok(None);
        };
        let key = seed.deserialize(Rendered(Value::String(name.clone())))?;
        self.current = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (name, value) = self.current.take().ok_or_else(|| <Error as de::Error>::custom("a value without a key"))?;
        seed.deserialize(Rendered(value)).map_err(|error| error.inside(&name))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        flag: bool,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        text: Option<String>,
        count: Option<u32>,
        inner: Option<Inner>,
        list: Option<Vec<i64>>,
        map: Option<BTreeMap<String, String>>,
        any: Option<Value>,
    }

    fn read(properties: Value) -> Result<Outer, String> {
        from_rendered(properties).map_err(|failure| failure.message().to_owned())
    }

    #[test]
    fn text_becomes_what_the_property_is() {
        let outer =
            read(json!({"count": " 7 ", "inner": {"flag": "true"}, "list": "[1, 2]", "map": "{\"a\": 1}"})).unwrap();
        assert_eq!(outer.count, Some(7));
        assert_eq!(outer.inner, Some(Inner { flag: true }));
        assert_eq!(outer.list, Some(vec![1, 2]));
        assert_eq!(outer.map, Some(BTreeMap::from([("a".to_owned(), "1".to_owned())])));
    }

    #[test]
    fn anything_becomes_text_where_text_is_wanted() {
        assert_eq!(read(json!({"text": 12})).unwrap().text.as_deref(), Some("12"));
        assert_eq!(
            read(json!({"text": {"b": 1, "a": [true]}})).unwrap().text.as_deref(),
            Some(r#"{"b":1,"a":[true]}"#)
        );
        assert_eq!(read(json!({"text": null})).unwrap().text, None);
    }

    #[test]
    fn open_values_stay_as_they_are() {
        assert_eq!(
            read(json!({"any": {"n": "7", "big": 9007199254740993_u64}})).unwrap().any,
            Some(json!({"n": "7", "big": 9007199254740993_u64}))
        );
    }

    #[test]
    fn errors_name_the_property() {
        assert_eq!(
            read(json!({"inner": {"flag": "maybe"}})).unwrap_err(),
            "property `inner.flag`: the text `maybe` is given, and a boolean is wanted"
        );
        assert!(read(json!({"list": [1, "x"]})).unwrap_err().starts_with("property `list[1]`: "));
        assert!(read(json!({"nope": 1})).unwrap_err().contains("unknown field `nope`, expected one of `text`"));
        assert!(read(json!({"count": -1})).unwrap_err().starts_with("property `count`: "));
        assert_eq!(
            read(json!({"count": 1.5})).unwrap_err(),
            "property `count`: a fractional number is given, and a whole number that fits is wanted"
        );
        assert_eq!(
            read(json!({"inner": [1]})).unwrap_err(),
            "property `inner`: a list is given, and an object is wanted"
        );
    }
}
