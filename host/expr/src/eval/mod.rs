//! Evaluates parsed templates. Synchronous and pure: everything it knows comes from the template, the scope, the memo
//! and the settings. Each step costs fuel, each level depth, each text bytes.
mod args;
mod call;
mod chain;
mod decimal;
pub(crate) mod ops;
mod output;
mod path;
mod pieces;
pub(crate) mod print;
mod render;
pub(crate) mod secrets;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use args::Args;
pub(crate) use output::Output;

use crate::error::Error;
use crate::limits::Settings;
use crate::memo::Memo;
use crate::parse::Parsed;
use crate::parse::ast::{Binary, Expr, Node, Unary};
use crate::scope::Scope;
use crate::stack;
use crate::text::TextBuilder;
use crate::value::{Map, Value};

/// Bytes of text that cost as much as one step.
const BYTES_PER_FUEL: usize = 64;
/// Nesting that values may have when an expression wraps them: what JSON may bring along, and some more. Values are
/// dropped and printed by recursion.
const VALUE_DEPTH: u32 = 320;
/// List and map literals that are evaluated before their nesting is looked at: so few cannot nest too deeply.
const UNCHECKED_LITERALS: u32 = 32;

/// Operators of different priority that one level of brackets may stand behind.
const OPERANDS_PER_LEVEL: u32 = 10;

pub(crate) const ARITHMETIC: [Binary; 5] =
    [Binary::Add, Binary::Subtract, Binary::Multiply, Binary::Divide, Binary::Remainder];

pub(crate) struct Evaluator<'a> {
    pub scope: &'a dyn Scope,
    pub settings: &'a Settings,
    memo: &'a Memo,
    fuel: u64,
    depth: u32,
    /// Operands and arguments within each other, over all levels.
    operands: u32,
    stack_start: usize,
    frames: Vec<Frame>,
    /// How often each random source was asked.
    asked: HashMap<Arc<str>, u64>,
    literals: u32,
    /// Keeps raw tags in the output, for rendering that goes on.
    keep_raw: bool,
}

/// Variables set by tags.
#[derive(Default)]
struct Frame {
    variables: Vec<(Arc<str>, Value)>,
    turn: Option<Turn>,
    /// A macro sees nothing of what is around it.
    closed: bool,
}

/// Where a loop is.
#[derive(Clone, Copy)]
struct Turn {
    index: usize,
    length: usize,
}

impl<'a> Evaluator<'a> {
    pub fn new(scope: &'a dyn Scope, memo: &'a Memo, settings: &'a Settings) -> Self {
        Evaluator {
            scope,
            settings,
            memo,
            fuel: settings.limits.fuel,
            depth: 0,
            operands: 0,
            stack_start: stack::pointer(),
            frames: Vec::new(),
            asked: HashMap::new(),
            literals: 0,
            keep_raw: false,
        }
    }

    pub fn fuel_left(&self) -> u64 {
        self.fuel
    }

