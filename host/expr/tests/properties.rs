//! Properties of any input: nothing panics, literals stay what they are, stored and printed forms come back.
#![expect(clippy::unwrap_used, reason = "tests")]

use expr::{Empty, Map, Memo, Number, NumberKind, Settings, Value, eval_text, parse, render_text};
use proptest::prelude::*;

const PIECES: [&str; 64] = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{{-",
    "-%}",
    " ",
    "\n",
    "a",
    "b.c",
    "['x']",
    "[0]",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "#{",
    "|",
    "~",
    "+",
    "-",
    "*",
    "/",
    "%",
    "?",
    "??",
    "???",
    ":",
    ",",
    ".",
    "..",
    "==",
    "!=",
    ">",
    "and",
    "or",
    "not",
    "is",
    "is not",
    "defined",
    "contains",
    "upper",
    "jq('.')",
    "range(1,3)",
    "if",
    "else",
    "endif",
    "for x in a",
    "endfor",
    "set y = 1",
    "raw",
    "endraw",
    "1",
    "2.5",
    "'t'",
    "null",
    "true",
    "é😀",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES.as_slice()), 0..24).prop_map(|pieces| pieces.join(" "))
}

fn wrapped_soup() -> impl Strategy<Value = String> {
    soup().prop_map(|inside| format!("{{{{ {inside} }}}}"))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", Value::float),
        "-?[1-9][0-9]{20,30}".prop_map(|text| Value::Number(Number::new(NumberKind::BigInteger, &text).unwrap())),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::list),
            prop::collection::vec(("[$a-z]{0,6}", inner), 0..6).prop_map(Value::map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn parsing_never_panics(text in ".*") {
        let _ = parse(&text);
    }

    #[test]
    fn rendering_any_text_never_panics(text in prop_oneof![soup(), wrapped_soup()]) {
        let mut scope = Map::new();
        scope.insert("a".into(), Value::list([Value::Int(1), Value::from("x")]));
        scope.insert("b".into(), Value::map([("c", Value::Null)]));
        if let Err(error) = render_text(&text, &scope, &Memo::new(), &Settings::default()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn literal_text_renders_to_itself(text in "[^{]*") {
        let template = parse(&text).unwrap();
        prop_assert!(template.is_literal());
        let rendered = render_text(&text, &Empty, &Memo::new(), &Settings::default()).unwrap();
        prop_assert_eq!(rendered.as_plain(), Some(text.as_str()));
    }

    #[test]
    fn stored_values_come_back(value in value()) {
        let stored = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), value);
    }

    #[test]
    fn json_comes_back(value in value()) {
        let text = value.to_json_text_revealed().unwrap();
        prop_assert_eq!(Value::parse_json(&text).unwrap(), value);
    }

    #[test]
    fn a_variable_evaluates_to_itself(value in value()) {
        let mut scope = Map::new();
        scope.insert("v".into(), value.clone());
        let run = |template: &str| eval_text(template, &scope, &Memo::new(), &Settings::default()).unwrap();
        prop_assert_eq!(run("{{ v }}"), value.clone());
        prop_assert_eq!(run("{{ v == v }}"), Value::Bool(true));
        prop_assert_eq!(run("{{ fromJson(v | toJson) == v }}"), Value::Bool(true));
    }

    #[test]
    fn integers_compute_exactly(a in any::<i32>(), b in any::<i32>()) {
        let mut scope = Map::new();
        scope.insert("a".into(), Value::Int(a.into()));
        scope.insert("b".into(), Value::Int(b.into()));
        let run = |template: &str| eval_text(template, &scope, &Memo::new(), &Settings::default());
        prop_assert_eq!(run("{{ a * b }}").unwrap(), Value::Int(i64::from(a) * i64::from(b)));
        prop_assert_eq!(run("{{ a < b }}").unwrap(), Value::Bool(a < b));
        if b != 0 {
            prop_assert_eq!(run("{{ (a / b) * b + a % b }}").unwrap(), Value::Int(a.into()));
        }
    }
}
