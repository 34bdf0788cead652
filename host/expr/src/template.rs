//! Templates and the functions that evaluate them.
use std::sync::Arc;

use crate::error::Error;
use crate::eval::Evaluator;
use crate::limits::{Limits, Settings};
use crate::memo::Memo;
use crate::parse::{self, Parsed};
use crate::scope::Scope;
use crate::text::Text;
use crate::value::Value;

/// A parsed template. Cheap to clone; evaluate it as often as needed.
#[derive(Debug, Clone)]
pub struct Template {
    parsed: Arc<Parsed>,
}

impl Template {
    /// True when the template has no expression, tag or comment: it renders to itself.
    pub fn is_literal(&self) -> bool {
        parse::is_literal(self.source())
    }

    pub fn source(&self) -> &str {
        &self.parsed.source.0
    }
}

/// Parses a template. Unknown filters, functions and tests are errors here already.
pub fn parse(source: &str) -> Result<Template, Error> {
    parse_within(source, &Limits::default())
}

fn parse_within(source: &str, limits: &Limits) -> Result<Template, Error> {
    Ok(Template { parsed: Arc::new(parse::parse(source, limits.template_bytes)?) })
}

/// Evaluates to a typed value: a template that prints one thing gives that thing's value, any other its text; one that
/// prints nothing gives null.
pub fn eval(template: &Template, scope: &dyn Scope, memo: &Memo, settings: &Settings) -> Result<Value, Error> {
    run(template, scope, memo, settings, true)
}

/// Parses and evaluates.
pub fn eval_text(source: &str, scope: &dyn Scope, memo: &Memo, settings: &Settings) -> Result<Value, Error> {
    if parse::is_literal(source) {
        return Ok(Value::from(source));
    }
    eval(&parse_within(source, &settings.limits)?, scope, memo, settings)
}

/// Renders to text; lists and maps print as JSON, null as nothing.
pub fn render(template: &Template, scope: &dyn Scope, memo: &Memo, settings: &Settings) -> Result<Text, Error> {
    match run(template, scope, memo, settings, false)? {
        Value::Text(text) => Ok(text),
        _ => Ok(Text::plain("")),
    }
}

/// Parses and renders.
pub fn render_text(source: &str, scope: &dyn Scope, memo: &Memo, settings: &Settings) -> Result<Text, Error> {
    if parse::is_literal(source) {
        return Ok(Text::from(source));
    }
    render(&parse_within(source, &settings.limits)?, scope, memo, settings)
}

/// Renders every template in a tree, keys too, to typed values.
pub fn render_value(value: &Value, scope: &dyn Scope, memo: &Memo, settings: &Settings) -> Result<Value, Error> {
    Evaluator::new(scope, memo, settings).render_tree(value, !settings.recursive, true)
}

/// Renders every template in a tree, keys too, to text; a template that prints nothing becomes null.
pub fn render_map(value: &Value, scope: &dyn Scope, memo: &Memo, settings: &Settings) -> Result<Value, Error> {
    Evaluator::new(scope, memo, settings).render_tree(value, !settings.recursive, false)
}

fn run(template: &Template, scope: &dyn Scope, memo: &Memo, settings: &Settings, typed: bool) -> Result<Value, Error> {
    let mut evaluator = Evaluator::new(scope, memo, settings);
    let output = match settings.recursive {
        true => evaluator.render_until_stable(&Text::from(template.parsed.source.0.clone()))?,
        false => evaluator.template(&template.parsed)?,
    };
    evaluator.result(output, typed)
}
