//! Expressions, by precedence climbing. Priorities are Pebble's and Kestra's: `|` binds tighter than arithmetic, `~`
//! tighter than `|`, `??` and `..` tightest; `not` and signs take the operand next to them.
use std::sync::Arc;

use super::Parser;
use super::ast::{Access, Arg, Binary, Expr, Key, Node, Param, Step, StepKind, Target, Unary};
use super::token::Kind;
use crate::error::Error;
use crate::number::{self, Number};
use crate::value::Value;
use crate::{filters, functions, predicates};

const UNARY: u32 = 500;

enum Infix {
    Binary(Binary),
    Filter,
    Test { negated: bool },
}

fn infix(operator: &str) -> Option<(u32, Infix)> {
    use Infix::{Filter, Test};
    let binary = |priority, operator| Some((priority, Infix::Binary(operator)));
    match operator {
        "or" | "||" => binary(10, Binary::Or),
        "and" | "&&" => binary(15, Binary::And),
        "is" => Some((20, Test { negated: false })),
        "is not" => Some((20, Test { negated: true })),
        "contains" => binary(20, Binary::Contains),
        "==" | "equals" => binary(30, Binary::Equal),
        "!=" => binary(30, Binary::NotEqual),
        ">" => binary(30, Binary::Greater),
        "<" => binary(30, Binary::Less),
        ">=" => binary(30, Binary::GreaterOrEqual),
        "<=" => binary(30, Binary::LessOrEqual),
        "isIn" => binary(30, Binary::IsIn),
        "isNotIn" => binary(30, Binary::IsNotIn),
        "+" => binary(40, Binary::Add),
        "-" => binary(40, Binary::Subtract),
        "*" => binary(60, Binary::Multiply),
        "/" => binary(60, Binary::Divide),
        "%" => binary(60, Binary::Remainder),
        "|" => Some((100, Filter)),
        "~" => binary(110, Binary::Concat),
        ".." => binary(120, Binary::Range),
        "??" => binary(120, Binary::Coalesce),
        "???" => binary(120, Binary::CoalesceUndefined),
        _ => None,
    }
}

impl Parser {
    pub(super) fn expression(&mut self) -> Result<Node, Error> {
        self.nested(|parser| {
            let node = parser.operation(0)?;
            parser.ternary(node)
        })
    }

    fn ternary(&mut self, condition: Node) -> Result<Node, Error> {
        if !self.eat(&Kind::Punctuation('?')) {
            return Ok(condition);
        }
        let at = condition.at;
        let then = Box::new(self.expression()?);
        self.expect_punctuation(':')?;
        let otherwise = Box::new(self.expression()?);
        Ok(Node { at, expr: Expr::Ternary { condition: Box::new(condition), then, otherwise } })
    }

    /// An operand and all operators after it that bind at least as tightly as `priority`.
    fn operation(&mut self, priority: u32) -> Result<Node, Error> {
        let first = self.operand()?;
        let mut steps = Vec::new();
        while let Kind::Operator(operator) = *self.kind() {
            let Some((own, infix)) = infix(operator) else { break };
            if own < priority {
                break;
            }
            let at = self.at();
            self.next += 1;
            let kind = match infix {
                Infix::Filter => self.filter_call()?,
                Infix::Test { negated } => self.test_call(negated)?,
                Infix::Binary(operator) => StepKind::Binary { operator, right: self.operation(own + 1)? },
            };
            steps.push(Step { at, kind });
        }
        if steps.is_empty() {
            return Ok(first);
        }
        Ok(Node { at: first.at, expr: Expr::Chain { first: Box::new(first), steps } })
    }

    fn operand(&mut self) -> Result<Node, Error> {
        let at = self.at();
        let unary = match self.kind() {
            Kind::Operator("not") => Unary::Not,
            Kind::Operator("+") => Unary::Plus,
            Kind::Operator("-") => Unary::Minus,
            _ => {
                let primary = self.primary()?;
                return self.accesses(primary);
            }
        };
        self.next += 1;
        let operand = Box::new(self.nested(|parser| parser.operation(UNARY))?);
        Ok(Node { at, expr: Expr::Unary { operator: unary, operand } })
    }

