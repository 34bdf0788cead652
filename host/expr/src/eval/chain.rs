//! Operators, filters and tests applied to a value one after the other.
use std::cmp::Ordering;

use super::{Args, Evaluator, ops, print, secrets};
use crate::error::Error;
use crate::filters::{Filter, Undefined};
use crate::parse::Parsed;
use crate::parse::ast::{Arg, Binary, Node, Step, StepKind};
use crate::predicates::Predicate;
use crate::text::TextBuilder;
use crate::value::Value;

impl Evaluator<'_> {
    pub(super) fn chain(&mut self, parsed: &Parsed, first: &Node, steps: &[Step]) -> Result<Value, Error> {
        let start = self.node(parsed, first);
        self.all_steps(parsed, start, steps)
    }

    /// The same for a value that is there.
    pub(super) fn steps(&mut self, parsed: &Parsed, value: Value, steps: &[Step]) -> Result<Value, Error> {
        self.all_steps(parsed, Ok(value), steps)
    }

    fn all_steps(
        &mut self,
        parsed: &Parsed,
        mut current: Result<Value, Error>,
        steps: &[Step],
    ) -> Result<Value, Error> {
        for step in steps {
            self.charge(1).map_err(|error| parsed.source.locate(error, step.at))?;
            current = self.step(parsed, current, step).map_err(|error| parsed.source.locate(error, step.at));
        }
        current
    }

    fn step(&mut self, parsed: &Parsed, current: Result<Value, Error>, step: &Step) -> Result<Value, Error> {
        match &step.kind {
            StepKind::Binary { operator: Binary::Coalesce, right } => match current {
                Ok(value) if !value.is_null() => Ok(value),
                Ok(_) | Err(Error::Undefined(_)) => self.node(parsed, right),
                Err(other) => Err(other),
            },
            StepKind::Binary { operator: Binary::CoalesceUndefined, right } => match current {
                Err(Error::Undefined(_)) => self.node(parsed, right),
                other => other,
            },
            StepKind::Binary { operator, right } => self.binary(parsed, *operator, current?, right),
            StepKind::Filter { filter, args } => {
                let input = match (current, filter.undefined) {
                    (Err(Error::Undefined(_)), Undefined::IsNull) => Value::Null,
                    (current, _) => current?,
                };
                self.filter_step(parsed, filter, input, args)
            }
            StepKind::Test { test, args, negated } => {
                let input = match current {
                    Err(Error::Undefined(_)) if test.catches_undefined => Value::Null,
                    current => current?,
                };
                Ok(Value::Bool(self.test_step(parsed, test, &input, args)? != *negated))
            }
        }
    }

    fn binary(&mut self, parsed: &Parsed, operator: Binary, left: Value, right: &Node) -> Result<Value, Error> {
        match operator {
            Binary::And if !ops::is_true(&left)? => return Ok(Value::Bool(false)),
            Binary::Or if ops::is_true(&left)? => return Ok(Value::Bool(true)),
            Binary::Contains if left.is_null() => return Ok(Value::Bool(false)),
            _ => {}
        }
        let right = self.node(parsed, right)?;
        let order = |wanted: fn(Ordering) -> bool| Ok(Value::Bool(ops::compare(&left, &right)?.is_some_and(wanted)));
        match operator {
            Binary::And | Binary::Or => ops::is_true(&right).map(Value::Bool),
            Binary::Equal => ops::equal(&left, &right).map(Value::Bool),
            Binary::NotEqual => ops::equal(&left, &right).map(|equal| Value::Bool(!equal)),
            Binary::Greater => order(Ordering::is_gt),
            Binary::Less => order(Ordering::is_lt),
            Binary::GreaterOrEqual => order(Ordering::is_ge),
            Binary::LessOrEqual => order(Ordering::is_le),
            Binary::Contains => self.contains(&left, &right).map(Value::Bool),
            Binary::IsIn => self.is_in(&left, &right).map(Value::Bool),
            Binary::IsNotIn => self.is_in(&left, &right).map(|found| Value::Bool(!found)),
            Binary::Concat => self.concat(&left, &right, print::join),
            Binary::Range => crate::functions::range(self, &left, &right, 1),
            Binary::Add => self.add(&left, &right),
            Binary::Subtract => match &left {
                Value::List(items) => self.without(items, &right),
                _ => self.arithmetic(operator, &left, &right),
            },
            Binary::Multiply | Binary::Divide | Binary::Remainder => self.arithmetic(operator, &left, &right),
            Binary::Coalesce | Binary::CoalesceUndefined => Ok(left),
        }
    }

    fn concat(
        &mut self,
        left: &Value,
        right: &Value,
        join: fn(&mut TextBuilder, &Value) -> Result<(), Error>,
    ) -> Result<Value, Error> {
        self.charge_print(left)?;
        self.charge_print(right)?;
        let mut out = TextBuilder::default();
        join(&mut out, left)?;
        join(&mut out, right)?;
        self.charge_bytes(out.size_bytes())?;
        Ok(Value::Text(out.finish()))
    }

    /// `+`: joins where one side is text, appends to a list, adds numbers.
    fn add(&mut self, left: &Value, right: &Value) -> Result<Value, Error> {
        let number = |value: &Value| ops::is_number(value) || ops::secret_number(value).is_some();
        match (left, right) {
            _ if number(left) && number(right) => self.arithmetic(Binary::Add, left, right),
            (Value::Text(_), _) | (_, Value::Text(_)) => self.concat(left, right, print::join_item),
            (Value::List(items), other) => {
                let mut list = items.as_ref().clone();
                match other {
                    Value::List(more) => list.extend(more.iter().cloned()),
                    one => list.push(one.clone()),
                }
                self.charge(list.len())?;
                self.built(Value::list(list))
            }
            _ => self.arithmetic(Binary::Add, left, right),
        }
    }

    fn without(&mut self, items: &[Value], removed: &Value) -> Result<Value, Error> {
        let removed = match removed {
            Value::List(removed) => removed.as_ref().clone(),
            one => vec![one.clone()],
        };
        self.charge(items.len().saturating_mul(removed.len()))?;
        let mut kept = Vec::new();
        for item in items {
            if !contains_item(&removed, item)? {
                kept.push(item.clone());
            }
        }
        Ok(Value::list(kept))
    }

    fn contains(&mut self, left: &Value, right: &Value) -> Result<bool, Error> {
        match (left, right) {
            (Value::List(items), Value::List(wanted)) => {
                self.charge(items.len().saturating_mul(wanted.len()))?;
                for item in wanted.iter() {
                    if !contains_item(items, item)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::List(items), item) => {
                self.charge(items.len())?;
                contains_item(items, item)
            }
            (Value::Map(map), key) => Ok(map.contains_key(print::string_of(key)?.as_str())),
            (Value::Text(text), part) => {
                let mut wanted = TextBuilder::default();
                print::join_item(&mut wanted, part)?;
                let text = text.reveal()?;
                self.charge_bytes(text.len())?;
                Ok(text.contains(wanted.finish().reveal()?.as_ref()))
            }
            (other, _) => {
                Err(Error::invalid(format!("`contains` needs text, a list or a map, found {}", other.kind())))
            }
        }
    }

    /// `isIn` compares what things print as, so a number is in a list of texts.
    fn is_in(&mut self, item: &Value, container: &Value) -> Result<bool, Error> {
        if item.is_null() {
            return Ok(false);
        }
        let item = print::string_of(item)?;
        let found = |value: &Value| Ok::<bool, Error>(!value.is_null() && print::string_of(value)? == item);
        match container {
            Value::List(items) => {
                self.charge(items.len())?;
                items.iter().try_fold(false, |any, value| Ok(any || found(value)?))
            }
            Value::Map(map) => {
                self.charge(map.len())?;
                map.iter().try_fold(false, |any, (key, value)| Ok(any || **key == *item || found(value)?))
            }
            _ => Ok(false),
        }
    }

    fn filter_step(
        &mut self,
        parsed: &Parsed,
        filter: &'static Filter,
        input: Value,
        args: &[Arg],
    ) -> Result<Value, Error> {
        let mut given = Args::new(filter.name, filter.params);
        self.evaluate_args(parsed, args, &mut given)?;
        self.filter(filter, &input, &given)
    }

    pub fn filter(&mut self, filter: &'static Filter, input: &Value, args: &Args) -> Result<Value, Error> {
        if input.is_null() && !filter.takes_null {
            return Ok(Value::Null);
        }
        match input {
            Value::Text(text) => self.charge_bytes(text.as_plain().map_or(1, str::len))?,
            Value::List(items) => self.charge(items.len())?,
            Value::Map(map) => self.charge(map.len())?,
            _ => {}
        }
        let has_secret = input.has_secret() || args.has_secret();
        let result = (filter.run)(self, input, args);
        let result = match has_secret {
            true => result.map_err(|error| secrets::conceal(error, filter.name))?,
            false => result?,
        };
        if let Value::Text(text) = &result {
            self.charge_bytes(text.as_plain().map_or(1, str::len))?;
        }
        if filter.keeps_secrets || !has_secret {
            return Ok(result);
        }
        secrets::taint(result, &format!("filter:{}", filter.name), &secrets::inputs_of(Some(input), args))
    }

    fn test_step(
        &mut self,
        parsed: &Parsed,
        test: &'static Predicate,
        input: &Value,
        args: &[Arg],
    ) -> Result<bool, Error> {
        let mut given = Args::new(test.name, test.params);
        self.evaluate_args(parsed, args, &mut given)?;
        (test.run)(input, &given)
    }
}

pub(crate) fn contains_item(items: &[Value], wanted: &Value) -> Result<bool, Error> {
    items.iter().try_fold(false, |found, item| Ok(found || ops::equal(item, wanted)?))
}
