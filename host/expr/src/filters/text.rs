//! Filters on text. Positions and lengths count UTF-16 units where Kestra's do.
use std::sync::Arc;

use super::wrong_input;
use crate::error::Error;
use crate::eval::print::{print, string_of};
use crate::eval::{Args, Evaluator};
use crate::text::TextBuilder;
use crate::value::{Map, Value};

/// The input as text; other values as they join into text.
fn given(input: &Value) -> Result<String, Error> {
    string_of(input)
}

/// The input, which must be text.
fn text_only(input: &Value, args: &Args) -> Result<String, Error> {
    match input {
        Value::Text(text) => text.reveal().map(|text| text.into_owned()),
        other => Err(wrong_input(args, "text", other)),
    }
}

pub(super) fn upper(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    Ok(given(input)?.to_uppercase().into())
}

pub(super) fn lower(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    Ok(given(input)?.to_lowercase().into())
}

pub(super) fn trim(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    Ok(given(input)?.trim().into())
}

pub(super) fn capitalize(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    let text = given(input)?;
    let mut chars = text.char_indices();
    let Some((at, first)) = chars.find(|(_, c)| !c.is_whitespace()) else { return Ok(text.into()) };
    let (before, rest) = text.split_at(at);
    let rest = rest.strip_prefix(first).unwrap_or("");
    Ok(format!("{before}{}{rest}", first.to_uppercase()).into())
}

pub(super) fn title(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    let mut out = String::new();
    let mut starts_word = true;
    for c in given(input)?.chars() {
        match (c.is_whitespace(), starts_word) {
            (true, _) => {
                starts_word = true;
                out.push(c);
            }
            (false, true) => {
                starts_word = false;
                out.extend(c.to_uppercase());
            }
            (false, false) => out.push(c),
        }
    }
    Ok(out.into())
}

pub(super) fn abbreviate(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let text = text_only(input, args)?;
    let width = args.size(0)?;
    let length = text.chars().count();
    let start = |count: usize| text.chars().take(count).collect::<String>();
    Ok(match () {
        () if length < width || length <= 3 => text.into(),
        () if width <= 3 => start(width).into(),
        () => format!("{}...", start(width - 3)).into(),
    })
}

pub(super) fn condense(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    Ok(text_only(input, args)?.replace('\n', "").into())
}

pub(super) fn sh(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    Ok(given(input)?.replace('\'', "'\\''").into())
}

pub(super) fn starts_with(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    Ok(given(input)?.starts_with(&given(args.required(0)?)?).into())
}

pub(super) fn ends_with(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    Ok(given(input)?.ends_with(&given(args.required(0)?)?).into())
}

/// Any value as the text it prints.
pub(super) fn string(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    let mut out = TextBuilder::default();
    print(&mut out, input)?;
    Ok(Value::Text(out.finish()))
}

pub(super) fn substring_before(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let (text, separator) = (given(input)?, args.text(0)?);
    Ok(text.split_once(separator.as_ref()).map_or(text.as_str(), |(before, _)| before).into())
}

pub(super) fn substring_before_last(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let (text, separator) = (given(input)?, args.text(0)?);
    if separator.is_empty() {
        return Ok(text.into());
    }
    Ok(text.rsplit_once(separator.as_ref()).map_or(text.as_str(), |(before, _)| before).into())
}

pub(super) fn substring_after(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let (text, separator) = (given(input)?, args.text(0)?);
    Ok(text.split_once(separator.as_ref()).map_or("", |(_, after)| after).into())
}

pub(super) fn substring_after_last(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let (text, separator) = (given(input)?, args.text(0)?);
    if separator.is_empty() {
        return Ok("".into());
    }
    Ok(text.rsplit_once(separator.as_ref()).map_or("", |(_, after)| after).into())
}

/// Indents every line but the first.
pub(super) fn indent(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let text = given(input)?;
    if text.is_empty() {
        return Ok(text.into());
    }
    let line_end = line_end(&text);
    let deep = format!("{line_end}{}", prefix(evaluator, args)?);
    evaluator.charge_bytes(text.len().saturating_add(text.matches(line_end).count().saturating_mul(deep.len())))?;
    Ok(text.replace(line_end, &deep).into())
}

