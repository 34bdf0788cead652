//! Small hostile components, written as text, as plugins with a manifest inside.

use serde_json::json;

/// Never ends.
pub const LOOP: &str = "(loop $again (br $again)) unreachable";
/// Asks for more memory until it is refused, and then gives up.
pub const EAT: &str = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 256)) (i32.const -1)))) unreachable";
/// What a panic is in WebAssembly.
pub const PANIC: &str = "unreachable";
/// Calls itself until the stack ends.
pub const RECURSE: &str = "(call $deep (i32.const 0))";
/// Hands back text that is not JSON: the zeros of its memory.
pub const GIBBERISH: &str = "(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 1024)) (i32.store (i32.const 24) (i32.const 5)) (i32.const 16)";

/// Succeeds, with what `FIELDS_OF_GOOD` lays down.
pub const GOOD: &str = "(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 1024)) (i32.store (i32.const 24) (i32.const 7)) (i32.const 16)";
pub const FIELDS_OF_GOOD: &str = r#"(data (i32.const 1024) "{\"a\":1}")"#;

/// A component whose `run` has this body.
pub fn component(body: &str) -> Vec<u8> {
    component_of("", "", body)
}

/// A plugin with a manifest whose every task answers with this text.
pub fn answering(text: &str, manifest: &serde_json::Value) -> Vec<u8> {
    let data = format!("(data (i32.const 1024) \"{}\")", text.escape_default());
    let body = format!(
        "(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 1024)) (i32.store (i32.const 24) (i32.const {})) \
         (i32.const 16)",
        text.len()
    );
    let component = component_of("", &data, &body);
    catalog::embed(&component, manifest.to_string().as_bytes()).expect("the component is valid")
}

/// The same as `component` with more parts beside its module, and more fields in it.
pub fn component_of(parts: &str, fields: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
  {parts}
  (core module $m
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))
    {fields}
    (func (export "run") (param i32 i32 i32 i32) (result i32) {body}))
  (core instance $i (instantiate $m))
  (type $f (record (field "code" string) (field "message" string) (field "retryable" (option bool)) (field "details" (option string))))
  (type $run (func (param "task" string) (param "input" string) (result (result string (error $f)))))
  (func $lifted (type $run) (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (component $shim
    (type $f (record (field "code" string) (field "message" string) (field "retryable" (option bool)) (field "details" (option string))))
    (import "failure" (type $fi (eq $f)))
    (import "run" (func $run (param "task" string) (param "input" string) (result (result string (error $fi)))))
    (export $fe "failure" (type $f))
    (export "run" (func $run) (func (param "task" string) (param "input" string) (result (result string (error $fe))))))
  (instance $out (instantiate $shim (with "failure" (type $f)) (with "run" (func $lifted))))
  (export "sluice:task/run@1.0.0" (instance $out)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// A component that wants something no host has.
pub fn stranger() -> Vec<u8> {
    let text =
        r#"(component (import "evil:host/shell@1.0.0" (instance (export "execute" (func (param "command" string))))))"#;
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A component with a manifest that names one task type.
pub fn plugin(name: &str, task_type: &str, component: &[u8]) -> Vec<u8> {
    let manifest =
        json!({ "abi": "1.0", "name": name, "version": "1.0.0", "title": name, "tasks": [{ "type": task_type }] });
    catalog::embed(component, manifest.to_string().as_bytes()).expect("the component is valid")
}
