//! Text, printed expressions and tags.
use std::sync::Arc;

use super::{Evaluator, Frame, Output, Turn, ops};
use crate::error::Error;
use crate::parse::Parsed;
use crate::parse::ast::{Node, Piece};
use crate::value::Value;

impl Evaluator<'_> {
    pub(super) fn pieces(&mut self, parsed: &Parsed, pieces: &[Piece], out: &mut Output) -> Result<(), Error> {
        for piece in pieces {
            self.charge(1)?;
            match piece {
                Piece::Text(text) => self.push_text(out, text)?,
                Piece::Raw { tag, .. } if self.keep_raw => self.push_text(out, tag)?,
                Piece::Raw { content, .. } => self.push_text(out, content)?,
                Piece::Print(node) => {
                    let value = self.node(parsed, node)?;
                    self.push(out, value)?;
                }
                Piece::Set { variable, value } => {
                    let value = self.node(parsed, value)?;
                    self.set(variable, value);
                }
                Piece::Block { name } => {
                    if let Some(body) = parsed.blocks.get(name) {
                        self.nested(|evaluator| evaluator.pieces(parsed, body, out))?;
                    }
                }
                Piece::If { arms, otherwise } => self.branch(parsed, arms, otherwise, out)?,
                Piece::For { variable, list, body, otherwise } => match self.items(parsed, list)? {
                    None => {}
                    Some(items) if items.is_empty() => {
                        self.nested(|evaluator| evaluator.pieces(parsed, otherwise, out))?;
                    }
                    Some(items) => self.turns(parsed, variable, &items, body, out)?,
                },
                Piece::Filter { steps, body, at } => {
                    let text = self.captured(parsed, body)?;
                    let value = self.steps(parsed, text, steps).map_err(|error| parsed.source.locate(error, *at))?;
                    self.push(out, value)?;
                }
            }
        }
        Ok(())
    }

    /// Prints a value. One that stands alone keeps its type and costs nothing yet.
    fn push(&mut self, out: &mut Output, value: Value) -> Result<(), Error> {
        if value.is_null() {
            return Ok(());
        }
        if !matches!(out, Output::Nothing) {
            self.charge_first(out)?;
            self.charge_print(&value)?;
        }
        out.push(value)?;
        self.check_size(out)
    }

    fn charge_first(&mut self, out: &Output) -> Result<(), Error> {
        match out {
            Output::One(first) => self.charge_print(first),
            Output::Nothing | Output::Joined(_) => Ok(()),
        }
    }

    fn push_text(&mut self, out: &mut Output, text: &Arc<str>) -> Result<(), Error> {
        self.charge_first(out)?;
        out.push_text(text)?;
        self.charge(text.len() / super::BYTES_PER_FUEL)?;
        self.check_size(out)
    }

    fn check_size(&mut self, out: &Output) -> Result<(), Error> {
        match out.size_bytes() > self.settings.limits.output_bytes {
            true => self.charge_bytes(out.size_bytes()),
            false => Ok(()),
        }
    }

    /// Printing costs what the text costs; refuses what would be too long.
    pub(crate) fn charge_print(&mut self, value: &Value) -> Result<(), Error> {
        let limit = self.settings.limits.output_bytes;
        self.charge_bytes(printed_bytes(value, limit.saturating_add(1)))
    }

    fn branch(
        &mut self,
        parsed: &Parsed,
        arms: &[(Node, Vec<Piece>)],
        otherwise: &[Piece],
        out: &mut Output,
    ) -> Result<(), Error> {
        for (condition, body) in arms {
            if self.condition(parsed, condition)? {
                return self.nested(|evaluator| evaluator.pieces(parsed, body, out));
            }
        }
        self.nested(|evaluator| evaluator.pieces(parsed, otherwise, out))
    }

    fn condition(&mut self, parsed: &Parsed, condition: &Node) -> Result<bool, Error> {
        let value = self.node(parsed, condition)?;
        match value {
            Value::Bool(value) => Ok(value),
            Value::Int(_) | Value::Float(_) | Value::Number(_) | Value::Text(_) => ops::is_true(&value),
            other => {
                let message = format!("`if` needs a boolean, found {}", other.kind());
                let error = Error::invalid_hint(message, "compare it, or ask `is defined`, `is empty`");
                Err(parsed.source.locate(error, condition.at))
            }
        }
    }

    /// What a loop runs over: the items of a list, the entries of a map as `key` and `value`. Null is nothing, not even empty: its
    /// `else` is passed over as well.
    fn items(&mut self, parsed: &Parsed, list: &Node) -> Result<Option<Arc<Vec<Value>>>, Error> {
        match self.node(parsed, list)? {
            Value::Null => Ok(None),
            Value::List(items) => Ok(Some(items)),
            Value::Map(map) => {
                self.charge(map.len())?;
                let entry = |(key, value): (&Arc<str>, &Value)| {
                    Value::map([("key", Value::from(key.clone())), ("value", value.clone())])
                };
                Ok(Some(Arc::new(map.iter().map(entry).collect())))
            }
            other => {
                let error = Error::invalid(format!("`for` needs a list or a map, found {}", other.kind()));
                Err(parsed.source.locate(error, list.at))
            }
        }
    }

    fn turns(
        &mut self,
        parsed: &Parsed,
        variable: &Arc<str>,
        items: &[Value],
        body: &[Piece],
        out: &mut Output,
    ) -> Result<(), Error> {
        self.frames.push(Frame::default());
        let result = items.iter().enumerate().try_for_each(|(index, item)| {
            self.charge(1)?;
            if let Some(frame) = self.frames.last_mut() {
                frame.turn = Some(Turn { index, length: items.len() });
                frame.put(variable, item.clone());
            }
            self.nested(|evaluator| evaluator.pieces(parsed, body, out))
        });
        self.frames.pop();
        result
    }

    /// Changes the variable where it was set before, else sets it here.
    fn set(&mut self, variable: &Arc<str>, value: Value) {
        let open = self.frames.iter().rposition(|frame| frame.closed).unwrap_or(0);
        let visible = self.frames.get_mut(open..).unwrap_or_default();
        if let Some(frame) = visible.iter_mut().rev().find(|frame| frame.get(variable).is_some()) {
            return frame.put(variable, value);
        }
        match self.frames.last_mut() {
            Some(frame) => frame.put(variable, value),
            None => self.frames.push(Frame { variables: vec![(variable.clone(), value)], ..Frame::default() }),
        }
    }
}

/// About how long a value prints; counting stops beyond `enough`.
fn printed_bytes(value: &Value, enough: usize) -> usize {
    let sum = |sizes: &mut dyn Iterator<Item = usize>| {
        let mut total = 2;
        for size in sizes {
            total += size + 1;
            if total > enough {
                break;
            }
        }
        total
    };
    match value {
        Value::Text(text) => text.as_plain().map_or(64, str::len),
        Value::List(items) => sum(&mut items.iter().map(|item| printed_bytes(item, enough))),
        Value::Map(map) => sum(&mut map.iter().map(|(key, item)| key.len() + 3 + printed_bytes(item, enough))),
        _ => 4,
    }
}

impl Frame {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.variables.iter().find(|(variable, _)| variable.as_ref() == name).map(|(_, value)| value)
    }

    fn put(&mut self, name: &Arc<str>, value: Value) {
        match self.variables.iter_mut().find(|(variable, _)| variable == name) {
            Some((_, old)) => *old = value,
            None => self.variables.push((name.clone(), value)),
        }
    }
}
