//! Whether a value is what a case expects: equality, or one of the corpus' matchers. Unknown matchers are never taken as met.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::{Miss, beyond, wrong};

/// What stands for `{{execution.id}}` and its like in expectations.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<(String, String)>);

impl Names {
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.into()));
    }

    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.0 {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        text
    }
}

/// What is in files, by URI.
pub type Files = BTreeMap<String, String>;

/// Compares. `output` finds another output by its key.
pub fn fits(
    expected: &Value,
    found: Option<&Value>,
    names: &Names,
    output: &dyn Fn(&str) -> Result<Option<Value>, Miss>,
    files: &Files,
) -> Result<(), Miss> {
    if let Some(matchers) = expected.as_object().filter(|object| object.keys().any(|key| key.starts_with('$'))) {
        return matchers
            .iter()
            .try_for_each(|(name, wanted)| matches_one(name, wanted, matchers, found, names, output, files));
    }
    let missing = Value::Null;
    let value = found.unwrap_or(&missing);
    match (expected, value) {
        (Value::String(wanted), Value::String(text)) if names.fill(wanted) == *text => Ok(()),
        (Value::Number(wanted), Value::Number(number)) if wanted.as_f64() == number.as_f64() => Ok(()),
        (Value::Array(wanted), Value::Array(items)) if wanted.len() == items.len() => {
            wanted.iter().zip(items).try_for_each(|(wanted, item)| fits(wanted, Some(item), names, output, files))
        }
        (Value::Object(wanted), Value::Object(entries)) if wanted.len() == entries.len() => {
            wanted.iter().try_for_each(|(key, wanted)| fits(wanted, entries.get(key), names, output, files))
        }
        _ if expected == value => Ok(()),
        _ => wrong(format!("is {}, expected {expected}", shown(found))),
    }
}

fn matches_one(
    name: &str,
    wanted: &Value,
    all: &Map<String, Value>,
    found: Option<&Value>,
    names: &Names,
    output: &dyn Fn(&str) -> Result<Option<Value>, Miss>,
    files: &Files,
) -> Result<(), Miss> {
    let text = found.and_then(Value::as_str);
    let number = found.and_then(Value::as_f64);
    let wanted_text = names.fill(wanted.as_str().unwrap_or_default());
    let holds = match name {
        "$contains" => match found {
            Some(Value::Array(items)) => items.contains(wanted),
            _ => text.is_some_and(|text| text.contains(&wanted_text)),
        },
        "$startsWith" => text.is_some_and(|text| text.starts_with(&wanted_text)),
        "$matches" => {
            let pattern = Regex::new(&wanted_text).map_err(|error| Miss::Beyond(format!("the pattern: {error}")))?;
            text.is_some_and(|text| pattern.is_match(text))
        }
        "$not" => fits(wanted, found, names, output, files).is_err(),
        "$gt" => number.zip(wanted.as_f64()).is_some_and(|(number, least)| number > least),
        "$gte" => number.zip(wanted.as_f64()).is_some_and(|(number, least)| number >= least),
        "$has_items" => {
            let items = found.and_then(Value::as_array);
            wanted
                .as_array()
                .is_some_and(|wanted| wanted.iter().all(|item| items.is_some_and(|items| items.contains(item))))
        }
        "$has_key" => found.and_then(Value::as_object).is_some_and(|entries| entries.contains_key(&wanted_text)),
        "$contains_output" => {
            let other = output(&wanted_text)?;
            let other = other.as_ref().and_then(Value::as_str);
            let prefix = all.get("$prefix_before_it").and_then(Value::as_str).unwrap_or_default();
            text.zip(other).is_some_and(|(text, other)| text.contains(&format!("{prefix}{other}")))
        }
        "$file_content" => text.and_then(|uri| files.get(uri)).is_some_and(|content| *content == wanted_text),
        "$file_contains" => text.and_then(|uri| files.get(uri)).is_some_and(|content| content.contains(&wanted_text)),
        "$any_file_content" => {
            let uris = uris(found);
            uris.iter().filter_map(|uri| files.get(uri)).any(|content| *content == wanted_text)
        }
        "$file_line_count" => {
            let lines = text.and_then(|uri| files.get(uri)).map(|content| content.lines().count() as u64);
            lines.is_some() && lines == wanted.as_u64()
        }
        // Read together with `$contains_output`.
        "$prefix_before_it" => true,
        "$zoned_datetime_near_now_s" => {
            let at = text.and_then(moment);
            let now = jiff::Timestamp::now().as_second();
            at.zip(wanted.as_i64()).is_some_and(|(at, most)| (now - at).abs() <= most)
        }
        other => return beyond(format!("the matcher `{other}`")),
    };
    if holds { Ok(()) } else { wrong(format!("is {}, expected {name} {wanted}", shown(found))) }
}

/// The texts of a list or a map.
fn uris(found: Option<&Value>) -> Vec<String> {
    let texts: Vec<&Value> = match found {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(Value::Object(entries)) => entries.values().collect(),
        other => other.into_iter().collect(),
    };
    texts.into_iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Seconds of a date-time with or without a zone in brackets.
fn moment(text: &str) -> Option<i64> {
    let zoned = text.parse::<jiff::Zoned>().map(|zoned| zoned.timestamp());
    zoned.or_else(|_| text.parse::<jiff::Timestamp>()).ok().map(jiff::Timestamp::as_second)
}

fn shown(found: Option<&Value>) -> String {
    found.map_or_else(|| "missing".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(expected: Value, found: Value, holds: bool) {
        let mut names = Names::default();
        names.set("execution.id", "abc");
        let files = Files::from([("kestra:///a".to_owned(), "one\ntwo\n".to_owned())]);
        let output = |key: &str| Ok((key == "a.value").then(|| json!("inner")));
        assert_eq!(fits(&expected, Some(&found), &names, &output, &files).is_ok(), holds, "{expected} {found}");
    }

    #[test]
    fn values_are_compared_by_what_the_case_says() {
        check(json!("x {{execution.id}}"), json!("x abc"), true);
        check(json!(1), json!(1.0), true);
        check(json!(1), json!("1"), false);
        check(json!({ "a": { "$gt": 1 } }), json!({ "a": 2 }), true);
        check(json!({ "a": 1 }), json!({ "a": 1, "b": 2 }), false);
        check(json!({ "$contains": "b" }), json!("abc"), true);
        check(json!({ "$startsWith": "b" }), json!("abc"), false);
        check(json!({ "$matches": "^a.c$" }), json!("abc"), true);
        check(json!({ "$not": "abc" }), json!("abc"), false);
        check(json!({ "$has_items": [1] }), json!([2, 1]), true);
        check(json!({ "$contains_output": "a.value" }), json!("an inner thing"), true);
        check(json!({ "$contains_output": "b.value" }), json!("an inner thing"), false);
        check(json!({ "$contains_output": "a.value", "$prefix_before_it": "no " }), json!("an inner thing"), false);
        check(json!({ "$file_line_count": 2 }), json!("kestra:///a"), true);
        check(json!({ "$file_line_count": 0 }), json!("kestra:///missing"), false);
        check(json!({ "$file_content": "one\ntwo\n" }), json!("kestra:///a"), true);
        check(json!({ "$file_contains": "two" }), json!("kestra:///a"), true);
        check(json!({ "$file_contains": "two" }), json!("kestra:///missing"), false);
        check(json!({ "$any_file_content": "one\ntwo\n" }), json!({ "x": "kestra:///a" }), true);
        check(json!({ "$unheard_of": 1 }), json!(1), false);
    }
}
