//! Puts an answer together from what a provider says of it, piece by piece: the same whether the pieces come in a stream or all at once.

use serde_json::{Map, Value};

use crate::message::{Answer, AnswerPart, Finish, Part, ToolCall, Usage, Verbatim};
use crate::{Dialect, Kind, ProviderError};

/// Largest answer, in bytes of what it says. The longest outputs of models are below 1 MiB.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most pieces of an answer: models ask for some dozens of calls at once, and each piece is looked for among all.
const PIECES_MAX: usize = 4_096;
/// How ids begin that are made here, for providers that have none. They are never sent.
const OWN_ID: &str = "sluice_call_";

/// An id that a provider gave, or none.
pub fn given(id: &str) -> Option<&str> {
    (!id.starts_with(OWN_ID)).then_some(id)
}

/// Which piece of an answer is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// By the provider's number.
    At(u64),
    /// The last one, if it is of this kind; else a new one.
    Last,
}

#[derive(Debug)]
struct Block {
    key: Key,
    content: Content,
    verbatim: Map<String, Value>,
    /// What comes next is another piece, even if it is of the same kind.
    closed: bool,
}

#[derive(Debug)]
enum Content {
    Text(String),
    Thinking(String),
    Call { id: String, name: String, arguments: String },
}

#[derive(Debug)]
pub struct Builder {
    dialect: Dialect,
    blocks: Vec<Block>,
    pending: Vec<Part>,
    size_bytes: usize,
    id: Option<String>,
    model: Option<String>,
    pub usage: Option<Usage>,
    finish: Option<(Finish, String)>,
    refused: bool,
}

