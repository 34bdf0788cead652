//! The `yaml` filter: block style, quotes only where needed, list items indented by one space.
use crate::error::Error;
use crate::eval::{Args, Evaluator};
use crate::json::{float_text, write_string};
use crate::value::Value;

pub(super) fn yaml(evaluator: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    evaluator.charge_print(input)?;
    let mut out = String::new();
    match input {
        // No document, but the word.
        Value::Null => out.push_str("null"),
        Value::List(items) if !items.is_empty() => list(&mut out, items, 1)?,
        Value::Map(entries) if !entries.is_empty() => map(&mut out, entries, 0)?,
        other => {
            scalar(&mut out, other, 0)?;
            out.push('\n');
        }
    }
    Ok(out.into())
}

fn pad(out: &mut String, width: usize) {
    out.extend(std::iter::repeat_n(' ', width));
}

/// Items at `indent`; what they hold stands two further.
fn list(out: &mut String, items: &[Value], indent: usize) -> Result<(), Error> {
    for item in items {
        pad(out, indent);
        out.push_str("- ");
        inline(out, item, indent + 2)?;
    }
    Ok(())
}

/// A value straight after `- `: the first line is already indented.
fn inline(out: &mut String, value: &Value, indent: usize) -> Result<(), Error> {
    let nested = {
        let mut nested = String::new();
        match value {
            Value::List(items) if !items.is_empty() => list(&mut nested, items, indent)?,
            Value::Map(entries) if !entries.is_empty() => map(&mut nested, entries, indent)?,
            other => {
                scalar(&mut nested, other, indent)?;
                nested.push('\n');
            }
        }
        nested
    };
    out.push_str(nested.trim_start_matches(' '));
    Ok(())
}

fn map(out: &mut String, entries: &crate::value::Map, indent: usize) -> Result<(), Error> {
    for (key, value) in entries {
        pad(out, indent);
        text(out, key, indent);
        out.push(':');
        match value {
            Value::List(items) if !items.is_empty() => {
                out.push('\n');
                list(out, items, indent + 1)?;
            }
            Value::Map(inner) if !inner.is_empty() => {
                out.push('\n');
                map(out, inner, indent + 2)?;
            }
            other => {
                out.push(' ');
                scalar(out, other, indent + 2)?;
                out.push('\n');
            }
        }
    }
    Ok(())
}

fn scalar(out: &mut String, value: &Value, indent: usize) -> Result<(), Error> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&float_text(*value)),
        Value::Number(number) => out.push_str(number.as_str()),
        Value::Text(value) => text(out, &value.reveal()?, indent),
        Value::Time(time) => write_string(out, &time.to_json_text()),
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
    }
    Ok(())
}

fn text(out: &mut String, text: &str, indent: usize) {
    let printable = !text.chars().any(|c| c.is_control() && c != '\n');
    let ragged = text.lines().any(|line| line.ends_with(' ')) || text.starts_with([' ', '\n']);
    if text.contains('\n') && printable && !ragged {
        let kept = text.strip_suffix('\n');
        out.push_str(match kept {
            None => "|-",
            Some(rest) if rest.ends_with('\n') => "|+",
            Some(_) => "|",
        });
        for line in kept.unwrap_or(text).split('\n') {
            out.push('\n');
            if !line.is_empty() {
                pad(out, indent.max(2));
                out.push_str(line);
            }
        }
    } else if is_plain(text) {
        out.push_str(text);
    } else {
        write_string(out, text);
    }
}

/// Whether text means itself when it stands without quotes.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 12] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "~", "", "<<"];
    let lower = text.to_ascii_lowercase();
    let indicator = text.starts_with(|c: char| "-?:,[]{}#&*!|>'\"%@` =".contains(c));
    let looks_numeric = lower.trim_start_matches(['+', '-', '.']).starts_with(|c: char| c.is_ascii_digit())
        && lower.chars().all(|c| c.is_ascii_hexdigit() || ".+-_ex:".contains(c));
    !(WORDS.contains(&lower.as_str())
        || indicator
        || looks_numeric
        || text.ends_with([' ', ':'])
        || text.contains(": ")
        || text.contains(" #")
        || text.chars().any(char::is_control)
        || matches!(lower.as_str(), ".inf" | "-.inf" | ".nan"))
}
