//! Names and what is taken out of them. A path is asked of the scope as a whole, so that `outputs.task.value` need not
//! build all outputs.
use std::borrow::Cow;
use std::sync::Arc;

use super::{Evaluator, Turn, print};
use crate::error::Error;
use crate::parse::Parsed;
use crate::parse::ast::{Access, Expr, Key, Node};
use crate::source::nearest;
use crate::value::{Map, Value};

/// Steps of a path that are offered to the scope at once.
const PATH_STEPS: usize = 8;

impl Evaluator<'_> {
    pub(super) fn name(&mut self, parsed: &Parsed, name: &str, at: usize) -> Result<Value, Error> {
        if let Some(value) = self.local(name) {
            return Ok(value);
        }
        if name == "_context" {
            return self.context();
        }
        let found = if self.is_closed() { None } else { self.scope.lookup(name, self.memo)? };
        found.ok_or_else(|| self.undefined_name(parsed, name, at))
    }

    /// A variable set by a tag, or `loop`.
    fn local(&self, name: &str) -> Option<Value> {
        for frame in self.frames.iter().rev() {
            if let Some(value) = frame.get(name) {
                return Some(value.clone());
            }
            if let (Some(turn), "loop") = (frame.turn, name) {
                return Some(loop_variable(turn));
            }
            if frame.closed {
                return None;
            }
        }
        None
    }

    /// A variable of the scope, whatever tags have set.
    pub fn variable(&self, name: &str) -> Result<Option<Value>, Error> {
        self.scope.lookup(name, self.memo)
    }

    fn is_closed(&self) -> bool {
        self.frames.iter().any(|frame| frame.closed)
    }

    /// All variables, set ones first.
    pub fn context(&self) -> Result<Value, Error> {
        let mut context = Map::new();
        for frame in self.frames.iter().rev() {
            for (name, value) in &frame.variables {
                context.entry(name.clone()).or_insert_with(|| value.clone());
            }
            if frame.closed {
                return Ok(context.into());
            }
        }
        for name in self.scope.names() {
            if let Some(value) = self.scope.lookup(&name, self.memo)? {
                context.entry(name).or_insert(value);
            }
        }
        Ok(context.into())
    }

    pub(super) fn path(&mut self, parsed: &Parsed, base: &Node, steps: &[Access]) -> Result<Value, Error> {
        let mut keys = Vec::new();
        let (mut value, done) = match &base.expr {
            Expr::Name(name)
                if self.frames.is_empty()
                    || (!self.is_closed() && self.local(name).is_none() && name.as_ref() != "_context") =>
            {
                self.keys_of(parsed, steps, &mut keys)?;
                self.scoped(parsed, name, base.at, steps, &keys)?
            }
            _ => (self.node(parsed, base)?, 0),
        };
        for (index, step) in steps.iter().enumerate().skip(done) {
            self.charge(1).map_err(|error| parsed.source.locate(error, step.at))?;
            let key = match (&step.key, keys.get(index)) {
                (_, Some(key)) => Value::clone(key),
                (Key::Name(name), None) => Value::from(name.clone()),
                (Key::Computed(node), None) => self.node(parsed, node)?,
            };
            value = match member(&value, &key)? {
                Some(found) => found,
                None => return Err(self.undefined_member(parsed, &value, &key, step.at)),
            };
        }
        Ok(value)
    }

    /// The keys that the scope is asked with, once evaluated; none when all of them are names in the template.
    fn keys_of(&mut self, parsed: &Parsed, steps: &[Access], keys: &mut Vec<Value>) -> Result<(), Error> {
        let asked = || steps.iter().take(PATH_STEPS - 1);
        if asked().all(|step| matches!(step.key, Key::Name(_))) {
            return Ok(());
        }
        for step in asked() {
            keys.push(match &step.key {
                Key::Name(name) => Value::from(name.clone()),
                Key::Computed(node) => self.node(parsed, node)?,
            });
        }
        Ok(())
    }

    /// The longest part of the path that the scope answers in one go, and how many steps that are.
    fn scoped(
        &mut self,
        parsed: &Parsed,
        name: &str,
        at: usize,
        steps: &[Access],
        keys: &[Value],
    ) -> Result<(Value, usize), Error> {
        let found = if keys.is_empty() {
            let mut path = [""; PATH_STEPS];
            let mut len = 0;
            let names = steps.iter().map_while(|step| match &step.key {
                Key::Name(name) => Some(name.as_ref()),
                Key::Computed(_) => None,
            });
            for (place, name) in path.iter_mut().zip(std::iter::once(name).chain(names)) {
                *place = name;
                len += 1;
            }
            self.scope.lookup_path(path.get(..len).unwrap_or(&[]), self.memo)
        } else {
            let mut path = vec![Cow::Borrowed(name)];
            for key in keys {
                match key {
                    Value::Text(text) => path.push(text.reveal()?),
                    Value::Int(index) => path.push(index.to_string().into()),
                    _ => break,
                }
            }
            let path: Vec<&str> = path.iter().map(Cow::as_ref).collect();
            self.scope.lookup_path(&path, self.memo)
        };
        match found? {
            Some((value, covered)) => Ok((value, covered.saturating_sub(1).min(steps.len()))),
            None => Err(self.undefined_path(parsed, name, at, steps)),
        }
    }

    /// The scope said no to a path: to its name, or, without building what the name stands for, to a later step.
    fn undefined_path(&self, parsed: &Parsed, name: &str, at: usize, steps: &[Access]) -> Error {
        match steps.first() {
            Some(first) if self.scope.names().iter().any(|known| known.as_ref() == name) => {
                let message = format!("`{name}` has nothing under this path");
                let hint = match &first.key {
                    Key::Name(step) => hyphen_hint(parsed, step, first.at),
                    Key::Computed(_) => None,
                };
                parsed.source.locate(Error::undefined(message, hint), first.at)
            }
            _ => self.undefined_name(parsed, name, at),
        }
    }

    fn undefined_name(&self, parsed: &Parsed, name: &str, at: usize) -> Error {
        let names = self.scope.names();
        let visible: Vec<&str> = match self.is_closed() {
            true => Vec::new(),
            false => names.iter().map(Arc::as_ref).collect(),
        };
        let hint = if self.is_closed() && self.scope.names().iter().any(|known| known.as_ref() == name) {
            Some("a macro sees only its arguments: pass it in".into())
        } else {
            hyphen_hint(parsed, name, at).or_else(|| near_hint(name, visible.iter().copied()))
        };
        parsed.source.locate(Error::undefined(format!("variable `{name}` is not defined"), hint), at)
    }

    fn undefined_member(&self, parsed: &Parsed, value: &Value, key: &Value, at: usize) -> Error {
        let shown = key.to_string();
        let (message, hint) = match value {
            Value::Map(map) => {
                let hint = hyphen_hint(parsed, &shown, at).or_else(|| near_hint(&shown, map.keys().map(Arc::as_ref)));
                (format!("there is no `{shown}`"), hint)
            }
            Value::List(items) => (format!("there is no item `{shown}` in a list of {}", items.len()), None),
            Value::Null => (format!("cannot take `{shown}` of null"), Some("use `??` to give a default".into())),
            other => (format!("cannot take `{shown}` of {}", with_article(other)), None),
        };
        parsed.source.locate(Error::undefined(message, hint), at)
    }
}

