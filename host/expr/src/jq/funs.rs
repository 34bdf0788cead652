//! What jq programs can call: jaq's library without all that is not pure, and what jaq leaves to the kind of values.
use jaq_core::load::parse::Def;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{Cv, Error, RunPtr, ValR, ValX};
use regex::RegexBuilder;

use super::meter::{Jq, charge, charge_text};
use super::value::Json;
use crate::json;
use crate::value::{Map, Value};

/// Natives of jaq that read the clock, the environment or the time zone of the machine, print, or end the process;
/// and those that we do ourselves, with bounds.
const LEFT_OUT: [&str; 12] = [
    "now",
    "env",
    "halt",
    "localtime",
    "strflocaltime",
    "debug_empty",
    "stderr_empty",
    "range",
    "matches",
    "split_",
    "split_matches",
    "implode",
];
/// Definitions that use them.
const DEFINITIONS_LEFT_OUT: [&str; 4] = ["halt", "halt_error", "debug", "stderr"];

/// Definitions in jq for what is not in jaq's library.
const OWN: &str = r#"
def tonumber: if isnumber then . else fromjson | if isnumber then . else error("cannot parse as number") end end;
def toboolean: if isboolean then . else fromjson | if isboolean then . else error("cannot parse as boolean") end end;
def in(xs): . as $key | xs | has($key);
def inside(xs): . as $inner | xs | contains($inner);
def index($part): indices($part) | .[0];
def rindex($part): indices($part) | .[-1:] | .[0];
def transpose: . as $rows | [range([$rows[] | length] | max // 0) as $at | [$rows[][$at]]];
def leaf_paths: paths(scalars);
def ascii: [.] | implode;
def ltrimstr($part): if isstring and ($part | isstring) and startswith($part) then .[$part | length:] else . end;
def rtrimstr($part): if isstring and ($part | isstring) and endswith($part) then .[:length - ($part | length)] else . end;
def @json: tojson;
def @csv: [.[] | if . == null then "" elif isstring then "\"" + (split("\"") | join("\"\"")) + "\"" else tostring end] | join(",");
def @tsv: [.[] | if . == null then "" elif isstring then escape_tsv else tostring end] | join("\t");
"#;

pub(super) fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    let own = jaq_core::load::parse(OWN, |parser| parser.defs()).expect("our own definitions parse");
    let library = jaq_core::defs().chain(jaq_std::defs()).filter(|def| !DEFINITIONS_LEFT_OUT.contains(&def.name));
    library.chain(own)
}

pub(super) fn natives() -> impl Iterator<Item = Fun<Jq>> {
    let library = jaq_core::funs().chain(jaq_std::funs()).filter(|(name, ..)| !LEFT_OUT.contains(name));
    library.chain(own().into_vec().into_iter().map(|filter: Filter<RunPtr<Jq>>| run::<Jq>(filter)))
}

fn own() -> Box<[Filter<RunPtr<Jq>>]> {
    Box::new([
        ("range", v(3), |mut cv| {
            let (by, to, from) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
            Box::new(steps(from, to, by))
        }),
        ("matches", v(2), |cv| bome(matched(cv, Parts::Matches))),
        ("split_", v(2), |cv| bome(matched(cv, Parts::Rest))),
        ("split_matches", v(2), |cv| bome(matched(cv, Parts::Both))),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
        ("tojson", v(0), |cv| bome(Ok(Json(cv.1.json_text().into())))),
        ("length", v(0), |cv| bome(length(cv.1))),
        ("contains", v(1), |cv| unary(cv, |a, b| Ok(contains(&a.0, &b.0).into()))),
        ("has", v(1), |cv| unary(cv, has)),
        ("indices", v(1), |cv| unary(cv, indices)),
        ("implode", v(0), |cv| bome(implode(cv.1))),
        ("escape_tsv", v(0), |cv| {
            let text =
                cv.1.shown().replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r");
            bome(Ok(text.into()))
        }),
    ])
}

fn steps<'a>(from: Json, to: Json, by: Json) -> impl Iterator<Item = ValX<'a, Json>> + 'a {
    let zero = Json(Value::Int(0));
    let mut next = Some(from);
    std::iter::from_fn(move || {
        charge(1);
        let current = next.take()?;
        let goes_on = match by.cmp(&zero) {
            std::cmp::Ordering::Greater => current < to,
            std::cmp::Ordering::Less => current > to,
            std::cmp::Ordering::Equal => false,
        };
        if !goes_on {
            return None;
        }
        match current.clone() + by.clone() {
            Ok(after) => {
                next = Some(after);
                Some(Ok(current))
            }
            Err(error) => Some(Err(error.into())),
        }
    })
}

fn from_json(json: &Json) -> ValR<Json> {
    let text = json.text().ok_or_else(|| Error::typ(json.clone(), "string"))?;
    charge_text(text.len());
    charge(text.len() / 8);
    json::parse(text).map(Json).map_err(Error::str)
}

fn length(json: Json) -> ValR<Json> {
    Ok(match &json.0 {
        Value::Null => 0_usize.into(),
        Value::Text(text) => text.as_plain().unwrap_or("").chars().count().into(),
        Value::List(items) => items.len().into(),
        Value::Map(map) => map.len().into(),
        Value::Int(number) => Json(Value::Int(number.saturating_abs())),
        Value::Float(number) => number.abs().into(),
        Value::Number(number) => number.as_f64().abs().into(),
        Value::Bool(_) | Value::Time(_) => return Err(Error::str(format_args!("{json} has no length"))),
    })
}

