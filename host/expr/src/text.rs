//! Text as a list of spans, each plain or secret. Plain text is one `Arc<str>`.
//! Never prints, compares for storage or serialises the value of a secret in clear: only `reveal` hands it out.
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::error::Error;
use crate::value::Value;

/// What stands for a secret wherever text is shown. Fixed width, so that the length of a secret does not show.
pub const MASK: &str = "******";

/// Text whose secret parts are known.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Plain(Arc<str>),
    /// Neighbouring plain spans are always merged, so equal texts have equal spans.
    Spans(Arc<[Span]>),
}

/// One stretch of text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Span {
    Plain(Arc<str>),
    Secret(Secret),
}

/// A secret stretch: where it comes from and, unless it was read back from storage, its value.
#[derive(Clone)]
pub struct Secret {
    origin: Origin,
    value: Option<Arc<str>>,
}

/// Where a secret stretch comes from. This is what is stored in place of its value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The secret of this name.
    Named(Arc<str>),
    /// What an operation made of text with secrets in it.
    Derived(Arc<Recipe>),
}

/// How a derived secret was made: done again on the same inputs it gives the same value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// `filter:upper`, `function:fromJson`, `operator:+`; `opaque` cannot be done again.
    pub operation: Arc<str>,
    /// Arguments by name; a filter's input is called `input`.
    pub inputs: Arc<[(Arc<str>, Value)]>,
    /// Where in the result of the operation the text stood.
    pub at: Vec<Step>,
}

/// One step into a list or map.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Step {
    Index(usize),
    Key(Arc<str>),
}

// Two secrets of one origin have one value within a decision, and a value read back from storage has no clear text:
// identity is the origin alone.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.origin == other.origin
    }
}
impl Eq for Secret {}
impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.origin.hash(state);
    }
}

impl Secret {
    /// A secret with its value.
    pub fn new(origin: Origin, value: impl Into<Arc<str>>) -> Self {
        Secret { origin, value: Some(value.into()) }
    }

    /// A secret read back from storage: the value is not here until `Value::unseal`.
    pub fn sealed(origin: Origin) -> Self {
        Secret { origin, value: None }
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The clear text, or `None` while sealed.
    pub fn value(&self) -> Option<&Arc<str>> {
        self.value.as_ref()
    }

    fn collect_names(&self, names: &mut Vec<Arc<str>>) {
        match &self.origin {
            Origin::Named(name) if names.contains(name) => {}
            Origin::Named(name) => names.push(name.clone()),
            Origin::Derived(recipe) => recipe.inputs.iter().for_each(|(_, value)| value.collect_secret_names(names)),
        }
    }
}

impl Text {
    pub fn plain(text: impl Into<Arc<str>>) -> Self {
        Text(Repr::Plain(text.into()))
    }

    /// The value of the secret `name`.
    pub fn secret(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Text::from_span(Span::Secret(Secret::new(Origin::Named(name.into()), value)))
    }

    pub fn from_span(span: Span) -> Self {
        match span {
            Span::Plain(text) => Text(Repr::Plain(text)),
            secret => Text(Repr::Spans(Arc::from([secret]))),
        }
    }

    /// Builds text from spans, merging plain neighbours.
    pub fn from_spans(spans: impl IntoIterator<Item = Span>) -> Self {
        let mut builder = TextBuilder::default();
        for span in spans {
            match span {
                Span::Plain(text) => builder.push_str(&text),
                secret => builder.push_span(secret),
            }
        }
        builder.finish()
    }

    /// The text, when nothing in it is secret.
    pub fn as_plain(&self) -> Option<&str> {
        match &self.0 {
            Repr::Plain(text) => Some(text),
            Repr::Spans(_) => None,
        }
    }

    pub fn is_secret(&self) -> bool {
        matches!(self.0, Repr::Spans(_))
    }

    /// The secrets in it, or nothing for plain text.
    pub fn spans(&self) -> impl Iterator<Item = Cow<'_, Span>> {
        let (plain, spans): (Option<Span>, &[Span]) = match &self.0 {
            Repr::Plain(text) => (Some(Span::Plain(text.clone())), &[]),
            Repr::Spans(spans) => (None, spans),
        };
        plain.into_iter().map(Cow::Owned).chain(spans.iter().map(Cow::Borrowed))
    }

    /// The clear text, secrets included. `Error::Sealed` when a secret was read back from storage and not unsealed.
    pub fn reveal(&self) -> Result<Cow<'_, str>, Error> {
        let spans = match &self.0 {
            Repr::Plain(text) => return Ok(Cow::Borrowed(text)),
            Repr::Spans(spans) => spans,
        };
        if let [Span::Secret(Secret { value: Some(value), .. })] = spans.as_ref() {
            return Ok(Cow::Borrowed(value));
        }
        let mut out = String::new();
        for span in spans.iter() {
            match span {
                Span::Plain(text) => out.push_str(text),
                Span::Secret(Secret { value: Some(value), .. }) => out.push_str(value),
                Span::Secret(_) => return Err(Error::Sealed { names: self.secret_names() }),
            }
        }
        Ok(Cow::Owned(out))
    }

    /// The text as it may be shown: every secret stretch is `MASK`.
    pub fn masked(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Plain(text) => Cow::Borrowed(text),
            Repr::Spans(_) => Cow::Owned(self.to_string()),
        }
    }

    /// Names of the secrets in it, also of those that went into derived stretches.
    pub fn secret_names(&self) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        self.collect_secret_names(&mut names);
        names
    }

    pub(crate) fn collect_secret_names(&self, names: &mut Vec<Arc<str>>) {
        if let Repr::Spans(spans) = &self.0 {
            for span in spans.iter() {
                if let Span::Secret(secret) = span {
                    secret.collect_names(names);
                }
            }
        }
    }

    /// The `Arc` of plain text, for map keys and the like without copying.
    pub fn plain_arc(&self) -> Option<&Arc<str>> {
        match &self.0 {
            Repr::Plain(text) => Some(text),
            Repr::Spans(_) => None,
        }
    }
}

