//! Evaluates parsed templates. Synchronous and pure: everything it knows comes from the template, the scope, the memo
//! and the settings. Each step costs fuel, each level depth, each text bytes.
mod args;
mod chain;
mod output;
pub(crate) mod ops;
mod path;
mod pieces;
pub(crate) mod print;
pub(crate) mod secrets;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use args::Args;
pub(crate) use output::Output;

use crate::error::Error;
use crate::limits::Settings;
use crate::memo::{Answer, Call, Memo};
use crate::parse::Parsed;
use crate::parse::ast::{Arg, Binary, Expr, Node, Param, Target, Unary};
use crate::scope::Scope;
use crate::text::{Text, TextBuilder};
use crate::value::{Map, Value};
use crate::{functions, parse};

/// Bytes of text that cost as much as one step.
const BYTES_PER_FUEL: usize = 64;
/// Nesting that values may have when an expression wraps them: what JSON may bring along, and some more. Values are
/// dropped and printed by recursion.
const VALUE_DEPTH: u32 = 320;
/// List and map literals that are evaluated before their nesting is looked at: so few cannot nest too deeply.
const UNCHECKED_LITERALS: u32 = 32;

pub(crate) const ARITHMETIC: [Binary; 5] =
    [Binary::Add, Binary::Subtract, Binary::Multiply, Binary::Divide, Binary::Remainder];