    /// Takes `steps` from the fuel.
    pub fn charge(&mut self, steps: usize) -> Result<(), Error> {
        match self.fuel.checked_sub(steps as u64) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => {
                self.fuel = 0;
                Err(Error::limit(
                    "expression.limit.fuel",
                    format!("the expression takes more than {} steps", self.settings.limits.fuel),
                    "work on large data in a task",
                ))
            }
        }
    }

    /// Takes what `bytes` of text cost, and refuses text that is longer than a rendering may be.
    pub fn charge_bytes(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes > self.settings.limits.output_bytes {
            return Err(Error::limit(
                "expression.limit.output",
                format!("the expression makes more than {} bytes of text", self.settings.limits.output_bytes),
                "put large text into a file",
            ));
        }
        self.charge(1 + bytes / BYTES_PER_FUEL)
    }

    pub fn stack_used(&self) -> usize {
        stack::used_since(self.stack_start)
    }

    /// Counts one level of tags, calls and renders around `run`.
    fn nested<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= self.settings.limits.depth || self.stack_used() > stack::MAX_BYTES {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    /// Counts one operand or argument around `run`.
    fn operand<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let limit = self.settings.limits.depth.saturating_mul(OPERANDS_PER_LEVEL);
        if self.operands >= limit || self.stack_used() > stack::MAX_BYTES {
            return Err(self.too_deep());
        }
        self.operands += 1;
        let result = run(self);
        self.operands -= 1;
        result
    }

    fn too_deep(&self) -> Error {
        Error::limit(
            "expression.limit.depth",
            format!("nested more than {} deep", self.settings.limits.depth),
            "does a macro or a rendered variable call itself?",
        )
    }

    /// Evaluates a template; the output is a value where the template is one expression.
    pub fn template(&mut self, parsed: &Parsed) -> Result<Output, Error> {
        let mut output = Output::default();
        self.nested(|evaluator| evaluator.pieces(parsed, &parsed.pieces, &mut output))?;
        Ok(output)
    }

    /// Evaluates an expression.
    pub fn node(&mut self, parsed: &Parsed, node: &Node) -> Result<Value, Error> {
        self.charge(1).map_err(|error| parsed.source.locate(error, node.at))?;
        match &node.expr {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::Name(name) => self.name(parsed, name, node.at),
            Expr::Path { base, steps } => self.path(parsed, base, steps),
            expr => {
                let nested = self.operand(|evaluator| evaluator.compound(parsed, node, expr));
                nested.map_err(|error| parsed.source.locate(error, node.at))
            }
        }
    }

    fn compound(&mut self, parsed: &Parsed, node: &Node, expr: &Expr) -> Result<Value, Error> {
        match expr {
            Expr::Chain { first, steps } => self.chain(parsed, first, steps),
            Expr::Call { target, args } => self.call(parsed, target, args, node.at),
            Expr::Ternary { condition, then, otherwise } => {
                let chosen = if ops::is_true(&self.node(parsed, condition)?)? { then } else { otherwise };
                self.node(parsed, chosen)
            }
            Expr::Unary { operator, operand } => {
                let value = self.node(parsed, operand)?;
                match operator {
                    Unary::Not => Ok(Value::Bool(!ops::is_true(&value)?)),
                    Unary::Plus => self.arithmetic(Binary::Multiply, &Value::Int(1), &value),
                    Unary::Minus => self.arithmetic(Binary::Multiply, &Value::Int(-1), &value),
                }
            }
            Expr::Joined(parts) => {
                let mut out = TextBuilder::default();
                for part in parts {
                    let value = self.node(parsed, part)?;
                    print::join(&mut out, &value)?;
                    self.charge_bytes(out.size_bytes())?;
                }
                Ok(Value::Text(out.finish()))
            }
            Expr::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.push(self.node(parsed, item)?);
                }
                self.built(Value::List(Arc::new(list)))
            }
            Expr::Map(entries) => {
                let mut map = Map::with_capacity(entries.len());
                for (key, value) in entries {
                    let at = key.at;
                    let key = self.node(parsed, key)?;
                    let key = print::text_of(&key)?;
                    let key = key
                        .plain_arc()
                        .cloned()
                        .ok_or_else(|| parsed.source.locate(Error::invalid("a key must not contain a secret"), at))?;
                    map.insert(key, self.node(parsed, value)?);
                }
                self.built(map.into())
            }
            Expr::Literal(_) | Expr::Name(_) | Expr::Path { .. } => self.node(parsed, node),
        }
    }

    /// Looks at the nesting of a new list or map once there were many: a loop could wrap a value again and again.
    fn built(&mut self, value: Value) -> Result<Value, Error> {
        self.literals += 1;
        if self.literals > UNCHECKED_LITERALS {
            self.check_depth(&value, VALUE_DEPTH)?;
        }
        Ok(value)
    }

    /// Refuses values nested deeper than `left`.
    pub fn check_depth(&mut self, value: &Value, left: u32) -> Result<(), Error> {
        let inner = match left.checked_sub(1) {
            Some(left) => left,
            None => return Err(Error::limit("expression.limit.depth", "a value is nested too deeply", "flatten it")),
        };
        match value {
            Value::List(items) => {
                self.charge(items.len())?;
                items.iter().try_for_each(|item| self.check_depth(item, inner))
            }
            Value::Map(map) => {
                self.charge(map.len())?;
                map.values().try_for_each(|item| self.check_depth(item, inner))
            }
            _ => Ok(()),
        }
    }

    pub fn arithmetic(&mut self, operator: Binary, left: &Value, right: &Value) -> Result<Value, Error> {
        let result = ops::arithmetic(operator, left, right)?;
        if !left.has_secret() && !right.has_secret() {
            return Ok(result);
        }
        let operation = format!("operator:{}", ops::symbol(operator));
        let inputs = [("left".into(), left.clone()), ("right".into(), right.clone())].into();
        secrets::taint(result, &operation, &inputs)
    }
}
