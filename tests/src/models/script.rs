//! What the stand-in is to answer, as data: rules, tried in their order. Knows no provider's wire format.
//!
//! ```json
//! [{ "when": { "provider": "gemini", "model": "m", "says": "weather", "toolResults": 0, "streamed": true }, "times": 1,
//!    "answer": { "thinking": "Where?", "text": "A moment.", "toolCalls": [{ "name": "weather", "arguments": { "city": "Rome" } }],
//!                "finish": "stop", "usage": { "input": 9, "output": 5, "cached": 4, "thinking": 2 } },
//!    "faults": ["everyByte", { "drip": { "delayMs": 5 } }, { "rateLimited": { "hint": "retry-after", "afterMs": 1500 } }] }]
//! ```

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

use super::Provider;
use super::asked::Asked;
use super::faults::Fault;

/// Rules, and what holds for all of them. Without rules every question is answered with its echo.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub rules: Vec<Rule>,
    /// Ollama asks for its key, as it does behind a proxy.
    pub ollama_key: bool,
}

/// One answer, and to what.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    #[serde(default)]
    pub when: When,
    /// How often it may answer; without it always.
    pub times: Option<u32>,
    /// Without it, and without a fault, the echo.
    pub answer: Option<Answer>,
    /// What goes wrong. An error takes the answer's place; everything else happens to the answer.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// What a question has to be like. What is not said fits all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct When {
    pub provider: Option<Provider>,
    pub model: Option<String>,
    /// A part of the last user message.
    pub says: Option<String>,
    /// The number of tool results in the conversation.
    pub tool_results: Option<usize>,
    pub streamed: Option<bool>,
}

/// What a model says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    pub thinking: Option<String>,
    pub text: Option<String>,
    /// A text in the pieces in which a stream brings it; `text` is cut after its spaces.
    #[serde(default)]
    pub texts: Vec<String>,
    #[serde(default)]
    pub tool_calls: Vec<Call>,
    /// Without it: `tool-calls` where there are any, else `stop`.
    pub finish: Option<Finish>,
    #[serde(default)]
    pub usage: Usage,
    /// Why the model would rather not.
    pub refusal: Option<String>,
}

/// A call of a tool.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Call {
    /// Without it one of the provider's own form.
    pub id: Option<String>,
    pub name: String,
    /// An object; a text stands for arguments that are no JSON, where the provider sends them as text.
    #[serde(default = "no_arguments")]
    pub arguments: Value,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
    Refusal,
}

/// What an answer costs, in tokens. `input` and `output` are all of them, cached and thinking ones included.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    pub cached: u64,
    pub thinking: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { input: 11, output: 7, cached: 0, thinking: 0 }
    }
}

fn no_arguments() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Script {
    /// Reads a list of rules, or an object with `rules` and `ollamaKey`.
    pub fn parse(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Whole {
            #[serde(default)]
            rules: Vec<Rule>,
            #[serde(default)]
            ollama_key: bool,
        }
        if json.trim_start().starts_with('[') {
            return Ok(Self { rules: serde_json::from_str(json).context("a script of rules")?, ollama_key: false });
        }
        let whole: Whole = serde_json::from_str(json).context("a script")?;
        Ok(Self { rules: whole.rules, ollama_key: whole.ollama_key })
    }

    /// The first rule that fits and may still answer; it has answered once more then.
    pub(super) fn take(&mut self, asked: &Asked) -> Option<Rule> {
        let rule = self.rules.iter_mut().find(|rule| rule.times != Some(0) && rule.when.fits(asked))?;
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        Some(rule.clone())
    }
}

impl When {
    fn fits(&self, asked: &Asked) -> bool {
        self.provider.is_none_or(|provider| provider == asked.provider)
            && self.model.as_ref().is_none_or(|model| *model == asked.model)
            && self.says.as_ref().is_none_or(|part| asked.said.contains(part.as_str()))
            && self.tool_results.is_none_or(|count| count == asked.tool_results)
            && self.streamed.is_none_or(|streamed| streamed == asked.streamed)
    }
}

impl Answer {
    /// An answer of one text.
    pub(super) fn of(text: String) -> Self {
        Self { text: Some(text), ..Self::default() }
    }

    /// The pieces of its text.
    pub(super) fn pieces(&self) -> Vec<String> {
        match &self.text {
            _ if !self.texts.is_empty() => self.texts.clone(),
            Some(text) => text.split_inclusive(' ').map(str::to_owned).collect(),
            None => Vec::new(),
        }
    }

    /// Its whole text.
    pub(super) fn whole(&self) -> String {
        if self.texts.is_empty() { self.text.clone().unwrap_or_default() } else { self.texts.concat() }
    }

    /// Why it ends.
    pub(super) fn finish(&self) -> Finish {
        self.finish.unwrap_or(match (&self.refusal, self.tool_calls.is_empty()) {
            (Some(_), _) => Finish::Refusal,
            (None, true) => Finish::Stop,
            (None, false) => Finish::ToolCalls,
        })
    }
}
