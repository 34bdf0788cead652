//! `openai.ChatCompletion`.

use chat::{Budget, Spent};
use llm::message::{AnswerPart, Image, Message, Request, ResponseFormat, Tool, ToolChoice, UserPart};
use llm::structured;
use serde_json::{Map, Value, json};
use sluice_sdk::prelude::*;

use crate::{METRICS, connection};

/// What Kestra calls the schema of an answer.
const SCHEMA_NAME: &str = "kestra_schema";

#[properties]
pub struct ChatCompletion {
    /// The API key.
    #[secret]
    api_key: String,
    /// The model.
    model: String,
    /// The conversation. One of `messages` and `prompt` is needed.
    messages: Option<Vec<RoleMessage>>,
    /// What is asked, behind `messages` where both are there.
    prompt: Option<String>,
    /// How much chance there is in the choice of words. Models that think take 1 alone.
    #[default(1.0)]
    temperature: f64,
    /// Only the likeliest words whose shares add up to this are chosen from.
    top_p: Option<f64>,
    /// How many answers.
    #[default(1_u32)]
    n: u32,
    /// Words at which an answer ends.
    stop: Option<Vec<String>>,
    /// Longest answer, in tokens.
    max_tokens: Option<u32>,
    /// From -2 to 2: makes the model speak of what is new.
    presence_penalty: Option<f64>,
    /// From -2 to 2: makes the model repeat itself less.
    frequency_penalty: Option<f64>,
    /// From -100 to 100 by token.
    logit_bias: Option<Map<String, Value>>,
    /// What the model may call; its calls are in `choices`.
    functions: Option<Vec<Function>>,
    /// `auto`, `none`, or the name of the function that has to be called.
    function_call: Option<String>,
    /// A JSON Schema, as text, that the answer has to fit. What stands behind the first JSON value of it does not count; a text that is no JSON
    /// is shown to the model as it is.
    json_response_schema: Option<String>,
    /// Taken, and of no use: OpenAI caches what it can unasked.
    #[expect(dead_code, reason = "taken, so that flows for Kestra are")]
    prompt_caching: Option<bool>,
    /// Who asks, for OpenAI to tell abuse by.
    user: Option<String>,
    /// How long OpenAI may be silent, in seconds.
    #[default(10_u64)]
    client_timeout: u64,
    /// Another address than OpenAI's own.
    base_url: Option<String>,
}

/// One message of a conversation.
#[properties]
pub struct RoleMessage {
    /// `system`, `developer`, `user` or `assistant`.
    role: String,
    /// What is said: text, or a list of parts of type `text` and `image_url`.
    content: Value,
    /// Taken, and not sent.
    #[expect(dead_code, reason = "taken, so that flows for Kestra are")]
    name: Option<String>,
}

/// What a model may call.
#[properties]
pub struct Function {
    /// Its name.
    name: String,
    /// What it is good for.
    description: String,
    /// What it takes.
    parameters: Vec<Parameter>,
}

/// What a function takes.
#[properties]
pub struct Parameter {
    /// Its name.
    name: String,
    /// What it means.
    description: String,
    /// Its type, as JSON Schema has it.
    #[serde(rename = "type")]
    #[schemars(rename = "type")]
    kind: String,
    /// The only values it may have.
    enum_values: Option<Vec<String>>,
    /// Whether it has to be given.
    required: Option<bool>,
}

#[outputs]
pub struct Completed {
    /// OpenAI's id of the answer.
    id: Option<String>,
    /// What OpenAI calls the answer.
    object: Option<String>,
    /// The model that answered.
    model: Option<String>,
    /// The answers, as OpenAI has them.
    choices: Vec<Map<String, Value>>,
    /// What the answer cost, as OpenAI has it.
    usage: Option<Map<String, Value>>,
}

/// Chat with a model of OpenAI.
///
/// With `jsonResponseSchema` the answer is JSON: OpenAI holds the model to the schema where it can, and the answer is looked at and asked for
/// again at most twice where it does not fit.
///
/// Failure codes: `LLM_AUTH`, `LLM_UNKNOWN_MODEL`, `LLM_RATE_LIMITED`, `LLM_QUOTA_EXHAUSTED`, `LLM_OVERLOADED`, `LLM_TOO_LONG`, `LLM_BAD_REQUEST`,
/// `LLM_CONTENT_FILTER`, `LLM_SERVER`, `LLM_MALFORMED`, `LLM_TRUNCATED`, `LLM_REFUSED`, `LLM_LENGTH`, `LLM_NOT_JSON`, `HTTP_DNS`, `HTTP_CONNECT`,
/// `HTTP_TLS`, `HTTP_TIMEOUT`, `NOT_GRANTED`, `BAD_PROPERTY`. Metrics: `input.token.count`, `output.token.count`, `total.token.count`.
///
/// # Ask a question
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.openai.ChatCompletion
/// apiKey: "{{ secret('OPENAI_API_KEY') }}"
/// model: gpt-5-nano
/// clientTimeout: 60
/// prompt: What is the capital of France?
/// ```
///
/// # Let the model choose a function
/// ```yaml
/// id: route
/// type: io.kestra.plugin.openai.ChatCompletion
/// apiKey: "{{ secret('OPENAI_API_KEY') }}"
/// model: gpt-4o
/// messages:
///   - role: user
///     content: "{{ inputs.review }}"
/// functionCall: respond
/// functions:
///   - name: respond
///     description: Says who should look at a review of a customer
///     parameters:
///       - name: team
///         description: The team that should look at it
///         type: string
///         required: true
///         enumValues: [support, sales]
/// ```
///
/// Its arguments are `{{ outputs.route.choices[0].message.tool_calls[0].function.arguments }}`.
#[task("io.kestra.plugin.openai.ChatCompletion")]
pub fn chat_completion(properties: ChatCompletion, cx: &Context) -> Result<Completed, Failure> {
    let connection = connection(properties.api_key.clone(), properties.base_url.clone(), properties.client_timeout)?;
    let connection = connection.with(|options| options.body = properties.further());
    let request = properties.request(cx)?;
    let (mut spent, mut raw) = (Spent::default(), Vec::new());
    let mut model = |request: &Request| {
        let asked = chat::ask(&connection, request, cx, &mut |_| true)?;
        raw = asked.raw;
        Ok(asked.answer)
    };
    // Several answers are for their reader to choose from; one is looked at.
    let answered = if matches!(request.response, ResponseFormat::Text) || properties.n > 1 {
        model(&request).map(|answer| answer.usage.iter().for_each(|usage| spent.add(usage)))
    } else {
        chat::ask_for_json(&mut model, &request, cx, &Budget::default(), &mut spent).map(drop)
    };
    spent.report(cx, METRICS, &[]);
    answered?;
    let body: Value = serde_json::from_slice(&raw).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let choices = body.get("choices").and_then(Value::as_array).into_iter().flatten();
    Ok(Completed {
        id: text("id"),
        object: text("object"),
        model: text("model"),
        choices: choices.filter_map(Value::as_object).cloned().collect(),
        usage: body.get("usage").and_then(Value::as_object).cloned(),
    })
}

