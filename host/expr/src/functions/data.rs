//! Text in JSON, Ion or YAML to values.
use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Error;
use crate::eval::ops::parse_number;
use crate::eval::{Args, Evaluator};
use crate::value::{Map, Value};
use crate::{ion, json};

/// Rows of Ion that one call reads.
const MAX_ROWS: usize = 100_000;
/// Nesting of YAML.
const YAML_DEPTH: u32 = 128;

/// The text to read; `None` for null.
fn text<'a>(evaluator: &mut Evaluator<'_>, args: &'a Args) -> Result<Option<Cow<'a, str>>, Error> {
    if args.given(0).is_none() {
        args.required(0)?;
    }
    let text = args.optional_text(0)?;
    if let Some(text) = &text {
        evaluator.charge_bytes(text.len())?;
        evaluator.charge(text.len() / 8)?;
    }
    Ok(text)
}

pub(super) fn from_json(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    match text(evaluator, args)? {
        Some(text) => json::parse(&text).map_err(|error| Error::invalid(format!("invalid JSON: {error}"))),
        None => Ok(Value::Null),
    }
}

pub(super) fn from_ion(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let all_rows = args.flag(1, false)?;
    let Some(text) = text(evaluator, args)? else { return Ok(Value::Null) };
    let result = match all_rows {
        true => ion::parse_rows(&text, MAX_ROWS).map(Value::list),
        false => ion::parse_first(&text),
    };
    result.map_err(|error| Error::invalid(format!("invalid Ion: {error}")))
}

pub(super) fn yaml(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    args.required(0)?;
    let text = text(evaluator, args)?.unwrap_or_default();
    let mut parsed: serde_yaml::Value =
        serde_yaml::from_str(&text).map_err(|error| Error::invalid(format!("invalid YAML: {error}")))?;
    parsed.apply_merge().map_err(|error| Error::invalid(format!("invalid YAML: {error}")))?;
    from_yaml(evaluator, parsed, YAML_DEPTH)
}

fn from_yaml(evaluator: &mut Evaluator<'_>, yaml: serde_yaml::Value, depth: u32) -> Result<Value, Error> {
    evaluator.charge(1)?;
    let inner = depth.checked_sub(1).ok_or_else(|| Error::invalid("the YAML is nested too deeply"))?;
    Ok(match yaml {
        serde_yaml::Value::Null => Value::Null,
        serde_yaml::Value::Bool(value) => Value::Bool(value),
        serde_yaml::Value::Number(number) if !number.is_f64() => {
            parse_number(&number.to_string()).ok_or_else(|| Error::invalid("the YAML holds no number"))?
        }
        serde_yaml::Value::Number(number) => {
            number.as_f64().and_then(Value::float).ok_or_else(|| Error::invalid("the YAML holds no finite number"))?
        }
        serde_yaml::Value::String(text) => Value::from(text),
        serde_yaml::Value::Sequence(items) => {
            let items = items.into_iter().map(|item| from_yaml(evaluator, item, inner));
            Value::List(Arc::new(items.collect::<Result<_, _>>()?))
        }
        serde_yaml::Value::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = from_yaml(evaluator, key, inner)?.to_string();
                map.insert(key.into(), from_yaml(evaluator, value, inner)?);
            }
            map.into()
        }
        serde_yaml::Value::Tagged(tagged) => from_yaml(evaluator, tagged.value, inner)?,
    })
}
