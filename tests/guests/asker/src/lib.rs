//! Asks a provider of models exactly what it is told, and says exactly what came: whatever the message model has can be tried with it. It
//! never mends a request or an answer.

use serde_json::{Map, Value, json};
use sluice_sdk::prelude::*;
use sluice_sdk::{models, schemars, serde};

/// A provider, as tasks name one.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "sluice_sdk::serde", transparent)]
#[schemars(crate = "sluice_sdk::schemars", extend("x-sluice-provider" = true))]
pub struct Provider(Map<String, Value>);

#[properties]
pub struct Ask {
    /// Who is asked.
    provider: Provider,
    /// What: a request of the message model.
    request: Value,
}

#[outputs]
pub struct Asked {
    /// The pieces of the answer, in their order.
    parts: Vec<Value>,
    /// The whole of it.
    answer: Value,
}

/// Asks, and fails as the provider does. What executions do not keep of that is in the log.
#[task("test.asker.Ask")]
pub fn ask(properties: Ask, cx: &Context) -> Result<Asked, Failure> {
    answered(&properties).inspect_err(|failure| {
        cx.warn(format!("failed: {}", json!({ "retryable": failure.is_retryable(), "details": failure.details() })));
    })
}

fn answered(properties: &Ask) -> Result<Asked, Failure> {
    let mut asked = models::chat(&properties.provider.0, &properties.request)?;
    let mut parts = Vec::new();
    while let Some(part) = asked.next_part()? {
        parts.push(part);
    }
    Ok(Asked { parts, answer: asked.finish()? })
}

#[outputs]
pub struct Told {
    /// Everything that the task was given.
    given: String,
}

/// Says what stands in this plugin's memory: each letter apart, so that no placeholder is put back into a secret on the way out.
#[task("test.asker.Tell")]
pub fn tell(properties: Ask) -> Result<Told, Failure> {
    let given = Value::Object(properties.provider.0).to_string();
    Ok(Told { given: given.chars().map(|letter| format!("{letter} ")).collect() })
}

plugin! {
    tasks: [ask, tell],
    title: "Asker",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().models(&["*"]),
}
