//! The evaluated arguments of a filter, function or test, and how to read them.
use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Error;
use crate::parse::ast::Param;
use crate::value::Value;

/// Arguments by parameter. `null` counts as given.
#[derive(Debug, Default)]
pub(crate) struct Args {
    /// Who was called, for messages.
    pub callee: &'static str,
    pub params: &'static [&'static str],
    given: Vec<(Param, Value)>,
}

impl Args {
    pub fn new(callee: &'static str, params: &'static [&'static str]) -> Self {
        Args { callee, params, given: Vec::new() }
    }

    pub fn push(&mut self, param: Param, value: Value) {
        self.given.push((param, value));
    }

    pub fn iter(&self) -> impl Iterator<Item = (Arc<str>, &Value)> {
        self.given.iter().map(|(param, value)| match param {
            Param::Index(index) => (Arc::from(self.params.get(*index).copied().unwrap_or("value")), value),
            Param::Name(name) => (name.clone(), value),
        })
    }

    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.given.iter().map(|(_, value)| value)
    }

    pub fn given(&self, index: usize) -> Option<&Value> {
        self.given.iter().find(|(param, _)| matches!(param, Param::Index(at) if *at == index)).map(|(_, value)| value)
    }

    /// The argument unless it is null.
    pub fn get(&self, index: usize) -> Option<&Value> {
        self.given(index).filter(|value| !value.is_null())
    }

    fn name(&self, index: usize) -> &'static str {
        self.params.get(index).copied().unwrap_or("value")
    }

    pub fn required(&self, index: usize) -> Result<&Value, Error> {
        self.get(index)
            .ok_or_else(|| Error::invalid(format!("`{}` expects an argument `{}`", self.callee, self.name(index))))
    }

    fn wrong(&self, index: usize, wanted: &str, value: &Value) -> Error {
        let (callee, name) = (self.callee, self.name(index));
        Error::invalid(format!("argument `{name}` of `{callee}` must be {wanted}, found {}", value.kind()))
    }

    /// Text, secrets revealed.
    pub fn text(&self, index: usize) -> Result<Cow<'_, str>, Error> {
        let value = self.required(index)?;
        value.as_text().ok_or_else(|| self.wrong(index, "text", value))?.reveal()
    }

    pub fn optional_text(&self, index: usize) -> Result<Option<Cow<'_, str>>, Error> {
        match self.get(index) {
            Some(_) => self.text(index).map(Some),
            None => Ok(None),
        }
    }

    pub fn int(&self, index: usize) -> Result<i64, Error> {
        let value = self.required(index)?;
        let whole = value.as_i64().or_else(|| value.as_f64().map(|number| number.trunc() as i64));
        whole.ok_or_else(|| self.wrong(index, "a number", value))
    }

    pub fn optional_int(&self, index: usize) -> Result<Option<i64>, Error> {
        match self.get(index) {
            Some(_) => self.int(index).map(Some),
            None => Ok(None),
        }
    }

    /// A whole number that is not negative.
    pub fn size(&self, index: usize) -> Result<usize, Error> {
        usize::try_from(self.int(index)?).map_err(|_| {
            Error::invalid(format!("argument `{}` of `{}` must not be negative", self.name(index), self.callee))
        })
    }

    pub fn flag(&self, index: usize, default: bool) -> Result<bool, Error> {
        match self.get(index) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(self.wrong(index, "a boolean", other)),
        }
    }

    pub fn has_secret(&self) -> bool {
        self.values().any(Value::has_secret)
    }
}
