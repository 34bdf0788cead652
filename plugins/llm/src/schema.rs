//! Whether JSON fits a JSON Schema: the words of draft 2020-12 that say what a model's answer has to look like. `format` and `pattern` only
//! describe, as the draft leaves it; words that are not known do not count. A library that knows all of them is ten times the size of a
//! plugin.

use serde_json::{Map, Value};

/// Most problems that are told: enough for a model to see what is wrong.
const PROBLEMS_MAX: usize = 20;
/// Most steps of one check: alternatives within alternatives can be made to explode.
const STEPS_MAX: usize = 100_000;
/// Deepest nesting, references included.
const DEPTH_MAX: usize = 64;

/// What is wrong with a value, each with its place. Empty: it fits. A schema that would take too long to look at is a problem too.
pub fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut check = Check { root: schema, steps: 0, problems: Vec::new() };
    check.value(schema, value, &Place::root());
    if check.steps > STEPS_MAX {
        check.problems.push("the schema is too deep or has too many alternatives to be checked".to_owned());
    }
    check.problems
}

/// Where a value is.
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: String,
    depth: usize,
}

impl<'a> Place<'a> {
    fn root() -> Self {
        Self { above: None, step: "the answer".to_owned(), depth: 0 }
    }

    fn at(&'a self, step: String) -> Self {
        Self { above: Some(self), step, depth: self.depth + 1 }
    }

    fn path(&self) -> String {
        self.above.map_or_else(|| self.step.clone(), |above| format!("{}{}", above.path(), self.step))
    }
}

struct Check<'s> {
    root: &'s Value,
    steps: usize,
    problems: Vec<String>,
}

