//! Templates made to hurt: each must end soon, with an error of its kind, on a stack of two megabytes.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use expr::{Answer, Call, Empty, Error, Limits, Map, Memo, Settings, Value, eval_text, render_text};

/// Far above what any of these takes in an optimised build; a debug build on a busy machine is slow.
const SOON: Duration = Duration::from_secs(20);

fn run(template: &str) -> Result<String, Error> {
    let started = Instant::now();
    let result = render_text(template, &Empty, &Memo::new(), &Settings::default());
    let took = started.elapsed();
    let shown: String = template.chars().take(80).collect();
    assert!(took < SOON, "{shown} took {took:?}");
    result.map(|text| text.to_string())
}

fn check(template: &str, code: &str) {
    let shown: String = template.chars().take(80).collect();
    match run(template) {
        Ok(text) => panic!("{shown} gave {} bytes", text.len()),
        Err(error) => assert!(error.code().starts_with(code), "{shown}: {}: {error}", error.code()),
    }
}

#[test]
fn fuel_ends_endless_work() {
    check("{{ range(0, 1000000000) }}", "expression.limit.range");
    check("{{ 0..999999999 }}", "expression.limit.range");
    check(
        "{% for a in 1..1000 %}{% for b in 1..1000 %}{% for c in 1..1000 %}{% endfor %}{% endfor %}{% endfor %}",
        "expression.limit.fuel",
    );
    check(
        "{% set l = [1] %}{% for i in 1..60 %}{% set l = l | merge(l) %}{% endfor %}{{ l | length }}",
        "expression.limit.fuel",
    );
    check("{% set l = [1] %}{% for i in 1..60 %}{% set l = l + l %}{% endfor %}", "expression.limit.fuel");
    check("{% set l = 1..999 %}{% for i in 1..99999 %}{% set x = l contains l %}{% endfor %}", "expression.limit.fuel");
}

#[test]
fn doubling_text_ends() {
    check("{% set s = 'x' %}{% for i in 1..100 %}{% set s = s ~ s %}{% endfor %}{{ s }}", "expression.limit");
    check("{% set s = 'x' %}{% for i in 1..100 %}{% set s = s + s %}{% endfor %}{{ s }}", "expression.limit");
    check(
        "{% set s = 'x' %}{% for i in 1..100 %}{% set s = s | replace({'x': 'xx'}) %}{% endfor %}",
        "expression.limit",
    );
    check(
        "{% set s = 'x' %}{% for i in 1..100 %}{% set s = s | regexReplace('x', 'xx') %}{% endfor %}",
        "expression.limit",
    );
    check("{% for i in 1..500000 %}0123456789{% endfor %}", "expression.limit");
    check("{{ 'a\nb' | indent(1000000000) }}", "expression.limit.output");
    check("{% set s = ' ' %}{% for i in 1..30 %}{% set s = [s, s] | join(s) %}{% endfor %}", "expression.limit");
    check("{% set s = [1] %}{% for i in 1..60 %}{% set s = [s, s] %}{% endfor %}{{ s }}", "expression.limit");
}

#[test]
fn recursion_ends() {
    check("{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}", "expression.limit.depth");
    check("{% block b %}{{ block('b') }}{% endblock %}", "expression.limit.depth");
    check("{% set s = '{{ render(s) }}' %}{{ render(s) }}", "expression.limit.depth");
    let mut scope = Map::new();
    scope.insert("a".into(), "{{ b }}x".into());
    scope.insert("b".into(), "{{ a }}y".into());
    let settings = Settings { recursive: true, ..Settings::default() };
    let error = render_text("{{ a }}", &scope, &Memo::new(), &settings).unwrap_err();
    assert_eq!(error.code(), "expression.limit.renders");
}

