//! Ids of tool calls, unique within a conversation. Providers make theirs so; one made here for a provider that has none is only unique within its
//! answer, and whoever is asked next may refuse it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::message::{AnswerPart, Message, Request};

/// The request with every call of an id of its own, and results that follow theirs.
pub fn unique(request: &Request) -> Cow<'_, Request> {
    let parts = request.messages.iter().filter_map(|message| match message {
        Message::Assistant { parts } => Some(parts),
        _ => None,
    });
    let mut seen = HashSet::new();
    let mut ids = parts.flatten().filter_map(|part| match part {
        AnswerPart::ToolCall(call) => Some(&call.id),
        AnswerPart::Text { .. } | AnswerPart::Thinking { .. } => None,
    });
    match ids.all(|id| seen.insert(id)) {
        true => Cow::Borrowed(request),
        false => Cow::Owned(renamed(request)),
    }
}

fn renamed(request: &Request) -> Request {
    let mut request = request.clone();
    let mut seen = HashSet::new();
    let mut names = HashMap::new();
    for message in &mut request.messages {
        match message {
            Message::System { .. } | Message::User { .. } => {}
            Message::Assistant { parts } => {
                for part in parts {
                    let AnswerPart::ToolCall(call) = part else { continue };
                    let mut id = call.id.clone();
                    let mut number = seen.len();
                    while !seen.insert(id.clone()) {
                        number += 1;
                        id = format!("{}_{number}", call.id);
                    }
                    names.insert(std::mem::replace(&mut call.id, id.clone()), id);
                }
            }
            Message::Tool { results } => {
                for result in results {
                    if let Some(id) = names.get(&result.id) {
                        result.id.clone_from(id);
                    }
                }
            }
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::ToolCall;

    #[test]
    fn new_id_is_not_one_that_is_there() {
        let call = |id: &str| {
            AnswerPart::ToolCall(ToolCall { id: id.into(), name: "x".into(), arguments: json!({}), verbatim: None })
        };
        let messages = ["a", "a_3", "a", "a_3"].map(|id| Message::Assistant { parts: vec![call(id)] });
        let request = Request { messages: messages.into(), ..Request::default() };
        let unique = unique(&request);
        let ids: HashSet<_> = unique.messages.iter().map(|message| format!("{message:?}")).collect();
        assert_eq!(ids.len(), 4, "{ids:?}");
    }
}
