//! What other crates rely on: memo and replay, lazy scopes, secrets in stored values.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::Mutex;

use expr::{
    Answer, Call, Empty, Error, Lookup, MAX_CALLS, Map, Memo, Number, NumberKind, Scope, Settings, Text, Time, Value,
    drive, eval_text, render_map, render_text, render_value,
};

fn settings() -> Settings {
    Settings::default()
}

fn secret(name: &str, value: &str) -> Value {
    Value::Text(Text::secret(name, value))
}

fn eval(template: &str, scope: &dyn Scope) -> Result<Value, Error> {
    eval_text(template, scope, &Memo::new(), &settings())
}

#[test]
fn missing_call_names_function_and_arguments() {
    let Err(Error::Missing(call)) = eval("{{ kv('key', namespace='a.b') }}", &Empty) else { panic!("not missing") };
    assert_eq!(call.function.as_ref(), "kv");
    assert_eq!(call.arg_text("key").as_deref(), Some("key"));
    assert_eq!(call.arg("namespace"), Some(&Value::from("a.b")));
    assert_eq!(call.arg("errorOnMissing"), None);
}

#[test]
fn answered_calls_replay_from_the_stored_memo() {
    let template = Value::map([("a", Value::from("{{ uuid() }}")), ("b", Value::from("{{ uuid() }} {{ kv('k') }}"))]);
    let mut memo = Memo::new();
    let mut drawn = 0;
    let answer = |call: &Call| match call.function.as_ref() {
        "random" => {
            drawn += 1;
            Answer::Value(format!("{drawn:032x}").into())
        }
        _ => Answer::Value(Value::Int(7)),
    };
    let first = drive(&mut memo, answer, |memo| render_value(&template, &Empty, memo, &settings())).unwrap();
    assert_ne!(first.get("a"), first.get("b"));
    let stored = serde_json::to_string(&memo).unwrap();
    let restored: Memo = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored, memo);
    let again = render_value(&template, &Empty, &restored, &settings()).unwrap();
    assert_eq!(first, again);
}

#[test]
fn sites_tell_equal_templates_apart() {
    let mut memo = Memo::new();
    let mut drawn = 0;
    let mut draw = |site| {
        let settings = Settings { site, ..settings() };
        let answer = |_: &Call| {
            drawn += 1;
            Answer::Value(format!("{drawn:032x}").into())
        };
        drive(&mut memo, answer, |memo| render_text("{{ uuid() }}", &Empty, memo, &settings)).unwrap()
    };
    let (one, two) = (draw(1), draw(2));
    assert_ne!(one, two);
    assert_eq!(draw(1), one);
}

#[test]
fn endless_calls_end() {
    let template = "{% for i in 1..2000 %}{{ kv(i | string) }}{% endfor %}";
    let answer = |_: &Call| Answer::Value(Value::Null);
    let error = drive(&mut Memo::new(), answer, |memo| render_text(template, &Empty, memo, &settings())).unwrap_err();
    assert_eq!(error.code(), "expression.limit.calls");
    assert!(error.to_string().contains(&MAX_CALLS.to_string()));
}

#[test]
fn failed_and_absent_answers_are_errors_of_their_kind() {
    let run = |template: &str, answer: Answer| {
        drive(&mut Memo::new(), |_| answer.clone(), |memo| render_text(template, &Empty, memo, &settings()))
    };
    let failed = run("{{ read('f') ?? 'd' }}", Answer::Failed("disk on fire".into())).unwrap_err();
    assert_eq!(failed.code(), "expression.invalid");
    assert!(failed.to_string().contains("disk on fire"));
    assert_eq!(failed.problem().unwrap().position.column, 4);
    let absent = run("{{ read('f') ?? 'd' }}", Answer::Absent("no file".into())).unwrap();
    assert_eq!(absent.to_string(), "d");
}

/// Outputs of a large execution: whole variables are never built.
struct Lazy {
    asked: Mutex<Vec<String>>,
}

impl Scope for Lazy {
    fn lookup(&self, name: &str, _known: &Memo) -> Lookup<Value> {
        self.asked.lock().unwrap().push(name.to_owned());
        Ok((name == "small").then(|| Value::map([("a", Value::Int(1))])))
    }

    fn lookup_path(&self, path: &[&str], known: &Memo) -> Lookup<(Value, usize)> {
        self.asked.lock().unwrap().push(path.join("/"));
        Ok(match path {
            ["outputs", "task", ..] => Some((Value::map([("value", Value::Int(5))]), 2)),
            ["outputs", "each", iteration, ..] => Some((Value::map([("value", (*iteration).into())]), 3)),
            ["small", ..] => self.lookup("small", known)?.map(|value| (value, 1)),
            _ => None,
        })
    }

