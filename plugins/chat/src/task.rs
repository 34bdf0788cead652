//! A task that chats: guardrails, question, answer, what it cost.

use std::time::Instant;

use llm::message::{Answer, Message, Part, Request, ResponseFormat, UserPart};
use sluice_sdk::{Context, Failure};

use crate::guardrails::Guardrails;
use crate::output::{AiOutput, FinishReason, thoughts};
use crate::structured::ask_for_json;
use crate::{Configuration, Connection, Spent, ask};

/// Letters of an answer between two words about it.
const PROGRESS_LETTERS: usize = 1_000;
/// Names of the metrics of what is spent.
const METRICS: [&str; 3] = ["input.token.count", "output.token.count", "total.token.count"];

/// What is to be done.
#[derive(Debug, Default)]
pub struct Completion {
    /// The model's name; empty: what the provider has.
    pub model: String,
    pub messages: Vec<Message>,
    pub configuration: Configuration,
    pub guardrails: Guardrails,
    /// What the provider is called in metrics.
    pub provider: String,
    /// What form the answer has to have, whatever the configuration says.
    pub response: Option<ResponseFormat>,
}

/// How far an answer is.
#[derive(Debug, Default)]
pub struct Progress {
    letters: usize,
    told: usize,
}

impl Progress {
    /// A part has come. Says so in the log now and then.
    pub fn part(&mut self, part: &Part, cx: &Context) -> bool {
        let (letters, what) = match part {
            Part::Text { text } => (text, "answer"),
            Part::Thinking { text } => (text, "thought"),
            Part::Arguments { json, .. } => (json, "call of a tool"),
            Part::ToolCall { name, .. } => {
                cx.info(format!("the model calls `{name}`"));
                return true;
            }
        };
        self.letters += letters.chars().count();
        if self.letters >= self.told + PROGRESS_LETTERS || (self.told == 0 && self.letters > 0) {
            self.told = self.letters;
            cx.progress(None, format!("{} characters", self.letters));
            cx.info(format!("the {what} is on its way: {} characters so far", self.letters));
        }
        true
    }
}

/// A model at the end of a connection, with progress in the log.
pub fn asked<'m>(connection: &'m Connection, cx: &'m Context) -> impl FnMut(&Request) -> Result<Answer, Failure> + 'm {
    move |request| {
        let mut progress = Progress::default();
        ask(connection, request, cx, &mut |part| progress.part(part, cx)).map(|asked| asked.answer)
    }
}

impl Completion {
    /// Does it. `model` is asked once, or more often for JSON that does not fit.
    pub fn run(
        self,
        model: &mut dyn FnMut(&Request) -> Result<Answer, Failure>,
        cx: &Context,
    ) -> Result<AiOutput, Failure> {
        let began = Instant::now();
        self.configuration.warn(cx);
        if let Some(message) = self.guardrails.of_input(&self.question(), cx) {
            return Ok(violated(message, cx));
        }
        let mut request =
            Request { model: self.model.clone(), messages: self.messages.clone(), stream: true, ..Request::default() };
        self.configuration.apply(&mut request)?;
        if let Some(response) = &self.response {
            request.response = response.clone();
        }
        let mut spent = Spent::default();
        let asked = self.ask(model, &request, cx, &mut spent);
        let tags = [("provider".to_owned(), self.provider.clone())];
        // What was spent is told whatever came of it.
        spent.report(cx, METRICS, &tags);
        cx.counter("ai.provider.calls", 1.0, &tags);
        let mut output = asked?;
        let response = output.text_output.clone().or_else(|| output.json_output.as_ref().map(ToString::to_string));
        let finish = output.finish_reason.unwrap_or(FinishReason::Other);
        if let Some(message) = self.guardrails.of_output(&response.unwrap_or_default(), finish, &spent, cx) {
            let cost = output.token_usage;
            output = AiOutput { token_usage: cost, finish_reason: Some(finish), ..violated(message, cx) };
        }
        output.request_duration = Some(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        Ok(output)
    }

    fn ask(
        &self,
        model: &mut dyn FnMut(&Request) -> Result<Answer, Failure>,
        request: &Request,
        cx: &Context,
        spent: &mut Spent,
    ) -> Result<AiOutput, Failure> {
        let budget = self.configuration.budget();
        let (answer, json, before) = if self.response.is_some() || self.configuration.is_json() {
            let found = ask_for_json(model, request, cx, &budget, spent)?;
            (found.answer, Some(found.value), found.before)
        } else {
            let answer = model(request)?;
            if let Some(usage) = &answer.usage {
                spent.add(usage);
            }
            (answer, None, Vec::new())
        };
        let finish = FinishReason::from(answer.finish);
        cx.info(format!(
            "answered ({}): {} tokens in, {} out",
            answer.finish_word, spent.input_tokens, spent.output_tokens
        ));
        let shown = self.configuration.return_thinking == Some(true);
        Ok(AiOutput {
            text_output: json.is_none().then(|| answer.text()),
            json_output: json,
            token_usage: Some((&*spent).into()),
            finish_reason: Some(finish),
            intermediate_responses: before,
            thinking: if shown { thoughts(&answer) } else { None },
            ..AiOutput::default()
        })
    }

    /// What the user asks last.
    fn question(&self) -> String {
        let last = self.messages.iter().rev().find_map(|message| match message {
            Message::User { parts } => Some(parts),
            _ => None,
        });
        let texts = last.into_iter().flatten().filter_map(|part| match part {
            UserPart::Text { text } => Some(text.as_str()),
            UserPart::Image { .. } => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }
}

fn violated(message: String, cx: &Context) -> AiOutput {
    cx.warn(format!("a guardrail is violated: {message}"));
    AiOutput { guardrail_violated: true, guardrail_violation_message: Some(message), ..AiOutput::default() }
}
