//! Values of namespaces: what a key may be, how a value gets the type its writer names, and where values are found.

use std::sync::Arc;

use expr::Value;
use jiff::Timestamp;
use model::ids::Namespace;
use store::query::NamespaceMatch;
use store::rows::{self, Key, NamespaceKey};
use store::{Batch, Query, View};

use crate::error::Error;
use crate::node::Node;

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 256;
/// Most values of one listing.
const ENTRIES_MAX: usize = 100_000;
/// How often a value that others write at the same time is tried.
const TRIES: usize = 100;

/// A value on its way into the store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewValue {
    pub value: Value,
    /// Its type, where that is more than the value tells.
    pub declared: Option<Arc<str>>,
    pub description: Option<Arc<str>>,
    pub expires: Option<Timestamp>,
}

/// Why a text cannot be a key, or nothing. Kestra's rule.
pub(crate) fn key_problem(key: &str) -> Option<String> {
    if key.len() > KEY_BYTES_MAX {
        return Some(format!("the key has {} bytes, at most {KEY_BYTES_MAX} are taken", key.len()));
    }
    let good = key.starts_with(|first: char| first.is_ascii_alphanumeric())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    (!good).then(|| {
        format!(
            "`{}` is no key: it begins with a letter or digit and holds letters, digits, `.`, `_` and `-`",
            key.escape_debug()
        )
    })
}

/// The value as a type wants it, and what has to be remembered of the type. Only text is converted: other values have their type.
pub(crate) fn typed(value: Value, wanted: Option<&str>) -> Result<(Value, Option<Arc<str>>), String> {
    let (Some(wanted), Some(text)) = (wanted, value.as_str().map(str::to_owned)) else { return Ok((value, None)) };
    let text = text.trim();
    let wrong = |what: &str| Err(format!("`{}` is not {what}", text.escape_debug()));
    let declared = Some(Arc::from(wanted));
    match wanted {
        "STRING" => Ok((value, None)),
        "NUMBER" => match Value::parse_json(text) {
            Ok(number @ (Value::Int(_) | Value::Float(_) | Value::Number(_))) => Ok((number, None)),
            _ => wrong("a number"),
        },
        "BOOLEAN" => Ok((Value::Bool(text.eq_ignore_ascii_case("true")), None)),
        "JSON" => match Value::parse_json(text) {
            Ok(parsed) => Ok((parsed, None)),
            Err(error) => wrong(&format!("JSON: {error}")),
        },
        "DATETIME" => match text.parse::<Timestamp>() {
            Ok(at) => Ok((Value::from(at.to_string()), declared)),
            Err(_) => wrong("a moment, as `2024-05-01T12:00:00Z`"),
        },
        // Kestra takes a moment for a date, and nothing else.
        "DATE" if text.parse::<jiff::civil::Date>().is_ok() || text.parse::<Timestamp>().is_ok() => {
            Ok((value, declared))
        }
        "DATE" => wrong("a date, as `2024-05-01`"),
        "DURATION" => match text.parse::<jiff::Span>() {
            Ok(_) => Ok((value, declared)),
            Err(_) => wrong("a duration, as `PT1H`"),
        },
        other => Err(format!(
            "`{}` is no type of values; hint: STRING, NUMBER, BOOLEAN, DATETIME, DATE, DURATION or JSON",
            other.escape_debug()
        )),
    }
}

/// The row that a write leaves, given what is there.
pub(crate) fn written(
    place: NamespaceKey,
    key: Arc<str>,
    new: NewValue,
    before: Option<&rows::Kv>,
    now: Timestamp,
) -> rows::Kv {
    let NewValue { value, declared, description, expires } = new;
    let alive = before.filter(|row| is_alive(row, now));
    rows::Kv {
        place,
        key,
        // Counted on over its end: a reader that saw revision 3 never sees another 3.
        revision: before.map_or(1, |row| row.revision.saturating_add(1)),
        value,
        declared,
        description: description.or_else(|| alive.and_then(|row| row.description.clone())),
        created: alive.map_or(now, |row| row.created),
        updated: now,
        expires,
    }
}

/// Whether a row counts as there.
pub(crate) fn is_alive(row: &rows::Kv, now: Timestamp) -> bool {
    row.expires.is_none_or(|expires| expires > now)
}

