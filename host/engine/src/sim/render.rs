//! The simulated world's renderer: the real expression language, with the world's answers to calls.

use std::sync::Arc;

use expr::{Answer, Memo, Scope, Settings, Value};

use super::World;
use crate::Rendering;

/// Evaluates a template.
pub fn render(template: &Value, scope: &dyn Scope, how: Rendering, world: &World) -> Result<Value, String> {
    let scope = expr::Layered { front: &world.variables, back: scope };
    let scope = &scope;
    let settings = Settings::default();
    let mut memo = Memo::new();
    let answer = |call: &expr::Call| match call.function.as_ref() {
        "errorLogs" => Answer::Value(Value::list(world.error_logs.clone())),
        "read" => answer(call.arg_text("path"), |path| world.files.get(path).map(|text| Value::text(text.as_str()))),
        "secret" => answer(call.arg_text("key"), |name| {
            let (_, secret) = world.secrets.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            Some(Value::Text(expr::Text::secret(name, secret.as_str())))
        }),
        "kv" => answer(call.arg_text("key"), |key| {
            let (_, value) = world.values.iter().find(|((_, known), _)| known == key)?;
            Some(value.clone())
        }),
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

fn answer(name: Option<String>, find: impl Fn(&str) -> Option<Value>) -> Answer {
    let name = name.unwrap_or_default();
    find(&name).map_or_else(|| Answer::Absent(format!("there is no `{name}`")), Answer::Value)
}

/// A map of texts.
pub fn texts<const N: usize>(entries: [(&str, &str); N]) -> expr::Map {
    entries.into_iter().map(|(key, value)| (Arc::from(key), Value::text(value))).collect()
}
