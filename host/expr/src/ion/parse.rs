//! Reads Ion text. Annotations are dropped, symbols become text, blobs stay base64 text.
use std::sync::Arc;

use crate::number::{Kind, Number};
use crate::time::{self, Time};
use crate::value::{Map, Value};

/// Nesting of containers.
const MAX_DEPTH: u32 = 256;

/// Why Ion could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {at} of the Ion text")]
pub(crate) struct IonError {
    message: String,
    at: usize,
}

/// The first value, or null when there is none.
pub(crate) fn parse_first(text: &str) -> Result<Value, IonError> {
    let mut reader = Reader { text, at: 0 };
    Ok(reader.top_level()?.unwrap_or_default())
}

/// All values, at most `limit`.
pub(crate) fn parse_rows(text: &str, limit: usize) -> Result<Vec<Value>, IonError> {
    let mut reader = Reader { text, at: 0 };
    let mut rows = Vec::new();
    while let Some(row) = reader.top_level()? {
        if rows.len() == limit {
            return Err(reader.error(format!("more than {limit} values")));
        }
        rows.push(row);
    }
    Ok(rows)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn error(&self, message: impl Into<String>) -> IonError {
        IonError { message: message.into(), at: self.at }
    }

    fn skip_space(&mut self) -> Result<(), IonError> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            if self.eat("//") {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if self.eat("/*") {
                match self.rest().find("*/") {
                    Some(end) => self.at += end + 2,
                    None => return Err(self.error("comment without end")),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn top_level(&mut self) -> Result<Option<Value>, IonError> {
        loop {
            self.skip_space()?;
            if self.eat("$ion_1_0") {
                continue;
            }
            return match self.peek() {
                None => Ok(None),
                Some(_) => self.value(0).map(Some),
            };
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value, IonError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        // Annotations come before the value, in any number.
        loop {
            self.skip_space()?;
            let value = match self.peek() {
                Some('{') if self.rest().starts_with("{{") => self.lob()?,
                Some('{') => self.container('{', depth)?,
                Some('[') => self.container('[', depth)?,
                Some('(') => self.container('(', depth)?,
                Some('"') => {
                    self.at += 1;
                    Value::from(self.quoted("\"")?)
                }
                Some('\'') if self.rest().starts_with("'''") => self.long_text()?,
                Some('\'') => {
                    self.at += 1;
                    Value::from(self.quoted("'")?)
                }
                Some(_) => self.word()?,
                None => return Err(self.error("expected a value, found the end")),
            };
            self.skip_space()?;
            if !(matches!(value, Value::Text(_)) && self.eat("::")) {
                return Ok(value);
            }
        }
    }

    fn container(&mut self, open: char, depth: u32) -> Result<Value, IonError> {
        self.at += 1;
        let close = match open {
            '{' => "}",
            '[' => "]",
            _ => ")",
        };
        let (mut map, mut items) = (Map::new(), Vec::new());
        loop {
            self.skip_space()?;
            if self.eat(close) {
                break;
            }
            if open == '{' {
                let key = self.field_name()?;
                self.skip_space()?;
                if !self.eat(":") {
                    return Err(self.error("expected `:` after a field name"));
                }
                let value = self.value(depth + 1)?;
                map.insert(key.into(), value);
            } else {
                items.push(self.value(depth + 1)?);
            }
            self.skip_space()?;
            if !self.eat(",") && open != '(' && !self.rest().starts_with(close) {
                return Err(self.error(format!("expected `,` or `{close}`")));
            }
        }
        Ok(if open == '{' { map.into() } else { Value::List(Arc::new(items)) })
    }

    fn field_name(&mut self) -> Result<String, IonError> {
        if self.eat("\"") {
            return self.quoted("\"");
        }
        if self.rest().starts_with("'''") {
            return Ok(self.long_text()?.as_str().unwrap_or_default().to_owned());
        }
        if self.eat("'") {
            return self.quoted("'");
        }
        let name = self.bare();
        match name.is_empty() {
            true => Err(self.error("expected a field name")),
            false => Ok(name.to_owned()),
        }
    }

    fn bare(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or("")
    }

    /// Text up to the closing quote.
    fn quoted(&mut self, quote: &str) -> Result<String, IonError> {
        let mut out = String::new();
        loop {
            if self.eat(quote) {
                return Ok(out);
            }
            match self.next() {
                None => return Err(self.error("text without closing quote")),
                Some('\\') => out.extend(self.escape()?),
                Some(c) => out.push(c),
            }
        }
    }

    fn long_text(&mut self) -> Result<Value, IonError> {
        let mut out = String::new();
        while self.eat("'''") {
            out.push_str(&self.quoted("'''")?);
            self.skip_space()?;
        }
        Ok(out.into())
    }

    fn escape(&mut self) -> Result<Option<char>, IonError> {
        Ok(Some(match self.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('0') => '\0',
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('v') => '\u{b}',
            Some('\n') => return Ok(None),
            Some('x') => self.code(2)?,
            Some('u') => self.code(4)?,
            Some('U') => self.code(8)?,
            Some(c @ ('"' | '\'' | '\\' | '/' | '?')) => c,
            _ => return Err(self.error("unknown escape")),
        }))
    }

    fn code(&mut self, digits: usize) -> Result<char, IonError> {
        let hex = self.rest().get(..digits).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let hex = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        self.at += digits;
        hex.and_then(char::from_u32).ok_or_else(|| self.error("expected a character code"))
    }

    fn lob(&mut self) -> Result<Value, IonError> {
        self.at += 2;
        match self.rest().find("}}") {
            Some(end) => {
                let inside = self.rest().get(..end).unwrap_or("").trim().trim_matches('"').to_owned();
                self.at += end + 2;
                Ok(inside.into())
            }
            None => Err(self.error("`{{` without `}}`")),
        }
    }

    /// A symbol, number, timestamp, boolean or null.
    fn word(&mut self) -> Result<Value, IonError> {
        let rest = self.rest();
        let numeric = rest.strip_prefix('-').unwrap_or(rest).starts_with(|c: char| c.is_ascii_digit());
        if !numeric {
            let name = self.bare();
            return match name {
                "" => Err(self.error(format!("unexpected `{}`", self.peek().unwrap_or(' ')))),
                "null" => {
                    if self.eat(".") {
                        self.bare();
                    }
                    Ok(Value::Null)
                }
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                "nan" => Err(self.error("`nan` is not supported")),
                symbol => Ok(symbol.into()),
            };
        }
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.:_".contains(c))).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or("");
        let value = number(text).or_else(|| timestamp(text)).ok_or_else(|| self.error(format!("cannot read `{text}`")));
        self.at += end;
        value
    }
}

fn number(text: &str) -> Option<Value> {
    let plain = text.replace('_', "");
    let digits = plain.strip_prefix('-').unwrap_or(&plain);
    let sign = if plain.starts_with('-') { "-" } else { "" };
    for (prefix, radix) in [("0x", 16), ("0X", 16), ("0b", 2), ("0B", 2)] {
        if let Some(digits) = digits.strip_prefix(prefix) {
            return i64::from_str_radix(&format!("{sign}{digits}"), radix).ok().map(Value::Int);
        }
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return match plain.parse() {
            Ok(value) => Some(Value::Int(value)),
            Err(_) => Number::new(Kind::BigInteger, &plain).map(Value::Number),
        };
    }
    if digits.contains(['d', 'D']) {
        let decimal = plain.replace(['d', 'D'], "e");
        return Number::new(Kind::BigDecimal, &decimal).map(Value::Number);
    }
    Number::new(Kind::BigDecimal, &plain)?;
    plain.parse().ok().and_then(Value::float)
}

fn timestamp(text: &str) -> Option<Value> {
    let text = text.strip_suffix('T').unwrap_or(text);
    let date = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    if let Some(date) = time::parse_date(&date) {
        return Some(Value::time(Time::Date(date)));
    }
    let zoned = time::parse_zoned(text)?;
    Some(Value::time(if text.ends_with('Z') { Time::Instant(zoned.timestamp()) } else { Time::Zoned(zoned) }))
}
