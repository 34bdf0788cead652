//! The values that expressions work on. Maps keep their order, 64-bit integers are exact, NaN cannot be built through
//! this interface, and text knows its secrets. Never holds anything that is not plain data.
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::error::Error;
use crate::eval::secrets::redo;
use crate::number::Number;
use crate::text::{Origin, Secret, Span, Text};
use crate::time::Time;

/// A map in the order of its source.
pub type Map = IndexMap<Arc<str>, Value>;

/// Any value. Cloning is cheap: everything large is behind an `Arc`.
#[derive(Clone, Debug, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// Finite; use `Value::float`.
    Float(f64),
    Number(Number),
    Text(Text),
    List(Arc<Vec<Value>>),
    Map(Arc<Map>),
    Time(Arc<Time>),
}

impl Value {
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Value::Text(Text::plain(text))
    }

    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Value::List(Arc::new(items.into_iter().collect()))
    }

    pub fn map<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Value::Map(Arc::new(entries.into_iter().map(|(key, value)| (key.into(), value)).collect()))
    }

    pub fn time(time: Time) -> Self {
        Value::Time(Arc::new(time))
    }

    /// `None` for NaN and the infinities.
    pub fn float(number: f64) -> Option<Self> {
        number.is_finite().then_some(Value::Float(number))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(*value),
            Value::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            Value::Number(number) => Some(number.as_f64()),
            _ => None,
        }
    }

    /// Plain text only: text with a secret in it answers `None`.
    pub fn as_str(&self) -> Option<&str> {
        self.as_text().and_then(Text::as_plain)
    }

    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The entry of a map.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map().and_then(|map| map.get(key))
    }

    /// Follows a path of map keys and list indices.
    pub fn get_path<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Value> {
        path.into_iter().try_fold(self, |value, step| match value {
            Value::Map(map) => map.get(step),
            Value::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        })
    }

    /// What a condition makes of it: false are `false`, null, zero, and text that is blank, `false` or a zero.
    pub fn truthy(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Number(number) => number.as_f64() != 0.0,
            Value::Text(text) => match text.reveal() {
                Ok(text) => !matches!(text.trim(), "" | "false" | "0" | "-0"),
                Err(_) => true,
            },
            Value::List(_) | Value::Map(_) | Value::Time(_) => true,
        }
    }

    /// A word for the kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) | Value::Float(_) | Value::Number(_) => "number",
            Value::Text(_) => "text",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Time(time) => match time.as_ref() {
                Time::Duration(_) => "duration",
                _ => "date",
            },
        }
    }

    /// True when any text in it, at any depth, carries a secret.
    pub fn has_secret(&self) -> bool {
        match self {
            Value::Text(text) => text.is_secret(),
            Value::List(items) => items.iter().any(Value::has_secret),
            Value::Map(map) => map.values().any(Value::has_secret),
            _ => false,
        }
    }

    /// Names of all secrets in it.
    pub fn secret_names(&self) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        self.collect_secret_names(&mut names);
        names
    }

    pub(crate) fn collect_secret_names(&self, names: &mut Vec<Arc<str>>) {
        match self {
            Value::Text(text) => text.collect_secret_names(names),
            Value::List(items) => items.iter().for_each(|item| item.collect_secret_names(names)),
            Value::Map(map) => map.values().for_each(|item| item.collect_secret_names(names)),
            _ => {}
        }
    }

    /// Gives secrets that were read back from storage their values again. `find` answers by secret name.
    pub fn unseal(&self, find: &dyn Fn(&str) -> Option<Arc<str>>) -> Result<Value, Error> {
        if !self.has_secret() {
            return Ok(self.clone());
        }
        Ok(match self {
            Value::Text(text) => Value::Text(unseal_text(text, find)?),
            Value::List(items) => {
                Value::List(Arc::new(items.iter().map(|item| item.unseal(find)).collect::<Result<_, _>>()?))
            }
            Value::Map(map) => Value::Map(Arc::new(
                map.iter().map(|(key, item)| Ok((key.clone(), item.unseal(find)?))).collect::<Result<_, Error>>()?,
            )),
            other => other.clone(),
        })
    }
}