/// Joins text piece by piece, keeping secret spans.
#[derive(Default, Clone)]
pub struct TextBuilder {
    done: Vec<Span>,
    plain: String,
    size_bytes: usize,
}

impl TextBuilder {
    pub fn push_str(&mut self, text: &str) {
        self.size_bytes += text.len();
        self.plain.push_str(text);
    }

    pub fn push_text(&mut self, text: &Text) {
        match &text.0 {
            Repr::Plain(plain) => self.push_str(plain),
            Repr::Spans(spans) => {
                for span in spans.iter() {
                    self.push_span(span.clone());
                }
            }
        }
    }

    fn push_span(&mut self, span: Span) {
        match span {
            Span::Plain(text) => self.push_str(&text),
            Span::Secret(secret) => {
                self.size_bytes += secret.value.as_ref().map_or(MASK.len(), |value| value.len());
                self.flush();
                self.done.push(Span::Secret(secret));
            }
        }
    }

    /// Bytes so far, secrets included.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    fn flush(&mut self) {
        if !self.plain.is_empty() {
            self.done.push(Span::Plain(std::mem::take(&mut self.plain).into()));
        }
    }

    pub fn finish(mut self) -> Text {
        if self.done.is_empty() {
            return Text(Repr::Plain(self.plain.into()));
        }
        self.flush();
        Text(Repr::Spans(self.done.into()))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Plain(text) => f.write_str(text),
            Repr::Spans(spans) => spans.iter().try_for_each(|span| match span {
                Span::Plain(text) => f.write_str(text),
                Span::Secret(_) => f.write_str(MASK),
            }),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.masked())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::plain(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text::plain(text)
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Text::plain(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(name: &str) -> Span {
        Span::Secret(Secret::sealed(Origin::Named(name.into())))
    }

    fn mixed() -> Text {
        let known = Span::Secret(Secret::new(Origin::Named("A".into()), "hunter2"));
        Text::from_spans([Span::Plain("x".into()), Span::Plain("y".into()), known, Span::Plain("".into()), sealed("B")])
    }

    #[test]
    fn plain_text() {
        let text = Text::from("a\"b");
        assert_eq!((text.as_plain(), text.is_secret(), text.to_string().as_str()), (Some("a\"b"), false, "a\"b"));
        assert_eq!((text.masked().as_ref(), text.reveal().unwrap().as_ref()), ("a\"b", "a\"b"));
        assert_eq!(format!("{text:?}"), r#""a\"b""#);
        assert_eq!(text.plain_arc().map(AsRef::as_ref), Some("a\"b"));
        assert!(text.secret_names().is_empty());
        assert_eq!(text.spans().count(), 1);
        assert_eq!(Text::from_spans([Span::Plain("a\"".into()), Span::Plain("b".into())]), text);
        assert_eq!(
            (Text::from("z".to_owned()), Text::from(Arc::<str>::from("z"))),
            (Text::plain("z"), Text::plain("z"))
        );
        assert_eq!(Text::from_span(Span::Plain("z".into())), Text::plain("z"));
    }

    #[test]
    fn text_with_secrets() {
        let text = mixed();
        assert_eq!((text.as_plain(), text.plain_arc(), text.is_secret()), (None, None, true));
        assert_eq!((text.to_string().as_str(), text.masked().as_ref()), ("xy************", "xy************"));
        assert_eq!(format!("{text:?}"), "\"xy************\"");
        assert_eq!(text.spans().count(), 3);
        assert_eq!(text.secret_names(), ["A".into(), "B".into()] as [Arc<str>; 2]);
        let Err(Error::Sealed { names }) = text.reveal() else { panic!("revealed") };
        assert_eq!(names.len(), 2);
        let alone = Text::secret("A", "hunter2");
        assert!(matches!(alone.reveal().unwrap(), Cow::Borrowed("hunter2")));
        let twice = Text::from_spans(alone.spans().chain(alone.spans()).map(Cow::into_owned));
        assert_eq!((twice.reveal().unwrap().as_ref(), twice.secret_names().len()), ("hunter2hunter2", 1));
    }

    #[test]
    fn secrets_are_told_apart_by_origin() {
        let hash = |secret: &Secret| {
            let mut hasher = std::hash::DefaultHasher::new();
            secret.hash(&mut hasher);
            hasher.finish()
        };
        let named = |name: &str| Origin::Named(name.into());
        let (a, b) = (Secret::new(named("A"), "1"), Secret::new(named("B"), "1"));
        assert!(a == Secret::sealed(named("A")) && a != b);
        assert!(hash(&a) == hash(&Secret::sealed(named("A"))) && hash(&a) != hash(&b));
        assert_eq!((a.value().map(AsRef::as_ref), Secret::sealed(named("A")).value()), (Some("1"), None));
        assert!(*a.origin() == named("A"));
    }

    #[test]
    fn builder_counts_bytes() {
        let mut builder = TextBuilder::default();
        builder.push_str("é");
        builder.push_text(&Text::plain("ab"));
        assert_eq!((builder.size_bytes(), builder.clone().finish()), (4, Text::plain("éab")));
        builder.push_text(&mixed());
        assert_eq!(builder.size_bytes(), 4 + 2 + 7 + MASK.len());
        builder.push_str("!");
        assert_eq!(builder.finish().to_string(), "éabxy************!");
    }
}
