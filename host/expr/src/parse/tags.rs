//! Tags: `if`, `for`, `set`, `block`, `macro`, `filter` and what they enclose.
use std::sync::Arc;

use super::Parser;
use super::ast::{Macro, Piece, Step, StepKind};
use super::token::Kind;
use crate::error::Error;

const TAGS: [&str; 6] = ["if", "for", "set", "block", "macro", "filter"];

impl Parser {
    pub(super) fn template(&mut self) -> Result<Vec<Piece>, Error> {
        let (pieces, end) = self.pieces(&[])?;
        debug_assert!(end.is_none(), "no tag ends a template");
        Ok(pieces)
    }

    /// Pieces up to one of the tags `ends` (whose name has been read when this returns) or the end.
    fn pieces(&mut self, ends: &[&'static str]) -> Result<(Vec<Piece>, Option<&'static str>), Error> {
        let mut pieces = Vec::new();
        loop {
            let at = self.at();
            match self.advance() {
                Kind::Text(text) => pieces.push(Piece::Text(text)),
                Kind::Raw { content, tag } => pieces.push(Piece::Raw { content, tag }),
                Kind::PrintStart => {
                    pieces.push(Piece::Print(self.expression()?));
                    self.expect_end(&Kind::PrintEnd, "`}}`")?;
                }
                Kind::TagStart => {
                    let name = self.expect_name("the name of a tag")?;
                    if let Some(end) = ends.iter().find(|end| **end == name.as_ref()) {
                        return Ok((pieces, Some(end)));
                    }
                    if let Some(piece) = self.nested(|parser| parser.tag(&name, at))? {
                        pieces.push(piece);
                    }
                }
                Kind::End if ends.is_empty() => return Ok((pieces, None)),
                Kind::End => {
                    let wanted = ends.last().copied().unwrap_or_default();
                    let hint = format!("close it with `{{% {wanted} %}}`");
                    return Err(self.source.syntax(at, "the template ends within a tag", Some(hint)));
                }
                _ => {
                    self.next -= 1;
                    return Err(self.unexpected("text or an expression"));
                }
            }
        }
    }

    fn expect_end(&mut self, kind: &Kind, name: &str) -> Result<(), Error> {
        match self.eat(kind) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("an operator or {name}"))),
        }
    }

    fn tag_end(&mut self) -> Result<(), Error> {
        self.expect_end(&Kind::TagEnd, "`%}`")
    }

    fn tag(&mut self, name: &str, at: usize) -> Result<Option<Piece>, Error> {
        match name {
            "if" => self.if_tag().map(Some),
            "for" => self.for_tag().map(Some),
            "set" => self.set_tag().map(Some),
            "block" => self.block_tag().map(Some),
            "macro" => self.macro_tag().map(|()| None),
            "filter" => self.filter_tag(at).map(Some),
            "include" | "extends" | "import" | "from" | "embed" => {
                let hint = "templates cannot load others; use `render(read('file'))`";
                Err(self.source.syntax(at, format!("`{name}` is not available"), Some(hint.into())))
            }
            _ if name.starts_with("end") || name == "else" || name == "elseif" => {
                Err(self.source.syntax(at, format!("`{name}` closes nothing"), None))
            }
            _ => Err(self.unknown(at, "tag", name, TAGS.into_iter())),
        }
    }

    fn if_tag(&mut self) -> Result<Piece, Error> {
        let mut arms = Vec::new();
        loop {
            let condition = self.expression()?;
            self.tag_end()?;
            let (body, end) = self.pieces(&["elseif", "else", "endif"])?;
            arms.push((condition, body));
            match end {
                Some("elseif") => {}
                Some("else") => {
                    let otherwise = self.body("endif")?;
                    return Ok(Piece::If { arms, otherwise });
                }
                _ => {
                    self.tag_end()?;
                    return Ok(Piece::If { arms, otherwise: Vec::new() });
                }
            }
        }
    }

    /// The rest of a tag, its body, and the closing tag `end`.
    fn body(&mut self, end: &'static str) -> Result<Vec<Piece>, Error> {
        self.tag_end()?;
        let (body, _) = self.pieces(&[end])?;
        // The closing tag may repeat the name: `{% endblock title %}`.
        if matches!(self.kind(), Kind::Name(_) | Kind::Quoted(_)) {
            self.next += 1;
        }
        self.tag_end()?;
        Ok(body)
    }

    fn for_tag(&mut self) -> Result<Piece, Error> {
        let variable = self.new_variable()?;
        match self.advance() {
            Kind::Name(word) if word.as_ref() == "in" => {}
            _ => {
                self.next -= 1;
                return Err(self.unexpected("`in`"));
            }
        }
        let list = self.expression()?;
        self.tag_end()?;
        let (body, end) = self.pieces(&["else", "endfor"])?;
        let otherwise = match end {
            Some("else") => self.body("endfor")?,
            _ => {
                self.tag_end()?;
                Vec::new()
            }
        };
        Ok(Piece::For { variable, list, body, otherwise })
    }

    fn new_variable(&mut self) -> Result<Arc<str>, Error> {
        let at = self.at();
        let name = self.expect_name("the name of a variable")?;
        match name.as_ref() {
            "true" | "false" | "null" | "none" => {
                Err(self.source.syntax(at, format!("`{name}` cannot be a variable"), None))
            }
            _ => Ok(name),
        }
    }

    fn set_tag(&mut self) -> Result<Piece, Error> {
        let variable = self.new_variable()?;
        self.expect_punctuation('=')?;
        let value = self.expression()?;
        self.tag_end()?;
        Ok(Piece::Set { variable, value })
    }

    fn block_tag(&mut self) -> Result<Piece, Error> {
        let at = self.at();
        let name = match self.advance() {
            Kind::Name(name) | Kind::Quoted(name) => name,
            _ => {
                self.next -= 1;
                return Err(self.unexpected("the name of a block"));
            }
        };
        let body = self.body("endblock")?;
        if self.blocks.insert(name.clone(), body).is_some() {
            return Err(self.source.syntax(at, format!("block `{name}` is there twice"), None));
        }
        Ok(Piece::Block { name })
    }

    fn macro_tag(&mut self) -> Result<(), Error> {
        let at = self.at();
        let name = self.expect_name("the name of a macro")?;
        self.expect_punctuation('(')?;
        let mut params = Vec::new();
        while !self.is_punctuation(')') {
            if !params.is_empty() {
                self.expect_punctuation(',')?;
            }
            let param = self.new_variable()?;
            let default = match self.eat(&Kind::Punctuation('=')) {
                true => Some(self.expression()?),
                false => None,
            };
            params.push((param, default));
        }
        self.expect_punctuation(')')?;
        let body = self.body("endmacro")?;
        if self.macros.insert(name.clone(), Macro { params, body }).is_some() {
            return Err(self.source.syntax(at, format!("macro `{name}` is there twice"), None));
        }
        Ok(())
    }

    fn filter_tag(&mut self, at: usize) -> Result<Piece, Error> {
        let mut steps = Vec::new();
        loop {
            let at = self.at();
            let kind: StepKind = self.filter_call()?;
            steps.push(Step { at, kind });
            if !self.eat(&Kind::Operator("|")) {
                break;
            }
        }
        let body = self.body("endfilter")?;
        Ok(Piece::Filter { steps, body, at })
    }
}
