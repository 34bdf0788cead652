//! Our values as jq's: order of kinds, indices, slices, updates.
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use jaq_core::box_iter::BoxIter;
use jaq_core::path::Opt;
use jaq_core::{Error, ValR, ValX};

use super::meter::{Spent, charge, charge_text, leave};
use crate::eval::print::string_of;
use crate::json::{self, Secrets};
use crate::number::Kind;
use crate::value::{Map, Value};

/// Nesting of values that a program makes.
pub(super) const MAX_NESTING: usize = 200;

/// A value of a jq program. Holds plain text only; not-a-number is allowed in here and is null outside.
#[derive(Clone, Debug)]
pub(super) struct Json(pub Value);

/// Secrets revealed and dates as text: what jq can work on.
pub(super) fn plain(value: &Value) -> Result<Value, crate::error::Error> {
    Ok(match value {
        Value::Text(text) if text.is_secret() => text.reveal()?.as_ref().into(),
        Value::List(items) => Value::List(Arc::new(items.iter().map(plain).collect::<Result<_, _>>()?)),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, item)| Ok((key.clone(), plain(item)?)));
            entries.collect::<Result<Map, crate::error::Error>>()?.into()
        }
        Value::Time(time) => time.to_json_text().into(),
        other => other.clone(),
    })
}

/// Numbers that are not finite become null, or the largest there is.
pub(super) fn finite(value: Value) -> Value {
    match value {
        Value::Float(number) if number.is_nan() => Value::Null,
        Value::Float(number) if number.is_infinite() => Value::Float(f64::MAX.copysign(number)),
        Value::List(items) => Value::List(Arc::new(items.iter().cloned().map(finite).collect())),
        Value::Map(map) => map.iter().map(|(key, item)| (key.clone(), finite(item.clone()))).collect::<Map>().into(),
        other => other,
    }
}

impl Json {
    pub fn text(&self) -> Option<&str> {
        self.0.as_str()
    }

    pub fn number(&self) -> Option<f64> {
        self.0.as_f64()
    }

    pub fn is_nan(&self) -> bool {
        self.number().is_some_and(f64::is_nan)
    }

    /// A number as an index: whole, rounded down.
    pub fn position(&self) -> Option<i64> {
        match &self.0 {
            Value::Int(index) => Some(*index),
            other => other.as_f64().filter(|number| number.is_finite()).map(|number| number.floor() as i64),
        }
    }

    pub fn list(items: Vec<Value>) -> Json {
        let list = Value::List(Arc::new(items));
        check_nesting(&list, MAX_NESTING);
        Json(list)
    }

    pub fn json_text(&self) -> String {
        let mut out = String::new();
        // Sealed secrets were refused when the input was made plain.
        if json::write_value(&mut out, &finite(self.0.clone()), Secrets::Revealed).is_err() {
            out.clear();
        }
        charge_text(out.len());
        out
    }
}

/// Leaves the program when a value is nested too deeply; costs a step per list or map.
fn check_nesting(value: &Value, left: usize) {
    if left == 0 {
        leave(Spent::Nesting)
    }
    match value {
        Value::List(items) => {
            charge(1 + items.len() / 8);
            items.iter().for_each(|item| check_nesting(item, left - 1));
        }
        Value::Map(map) => {
            charge(1 + map.len() / 8);
            map.values().for_each(|item| check_nesting(item, left - 1));
        }
        _ => {}
    }
}

pub(super) fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Int(_) | Value::Float(_) | Value::Number(_) => 3,
        Value::Text(_) | Value::Time(_) => 4,
        Value::List(_) => 5,
        Value::Map(_) => 6,
    }
}