fn with_article(value: &Value) -> String {
    match value.kind() {
        "text" => "text".into(),
        kind => format!("a {kind}"),
    }
}

fn near_hint<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(name, names).map(|near| format!("did you mean `{near}`?"))
}

/// `a.my-task` is a subtraction: says so where a name is followed by `-` and a letter.
fn hyphen_hint(parsed: &Parsed, name: &str, at: usize) -> Option<String> {
    let rest = parsed.source.0.get(at..)?.trim_start_matches('.');
    let after = rest.strip_prefix(name)?.strip_prefix('-')?;
    let end = after.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(after.len());
    let word = after.get(..end).filter(|word| word.starts_with(char::is_alphabetic))?;
    Some(format!("a name with `-` needs brackets: `['{name}-{word}']`"))
}

/// An entry of a map or an item of a list.
fn member(value: &Value, key: &Value) -> Result<Option<Value>, Error> {
    Ok(match value {
        Value::Map(map) => match key {
            Value::Text(text) => map.get(text.reveal()?.as_ref()).cloned(),
            other => map.get(print::string_of(other)?.as_str()).cloned(),
        },
        Value::List(items) => {
            let index = match key {
                Value::Text(text) => text.reveal()?.parse().ok(),
                other => other.as_i64().and_then(|index| usize::try_from(index).ok()),
            };
            index.and_then(|index: usize| items.get(index).cloned())
        }
        _ => None,
    })
}

fn loop_variable(turn: Turn) -> Value {
    let count = |number: usize| Value::Int(number as i64);
    Value::map([
        ("index", count(turn.index)),
        ("length", count(turn.length)),
        ("first", Value::Bool(turn.index == 0)),
        ("last", Value::Bool(turn.index + 1 == turn.length)),
        ("revindex", count(turn.length - turn.index - 1)),
    ])
}
