//! Secrets of one run: the guest gets placeholders; the value takes their place at egress, and nowhere else. What the guest was shown in the
//! clear, or what a server answered, is found again in what it says.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use catalog::PropertyPath;
use expr::{Map, Secret, Span, Text, TextBuilder, Value};
use runtime::placeholder::{self, LENGTH, PREFIX};
use runtime::{HostError, Needles};

use super::hiding;
use super::secret::{url_of, value_of};

/// The reserved domain of placeholders that are URLs: RFC 2606 keeps it from ever leading anywhere.
pub(super) const URL_DOMAIN: &str = ".invalid";
/// What stands around a placeholder that is a URL, plain and in the spellings that forms and documents make of it.
const URL_FORMS: [(&str, &str); 4] =
    [("https://", "/"), ("https%3A%2F%2F", "%2F"), ("https%3a%2f%2f", "%2f"), ("https:\\/\\/", "\\/")];

/// The placeholders of a run.
#[derive(Default)]
pub struct RunSecrets {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_placeholder: BTreeMap<String, Secret>,
    /// Texts with placeholders in them that the flow's author wrote, to be shown or not: properties that are not secret, templates.
    written: BTreeSet<String>,
    /// Whether the host itself put a placeholder into an answer, by placeholder.
    answered: BTreeMap<String, Arc<AtomicBool>>,
    /// Every spelling of what the guest was shown in the clear.
    revealed: Needles,
}

/// A stretch of what a guest sends or says.
pub(super) enum Piece<'a> {
    Plain(&'a [u8]),
    /// A placeholder of this run, as a word or as a URL.
    Secret(Secret),
}

/// What secrets were put into.
pub(super) struct Filled {
    pub bytes: Vec<u8>,
    pub used: Vec<Secret>,
}

impl RunSecrets {
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A placeholder for a secret, the same for the same secret within the run.
    pub fn placeholder(&self, secret: &Secret) -> String {
        let mut known = self.lock();
        if let Some((placeholder, _)) = known.by_placeholder.iter().find(|(_, known)| *known == secret) {
            return placeholder.clone();
        }
        let placeholder = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
        known.by_placeholder.insert(placeholder.clone(), secret.clone());
        placeholder
    }

    /// The same for a place where a URL may be wanted: a secret that is one gets a placeholder that is one.
    pub fn placeholder_at_start(&self, secret: &Secret) -> String {
        let placeholder = self.placeholder(secret);
        match url_of(secret) {
            Some(_) => format!("https://{placeholder}{URL_DOMAIN}/"),
            None => placeholder,
        }
    }

    /// The secret behind a placeholder, which may be written as a URL.
    pub fn behind(&self, placeholder: &str) -> Option<Secret> {
        let bytes = placeholder.as_bytes();
        let at = placeholder::find(bytes, 0)?;
        self.lock().by_placeholder.get(placeholder.get(at..at + LENGTH)?).cloned()
    }

    /// Whether this, as a whole, is what the guest was given in place of a secret.
    pub fn gave(&self, text: &str) -> bool {
        let pieces = self.pieces(text.as_bytes());
        pieces.iter().filter(|piece| !matches!(piece, Piece::Plain([]))).all(|piece| matches!(piece, Piece::Secret(..)))
            && pieces.len() == 3
    }

    /// Whether the guest was given any.
    pub fn any(&self) -> bool {
        !self.lock().by_placeholder.is_empty()
    }