impl Builder {
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            blocks: Vec::new(),
            pending: Vec::new(),
            size_bytes: 0,
            id: None,
            model: None,
            usage: None,
            finish: None,
            refused: false,
        }
    }

    /// Which answer this is, and of which model: the first that is said. Some begin a stream with empty names.
    pub fn identify(&mut self, id: &Value, model: &Value) {
        let said = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        self.id = self.id.take().or_else(|| said(id));
        self.model = self.model.take().or_else(|| said(model));
    }

    pub fn text(&mut self, key: Key, text: &str) -> Result<(), ProviderError> {
        self.grow(text.len())?;
        if text.is_empty() {
            return Ok(());
        }
        let block = self.block(key, |content| matches!(content, Content::Text(_)), || Content::Text(String::new()));
        if let Content::Text(known) = &mut block.content {
            known.push_str(text);
        }
        self.pending.push(Part::Text { text: text.to_owned() });
        Ok(())
    }

    /// What the model says about why it will not answer.
    pub fn refusal(&mut self, text: &str) -> Result<(), ProviderError> {
        self.refused = true;
        self.text(Key::Last, text)
    }

    /// Thoughts; an empty text begins them all the same, since what has to go back may come later.
    pub fn thinking(&mut self, key: Key, text: &str) -> Result<(), ProviderError> {
        self.grow(text.len())?;
        let block =
            self.block(key, |content| matches!(content, Content::Thinking(_)), || Content::Thinking(String::new()));
        if let Content::Thinking(known) = &mut block.content {
            known.push_str(text);
        }
        if !text.is_empty() {
            self.pending.push(Part::Thinking { text: text.to_owned() });
        }
        Ok(())
    }

    /// A tool call begins. With `Key::Last` it is always another one.
    pub fn call(&mut self, key: Key, id: Option<&str>, name: &str) -> Result<(), ProviderError> {
        self.grow(id.map_or(0, str::len) + name.len())?;
        let id = id.filter(|id| !id.is_empty()).map_or_else(|| self.own_id(), str::to_owned);
        self.pending.push(Part::ToolCall { id: id.clone(), name: name.to_owned() });
        let content = Content::Call { id, name: name.to_owned(), arguments: String::new() };
        self.blocks.push(Block { key, content, verbatim: Map::new(), closed: false });
        Ok(())
    }

    /// The id of the latest call with this number.
    pub fn call_id(&self, key: Key) -> Option<&str> {
        let mut blocks = self.blocks.iter().rev().filter(|block| block.key == key);
        blocks.find_map(|block| match &block.content {
            Content::Call { id, .. } => Some(id.as_str()),
            Content::Text(_) | Content::Thinking(_) => None,
        })
    }

    /// Ends the last piece, whatever follows.
    pub fn close(&mut self) {
        if let Some(last) = self.blocks.last_mut() {
            last.closed = true;
        }
    }

    /// More of the arguments of a call, as JSON text. Without such a call it is nothing.
    pub fn arguments(&mut self, key: Key, json: &str) -> Result<(), ProviderError> {
        self.grow(json.len())?;
        let mut calls = self.blocks.iter_mut().rev().filter(|block| block.key == key);
        let call = calls.find_map(|block| match &mut block.content {
            Content::Call { id, arguments, .. } => Some((id, arguments)),
            Content::Text(_) | Content::Thinking(_) => None,
        });
        if let Some((id, arguments)) = call.filter(|_| !json.is_empty()) {
            arguments.push_str(json);
            self.pending.push(Part::Arguments { id: id.clone(), json: json.to_owned() });
        }
        Ok(())
    }

    /// A field that goes back with the piece begun last. A text continues one that is there, a list as well.
    pub fn verbatim(&mut self, key: Key, field: &str, value: &Value) -> Result<(), ProviderError> {
        self.grow(value.as_str().map_or_else(|| value.to_string().len(), str::len))?;
        let mut blocks = self.blocks.iter_mut().rev();
        let block = match key {
            Key::Last => blocks.next(),
            Key::At(_) => blocks.find(|block| block.key == key),
        };
        let Some(block) = block else { return Ok(()) };
        match (block.verbatim.get_mut(field), value) {
            (Some(Value::String(known)), Value::String(more)) => known.push_str(more),
            (Some(Value::Array(known)), Value::Array(more)) => known.extend(more.iter().cloned()),
            _ => {
                block.verbatim.insert(field.to_owned(), value.clone());
            }
        }
        Ok(())
    }

    /// A field that goes back with the last piece, instead of what it was.
    pub fn mark(&mut self, field: &str, value: Value) {
        if let Some(last) = self.blocks.last_mut() {
            last.verbatim.insert(field.to_owned(), value);
        }
    }

    pub fn finish(&mut self, finish: Finish, word: &str) {
        self.finish = Some((finish, word.to_owned()));
    }

    pub fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether it ended well with nothing but thoughts.
    pub fn has_stopped_silently(&self) -> bool {
        let thoughts = |block: &Block| matches!(block.content, Content::Thinking(_));
        matches!(self.finish, Some((Finish::Stop, _))) && self.blocks.iter().all(thoughts)
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The parts since the last call.
    pub fn take_parts(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.pending)
    }

    /// The whole answer, if the provider has said why it ended.
    pub fn answer(self) -> Result<Answer, ProviderError> {
        let Some((finish, finish_word)) = self.finish else {
            return Err(ProviderError::new(Kind::Truncated, "the answer ended before its end"));
        };
        let dialect = self.dialect;
        let parts: Vec<_> = self.blocks.into_iter().map(|block| part(block, dialect)).collect();
        let called = parts.iter().any(|part| matches!(part, AnswerPart::ToolCall(_)));
        // Providers that end a call like any answer are as common as those that do not.
        let finish = match finish {
            Finish::Stop if self.refused => Finish::Refusal,
            Finish::Stop if called => Finish::ToolCalls,
            finish => finish,
        };
        Ok(Answer { id: self.id, model: self.model, parts, finish, finish_word, usage: self.usage })
    }

    fn block(&mut self, key: Key, is_kind: fn(&Content) -> bool, new: fn() -> Content) -> &mut Block {
        let at = match key {
            Key::Last => {
                let continues = self.blocks.last().is_some_and(|last| !last.closed && is_kind(&last.content));
                self.blocks.len().checked_sub(1).filter(|_| continues)
            }
            Key::At(_) => self.blocks.iter().position(|block| block.key == key && is_kind(&block.content)),
        };
        let at = at.unwrap_or_else(|| {
            self.blocks.push(Block { key, content: new(), verbatim: Map::new(), closed: false });
            self.blocks.len() - 1
        });
        self.blocks.get_mut(at).expect("it was found or pushed")
    }

    fn own_id(&self) -> String {
        let calls = self.blocks.iter().filter(|block| matches!(block.content, Content::Call { .. })).count();
        format!("{OWN_ID}{calls}")
    }

    fn grow(&mut self, bytes: usize) -> Result<(), ProviderError> {
        self.size_bytes += bytes;
        match self.size_bytes <= ANSWER_BYTES_MAX && self.blocks.len() <= PIECES_MAX {
            true => Ok(()),
            false => Err(ProviderError::malformed("the answer is larger than that of any model")),
        }
    }
}

fn part(block: Block, origin: Dialect) -> AnswerPart {
    let json = Value::Object(block.verbatim);
    let has_fields = json.as_object().is_some_and(|fields| !fields.is_empty());
    let verbatim = Verbatim { origin, json };
    match block.content {
        Content::Text(text) => AnswerPart::Text { text, verbatim: has_fields.then_some(verbatim) },
        Content::Thinking(text) => AnswerPart::Thinking { text, verbatim },
        Content::Call { id, name, arguments } => {
            let arguments = match arguments.trim() {
                "" => Value::Object(Map::new()),
                json => serde_json::from_str(json).unwrap_or_else(|_| Value::String(arguments.clone())),
            };
            AnswerPart::ToolCall(ToolCall { id, name, arguments, verbatim: has_fields.then_some(verbatim) })
        }
    }
}