#[test]
fn deep_nesting_ends() {
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("[", "", "]"),
        ("{'a':", "1", "}"),
        ("not ", "1", ""),
        ("-", "1", ""),
        ("max(", "1", ")"),
        ("x[", "1", "]"),
        ("true ? ", "1", ": 1"),
    ] {
        check(&format!("{{{{ {}{middle}{} }}}}", open.repeat(50_000), close.repeat(50_000)), "expression.limit.depth");
    }
    check(&"{% if true %}".repeat(50_000), "expression.limit.depth");
    let wide = format!("{{{{ {} }}}}", vec!["1"; 50_000].join(" + "));
    assert_eq!(run(&wide).unwrap(), "50000");
    let filters = format!("{{{{ 'a' {} }}}}", "| upper ".repeat(20_000));
    assert_eq!(run(&filters).unwrap(), "A");
    let path = format!("{{{{ a{} }}}}", ".b".repeat(50_000));
    check(&path, "expression.undefined");
    check("{% set x = [] %}{% for i in 1..5000 %}{% set x = [x] %}{% endfor %}", "expression.limit.depth");
    check(&"{% set x = [x ?? 1] %}".repeat(5_000), "expression.limit.depth");
    check(&format!("{{{{ fromJson('{}') }}}}", "[".repeat(100_000)), "expression.invalid");
    check(&format!("{{{{ fromIon('{}') }}}}", "[".repeat(100_000)), "expression.invalid");
    check(&format!("{{{{ yaml('{}') }}}}", "[".repeat(100_000)), "expression.invalid");
}

/// The deepest that is allowed must not overflow the stack either: each level with every priority of operators. A debug
/// build, whose frames are large, may refuse it.
#[test]
fn deepest_nesting_allowed_does_not_overflow() {
    let deep = |level: &str, count: usize| format!("{{{{ {}1{} }}}}", level.repeat(count), ")".repeat(count));
    for level in ["1 or 1 and 1 == 1 + 1 * 1 ~ 1 ?? (", "max(1, ", "(1 + "] {
        match run(&deep(level, 60)) {
            Ok(text) => assert!(!text.is_empty()),
            Err(error) => assert_eq!(error.code(), "expression.limit.depth"),
        }
        assert!(run(&deep(level, 12)).is_ok(), "{level}");
    }
    let blocks = format!("{}x{}", "{% if true %}".repeat(60), "{% endif %}".repeat(60));
    assert_eq!(run(&blocks).unwrap(), "x");
}

#[test]
fn regular_expressions_end() {
    check("{{ 'a' | regexMatch('((a{100}){100}){100}') }}", "expression.limit.regex");
    check(&format!("{{{{ 'a' | regexMatch('{}') }}}}", "(".repeat(10_000)), "expression.invalid");
    let text = "a".repeat(200_000);
    assert_eq!(run(&format!("{{{{ '{text}' | regexMatch('(a*)*b') }}}}")).unwrap(), "false");
    assert_eq!(run(&format!("{{{{ '{text}' | regexMatch('(a|a?)+$x') }}}}")).unwrap(), "false");
}

/// How large a pattern may be depends on how long the text is.
#[test]
fn regular_expressions_fit_their_text() {
    let scope = Map::from_iter([("t".into(), "a".repeat(1_000_000).into())]);
    let code = |template: &str| {
        let result = render_text(template, &scope, &Memo::new(), &Settings::default());
        result.err().map(|error| error.code())
    };
    assert_eq!(code("{{ 'a' | regexMatch('[a-z]{300}') }}"), None);
    assert_eq!(code("{{ 'a' | regexMatch('[a-z]{30000}') }}"), Some("expression.limit.regex"));
    assert_eq!(code("{{ t | regexMatch('^[a-z]{40}$') }}"), None);
    assert_eq!(code("{{ t | regexMatch('[a-z]{1000}') }}"), Some("expression.limit.regex"));
    assert_eq!(code("{{ ['a'] | replace({'[a-z]{30}': ''}, regexp=true) }}"), None);
    assert_eq!(code("{{ ['a'] | replace({'[a-z]{1000}': ''}, regexp=true) }}"), Some("expression.limit.regex"));
    assert_eq!(code("{{ 'a' | replace({'[a-z]{1000}': ''}, regexp=true) }}"), None);
}

#[test]
fn data_that_explodes_ends() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]";
    check(&format!("{{{{ yaml('{bomb}') }}}}"), "expression");
    check(&format!("{{{{ '2024-01-01' | date('{}') }}}}", "y".repeat(1000)), "expression.invalid");
    check(&format!("{{{{ 1 | numberFormat('{}') }}}}", "0".repeat(100_000)), "expression.invalid");
    check("{{ nanoId(1000000000) }}", "expression.invalid");
}