    fn primary(&mut self) -> Result<Node, Error> {
        let at = self.at();
        let expr = match self.advance() {
            Kind::Punctuation('(') => {
                let inner = self.expression()?;
                self.expect_punctuation(')')?;
                return Ok(inner);
            }
            Kind::Punctuation('[') => Expr::List(self.items(']')?),
            Kind::Punctuation('{') => Expr::Map(self.entries()?),
            Kind::Quoted(text) => Expr::Literal(Value::from(text)),
            Kind::QuoteOpen => self.joined()?,
            Kind::Number(text) => Expr::Literal(self.number(&text, at)?),
            Kind::Name(name) => match name.as_ref() {
                "true" | "TRUE" => Expr::Literal(Value::Bool(true)),
                "false" | "FALSE" => Expr::Literal(Value::Bool(false)),
                "null" | "NULL" | "none" | "NONE" => Expr::Literal(Value::Null),
                _ if self.is_punctuation('(') => self.call(name, at)?,
                _ => Expr::Name(name),
            },
            _ => {
                self.next -= 1;
                return Err(self.unexpected("a value"));
            }
        };
        Ok(Node { at, expr })
    }

    fn number(&self, text: &str, at: usize) -> Result<Value, Error> {
        let value = match text.contains('.') {
            true => text.parse().ok().and_then(Value::float),
            false => text
                .parse()
                .map(Value::Int)
                .ok()
                .or_else(|| Number::new(number::Kind::BigInteger, text).map(Value::Number)),
        };
        value.ok_or_else(|| self.source.syntax(at, format!("`{text}` is no number"), None))
    }

    fn items(&mut self, close: char) -> Result<Vec<Node>, Error> {
        let mut items = Vec::new();
        while !self.eat(&Kind::Punctuation(close)) {
            if !items.is_empty() {
                self.expect_punctuation(',')?;
            }
            items.push(self.expression()?);
        }
        Ok(items)
    }

    fn entries(&mut self) -> Result<Vec<(Node, Node)>, Error> {
        let mut entries = Vec::new();
        while !self.eat(&Kind::Punctuation('}')) {
            if !entries.is_empty() {
                self.expect_punctuation(',')?;
            }
            let key = self.expression()?;
            self.expect_punctuation(':')?;
            entries.push((key, self.expression()?));
        }
        Ok(entries)
    }

    fn joined(&mut self) -> Result<Expr, Error> {
        let mut parts = Vec::new();
        loop {
            let at = self.at();
            match self.advance() {
                Kind::Quoted(text) => parts.push(Node { at, expr: Expr::Literal(Value::from(text)) }),
                Kind::InterpolationOpen => {
                    parts.push(self.expression()?);
                    if !self.eat(&Kind::InterpolationClose) {
                        return Err(self.unexpected("`}`"));
                    }
                }
                Kind::QuoteClose => return Ok(Expr::Joined(parts)),
                _ => {
                    self.next -= 1;
                    return Err(self.unexpected("text"));
                }
            }
        }
    }

    /// `.name` and `[expression]`, as many as there are.
    fn accesses(&mut self, base: Node) -> Result<Node, Error> {
        let mut steps = Vec::new();
        loop {
            let at = self.at();
            let key = if self.eat(&Kind::Punctuation('.')) {
                match self.advance() {
                    Kind::Name(name) | Kind::Number(name) => Key::Name(name),
                    _ => {
                        self.next -= 1;
                        return Err(self.unexpected("a name after `.`"));
                    }
                }
            } else if self.eat(&Kind::Punctuation('[')) {
                let key = self.expression()?;
                self.expect_punctuation(']')?;
                match key.expr {
                    Expr::Literal(Value::Text(text)) => Key::Name(text.plain_arc().cloned().unwrap_or_default()),
                    expr => Key::Computed(Node { at: key.at, expr }),
                }
            } else {
                break;
            };
            if self.is_punctuation('(') {
                let hint = "use a filter: `value | length`";
                return Err(self.source.syntax(at, "values have no methods", Some(hint.into())));
            }
            steps.push(Access { at, key });
        }
        if steps.is_empty() {
            return Ok(base);
        }
        Ok(Node { at: base.at, expr: Expr::Path { base: Box::new(base), steps } })
    }

