//! The smallest plugin: one task type. Build it with `cargo build --release --target wasm32-wasip2`, then
//! `sluice run flow.yaml --plugin target/wasm32-wasip2/release/sluice_plugin_hello.wasm`.

use sluice_sdk::prelude::*;

#[properties]
struct Hello {
    /// Whom to greet.
    name: String,
}

#[outputs]
struct Greeting {
    /// The greeting.
    value: String,
}

/// Says hello.
#[task("com.example.hello.Hello")]
fn hello(hello: Hello, cx: &Context) -> Result<Greeting, Failure> {
    cx.info(format!("greeting {}", hello.name));
    Ok(Greeting { value: format!("Hello, {}!", hello.name) })
}

plugin! { tasks: [hello] }

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluice_sdk::testing::MockHost;

    #[test]
    fn greets_by_name() {
        let host = MockHost::new();
        let outputs = host.run_task::<super::hello>(json!({"name": "Ada"}));
        assert_eq!(outputs, Ok(json!({"value": "Hello, Ada!"})));
        assert_eq!(host.logs()[0].message, "greeting Ada");
    }
}