    /// A value as the guest may have it: every secret stretch of text is a placeholder.
    pub fn conceal(&self, value: &Value) -> Value {
        match value {
            Value::Text(text) if text.is_secret() => {
                let mut concealed = String::new();
                for (at, span) in text.spans().enumerate() {
                    match &*span {
                        Span::Plain(plain) => concealed.push_str(plain),
                        Span::Secret(secret) if at == 0 => concealed.push_str(&self.placeholder_at_start(secret)),
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

    /// Remembers what the author wrote in concealed properties, but for those that are secret by their schema.
    pub fn remember_written(&self, concealed: &Value, secret: &[PropertyPath]) {
        if self.any() {
            self.remember(concealed, secret, &mut Vec::new());
        }
    }

    fn remember(&self, value: &Value, secret: &[PropertyPath], path: &mut Vec<String>) {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        if secret.iter().any(|marked| marked.covers(&names)) {
            return;
        }
        match value {
            Value::Text(text) => {
                let plain = text.as_plain().unwrap_or_default();
                let lines = plain.lines().filter(|line| placeholder::find(line.as_bytes(), 0).is_some());
                let mut known = self.lock();
                known.written.extend(lines.map(|line| line.trim().to_owned()));
            }
            Value::List(items) => items.iter().enumerate().for_each(|(at, item)| {
                path.push(at.to_string());
                self.remember(item, secret, path);
                path.pop();
            }),
            Value::Map(entries) => entries.iter().for_each(|(key, item)| {
                path.push(key.to_string());
                self.remember(item, secret, path);
                path.pop();
            }),
            _ => {}
        }
    }

    /// What is set once the host puts this placeholder into an answer: that the guest says it again is no wonder then.
    pub(super) fn answered(&self, placeholder: &str) -> Arc<AtomicBool> {
        self.lock().answered.entry(placeholder.to_owned()).or_default().clone()
    }

    /// Whether the author of the flow, or a server, put this placeholder into this line.
    pub(super) fn is_expected(&self, line: &str, placeholder: &str) -> bool {
        let known = self.lock();
        let line = line.trim();
        known.answered.get(placeholder).is_some_and(|met| met.load(Ordering::Relaxed))
            || known.written.contains(line)
            // A text that is nothing but the placeholder says nothing of who put it there.
            || known.written.iter().any(|text| text.len() > LENGTH && text.contains(placeholder) && line.contains(text.as_str()))
    }

    /// From now on this secret is taken out of all that the guest says.
    pub(super) fn remember_revealed(&self, secret: &Secret) {
        let needles = hiding::needles(self, std::slice::from_ref(secret));
        let mut known = self.lock();
        known.revealed = std::mem::take(&mut known.revealed).and(needles);
    }

    /// What the guest gave back, with its placeholders made secrets again.
    pub fn recognise(&self, value: &Value) -> Value {
        if !self.any() {
            return value.clone();
        }
        match value {
            Value::Text(text) => match text.as_plain() {
                Some(plain) => Value::Text(self.text_of(plain)),
                None => value.clone(),
            },
            Value::List(items) => Value::list(items.iter().map(|item| self.recognise(item))),
            Value::Map(entries) => {
                let known = entries.iter().map(|(key, item)| (self.masked(key).into(), self.recognise(item)));
                Value::from(known.collect::<Map>())
            }
            Value::Int(_) | Value::Float(_) | Value::Number(_) => match self.unrevealed(&value.to_string()) {
                Cow::Borrowed(_) => value.clone(),
                Cow::Owned(hidden) => Value::Text(self.text_of(&hidden)),
            },
            other => other.clone(),
        }
    }

    /// Text of the guest, with its placeholders made secrets again: shown, they are masked.
    pub fn text_of(&self, text: &str) -> Text {
        let text = self.unrevealed(text);
        let mut built = TextBuilder::default();
        for piece in self.pieces(text.as_bytes()) {
            match piece {
                Piece::Plain(plain) => built.push_str(&String::from_utf8_lossy(plain)),
                Piece::Secret(secret) => built.push_text(&Text::from_span(Span::Secret(secret))),
            }
        }
        built.finish()
    }

    /// Text of the guest as it may be shown.
    pub fn masked(&self, text: &str) -> String {
        self.text_of(text).masked().into_owned()
    }

    /// Text of the guest without what it was shown in the clear.
    pub(super) fn unrevealed<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let revealed = {
            let known = self.lock();
            if known.revealed.is_empty() {
                return Cow::Borrowed(text);
            }
            known.revealed.clone()
        };
        revealed.hide_in(text).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// Cut at the placeholders of this run.
    pub(super) fn pieces<'a>(&self, bytes: &'a [u8]) -> Vec<Piece<'a>> {
        let known = self.lock();
        let (mut pieces, mut done, mut from) = (Vec::new(), 0, 0);
        if known.by_placeholder.is_empty() {
            return vec![Piece::Plain(bytes)];
        }
        while let Some(at) = placeholder::find(bytes, from) {
            from = at + 1;
            let word = bytes.get(at..at + LENGTH).and_then(|word| std::str::from_utf8(word).ok()).unwrap_or_default();
            let Some(secret) = known.by_placeholder.get(word) else { continue };
            let (start, end) = match url_of(secret) {
                Some(_) => as_url(bytes, done, at, at + LENGTH),
                None => (at, at + LENGTH),
            };
            pieces.push(Piece::Plain(bytes.get(done..start).unwrap_or_default()));
            pieces.push(Piece::Secret(secret.clone()));
            (done, from) = (end, end);
        }
        pieces.push(Piece::Plain(bytes.get(done..).unwrap_or_default()));
        pieces
    }

    /// The bytes in clear, each value in the spelling of its place; `None`: there is no placeholder in them.
    pub(super) fn fill(
        &self,
        bytes: &[u8],
        spell: impl Fn(&str) -> Result<String, HostError>,
    ) -> Result<Option<Filled>, HostError> {
        let mut filled = Filled { bytes: Vec::with_capacity(bytes.len()), used: Vec::new() };
        for piece in self.pieces(bytes) {
            match piece {
                Piece::Plain(plain) => filled.bytes.extend_from_slice(plain),
                Piece::Secret(secret) => {
                    filled.bytes.extend_from_slice(spell(value_of(&secret)?)?.as_bytes());
                    filled.used.push(secret);
                }
            }
        }
        Ok((!filled.used.is_empty()).then_some(filled))
    }
}

/// How far a placeholder that is a URL reaches around its word, without what is `done`.
fn as_url(bytes: &[u8], done: usize, start: usize, end: usize) -> (usize, usize) {
    let before = bytes.get(done..start).unwrap_or_default();
    let after = bytes.get(end..).unwrap_or_default();
    let Some(after) = after.strip_prefix(URL_DOMAIN.as_bytes()) else { return (start, end) };
    let form = URL_FORMS.iter().find(|(open, _)| before.ends_with(open.as_bytes()));
    form.map_or((start, end), |(open, close)| {
        let close = if after.starts_with(close.as_bytes()) { close.len() } else { 0 };
        (start - open.len(), end + URL_DOMAIN.len() + close)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expr::Origin;

    fn raw(value: &str) -> Result<String, HostError> {
        Ok(value.to_owned())
    }

    fn filled(secrets: &RunSecrets, text: &str) -> Option<String> {
        let filled = secrets.fill(text.as_bytes(), raw).expect("all have values")?;
        Some(String::from_utf8(filled.bytes).expect("text"))
    }

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
        assert_eq!(filled(&secrets, &placeholder).as_deref(), Some("Bearer s3cret"));
        assert_eq!(filled(&secrets, "sluicesecret but not one of ours"), None);
        assert_eq!(filled(&secrets, &format!("{PREFIX}{}", "0".repeat(32))), None);
    }

    #[test]
    fn a_secret_that_is_a_url_is_a_url_where_it_begins_a_text() {
        let secrets = RunSecrets::default();
        let hook = || Text::secret("HOOK", "https://hooks.example.com/T/B?k=1");
        let alone = secrets.conceal(&Value::Text(hook()));
        let alone = alone.as_str().expect("text");
        assert!(alone.starts_with("https://sluicesecret") && alone.ends_with(".invalid/"), "{alone}");
        let mut inside = TextBuilder::default();
        inside.push_str("https://example.com/?to=");
        inside.push_text(&hook());
        let inside = secrets.conceal(&Value::Text(inside.finish()));
        assert!(inside.as_str().is_some_and(|text| text.starts_with("https://example.com/?to=sluicesecret")));
        // Elsewhere than in a URL's place all of it is the secret, however it was spelt.
        for text in [alone.to_owned(), alone.replace(':', "%3A").replace('/', "%2F"), alone.replace('/', "\\/")] {
            let whole = filled(&secrets, &format!("a {text} b"));
            assert_eq!(whole.as_deref(), Some("a https://hooks.example.com/T/B?k=1 b"), "{text}");
        }
    }

    #[test]
    fn what_was_revealed_is_taken_out_of_what_is_said() {
        let secrets = RunSecrets::default();
        let secret = Secret::new(Origin::Named("PIN".into()), "87654321");
        assert_eq!(secrets.recognise(&Value::Int(87_654_321)), Value::Int(87_654_321));
        secrets.remember_revealed(&secret);
        let said = Value::map([("87654321", Value::Int(87_654_321)), ("text", Value::from("it is 87654321!"))]);
        let shown = secrets.recognise(&said).to_json();
        assert_eq!(shown, serde_json::json!({ "******": "******", "text": "it is ******!" }));
    }
}
