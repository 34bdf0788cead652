//! Components that are hostile as such: what no compiler makes, what no host has, what belongs to others. Each is offered for installation;
//! its twin is the nearest that is taken.

use serde_json::{Value, json};
use tests::guests::{FIELDS_OF_GOOD, GIBBERISH, GOOD, LOOP, PANIC, RECURSE, component, component_of, plugin, stranger};
use tests::served::{Answer, Api, Options, send, serving_with};

/// A component, and what becomes of it.
struct Offered {
    name: &'static str,
    component: fn() -> Vec<u8>,
    end: End,
    words: &'static [&'static str],
    /// Installed, and where it has something to run, run with success.
    twin: fn() -> Vec<u8>,
}

enum End {
    /// Not taken.
    Refused(u16, &'static str),
    /// Taken, and its run fails.
    Fails(&'static str),
}

/// Installs a packed component.
pub async fn upload(api: &Api, component: Vec<u8>) -> Answer {
    let head = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"plugin.wasm\"\r\n\r\n";
    let body = [head.as_bytes(), &component, b"\r\n--edge--\r\n"].concat();
    let request = api.request(reqwest::Method::POST, "/api/v1/cluster/versioned-plugins/upload");
    send(request.header("content-type", "multipart/form-data; boundary=edge").body(body)).await
}

fn good() -> Vec<u8> {
    component_of("", FIELDS_OF_GOOD, GOOD)
}

/// Good, but for its parts.
fn with_parts(parts: &str) -> Vec<u8> {
    component_of(parts, FIELDS_OF_GOOD, GOOD)
}

/// Good, but for its fields.
fn with_fields(fields: &str) -> Vec<u8> {
    component_of("", &format!("{FIELDS_OF_GOOD} {fields}"), GOOD)
}

/// Good after this.
fn after(fields: &str, body: &str) -> Vec<u8> {
    component_of("", &format!("{FIELDS_OF_GOOD} {fields}"), &format!("{body} {GOOD}"))
}

fn text(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}"))
}

fn imports(names: impl Iterator<Item = String>) -> Vec<u8> {
    let all: String = names.map(|name| format!("(import \"{name}\" (instance)) ")).collect();
    text(&format!("(component {all})"))
}

/// A component that imports one function of the host.
fn attempts(interface: &str) -> Vec<u8> {
    text(&format!("(component (import \"{interface}\" (instance (export \"attempt\" (func (result u32))))))"))
}

/// The same part so many times.
fn times(count: usize, module: &str) -> String {
    let instances = "(core instance (instantiate $b)) ".repeat(count);
    format!("(core module $b {module}) {instances}")
}

/// A plugin of this name, whose manifest is the usual one with some changes.
fn packed(name: &str, component: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut manifest = json!({
        "abi": "1.0", "name": name, "version": "1.0.0", "title": name,
        "tasks": [{ "type": format!("com.example.{}.Do", name.replace('-', "")) }],
    });
    change(&mut manifest);
    catalog::embed(component, manifest.to_string().as_bytes()).expect("it begins as a component does")
}

fn plain(name: &str, component: &[u8]) -> Vec<u8> {
    packed(name, component, |_| ())
}

const REFUSED: End = End::Refused(422, "PLUGIN_CANNOT_RUN");
const NONE: End = End::Refused(422, "PLUGIN_NOT_A_COMPONENT");
const MANIFEST: End = End::Refused(422, "PLUGIN_BAD_MANIFEST");
const TAKEN: End = End::Refused(409, "TASK_TYPE_TAKEN");

const TABLE: &[Offered] = &[
    Offered {
        name: "unknown-import",
        component: || plain("unknown-import", &stranger()),
        end: REFUSED,
        words: &["needs host API `evil:host/shell@1.0.0`, which this host does not offer", "hint: "],
        twin: || plain("unknown-import", &imports(["wasi:cli/environment@0.2.0".to_owned()].into_iter())),
    },
    Offered {
        name: "newer-import",
        component: || plain("newer-import", &attempts("sluice:host/context@2.0.0")),
        end: REFUSED,
        words: &[
            "needs host API `sluice:host/context@2.0.0`, this host has `sluice:host/context@1.0.0`",
            "hint: use a newer Sluice",
        ],
        twin: || plain("newer-import", &attempts("sluice:host/context@1.0.0")),
    },
    Offered {
        name: "import-of-another-shape",
        component: || {
            let shape =
                "(component (import \"sluice:host/context@1.0.0\" (instance (export \"get\" (func (result u32))))))";
            plain("import-of-another-shape", &text(shape))
        },
        end: REFUSED,
        words: &["does not fit this host", "hint: the plugin was built against other WIT"],
        twin: || {
            let shape = "(component (import \"sluice:host/context@1.0.0\" (instance (export \"attempt\" (func (result u32))))))";
            plain("import-of-another-shape", &text(shape))
        },
    },
    Offered {
        name: "many-imports",
        component: || plain("many-imports", &imports((0..1_001).map(|number| format!("evil:a{number}/b")))),
        end: REFUSED,
        words: &["imports and exports more than 1000 names"],
        twin: || plain("many-imports", &good()),
    },
    Offered {
        name: "many-exports",
        component: || {
            let exports: String = (0..1_001).map(|number| format!("(export \"e{number}\" (instance $i))")).collect();
            plain("many-exports", &text(&format!("(component (instance $i) {exports})")))
        },
        end: REFUSED,
        words: &["imports and exports more than 1000 names"],
        twin: || plain("many-exports", &text("(component (instance $i) (export \"e1\" (instance $i)))")),
    },
    Offered {
        name: "many-parts",
        component: || plain("many-parts", &with_parts(&"(core module) ".repeat(501))),
        end: REFUSED,
        words: &["it has more than 500 parts"],
        twin: || plain("many-parts", &with_parts(&"(core module) ".repeat(50))),
    },
    Offered {
        name: "deep-nesting",
        component: || plain("deep-nesting", &with_parts(&nested(25))),
        end: REFUSED,
        words: &["nests deeper than 20"],
        twin: || plain("deep-nesting", &with_parts(&nested(5))),
    },
    Offered {
        name: "core-module",
        component: || text("(module)"),
        end: NONE,
        words: &["hint: a plugin is a WebAssembly component"],
        twin: || plain("core-module", &good()),
    },
    Offered {
        name: "no-webassembly",
        component: || b"#!/bin/sh\nexec sh".to_vec(),
        end: NONE,
        words: &["it does not begin with"],
        twin: || plain("no-webassembly", &good()),
    },
    Offered {
        name: "empty",
        component: Vec::new,
        end: NONE,
        words: &["it does not begin with"],
        twin: || plain("empty", &good()),
    },
    Offered {
        name: "truncated",
        component: || {
            let mut whole = plain("truncated", &good());
            whole.truncate(whole.len() / 2);
            whole
        },
        end: NONE,
        words: &["cut off"],
        twin: || plain("truncated", &good()),
    },
    Offered {
        name: "damaged",
        component: || {
            let mut whole = plain("damaged", &good());
            // Inside the code of its module.
            let at = whole.windows(4).position(|four| four == b"run\0").unwrap_or(64) + 40;
            whole.iter_mut().skip(at).take(16).for_each(|byte| *byte = 0xff);
            whole
        },
        end: REFUSED,
        words: &["hint: "],
        twin: || plain("damaged", &good()),
    },
    Offered {
        name: "invalid-code",
        component: || plain("invalid-code", &text("(component (core module (func (result i32))))")),
        end: REFUSED,
        words: &["type mismatch"],
        twin: || plain("invalid-code", &text("(component (core module (func (result i32) (i32.const 1))))")),
    },
    Offered {
        name: "no-manifest",
        component: good,
        end: NONE,
        words: &["it has no section `sluice:manifest`"],
        twin: || plain("no-manifest", &good()),
    },
    Offered {
        name: "manifest-no-json",
        component: || catalog::embed(&good(), b"{").expect("it is a component"),
        end: MANIFEST,
        words: &["it is not JSON"],
        twin: || plain("manifest-no-json", &good()),
    },
    Offered {
        name: "many-types",
        component: || {
            packed("many-types", &good(), |manifest| {
                let all = (0..1_001).map(|number| json!({ "type": format!("com.example.manytypes.T{number}") }));
                manifest["tasks"] = all.collect();
            })
        },
        end: MANIFEST,
        words: &["it has 1001 task types, at most 1000 are allowed"],
        twin: || plain("many-types", &good()),
    },
    Offered {
        name: "name-of-a-path",
        component: || packed("name-of-a-path", &good(), |manifest| manifest["name"] = "../core".into()),
        end: MANIFEST,
        words: &["`name: ../core` is not a plugin name"],
        twin: || plain("name-of-a-path", &good()),
    },
    Offered {
        name: "name-of-the-engine",
        component: || packed("name-of-the-engine", &good(), |manifest| manifest["name"] = "engine".into()),
        end: MANIFEST,
        words: &["`name: engine` is the plugin inside Sluice itself"],
        twin: || plain("name-of-the-engine", &good()),
    },
    Offered {
        name: "newer-abi",
        component: || packed("newer-abi", &good(), |manifest| manifest["abi"] = "2.0".into()),
        end: MANIFEST,
        words: &["it is made for plugin ABI 2.0, and this Sluice speaks 1.x"],
        twin: || packed("newer-abi", &good(), |manifest| manifest["abi"] = "1.9".into()),
    },
    Offered {
        name: "newer-host",
        component: || packed("newer-host", &good(), |manifest| manifest["minimumHost"] = "99.0.0".into()),
        end: End::Refused(422, "PLUGIN_NEEDS_NEWER_HOST"),
        words: &["needs Sluice 99.0.0 or later", "hint: upgrade Sluice"],
        twin: || packed("newer-host", &good(), |manifest| manifest["minimumHost"] = "0.0.1".into()),
    },
    Offered {
        name: "type-of-another",
        component: || plugin("type-of-another", "com.example.owner.Do", &good()),
        end: TAKEN,
        words: &["`com.example.owner.Do`, which belongs to plugin `owner`", "hint: "],
        twin: || plain("type-of-another", &good()),
    },
    Offered {
        name: "alias-of-another",
        component: || {
            packed("alias-of-another", &good(), |manifest| {
                manifest["tasks"][0]["aliases"] = json!(["com.example.owner.Do"]);
            })
        },
        end: TAKEN,
        words: &["`com.example.owner.Do`, which belongs to plugin `owner`"],
        twin: || {
            packed("alias-of-another", &good(), |manifest| {
                manifest["tasks"][0]["aliases"] = json!(["com.example.aliasofanother.Old"]);
            })
        },
    },
    Offered {
        name: "type-of-core",
        component: || plugin("type-of-core", "io.kestra.plugin.core.log.Log", &good()),
        end: TAKEN,
        words: &["which belongs to the plugins of Sluice"],
        twin: || plain("type-of-core", &good()),
    },
    Offered {
        name: "reserved-prefix",
        component: || plugin("reserved-prefix", "sluice.evil.Do", &good()),
        end: TAKEN,
        words: &[
            "`sluice.evil.Do`, which belongs to the plugins of Sluice",
            "hint: name task types after your own domain",
        ],
        twin: || plain("reserved-prefix", &good()),
    },
    Offered {
        name: "other-bytes",
        component: || plain("owner", &with_fields("(data (i32.const 2048) \"other\")")),
        end: End::Refused(409, "PLUGIN_VERSION_CHANGED"),
        words: &["is installed with other bytes", "hint: a published version never changes; raise the version"],
        twin: || plain("other-bytes", &with_fields("(data (i32.const 2048) \"other\")")),
    },
    Offered {
        name: "no-run",
        component: || plain("no-run", &text("(component)")),
        end: End::Fails("NO_EXPORT"),
        words: &["has no `sluice:task/run`", "hint: "],
        twin: || plain("no-run-twin", &good()),
    },
    Offered {
        name: "table-bomb",
        component: || {
            let grow =
                "(if (i32.eq (table.grow $t (ref.null func) (i32.const 2000000)) (i32.const -1)) (then unreachable))";
            plain("table-bomb", &after("(table $t 1 funcref)", grow))
        },
        end: End::Fails("TABLE_LIMIT"),
        words: &["asked for 2000001 table elements, its limit is 400000"],
        twin: || {
            let grow =
                "(if (i32.eq (table.grow $t (ref.null func) (i32.const 20000)) (i32.const -1)) (then unreachable))";
            plain("table-bomb-twin", &after("(table $t 1 funcref)", grow))
        },
    },
    Offered {
        name: "memories",
        component: || plain("memories", &with_parts(&times(40, "(memory 1)"))),
        end: End::Fails("INSTANCE_LIMIT"),
        words: &["the component is too large for one run"],
        twin: || plain("memories-twin", &with_parts(&times(10, "(memory 1)"))),
    },
    Offered {
        name: "memories-together",
        component: || plain("memories-together", &with_parts(&times(20, "(memory 300)"))),
        end: End::Fails("MEMORY_LIMIT"),
        words: &["of memory, its limit is 256 MiB"],
        twin: || plain("memories-together-twin", &with_parts(&times(5, "(memory 300)"))),
    },
    Offered {
        name: "memory-at-once",
        component: || plain("memory-at-once", &with_parts(&times(1, "(memory 5000)"))),
        end: End::Fails("MEMORY_LIMIT"),
        words: &["asked for 313 MiB of memory, its limit is 256 MiB"],
        twin: || plain("memory-at-once-twin", &with_parts(&times(1, "(memory 50)"))),
    },
    Offered {
        name: "instances",
        component: || plain("instances", &with_parts(&times(250, ""))),
        end: End::Fails("INSTANCE_LIMIT"),
        words: &["the component is too large for one run"],
        twin: || plain("instances-twin", &with_parts(&times(50, ""))),
    },
    Offered {
        name: "tables",
        component: || {
            plain(
                "tables",
                &with_parts(
                    &times(1, &"(table 1 funcref)".repeat(90))
                        .replace("(core instance (instantiate $b)) ", &"(core instance (instantiate $b)) ".repeat(3)),
                ),
            )
        },
        end: End::Fails("INSTANCE_LIMIT"),
        words: &["the component is too large for one run"],
        twin: || plain("tables-twin", &with_parts(&times(1, &"(table 1 funcref)".repeat(90)))),
    },
    Offered {
        name: "endless-start",
        component: || plain("endless-start", &with_fields("(func $s (loop $l (br $l))) (start $s)")),
        end: End::Fails("timeout"),
        words: &["Timeout: the task ran longer than 1s"],
        twin: || plain("endless-start-twin", &with_fields("(func $s) (start $s)")),
    },
    Offered {
        name: "trap-in-start",
        component: || plain("trap-in-start", &with_fields("(func $s unreachable) (start $s)")),
        end: End::Fails("PANIC"),
        words: &["it executed `unreachable`"],
        twin: || plain("trap-in-start-twin", &with_fields("(func $s) (start $s)")),
    },
    Offered {
        name: "endless-loop",
        component: || plain("endless-loop", &component(LOOP)),
        end: End::Fails("timeout"),
        words: &["Timeout: the task ran longer than 1s"],
        twin: || plain("endless-loop-twin", &good()),
    },
    Offered {
        name: "endless-recursion",
        component: || plain("endless-recursion", &component(RECURSE)),
        end: End::Fails("STACK_OVERFLOW"),
        words: &["the plugin's calls nest too deep", "hint: look for a recursion without end"],
        twin: || plain("endless-recursion-twin", &good()),
    },
    Offered {
        name: "gives-up",
        component: || plain("gives-up", &component(PANIC)),
        end: End::Fails("PANIC"),
        words: &["the plugin gave up"],
        twin: || plain("gives-up-twin", &good()),
    },
    Offered {
        name: "gibberish",
        component: || plain("gibberish", &component(GIBBERISH)),
        end: End::Fails("BAD_OUTPUT"),
        words: &["handed back what is not the agreed JSON", "hint: "],
        twin: || plain("gibberish-twin", &good()),
    },
    Offered {
        name: "wild-pointer",
        component: || plain("wild-pointer", &component("(i32.const -4)")),
        end: End::Fails("TRAP"),
        words: &["the plugin stopped: "],
        twin: || plain("wild-pointer-twin", &good()),
    },
    Offered {
        name: "wild-length",
        component: || {
            let body = "(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 1024)) (i32.store (i32.const 24) (i32.const -1)) (i32.const 16)";
            plain("wild-length", &component(body))
        },
        end: End::Fails("TRAP"),
        words: &["the plugin stopped: "],
        twin: || plain("wild-length-twin", &good()),
    },
];

fn nested(depth: usize) -> String {
    "(component ".repeat(depth) + &")".repeat(depth)
}

/// Runs the first task of a plugin: its state, code and message.
async fn run(api: &Api, plugin: &str) -> (String, String, String) {
    let kind = format!("com.example.{}.Do", plugin.replace('-', ""));
    api.save(&format!("{{id: {plugin}, namespace: offered, tasks: [{{id: t, type: {kind}, timeout: PT1S}}]}}")).await;
    let ended = api.run(&format!("offered/{plugin}")).await;
    let failure = &ended["taskRunList"][0]["attempts"][0]["failure"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&ended["state"]["current"]), text(&failure["code"]), text(&failure["message"]))
}