pub(crate) struct Evaluator<'a> {
    pub scope: &'a dyn Scope,
    pub settings: &'a Settings,
    memo: &'a Memo,
    fuel: u64,
    depth: u32,
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

    /// Counts one level around `run`.
    fn nested<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= self.settings.limits.depth {
            return Err(Error::limit(
                "expression.limit.depth",
                format!("nested more than {} deep", self.settings.limits.depth),
                "does a macro or a rendered variable call itself?",
            ));
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    /// Evaluates a template; the output is a value where the template is one expression.
    pub fn template(&mut self, parsed: &Parsed) -> Result<Output, Error> {
        let mut output = Output::default();
        self.nested(|evaluator| evaluator.pieces(parsed, &parsed.pieces, &mut output))?;
        Ok(output)
    }

    /// Parses and renders text that came up during evaluation.
    pub fn render_text(&mut self, text: &str) -> Result<Output, Error> {
        self.charge_bytes(text.len())?;
        if parse::is_literal(text) {
            return Ok(Output::of(Value::from(text)));
        }
        let parsed = parse::parse(text, self.settings.limits.template_bytes)?;
        self.template(&parsed)
    }

    /// As `render_text`, again and again until nothing changes.
    pub fn render_until_stable(&mut self, text: &Text) -> Result<Output, Error> {
        let outer = std::mem::replace(&mut self.keep_raw, true);
        let result = self.rounds(text);
        self.keep_raw = outer;
        let output = result?;
        match outer {
            true => Ok(output),
            false => output.map_text(|text| crate::raw::strip(&text)),
        }
    }

    fn rounds(&mut self, text: &Text) -> Result<Output, Error> {
        let mut current = text.clone();
        for round in 0..=self.settings.limits.render_rounds {
            let output = self.render_text(&current.reveal()?)?;
            let rendered = output.text()?;
            if rendered == current || (round > 0 && rendered.reveal()? == current.reveal()?) {
                return Ok(output);
            }
            if parse::is_literal(&rendered.reveal()?) {
                return Ok(output);
            }
            current = rendered;
        }
        Err(Error::limit(
            "expression.limit.renders",
            format!("not done after rendering {} times", self.settings.limits.render_rounds),
            "do variables refer to each other in a circle?",
        ))
    }

    /// Renders every text in a value. `once`: no further rounds.
    pub fn render_tree(&mut self, value: &Value, once: bool, typed: bool) -> Result<Value, Error> {
        self.charge(1)?;
        match value {
            Value::Text(text) => {
                let output = match once {
                    true => self.render_text(&text.reveal()?)?,
                    false => self.render_until_stable(text)?,
                };
                let rendered = if typed { output.value()? } else { output.text_or_null()? };
                match text.is_secret() {
                    true => secrets::taint(rendered, secrets::OPAQUE, &[("input".into(), value.clone())].into()),
                    false => Ok(rendered),
                }
            }
            Value::List(items) => self.nested(|evaluator| {
                let items = items.iter().map(|item| evaluator.render_tree(item, once, typed));
                Ok(Value::List(Arc::new(items.collect::<Result<_, _>>()?)))
            }),
            Value::Map(map) => self.nested(|evaluator| {
                let mut rendered = Map::with_capacity(map.len());
                for (key, item) in map.iter() {
                    let key = evaluator.render_key(key, once)?;
                    let item = evaluator.render_tree(item, once, typed)?;
                    rendered.entry(key).or_insert(item);
                }
                Ok(rendered.into())
            }),
            other => Ok(other.clone()),
        }
    }

    fn render_key(&mut self, key: &Arc<str>, once: bool) -> Result<Arc<str>, Error> {
        if parse::is_literal(key) {
            return Ok(key.clone());
        }
        let output = match once {
            true => self.render_text(key)?,
            false => self.render_until_stable(&Text::plain(key.clone()))?,
        };
        // Keys are shown everywhere: a secret has no place in one.
        let text = output.text()?;
        text.plain_arc().cloned().ok_or_else(|| Error::invalid("a key must not contain a secret"))
    }

    /// Evaluates an expression.
    pub fn node(&mut self, parsed: &Parsed, node: &Node) -> Result<Value, Error> {
        self.charge(1).map_err(|error| parsed.source.locate(error, node.at))?;
        match &node.expr {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::Name(name) => self.name(parsed, name, node.at),
            Expr::Path { base, steps } => self.path(parsed, base, steps),
            expr => {
                let nested = self.nested(|evaluator| evaluator.compound(parsed, node, expr));
                nested.map_err(|error| parsed.source.locate(error, node.at))
            }
        }
    }

    fn compound(&mut self, parsed: &Parsed, node: &Node, expr: &Expr) -> Result<Value, Error> {
        match expr {
            Expr::Chain { first, steps } => self.chain(parsed, first, steps),
            Expr::Call { target, args } => self.call(parsed, target, args, node.at),
            Expr::Ternary { condition, then, otherwise } => {
                let chosen = if self.node(parsed, condition)?.truthy() { then } else { otherwise };
                self.node(parsed, chosen)
            }
            Expr::Unary { operator, operand } => {
                let value = self.node(parsed, operand)?;
                match operator {
                    Unary::Not => Ok(Value::Bool(!value.truthy())),
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
                    let key = key.plain_arc().cloned().ok_or_else(|| {
                        parsed.source.locate(Error::invalid("a key must not contain a secret"), at)
                    })?;
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

    fn evaluate_args(&mut self, parsed: &Parsed, args: &[Arg], into: &mut Args) -> Result<(), Error> {
        for arg in args {
            let value = self.node(parsed, &arg.value)?;
            into.push(arg.param.clone(), value);
        }
        Ok(())
    }

    fn call(&mut self, parsed: &Parsed, target: &Target, args: &[Arg], at: usize) -> Result<Value, Error> {
        match target {
            Target::Macro(name) => self.call_macro(parsed, name, args, at),
            Target::Block => {
                let mut given = Args::new("block", &["name"]);
                self.evaluate_args(parsed, args, &mut given)?;
                let name = given.text(0)?;
                let Some(body) = parsed.blocks.get(name.as_ref()) else {
                    return Err(Error::invalid(format!("no block `{name}`")));
                };
                self.captured(parsed, body)
            }
            Target::Function(function) => {
                let mut given = Args::new(function.name, function.params);
                self.evaluate_args(parsed, args, &mut given)?;
                self.function(function, &given)
            }
        }
    }

    fn function(&mut self, function: &'static functions::Function, args: &Args) -> Result<Value, Error> {
        let run = match function.kind {
            functions::Kind::Ask => return self.ask_function(function, args),
            functions::Kind::Scoped(run) => return run(self, args),
            functions::Kind::Pure(run) => run,
        };
        let result = run(self, args)?;
        match args.has_secret() {
            true => secrets::taint(result, &format!("function:{}", function.name), &secrets::inputs_of(None, args)),
            false => Ok(result),
        }
    }

    fn ask_function(&mut self, function: &'static functions::Function, args: &Args) -> Result<Value, Error> {
        if !function.params.is_empty() && function.required > 0 {
            for index in 0..function.required {
                args.required(index)?;
            }
        }
        let mut call = Call::new(function.name);
        call.args = args.iter().map(|(name, value)| (name, value.clone())).collect();
        self.ask(call)
    }

    /// The answer to a call, from the memo.
    pub fn ask(&mut self, call: Call) -> Result<Value, Error> {
        match self.memo.get(&call) {
            None => Err(Error::Missing(Box::new(call))),
            Some(Answer::Value(value)) => {
                let value = value.clone();
                self.charge_bytes(size_hint(&value).min(self.settings.limits.output_bytes))?;
                Ok(value)
            }
            Some(Answer::Absent(message)) => Err(Error::undefined(message.clone(), None)),
            Some(Answer::Failed(message)) => Err(Error::invalid(message.clone())),
        }
    }

    /// Fresh random bytes; every use asks anew.
    pub fn random(&mut self, bytes: usize) -> Result<Vec<u8>, Error> {
        let mut call = Call::new("random");
        call.args.push(("bytes".into(), Value::Int(bytes as i64)));
        let count = self.asked.entry("random".into()).or_insert(0);
        call.nth = (u64::from(self.settings.site) << 32) + *count;
        *count += 1;
        let answer = self.ask(call)?;
        let hex = answer.as_str().unwrap_or_default();
        let pairs = hex.as_bytes().chunks(2).map(|pair| {
            std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
        });
        pairs
            .collect::<Option<Vec<u8>>>()
            .filter(|found| found.len() == bytes)
            .ok_or_else(|| Error::invalid(format!("the answer to `random` is not {bytes} bytes in hex")))
    }

    fn call_macro(&mut self, parsed: &Parsed, name: &str, args: &[Arg], at: usize) -> Result<Value, Error> {
        let Some(called) = parsed.macros.get(name) else {
            return Err(Error::invalid(format!("macro `{name}` is not closed")));
        };
        let mut variables = Vec::with_capacity(called.params.len());
        for (index, (param, default)) in called.params.iter().enumerate() {
            let given = args.iter().find(|arg| match &arg.param {
                Param::Index(at) => *at == index,
                Param::Name(name) => name == param,
            });
            let value = match (given, default) {
                (Some(arg), _) => self.node(parsed, &arg.value)?,
                (None, Some(default)) => self.node(parsed, default)?,
                (None, None) => Value::Null,
            };
            variables.push((param.clone(), value));
        }
        let known = |arg: &&Arg| match &arg.param {
            Param::Index(at) => *at < called.params.len(),
            Param::Name(name) => called.params.iter().any(|(param, _)| param == name) || name.as_ref() == "_context",
        };
        if let Some(extra) = args.iter().find(|arg| !known(arg)) {
            let error = Error::invalid(format!("macro `{name}` has no such argument"));
            return Err(parsed.source.locate(error, extra.value.at.max(at)));
        }
        if let Some(arg) = args.iter().find(|arg| matches!(&arg.param, Param::Name(name) if name.as_ref() == "_context")) {
            variables.push(("_context".into(), self.node(parsed, &arg.value)?));
        }
        self.frames.push(Frame { variables, turn: None, closed: true });
        let result = self.captured(parsed, &called.body);
        self.frames.pop();
        result
    }

    /// What some pieces print, as text.
    fn captured(&mut self, parsed: &Parsed, pieces: &[parse::ast::Piece]) -> Result<Value, Error> {
        let mut output = Output::default();
        self.nested(|evaluator| evaluator.pieces(parsed, pieces, &mut output))?;
        output.text().map(Value::Text)
    }
}

/// A rough size, to charge for answers; only text and lists can be large.
fn size_hint(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.masked().len(),
        Value::List(items) => items.len() * BYTES_PER_FUEL,
        Value::Map(map) => map.len() * BYTES_PER_FUEL,
        _ => 0,
    }
}