    fn names(&self) -> Vec<Arc<str>> {
        vec!["outputs".into(), "small".into()]
    }
}

#[test]
fn scopes_are_asked_for_paths() {
    let scope = Lazy { asked: Mutex::default() };
    assert_eq!(eval("{{ outputs.task.value }}", &scope).unwrap(), Value::Int(5));
    assert_eq!(eval("{{ outputs['task']['value'] }}", &scope).unwrap(), Value::Int(5));
    assert_eq!(eval("{% set i = 'x' %}{{ outputs.each[i].value }}", &scope).unwrap(), Value::from("x"));
    assert_eq!(eval("{{ outputs.each[7].value }}", &scope).unwrap(), Value::from("7"));
    assert_eq!(eval("{{ outputs.each['y'][k].value ?? 'd' }}", &scope).unwrap(), Value::from("d"));
    assert_eq!(eval("{{ small.a }}", &scope).unwrap(), Value::Int(1));
    assert_eq!(eval("{{ outputs.none.value ?? 'd' }}", &scope).unwrap(), Value::from("d"));
    let error = eval("{{ outputs.my-task.value }}", &scope).unwrap_err().to_string();
    assert!(error.contains("`outputs` has nothing under this path") && error.contains("['my-task']"), "{error}");
    assert!(!scope.asked.lock().unwrap().iter().any(|asked| asked == "outputs"));
}

#[test]
fn templates_tell_what_they_are() {
    let (plain, mixed) = (expr::parse("a { b }").unwrap(), expr::parse("{{ now() | upper }}{# c #}").unwrap());
    assert!(plain.is_literal() && !mixed.is_literal());
    assert!(!expr::parse("{# c #}").unwrap().is_literal() && !expr::parse("{% set a = 1 %}").unwrap().is_literal());
    assert_eq!(mixed.source(), "{{ now() | upper }}{# c #}");
    let shown = format!("{mixed:?}");
    assert!(shown.contains("Function(now)") && shown.contains("filter: upper"), "{shown}");
}

#[test]
fn typed_and_text_rendering_differ() {
    let mut scope = Map::new();
    scope.insert("n".into(), Value::Int(5));
    let template = Value::map([("a", Value::from("{{ n }}"))]);
    let typed = render_value(&template, &scope, &Memo::new(), &settings()).unwrap();
    let text = render_map(&template, &scope, &Memo::new(), &settings()).unwrap();
    assert_eq!((typed.get("a"), text.get("a")), (Some(&Value::Int(5)), Some(&Value::from("5"))));
}