/// Starts a new line, and indents every line.
pub(super) fn nindent(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let text = given(input)?;
    if text.is_empty() {
        return Ok(text.into());
    }
    indent(evaluator, &format!("{}{text}", line_end(&text)).into(), args)
}

fn prefix(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<String, Error> {
    let (amount, prefix) = (args.size(0)?, args.optional_text(1)?.unwrap_or(" ".into()));
    evaluator.charge_bytes(prefix.len().saturating_mul(amount))?;
    Ok(prefix.repeat(amount))
}

fn line_end(text: &str) -> &'static str {
    ["\r\n", "\n\r", "\n", "\r"].into_iter().find(|end| text.contains(end)).unwrap_or("\n")
}

/// Escapes quotes in a text, or in every text of a list or map.
pub(super) fn escape_char(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let (quote, escaped) = match args.text(0)?.to_ascii_lowercase().as_str() {
        "single" => ("'", "\\'"),
        "double" => ("\"", "\\\""),
        "shell" => ("'", "'\\''"),
        other => {
            let message = format!("argument `type` of `escapeChar` cannot be `{other}`");
            return Err(Error::invalid_hint(message, "use `single`, `double` or `shell`"));
        }
    };
    each_text(input, &|text| Ok(text.replace(quote, escaped)))
}

/// Changes a text, or every text in a list or map; other values as the text they join into.
pub(super) fn each_text(input: &Value, change: &dyn Fn(&str) -> Result<String, Error>) -> Result<Value, Error> {
    Ok(match input {
        Value::List(items) => {
            Value::List(Arc::new(items.iter().map(|item| each_text(item, change)).collect::<Result<_, _>>()?))
        }
        Value::Map(map) => {
            let entries = map.iter().map(|(key, item)| Ok((key.clone(), each_text(item, change)?)));
            entries.collect::<Result<Map, Error>>()?.into()
        }
        Value::Null => Value::Null,
        other => change(&given(other)?)?.into(),
    })
}

/// White space becomes `-`, accents go, everything but letters, digits and `-` goes, runs of `-` become one.
pub(super) fn slugify(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    let mut out = String::new();
    for c in given(input)?.chars() {
        match c {
            _ if c.is_whitespace() || c == '-' || c == '_' => {
                if !out.ends_with('-') {
                    out.push('-');
                }
            }
            _ if c.is_ascii_alphanumeric() => out.push(c.to_ascii_lowercase()),
            _ => out.extend(without_accent(c).map(|c| c.to_ascii_lowercase())),
        }
    }
    Ok(out.trim_matches('-').into())
}

/// The letter under the accents of Latin letters that decompose; nothing for other characters.
fn without_accent(c: char) -> Option<char> {
    const BASES: [(&str, char); 26] = [
        ("àáâãäåāăąǎ", 'a'),
        ("çćĉċč", 'c'),
        ("ďḋḍ", 'd'),
        ("èéêëēĕėęě", 'e'),
        ("ĝğġģǧ", 'g'),
        ("ĥȟḣ", 'h'),
        ("ìíîïĩīĭįǐ", 'i'),
        ("ĵǰ", 'j'),
        ("ķǩ", 'k'),
        ("ĺļľ", 'l'),
        ("ṁṃ", 'm'),
        ("ñńņňǹ", 'n'),
        ("òóôõöōŏőǒ", 'o'),
        ("ŕŗř", 'r'),
        ("śŝşšș", 's'),
        ("ţťț", 't'),
        ("ùúûüũūŭůűųǔ", 'u'),
        ("ŵẁẃẅ", 'w'),
        ("ýÿŷỳ", 'y'),
        ("źżž", 'z'),
        ("ẋẍ", 'x'),
        ("ḃḅ", 'b'),
        ("ḟ", 'f'),
        ("ṕṗ", 'p'),
        ("ẇẉ", 'w'),
        ("ṽṿ", 'v'),
    ];
    let lower = c.to_lowercase().next().unwrap_or(c);
    BASES.iter().find(|(letters, _)| letters.contains(lower)).map(|(_, base)| *base)
}
