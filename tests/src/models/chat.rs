//! Chat completions: OpenAI's form, and what Azure, Mistral, DeepSeek and OpenRouter do otherwise with it. What they refuse is `chat_rules`.

use serde_json::{Map, Value, json};

use super::asked::{Asked, Choice, Tool, Wants, list, text};
use super::chat_rules;
use super::credentials::letters;
use super::faults::Trouble;
use super::frames::Frame;
use super::script::{Answer, Finish, Usage};
use super::{Incoming, Provider};

/// How arguments of a tool come in a stream, in characters.
const ARGUMENT_PIECE: usize = 7;

/// Reads a request. `deployment` is what stands in Azure's classic path.
pub(super) fn read(
    provider: Provider,
    incoming: &Incoming,
    deployment: Option<&str>,
    version: Option<&str>,
) -> Result<Asked, Trouble> {
    let body = incoming.json()?;
    let Some(model) = deployment.or(body["model"].as_str()).filter(|model| !model.is_empty()) else {
        return Err(Trouble::about("model", "you must provide a model parameter"));
    };
    let messages = list(&body["messages"]);
    let user = messages.iter().rev().find(|message| message["role"] == "user");
    let asked = Asked {
        said: user.map(|user| text(&user["content"])).unwrap_or_default(),
        tool_results: messages.iter().filter(|message| message["role"] == "tool").count(),
        streamed: body["stream"] == true,
        wants: wants(&body["response_format"]),
        tools: list(&body["tools"]).iter().map(tool).collect(),
        choice: choice(&body["tool_choice"]),
        ..Asked::of(provider, model, &body)
    };
    chat_rules::check(&asked, version)?;
    Ok(asked)
}

fn wants(format: &Value) -> Wants {
    match format["type"].as_str() {
        Some("json_schema") => Wants::Schema(format["json_schema"]["schema"].clone()),
        Some("json_object") => Wants::Json,
        _ => Wants::Text,
    }
}

/// A tool as this family and Ollama describe it.
pub(super) fn tool(tool: &Value) -> Tool {
    let function = &tool["function"];
    Tool { name: function["name"].as_str().unwrap_or_default().to_owned(), schema: function["parameters"].clone() }
}

fn choice(choice: &Value) -> Choice {
    match choice.as_str() {
        Some("required" | "any") => Choice::Any,
        Some(_) => Choice::Free,
        None => choice["function"]["name"].as_str().map_or(Choice::Free, |name| Choice::Named(name.to_owned())),
    }
}

/// What stands in every object of an answer.
struct Envelope {
    id: String,
    created: i64,
}

impl Envelope {
    fn new(provider: Provider) -> Self {
        let created = jiff::Timestamp::now().as_second();
        let id = match provider {
            Provider::OpenRouter => format!("gen-{created}-{}", letters(20)),
            Provider::Mistral => super::credentials::hex(32),
            Provider::DeepSeek => super::credentials::uuid(),
            _ => format!("chatcmpl-{}", letters(29)),
        };
        Self { id, created }
    }

    fn around(&self, asked: &Asked, object: &str, choices: Value) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("id".into(), self.id.as_str().into());
        fields.insert("object".into(), object.into());
        fields.insert("created".into(), self.created.into());
        fields.insert("model".into(), asked.model.as_str().into());
        fields.insert("choices".into(), choices);
        match asked.provider {
            Provider::OpenAi => {
                fields.insert("service_tier".into(), "default".into());
                fields.insert("system_fingerprint".into(), Value::Null);
            }
            Provider::AzureOpenAi | Provider::DeepSeek => {
                fields.insert("system_fingerprint".into(), "fp_1234567890".into());
            }
            Provider::OpenRouter => {
                fields.insert("provider".into(), "Stand-in".into());
            }
            _ => {}
        }
        fields
    }
}

/// The word for an end. A refusal that has a place of its own ends like any answer.
fn finish(provider: Provider, finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Refusal => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter if provider == Provider::Mistral => "stop",
        Finish::ContentFilter => "content_filter",
    }
}

fn has_refusals(provider: Provider) -> bool {
    matches!(provider, Provider::OpenAi | Provider::AzureOpenAi | Provider::OpenRouter)
}

fn usage(asked: &Asked, usage: Usage) -> Value {
    let mut fields = json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    });
    match asked.provider {
        Provider::Mistral => {
            fields["num_cached_tokens"] = usage.cached.into();
            fields["prompt_tokens_details"] = json!({ "cached_tokens": usage.cached });
        }
        Provider::DeepSeek => {
            fields["prompt_tokens_details"] = json!({ "cached_tokens": usage.cached });
            fields["completion_tokens_details"] = json!({ "reasoning_tokens": usage.thinking });
            fields["prompt_cache_hit_tokens"] = usage.cached.into();
            fields["prompt_cache_miss_tokens"] = usage.input.saturating_sub(usage.cached).into();
        }
        _ => {
            fields["prompt_tokens_details"] = json!({ "cached_tokens": usage.cached, "audio_tokens": 0 });
            fields["completion_tokens_details"] = json!({ "reasoning_tokens": usage.thinking, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0 });
        }
    }
    if asked.provider == Provider::OpenRouter {
        fields["cost"] = json!((usage.input + usage.output) as f64 / 1_000_000.0);
        fields["is_byok"] = false.into();
        fields["cost_details"] = json!({ "upstream_inference_cost": null });
    }
    fields
}

