//! The `provider` of a task: a map that only the plugin of its type understands, and the way to it.

use chat::{Configuration, Progress};
use llm::images::ImageRequest;
use llm::message::{Answer, Image, Part, Request};
use serde_json::{Map, Value, json};
use sluice_sdk::prelude::*;
use sluice_sdk::{models, schemars, serde};

/// A provider of models: its `type`, and what that type wants to know, such as `modelName` and `apiKey`.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "sluice_sdk::serde", transparent)]
#[schemars(crate = "sluice_sdk::schemars", extend("x-sluice-provider" = true))]
pub struct Provider(Map<String, Value>);

impl Provider {
    /// The last part of its type, for metrics.
    pub fn name(&self) -> String {
        let kind = self.0.get("type").and_then(Value::as_str).unwrap_or_default();
        kind.rsplit('.').next().unwrap_or_default().to_owned()
    }

    /// With what the task's own configuration says of logs.
    pub fn configured(mut self, configuration: &Configuration) -> Self {
        let logs = [("logRequests", configuration.log_requests), ("logResponses", configuration.log_responses)];
        for (name, wanted) in logs {
            if let Some(wanted) = wanted {
                self.0.insert(name.to_owned(), wanted.into());
            }
        }
        self
    }

    /// Has it make an image.
    pub fn draw(&self, prompt: &str) -> Result<Image, Failure> {
        let image = ImageRequest { model: String::new(), prompt: prompt.to_owned() };
        let answer = models::chat(&self.0, &json!({ "image": image }))?.finish()?;
        serde_json::from_value(answer)
            .map_err(|error| Failure::new("LLM_MALFORMED", format!("the provider's answer is no image: {error}")))
    }

    /// Asks it, with progress in the log.
    pub fn ask(&self, request: &Request, cx: &Context) -> Result<Answer, Failure> {
        let request = serde_json::to_value(request)
            .map_err(|error| Failure::new("LLM_BAD_REQUEST", format!("the request is no JSON: {error}")))?;
        let mut answer = models::chat(&self.0, &request)?;
        let mut progress = Progress::default();
        while let Some(part) = answer.next_part()? {
            // A part of a kind that is not known here is still part of the answer.
            if let Ok(part) = serde_json::from_value::<Part>(part) {
                progress.part(&part, cx);
            }
        }
        serde_json::from_value(answer.finish()?)
            .map_err(|error| Failure::new("LLM_MALFORMED", format!("the provider's answer is none: {error}")))
    }
}
