//! The simulated world's renderer: the real expression language, with no answers to calls that need IO.

use std::sync::Arc;

use expr::{Answer, Memo, Scope, Settings, Value};

use crate::Rendering;

/// Evaluates a template.
pub fn render(template: &Value, scope: &dyn Scope, how: Rendering) -> Result<Value, String> {
    let settings = Settings::default();
    let mut memo = Memo::new();
    let answer = |call: &expr::Call| match call.function.as_ref() {
        "errorLogs" => Answer::Value(Value::list([])),
        other => Answer::Absent(format!("no answer to `{other}` in a simulated world")),
    };
    let rendered = expr::drive(&mut memo, answer, |memo| match (template, how) {
        (Value::Text(text), Rendering::Text) => {
            expr::render_text(&text.reveal()?, scope, memo, &settings).map(Value::Text)
        }
        (Value::Text(text), _) => expr::eval_text(&text.reveal()?, scope, memo, &settings),
        (other, Rendering::Text) => expr::render_map(other, scope, memo, &settings),
        (other, _) => expr::render_value(other, scope, memo, &settings),
    });
    rendered.map_err(|error| error.to_string())
}

/// A map of texts.
pub fn texts<const N: usize>(entries: [(&str, &str); N]) -> expr::Map {
    entries.into_iter().map(|(key, value)| (Arc::from(key), Value::text(value))).collect()
}
