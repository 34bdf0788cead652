//! Answers that have to be JSON: looked at, and asked for again with what is wrong, at most twice.

use llm::message::{Answer, Finish, Message, Request, ResponseFormat};
use llm::{schema, structured};
use serde_json::Value;
use sluice_sdk::{Context, Failure};

use crate::output::IntermediateResponse;
use crate::{Budget, Spent};

/// How often an answer is asked for again.
const REPAIRS_MAX: usize = 2;

/// Who answers: a provider, or the host's way to one.
pub type Model<'m> = dyn FnMut(&Request) -> Result<Answer, Failure> + 'm;

/// JSON that a model answered.
#[derive(Debug)]
pub struct Json {
    pub value: Value,
    /// The answer it stands in.
    pub answer: Answer,
    /// Those before it.
    pub before: Vec<IntermediateResponse>,
}

/// Asks until the answer is JSON that fits what the request wants. What is spent is added up, the last answer included that does not fit.
pub fn ask_for_json(
    model: &mut Model<'_>,
    request: &Request,
    cx: &Context,
    budget: &Budget,
    spent: &mut Spent,
) -> Result<Json, Failure> {
    let (mut request, mut before) = (request.clone(), Vec::new());
    loop {
        spent.within(budget)?;
        let answer = model(&request)?;
        if let Some(usage) = &answer.usage {
            spent.add(usage);
        }
        stopped(&answer)?;
        let problem = match look(&request.response, &answer) {
            Ok(value) => return Ok(Json { value, answer, before }),
            Err(problem) => problem,
        };
        if before.len() == REPAIRS_MAX {
            let failure =
                Failure::new("LLM_NOT_JSON", format!("after {REPAIRS_MAX} corrections the answer still {problem}"));
            return Err(failure.retryable(true).detail("answer", answer.text()));
        }
        cx.warn(format!("the answer {problem}; asking for a better one ({} of {REPAIRS_MAX})", before.len() + 1));
        // Thoughts and signatures go back as they came: some providers refuse a turn without them.
        request.messages.push(Message::Assistant { parts: answer.parts.clone() });
        request.messages.push(Message::user(format!(
            "Your answer {problem}. Answer again with the whole corrected JSON and nothing else."
        )));
        before.push(IntermediateResponse {
            id: answer.id.clone(),
            completion: answer.text(),
            finish_reason: answer.finish.into(),
            problem,
        });
    }
}

/// An answer that is none, in words that tell why: the model would not, somebody would not let it, or it was too long.
pub fn stopped(answer: &Answer) -> Result<(), Failure> {
    let failure = match answer.finish {
        Finish::Stop | Finish::ToolCalls | Finish::Other => return Ok(()),
        Finish::Refusal => Failure::new("LLM_REFUSED", format!("the model refuses to answer: {}", said(answer))),
        Finish::ContentFilter => {
            Failure::new("LLM_CONTENT_FILTER", "the provider's filter stopped the answer\nhint: say it otherwise")
        }
        Finish::Length => Failure::new(
            "LLM_LENGTH",
            "the answer is cut off: it is longer than it may be\nhint: raise the limit of tokens, or ask for less",
        ),
    };
    Err(failure.retryable(false).detail("finish", &answer.finish_word))
}

fn said(answer: &Answer) -> String {
    let text = answer.text();
    if text.trim().is_empty() { "it gives no reason".to_owned() } else { text }
}

/// The JSON in an answer, or what is wrong with it.
fn look(wanted: &ResponseFormat, answer: &Answer) -> Result<Value, String> {
    let value = structured::first_json(&answer.text()).ok_or("is no JSON")?;
    let ResponseFormat::Schema(wanted) = wanted else { return Ok(value) };
    let problems = schema::problems(&wanted.schema, &value);
    match problems.is_empty() {
        true => Ok(value),
        false => Err(format!("does not fit the JSON schema: {}", problems.join("; "))),
    }
}
