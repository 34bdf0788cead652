//! Runs expression cases from data: templates with context and expectation. The shell is played by `Shell`: it
//! answers calls from a case's `setup`, draws numbers from a counter and stands still in time.
#![expect(clippy::unwrap_used, reason = "tests")]

use expr::{Answer, Call, Error, Map, Memo, Settings, Text, Time, Value, drive};
use jiff::tz::TimeZone;
use serde_json::Value as Json;

/// What a case came to.
#[derive(Debug)]
pub enum Verdict {
    Passed,
    Failed(String),
    Skipped(String),
}

/// Answers calls as a server with one flow, a few files and a few secrets would.
pub struct Shell<'a> {
    pub context: &'a Value,
    pub setup: &'a Json,
    pub drawn: u64,
}

impl Shell<'_> {
    pub fn answer(&mut self, call: &Call) -> Answer {
        let text = |name: &str| call.arg_text(name).unwrap_or_default();
        match call.function.as_ref() {
            "now" => Answer::Value(Value::time(Time::Instant("2024-05-06T07:08:09.123456Z".parse().unwrap()))),
            "random" => {
                self.drawn += 1;
                let bytes = call.arg("bytes").and_then(Value::as_i64).unwrap();
                let seed = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(self.drawn);
                let byte =
                    |index: i64| (seed.rotate_left((index * 7 % 64) as u32).wrapping_add(index as u64) & 0xFF) as u8;
                Answer::Value((0..bytes).map(|index| format!("{:02x}", byte(index))).collect::<String>().into())
            }
            "secret" => match self.setup["secrets"][text("key")].as_str() {
                Some(value) => Answer::Value(Text::secret(text("key"), value).into()),
                None => Answer::Absent(format!("Cannot find secret for key '{}'.", text("key"))),
            },
            "kv" => match &self.setup["kv"][text("key")] {
                Json::Null if call.arg("errorOnMissing") == Some(&Value::Bool(false)) => Answer::Value(Value::Null),
                Json::Null => Answer::Absent(format!("The key '{}' does not exist in the namespace.", text("key"))),
                found => Answer::Value(Value::from_json(found).unwrap()),
            },
            "errorLogs" => {
                let logs = self.setup["logs"].as_array().cloned().unwrap_or_default();
                let errors = logs.iter().filter(|log| log[0] == "ERROR");
                Answer::Value(Value::list(errors.map(|log| Value::map([("message", log[1].as_str().unwrap().into())]))))
            }
            "fileURI" => {
                let namespace = self.context.get_path(["flow", "namespace"]).and_then(Value::as_str).unwrap_or("");
                let path = text("path");
                let path = path.trim_start_matches('/');
                Answer::Value(format!("kestra:///{}/_files/{path}", namespace.replace('.', "/")).into())
            }
            "read" => self.file(&text("path"), |content| content.into()),
            "fileSize" => self.file(&text("path"), |content| Value::Int(content.len() as i64)),
            "isFileEmpty" => self.file(&text("path"), |content| content.is_empty().into()),
            "fileExists" => match self.find(&text("path")) {
                Ok(found) => Answer::Value(found.is_some().into()),
                Err(message) => Answer::Failed(message),
            },
            other => Answer::Failed(format!("the test shell does not know `{other}`")),
        }
    }

    fn file(&self, path: &str, result: impl FnOnce(&str) -> Value) -> Answer {
        match self.find(path) {
            Ok(Some(content)) => Answer::Value(result(&content)),
            Ok(None) => Answer::Failed(format!("Unable to read the file '{path}' as it does not exist")),
            Err(message) => Answer::Failed(message),
        }
    }

    fn find(&self, path: &str) -> Result<Option<String>, String> {
        let part =
            |path: &[&str]| self.context.get_path(path.iter().copied()).and_then(Value::as_str).map(str::to_owned);
        if let Some(inner) = path.strip_prefix("kestra://") {
            let owned = |namespace: &[&str], flow: &[&str], execution: &[&str]| {
                let (namespace, flow, execution) = (part(namespace)?, part(flow)?, part(execution)?);
                Some(format!("/{}/{flow}/executions/{execution}/", namespace.replace('.', "/")))
            };
            let own = owned(&["flow", "namespace"], &["flow", "id"], &["execution", "id"]);
            let parent = owned(&["trigger", "namespace"], &["trigger", "flowId"], &["trigger", "executionId"]);
            if ![own, parent].into_iter().flatten().any(|prefix| inner.starts_with(&prefix)) {
                let reason = "as it didn't belong to the current execution";
                return Err(format!("Unable to read the file '{path}' {reason}"));
            }
            return Ok(self.setup["storage"][inner].as_str().map(str::to_owned));
        }
        if path.contains("://") {
            return Err(format!("Cannot process the URI {path}: scheme not supported."));
        }
        let namespace = part(&["flow", "namespace"]).unwrap_or_default();
        Ok(self.setup["namespace_files"][namespace][path].as_str().map(str::to_owned))
    }
}

