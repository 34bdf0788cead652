//! What a question and an answer have to pass: expressions of the flow, which see them as variables and never as expressions.

use serde_json::{Value, json};
use sluice_sdk::{Context, properties};

use crate::{FinishReason, Spent};

/// What is looked at.
#[properties]
#[derive(Debug, Clone, Default)]
pub struct Guardrails {
    /// Before the model is asked; `message` is the question.
    pub input: Option<Vec<Guardrail>>,
    /// Behind the answer: `response`, `finishReason`, `inputTokenCount`, `outputTokenCount`.
    pub output: Option<Vec<Guardrail>>,
}

/// One expression that has to be true.
#[properties]
#[derive(Debug, Clone)]
pub struct Guardrail {
    /// An expression that renders `true` where all is well. One that cannot be rendered is a violation.
    #[render(later)]
    pub expression: String,
    /// What is said where it is not.
    pub message: String,
}

impl Guardrails {
    /// What the first guardrail says that the question does not pass.
    pub fn of_input(&self, message: &str, cx: &Context) -> Option<String> {
        violated(self.input.as_deref(), &json!({ "message": message }), cx)
    }

    /// The same of an answer.
    pub fn of_output(&self, response: &str, finish: FinishReason, spent: &Spent, cx: &Context) -> Option<String> {
        let variables = json!({
            "response": response,
            "finishReason": finish,
            "inputTokenCount": spent.input_tokens,
            "outputTokenCount": spent.output_tokens,
        });
        violated(self.output.as_deref(), &variables, cx)
    }
}

fn violated(guardrails: Option<&[Guardrail]>, variables: &Value, cx: &Context) -> Option<String> {
    let broken = guardrails.into_iter().flatten().find(|guardrail| {
        let rendered = cx.render(&guardrail.expression, variables);
        if let Err(failure) = &rendered {
            cx.warn(format!("a guardrail cannot be rendered, which counts as a violation: {}", failure.message()));
        }
        !rendered.is_ok_and(|rendered| rendered.trim() == "true")
    });
    broken.map(|guardrail| guardrail.message.clone())
}
