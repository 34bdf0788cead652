//! What the attributes make of an author's types: names, defaults, markers, documentation. Through the public API alone.

use serde_json::{Value, json};
use sluice_sdk::prelude::*;
use sluice_sdk::testing::MockHost;

#[properties]
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Fast,
    VerySlow,
}

#[properties]
#[derive(Debug)]
struct Login {
    user: String,
    #[secret]
    password: String,
}

#[properties]
#[derive(Debug)]
struct Everything {
    /// Where to go.
    target_url: String,
    #[default(Mode::VerySlow)]
    mode: Mode,
    #[default(3_u32)]
    tries: u32,
    login: Option<Login>,
    #[secret]
    api_key: Option<String>,
    /// Rendered for each row.
    #[render(later)]
    row_template: Option<String>,
    #[render(never)]
    script: Option<String>,
}

#[outputs]
struct Seen {
    target_url: String,
    tries_left: u32,
    slow: bool,
}

/// Looks at everything
/// there is.
///
/// And tells.
///
/// # Look once
/// ```yaml
/// type: com.example.Look
/// targetUrl: x
/// ```
#[task("com.example.Look", aliases = ["com.example.Watch", "com.example.Gaze"], effects = Effects::AtMostOnce)]
pub(crate) fn look(
    Everything { target_url, mode, tries, login, api_key, row_template, script }: Everything,
) -> Result<Seen, Failure> {
    drop((api_key, row_template, script));
    if login.is_some_and(|login| login.user == login.password) {
        return Err(Failure::new("TOO_SIMPLE", "the password is the user's name")
            .retryable(false)
            .detail("field", "password"));
    }
    Ok(Seen { target_url, tries_left: tries, slow: mode == Mode::VerySlow })
}

#[properties]
struct Nothing {}

/// Does nothing.
#[task("com.example.Rest", capabilities = || Capabilities::none().objects(&["flow"]))]
fn rest(_: Nothing, cx: &Context) -> Result<(), std::io::Error> {
    cx.progress(Some(200), "resting");
    if cx.is_cancelled() { Err(std::io::Error::other("woken")) } else { Ok(()) }
}

plugin! { tasks: [look, rest], title: "Eyes", effects: Effects::Idempotent, capabilities: Capabilities::none().secrets().objects(&["flow"]) }

fn manifest() -> Value {
    serde_json::from_str(&<Plugin as sluice_sdk::Plugin>::describe()).expect("a manifest is JSON")
}

#[test]
fn names_defaults_and_leniency_reach_the_task() {
    let host = MockHost::new();
    let outputs = host.run_task::<look>(json!({"targetUrl": 12}));
    assert_eq!(outputs, Ok(json!({"targetUrl": "12", "triesLeft": 3, "slow": true})));
    let outputs = host.run_task::<look>(json!({"targetUrl": "x", "mode": "FAST", "tries": "7"}));
    assert_eq!(outputs, Ok(json!({"targetUrl": "x", "triesLeft": 7, "slow": false})));
}

#[test]
fn failures_of_any_kind_cross_the_border() {
    let failure = MockHost::new().run_task::<look>(json!({"targetUrl": "x", "login": {"user": "a", "password": "a"}}));
    let failure = failure.expect_err("the password is too simple");
    assert_eq!(
        (failure.code(), failure.is_retryable(), failure.details_json().as_deref()),
        ("TOO_SIMPLE", Some(false), Some(r#"{"field":"password"}"#))
    );
    let failure = MockHost::new().cancelled().run_task::<rest>(json!({})).expect_err("it was woken");
    assert_eq!((failure.code(), failure.message()), ("IO", "woken"));
}

#[test]
fn dispatcher_knows_types_and_aliases() {
    let host = MockHost::new();
    assert_eq!(host.run::<Plugin>("com.example.Rest", "{}"), Ok("{}".to_owned()));
    assert_eq!(host.progress()[0].percent, Some(100));
    assert!(host.run::<Plugin>("com.example.Gaze", r#"{"targetUrl":"x"}"#).is_ok());
    assert_eq!(host.run::<Plugin>("com.example.Other", "{}").expect_err("nobody has it").code(), "UNKNOWN_TASK");
    assert_eq!(host.run::<Plugin>("com.example.Rest", "{").expect_err("no JSON").code(), "BAD_PROPERTY");
}

#[test]
fn manifest_comes_from_types_and_comments() {
    let manifest = manifest();
    assert_eq!(
        (&manifest["name"], &manifest["title"], &manifest["effects"]),
        (&json!("sluice-sdk"), &json!("Eyes"), &json!("idempotent"))
    );
    assert_eq!(manifest["capabilities"], json!({"objects": ["flow"], "secrets": true}));
    // A task that says nothing asks for all of it.
    let of_tasks = (&manifest["tasks"][0]["capabilities"], &manifest["tasks"][1]["capabilities"]);
    assert_eq!(of_tasks, (&Value::Null, &json!({"objects": ["flow"]})));
    let task = &manifest["tasks"][0];
    assert_eq!((&task["type"], &task["effects"]), (&json!("com.example.Look"), &json!("at-most-once")));
    assert_eq!((&task["title"], &task["description"]), (&json!("Looks at everything there is"), &json!("And tells.")));
    assert_eq!(task["aliases"], json!(["com.example.Gaze", "com.example.Watch"]));
    assert_eq!(task["examples"], json!([{"title": "Look once", "yaml": "type: com.example.Look\ntargetUrl: x\n"}]));
    assert_eq!(
        manifest["tasks"][1]["outputs"],
        json!({"type": "object", "properties": {}, "additionalProperties": false})
    );
}

#[test]
fn markers_and_defaults_stand_in_the_schema() {
    let schema = &manifest()["tasks"][0]["properties"];
    assert_eq!((&schema["required"], &schema["additionalProperties"]), (&json!(["targetUrl"]), &json!(false)));
    let properties = &schema["properties"];
    assert_eq!(properties["targetUrl"], json!({"description": "Where to go.", "type": "string"}));
    assert_eq!(properties["mode"], json!({"type": "string", "enum": ["FAST", "VERY_SLOW"], "default": "VERY_SLOW"}));
    assert_eq!((&properties["tries"]["default"], &properties["apiKey"]["x-sluice-secret"]), (&json!(3), &json!(true)));
    assert_eq!(
        (&properties["rowTemplate"]["x-sluice-render"], &properties["script"]["x-sluice-render"]),
        (&json!("later"), &json!("never"))
    );
    assert_eq!(properties["login"]["properties"]["password"], json!({"type": "string", "x-sluice-secret": true}));
    assert_eq!(properties["login"]["additionalProperties"], json!(false));
}
