//! A value of the source together with its path and place, and the reader of maps that knows which keys it was asked for.
//!
//! Reports what has the wrong shape; never what is wrong for reasons of meaning: that is the caller's.

use std::rc::Rc;
use std::sync::Arc;

use expr::{Map, Value};
use jiff::SignedDuration;

use crate::duration;
use crate::flow::Dynamic;
use crate::outline::{Inner, Outline};
use crate::problem::{Position, Problem, Problems, did_you_mean, quoted_list, shown, suggest};

/// What to write for a duration.
pub(crate) const DURATION_HINT: &str = "write for example `PT30S`, `PT5M`, `PT2H` or `P1D`";

/// A value, its path and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    pub value: &'a Value,
    path: Path,
    outline: Option<&'a Outline>,
    /// Its own place, or that of the nearest value around it that stands in the source.
    pub at: Position,
    /// The place of its key, where it is an entry of a map.
    key_at: Position,
}

#[derive(Clone, Debug, Default)]
struct Path(Option<Rc<Step>>);

#[derive(Debug)]
struct Step {
    parent: Path,
    name: Name,
}

#[derive(Debug)]
enum Name {
    Key(Arc<str>),
    Index(usize),
}

impl Path {
    fn join(&self, name: Name) -> Self {
        Self(Some(Rc::new(Step { parent: self.clone(), name })))
    }

    fn write(&self, text: &mut String) {
        let Some(step) = &self.0 else { return };
        step.parent.write(text);
        match &step.name {
            Name::Index(index) => text.push_str(&format!("[{index}]")),
            Name::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
        }
    }
}

impl<'a> Node<'a> {
    pub fn root(value: &'a Value, outline: Option<&'a Outline>) -> Self {
        let at = outline.map_or(Position { line: 1, column: 1 }, |outline| outline.at);
        Self { value, path: Path::default(), outline, at, key_at: at }
    }

    pub fn path(&self) -> String {
        let mut text = String::new();
        self.path.write(&mut text);
        text
    }

    /// Its key, where it is an entry of a map.
    pub fn key(&self) -> Option<&str> {
        match self.path.0.as_deref() {
            Some(Step { name: Name::Key(key), .. }) => Some(key),
            _ => None,
        }
    }

