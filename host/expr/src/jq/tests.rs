//! What operations cost and where the limits are. What programs give is in `tests/cases/jq.json`.
use std::hint::black_box;
use std::sync::Arc;

use jaq_core::ValT;
use jaq_core::data::HasLut;
use jaq_core::path::Opt;

use super::*;
use crate::limits::Settings;
use crate::memo::Memo;
use crate::parse::ast::Param;
use crate::scope::Empty;
use crate::value::Map;

fn json(text: &str) -> Json {
    Json(crate::json::parse(text).unwrap())
}

fn steps<T>(run: impl FnOnce() -> T) -> u64 {
    let (_, left) = meter::with(1_000_000, run);
    1_000_000 - left
}

fn spent(run: impl FnOnce()) -> Option<&'static str> {
    let (result, _) = meter::with(1_000_000, || catch_unwind(AssertUnwindSafe(run)));
    let panic = result.err()?;
    Some(match panic.downcast_ref::<Spent>().expect("a limit, not a fault") {
        Spent::Fuel => "fuel",
        Spent::Stack => "stack",
        Spent::Text => "text",
        Spent::Nesting => "nesting",
    })
}

fn program(text: &str, input: &str) -> u64 {
    let (program, input) = (compiled(text).unwrap(), json(input).0);
    steps(|| run(&program, input, text).unwrap())
}

