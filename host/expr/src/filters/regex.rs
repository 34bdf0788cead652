//! Filters with regular expressions. Linear in the text: no look-around, no back references. Patterns are Java's as
//! far as both languages go: `\d`, `\w` and `\s` are ASCII, replacements are `$1` and `${name}`.
use regex::{Captures, Regex, RegexBuilder};

use super::text::each_text;
use crate::error::Error;
use crate::eval::print::string_of;
use crate::eval::{Args, Evaluator};
use crate::value::Value;

/// Text length times compiled size that one use may cost: about half a second at worst.
const WORK: usize = 1 << 30;
/// Compiled size for short texts: patterns of people stay below a tenth of it.
const SIZE_BYTES: usize = 1 << 18;
/// Smallest size that still compiles everyday patterns, for the longest texts.
const SIZE_BYTES_LEAST: usize = 1 << 13;
/// Nesting of groups.
const NESTING: u32 = 50;

/// Compiles a pattern for use on `text_bytes` of text.
fn compile(evaluator: &mut Evaluator<'_>, pattern: &str, text_bytes: usize) -> Result<Regex, Error> {
    evaluator.charge_bytes(text_bytes)?;
    evaluator.charge(pattern.len())?;
    let size = (WORK / text_bytes.max(1)).clamp(SIZE_BYTES_LEAST, SIZE_BYTES);
    RegexBuilder::new(&from_java(pattern)).size_limit(size).dfa_size_limit(1 << 21).nest_limit(NESTING).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(_) => Error::limit(
                "expression.limit.regex",
                format!("regular expression `{pattern}` is too large"),
                "use fewer and smaller repetitions",
            ),
            _ => Error::invalid_hint(
                format!("`{pattern}` is no regular expression"),
                "look-around and back references are not available",
            ),
        },
    )
}

/// Java's classes are ASCII, Rust's are Unicode.
fn from_java(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut class_depth = 0_u32;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match (chars.next(), class_depth > 0) {
                (Some('d'), false) => out.push_str("[0-9]"),
                (Some('d'), true) => out.push_str("0-9"),
                (Some('D'), _) => out.push_str("[^0-9]"),
                (Some('w'), false) => out.push_str("[a-zA-Z0-9_]"),
                (Some('w'), true) => out.push_str("a-zA-Z0-9_"),
                (Some('W'), _) => out.push_str("[^a-zA-Z0-9_]"),
                (Some('s'), false) => out.push_str("[ \\t\\n\\x0B\\f\\r]"),
                (Some('s'), true) => out.push_str(" \\t\\n\\x0B\\f\\r"),
                (Some('S'), _) => out.push_str("[^ \\t\\n\\x0B\\f\\r]"),
                (Some('Z'), false) => out.push_str("\\z"),
                (Some('h'), _) => out.push_str("[ \\t\\u00A0]"),
                (Some('R'), false) => out.push_str("(?:\\r\\n|[\\n\\x0B\\f\\r\\u0085\\u2028\\u2029])"),
                (Some('Q'), _) => {
                    let mut quoted = String::new();
                    while let Some(c) = chars.next() {
                        if c == '\\' && chars.peek() == Some(&'E') {
                            chars.next();
                            break;
                        }
                        quoted.push(c);
                    }
                    out.push_str(&regex::escape(&quoted));
                }
                (Some(other), _) => {
                    out.push('\\');
                    out.push(other);
                }
                (None, _) => out.push('\\'),
            },
            '[' => {
                class_depth += 1;
                out.push('[');
            }
            ']' => {
                class_depth = class_depth.saturating_sub(1);
                out.push(']');
            }
            other => out.push(other),
        }
    }
    out
}

pub(super) fn is_match(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    if input.is_null() {
        return Ok(Value::Bool(false));
    }
    let text = string_of(input)?;
    let regex = compile(evaluator, &args.text(0)?, text.len())?;
    Ok(regex.is_match(&text).into())
}

pub(super) fn extract(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let text = string_of(input)?;
    let regex = compile(evaluator, &args.text(0)?, text.len())?;
    let group = args.get(1).map_or(Ok(0), |_| args.size(1))?;
    if group >= regex.captures_len() {
        return Err(Error::invalid(format!("the regular expression has no group {group}")));
    }
    let found = regex.captures(&text).and_then(|captures| captures.get(group));
    Ok(found.map_or(Value::Null, |found| found.as_str().into()))
}

