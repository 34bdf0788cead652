//! Reads JSON text. Strict, with positions; nesting is bounded; integers beyond 64 bits stay exact.
use std::sync::Arc;

use crate::number::{Kind, Number};
use crate::value::{Map, Value};

/// Nesting of JSON that is read: what Jackson and most others allow by far, with room on a 2 MiB stack.
const MAX_DEPTH: u32 = 256;

/// Why JSON could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line}, column {column} of the JSON")]
pub struct JsonError {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

/// Reads one JSON value; only white space may follow it.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_space();
    let value = reader.value(0)?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(value),
        Some(c) => Err(reader.error(format!("unexpected `{c}` after the value"))),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
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

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn error(&self, message: impl Into<String>) -> JsonError {
        let before = self.text.get(..self.at).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        JsonError {
            message: message.into(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        match self.peek() {
            Some('{') => self.map(depth),
            Some('[') => self.list(depth),
            Some('"') => self.string().map(|text| Value::text(text.as_str())),
            Some('-' | '0'..='9') => self.number(),
            _ if self.eat("true") => Ok(Value::Bool(true)),
            _ if self.eat("false") => Ok(Value::Bool(false)),
            _ if self.eat("null") => Ok(Value::Null),
            Some(c) => Err(self.error(format!("expected a value, found `{c}`"))),
            None => Err(self.error("expected a value, found the end")),
        }
    }

    fn map(&mut self, depth: u32) -> Result<Value, JsonError> {
        self.at += 1;
        let mut map = Map::new();
        self.skip_space();
        if self.eat("}") {
            return Ok(map.into());
        }
        loop {
            self.skip_space();
            if self.peek() != Some('"') {
                return Err(self.error("expected a key in double quotes"));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.eat(":") {
                return Err(self.error("expected `:` after the key"));
            }
            self.skip_space();
            let value = self.value(depth + 1)?;
            map.insert(key.into(), value);
            self.skip_space();
            if self.eat("}") {
                return Ok(map.into());
            }
            if !self.eat(",") {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    fn list(&mut self, depth: u32) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.eat("]") {
            return Ok(Value::List(Arc::new(items)));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.eat("]") {
                return Ok(Value::List(Arc::new(items)));
            }
            if !self.eat(",") {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            match self.next() {
                None => return Err(self.error("text without closing quote")),
                Some('"') => return Ok(out),
                Some('\\') => out.push(self.escape()?),
                Some(c) if c < ' ' => return Err(self.error("control character in text: write it as an escape")),
                Some(c) => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        Ok(match self.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let high = self.hex4()?;
                let low = self.rest().strip_prefix("\\u").and_then(hex_code);
                let code = match (high, low) {
                    (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                        self.at += 6;
                        0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
                    }
                    (code, _) => code,
                };
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(self.error("unknown escape in text")),
        })
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let code = hex_code(self.rest()).ok_or_else(|| self.error("expected four hex digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let end = self.rest().find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let text = self.rest().get(..end.unwrap_or(usize::MAX)).unwrap_or(self.rest()).to_owned();
        let value = number(&text).ok_or_else(|| self.error(format!("`{text}` is no number")));
        self.at += text.len();
        value
    }
}

fn hex_code(text: &str) -> Option<u32> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// A JSON number: an `i64` where it fits, an exact integer beyond, else a finite float.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes().get(1)?.is_ascii_digit();
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || leading_zero {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse() {
            Ok(value) => Some(Value::Int(value)),
            Err(_) => Number::new(Kind::BigInteger, text).map(Value::Number),
        };
    }
    let whole_then_part = digits.split_once('.');
    if whole_then_part.is_some_and(|(_, part)| !part.starts_with(|c: char| c.is_ascii_digit())) {
        return None;
    }
    text.parse().ok().and_then(Value::float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_bounded() {
        let lists = |depth: usize| parse(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        let maps = |depth: usize| parse(&format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)));
        assert!(lists(257).is_ok() && maps(256).is_ok());
        for refused in [lists(258), maps(257)] {
            assert!(refused.is_err_and(|error| error.message == "nested more than 256 deep"));
        }
    }
}