/// A context value; `{"$zoned": …}` and the like are typed.
pub fn typed(json: &Json) -> Value {
    let Some((tag, content)) = json.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next()) else {
        return match json {
            Json::Array(items) => Value::list(items.iter().map(typed)),
            Json::Object(map) => Value::map(map.iter().map(|(key, item)| (key.as_str(), typed(item)))),
            other => Value::from_json(other).unwrap(),
        };
    };
    let text = content.as_str().unwrap_or_default();
    let number = |kind, text: &str| Value::Number(expr::Number::new(kind, text).unwrap());
    match tag.as_str() {
        "$zoned" => {
            let pieces = jiff::fmt::temporal::Pieces::parse(text).unwrap();
            let offset = pieces.to_numeric_offset().unwrap_or(jiff::tz::Offset::UTC);
            let local = pieces.date().to_datetime(pieces.time().unwrap());
            Value::time(Time::Zoned(local.to_zoned(TimeZone::fixed(offset)).unwrap()))
        }
        "$instant" | "$date" => Value::time(Time::Instant(text.parse().unwrap())),
        "$local" => Value::time(Time::Local(text.parse().unwrap())),
        "$localdate" => Value::time(Time::Date(text.parse().unwrap())),
        "$duration" => Value::time(Time::Duration(text.parse().unwrap())),
        "$float32" => number(expr::NumberKind::Float32, &content.to_string()),
        "$long" => number(expr::NumberKind::Long, &content.to_string()),
        "$set" => Value::list(content.as_array().unwrap().iter().map(typed)),
        _ => Value::map([(tag.as_str(), typed(content))]),
    }
}

/// Evaluates one case.
pub fn evaluate(case: &Json) -> Result<Value, Error> {
    let context = typed(&case["context"]);
    let scope: Map = context.as_map().cloned().unwrap_or_default();
    let settings = Settings {
        recursive: case["config"]["kestra.variables.recursive-rendering"] == Json::Bool(true),
        ..Settings::default()
    };
    let mut shell = Shell { context: &context, setup: &case["setup"], drawn: 0 };
    let mode = case["mode"].as_str().unwrap_or("render");
    let template = Value::from_json(&case["template"]).unwrap();
    let mut memo = Memo::new();
    drive(
        &mut memo,
        |call| shell.answer(call),
        |memo| match mode {
            "render_typed" => expr::render_value(&template, &scope, memo, &settings),
            "render_map" => expr::render_map(&template, &scope, memo, &settings),
            _ => expr::render_text(template.as_str().unwrap(), &scope, memo, &settings).map(Value::Text),
        },
    )
}