impl<'s> Check<'s> {
    fn wrong(&mut self, place: &Place<'_>, what: impl std::fmt::Display) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(format!("`{}` {what}", place.path()));
        }
    }

    /// Whether it fits, without a word.
    fn fits(&mut self, schema: &'s Value, value: &Value, place: &Place<'_>) -> bool {
        let told = std::mem::take(&mut self.problems);
        self.value(schema, value, place);
        let fits = self.problems.is_empty();
        self.problems = told;
        fits
    }

    fn value(&mut self, schema: &'s Value, value: &Value, place: &Place<'_>) {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return;
        }
        if place.depth > DEPTH_MAX {
            self.steps = STEPS_MAX + 1;
            return;
        }
        let words = match schema {
            Value::Bool(false) => return self.wrong(place, "must not be there"),
            Value::Object(words) => words,
            _ => return,
        };
        if let Some(target) = self.target(words) {
            self.value(target, value, &place.at(String::new()));
        }
        self.kind(words, value, place);
        self.choice(words, value, place);
        self.parts(words, value, place);
        match value {
            Value::Object(fields) => self.object(words, fields, place),
            Value::Array(items) => self.list(words, items, place),
            Value::String(text) => {
                self.length(words, ("minLength", "maxLength"), text.chars().count(), "characters", place)
            }
            Value::Number(number) => self.number(words, number.as_f64().unwrap_or(0.0), place),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn target(&self, words: &Map<String, Value>) -> Option<&'s Value> {
        let pointer = words.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer)
    }

    fn kind(&mut self, words: &Map<String, Value>, value: &Value, place: &Place<'_>) {
        let kinds: Vec<&str> = match words.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return,
        };
        // Gemini's subset writes its types in capitals.
        if !kinds.iter().any(|kind| is_a(value, &kind.to_ascii_lowercase())) && !kinds.is_empty() {
            self.wrong(place, format_args!("is {}, not {}", kind_of(value), kinds.join(" or ")));
        }
    }

    fn choice(&mut self, words: &Map<String, Value>, value: &Value, place: &Place<'_>) {
        if let Some(Value::Array(allowed)) = words.get("enum")
            && !allowed.iter().any(|one| same(one, value))
        {
            let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
            self.wrong(place, format_args!("is none of {}", allowed.join(", ")));
        }
        if let Some(only) = words.get("const").filter(|only| !same(only, value)) {
            self.wrong(place, format_args!("is not {only}"));
        }
    }

    fn parts(&mut self, words: &'s Map<String, Value>, value: &Value, place: &Place<'_>) {
        let list = |word: &str| words.get(word).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let here = place.at(String::new());
        for part in list("allOf") {
            self.value(part, value, &here);
        }
        let any = list("anyOf");
        if !any.is_empty() && !any.iter().any(|part| self.fits(part, value, &here)) {
            self.wrong(place, "fits none of the alternatives");
        }
        let one = list("oneOf");
        if !one.is_empty() {
            let count = one.iter().filter(|part| self.fits(part, value, &here)).count();
            if count != 1 {
                self.wrong(place, format_args!("fits {count} of the alternatives, not one"));
            }
        }
        if words.get("not").is_some_and(|part| self.fits(part, value, &here)) {
            self.wrong(place, "is what it must not be");
        }
        if let Some(condition) = words.get("if") {
            let branch = if self.fits(condition, value, &here) { "then" } else { "else" };
            if let Some(branch) = words.get(branch) {
                self.value(branch, value, &here);
            }
        }
    }

    fn object(&mut self, words: &'s Map<String, Value>, fields: &Map<String, Value>, place: &Place<'_>) {
        for name in words.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                self.wrong(place, format_args!("has no `{name}`"));
            }
        }
        self.length(words, ("minProperties", "maxProperties"), fields.len(), "fields", place);
        let known = words.get("properties").and_then(Value::as_object);
        for (name, field) in fields {
            let inner = place.at(format!(".{name}"));
            match (known.and_then(|known| known.get(name)), words.get("additionalProperties")) {
                (Some(schema), _) => self.value(schema, field, &inner),
                (None, Some(rest)) => self.value(rest, field, &inner),
                (None, None) => {}
            }
        }
    }

    fn list(&mut self, words: &'s Map<String, Value>, items: &[Value], place: &Place<'_>) {
        self.length(words, ("minItems", "maxItems"), items.len(), "items", place);
        let first = words.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (at, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(at).or_else(|| words.get("items")) {
                self.value(schema, item, &place.at(format!("[{at}]")));
            }
        }
        let twice = |(at, item): (usize, &Value)| items.iter().take(at).any(|other| same(other, item));
        if words.get("uniqueItems") == Some(&Value::Bool(true)) {
            self.steps += items.len() * items.len();
            if self.steps <= STEPS_MAX && items.iter().enumerate().any(twice) {
                self.wrong(place, "has the same item twice");
            }
        }
    }

    fn length(
        &mut self,
        words: &Map<String, Value>,
        (least, most): (&str, &str),
        length: usize,
        unit: &str,
        place: &Place<'_>,
    ) {
        let limit = |word: &str| words.get(word).and_then(Value::as_f64);
        if let Some(least) = limit(least).filter(|least| (length as f64) < *least) {
            self.wrong(place, format_args!("has {length} {unit}, at least {least} are needed"));
        }
        if let Some(most) = limit(most).filter(|most| length as f64 > *most) {
            self.wrong(place, format_args!("has {length} {unit}, at most {most} are allowed"));
        }
    }

    fn number(&mut self, words: &Map<String, Value>, number: f64, place: &Place<'_>) {
        type Fits = fn(f64, f64) -> bool;
        let limits: [(&str, Fits, &str); 4] = [
            ("minimum", |number, limit| number >= limit, "at least"),
            ("maximum", |number, limit| number <= limit, "at most"),
            ("exclusiveMinimum", |number, limit| number > limit, "more than"),
            ("exclusiveMaximum", |number, limit| number < limit, "less than"),
        ];
        for (word, fits, what) in limits {
            if let Some(limit) = words.get(word).and_then(Value::as_f64).filter(|limit| !fits(number, *limit)) {
                self.wrong(place, format_args!("is {number}, it has to be {what} {limit}"));
            }
        }
        if let Some(step) = words.get("multipleOf").and_then(Value::as_f64).filter(|step| *step > 0.0) {
            let times = number / step;
            if (times - times.round()).abs() > f64::EPSILON * times.abs().max(1.0) * 4.0 {
                self.wrong(place, format_args!("is {number}, not a multiple of {step}"));
            }
        }
    }
}

