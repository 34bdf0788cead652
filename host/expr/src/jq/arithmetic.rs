//! jq's operators on values: numbers, joining of text, lists and maps, splitting and repeating of text.
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::sync::Arc;

use jaq_core::ops::Math;
use jaq_core::{Error, ValR};

use super::meter::{Spent, charge, charge_text, leave};
use super::value::{Json, MAX_NESTING, order, rank};
use crate::value::{Map, Value};

fn fails(a: Json, operator: Math, b: Json) -> ValR<Json> {
    Err(Error::math(a, operator, b))
}

/// Whole numbers stay whole where the result is.
fn computed(a: &Json, b: &Json, whole: fn(i64, i64) -> Option<i64>, float: fn(f64, f64) -> f64) -> Option<Json> {
    let exact = match (&a.0, &b.0) {
        (Value::Int(a), Value::Int(b)) => whole(*a, *b),
        _ => None,
    };
    if let Some(result) = exact {
        return Some(Json(Value::Int(result)));
    }
    Some(normal(float(a.number()?, b.number()?)))
}

/// A float without a fraction is a whole number.
fn normal(number: f64) -> Json {
    let is_whole = number.fract() == 0.0 && number.abs() < 9e15;
    Json(if is_whole { Value::Int(number as i64) } else { Value::Float(number) })
}

impl Add for Json {
    type Output = ValR<Json>;

    fn add(self, other: Json) -> ValR<Json> {
        Ok(match (&self.0, &other.0) {
            (Value::Null, _) => other,
            (_, Value::Null) => self,
            (Value::Text(a), Value::Text(b)) => {
                let (a, b) = (a.as_plain().unwrap_or(""), b.as_plain().unwrap_or(""));
                charge_text(a.len() + b.len());
                Json(format!("{a}{b}").into())
            }
            (Value::List(_), Value::List(b)) => {
                let b = b.clone();
                let Value::List(mut list) = self.0 else { return Ok(other) };
                charge(1 + b.len());
                if Arc::strong_count(&list) > 1 {
                    charge(list.len());
                }
                Arc::make_mut(&mut list).extend(b.iter().cloned());
                Json(Value::List(list))
            }
            (Value::Map(_), Value::Map(b)) => {
                let b = b.clone();
                let Value::Map(mut map) = self.0 else { return Ok(other) };
                charge(1 + b.len());
                if Arc::strong_count(&map) > 1 {
                    charge(map.len());
                }
                Arc::make_mut(&mut map).extend(b.iter().map(|(key, item)| (key.clone(), item.clone())));
                Json(Value::Map(map))
            }
            _ => match computed(&self, &other, i64::checked_add, |a, b| a + b) {
                Some(sum) => sum,
                None => return fails(self, Math::Add, other),
            },
        })
    }
}

impl Sub for Json {
    type Output = ValR<Json>;

    fn sub(self, other: Json) -> ValR<Json> {
        if let (Value::List(a), Value::List(b)) = (&self.0, &other.0) {
            charge(a.len().saturating_mul(b.len()));
            let kept = a.iter().filter(|item| !b.iter().any(|other| order(item, other).is_eq()));
            return Ok(Json(Value::list(kept.cloned())));
        }
        computed(&self, &other, i64::checked_sub, |a, b| a - b).map_or_else(|| fails(self, Math::Sub, other), Ok)
    }
}

impl Mul for Json {
    type Output = ValR<Json>;

    fn mul(self, other: Json) -> ValR<Json> {
        match (&self.0, &other.0) {
            (Value::Text(text), _) if rank(&other.0) == 3 => Ok(repeated(text.as_plain().unwrap_or(""), &other)),
            (_, Value::Text(text)) if rank(&self.0) == 3 => Ok(repeated(text.as_plain().unwrap_or(""), &self)),
            (Value::Map(a), Value::Map(b)) => Ok(Json(merged(a, b, MAX_NESTING))),
            _ => computed(&self, &other, i64::checked_mul, |a, b| a * b)
                .map_or_else(|| fails(self, Math::Mul, other), Ok),
        }
    }
}

fn repeated(text: &str, times: &Json) -> Json {
    let times = times.number().unwrap_or(0.0);
    if times <= 0.0 || times.is_nan() {
        return Json(Value::Null);
    }
    let times = (times.ceil() as usize).max(1);
    charge_text(text.len().saturating_mul(times));
    Json(text.repeat(times).into())
}

fn merged(a: &Map, b: &Map, left: usize) -> Value {
    if left == 0 {
        leave(Spent::Nesting)
    }
    charge(1 + a.len() + b.len());
    let mut map = a.clone();
    for (key, item) in b {
        let item = match (map.get(key), item) {
            (Some(Value::Map(a)), Value::Map(b)) => merged(a, b, left - 1),
            _ => item.clone(),
        };
        map.insert(key.clone(), item);
    }
    map.into()
}

impl Div for Json {
    type Output = ValR<Json>;

    fn div(self, other: Json) -> ValR<Json> {
        if let (Some(text), Some(separator)) = (self.text(), other.text()) {
            charge_text(text.len());
            let parts: Vec<Value> = match separator {
                "" => text.chars().map(|c| c.to_string().into()).collect(),
                separator if !text.is_empty() => text.split(separator).map(Value::from).collect(),
                _ => Vec::new(),
            };
            charge(parts.len());
            return Ok(Json(Value::list(parts)));
        }
        let exact = |a: i64, b: i64| a.checked_rem(b).filter(|rest| *rest == 0).and_then(|_| a.checked_div(b));
        computed(&self, &other, exact, |a, b| a / b).map_or_else(|| fails(self, Math::Div, other), Ok)
    }
}

impl Rem for Json {
    type Output = ValR<Json>;

    /// Of whole numbers: fractions are cut off.
    fn rem(self, other: Json) -> ValR<Json> {
        let whole = |json: &Json| match json.0 {
            Value::Int(number) => Some(number),
            _ => json.number().map(|number| number as i64),
        };
        match (whole(&self), whole(&other)) {
            (Some(_), Some(_)) if self.is_nan() || other.is_nan() => Ok(f64::NAN.into()),
            (Some(a), Some(b)) if b != 0 => Ok(Json(Value::Int(a.wrapping_rem(b)))),
            _ => fails(self, Math::Rem, other),
        }
    }
}

impl Neg for Json {
    type Output = ValR<Json>;

    fn neg(self) -> ValR<Json> {
        match &self.0 {
            Value::Int(number) => {
                Ok(number.checked_neg().map_or(Json(Value::Float(-(*number as f64))), |n| Json(Value::Int(n))))
            }
            Value::Float(number) => Ok(Json(Value::Float(-number))),
            Value::Number(number) => Ok(normal(-number.as_f64())),
            _ => Err(Error::typ(self, "number")),
        }
    }
}