/// Evaluates one case and compares.
pub fn run(case: &Json) -> Verdict {
    let result = evaluate(case);
    let expectations = ["expect", "expect_json", "expect_typed", "expect_matches", "expect_not", "expect_contains"];
    if case["expect_error"] == Json::Bool(true) {
        return match result {
            Err(error) => match case["expect_code"].as_str() {
                Some(code) if code != error.code() => Verdict::Failed(format!("code is {}: {error}", error.code())),
                _ => check_error_text(case, &error),
            },
            Ok(value) => Verdict::Failed(format!("expected an error, got `{value}`")),
        };
    }
    let value = match result {
        Ok(value) => value,
        Err(error) => return Verdict::Failed(format!("error: {error}")),
    };
    let failed = |expected: &dyn std::fmt::Display| {
        Verdict::Failed(format!("expected `{expected}`, got `{value}` ({})", value.kind()))
    };
    let json = value.to_json_revealed().unwrap();
    let text = json.as_str().unwrap_or_default().to_owned();
    let parsed: Json = serde_json::from_str(&text).unwrap_or_default();
    for (key, expected) in case.as_object().unwrap() {
        let strings = || expected.as_array().into_iter().flatten().map(|item| item.as_str().unwrap());
        let holds = match key.as_str() {
            "expect" => expected.as_str() == Some(text.as_str()),
            "expect_not" => expected.as_str() != Some(text.as_str()),
            "expect_typed" => same_order(expected, &json),
            "expect_json" => *expected == parsed,
            "expect_contains" => strings().all(|part| text.contains(part)),
            "expect_starts_with" => text.starts_with(expected.as_str().unwrap()),
            "expect_ends_with" => text.ends_with(expected.as_str().unwrap()),
            "expect_matches" => {
                regex::Regex::new(&format!("^(?:{})$", expected.as_str().unwrap())).unwrap().is_match(&text)
            }
            "expect_int_between" => text.parse().is_ok_and(|number: i64| {
                (expected[0].as_i64().unwrap()..=expected[1].as_i64().unwrap()).contains(&number)
            }),
            "expect_json_set" => {
                let (wanted, found) = (expected.as_array().unwrap(), parsed.as_array());
                found.is_some_and(|found| found.len() == wanted.len() && wanted.iter().all(|item| found.contains(item)))
            }
            "expect_json_has" => {
                let found = parsed.as_array();
                found.is_some_and(|found| expected.as_array().unwrap().iter().all(|item| found.contains(item)))
            }
            "expect_json_includes" => expected.as_object().unwrap().iter().all(|(key, item)| parsed[key] == *item),
            "expect_masked" => Some(value.to_string().as_str()) == expected.as_str(),
            unknown if unknown.starts_with("expect") => {
                return Verdict::Skipped(format!("the runner does not know `{unknown}`"));
            }
            _ => true,
        };
        if !holds {
            return failed(expected);
        }
    }
    match case.as_object().unwrap().keys().any(|key| key.starts_with("expect")) {
        true => Verdict::Passed,
        false => Verdict::Skipped(format!("nothing is expected (known: {})", expectations.join(", "))),
    }
}

/// Own cases name a part of the message; the wording of others is theirs.
fn check_error_text(case: &Json, error: &Error) -> Verdict {
    let shown = error.to_string();
    for part in case["expect_message"].as_array().into_iter().flatten() {
        if !shown.contains(part.as_str().unwrap()) {
            return Verdict::Failed(format!("the error lacks {part}: {shown}"));
        }
    }
    if let (Some(line), problem) = (case["expect_at"].as_array(), error.problem()) {
        let found = problem.map(|problem| (i64::from(problem.position.line), i64::from(problem.position.column)));
        let wanted = Some((line[0].as_i64().unwrap(), line[1].as_i64().unwrap()));
        if found != wanted {
            return Verdict::Failed(format!("the error is at {found:?}: {shown}"));
        }
    }
    Verdict::Passed
}

/// Equality that also looks at the order of keys.
fn same_order(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((k1, v1), (k2, v2))| k1 == k2 && same_order(v1, v2))
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_order(a, b)),
        (a, b) => a == b,
    }
}

/// A list of cases from a file.
pub fn load(path: &std::path::Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
