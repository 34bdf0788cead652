//! How values become text inside expressions, secrets kept as spans: printed as JSON, or joined as Java would join
//! them (`[a, b]`, `{key=value}`).
use crate::error::Error;
use crate::json::{self, Secrets};
use crate::text::{Span, Text, TextBuilder};
use crate::value::Value;

/// What `{{ value }}` adds to the output; null adds nothing.
pub(crate) fn print(out: &mut TextBuilder, value: &Value) -> Result<(), Error> {
    match value {
        Value::Null => {}
        Value::Text(text) => out.push_text(text),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Time(time) => out.push_str(&time.to_string()),
        other => print_json(out, other)?,
    }
    Ok(())
}

/// A value as JSON. A secret text stays a span of its own where JSON writes it as it is.
pub(crate) fn print_json(out: &mut TextBuilder, value: &Value) -> Result<(), Error> {
    match value {
        Value::Text(text) if text.is_secret() => {
            out.push_str("\"");
            out.push_text(&escaped(text)?);
            out.push_str("\"");
        }
        Value::List(items) if value.has_secret() => {
            out.push_str("[");
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                print_json(out, item)?;
            }
            out.push_str("]");
        }
        Value::Map(map) if value.has_secret() => {
            out.push_str("{");
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                print_json(out, &Value::from(key.clone()))?;
                out.push_str(":");
                print_json(out, item)?;
            }
            out.push_str("}");
        }
        plain => {
            let mut text = String::new();
            json::write_value(&mut text, plain, Secrets::Revealed)?;
            out.push_str(&text);
        }
    }
    Ok(())
}

/// The inside of a JSON string literal.
fn escaped(text: &Text) -> Result<Text, Error> {
    let mut spans = Vec::new();
    for span in text.spans() {
        let Span::Secret(secret) = span.as_ref() else {
            if let Span::Plain(plain) = span.as_ref() {
                spans.push(Span::Plain(literal(plain).into()));
            }
            continue;
        };
        match secret.value() {
            Some(value) if literal(value) != value.as_ref() => {
                let whole = Value::Text(Text::from_span(span.as_ref().clone()));
                let made =
                    super::secrets::derived("text:json", [("input".into(), whole)].into(), Vec::new(), literal(value));
                spans.push(made);
            }
            _ => spans.push(span.as_ref().clone()),
        }
    }
    Ok(Text::from_spans(spans))
}

pub(crate) fn literal(text: &str) -> String {
    let mut out = String::new();
    json::write_string(&mut out, text);
    out.get(1..out.len().saturating_sub(1)).unwrap_or("").to_owned()
}

/// What `~` and filters on text make of a value.
pub(crate) fn join(out: &mut TextBuilder, value: &Value) -> Result<(), Error> {
    match value {
        Value::List(items) => {
            out.push_str("[");
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                join_item(out, item)?;
            }
            out.push_str("]");
        }
        Value::Map(map) => {
            out.push_str("{");
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(key);
                out.push_str("=");
                join_item(out, item)?;
            }
            out.push_str("}");
        }
        other => print(out, other)?,
    }
    Ok(())
}

pub(crate) fn join_item(out: &mut TextBuilder, value: &Value) -> Result<(), Error> {
    match value {
        Value::Null => out.push_str("null"),
        other => join(out, other)?,
    }
    Ok(())
}

/// The text of any value, spans kept.
pub(crate) fn text_of(value: &Value) -> Result<Text, Error> {
    if let Value::Text(text) = value {
        return Ok(text.clone());
    }
    let mut out = TextBuilder::default();
    join(&mut out, value)?;
    Ok(out.finish())
}

/// The text of any value, secrets revealed.
pub(crate) fn string_of(value: &Value) -> Result<String, Error> {
    text_of(value)?.reveal().map(|text| text.into_owned())
}
