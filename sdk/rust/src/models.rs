//! Models of language: to ask one, whoever provides it, and to provide one. Requests, parts and answers are JSON of one message model that
//! the host passes on as it is.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::plugin::{read_properties, write_outputs};
use crate::{Context, Failure, TaskDefinition, from_rendered, host};

/// An answer on its way. Dropping it ends it.
pub struct Answer(host::ModelAnswer);

/// Asks the provider that a property of the task names: a map whose `type` is the provider's, and whose other entries are its own. The host
/// runs it with grants of its own; keys among the entries are placeholders here as there.
pub fn chat(provider: &Map<String, Value>, request: &Value) -> Result<Answer, Failure> {
    let Some(Value::String(kind)) = provider.get("type") else {
        return Err(Failure::bad_property("a provider needs a `type`"));
    };
    let configuration: Map<String, Value> = provider
        .iter()
        .filter(|(name, _)| *name != "type")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    host::chat(kind, &Value::Object(configuration).to_string(), &request.to_string()).map(Answer)
}

impl Answer {
    /// The next part, waiting for it; `None` when all have come.
    pub fn next_part(&mut self) -> Result<Option<Value>, Failure> {
        let Some(part) = self.0.next() else { return Ok(None) };
        serde_json::from_str(&part).map(Some).map_err(|error| no_json("a part of an answer", &error))
    }

    /// The whole answer, waiting for it.
    pub fn finish(self) -> Result<Value, Failure> {
        serde_json::from_str(&self.0.finish()?).map_err(|error| no_json("the answer", &error))
    }
}

fn no_json(what: &str, error: &serde_json::Error) -> Failure {
    Failure::new("BAD_OUTPUT", format!("{what} of the provider is no JSON: {error}"))
}

/// A provider of models. `#[provider]` writes it.
///
/// ```
/// use serde_json::{Value, json};
/// use sluice_sdk::prelude::*;
/// #[properties] struct Parrot { /** What it says first. */ greeting: String }
/// /// Says it again.
/// #[provider("com.example.parrot.Parrot")]
/// fn parrot(parrot: Parrot, request: Value, cx: &Context) -> Result<Value, Failure> {
///     cx.debug(format!("asked {}", request["messages"]));
///     sluice_sdk::models::emit(&json!({ "type": "text", "text": parrot.greeting }));
///     Ok(json!({ "parts": [{ "type": "text", "text": parrot.greeting }], "finish": "stop", "finishWord": "stop" }))
/// }
/// # #[properties] struct Nothing {}
/// # #[task("com.example.parrot.Feed")] /** x */ fn feed(_: Nothing) -> Result<(), Failure> { Ok(()) }
/// plugin! { tasks: [feed], providers: [parrot] }
/// # fn main() {
/// let host = sluice_sdk::testing::MockHost::new();
/// let answer = host.chat::<Plugin>("com.example.parrot.Parrot", r#"{"greeting": "Ada"}"#, r#"{"messages": []}"#);
/// assert!(answer.unwrap().contains("Ada"));
/// assert_eq!(host.parts().len(), 1);
/// # }
/// ```
pub trait Provider {
    /// Type, aliases, documentation.
    const DEFINITION: TaskDefinition;
    /// What a flow sets beside the type.
    type Properties: DeserializeOwned + JsonSchema;

    /// Answers one request.
    fn chat(properties: Self::Properties, request: Value, context: &Context) -> Result<Value, Failure>;
}

/// Hands over a part of an answer that is being made. `false`: nobody wants more.
pub fn emit(part: &Value) -> bool {
    host::emit_part(&part.to_string())
}

/// Reads properties and request, asks the provider, writes the answer.
pub fn run_provider<P: Provider>(configuration: &str, request: &str) -> Result<String, Failure> {
    let request = serde_json::from_str(request).map_err(|error| no_json("the request", &error))?;
    let properties = from_rendered(read_properties(configuration)?)?;
    write_outputs(serde_json::to_string(&P::chat(properties, request, &Context::of_this_run())?))
}

/// The failure of a provider this plugin does not have: the catalog asked the wrong component.
pub fn unknown_provider(provider: &str) -> Failure {
    Failure::new("UNKNOWN_TASK", format!("this plugin has no provider `{provider}`")).retryable(false)
}
