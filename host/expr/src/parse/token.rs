//! Splits a template into tokens. Knows quotes, brackets and delimiters; knows nothing of grammar.
//! Never looks at a byte twice more than a constant number of times, so hostile input costs linear time.
use std::sync::Arc;

use crate::error::Error;
use crate::source::Source;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub kind: Kind,
    /// Byte offset in the template.
    pub at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Text outside of delimiters.
    Text(Arc<str>),
    /// Text of a raw or verbatim tag, as written: tag, content, end tag.
    Raw {
        content: Arc<str>,
        tag: Arc<str>,
    },
    PrintStart,
    PrintEnd,
    TagStart,
    TagEnd,
    Name(Arc<str>),
    /// Digits, with a fraction or not.
    Number(Arc<str>),
    Quoted(Arc<str>),
    /// A double-quoted text with `#{…}` in it: opens, then texts and expressions, then closes.
    QuoteOpen,
    QuoteClose,
    InterpolationOpen,
    InterpolationClose,
    Operator(&'static str),
    Punctuation(char),
    End,
}

/// Longest first among those that share a beginning. Words are operators only as whole words.
const OPERATORS: [&str; 27] = [
    "is not", "isNotIn", "contains", "equals", "isIn", "not", "and", "???", "or", "is", "??", "==", "!=", ">=", "<=",
    "..", "&&", "||", ">", "<", "+", "-", "*", "/", "%", "|", "~",
];

struct Tokenizer<'a> {
    source: &'a Source,
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
    /// Open brackets, innermost last: `(`, `[`, `{`, `"` for a text with interpolation, `#` for `#{`.
    brackets: Vec<(char, usize)>,
    trim_next_text: bool,
}

pub(crate) fn tokenize(source: &Source) -> Result<Vec<Token>, Error> {
    let mut tokenizer =
        Tokenizer { source, text: &source.0, at: 0, tokens: Vec::new(), brackets: Vec::new(), trim_next_text: false };
    while tokenizer.at < tokenizer.text.len() {
        tokenizer.data()?;
    }
    tokenizer.push(Kind::End, tokenizer.at);
    Ok(tokenizer.tokens)
}

