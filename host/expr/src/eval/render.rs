//! Rendering of text that comes up during evaluation, once or until nothing changes, and of whole trees of templates.
use std::sync::Arc;

use super::{Evaluator, Output, secrets};
use crate::error::Error;
use crate::parse;
use crate::text::Text;
use crate::value::{Map, Value};

impl Evaluator<'_> {
    /// What was written, as text; the size of a list or map is looked at before it is printed.
    pub(super) fn text_of(&mut self, output: &Output) -> Result<Text, Error> {
        if let Output::One(value) = output {
            self.charge_print(value)?;
        }
        output.text()
    }

    /// The typed result, or the result as text; null when nothing was written.
    pub fn result(&mut self, output: Output, typed: bool) -> Result<Value, Error> {
        match output {
            Output::Nothing => Ok(Value::Null),
            output if typed => output.value(),
            output => self.text_of(&output).map(Value::Text),
        }
    }

    /// Parses and renders text that came up during evaluation.
    pub fn render_text(&mut self, text: &str) -> Result<Output, Error> {
        self.charge_bytes(text.len())?;
        if parse::is_literal(text) {
            return Ok(Output::of(Value::from(text)));
        }
        let parsed = parse::parse(text, self.settings.limits.template_bytes)?;
        self.template(&parsed)
    }

    /// As `render_text`, again and again until nothing changes.
    pub fn render_until_stable(&mut self, text: &Text) -> Result<Output, Error> {
        let outer = std::mem::replace(&mut self.keep_raw, true);
        let result = self.rounds(text);
        self.keep_raw = outer;
        let output = result?;
        match outer {
            true => Ok(output),
            false => output.map_text(|text| crate::raw::strip(&text)),
        }
    }

    fn rounds(&mut self, text: &Text) -> Result<Output, Error> {
        let mut current = text.clone();
        for round in 0..=self.settings.limits.render_rounds {
            let output = self.render_text(&current.reveal()?)?;
            let rendered = self.text_of(&output)?;
            if rendered == current || (round > 0 && rendered.reveal()? == current.reveal()?) {
                return Ok(output);
            }
            if parse::is_literal(&rendered.reveal()?) {
                return Ok(output);
            }
            current = rendered;
        }
        Err(Error::limit(
            "expression.limit.renders",
            format!("not done after rendering {} times", self.settings.limits.render_rounds),
            "do variables refer to each other in a circle?",
        ))
    }

    /// Renders every text in a value. `once`: no further rounds.
    pub fn render_tree(&mut self, value: &Value, once: bool, typed: bool) -> Result<Value, Error> {
        self.charge(1)?;
        match value {
            Value::Text(text) => {
                let output = match once {
                    true => self.render_text(&text.reveal()?)?,
                    false => self.render_until_stable(text)?,
                };
                let rendered = self.result(output, typed)?;
                match text.is_secret() {
                    true => secrets::taint(rendered, secrets::OPAQUE, &[("input".into(), value.clone())].into()),
                    false => Ok(rendered),
                }
            }
            Value::List(items) => self.nested(|evaluator| {
                let items = items.iter().map(|item| evaluator.render_tree(item, once, typed));
                Ok(Value::List(Arc::new(items.collect::<Result<_, _>>()?)))
            }),
            Value::Map(map) => self.nested(|evaluator| {
                let mut rendered = Map::with_capacity(map.len());
                for (key, item) in map.iter() {
                    let key = evaluator.render_key(key, once)?;
                    let item = evaluator.render_tree(item, once, typed)?;
                    rendered.entry(key).or_insert(item);
                }
                Ok(rendered.into())
            }),
            other => Ok(other.clone()),
        }
    }

    fn render_key(&mut self, key: &Arc<str>, once: bool) -> Result<Arc<str>, Error> {
        if parse::is_literal(key) {
            return Ok(key.clone());
        }
        let output = match once {
            true => self.render_text(key)?,
            false => self.render_until_stable(&Text::plain(key.clone()))?,
        };
        // Keys are shown everywhere: a secret has no place in one.
        let text = self.text_of(&output)?;
        text.plain_arc().cloned().ok_or_else(|| Error::invalid("a key must not contain a secret"))
    }
}