#[test]
fn stored_form_is_lossless() {
    let values = [
        Value::Null,
        Value::Int(i64::MIN),
        Value::Float(0.1),
        Value::Float(10.0),
        Value::Number(Number::new(NumberKind::BigInteger, "123456789012345678901234567890").unwrap()),
        Value::Number(Number::new(NumberKind::Long, "1").unwrap()),
        Value::time(Time::Zoned("2024-05-06T07:08:09+02:00[Europe/Paris]".parse().unwrap())),
        Value::time(Time::Duration("PT5S".parse().unwrap())),
        Value::map([("$text", Value::Int(1))]),
        Value::map([("$map", Value::map([("$number", Value::Null)]))]),
        Value::map([("z", Value::Int(1)), ("a", Value::list([Value::Bool(true)]))]),
    ];
    for value in values {
        let stored = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), value, "{stored}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    assert!(Value::float(f64::NAN).is_none());
    assert!(Value::float(f64::INFINITY).is_none());
    assert!(Value::parse_json("1e999").is_err());
    assert!(serde_json::from_str::<Value>(r#"{"$number": ["decimal", "NaN"]}"#).is_err());
}

#[test]
fn secrets_are_stored_by_name_and_come_back() {
    let mut scope = Map::new();
    scope.insert("s".into(), secret("TOKEN", "hun\"ter2"));
    scope.insert("j".into(), secret("JSON", r#"{"a": ["x", 41]}"#));
    for template in [
        "{{ s }}",
        "Bearer {{ s }} and {{ j }}",
        "{{ ('user:' ~ s) | base64encode }}",
        "{{ s | upper | lower }}",
        "{{ fromJson(j).a[0] }}",
        "{{ fromJson(j) }}",
        "{{ (j | jq('.a[1]') | first) }}",
        "{{ {'k': s} | toJson }}",
        "{{ (s | length) * 2 + 1 }}",
        "{{ [s, 'b'] | join('-') | split('-') }}",
        "{{ s | first }}{{ s | slice(1, 3) }}{{ s | replace({'hun': s}) }}",
    ] {
        let value = eval(template, &scope).unwrap();
        let stored = serde_json::to_string(&value).unwrap();
        for shown in [stored.clone(), value.to_string(), format!("{value:?}"), value.to_json().to_string()] {
            assert!(!shown.contains("ter2") && !shown.contains("41"), "{template} shows {shown}");
        }
        let sealed: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(sealed, value, "{template}");
        assert!(matches!(sealed.to_json_revealed(), Err(Error::Sealed { .. })), "{template}");
        let find = |name: &str| match name {
            "TOKEN" => Some(Arc::from("hun\"ter2")),
            _ => Some(Arc::from(r#"{"a": ["x", 41]}"#)),
        };
        let unsealed = sealed.unseal(&find).unwrap();
        assert_eq!(unsealed.to_json_revealed().unwrap(), value.to_json_revealed().unwrap(), "{template}");
        assert!(sealed.unseal(&|_| None).is_err());
    }
}

#[test]
fn sealed_secrets_can_be_moved_but_not_worked_on() {
    let mut scope = Map::new();
    scope.insert("s".into(), serde_json::from_str(r#"{"$text": ["a", {"$secret": "TOKEN"}]}"#).unwrap());
    assert_eq!(eval("x{{ s }}{{ {'k': s} }}", &scope).unwrap().to_string(), r#"xa******{"k":"a******"}"#);
    assert!(eval("{{ [s, 'b'] | sort }}", &scope).unwrap_err().to_string().contains("`sort` failed"));
    let error = eval("{{ s | upper }}", &scope).unwrap_err();
    assert_eq!(error.code(), "expression.sealed");
    assert!(error.to_string().contains("`TOKEN`"));
}

#[test]
fn names_of_secrets_survive_derivation() {
    let mut scope = Map::new();
    scope.insert("a".into(), secret("A", "1"));
    scope.insert("b".into(), secret("B", "2"));
    let value = eval("{{ (a ~ b) | base64encode | upper }}", &scope).unwrap();
    assert_eq!(value.secret_names(), [Arc::from("A"), Arc::from("B")]);
}

#[test]
fn errors_never_show_secrets() {
    let mut scope = Map::new();
    scope.insert("s".into(), secret("S", "hunter2"));
    for template in [
        "{{ s | number }}",
        "{{ s * 2 }}",
        "{{ fromJson(s) }}",
        "{{ s | date }}",
        "{{ s | base64decode }}",
        "{{ s > 1 }}",
        "{{ {'a': s} | jq('.a.b') }}",
        "{{ {}[s] }}",
        "{{ now(timeZone=s) }}",
        "{{ 'x' | date(s) }}",
        "{{ [1] | jq(s) }}",
        "{{ 'a' | regexMatch('[' ~ s) }}",
        "{{ render('{{ ' ~ s) }}",
    ] {
        let answer = |_: &Call| Answer::Value(Value::Int(0));
        let result = drive(&mut Memo::new(), answer, |memo| render_text(template, &scope, memo, &settings()));
        let error = result.expect_err(template);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{template}: {error}");
    }
}

/// Outputs of one iteration, by their path alone: whoever asks for all of them would build what 100,000 iterations gave.
struct OfOneIteration;

impl Scope for OfOneIteration {
    fn lookup(&self, name: &str, _known: &Memo) -> Lookup<Value> {
        let run = |value: &str| Value::map([("taskrun", Value::map([("value", value.into())]))]);
        Ok(match name {
            "taskrun" => run("inner").get("taskrun").cloned(),
            "parents" => Some(Value::list([run("outer")])),
            _ => panic!("all of `{name}` is asked for"),
        })
    }

    fn lookup_path(&self, path: &[&str], _known: &Memo) -> Lookup<(Value, usize)> {
        match path {
            ["outputs", "task", "outer", "inner"] => Ok(Some((Value::map([("value", "x".into())]), 4))),
            _ => panic!("{path:?} is asked for"),
        }
    }

    fn names(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

#[test]
fn outputs_of_the_iteration_are_asked_for_alone() {
    let template = "{{ currentEachOutput(outputs.task).value }}";
    let found = eval_text(template, &OfOneIteration, &Memo::new(), &Settings::default()).unwrap();
    assert_eq!(found.to_string(), "x");
}