/// What is wrong with how it went.
async fn judged(api: &Api, offered: &Offered) -> Vec<String> {
    let answer = upload(api, (offered.component)()).await;
    let (ended, told) = match offered.end {
        End::Refused(status, code) => {
            let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
            let told = body["message"].as_str().unwrap_or_default().to_owned();
            (answer.status == status && body["code"] == code, format!("{} {} {told}", answer.status, body["code"]))
        }
        End::Fails(_) if answer.status != 200 => (false, answer.text),
        End::Fails(code) => {
            let (state, found, told) = run(api, offered.name).await;
            (state == "FAILED" && found == code, format!("{state} {found} {told}"))
        }
    };
    let mut wrong: Vec<String> = offered
        .words
        .iter()
        .filter(|words| !told.contains(**words))
        .map(|words| format!("not told: {words}"))
        .collect();
    let twin = upload(api, (offered.twin)()).await;
    if twin.status != 200 {
        wrong.push(format!("its twin is refused: {}", twin.text));
    } else if matches!(offered.end, End::Fails(_)) {
        let (state, code, message) = run(api, &format!("{}-twin", offered.name)).await;
        if state != "SUCCESS" {
            wrong.push(format!("its twin: {state} {code} {message}"));
        }
    }
    if !ended || !wrong.is_empty() {
        wrong.push(format!("told: {told}"));
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_components_are_refused_or_end_alone() {
    serving_with(Options::default(), async |api| {
        assert_eq!(upload(api, plain("owner", &good())).await.status, 200);
        let mut wrong = Vec::new();
        for offered in TABLE {
            wrong.extend(judged(api, offered).await.into_iter().map(|wrong| format!("{}: {wrong}", offered.name)));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(api.get("/health/ready").await.status, 200);
        eprintln!("{} components, {} twins", TABLE.len(), TABLE.len());
    })
    .await;
}