/// An id of a tool call in the provider's form.
fn call_id(provider: Provider) -> String {
    match provider {
        Provider::Mistral => letters(9),
        Provider::DeepSeek => format!("call_00_{}", letters(24)),
        _ => format!("call_{}", letters(24)),
    }
}

/// The calls of an answer, whole.
fn calls(asked: &Asked, answer: &Answer) -> Vec<Value> {
    let calls = answer.tool_calls.iter().enumerate().map(|(at, call)| {
        let id = call.id.clone().unwrap_or_else(|| call_id(asked.provider));
        let arguments = call.arguments.as_str().map_or_else(|| call.arguments.to_string(), str::to_owned);
        let mut whole =
            json!({ "id": id, "type": "function", "function": { "name": call.name, "arguments": arguments } });
        if asked.provider != Provider::OpenAi && asked.provider != Provider::AzureOpenAi {
            whole["index"] = at.into();
        }
        whole
    });
    calls.collect()
}

/// The whole answer.
pub(super) fn whole(asked: &Asked, answer: &Answer) -> Value {
    let provider = asked.provider;
    let calls = calls(asked, answer);
    let said = answer.whole();
    let said = match &answer.refusal {
        Some(refusal) if !has_refusals(provider) => refusal.clone(),
        _ => said,
    };
    let silent = said.is_empty() && (!calls.is_empty() || answer.refusal.is_some());
    // Mistral's silence is an empty text.
    let content = if silent && provider != Provider::Mistral { Value::Null } else { said.as_str().into() };
    let mut message = json!({ "role": "assistant", "content": content });
    if has_refusals(provider) {
        message["refusal"] = json!(answer.refusal);
    }
    if provider == Provider::OpenAi {
        message["annotations"] = json!([]);
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    } else if provider == Provider::Mistral {
        message["tool_calls"] = Value::Null;
    }
    think(asked, answer, &mut message);
    let mut choice = json!({ "index": 0, "message": message, "finish_reason": finish(provider, answer.finish()) });
    match provider {
        Provider::OpenAi | Provider::DeepSeek => choice["logprobs"] = Value::Null,
        Provider::AzureOpenAi => {
            choice["logprobs"] = Value::Null;
            choice["content_filter_results"] = filtered(answer.finish() == Finish::ContentFilter);
        }
        Provider::OpenRouter => choice["native_finish_reason"] = native(answer),
        _ => {}
    }
    let mut body = Envelope::new(provider).around(asked, "chat.completion", json!([choice]));
    if provider == Provider::AzureOpenAi {
        body.insert("prompt_filter_results".into(), prompt_filtered());
    }
    body.insert("usage".into(), usage(asked, answer.usage));
    body.into()
}

fn native(answer: &Answer) -> Value {
    if answer.refusal.is_some() { "refusal".into() } else { finish(Provider::OpenRouter, answer.finish()).into() }
}

fn think(asked: &Asked, answer: &Answer, message: &mut Value) {
    let Some(thinking) = &answer.thinking else { return };
    match asked.provider {
        Provider::DeepSeek => message["reasoning_content"] = thinking.as_str().into(),
        Provider::OpenRouter => {
            message["reasoning"] = thinking.as_str().into();
            message["reasoning_details"] = json!([{ "type": "reasoning.text", "text": thinking,
                "signature": letters(40), "format": "anthropic-claude-v1", "index": 0 }]);
        }
        Provider::Mistral => {
            let thought = json!({ "type": "thinking", "thinking": [{ "type": "text", "text": thinking }] });
            message["content"] = json!([thought, { "type": "text", "text": message["content"] }]);
        }
        // Others keep it to themselves.
        _ => {}
    }
}

/// What Azure's filter found.
fn filtered(hate: bool) -> Value {
    let severity = if hate { "high" } else { "safe" };
    json!({
        "hate": { "filtered": hate, "severity": severity },
        "self_harm": { "filtered": false, "severity": "safe" },
        "sexual": { "filtered": false, "severity": "safe" },
        "violence": { "filtered": false, "severity": "safe" },
    })
}

fn prompt_filtered() -> Value {
    json!([{ "prompt_index": 0, "content_filter_results": filtered(false) }])
}

/// The chunks of a stream.
struct Chunks<'a> {
    envelope: Envelope,
    asked: &'a Asked,
    answer: &'a Answer,
    /// The usage has a chunk of its own, and is null in all others.
    with_usage: bool,
}