#[test]
fn operators_cost_what_they_make() {
    let (long, short) = (Json("x".repeat(100).into()), Json("y".repeat(30).into()));
    assert_eq!(steps(|| long + short), 1 + 130 / 64);
    for (a, b) in [("[1,2]", "[3,4,5]"), (r#"{"a":1,"b":2}"#, r#"{"c":1,"d":2,"e":3}"#)] {
        let (a, b) = (json(a), json(b));
        let shared = a.clone();
        assert_eq!(steps(|| shared + b.clone()), 1 + 3 + 2, "a copy is made");
        assert_eq!(steps(|| a + b), 1 + 3);
    }
    assert_eq!(steps(|| json("[1,2]") - json("[3,4,5]")), 6);
    assert_eq!(steps(|| json("\"xx\"") * json("100")), 1 + 200 / 64);
    assert_eq!(steps(|| json(r#"{"a":1,"b":2}"#) * json(r#"{"c":1,"d":2,"e":3}"#)), 6);
    assert_eq!(steps(|| json("\"a,b\"") / json("\",\"")), 1 + 2);
}

#[test]
fn comparing_costs_what_is_looked_at() {
    assert_eq!(steps(|| json("[1,2]") == json("[1,2]")), 1);
    assert_eq!(steps(|| json(r#"{"a":1,"b":2}"#) == json(r#"{"c":1,"d":2,"e":3}"#)), 6);
    let positions = |items: &str, wanted: &str| {
        let (items, wanted) = (json(items).0, json(wanted).0);
        steps(|| funs::positions(items.as_list().unwrap(), wanted.as_list().unwrap()))
    };
    assert_eq!(positions("[1,2,3]", "[1]"), 1 + 3 + 3);
    assert_eq!(positions("[1,2,3]", "[]"), 1 + 3);
}

#[test]
fn parts_and_updates_cost_what_they_copy() {
    let one = Json(Value::Int(1));
    let set = |container: Json, at: &Json| {
        steps(|| container.map_index(at, Opt::Essential, |_| std::iter::once(Ok(one.clone()))).unwrap())
    };
    let at = |index: i64| Json(Value::Int(index));
    let list = json("[1,2]");
    assert_eq!(set(list.clone(), &at(1)), 1 + 2 + 1);
    assert_eq!(set(json("[1,2]"), &at(1)), 1 + 1);
    assert_eq!(set(json("[1,2]"), &at(5)), 1 + 3 + 1);
    let map = json(r#"{"a":1,"b":2}"#);
    assert_eq!(set(map.clone(), &Json("a".into())), 2 + 1);
    assert_eq!(set(json(r#"{"a":1,"b":2}"#), &Json("a".into())), 1);
    let range = |start: &Json, end: &Json| steps(|| json("[1,2,3]").range(Some(start)..Some(end)).unwrap());
    assert_eq!((range(&at(0), &at(2)), range(&at(0), &at(0))), (1 + 2, 1));
    let changed = json("[4,5,6,7]");
    let change = |_: Json| std::iter::once(Ok(changed.clone()));
    let (start, end) = (at(0), at(1));
    assert_eq!(
        steps(|| json("[1,2,3]").map_range(Some(&start)..Some(&end), Opt::Essential, change).unwrap()),
        1 + 3 + 4 + 1
    );
    assert_eq!(steps(|| Json::list(vec![Value::Null; 16])), 1 + 16 / 8);
    let sixteen: Vec<_> = (0..16).map(|key| (Json(key.to_string().into()), one.clone())).collect();
    assert_eq!(steps(|| Json::from_map(sixteen).unwrap()), 16 + 1 + 16 / 8);
}

#[test]
fn functions_cost_what_they_read() {
    let text = |count: usize, end: &str| format!("\"{}{end}\"", "a".repeat(count));
    let more = |name: &str| program(name, &text(128, "")) - program(name, &text(64, ""));
    assert_eq!(more("indices(\"b\")"), 1 + 64 / 8);
    assert_eq!(more("test(\"b\")"), 1 + 64 / 8);
    let number = |digits: usize| format!("\"{}\"", "1".repeat(digits));
    assert_eq!(program("fromjson", &number(128)) - program("fromjson", &number(64)), 1 + 64 / 8);
    assert_eq!(program("implode", "[65,66,67]") - program("implode", "[65]"), 2);
    let test = |pattern: &str, input: &str| program(&format!("test(\"{pattern}\")"), input);
    assert_eq!(test("bcde", &text(9, "")) - test("b", &text(9, "")), 3, "longer patterns");
    assert_eq!(test("(b)", &text(9, "b")) - test("b", &text(9, "b")), 2 + 1, "groups");
    assert_eq!(test("b", &text(639, "b")) - test("b", &format!("\"b{}\"", "a".repeat(639))), 639 / 64, "late matches");
    assert_eq!(program("contains([2])", "[1,2]") - program("contains([1])", "[1,2]"), 1);
}

#[test]
fn text_is_bounded() {
    assert_eq!(steps(|| meter::charge_text(127)), 1 + 1);
    assert_eq!(spent(|| meter::charge_text(1 << 20)), None);
    assert_eq!(spent(|| meter::charge_text((1 << 20) + 1)), Some("text"));
    assert_eq!(spent(|| meter::charge(1_000_000)), None);
    assert_eq!(spent(|| meter::charge(1_000_001)), Some("fuel"));
}

#[test]
fn meters_nest() {
    let (inner, left) = meter::with(10, || {
        meter::charge(1);
        let (_, inner) = meter::with(5, || meter::charge(2));
        meter::charge(3);
        inner
    });
    assert_eq!((inner, left), (3, 6));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| (0..depth).fold(Value::Null, |inner, _| Value::map([("a", inner)]));
    let merge = |depth: usize| spent(|| drop(Json(nested(depth)) * Json(nested(depth))));
    assert_eq!((merge(200), merge(201)), (None, Some("nesting")));
    let made = |depth: usize| spent(|| drop(Json::list(vec![nested(depth)])));
    assert_eq!((made(198), made(199)), (None, Some("nesting")));
    let mut map = Map::new();
    map.insert("k".into(), Value::Int(1));
    assert_eq!(value::finite(Value::Map(Arc::new(map.clone()))), Value::from(map));
}

#[inline(never)]
fn below<const BYTES: usize, T>(run: impl FnOnce() -> T) -> T {
    let frame = [1_u8; BYTES];
    black_box(&frame);
    let result = run();
    black_box(&frame);
    result
}

#[test]
fn stack_is_bounded() {
    let program = compiled(".").unwrap();
    let look = || {
        let _ = Metered(&program.lut).lut();
    };
    assert_eq!(steps(look), 1);
    assert_eq!(spent(|| below::<{ 600 << 10 }, _>(look)), None);
    assert_eq!(spent(|| below::<{ 800 << 10 }, _>(look)), Some("stack"));
}

#[test]
fn a_program_needs_room_on_the_stack() {
    let (memo, settings) = (Memo::new(), Settings::default());
    let mut evaluator = Evaluator::new(&Empty, &memo, &settings);
    let mut args = Args::new("jq", &["expression"]);
    args.push(Param::Index(0), ".".into());
    let mut run = || filter(&mut evaluator, &Value::Int(1), &args).map_err(|error| error.code());
    assert_eq!(below::<{ 300 << 10 }, _>(&mut run), Ok(Value::list([Value::Int(1)])));
    assert_eq!(below::<{ 600 << 10 }, _>(&mut run), Err("expression.limit.depth"));
}

#[test]
fn programs_are_kept_up_to_a_number() {
    let known =
        |text: &str| PROGRAMS.with_borrow(|programs| programs.iter().filter(|(known, _)| known == text).count());
    let count = || PROGRAMS.with_borrow(Vec::len);
    for number in 0..KEPT_PROGRAMS {
        compiled(&number.to_string()).unwrap();
        compiled(&number.to_string()).unwrap();
    }
    assert_eq!((count(), known("0"), known("1"), known("x")), (KEPT_PROGRAMS, 1, 1, 0));
    compiled("\"new\"").unwrap();
    assert_eq!((count(), known("0"), known("1"), known("\"new\"")), (KEPT_PROGRAMS, 0, 1, 1));
}

#[test]
fn results_are_bounded() {
    let count = |wanted: usize| {
        let text = format!("range({wanted})");
        let program = compiled(&text).unwrap();
        meter::with(u64::MAX, || run(&program, Value::Null, &text)).0
    };
    assert_eq!(count(MAX_RESULTS).map(|results| results.len()).ok(), Some(MAX_RESULTS));
    assert_eq!(count(MAX_RESULTS + 1).unwrap_err().code(), "expression.limit.results");
}

#[test]
fn size_of_programs_is_bounded() {
    for (text, too_large) in [
        (format!("1{}", " ".repeat(9_999)), false),
        (format!("1{}", " ".repeat(10_000)), true),
        (format!("{}1", "1+".repeat(80)), false),
        (format!("{}1", "1+".repeat(81)), true),
        (".a".repeat(200), false),
        (".a".repeat(201), true),
    ] {
        let result = check_size(&text).map_err(|error| error.code());
        assert_eq!(result, if too_large { Err("expression.limit.jq") } else { Ok(()) }, "{} bytes", text.len());
    }
}

#[test]
fn nesting_counts_what_is_open() {
    for (text, wanted) in [
        (".", 0),
        ("1+1", 1),
        ("1|2,3", 2),
        ("[1,2]", 2),
        ("{a,b}", 1),
        ("{a:[1,2],b}", 3),
        ("(1+1)+(1+1)", 3),
        ("[[]][]", 2),
        ("1+1)+1", 2),
        ("if 1 then 2 else 3 end", 2),
        ("x and", 1),
        ("if_x ifs", 0),
        ("1-2*3/4%5=6<7>8", 7),
        ("reduce foreach label def as try catch or elif", 9),
    ] {
        assert_eq!(nesting(text), wanted, "{text}");
    }
    for (text, wanted) in [("1", 0), (".a.b.c", 3), (".a|.b.c", 2), (".a?[0]", 3), ("\"\"", 2), ("@text", 1)] {
        assert_eq!(longest_chain(text), wanted, "{text}");
    }
}