pub(super) fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.as_plain().cmp(&b.as_plain()),
        (Value::List(a), Value::List(b)) => {
            charge(1);
            let pairs = a.iter().zip(b.iter()).map(|(a, b)| order(a, b));
            pairs.into_iter().find(|order| order.is_ne()).unwrap_or(a.len().cmp(&b.len()))
        }
        (Value::Map(a), Value::Map(b)) => {
            charge(1 + a.len() + b.len());
            let sorted = |map: &Map| {
                let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                entries
            };
            let (a, b) = (sorted(a), sorted(b));
            let keys = a.iter().map(|(key, _)| key).cmp(b.iter().map(|(key, _)| key));
            keys.then_with(|| {
                let values = a.iter().zip(&b).map(|((_, a), (_, b))| order(a, b));
                values.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
            })
        }
        _ if rank(a) == 3 && rank(b) == 3 => {
            let (x, y) = (a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0));
            match (x.is_nan(), y.is_nan()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => x.partial_cmp(&y).unwrap_or(Ordering::Equal),
            }
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl Eq for Json {}

#[expect(clippy::non_canonical_partial_ord_impl, reason = "sorting needs a total order, `<` on not-a-number is jq's")]
impl PartialOrd for Json {
    /// Not-a-number is less than everything, itself included.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.0 {
            Value::Float(number) if number.is_nan() && rank(&other.0) == 3 => Some(Ordering::Less),
            _ => Some(order(&self.0, &other.0)),
        }
    }
}

impl Ord for Json {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json_text())
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json(Value::Bool(value))
    }
}
impl From<isize> for Json {
    fn from(value: isize) -> Self {
        Json(Value::Int(value as i64))
    }
}
impl From<usize> for Json {
    fn from(value: usize) -> Self {
        Json(Value::Int(value as i64))
    }
}
impl From<f64> for Json {
    fn from(value: f64) -> Self {
        Json(Value::Float(value))
    }
}
impl From<String> for Json {
    fn from(text: String) -> Self {
        charge_text(text.len());
        Json(text.into())
    }
}
impl From<Range<Option<Json>>> for Json {
    fn from(range: Range<Option<Json>>) -> Self {
        let bounds = [("start", range.start), ("end", range.end)];
        Json(Value::map(bounds.into_iter().filter_map(|(name, bound)| Some((name, bound?.0)))))
    }
}

impl FromIterator<Json> for Json {
    fn from_iter<T: IntoIterator<Item = Json>>(items: T) -> Self {
        let mut list = Vec::new();
        for item in items {
            charge(1);
            list.push(item.0);
        }
        Json::list(list)
    }
}

/// Where a possibly negative position stands in something of this length.
fn absolute(position: i64, length: usize) -> Option<usize> {
    match usize::try_from(position) {
        Ok(position) => Some(position),
        Err(_) => length.checked_sub(usize::try_from(position.unsigned_abs()).ok()?),
    }
}

fn bounds(range: Range<Option<&Json>>, length: usize) -> Result<Range<usize>, Error<Json>> {
    let bound = |bound: Option<&Json>, default: usize, up: bool| match bound {
        None => Ok(default),
        Some(Json(Value::Null)) => Ok(default),
        Some(json) => {
            let number = json.number().ok_or_else(|| Error::typ(json.clone(), "number"))?;
            let whole = if up { number.ceil() } else { number.floor() } as i64;
            Ok(absolute(whole, length).unwrap_or(0).min(length))
        }
    };
    let start = bound(range.start, 0, false)?;
    Ok(start..bound(range.end, length, true)?.max(start))
}

