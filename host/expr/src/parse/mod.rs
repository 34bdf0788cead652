//! Text to templates: tokens, then tags (`tags`), then expressions (`expression`).
//! Names of filters, functions and tests are resolved here, so a misspelled one is found when a flow is saved.
pub(crate) mod ast;
mod expression;
mod tags;
pub(crate) mod token;

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Problem};
use crate::source::Source;
use crate::stack;
use ast::{Macro, Piece};
use token::{Kind, Token};

/// Brackets, tags and unary operators within each other. See `limits::DEPTH`; a fixed number here, since a template
/// that parses must parse everywhere.
const MAX_NESTING: u32 = 64;

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub source: Source,
    pub pieces: Vec<Piece>,
    pub macros: HashMap<Arc<str>, Macro>,
    pub blocks: HashMap<Arc<str>, Vec<Piece>>,
}

pub(crate) fn parse(text: &str, template_bytes: usize) -> Result<Parsed, Error> {
    let source = Source(text.into());
    if text.len() > template_bytes {
        let message = format!("the template is longer than {template_bytes} bytes");
        return Err(limit(&source, 0, "expression.limit.template", message, "put large text into a file"));
    }
    let tokens = token::tokenize(&source)?;
    let mut parser = Parser::new(source, tokens);
    let pieces = parser.template()?;
    Ok(Parsed { source: parser.source, pieces, macros: parser.macros, blocks: parser.blocks })
}

/// True when the text has no expression, tag or comment: it renders to itself.
pub(crate) fn is_literal(text: &str) -> bool {
    let open = |pair: &[u8]| matches!(pair, [b'{', b'{' | b'%' | b'#']);
    !text.as_bytes().windows(2).any(open)
}

fn limit(source: &Source, at: usize, limit: &'static str, message: String, hint: &str) -> Error {
    Error::Limit { limit, problem: source.problem(at, message, Some(hint.into())) }
}

struct Parser {
    source: Source,
    tokens: Vec<Token>,
    next: usize,
    depth: u32,
    stack_start: usize,
    macros: HashMap<Arc<str>, Macro>,
    /// Every `{% macro name` of the template, known before the first call is parsed.
    macro_names: Vec<Arc<str>>,
    blocks: HashMap<Arc<str>, Vec<Piece>>,
}

impl Parser {
    fn new(source: Source, tokens: Vec<Token>) -> Self {
        let macro_names = tokens
            .windows(3)
            .filter_map(|window| match window {
                [
                    Token { kind: Kind::TagStart, .. },
                    Token { kind: Kind::Name(tag), .. },
                    Token { kind: Kind::Name(name), .. },
                ] if tag.as_ref() == "macro" => Some(name.clone()),
                _ => None,
            })
            .collect();
        Parser {
            source,
            tokens,
            next: 0,
            depth: 0,
            stack_start: stack::pointer(),
            macros: HashMap::new(),
            macro_names,
            blocks: HashMap::new(),
        }
    }

    fn kind(&self) -> &Kind {
        self.tokens.get(self.next).map_or(&Kind::End, |token| &token.kind)
    }

    fn peek_kind(&self) -> &Kind {
        self.tokens.get(self.next + 1).map_or(&Kind::End, |token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.source.0.len(), |token| token.at)
    }

    fn advance(&mut self) -> Kind {
        let kind = self.kind().clone();
        self.next += 1;
        kind
    }

    fn eat(&mut self, kind: &Kind) -> bool {
        let found = self.kind() == kind;
        if found {
            self.next += 1;
        }
        found
    }

    fn is_punctuation(&self, c: char) -> bool {
        *self.kind() == Kind::Punctuation(c)
    }

    fn expect_punctuation(&mut self, c: char) -> Result<(), Error> {
        match self.eat(&Kind::Punctuation(c)) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("`{c}`"))),
        }
    }

    fn expect_name(&mut self, what: &str) -> Result<Arc<str>, Error> {
        match self.kind().clone() {
            Kind::Name(name) => {
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    fn unexpected(&self, expected: &str) -> Error {
        let found = match self.kind() {
            Kind::Text(_) | Kind::Raw { .. } => "text".to_owned(),
            Kind::PrintStart => "`{{`".to_owned(),
            Kind::PrintEnd => "`}}`".to_owned(),
            Kind::TagStart => "`{%`".to_owned(),
            Kind::TagEnd => "`%}`".to_owned(),
            Kind::Name(name) => format!("`{name}`"),
            Kind::Number(number) => format!("`{number}`"),
            Kind::Quoted(_) | Kind::QuoteOpen | Kind::QuoteClose => "a quoted text".to_owned(),
            Kind::InterpolationOpen => "`#{`".to_owned(),
            Kind::InterpolationClose => "`}`".to_owned(),
            Kind::Operator(operator) => format!("`{operator}`"),
            Kind::Punctuation(c) => format!("`{c}`"),
            Kind::End => "the end of the template".to_owned(),
        };
        self.source.syntax(self.at(), format!("expected {expected}, found {found}"), None)
    }

    /// Counts one level of nesting around `parse`.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= MAX_NESTING || stack::used_since(self.stack_start) > stack::MAX_BYTES {
            let message = format!("nested more than {MAX_NESTING} deep");
            let hint = "keep parts in variables with `{% set %}`";
            return Err(limit(&self.source, self.at(), "expression.limit.depth", message, hint));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn unknown(&self, at: usize, what: &str, name: &str, names: impl Iterator<Item = &'static str>) -> Error {
        let hint = crate::source::nearest(name, names).map(|near| format!("did you mean `{near}`?"));
        let problem: Box<Problem> = self.source.problem(at, format!("no {what} `{name}`"), hint);
        Error::Unknown(problem)
    }
}
