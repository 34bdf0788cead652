//! Calls: of functions, of macros and blocks, and of what only the memo can answer.
use super::{Args, BYTES_PER_FUEL, Evaluator, Frame, Output, secrets};
use crate::error::Error;
use crate::functions;
use crate::memo::{Answer, Call};
use crate::parse::Parsed;
use crate::parse::ast::{Arg, Expr, Key, Param, Piece, Target};
use crate::value::Value;

impl Evaluator<'_> {
    pub(super) fn evaluate_args(&mut self, parsed: &Parsed, args: &[Arg], into: &mut Args) -> Result<(), Error> {
        for arg in args {
            let value = self.node(parsed, &arg.value)?;
            into.push(arg.param.clone(), value);
        }
        Ok(())
    }

    pub(super) fn call(&mut self, parsed: &Parsed, target: &Target, args: &[Arg], at: usize) -> Result<Value, Error> {
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
                if let Some(found) = self.each_output_by_path(function, args)? {
                    return Ok(found);
                }
                let mut given = Args::new(function.name, function.params);
                self.evaluate_args(parsed, args, &mut given)?;
                self.function(function, &given)
            }
        }
    }

    /// `currentEachOutput(outputs.task)` without building the outputs of all iterations, of which there may be 100,000: the scope is asked
    /// for those of this one. Nothing where it does not know the way: then the function looks itself.
    fn each_output_by_path(&mut self, function: &functions::Function, args: &[Arg]) -> Result<Option<Value>, Error> {
        let ("currentEachOutput", [arg]) = (function.name, args) else { return Ok(None) };
        let Expr::Path { base, steps } = &arg.value.expr else { return Ok(None) };
        let Expr::Name(name) = &base.expr else { return Ok(None) };
        if !self.frames.is_empty() {
            return Ok(None);
        }
        let mut path = vec![name.to_string()];
        for step in steps {
            match &step.key {
                Key::Name(key) => path.push(key.to_string()),
                Key::Computed(_) => return Ok(None),
            }
        }
        let Some(values) = functions::iteration_values(self)? else { return Ok(None) };
        path.extend(values);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let found = self.scope.lookup_path(&path, self.memo)?;
        Ok(found.filter(|(_, covered)| *covered == path.len()).map(|(value, _)| value))
    }

    fn function(&mut self, function: &'static functions::Function, args: &Args) -> Result<Value, Error> {
        let (run, keeps_secrets) = match function.kind {
            functions::Kind::Ask => return self.ask_function(function, args),
            functions::Kind::Scoped(run) => (run, true),
            functions::Kind::Pure(run) => (run, false),
        };
        if !args.has_secret() {
            return run(self, args);
        }
        let result = run(self, args).map_err(|error| secrets::conceal(error, function.name))?;
        match keeps_secrets {
            true => Ok(result),
            false => secrets::taint(result, &format!("function:{}", function.name), &secrets::inputs_of(None, args)),
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
        let pairs = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()));
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
        if let Some(arg) =
            args.iter().find(|arg| matches!(&arg.param, Param::Name(name) if name.as_ref() == "_context"))
        {
            variables.push(("_context".into(), self.node(parsed, &arg.value)?));
        }
        self.frames.push(Frame { variables, turn: None, closed: true });
        let result = self.captured(parsed, &called.body);
        self.frames.pop();
        result
    }

    /// What some pieces print, as text.
    pub(super) fn captured(&mut self, parsed: &Parsed, pieces: &[Piece]) -> Result<Value, Error> {
        let mut output = Output::default();
        self.nested(|evaluator| evaluator.pieces(parsed, pieces, &mut output))?;
        self.text_of(&output).map(Value::Text)
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