impl jaq_core::ValT for Json {
    fn from_num(text: &str) -> ValR<Self> {
        let parsed = crate::eval::ops::parse_number(text).map(Json);
        parsed
            .or_else(|| text.parse().ok().map(|number: f64| Json(Value::Float(number))))
            .ok_or_else(|| Error::str("no number"))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> ValR<Self> {
        let mut map = Map::new();
        for (key, value) in entries {
            charge(1);
            let Json(Value::Text(text)) = &key else { return Err(Error::typ(key, "object key (text)")) };
            map.insert(text.plain_arc().cloned().unwrap_or_default(), value.0);
        }
        let map = Value::from(map);
        check_nesting(&map, MAX_NESTING);
        Ok(Json(map))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self.0 {
            Value::List(items) => {
                let length = items.len();
                Box::new((0..length).map(move |index| {
                    charge(1);
                    Ok((Json(Value::Int(index as i64)), Json(items.get(index).cloned().unwrap_or_default())))
                }))
            }
            Value::Map(map) => {
                let entries: Vec<_> = map.iter().map(|(key, item)| (key.clone(), item.clone())).collect();
                charge(entries.len());
                Box::new(entries.into_iter().map(|(key, item)| Ok((Json(Value::from(key)), Json(item)))))
            }
            other => Box::new(std::iter::once(Err(Error::typ(Json(other), "iterable (array or object)")))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self.0 {
            Value::List(items) => {
                let length = items.len();
                Box::new((0..length).map(move |index| {
                    charge(1);
                    Ok(Json(items.get(index).cloned().unwrap_or_default()))
                }))
            }
            Value::Map(map) => {
                let length = map.len();
                Box::new((0..length).map(move |index| {
                    charge(1);
                    Ok(Json(map.get_index(index).map(|(_, item)| item.clone()).unwrap_or_default()))
                }))
            }
            other => Box::new(std::iter::once(Err(Error::typ(Json(other), "iterable (array or object)")))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        match (&self.0, &index.0) {
            (Value::Null, Value::Null | Value::Text(_)) => Ok(Json(Value::Null)),
            (Value::Null, _) if index.position().is_some() => Ok(Json(Value::Null)),
            (Value::Map(map), Value::Text(key)) => {
                Ok(Json(key.as_plain().and_then(|key| map.get(key)).cloned().unwrap_or_default()))
            }
            (Value::List(items), _) if index.number().is_some() => {
                let found = index.position().and_then(|position| absolute(position, items.len()));
                Ok(Json(found.and_then(|index| items.get(index)).cloned().unwrap_or_default()))
            }
            (Value::List(items), Value::List(wanted)) => Ok(Json(super::funs::positions(items, wanted))),
            (_, Value::Map(slice)) => {
                let bound = |name: &str| slice.get(name).cloned().map(Json);
                let (start, end) = (bound("start"), bound("end"));
                self.range(start.as_ref()..end.as_ref())
            }
            _ => Err(Error::index(self, index.clone())),
        }
    }

    fn range(self, range: Range<Option<&Self>>) -> ValR<Self> {
        match &self.0 {
            Value::Null => Ok(Json(Value::Null)),
            Value::List(items) => {
                let range = bounds(range, items.len())?;
                charge(1 + range.len());
                Ok(Json(Value::list(items.get(range).unwrap_or_default().iter().cloned())))
            }
            Value::Text(text) => {
                let text = text.as_plain().unwrap_or("");
                charge_text(text.len());
                let range = bounds(range, text.chars().count())?;
                Ok(Json(text.chars().skip(range.start).take(range.len()).collect::<String>().into()))
            }
            _ => Err(Error::typ(self, "sliceable (array or string)")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        change: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self.0 {
            Value::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items.iter() {
                    for changed in change(Json(item.clone())) {
                        charge(1);
                        list.push(changed?.0);
                    }
                }
                Ok(Json::list(list))
            }
            Value::Map(map) => {
                let mut out = Map::with_capacity(map.len());
                for (key, item) in map.iter() {
                    charge(1);
                    if let Some(changed) = change(Json(item.clone())).next() {
                        out.insert(key.clone(), changed?.0);
                    }
                }
                let out = Value::from(out);
                check_nesting(&out, MAX_NESTING);
                Ok(Json(out))
            }
            other => opt.fail(Json(other), |json| Error::typ(json, "iterable (array or object)").into()),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        change: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let replaced = match (self.0, &index.0) {
            (container @ (Value::Null | Value::Map(_)), Value::Text(key)) => {
                let mut map = match container {
                    Value::Map(map) => map,
                    _ => Arc::default(),
                };
                if Arc::strong_count(&map) > 1 {
                    charge(map.len());
                }
                let key = key.plain_arc().cloned().unwrap_or_default();
                let old = map.get(&key).cloned().unwrap_or_default();
                match change(Json(old)).next().transpose()? {
                    Some(new) => {
                        Arc::make_mut(&mut map).insert(key, new.0);
                    }
                    None => {
                        Arc::make_mut(&mut map).shift_remove(&key);
                    }
                }
                Value::Map(map)
            }
            (container, Value::Map(slice)) => {
                let bound = |name: &str| slice.get(name).cloned().map(Json);
                let (start, end) = (bound("start"), bound("end"));
                return Json(container).map_range(start.as_ref()..end.as_ref(), opt, change);
            }
            (container @ (Value::Null | Value::List(_)), _) if index.position().is_some() => {
                let mut list = match container {
                    Value::List(list) => list,
                    _ => Arc::default(),
                };
                let Some(at) = index.position().and_then(|position| absolute(position, list.len())) else {
                    return opt.fail(Json(Value::List(list)), |json| Error::index(json, index.clone()).into());
                };
                charge(1 + at.saturating_sub(list.len()));
                if Arc::strong_count(&list) > 1 {
                    charge(list.len());
                }
                let old = list.get(at).cloned().unwrap_or_default();
                let items = Arc::make_mut(&mut list);
                match change(Json(old)).next().transpose()? {
                    Some(new) => {
                        if items.len() <= at {
                            items.resize(at + 1, Value::Null);
                        }
                        if let Some(place) = items.get_mut(at) {
                            *place = new.0;
                        }
                    }
                    None if at < items.len() => {
                        items.remove(at);
                    }
                    None => {}
                }
                Value::List(list)
            }
            (other, _) => return opt.fail(Json(other), |json| Error::index(json, index.clone()).into()),
        };
        check_nesting(&replaced, MAX_NESTING);
        Ok(Json(replaced))
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<Option<&Self>>,
        opt: Opt,
        change: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let Value::List(items) = &self.0 else {
            return opt.fail(self, |json| Error::typ(json, "array").into());
        };
        let range = bounds(range, items.len())?;
        let part = |range: Range<usize>| items.get(range).unwrap_or_default().iter().cloned();
        let changed = change(Json(Value::list(part(range.clone())))).next().transpose()?;
        let middle = match changed {
            Some(Json(Value::List(middle))) => middle,
            None => Arc::default(),
            Some(other) => return Err(Error::typ(other, "array").into()),
        };
        charge(1 + items.len() + middle.len());
        let all = part(0..range.start).chain(middle.iter().cloned()).chain(part(range.end..items.len()));
        Ok(Json::list(all.collect()))
    }

    fn as_bool(&self) -> bool {
        !matches!(self.0, Value::Null | Value::Bool(false))
    }

    fn into_string(self) -> Self {
        match self.0 {
            Value::Text(_) => self,
            _ => Json(self.json_text().into()),
        }
    }
}

impl jaq_std::ValT for Json {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self.0 {
            Value::List(items) => {
                charge(items.len());
                Ok(items.iter().cloned().map(Json).collect())
            }
            other => Err(Json(other)),
        }
    }

    fn is_int(&self) -> bool {
        match &self.0 {
            Value::Int(_) => true,
            Value::Number(number) => matches!(number.kind(), Kind::Long | Kind::BigInteger),
            _ => false,
        }
    }

    fn as_isize(&self) -> Option<isize> {
        self.0.as_i64().and_then(|number| isize::try_from(number).ok())
    }

    fn as_f64(&self) -> Option<f64> {
        self.number()
    }

    fn is_utf8_str(&self) -> bool {
        self.text().is_some()
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.text().map(str::as_bytes)
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        Json(String::from_utf8_lossy(sub).into_owned().into())
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        let text = String::from_utf8_lossy(bytes.as_ref()).into_owned();
        text.into()
    }
}

impl Json {
    /// What a value prints as, for formats such as CSV.
    pub fn shown(&self) -> String {
        string_of(&self.0).unwrap_or_default()
    }
}