/// The type of a stored value, by its name.
pub(crate) fn type_of(row: &rows::Kv) -> &str {
    match (&row.declared, &row.value) {
        (Some(declared), _) => declared,
        (None, Value::Text(_)) => "STRING",
        (None, Value::Int(_) | Value::Float(_) | Value::Number(_)) => "NUMBER",
        (None, Value::Bool(_)) => "BOOLEAN",
        (None, Value::Time(_)) => "DATETIME",
        (None, Value::Null | Value::List(_) | Value::Map(_)) => "JSON",
    }
}

/// A namespace and those above it, nearest first.
pub(crate) fn ancestors(namespace: &Namespace) -> Vec<NamespaceKey> {
    let mut name = namespace.as_str();
    let mut places = vec![NamespaceKey::main(namespace.clone())];
    while let Some((parent, _)) = name.rsplit_once('.') {
        places.push(NamespaceKey::main(Namespace::trusted(parent)));
        name = parent;
    }
    places
}

/// What a text that stands for a value is, as Kestra's clients send it: JSON, or else a moment, a date, a duration, or just text.
pub(crate) fn read(text: &str) -> (Value, Option<Arc<str>>) {
    if let Ok(value) = Value::parse_json(text) {
        return (value, None);
    }
    let typed_as = |wanted: &str| typed(Value::from(text), Some(wanted)).ok();
    let is_duration = text.trim_start().starts_with('P');
    let as_date = || text.trim().parse::<jiff::civil::Date>().ok().and_then(|_| typed_as("DATE"));
    let as_time = || typed_as("DATETIME").or_else(as_date);
    let found = if is_duration { typed_as("DURATION") } else { as_time() };
    found.unwrap_or_else(|| (Value::from(text), None))
}

impl Node {
    /// The live values of namespaces, by namespace and key.
    pub(crate) async fn kv_entries(&self, namespaces: NamespaceMatch) -> Result<Vec<Arc<rows::Kv>>, Error> {
        let now = self.now();
        let found = self.store.all::<rows::Kv>(View::Durable, Query::Kv(namespaces), ENTRIES_MAX).await?;
        Ok(found.into_iter().map(|found| found.row).filter(|row| is_alive(row, now)).collect())
    }

    /// A live value of one namespace, as readers see it.
    pub(crate) async fn kv_entry(&self, place: &NamespaceKey, key: &str) -> Result<Arc<rows::Kv>, Error> {
        let found = self.store.find::<rows::Kv>(View::Durable, Key::Kv(place.clone(), key.into())).await?;
        let alive = found.map(|found| found.row).filter(|row| is_alive(row, self.now()));
        alive.ok_or_else(|| Error::NotFound(format!("namespace `{}` has no key `{key}`", place.namespace)))
    }