    /// An entry of a map.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        let (key, value) = self.value.as_map()?.get_key_value(key)?;
        Some(self.child(key, value))
    }

    fn child(&self, key: &Arc<str>, value: &'a Value) -> Node<'a> {
        let entry = match self.outline.map(|outline| &outline.inner) {
            Some(Inner::Map(entries)) => entries.get(key.as_ref()),
            _ => None,
        };
        let outline = entry.map(|entry| entry.value.as_ref());
        Node {
            value,
            path: self.path.join(Name::Key(key.clone())),
            outline,
            at: outline.map_or(self.at, |outline| outline.at),
            key_at: entry.map_or(self.at, |entry| entry.key),
        }
    }

    /// The entries of a map, none for anything else.
    pub fn entries(&self) -> Vec<(Arc<str>, Node<'a>)> {
        let entries = self.value.as_map().into_iter().flatten();
        entries.map(|(key, value)| (key.clone(), self.child(key, value))).collect()
    }

    /// The items of a list, none for anything else.
    pub fn items(&self) -> Vec<Node<'a>> {
        let outlines = match self.outline.map(|outline| &outline.inner) {
            Some(Inner::List(items)) => items.as_slice(),
            _ => &[],
        };
        let items = self.value.as_list().unwrap_or_default().iter().enumerate();
        items
            .map(|(index, value)| {
                let outline = outlines.get(index).map(Arc::as_ref);
                let at = outline.map_or(self.at, |outline| outline.at);
                Node { value, path: self.path.join(Name::Index(index)), outline, at, key_at: at }
            })
            .collect()
    }

    /// Whether it is a block scalar.
    pub fn is_block(&self) -> bool {
        matches!(self.outline.map(|outline| &outline.inner), Some(Inner::Scalar { block: true }))
    }

    pub fn error(&self, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::error(code, message).path(self.path()).at(self.at)
    }

    pub fn warning(&self, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::warning(code, message).path(self.path()).at(self.at)
    }

    /// Not what was expected here.
    pub fn wrong_type(&self, expected: &str) -> Problem {
        let found = match self.value {
            Value::Text(_) => format!("the text `{}`", shown(self.value.as_str().unwrap_or_default())),
            Value::Bool(value) => format!("`{value}`"),
            Value::Int(value) => format!("`{value}`"),
            Value::List(items) if items.is_empty() => "an empty list".to_owned(),
            other => format!("a {}", other.kind()),
        };
        self.error("flow.wrong_type", format!("expected {expected}, found {found}"))
    }

    /// Text as it stands, with numbers and booleans taken for the text they were written as.
    pub fn text(&self) -> Option<String> {
        match self.value {
            Value::Text(text) => text.as_plain().map(str::to_owned),
            Value::Bool(value) => Some(value.to_string()),
            Value::Int(value) => Some(value.to_string()),
            // `{:?}` keeps the `.0` that a version or a label was written with.
            Value::Float(value) => Some(format!("{value:?}")),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub fn has_expression(&self) -> bool {
        self.value.as_str().is_some_and(has_expression)
    }
}

/// Whether a text is rendered to something else than itself.
pub(crate) fn has_expression(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// The entries of a map that is being read: what nobody asks for is an unknown key.
pub(crate) struct Fields<'a> {
    pub node: Node<'a>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// `None`, and a problem, for what is no map.
    pub fn open(node: Node<'a>, problems: &mut Problems) -> Option<Self> {
        if node.value.as_map().is_none() {
            problems.push(node.wrong_type("a map"));
            return None;
        }
        Some(Self { node, known: Vec::new() })
    }

    /// The entry, absent where it is null.
    pub fn get(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.known.push(key);
        self.node.get(key).filter(|node| !node.value.is_null())
    }

    /// The entry under its present name or a former one. Both at once is a problem.
    pub fn get_renamed(&mut self, key: &'static str, former: &'static str, problems: &mut Problems) -> Option<Node<'a>> {
        match (self.get(key), self.get(former)) {
            (Some(_), Some(node)) => {
                let message = format!("`{former}` is the old name of `{key}`, and both are given");
                problems.push(node.error("flow.conflict", message).hint(format!("remove `{former}`")));
                None
            }
            (found, old) => found.or(old),
        }
    }

    /// The entry; a problem where it is missing.
    pub fn require(&mut self, key: &'static str, problems: &mut Problems) -> Option<Node<'a>> {
        let found = self.get(key);
        if found.is_none() {
            problems.push(self.missing(key));
        }
        found
    }

    pub fn missing(&self, key: &str) -> Problem {
        let path = self.node.path();
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        Problem::error("flow.required", format!("`{key}` is required")).at(self.node.at).path(path)
    }

    pub fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<String> {
        self.get(key).and_then(|node| text(&node, problems))
    }

    pub fn require_text(&mut self, key: &'static str, problems: &mut Problems) -> Option<String> {
        self.require(key, problems).and_then(|node| text(&node, problems))
    }

    pub fn boolean(&mut self, key: &'static str, default: bool, problems: &mut Problems) -> bool {
        let Some(node) = self.get(key) else { return default };
        match (node.value, node.value.as_str()) {
            (Value::Bool(value), _) => *value,
            (_, Some("true")) => true,
            (_, Some("false")) => false,
            _ => {
                problems.push(node.wrong_type("`true` or `false`"));
                default
            }
        }
    }

    /// A whole number of at least `least`.
    pub fn number(&mut self, key: &'static str, least: u32, problems: &mut Problems) -> Option<u32> {
        let node = self.get(key)?;
        number(&node, least, problems)
    }

    /// A duration that is fixed when the flow is saved.
    pub fn duration(&mut self, key: &'static str, problems: &mut Problems) -> Option<SignedDuration> {
        let node = self.get(key)?;
        fixed_duration(&node, problems)
    }

    pub fn require_duration(&mut self, key: &'static str, problems: &mut Problems) -> Option<SignedDuration> {
        let node = self.require(key, problems)?;
        fixed_duration(&node, problems)
    }

    /// A property that may hold an expression.
    pub fn dynamic(&mut self, key: &'static str) -> Option<Dynamic> {
        self.get(key).map(|node| Dynamic(node.value.clone()))
    }

    pub fn require_dynamic(&mut self, key: &'static str, problems: &mut Problems) -> Dynamic {
        let found = self.require(key, problems).map(|node| node.value.clone());
        Dynamic(found.unwrap_or_default())
    }

    /// A duration, or an expression that gives one.
    pub fn dynamic_duration(&mut self, key: &'static str, problems: &mut Problems) -> Option<Dynamic> {
        let node = self.get(key)?;
        if !node.has_expression() {
            fixed_duration(&node, problems);
        }
        Some(Dynamic(node.value.clone()))
    }

    /// A boolean, or an expression that gives one.
    pub fn dynamic_boolean(&mut self, key: &'static str, default: bool, problems: &mut Problems) -> Dynamic {
        match self.get(key) {
            Some(node) if node.has_expression() => Dynamic(node.value.clone()),
            Some(_) => Dynamic(Value::Bool(self.boolean(key, default, problems))),
            None => Dynamic(Value::Bool(default)),
        }
    }

    /// A list; none where it is absent.
    pub fn list(&mut self, key: &'static str, problems: &mut Problems) -> Vec<Node<'a>> {
        let Some(node) = self.get(key) else { return Vec::new() };
        if node.value.as_list().is_none() {
            problems.push(node.wrong_type("a list"));
        }
        node.items()
    }

    /// A map of anything; empty where it is absent.
    pub fn map(&mut self, key: &'static str, problems: &mut Problems) -> Map {
        let Some(node) = self.get(key) else { return Map::new() };
        match node.value.as_map() {
            Some(map) => map.clone(),
            None => {
                problems.push(node.wrong_type("a map"));
                Map::new()
            }
        }
    }

    /// One of a few words, without regard to case.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&'static str, T)], problems: &mut Problems) -> Option<T> {
        let node = self.get(key)?;
        choice(&node, choices, problems)
    }

    /// Everything nobody asked for is a problem.
    pub fn finish(self, problems: &mut Problems) {
        for (key, node) in self.node.entries() {
            if !self.known.contains(&key.as_ref()) {
                let known: &[&str] = if problems.is_full() { &[] } else { &self.known };
                problems.push(unknown_key(&key, &node, known.iter().copied()));
            }
        }
    }

    /// Everything nobody asked for.
    pub fn rest(&self) -> Vec<(Arc<str>, Node<'a>)> {
        let entries = self.node.entries().into_iter();
        entries.filter(|(key, _)| !self.known.contains(&key.as_ref())).collect()
    }

    /// What was asked for so far.
    pub fn known(&self) -> &[&'static str] {
        &self.known
    }
}

/// A key that means nothing here.
pub(crate) fn unknown_key<'k>(key: &str, node: &Node<'_>, known: impl IntoIterator<Item = &'k str>) -> Problem {
    node.error("flow.unknown_property", format!("unknown property `{}`", shown(key))).at(node.key_at).hints(suggest(key, known))
}