#[test]
fn jq_programs_end() {
    let jq = |program: &str, code: &str| check(&format!("{{{{ {{}} | jq('{program}') }}}}"), code);
    jq("[range(1000000000000)]", "expression.limit.fuel");
    jq("range(1000000000000) | select(false)", "expression.limit");
    jq("def f: f; f", "expression.limit");
    jq("def f: f + 1; f", "expression.limit");
    jq("def f: 1 + f; f", "expression.limit");
    jq("def f: [f]; f", "expression.limit");
    jq("def f: f | f; f", "expression.limit");
    jq("[recurse(1)] ", "expression.limit");
    jq("[repeat(1)]", "expression.limit");
    jq("last(repeat(1))", "expression.limit");
    jq("until(false; . )", "expression.limit");
    jq("[limit(1e18; repeat(1))]", "expression.limit");
    jq("skip(1e18; repeat(1))", "expression.limit");
    jq("reduce range(100) as $i (\"x\"; . + .)", "expression.limit");
    jq("\"x\" * 1e15", "expression.limit.output");
    jq("reduce range(100) as $i ([1]; . + .)", "expression.limit.fuel");
    jq("reduce range(1000000) as $i (0; [.])", "expression.limit");
    jq("reduce range(1000000) as $i ({}; {a: .})", "expression.limit");
    jq("reduce range(1000000) as $i (null; {a: 1} + {b: .})", "expression.limit");
    jq("reduce range(1000000) as $i ([]; .[0] = .)", "expression.limit");
    jq(".[1e12] = 1", "expression.invalid");
    jq("null | .[1e12] = 1", "expression.limit.fuel");
    jq("\"a\" | test(\"((a{100}){100}){100}\")", "expression.invalid");
    jq("[1e308, -1] | implode", "expression.invalid");
    jq("[range(300)] | [.[] as $a | .[] as $b | .[] as $c | 1] | length", "expression.limit.fuel");
    jq("[range(3000)] | . - .", "expression.limit.fuel");
    jq(&"(".repeat(100), "expression.limit.jq");
    jq(&".".repeat(20_000), "expression.limit.jq");
}

/// The longest programs that are read at all, of things that nest without brackets.
#[test]
fn long_jq_programs_do_not_overflow() {
    for part in [
        "-",
        "..|",
        ".|",
        "1+",
        ".a",
        "try ",
        ".a as $x|",
        "[.]|",
        "1,",
        "1//",
        "not|",
        "if 1 then ",
        "reduce ",
        "label $a|",
        "def f: ",
        "?",
        "\\\"\\\\(",
        ".[0]",
        ". and ",
        "1 as [$a]|",
        "@base64 ",
        "..",
        "1 as $x|$x,",
        "try error(1) catch ",
        "if 1 then 1 elif ",
    ] {
        let count = 9_900 / part.replace('\\', "").len().max(1);
        let program = part.repeat(count);
        for end in ["1", "", ".", "end"] {
            let _ = run(&format!("{{{{ {{}} | jq('{program}{end}') }}}}"));
        }
    }
}

#[test]
fn a_scope_full_of_data_prints_within_limits() {
    let mut scope = Map::new();
    scope.insert("big".into(), Value::list((0..300_000).map(|n| Value::from(format!("value {n}")))));
    for template in
        ["{{ big }}", "x{{ big }}", "{{ big }}x", "{{ big | toJson }}", "{{ big ~ '' }}", "{{ big | yaml }}"]
    {
        let error = render_text(template, &scope, &Memo::new(), &Settings::default()).err();
        assert!(error.is_some_and(|error| error.code().starts_with("expression.limit")), "{template}");
    }
    let typed = expr::eval_text("{{ big }}", &scope, &Memo::new(), &Settings::default()).unwrap();
    assert_eq!(typed.as_list().map(<[Value]>::len), Some(300_000));
    let first = render_text("{{ big[0] }}", &scope, &Memo::new(), &Settings::default()).unwrap();
    assert_eq!(first.to_string(), "value 0");
}