fn unseal_text(text: &Text, find: &dyn Fn(&str) -> Option<Arc<str>>) -> Result<Text, Error> {
    let spans = text.spans().map(|span| match span.as_ref() {
        Span::Secret(secret) if secret.value().is_none() => {
            let value: Arc<str> = match secret.origin() {
                Origin::Named(name) => find(name).ok_or_else(|| Error::Sealed { names: vec![name.clone()] })?,
                Origin::Derived(recipe) => {
                    let inputs = recipe.inputs.iter().map(|(name, value)| Ok((name.clone(), value.unseal(find)?)));
                    redo(recipe, &inputs.collect::<Result<Vec<_>, Error>>()?)?.into()
                }
            };
            Ok(Span::Secret(Secret::new(secret.origin().clone(), value)))
        }
        span => Ok(span.clone()),
    });
    Ok(Text::from_spans(spans.collect::<Result<Vec<_>, Error>>()?))
}

// Identity of values (memo keys, change detection): by type and content; the language's `==` is in `ops`.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Value::Number(a), Value::Number(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a.iter().eq(b.iter()),
            (Value::Time(a), Value::Time(b)) => a == b,
            _ => false,
        }
    }
}
impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Value::Null => {}
            Value::Bool(value) => value.hash(state),
            Value::Int(value) => value.hash(state),
            Value::Float(value) => value.to_bits().hash(state),
            Value::Number(number) => number.hash(state),
            Value::Text(text) => text.hash(state),
            Value::List(items) => items.hash(state),
            Value::Map(map) => {
                map.len().hash(state);
                map.iter().for_each(|entry| entry.hash(state));
            }
            Value::Time(time) => time.hash(state),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::text(text)
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::text(text)
    }
}
impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Value::text(text)
    }
}
impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Value::Text(text)
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}
impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Value::Int(value.into())
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}
impl From<Number> for Value {
    fn from(number: Number) -> Self {
        Value::Number(number)
    }
}
impl From<Time> for Value {
    fn from(time: Time) -> Self {
        Value::time(time)
    }
}
impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Value::Map(Arc::new(map))
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Value::list(items.into_iter().map(Into::into))
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(kind: crate::number::Kind, text: &str) -> Value {
        Number::new(kind, text).unwrap().into()
    }

    fn long(text: &str) -> Value {
        number(crate::number::Kind::Long, text)
    }

    fn time(kind: &str, text: &str) -> Value {
        Time::from_stored(kind, text).unwrap().into()
    }

    fn secret(name: &str) -> Value {
        Text::secret(name, "v").into()
    }

    fn hash(value: &Value) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }

    /// One of each kind, no two equal.
    fn one_of_each() -> Vec<Value> {
        vec![
            Value::Null,
            false.into(),
            true.into(),
            Value::Int(1),
            Value::Int(2),
            Value::Float(1.0),
            Value::Float(0.0),
            Value::Float(-0.0),
            long("1"),
            long("2"),
            "1".into(),
            "2".into(),
            secret("A"),
            secret("B"),
            Value::list([]),
            Value::list([Value::Int(1)]),
            Value::from(Map::new()),
            Value::map([("a", Value::Int(1)), ("b", Value::Int(2))]),
            Value::map([("b", Value::Int(2)), ("a", Value::Int(1))]),
            Value::map([("a", Value::Int(1)), ("b", Value::Int(3))]),
            time("date", "2024-01-01"),
            time("date", "2024-01-02"),
        ]
    }

    #[test]
    fn values_are_equal_to_themselves_alone() {
        for (i, a) in one_of_each().iter().enumerate() {
            for (j, b) in one_of_each().iter().enumerate() {
                assert_eq!(a == b, i == j, "{a:?} {b:?}");
                assert_eq!(hash(a) == hash(b), i == j, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn truth_of_rendered_values() {
        for falsy in [
            Value::Null,
            false.into(),
            Value::Int(0),
            Value::Float(0.0),
            long("0"),
            "".into(),
            " \n".into(),
            "false".into(),
            " false ".into(),
            "0".into(),
            "-0".into(),
            Text::secret("S", "false").into(),
        ] {
            assert!(!falsy.truthy(), "{falsy:?}");
        }
        let sealed = Text::from_span(Span::Secret(Secret::sealed(Origin::Named("S".into()))));
        for truthy in [
            true.into(),
            Value::Int(-1),
            Value::Float(0.5),
            long("2"),
            "a".into(),
            "00".into(),
            secret("S"),
            sealed.into(),
            Value::list([]),
            Value::from(Map::new()),
            time("duration", "PT0S"),
        ] {
            assert!(truthy.truthy(), "{truthy:?}");
        }
    }

    #[test]
    fn kinds_and_views() {
        let kinds: Vec<_> = one_of_each().iter().map(Value::kind).collect();
        let n = "number";
        let wanted = ["null", "boolean", "boolean", n, n, n, n, n, n, n, "text", "text", "text", "text"];
        assert_eq!(kinds[..14], wanted);
        assert_eq!(kinds[14..], ["list", "list", "map", "map", "map", "map", "date", "date"]);
        assert_eq!(time("duration", "PT1S").kind(), "duration");
        assert_eq!((Value::Null.is_null(), Value::Int(0).is_null()), (true, false));
        assert_eq!((Value::from(true).as_bool(), Value::from(false).as_bool()), (Some(true), Some(false)));
        assert_eq!((Value::Int(1).as_bool(), Value::Null.as_i64(), Value::from("1").as_f64()), (None, None, None));
        assert_eq!(
            (Value::Int(-7).as_i64(), long("8").as_i64(), Value::Float(7.0).as_i64()),
            (Some(-7), Some(8), None)
        );
        let floats = [Value::Int(-7), Value::Float(1.5), long("8")].map(|value| value.as_f64());
        assert_eq!(floats, [Some(-7.0), Some(1.5), Some(8.0)]);
        assert_eq!((Value::from("a").as_str(), secret("S").as_str(), Value::Null.as_str()), (Some("a"), None, None));
        assert!(secret("S").as_text().is_some() && Value::Null.as_text().is_none());
        assert_eq!(Value::from(vec![1, 2]).as_list(), Some([Value::Int(1), Value::Int(2)].as_slice()));
        assert!(Value::Null.as_list().is_none() && Value::Null.as_map().is_none());
        assert_eq!((Value::from(Some("a")), Value::from(None::<&str>)), ("a".into(), Value::Null));
        assert_eq!((Value::from(3_i64), Value::from("x".to_owned())), (Value::Int(3), "x".into()));
        assert_eq!(Value::from(Arc::<str>::from("y")), "y".into());
        assert_eq!(Value::default(), Value::Null);
        assert_eq!((Value::float(1.5), Value::float(f64::NEG_INFINITY)), (Some(Value::Float(1.5)), None));
    }

    #[test]
    fn paths_lead_into_maps_and_lists() {
        let value = Value::map([("a", Value::list([Value::Int(5), Value::map([("b", "x".into())])]))]);
        let find = |path: &[&str]| value.get_path(path.iter().copied()).cloned();
        assert_eq!(find(&["a", "1", "b"]), Some("x".into()));
        assert_eq!(find(&["a", "0"]), Some(Value::Int(5)));
        assert_eq!(find(&[]), Some(value.clone()));
        for path in [["a", "2"].as_slice(), &["a", "x"], &["a", "0", "b"], &["b"], &["a", "-1"]] {
            assert_eq!(find(path), None, "{path:?}");
        }
        assert!(value.get("a").is_some() && value.get("b").is_none());
    }

    #[test]
    fn secrets_are_found_and_unsealed_at_any_depth() {
        let deep = Value::map([("l", Value::list([Value::Int(1), secret("A"), Value::map([("m", secret("B"))])]))]);
        assert!(deep.has_secret());
        assert_eq!(deep.secret_names(), ["A".into(), "B".into()] as [Arc<str>; 2]);
        let plain = Value::map([("l", Value::list(["A".into(), Value::Null]))]);
        assert!(!plain.has_secret() && plain.secret_names().is_empty());
        assert_eq!(plain.unseal(&|_| None).unwrap(), plain);
        let stored: Value = serde_json::from_str(&serde_json::to_string(&deep).unwrap()).unwrap();
        let found = stored.unseal(&|name| Some(name.to_lowercase().into())).unwrap();
        assert_eq!(found.to_json_text_revealed().unwrap(), r#"{"l":[1,"a",{"m":"b"}]}"#);
    }
}