pub(crate) fn text(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let text = node.text();
    if text.is_none() {
        problems.push(node.wrong_type("a text"));
    }
    text
}

pub(crate) fn number(node: &Node<'_>, least: u32, problems: &mut Problems) -> Option<u32> {
    let found = match node.value {
        Value::Int(value) => Some(*value),
        _ => node.value.as_str().and_then(|text| text.trim().parse().ok()),
    };
    match found.map(u32::try_from) {
        Some(Ok(value)) if value >= least => Some(value),
        _ => {
            problems.push(node.wrong_type(&format!("a whole number of at least {least}")));
            None
        }
    }
}

pub(crate) fn fixed_duration(node: &Node<'_>, problems: &mut Problems) -> Option<SignedDuration> {
    match duration::of_value(node.value) {
        Ok(duration) if duration.is_negative() => {
            problems.push(node.error("flow.duration", "a duration must not be negative"));
            None
        }
        Ok(duration) => Some(duration),
        Err(reason) => {
            problems.push(node.error("flow.duration", reason).hint(DURATION_HINT));
            None
        }
    }
}

pub(crate) fn choice<T: Copy>(node: &Node<'_>, choices: &[(&'static str, T)], problems: &mut Problems) -> Option<T> {
    let text = text(node, problems)?;
    let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text));
    if found.is_none() {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let message = format!("`{}` is none of {}", shown(&text), quoted_list(&names));
        problems.push(node.error("flow.choice", message).hints(did_you_mean(&text, names)));
    }
    found.map(|(_, value)| *value)
}