impl ChatCompletion {
    fn request(&self, cx: &Context) -> Result<Request, Failure> {
        let mut messages = Vec::new();
        for (at, message) in self.messages.iter().flatten().enumerate() {
            messages.push(message.read(at)?);
        }
        messages.extend(self.prompt.iter().map(Message::user));
        if messages.is_empty() {
            return Err(Failure::bad_property("one of `messages` and `prompt` is needed"));
        }
        let mut request = Request { model: self.model.clone(), messages, ..Request::default() };
        // The usual value is left out: some models take none.
        request.sampling.temperature = Some(self.temperature).filter(|temperature| *temperature != 1.0);
        request.sampling.top_p = self.top_p;
        request.sampling.stop = self.stop.clone().unwrap_or_default();
        request.sampling.max_output_tokens = self.max_tokens;
        request.tools = self.functions.iter().flatten().map(Function::tool).collect();
        request.tool_choice = match self.function_call.as_deref() {
            None | Some("auto") => ToolChoice::Auto,
            Some("none") => ToolChoice::None,
            Some(name) => ToolChoice::Tool(name.to_owned()),
        };
        if let Some(text) = &self.json_response_schema {
            let (response, warning) = structured::read_schema(text).response_format(SCHEMA_NAME, true);
            if let Some(warning) = warning {
                cx.warn(warning);
            }
            request.response = response;
        }
        Ok(request)
    }

    /// What the message model has no words for.
    fn further(&self) -> Map<String, Value> {
        let fields = [
            ("n", json!(Some(self.n).filter(|n| *n != 1))),
            ("presence_penalty", json!(self.presence_penalty)),
            ("frequency_penalty", json!(self.frequency_penalty)),
            ("logit_bias", json!(self.logit_bias)),
            ("user", json!(self.user)),
        ];
        fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Function {
    fn tool(&self) -> Tool {
        let mut properties = Map::new();
        for parameter in &self.parameters {
            let mut schema = json!({ "type": parameter.kind, "description": parameter.description });
            if let (Some(values), Some(schema)) = (&parameter.enum_values, schema.as_object_mut()) {
                schema.insert("enum".to_owned(), json!(values));
            }
            properties.insert(parameter.name.clone(), schema);
        }
        let required: Vec<&str> = self
            .parameters
            .iter()
            .filter(|parameter| parameter.required == Some(true))
            .map(|parameter| parameter.name.as_str())
            .collect();
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        Tool { name: self.name.clone(), description: self.description.clone(), schema, strict: false }
    }
}

impl RoleMessage {
    fn read(&self, at: usize) -> Result<Message, Failure> {
        let text = || match &self.content {
            Value::String(text) => Ok(text.clone()),
            _ => Err(Failure::bad_property(format!("`messages[{at}].content` has to be text"))),
        };
        match self.role.to_ascii_lowercase().as_str() {
            "system" | "developer" => Ok(Message::System { text: text()? }),
            "assistant" => Ok(Message::Assistant { parts: vec![AnswerPart::text(text()?)] }),
            "user" => {
                let parts = match &self.content {
                    Value::Array(parts) => parts.iter().map(|part| user_part(part, at)).collect::<Result<_, _>>()?,
                    _ => vec![UserPart::Text { text: text()? }],
                };
                Ok(Message::User { parts })
            }
            other => Err(Failure::bad_property(format!(
                "`messages[{at}].role` is `{other}`: write `system`, `developer`, `user` or `assistant`"
            ))),
        }
    }
}

fn user_part(part: &Value, at: usize) -> Result<UserPart, Failure> {
    let text = |pointer: &str| part.pointer(pointer).and_then(Value::as_str);
    match text("/type") {
        Some("text") => Ok(UserPart::Text { text: text("/text").unwrap_or_default().to_owned() }),
        Some("image_url") => {
            let url = text("/image_url/url").or_else(|| text("/image_url"));
            let url =
                url.ok_or_else(|| Failure::bad_property(format!("`messages[{at}]` has an image without a `url`")))?;
            let image = match url.starts_with("http") {
                true => Image::Url(url.to_owned()),
                false => chat::image(url)?,
            };
            Ok(UserPart::Image { image })
        }
        _ => Err(Failure::bad_property(format!("`messages[{at}]` has a part that is neither `text` nor `image_url`"))),
    }
}