pub(super) fn replace(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let text = string_of(input)?;
    let regex = compile(evaluator, &args.text(0)?, text.len())?;
    let limit = evaluator.settings.limits.output_bytes;
    replace_all(&regex, &text, &args.text(1)?, limit).map(Value::from)
}

/// Replaces keys by values, in a text or in every text of a list or map.
pub(super) fn replace_pairs(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let Value::Map(pairs) = args.required(0)? else {
        let message = "argument `replace_pairs` of `replace` must be a map";
        return Err(Error::invalid_hint(message, "write `replace({'old': 'new'})`"));
    };
    let regexp = args.flag(1, false)?;
    let size = match input {
        Value::List(_) | Value::Map(_) => 1 << 16,
        other => string_of(other)?.len(),
    };
    let mut compiled = Vec::new();
    for (from, to) in pairs.iter() {
        let regex = if regexp { Some(compile(evaluator, from, size)?) } else { None };
        compiled.push((from.clone(), regex, string_of(to)?));
    }
    evaluator.charge_bytes(size)?;
    let limit = evaluator.settings.limits.output_bytes;
    each_text(input, &|text| {
        compiled.iter().try_fold(text.to_owned(), |text, (from, regex, to)| match regex {
            Some(regex) => replace_all(regex, &text, to, limit),
            None => {
                let hits = if to.len() > from.len() { text.matches(from.as_ref()).count() } else { 0 };
                check_size(text.len().saturating_add(hits.saturating_mul(to.len())), limit)?;
                Ok(text.replace(from.as_ref(), to))
            }
        })
    })
}

fn check_size(bytes: usize, limit: usize) -> Result<(), Error> {
    match bytes > limit {
        true => Err(Error::limit(
            "expression.limit.output",
            format!("the expression makes more than {limit} bytes of text"),
            "put large text into a file",
        )),
        false => Ok(()),
    }
}

fn replace_all(regex: &Regex, text: &str, replacement: &str, limit: usize) -> Result<String, Error> {
    let mut out = String::new();
    let mut from = 0;
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(text.get(from..whole.start()).unwrap_or(""));
        expand(&captures, replacement, &mut out)?;
        from = whole.end();
        check_size(out.len(), limit)?;
    }
    out.push_str(text.get(from..).unwrap_or(""));
    check_size(out.len(), limit)?;
    Ok(out)
}

/// Java's replacement text: `$1` takes as many digits as there are groups for, `\` makes the next character plain.
fn expand(captures: &Captures<'_>, replacement: &str, out: &mut String) -> Result<(), Error> {
    let no_group = |name: &str| Error::invalid(format!("the regular expression has no group `{name}`"));
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            '$' if chars.peek() == Some(&'{') => {
                chars.next();
                let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let found = captures.name(&name).map(|found| found.as_str());
                out.push_str(found.ok_or_else(|| no_group(&name))?);
            }
            '$' => {
                let first = chars.next().and_then(|c| c.to_digit(10));
                let mut group =
                    first.ok_or_else(|| Error::invalid("`$` in a replacement needs a group number"))? as usize;
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    let longer = group * 10 + digit as usize;
                    if longer >= captures.len() {
                        break;
                    }
                    group = longer;
                    chars.next();
                }
                if group >= captures.len() {
                    return Err(no_group(&group.to_string()));
                }
                out.push_str(captures.get(group).map_or("", |found| found.as_str()));
            }
            other => out.push(other),
        }
    }
    Ok(())
}

/// Splits at a regular expression; empty texts at the end go, as in Java, unless a limit is given.
pub(super) fn split(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let text = string_of(input)?;
    let regex = compile(evaluator, &args.text(0)?, text.len())?;
    let limit = args.optional_int(1)?.unwrap_or(0);
    // A match of nothing at the start makes no empty first part.
    let skipped = usize::from(regex.find(&text).is_some_and(|found| found.end() == 0));
    let mut parts: Vec<&str> = match usize::try_from(limit) {
        Ok(limit) if limit > 0 => regex.splitn(&text, limit.saturating_add(skipped)).skip(skipped).collect(),
        _ => regex.split(&text).skip(skipped).collect(),
    };
    if limit == 0 && parts.len() > 1 {
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
    }
    evaluator.charge(parts.len())?;
    Ok(Value::list(parts.into_iter().map(Value::from)))
}
