//! A task is checked against the version that it runs on.

use std::path::Path;

use catalog::{By, Catalog, Check, Host, Offer, Origin, Rule, Rules, Source};
use model::survey::Verdict;
use serde_json::{Value, json};
use server::flow_schema::{Of, document, tag};

use crate::{catalog, validator, wrong};

/// `fields` came with 1.1.0 of `core`.
fn taken(catalog: &Catalog, version: &str, flow: &str) -> bool {
    let schema = validator(&document(catalog, Of::Flow));
    let version = if version.is_empty() { String::new() } else { format!("version: {version}, ") };
    let task = format!("{{id: t, type: io.kestra.plugin.core.log.Log, {version}message: m, fields: {{a: b}}}}");
    let found = wrong(&schema, &format!("{{id: f, namespace: tests.schema, {flow}tasks: [{task}]}}"));
    let found = found.expect("it is YAML");
    assert!(found.iter().all(|(place, message)| place == "/tasks/0" && message.contains("fields")), "{found:#?}");
    found.is_empty()
}

#[test]
fn the_version_decides_which_properties_there_are() {
    let catalog = catalog();
    for (version, expected) in [
        ("", true),
        ("1.1.0", true),
        ("1.0.0", false),
        ("LATEST", true),
        ("latest", true),
        ("^1", true),
        ("'>=1, <2'", true),
    ] {
        assert_eq!(taken(&catalog, version, ""), expected, "{version}");
    }
}

#[test]
fn a_flow_that_says_elsewhere_which_versions_it_runs_on_is_taken_in_any() {
    assert!(taken(&catalog(), "", "plugins: {core: 1.0.0}, "));
    assert!(!taken(&catalog(), "1.0.0", "plugins: {core: 1.0.0}, "));
}

#[test]
fn a_pin_decides_what_a_task_without_a_version_has() {
    let rule = Rule {
        action: catalog::Action::Pin,
        plugin: "core".to_owned(),
        versions: "1.0.0".to_owned(),
        reason: "it is proved".to_owned(),
    };
    let pinned = catalog().with_rules(Rules::new(vec![rule]).expect("a requirement"));
    assert!(!taken(&pinned, "", ""));
    assert_ne!(tag(&pinned), tag(&catalog()));
}

/// A plugin of one type, whose newest version has lost a property, needs another, and does not run here.
fn of_mail(registry: &Path) -> Catalog {
    let shipped = std::fs::read(tests::registry().join("core/1.1.0/plugin.wasm")).expect("it is shipped");
    let version = |version: &str, minimum_host: &str, properties: Value, required: Value| {
        let manifest = json!({
            "abi": "1.0", "name": "mail", "version": version, "minimumHost": minimum_host,
            "tasks": [{
                "type": "com.example.mail.Send", "aliases": ["com.example.Send"],
                "properties": {
                    "type": "object", "properties": properties, "required": required, "additionalProperties": false,
                    "$defs": { "Person": { "type": "object", "properties": { "name": { "type": "string" }, "boss": { "$ref": "#/$defs/Person" } },
                        "required": ["name"], "additionalProperties": false } },
                },
            }],
        });
        catalog::embed(&shipped, manifest.to_string().as_bytes()).expect("it is a component")
    };
    let person = json!({ "$ref": "#/$defs/Person" });
    let installed = Source::Folder { origin: Origin::Installed, root: registry.to_owned() };
    let on = |version: &str| {
        let host = Host { version: version.parse().expect("a version"), built_in: Vec::new() };
        Catalog::open(vec![installed.clone()], host, Check::Sizes)
    };
    // A later host has installed what this one cannot run.
    let mut catalog = on("99.0.0");
    for component in [
        version("1.0.0", "0.0.1", json!({ "to": person, "cc": true }), json!(["to"])),
        version(
            "2.0.0",
            "0.0.1",
            json!({ "to": person, "key": { "type": "string", "x-sluice-secret": true } }),
            json!(["to", "key"]),
        ),
        version("3.0.0", "99.0.0", json!({ "whom": true }), json!([])),
    ] {
        let by = By { actor: "a test", at: jiff::Timestamp::UNIX_EPOCH };
        let (next, _) = catalog.install(&[Offer::new(component, "test")], by).expect("it can be installed");
        catalog = next;
    }
    on(env!("CARGO_PKG_VERSION"))
}

#[test]
fn newest_version_that_runs_here_is_the_usual_one() {
    let registry = tempfile::tempdir().expect("tests have a temporary folder");
    let catalog = of_mail(registry.path());
    let document = document(&catalog, Of::Task);
    let schema = validator(&document);
    let check = |task: &str, expected: &[(&str, &str)]| {
        let found = wrong(&schema, &format!("{{id: t, type: {task}}}")).expect("it is YAML");
        let fits =
            expected.iter().all(|(place, part)| found.iter().any(|(at, text)| at == place && text.contains(part)));
        assert!(fits && found.is_empty() == expected.is_empty(), "{task}: {found:#?}");
    };
    check("com.example.mail.Send, to: {name: a}, key: k", &[]);
    check("com.example.Send, to: {name: a, boss: {name: b, boss: '{{ x }}'}}, key: k", &[]);
    check(
        "com.example.mail.Send, to: {name: a, boss: {nmae: b}}, key: k",
        &[("/to/boss", "nmae"), ("/to/boss", "name")],
    );
    check("com.example.mail.Send, to: {name: a}, cc: c, key: k", &[("", "cc")]);
    check("com.example.mail.Send, to: {name: a}", &[("", "key")]);
    check("com.example.mail.Send, version: 1.0.0, to: {name: a}, cc: c", &[]);
    check("com.example.mail.Send, version: 1.0.0, to: {name: a}, key: k", &[("", "key")]);
    check("com.example.mail.Send, whom: w, to: {name: a}, key: k", &[("", "whom")]);
    let definition = &document["definitions"]["com.example.mail.Send@2.0.0"];
    assert_eq!(definition["properties"]["key"]["x-sluice-secret"], true);
    let offered = &document["definitions"]["com.example.mail.Send@versions"]["anyOf"][0]["enum"];
    assert_eq!(offered, &json!(["2.0.0", "1.0.0", "LATEST", "OLDEST"]));
}

/// By the parser as well: a default may be for a version that has what the newest has not.
#[test]
fn defaults_are_looked_at_in_the_version_that_they_ask_for() {
    let registry = tempfile::tempdir().expect("tests have a temporary folder");
    let catalog = of_mail(registry.path());
    let schema = validator(&document(&catalog, Of::Flow));
    let check = |version: &str, values: &str, expected: bool| {
        let source = format!(
            "id: f\nnamespace: tests.schema\npluginDefaults: [{{type: com.example.mail.Send, {version}values: {{{values}}}}}]\n\
             tasks: [{{id: t, type: com.example.mail.Send, to: {{name: a}}}}]\n"
        );
        let runs = server::survey(&source, &catalog).iter().all(|survey| survey.verdict == Verdict::Runs);
        let fits = wrong(&schema, &source).is_some_and(|wrong| wrong.is_empty());
        assert_eq!((runs, fits), (expected, expected), "{source}");
    };
    check("version: 1.0.0, ", "cc: c", true);
    check("", "cc: c, version: 1.0.0", true);
    check("", "key: k", true);
    check("", "kye: k", false);
    check("version: 1.0.0, ", "kye: k", false);
}