impl<'a> Tokenizer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn push(&mut self, kind: Kind, at: usize) {
        self.tokens.push(Token { kind, at });
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Text up to the next delimiter, then what the delimiter opens.
    fn data(&mut self) -> Result<(), Error> {
        let (start, rest) = (self.at, self.rest());
        let found = next_delimiter(rest);
        let mut text = rest.get(..found.unwrap_or(rest.len())).unwrap_or("");
        if std::mem::take(&mut self.trim_next_text) {
            text = text.trim_start();
        }
        let Some(found) = found else {
            self.at = self.text.len();
            self.push_text(text, start);
            return Ok(());
        };
        let opened_at = start + found;
        let delimiter = rest.get(found..found + 2).unwrap_or("");
        self.at = opened_at + 2;
        if self.eats_trim_mark() {
            text = text.trim_end();
        }
        self.push_text(text, start);
        match delimiter {
            "{{" => self.expression(Kind::PrintStart, "}}", Kind::PrintEnd, opened_at),
            "{%" => match self.raw_tag(opened_at)? {
                true => Ok(()),
                false => self.expression(Kind::TagStart, "%}", Kind::TagEnd, opened_at),
            },
            _ => self.comment(opened_at),
        }
    }

    /// `-` straight after an opening delimiter, followed by white space (`{{-1}}` is a number).
    fn eats_trim_mark(&mut self) -> bool {
        let found = self.rest().strip_prefix('-').is_some_and(|rest| rest.starts_with(char::is_whitespace));
        if found {
            self.at += 1;
        }
        found
    }

    fn push_text(&mut self, text: &str, at: usize) {
        if !text.is_empty() {
            self.push(Kind::Text(text.into()), at);
        }
    }

    fn comment(&mut self, opened_at: usize) -> Result<(), Error> {
        let Some(end) = self.rest().find("#}") else {
            return Err(self.source.syntax(opened_at, "comment without end", Some("close it with `#}`".into())));
        };
        self.trim_next_text = self.rest().get(..end).is_some_and(|comment| comment.ends_with('-'));
        self.at += end + 2;
        Ok(())
    }

    /// `raw` and `verbatim`: the content is taken as it is. False when the tag is another one.
    fn raw_tag(&mut self, opened_at: usize) -> Result<bool, Error> {
        let after = self.rest().trim_start_matches('-').trim_start();
        let Some((name, rest)) = ["raw", "verbatim"].iter().find_map(|name| Some((*name, after.strip_prefix(name)?)))
        else {
            return Ok(false);
        };
        let rest = rest.trim_start();
        let Some(content) = rest.strip_prefix("%}").or_else(|| rest.strip_prefix("-%}")) else {
            return Ok(false);
        };
        // Pebble takes white space off the start of a verbatim text, asked or not; `raw` is Kestra's own and keeps it.
        let trim_start = rest.starts_with('-') || name == "verbatim";
        let content_at = self.text.len() - content.len();
        let end_name = format!("end{name}");
        let Some((content_len, end)) = find_end_tag(content, &end_name) else {
            let hint = format!("close it with `{{% {end_name} %}}`");
            return Err(self.source.syntax(opened_at, format!("`{name}` without end"), Some(hint)));
        };
        let mut content = content.get(..content_len).unwrap_or("");
        if trim_start {
            content = content.trim_start();
        }
        if end.trim_before {
            content = content.trim_end();
        }
        self.trim_next_text = end.trim_after;
        self.at = content_at + content_len + end.len;
        let tag = self.text.get(opened_at..self.at).unwrap_or("");
        self.push(Kind::Raw { content: content.into(), tag: tag.into() }, opened_at);
        Ok(true)
    }

    fn expression(&mut self, start: Kind, close: &str, end: Kind, opened_at: usize) -> Result<(), Error> {
        self.push(start, opened_at);
        let outer = std::mem::take(&mut self.brackets);
        loop {
            self.skip_space();
            if self.brackets.is_empty() {
                let trim = self.rest().strip_prefix('-').is_some_and(|rest| rest.starts_with(close));
                if trim {
                    self.at += 1;
                }
                if self.eat(close) {
                    self.trim_next_text = trim;
                    self.push(end, self.at - close.len());
                    self.brackets = outer;
                    return Ok(());
                }
            }
            if self.rest().is_empty() {
                return Err(self.unclosed(close, opened_at));
            }
            self.token()?;
        }
    }

    fn unclosed(&self, close: &str, opened_at: usize) -> Error {
        match self.brackets.last() {
            Some((bracket, at)) => self.source.syntax(*at, format!("`{bracket}` is never closed"), None),
            None => self.source.syntax(opened_at, "expression without end", Some(format!("close it with `{close}`"))),
        }
    }

    fn token(&mut self) -> Result<(), Error> {
        let at = self.at;
        let rest = self.rest();
        let after_dot = matches!(self.tokens.last(), Some(Token { kind: Kind::Punctuation('.'), .. }));
        if let (false, Some(operator)) = (after_dot, operator(rest)) {
            self.at += operator.len();
            self.push(Kind::Operator(operator), at);
            return Ok(());
        }
        let Some(first) = rest.chars().next() else { return Ok(()) };
        if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            self.at += end;
            self.push(Kind::Name(rest.get(..end).unwrap_or("").into()), at);
            return Ok(());
        }
        match first {
            '0'..='9' => self.number(after_dot),
            '\'' => self.single_quoted()?,
            '"' => self.double_quoted()?,
            '(' | '[' | '{' => self.open(first),
            ')' | ']' | '}' => self.close(first)?,
            '?' | ':' | '.' | ',' | '=' => {
                self.at += 1;
                self.push(Kind::Punctuation(first), at);
            }
            other => return Err(self.source.syntax(at, format!("unexpected character `{other}`"), hint_for(other))),
        }
        Ok(())
    }

    fn number(&mut self, after_dot: bool) {
        let (at, rest) = (self.at, self.rest());
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let mut end = digits(rest);
        if let (false, Some(part)) = (after_dot, rest.get(end..).and_then(|rest| rest.strip_prefix('.'))) {
            let part_len = digits(part);
            if part_len > 0 {
                end += 1 + part_len;
            }
        }
        let text = rest.get(..end).unwrap_or("");
        self.at += end;
        let long = !text.contains('.') && self.rest().starts_with('L');
        if long {
            self.at += 1;
        }
        self.push(Kind::Number(text.into()), at);
    }

    fn open(&mut self, bracket: char) {
        self.brackets.push((bracket, self.at));
        self.push(Kind::Punctuation(bracket), self.at);
        self.at += 1;
    }

    fn close(&mut self, bracket: char) -> Result<(), Error> {
        let expected = match self.brackets.pop() {
            Some(('(', _)) => ')',
            Some(('[', _)) => ']',
            Some(('{', _)) => '}',
            _ => return Err(self.source.syntax(self.at, format!("`{bracket}` closes nothing"), None)),
        };
        if expected != bracket {
            return Err(self.source.syntax(self.at, format!("expected `{expected}`, found `{bracket}`"), None));
        }
        self.push(Kind::Punctuation(bracket), self.at);
        self.at += 1;
        Ok(())
    }

    fn single_quoted(&mut self) -> Result<(), Error> {
        let at = self.at;
        let body = self.rest().get(1..).unwrap_or("");
        let Some(end) = find_unescaped(body, &['\'']) else {
            return Err(self.source.syntax(at, "text without closing quote", None));
        };
        self.at += end + 2;
        self.push(Kind::Quoted(unescape(body.get(..end).unwrap_or(""), '\'')), at);
        Ok(())
    }

    /// A double-quoted text; `#{…}` in it is an expression.
    fn double_quoted(&mut self) -> Result<(), Error> {
        let at = self.at;
        let body = self.rest().get(1..).unwrap_or("");
        let Some(end) = end_of_piece(body) else {
            return Err(self.source.syntax(at, "text without closing quote", None));
        };
        self.at += 1;
        if body.get(end..).is_some_and(|rest| rest.starts_with('"')) {
            self.at += end + 1;
            self.push(Kind::Quoted(unescape(body.get(..end).unwrap_or(""), '"')), at);
            return Ok(());
        }
        self.push(Kind::QuoteOpen, at);
        loop {
            let rest = self.rest();
            let Some(end) = end_of_piece(rest) else {
                return Err(self.source.syntax(at, "text without closing quote", None));
            };
            let piece_at = self.at;
            self.push(Kind::Quoted(unescape(rest.get(..end).unwrap_or(""), '"')), piece_at);
            self.at += end;
            if self.eat("\"") {
                self.push(Kind::QuoteClose, self.at - 1);
                return Ok(());
            }
            self.at += 2;
            self.interpolation(at)?;
        }
    }

    fn interpolation(&mut self, opened_at: usize) -> Result<(), Error> {
        self.push(Kind::InterpolationOpen, self.at);
        let outer = std::mem::take(&mut self.brackets);
        loop {
            self.skip_space();
            if self.brackets.is_empty() && self.eat("}") {
                self.brackets = outer;
                self.push(Kind::InterpolationClose, self.at - 1);
                return Ok(());
            }
            if self.rest().is_empty() {
                return Err(self.source.syntax(opened_at, "`#{` without `}`", None));
            }
            // Text within text within text: the tokenizer would recurse, and nobody writes that.
            if matches!(self.rest().chars().next(), Some('"')) {
                let body = self.rest().get(1..).unwrap_or("");
                let plain = end_of_piece(body).is_some_and(|end| body.get(end..).is_some_and(|b| b.starts_with('"')));
                if !plain {
                    return Err(self.source.syntax(self.at, "`#{` within `#{` is not supported", None));
                }
            }
            self.token()?;
        }
    }
}