/// Equal, numbers by their value.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}

fn is_a(value: &Value, kind: &str) -> bool {
    match (value, kind) {
        (Value::Null, "null") | (Value::Bool(_), "boolean") | (Value::String(_), "string") => true,
        (Value::Array(_), "array") | (Value::Object(_), "object") | (Value::Number(_), "number") => true,
        (Value::Number(number), "integer") => number.as_f64().is_some_and(|number| number.fract() == 0.0),
        // Not a word of the draft: it says nothing.
        (_, kind) => !["null", "boolean", "string", "array", "object", "number", "integer"].contains(&kind),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: &Value, value: &Value, expected: &[&str]) {
        assert_eq!(problems(schema, value), expected, "{schema} {value}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let schema = json!({
            "type": "object", "required": ["tasks", "owner"], "additionalProperties": false,
            "properties": {
                "owner": { "type": ["string", "null"], "minLength": 2 },
                "tasks": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/task" } },
            },
            "$defs": { "task": { "type": "object", "properties": { "hours": { "type": "integer", "minimum": 1 } } } },
        });
        check(&schema, &json!({ "owner": null, "tasks": [{ "hours": 2.0, "more": 1 }] }), &[]);
        let wrong = json!({ "owner": "x", "tasks": [{ "hours": 0.5 }, 7], "other": 1 });
        check(
            &schema,
            &wrong,
            &[
                "`the answer.owner` has 1 characters, at least 2 are needed",
                "`the answer.tasks[0].hours` is a number, not integer",
                "`the answer.tasks[0].hours` is 0.5, it has to be at least 1",
                "`the answer.tasks[1]` is a number, not object",
                "`the answer.other` must not be there",
            ],
        );
        check(&schema, &json!({}), &["`the answer` has no `tasks`", "`the answer` has no `owner`"]);
    }

    #[test]
    fn alternatives_and_values() {
        let any = json!({ "anyOf": [{ "type": "string" }, { "minimum": 5, "type": "number" }] });
        check(&any, &json!(4), &["`the answer` fits none of the alternatives"]);
        check(&any, &json!(5), &[]);
        let one = json!({ "oneOf": [{ "multipleOf": 2 }, { "multipleOf": 3 }] });
        check(&one, &json!(6), &["`the answer` fits 2 of the alternatives, not one"]);
        check(&json!({ "enum": [1.0, "a"] }), &json!(1), &[]);
        check(&json!({ "enum": ["a"] }), &json!("b"), &["`the answer` is none of \"a\""]);
        check(&json!({ "not": { "type": "null" } }), &json!(null), &["`the answer` is what it must not be"]);
        check(&json!({ "uniqueItems": true }), &json!([1, 1.0]), &["`the answer` has the same item twice"]);
        check(&json!({ "type": "STRING" }), &json!("Gemini's"), &[]);
        let if_then =
            json!({ "if": { "required": ["a"] }, "then": { "required": ["b"] }, "else": { "maxProperties": 0 } });
        check(&if_then, &json!({ "a": 1 }), &["`the answer` has no `b`"]);
        check(&json!({ "type": "string", "title": "string", "future": 1 }), &json!("x"), &[]);
    }

    #[test]
    fn schemas_that_explode_are_a_problem_and_end() {
        let tree = json!({
            "$ref": "#/$defs/a",
            "$defs": { "a": { "anyOf": [
                { "properties": { "x": { "$ref": "#/$defs/a" } }, "required": ["no"] },
                { "properties": { "x": { "$ref": "#/$defs/a" } }, "required": ["no"] },
            ] } },
        });
        let deep = (0..60).fold(json!(1), |inner, _| json!({ "x": inner }));
        assert!(
            problems(&tree, &deep).iter().any(|problem| problem.contains("too deep")),
            "{:?}",
            problems(&tree, &deep)
        );
        let endless = json!({ "$ref": "#" });
        assert_eq!(problems(&endless, &json!(1)).len(), 1);
        assert_eq!(problems(&json!({ "items": false }), &json!(vec![1; 100])).len(), PROBLEMS_MAX);
    }
}
