//! Messages as tasks have them, and the conversation they are.

use llm::message::{AnswerPart, Message, UserPart};
use sluice_sdk::{Failure, properties};

use crate::ContentBlock;

/// Who speaks.
#[properties]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    System,
    /// The model, in an earlier turn.
    Ai,
    /// The same.
    Assistant,
    User,
}

/// One message of a conversation.
#[properties]
#[derive(Debug, Clone)]
pub struct ChatMessage {
    /// Who says it.
    #[serde(rename = "type")]
    #[schemars(rename = "type")]
    pub speaker: Speaker,
    /// What is said.
    pub content: Option<String>,
    /// The same in blocks, among which may be images. Of a user's message.
    pub content_blocks: Option<Vec<ContentBlock>>,
}

/// The conversation that messages are: at most one of the system, and the last one is the user's.
pub fn conversation(messages: Vec<ChatMessage>) -> Result<Vec<Message>, Failure> {
    if messages.iter().filter(|message| message.speaker == Speaker::System).count() > 1 {
        return Err(Failure::bad_property("`messages` has more than one of type SYSTEM: join them"));
    }
    match messages.last() {
        None => return Err(Failure::bad_property("`messages` is empty: the last one says what is asked")),
        Some(last) if last.speaker != Speaker::User => {
            return Err(Failure::bad_property("the last of `messages` has to be of type USER"));
        }
        Some(_) => {}
    }
    conversation_of_any_order(messages)
}

/// The same where the provider may say what it thinks of the order.
pub fn conversation_of_any_order(messages: Vec<ChatMessage>) -> Result<Vec<Message>, Failure> {
    messages.into_iter().enumerate().map(|(at, message)| message.into_message(at)).collect()
}

impl ChatMessage {
    fn into_message(self, at: usize) -> Result<Message, Failure> {
        let blocks = self.content_blocks.unwrap_or_default();
        if self.speaker != Speaker::User && !blocks.is_empty() {
            return Err(Failure::bad_property(format!(
                "`messages[{at}].contentBlocks`: only messages of type USER have blocks"
            )));
        }
        let text = match (self.content, blocks.is_empty()) {
            (None, true) => return Err(Failure::bad_property(format!("`messages[{at}]` has no `content`"))),
            (Some(_), false) => {
                return Err(Failure::bad_property(format!(
                    "`messages[{at}]` has both `content` and `contentBlocks`: write one"
                )));
            }
            (content, _) => content.unwrap_or_default(),
        };
        Ok(match self.speaker {
            Speaker::System => Message::System { text },
            Speaker::Ai | Speaker::Assistant => Message::Assistant { parts: vec![AnswerPart::text(text)] },
            Speaker::User if blocks.is_empty() => Message::user(text),
            Speaker::User => Message::User {
                parts: blocks.into_iter().map(ContentBlock::into_part).collect::<Result<Vec<UserPart>, _>>()?,
            },
        })
    }
}