fn hint_for(c: char) -> Option<String> {
    match c {
        '!' => Some("write `not` or `!=`".into()),
        '&' => Some("write `and`".into()),
        '`' | '“' | '”' | '‘' | '’' => Some("quote text with `'` or `\"`".into()),
        '$' => Some("expressions in `{{ }}` name variables without `$`".into()),
        _ => None,
    }
}

fn operator(rest: &str) -> Option<&'static str> {
    let first = rest.chars().next()?;
    let word = |c: char| c.is_alphanumeric() || c == '_';
    OPERATORS.into_iter().find(|operator| {
        operator.starts_with(first)
            && rest.strip_prefix(operator).is_some_and(|after| !word(first) || !after.starts_with(word))
    })
}

fn next_delimiter(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find('{')) {
        let at = from + found;
        if matches!(text.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// Where an unescaped quote stands.
fn find_unescaped(text: &str, quotes: &[char]) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = !escaped && quotes.contains(&c);
        escaped = !escaped && c == '\\';
        ends.then_some(at)
    })
}

/// Where a piece of double-quoted text ends: at the quote or at `#{`.
fn end_of_piece(text: &str) -> Option<usize> {
    let quote = find_unescaped(text, &['"'])?;
    let before = text.get(..quote).unwrap_or("");
    Some(before.find("#{").unwrap_or(quote))
}

/// Only the quote itself and the backslash are escaped: `\n` in a template is a backslash and an `n`.
fn unescape(text: &str, quote: char) -> Arc<str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && (*next == quote || *next == '\\') => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out.into()
}

struct EndTag {
    len: usize,
    trim_before: bool,
    trim_after: bool,
}

/// The first `{% name %}` in `text`: where it starts, and what it is.
fn find_end_tag(text: &str, name: &str) -> Option<(usize, EndTag)> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find("{%") {
        let at = from + found;
        let inside = text.get(at + 2..)?;
        let trimmed = inside.trim_start_matches('-').trim_start();
        if let Some(after) = trimmed.strip_prefix(name) {
            let after = after.trim_start();
            let trim_after = after.starts_with('-');
            if let Some(rest) = after.trim_start_matches('-').strip_prefix("%}") {
                let len = text.len() - at - rest.len();
                return Some((at, EndTag { len, trim_before: inside.starts_with('-'), trim_after }));
            }
        }
        from = at + 2;
    }
    None
}