    /// Sets a value. Done when it is durable.
    pub(crate) async fn set_kv(&self, place: &NamespaceKey, key: &str, new: NewValue) -> Result<(), Error> {
        if let Some(problem) = key_problem(key) {
            return Err(Error::bad_request("kv.key", problem));
        }
        let stored_at = Key::Kv(place.clone(), key.into());
        for _ in 0..TRIES {
            let before = self.store.find::<rows::Kv>(View::Newest, stored_at.clone()).await?;
            let row =
                written(place.clone(), key.into(), new.clone(), before.as_ref().map(|found| &*found.row), self.now());
            let mut batch = Batch::new();
            match &before {
                Some(found) => batch.replace(found.version, row),
                None => batch.create(row),
            };
            match self.store.commit(batch).await {
                Ok(lsn) => return Ok(self.store.durable(lsn).await?),
                Err(store::Error::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let message = format!("key `{key}` of namespace `{}` is being written by many; try again", place.namespace);
        Err(Error::Busy { message, retry_after_s: 1 })
    }

    /// Takes values away, and says which of them were there.
    pub(crate) async fn delete_kv(&self, place: &NamespaceKey, keys: &[String]) -> Result<Vec<String>, Error> {
        let (mut batch, mut there) = (Batch::new(), Vec::new());
        for key in keys {
            let stored_at = Key::Kv(place.clone(), key.as_str().into());
            let found = self.store.find::<rows::Kv>(View::Newest, stored_at.clone()).await?;
            if found.is_some_and(|found| is_alive(&found.row, self.now())) {
                batch.delete(stored_at);
                there.push(key.clone());
            }
        }
        if !there.is_empty() {
            let lsn = self.store.commit(batch).await?;
            self.store.durable(lsn).await?;
        }
        Ok(there)
    }

    /// A live value of one namespace.
    pub(crate) async fn kv_value(&self, place: &NamespaceKey, key: &str) -> Result<Option<Value>, Error> {
        let found = self.store.find::<rows::Kv>(View::Newest, Key::Kv(place.clone(), key.into())).await?;
        let now = self.now();
        Ok(found.filter(|row| is_alive(row, now)).map(|row| row.value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_clients_say_what_they_are() {
        let check = |text: &str, expected: &str| {
            let (value, declared) = read(text);
            assert_eq!(format!("{} {}", value.to_json(), declared.as_deref().unwrap_or("-")), expected, "{text}");
        };
        check("hello-kestra", "\"hello-kestra\" -");
        check("\"quoted\"", "\"quoted\" -");
        check("12.5", "12.5 -");
        check("true", "true -");
        check("{\"a\": [1]}", "{\"a\":[1]} -");
        check("{not json", "\"{not json\" -");
        check("2024-05-01T12:00:00Z", "\"2024-05-01T12:00:00Z\" DATETIME");
        check("2024-05-01", "\"2024-05-01\" DATE");
        check("PT5M", "\"PT5M\" DURATION");
        check("Paris", "\"Paris\" -");
        check("", "\"\" -");
    }

    #[test]
    fn values_get_the_type_that_is_named() {
        let check = |text: &str, wanted: &str, expected: Result<&str, &str>| {
            let found = typed(Value::from(text), Some(wanted));
            match (found, expected) {
                (Ok((value, declared)), Ok(expected)) => {
                    let declared = declared.map(|name| format!(" {name}")).unwrap_or_default();
                    assert_eq!(format!("{}{declared}", value.to_json()), expected, "{text} {wanted}");
                }
                (Err(problem), Err(expected)) => assert!(problem.contains(expected), "{text} {wanted}: {problem}"),
                (found, expected) => panic!("{text} {wanted}: {found:?} {expected:?}"),
            }
        };
        check("1", "STRING", Ok("\"1\""));
        check("1", "NUMBER", Ok("1"));
        check(" 1.5 ", "NUMBER", Ok("1.5"));
        check("one", "NUMBER", Err("`one` is not a number"));
        check("TRUE", "BOOLEAN", Ok("true"));
        check("yes", "BOOLEAN", Ok("false"));
        check("{\"a\": [1]}", "JSON", Ok("{\"a\":[1]}"));
        check("{", "JSON", Err("is not JSON"));
        check("2024-05-01T14:00:00+02:00", "DATETIME", Ok("\"2024-05-01T12:00:00Z\" DATETIME"));
        check("noon", "DATETIME", Err("is not a moment"));
        check("2024-05-01", "DATE", Ok("\"2024-05-01\" DATE"));
        check("2024-05-01T12:00:00Z", "DATE", Ok("\"2024-05-01T12:00:00Z\" DATE"));
        check("1 May", "DATE", Err("is not a date"));
        check("PT5M", "DURATION", Ok("\"PT5M\" DURATION"));
        check("soon", "DURATION", Err("is not a duration"));
        check("a", "ION", Err("`ION` is no type of values"));
        assert_eq!(typed(Value::Int(7), Some("STRING")), Ok((Value::Int(7), None)));
    }

    #[test]
    fn keys_are_plain_names() {
        for good in ["a", "0", "a.b_c-d", "A1"] {
            assert_eq!(key_problem(good), None, "{good}");
        }
        for bad in ["", ".a", "a b", "a/b", "é", "a\n"] {
            assert!(key_problem(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn a_write_counts_on_and_forgets_what_has_expired() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let new = |text: &str| NewValue { value: Value::from(text), declared: None, description: None, expires: None };
        let place = NamespaceKey::main(Namespace::trusted("a.b"));
        let mut first = written(place.clone(), "k".into(), new("1"), None, at(1));
        assert_eq!((first.revision, first.created), (1, at(1)));
        first.description = Some("why".into());
        let second = written(place.clone(), "k".into(), new("2"), Some(&first), at(2));
        assert_eq!((second.revision, second.created, second.updated), (2, at(1), at(2)));
        assert_eq!(second.description.as_deref(), Some("why"));
        first.expires = Some(at(2));
        let third = written(place, "k".into(), new("3"), Some(&first), at(3));
        assert_eq!((third.revision, third.created, third.description), (2, at(3), None));
    }

    #[test]
    fn values_are_looked_for_upwards() {
        let names: Vec<String> =
            ancestors(&Namespace::trusted("a.b.c")).iter().map(|place| place.namespace.to_string()).collect();
        assert_eq!(names, ["a.b.c", "a.b", "a"]);
    }
}