    fn call(&mut self, name: Arc<str>, at: usize) -> Result<Expr, Error> {
        if self.macro_names.contains(&name) {
            let args = self.args(&name, &[], true)?;
            return Ok(Expr::Call { target: Target::Macro(name), args });
        }
        if name.as_ref() == "block" {
            let args = self.args(&name, &["name"], false)?;
            return Ok(Expr::Call { target: Target::Block, args });
        }
        let Some(function) = functions::find(&name) else {
            return Err(self.unknown(at, "function", &name, functions::names()));
        };
        let args = self.args(&name, function.params, function.open)?;
        Ok(Expr::Call { target: Target::Function(function), args })
    }

    pub(super) fn filter_call(&mut self) -> Result<StepKind, Error> {
        let at = self.at();
        let name = self.expect_name("the name of a filter")?;
        let Some(filter) = filters::find(&name) else {
            return Err(self.unknown(at, "filter", &name, filters::names()));
        };
        let args = match self.is_punctuation('(') {
            true => self.args(&name, filter.params, false)?,
            false => Vec::new(),
        };
        Ok(StepKind::Filter { filter, args })
    }

    fn test_call(&mut self, negated: bool) -> Result<StepKind, Error> {
        let at = self.at();
        let name = match self.advance() {
            Kind::Name(name) => name,
            Kind::Operator(operator) => operator.into(),
            _ => {
                self.next -= 1;
                return Err(self.unexpected("the name of a test"));
            }
        };
        let Some(test) = predicates::find(&name) else {
            return Err(self.unknown(at, "test", &name, predicates::names()));
        };
        let args = match self.is_punctuation('(') {
            true => self.args(&name, test.params, false)?,
            false => Vec::new(),
        };
        Ok(StepKind::Test { test, args, negated })
    }

    /// Arguments in parentheses, matched to parameters. `open`: unknown names are kept (macros, functions that pass
    /// them on).
    fn args(&mut self, name: &str, params: &[&'static str], open: bool) -> Result<Vec<Arg>, Error> {
        self.expect_punctuation('(')?;
        let mut args: Vec<Arg> = Vec::new();
        let mut named = false;
        while !self.eat(&Kind::Punctuation(')')) {
            if !args.is_empty() {
                self.expect_punctuation(',')?;
            }
            let at = self.at();
            let param = match (self.kind().clone(), self.peek_kind()) {
                (Kind::Name(given), Kind::Punctuation('=')) => {
                    self.next += 2;
                    named = true;
                    match params.iter().position(|param| *param == given.as_ref()) {
                        Some(index) => Param::Index(index),
                        None if open => Param::Name(given),
                        None => return Err(self.unknown_argument(name, &given, params, at)),
                    }
                }
                _ if named => {
                    let hint = "arguments without a name come first";
                    return Err(self.source.syntax(at, "argument without a name", Some(hint.into())));
                }
                _ if args.len() >= params.len() && !open => {
                    let message = format!("`{name}` takes {}", takes(params));
                    return Err(self.source.syntax(at, message, None));
                }
                _ => Param::Index(args.len()),
            };
            args.push(Arg { param, value: self.expression()? });
        }
        Ok(args)
    }

    fn unknown_argument(&self, name: &str, given: &str, params: &[&'static str], at: usize) -> Error {
        self.source.syntax(
            at,
            format!("`{name}` has no argument `{given}`"),
            Some(format!("it takes {}", takes(params))),
        )
    }
}

fn takes(params: &[&str]) -> String {
    match params {
        [] => "no arguments".into(),
        params => format!("`{}`", params.join("`, `")),
    }
}