fn contains(a: &Value, b: &Value) -> bool {
    charge(1);
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.as_plain().unwrap_or("").contains(b.as_plain().unwrap_or("")),
        (Value::List(a), Value::List(b)) => b.iter().all(|wanted| a.iter().any(|item| contains(item, wanted))),
        (Value::Map(a), Value::Map(b)) => {
            b.iter().all(|(key, wanted)| a.get(key).is_some_and(|item| contains(item, wanted)))
        }
        _ => Json(a.clone()) == Json(b.clone()),
    }
}

fn has(json: Json, key: Json) -> ValR<Json> {
    match (&json.0, &key.0) {
        (Value::Map(map), Value::Text(key)) => Ok(map.contains_key(key.as_plain().unwrap_or("")).into()),
        (Value::List(items), Value::Int(index)) => {
            Ok(usize::try_from(*index).is_ok_and(|index| index < items.len()).into())
        }
        _ => Err(Error::index(json, key)),
    }
}

/// Where a list occurs in a list.
pub(super) fn positions(items: &[Value], wanted: &[Value]) -> Value {
    charge(1 + items.len());
    if wanted.is_empty() {
        return Value::list([]);
    }
    let same = |window: &[Value]| {
        charge(1);
        window.iter().zip(wanted).all(|(a, b)| Json(a.clone()) == Json(b.clone()))
    };
    let found = items.windows(wanted.len()).enumerate().filter(|(_, window)| same(window));
    Value::list(found.map(|(index, _)| Value::Int(index as i64)))
}

fn indices(json: Json, wanted: Json) -> ValR<Json> {
    match (&json.0, &wanted.0) {
        (Value::Null, _) => Ok(Json(Value::Null)),
        (Value::List(items), Value::List(wanted)) => Ok(Json(positions(items, wanted))),
        (Value::List(items), item) => Ok(Json(positions(items, std::slice::from_ref(item)))),
        (Value::Text(text), Value::Text(part)) => {
            let (text, part) = (text.as_plain().unwrap_or(""), part.as_plain().unwrap_or(""));
            charge_text(text.len());
            charge(text.len() / 8);
            if part.is_empty() {
                return Ok(Json(Value::Null));
            }
            let starts = text
                .char_indices()
                .enumerate()
                .filter(|(_, (at, _))| text.get(*at..).is_some_and(|rest| rest.starts_with(part)));
            Ok(Json(Value::list(starts.map(|(index, _)| Value::Int(index as i64)))))
        }
        _ => Err(Error::index(json, wanted)),
    }
}

fn implode(json: Json) -> ValR<Json> {
    let Value::List(codes) = &json.0 else { return Err(Error::typ(json, "array")) };
    charge(codes.len());
    let letter = |code: &Value| code.as_i64().and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32);
    match codes.iter().map(letter).collect::<Option<String>>() {
        Some(text) => Ok(text.into()),
        None => Err(Error::str("cannot use a number as character")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    Matches,
    Rest,
    Both,
}

/// Matches of a regular expression (each a list: the whole, then its groups) and the text between them.
fn matched(mut cv: Cv<'_, Jq>, parts: Parts) -> ValR<Json> {
    let (flags, pattern) = (cv.0.pop_var(), cv.0.pop_var());
    let string = |json: &Json| json.text().map(str::to_owned).ok_or_else(|| Error::typ(json.clone(), "string"));
    let text = string(&cv.1)?;
    let pattern = string(&pattern)?;
    let flags = if flags.0.is_null() { String::new() } else { string(&flags)? };
    let global = flags.contains('g');
    charge_text(text.len());
    charge(text.len() / 8 + pattern.len());
    let regex = RegexBuilder::new(&pattern)
        .case_insensitive(flags.contains('i'))
        .ignore_whitespace(flags.contains('x'))
        .dot_matches_new_line(flags.contains(['s', 'p']))
        .multi_line(flags.contains('p'))
        .swap_greed(false)
        .size_limit((1 << 30) / text.len().max(1 << 12))
        .nest_limit(50)
        .build()
        .map_err(|_| Error::str(format_args!("invalid regex: {pattern}")))?;
    let names: Vec<Option<String>> = regex.capture_names().map(|name| name.map(str::to_owned)).collect();
    let offset = |at: usize| Value::Int(text.get(..at).unwrap_or("").chars().count() as i64);
    let (mut out, mut from) = (Vec::new(), 0);
    for captures in regex.captures_iter(&text) {
        charge(captures.len());
        let Some(whole) = captures.get(0) else { continue };
        if flags.contains('n') && whole.as_str().is_empty() {
            continue;
        }
        // Counting characters is linear in the text for every match.
        charge(whole.start() / 64);
        if parts != Parts::Matches {
            out.push(text.get(from..whole.start()).unwrap_or("").into());
            from = whole.end();
        }
        if parts != Parts::Rest {
            let groups = captures.iter().zip(&names).map(|(group, name)| {
                let mut map = Map::new();
                map.insert("offset".into(), group.map_or(Value::Int(-1), |group| offset(group.start())));
                let length = group.map_or(0, |group| group.as_str().chars().count());
                map.insert("length".into(), Value::Int(length as i64));
                map.insert("string".into(), group.map_or(Value::Null, |group| group.as_str().into()));
                if let Some(name) = name {
                    map.insert("name".into(), name.as_str().into());
                }
                Value::from(map)
            });
            out.push(Value::list(groups));
        }
        if !global {
            break;
        }
    }
    if parts != Parts::Matches {
        out.push(text.get(from..).unwrap_or("").into());
    }
    Ok(Json(Value::list(out)))
}
