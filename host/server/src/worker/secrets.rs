//! Secrets of one run: the guest gets placeholders; the value takes their place at egress, and nowhere else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use expr::{Map, Secret, Span, Text, TextBuilder, Value};

/// What every placeholder begins with. Letters and digits only, so that it survives URLs, headers, JSON and host names.
const PREFIX: &str = "sluicesecret";
/// Hexadecimal digits behind the prefix: 128 random bits.
const DIGITS: usize = 32;

/// The placeholders of a run.
#[derive(Default)]
pub struct RunSecrets {
    by_placeholder: Mutex<HashMap<String, Secret>>,
}

impl RunSecrets {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Secret>> {
        self.by_placeholder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A placeholder for a secret, the same for the same secret within the run.
    pub fn placeholder(&self, secret: &Secret) -> String {
        let mut known = self.lock();
        if let Some((placeholder, _)) = known.iter().find(|(_, known)| *known == secret) {
            return placeholder.clone();
        }
        let placeholder = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
        known.insert(placeholder.clone(), secret.clone());
        placeholder
    }

    /// A value as the guest may have it: every secret stretch of text is a placeholder.
    pub fn conceal(&self, value: &Value) -> Value {
        match value {
            Value::Text(text) if text.is_secret() => {
                let mut concealed = String::new();
                for span in text.spans() {
                    match &*span {
                        Span::Plain(plain) => concealed.push_str(plain),
                        Span::Secret(secret) => concealed.push_str(&self.placeholder(secret)),
                    }
                }
                Value::from(concealed)
            }
            Value::List(items) => Value::list(items.iter().map(|item| self.conceal(item))),
            Value::Map(entries) => {
                let concealed: Map = entries.iter().map(|(key, item)| (key.clone(), self.conceal(item))).collect();
                Value::from(concealed)
            }
            other => other.clone(),
        }
    }

    /// What the guest gave back, with its placeholders made secrets again.
    pub fn recognise(&self, value: &Value) -> Value {
        if self.lock().is_empty() {
            return value.clone();
        }
        match value {
            Value::Text(text) => match text.as_plain() {
                Some(plain) if plain.contains(PREFIX) => Value::Text(self.text_of(plain)),
                _ => value.clone(),
            },
            Value::List(items) => Value::list(items.iter().map(|item| self.recognise(item))),
            Value::Map(entries) => {
                let known: Map = entries.iter().map(|(key, item)| (key.clone(), self.recognise(item))).collect();
                Value::from(known)
            }
            other => other.clone(),
        }
    }

    /// Text of the guest, with its placeholders made secrets again: shown, they are masked.
    pub fn text_of(&self, text: &str) -> Text {
        let known = self.lock();
        let mut built = TextBuilder::default();
        let mut rest = text;
        while let Some(at) = rest.find(PREFIX) {
            let end = at + PREFIX.len() + DIGITS;
            match rest.get(at..end).and_then(|placeholder| known.get(placeholder)) {
                Some(secret) => {
                    built.push_str(rest.get(..at).unwrap_or_default());
                    built.push_text(&Text::from_span(Span::Secret(secret.clone())));
                    rest = rest.get(end..).unwrap_or_default();
                }
                None => {
                    let next = at + PREFIX.len();
                    built.push_str(rest.get(..next).unwrap_or_default());
                    rest = rest.get(next..).unwrap_or_default();
                }
            }
        }
        built.push_str(rest);
        built.finish()
    }

    /// The text in clear, or the name of a secret in it that has no value here.
    pub fn reveal(&self, text: &str) -> Result<Option<Arc<str>>, expr::Error> {
        let found = self.text_of(text);
        if !found.is_secret() {
            return Ok(None);
        }
        found.reveal().map(|clear| Some(clear.into_owned().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_sees_placeholders_and_they_come_back_as_secrets() {
        let secrets = RunSecrets::default();
        let mut text = TextBuilder::default();
        text.push_str("Bearer ");
        text.push_text(&Text::secret("TOKEN", "s3cret"));
        let concealed = secrets.conceal(&Value::list([Value::Text(text.finish())]));
        let shown = concealed.to_json().to_string();
        assert!(!shown.contains("s3cret") && shown.contains("Bearer sluicesecret"), "{shown}");

        let back = secrets.recognise(&concealed);
        assert_eq!(back.to_json(), serde_json::json!(["Bearer ******"]));
        let placeholder = concealed.as_list().and_then(|items| items[0].as_str().map(str::to_owned)).expect("text");
        assert_eq!(secrets.reveal(&placeholder).expect("known").as_deref(), Some("Bearer s3cret"));
        assert_eq!(secrets.reveal("sluicesecret but not one of ours").expect("plain"), None);
    }
}
