//! What one secret is: its value, its names, the URL it may be, what it was made of. And which properties are secrets by their schema.

use catalog::PropertyPath;
use expr::{Map, Origin, Secret, Span, Text, Value};
use runtime::{HostError, MASK};

use crate::sealing::Sealer;

/// The value, or what is said of one that is not here.
pub(super) fn value_of(secret: &Secret) -> Result<&str, HostError> {
    let missing = || HostError::host(format!("secret `{}` has no value on this server", name_of(secret)));
    secret.value().map(AsRef::as_ref).ok_or_else(missing)
}

/// The URL a secret is, where it is one.
pub(crate) fn url_of(secret: &Secret) -> Option<url::Url> {
    let value = secret.value()?.trim();
    let scheme = value.get(..8).unwrap_or(value).to_ascii_lowercase();
    if !scheme.starts_with("https://") && !scheme.starts_with("http://") {
        return None;
    }
    url::Url::parse(value).ok().filter(url::Url::has_host)
}

/// The names of all secrets that went into one, each in upper case.
pub(super) fn names_of(secret: &Secret) -> Vec<String> {
    let text = Text::from_span(Span::Secret(secret.clone()));
    text.secret_names().iter().map(|name| name.to_ascii_uppercase()).collect()
}

/// What a secret is called where it is talked of. One that came with a request has a ciphertext for a name.
pub(super) fn name_of(secret: &Secret) -> String {
    let text = Text::from_span(Span::Secret(secret.clone()));
    let names = text.secret_names();
    let shown = names.iter().map(|name| if Sealer::made(name) { "(sealed)" } else { name.as_ref() });
    let mut shown: Vec<&str> = shown.collect();
    shown.dedup();
    if shown.is_empty() { MASK.to_owned() } else { shown.join(", ") }
}

/// The secrets that went into a derived one.
pub(super) fn sources_of(secret: &Secret) -> Vec<Secret> {
    fn collect(value: &Value, found: &mut Vec<Secret>) {
        match value {
            Value::Text(text) => text.spans().for_each(|span| {
                if let Span::Secret(secret) = &*span {
                    found.extend(sources_of(secret));
                    found.push(secret.clone());
                }
            }),
            Value::List(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Map(entries) => entries.values().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Origin::Derived(recipe) = secret.origin() {
        recipe.inputs.iter().for_each(|(_, value)| collect(value, &mut found));
    }
    found
}

/// Properties in which what the schema marks as secret is one, whatever its source. `seal` names a value so that it can be stored.
pub(super) fn marked(value: &Value, secret: &[PropertyPath], seal: &dyn Fn(&str) -> String) -> Value {
    if secret.is_empty() { value.clone() } else { marked_at(value, secret, seal, &mut Vec::new()) }
}

fn marked_at(value: &Value, secret: &[PropertyPath], seal: &dyn Fn(&str) -> String, path: &mut Vec<String>) -> Value {
    let mut inner = |name: String, item: &Value| {
        path.push(name);
        let item = marked_at(item, secret, seal, path);
        path.pop();
        item
    };
    match value {
        Value::List(items) => Value::list(items.iter().enumerate().map(|(at, item)| inner(at.to_string(), item))),
        Value::Map(entries) => {
            Value::from(entries.iter().map(|(key, item)| (key.clone(), inner(key.to_string(), item))).collect::<Map>())
        }
        Value::Text(text) => {
            let names: Vec<&str> = path.iter().map(String::as_str).collect();
            match text.as_plain().filter(|plain| !plain.is_empty()) {
                Some(plain) if secret.iter().any(|marked| marked.covers(&names)) => {
                    Value::Text(Text::secret(seal(plain), plain))
                }
                _ => value.clone(),
            }
        }
        other => other.clone(),
    }
}