/// The least fuel with which a template renders.
fn cost(template: &str, scope: &Map, memo: &Memo) -> u64 {
    let enough = |fuel: u64| match eval_text(template, scope, memo, &limited(Limits { fuel, ..Limits::default() })) {
        Ok(_) => true,
        Err(error) if error.code() == "expression.limit.fuel" => false,
        Err(error) => panic!("{template}: {error}"),
    };
    let (mut low, mut high) = (0, 1_000_000);
    while low < high {
        let middle = (low + high) / 2;
        match enough(middle) {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    low
}

fn limited(limits: Limits) -> Settings {
    Settings { limits, ..Settings::default() }
}

/// Text of 100 steps, a list and a map of 100 items each; the same as answers of `kv`.
#[test]
fn work_costs_what_it_takes() {
    let things = [
        ("t", Value::from("x".repeat(6_400))),
        ("l", Value::list((0..100).map(Value::Int))),
        ("m", Value::map((0..100).map(|n| (format!("k{n:03}"), Value::Int(n))))),
        ("n", Value::Int(1)),
    ];
    let (mut scope, mut memo) = (Map::new(), Memo::new());
    for (name, value) in things {
        let mut call = Call::new("kv");
        call.args.push(("key".into(), name.into()));
        memo.insert(call, Answer::Value(value.clone()));
        scope.insert(name.into(), value);
    }
    for (template, expected) in [
        ("{{ 1 }}", 2),
        ("{{ 1 + 2 }}", 5),
        ("{{ [1, 2] }}", 4),
        ("abc{{ 1 }}", 5),
        ("{{ t }}", 2),
        ("{{ l }}", 2),
        ("{{ t }}{{ t }}", 206),
        ("{{ l }}{{ l }}", 20),
        ("{{ m }}{{ m }}", 42),
        ("{{ l }}-", 11),
        ("{{ t | length }}", 105),
        ("{{ l | length }}", 104),
        ("{{ m | length }}", 104),
        ("{{ n | abs }}", 4),
        ("{{ l | first }}", 104),
        ("{{ m | keys | first }}", 206),
        ("{{ l contains 5 }}", 105),
        ("{{ l contains [5, 6] }}", 207),
        ("{{ t contains 'y' }}", 106),
        ("{{ 5 isIn l }}", 105),
        ("{{ 5 isIn m }}", 105),
        ("{{ l - [1, 2] }}", 207),
        ("{{ l + l }}", 205),
        ("{{ t ~ t }}", 408),
        ("{{ l ~ '' }}", 21),
        ("{{ m ~ '' }}", 39),
        ("{{ l | merge(l) | length }}", 506),
        ("{{ m | merge(m) | length }}", 406),
        ("{{ l | sort | length }}", 605),
        ("{{ l | flatten | length }}", 305),
        ("{{ l | join | length }}", 211),
        ("{% for i in l %}{% endfor %}", 102),
        ("{% for i in m %}{% endfor %}", 202),
        ("{% for i in l %}{{ i }}{% endfor %}", 402),
        ("{{ t | upper }}", 206),
        ("{{ t | regexMatch('y') }}", 208),
        ("{{ t | split('y') | length }}", 211),
        ("{{ range(1, 100) | length }}", 206),
        (r#"{{ fromJson('"' ~ t ~ '"') }}"#, 1315),
        ("{{ kv('t') ? 1 : 2 }}", 106),
        ("{{ kv('l') | length }}", 206),
        ("{{ kv('m') | length }}", 206),
        ("{{ kv('n') }}", 4),
        ("{{ render(t) }}", 307),
        ("{% if n %}a{% endif %}", 3),
        ("{{ t | indent(100) }}", 310),
        ("{{ t | yaml }}", 307),
        ("{{ t | toJson }}", 408),
        ("{{ \"#{t}#{t}\" }}", 612),
        ("{{ t | replace({'y': t}) }}", 310),
        ("{{ t | nindent(1, t) }}", 610),
    ] {
        assert_eq!(cost(template, &scope, &memo), expected, "{template}");
    }
    let long = format!("{}{{{{ n }}}}", "a".repeat(640));
    assert_eq!(cost(&long, &scope, &memo), 25);
}

#[test]
fn turns_that_do_nothing_are_counted() {
    let mut scope = Map::new();
    scope.insert("l".into(), Value::list((0..2_000).map(Value::Int)));
    let template = "{% for a in l %}{% for b in l %}{% endfor %}{% endfor %}";
    let error = render_text(template, &scope, &Memo::new(), &Settings::default()).unwrap_err();
    assert_eq!(error.code(), "expression.limit.fuel");
}

#[test]
fn limits_are_reached_exactly() {
    let scope = Map::from_iter([("l".into(), Value::list([1.into(), 2.into()])), ("t".into(), "aaaaaaaaaa".into())]);
    let check = |template: &str, limits: Limits, code: Option<&str>| {
        let result = render_text(template, &scope, &Memo::new(), &limited(limits));
        assert_eq!(result.as_ref().err().map(Error::code), code, "{template}: {result:?}");
    };
    let output = |template: &str, output_bytes: usize, ends: bool| {
        let code = ends.then_some("expression.limit.output");
        check(template, Limits { output_bytes, ..Limits::default() }, code);
    };
    for template in ["aaaaa{{ 'b' ~ 'c' }}ddd", "{{ t }}{{ '' }}", "{{ t | upper }}", "{{ 'aaaaa' ~ 'aaaaa' }}"] {
        output(template, 10, false);
        output(template, 9, true);
    }
    output("{{ 'abcd' | regexReplace('d', 'efghijk') }}", 10, false);
    output("{{ 'abcd' | regexReplace('d', 'efghijk') }}", 9, true);
    output("{{ 'abcdd' | regexReplace('d', 'efgh') }}", 10, true);
    output("{{ 'aaaaa' | replace({'aaaa': 'b'}) }}", 5, false);
    output("{{ 'aaaaa' | replace({'a': 'b'}) }}", 5, false);
    output("{{ t | replace({'a': 'bcdef', 'bcdef': ''}) }}", 30, true);
    output("{{ t | replace({'a': 'bcdef', 'bcdef': ''}, regexp=true) }}", 30, true);
    output("{{ 'aa' | replace({'a': 'bcdef'}) }}", 9, true);
    output("{{ 'aa' | replace({'a': 'bcdef'}) }}", 12, false);
    let template = |template_bytes, ends: bool| {
        let code = ends.then_some("expression.limit.template");
        check("{{ 1 + 1 }}", Limits { template_bytes, ..Limits::default() }, code);
    };
    template(11, false);
    template(10, true);
    let depth = |template: &str, depth: u32, ends: bool| {
        let code = ends.then_some("expression.limit.depth");
        check(template, Limits { depth, ..Limits::default() }, code);
    };
    let tags = |count: usize| format!("{}x{}", "{% if true %}".repeat(count), "{% endif %}".repeat(count));
    depth(&tags(4), 5, false);
    depth(&tags(5), 5, true);
    depth(&"{% if true %}x{% endif %}".repeat(20), 2, false);
    let lists = |count: usize| format!("{{{{ {}{} }}}}", "[".repeat(count), "]".repeat(count));
    depth(&lists(20), 2, false);
    depth(&lists(21), 2, true);
    depth(&format!("{{{{ [{}[]] }}}}", "[],".repeat(40)), 2, false);
}

/// What is parsed may nest 64 deep, wherever it is evaluated.
#[test]
fn templates_nest_no_deeper_than_they_may() {
    let tags = |count: usize| format!("{}x{}", "{% if true %}".repeat(count), "{% endif %}".repeat(count));
    assert!(expr::parse(&tags(63)).is_ok());
    assert_eq!(expr::parse(&tags(70)).unwrap_err().code(), "expression.limit.depth");
    assert!(expr::parse(&"{% if (1) %}x{% endif %}{{ [(1), (2)] }}".repeat(100)).is_ok());
    check("{% set x = 1 %}{% for i in 1..5000 %}{% set x = {'a': x} %}{% endfor %}", "expression.limit.depth");
}