impl Chunks<'_> {
    fn chunk(&self, delta: Value, finish: Option<&str>) -> Map<String, Value> {
        let mut choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        match self.asked.provider {
            Provider::OpenAi | Provider::DeepSeek => choice["logprobs"] = Value::Null,
            Provider::AzureOpenAi => choice["content_filter_results"] = json!({}),
            Provider::OpenRouter => {
                choice["native_finish_reason"] = finish.map_or(Value::Null, |_| native(self.answer));
            }
            _ => {}
        }
        let mut chunk = self.of(json!([choice]));
        if self.with_usage {
            chunk.insert("usage".into(), Value::Null);
        }
        chunk
    }

    fn of(&self, choices: Value) -> Map<String, Value> {
        self.envelope.around(self.asked, "chat.completion.chunk", choices)
    }

    fn counted(&self, mut chunk: Map<String, Value>) -> Map<String, Value> {
        chunk.insert("usage".into(), usage(self.asked, self.answer.usage));
        chunk
    }

    /// The calls, and the end.
    fn end(&self) -> Vec<Map<String, Value>> {
        let (provider, calls) = (self.asked.provider, calls(self.asked, self.answer));
        let word = Some(finish(provider, self.answer.finish()));
        if provider == Provider::Mistral {
            // Calls are whole, and all comes with the end.
            let mut delta = json!({ "content": "" });
            if !calls.is_empty() {
                delta["tool_calls"] = calls.into();
            }
            return vec![self.counted(self.chunk(delta, word))];
        }
        let fragments = calls.iter().enumerate().flat_map(|(at, call)| fragments(at, call));
        let mut chunks: Vec<_> = fragments.map(|call| self.chunk(json!({ "tool_calls": [call] }), None)).collect();
        chunks.push(self.chunk(json!({}), word));
        match provider {
            Provider::OpenRouter => {
                let empty = json!({ "role": "assistant", "content": "" });
                chunks.push(self.counted(self.chunk(empty, None)));
            }
            _ if self.with_usage => chunks.push(self.counted(self.of(json!([])))),
            _ => {}
        }
        chunks
    }
}

/// The same as a stream.
pub(super) fn frames(asked: &Asked, answer: &Answer) -> Vec<Frame> {
    let with_usage = asked.body["stream_options"]["include_usage"] == true;
    let stream = Chunks { envelope: Envelope::new(asked.provider), asked, answer, with_usage };
    let mut frames = Vec::new();
    match asked.provider {
        Provider::AzureOpenAi => frames.push(Frame::plain(json!({ "id": "", "object": "", "created": 0, "model": "",
            "choices": [], "prompt_filter_results": prompt_filtered() }))),
        Provider::OpenRouter => frames.push(Frame::text(": OPENROUTER PROCESSING")),
        _ => {}
    }
    let first = stream.chunk(json!({ "role": "assistant", "content": "" }), None);
    let said = deltas(asked, answer).into_iter().map(|delta| stream.chunk(delta, None));
    let chunks = [first].into_iter().chain(said).chain(stream.end());
    frames.extend(chunks.map(|chunk| Frame::plain(chunk.into())));
    frames.push(Frame::text("data: [DONE]"));
    frames
}

/// What is thought and said, in pieces.
fn deltas(asked: &Asked, answer: &Answer) -> Vec<Value> {
    let mut deltas = Vec::new();
    for piece in answer.thinking.iter().flat_map(|thinking| thinking.split_inclusive(' ')) {
        match asked.provider {
            Provider::DeepSeek => deltas.push(json!({ "content": null, "reasoning_content": piece })),
            Provider::OpenRouter => deltas.push(json!({ "content": "", "reasoning": piece, "reasoning_details":
                [{ "type": "reasoning.text", "text": piece, "format": "anthropic-claude-v1", "index": 0 }] })),
            Provider::Mistral => {
                let thought = json!({ "type": "thinking", "thinking": [{ "type": "text", "text": piece }] });
                deltas.push(json!({ "content": [thought] }));
            }
            _ => {}
        }
    }
    if answer.thinking.is_some() && asked.provider == Provider::OpenRouter {
        deltas.push(json!({ "content": "", "reasoning": null, "reasoning_details": [{ "type": "reasoning.text",
            "signature": letters(40), "format": "anthropic-claude-v1", "index": 0 }] }));
    }
    deltas.extend(answer.pieces().into_iter().map(|piece| json!({ "content": piece })));
    if let Some(refusal) = &answer.refusal {
        let field = if has_refusals(asked.provider) { "refusal" } else { "content" };
        deltas.extend(refusal.split_inclusive(' ').map(|piece| json!({ field: piece })));
    }
    deltas
}

/// A call in pieces: its name first, then its arguments.
fn fragments(at: usize, call: &Value) -> Vec<Value> {
    let mut first = call.clone();
    first["index"] = at.into();
    first["function"]["arguments"] = "".into();
    let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
    let pieces = pieces(arguments).into_iter();
    let rest = pieces.map(|piece| json!({ "index": at, "function": { "arguments": piece } }));
    [first].into_iter().chain(rest).collect()
}

/// Arguments as they come in a stream.
pub(super) fn pieces(arguments: &str) -> Vec<String> {
    let letters: Vec<char> = arguments.chars().collect();
    letters.chunks(ARGUMENT_PIECE).map(|piece| piece.iter().collect()).collect()
}
