//! What a template has written so far: nothing, one value of any type, or text.
use crate::error::Error;
use crate::eval::print;
use crate::text::{Text, TextBuilder};
use crate::value::Value;

#[derive(Default)]
pub(crate) enum Output {
    #[default]
    Nothing,
    One(Value),
    Joined(TextBuilder),
}

impl Output {
    pub fn of(value: Value) -> Self {
        Output::One(value)
    }

    /// Adds a printed value; null adds nothing.
    pub fn push(&mut self, value: Value) -> Result<(), Error> {
        if value.is_null() {
            return Ok(());
        }
        if let Output::Nothing = self {
            *self = Output::One(value);
            return Ok(());
        }
        print::print(self.builder()?, &value)
    }

    pub fn push_text(&mut self, text: &std::sync::Arc<str>) -> Result<(), Error> {
        match self {
            Output::Nothing => *self = Output::One(Value::from(text.clone())),
            _ => self.builder()?.push_str(text),
        }
        Ok(())
    }

    fn builder(&mut self) -> Result<&mut TextBuilder, Error> {
        if !matches!(self, Output::Joined(_)) {
            let mut builder = TextBuilder::default();
            if let Output::One(value) = self {
                print::print(&mut builder, value)?;
            }
            *self = Output::Joined(builder);
        }
        match self {
            Output::Joined(builder) => Ok(builder),
            Output::Nothing | Output::One(_) => unreachable!("just made a builder"),
        }
    }

    pub fn size_bytes(&self) -> usize {
        match self {
            Output::Nothing => 0,
            Output::One(Value::Text(text)) => text.as_plain().map_or(0, str::len),
            Output::One(_) => 0,
            Output::Joined(builder) => builder.size_bytes(),
        }
    }

    /// The typed result; null when nothing was written.
    pub fn value(self) -> Result<Value, Error> {
        Ok(match self {
            Output::Nothing => Value::Null,
            Output::One(value) => value,
            Output::Joined(builder) => Value::Text(builder.finish()),
        })
    }

    /// The result as text; empty when nothing was written.
    pub fn text(&self) -> Result<Text, Error> {
        let mut builder = TextBuilder::default();
        match self {
            Output::Nothing => {}
            Output::One(Value::Text(text)) => return Ok(text.clone()),
            Output::One(value) => print::print(&mut builder, value)?,
            Output::Joined(joined) => return Ok(joined.clone().finish()),
        }
        Ok(builder.finish())
    }

    pub fn map_text(self, change: impl FnOnce(Text) -> Text) -> Result<Output, Error> {
        Ok(match self {
            Output::One(Value::Text(text)) => Output::One(Value::Text(change(text))),
            Output::Joined(builder) => Output::One(Value::Text(change(builder.finish()))),
            other => other,
        })
    }
}
