//! Embeds: those a flow writes, and the one that says how an execution is.

use notify::{Facts, Mood};
use serde_json::{Map, Value, json};
use sluice_sdk::prelude::*;

/// Discord's limits, in characters.
const TITLE_MAX: usize = 256;
const DESCRIPTION_MAX: usize = 4_096;
const FIELD_NAME_MAX: usize = 256;
const FIELD_VALUE_MAX: usize = 1_024;
/// Most fields of an embed.
const FIELDS_MAX: usize = 25;
/// Letters up to which fields stand side by side.
const INLINE_LETTERS: usize = 40;

/// A box below the text of a message.
#[properties]
pub struct Embed {
    /// Its title.
    title: Option<String>,
    /// Where the title leads.
    website_url: Option<String>,
    /// Its text.
    description: Option<String>,
    /// The URL of a small picture.
    thumbnail: Option<String>,
    /// The name above the title.
    author_name: Option<String>,
    /// Its colour: red, green and blue, each from 0 to 255.
    color: Option<Vec<u8>>,
    /// A line below it.
    footer: Option<String>,
}

impl Embed {
    /// The embed as Discord describes it.
    pub fn to_json(&self) -> Result<Value, Failure> {
        let mut embed = Map::new();
        notify::put(&mut embed, "title", &self.title);
        notify::put(&mut embed, "url", &self.website_url);
        notify::put(&mut embed, "description", &self.description);
        for (name, inner, text) in [
            ("thumbnail", "url", &self.thumbnail),
            ("author", "name", &self.author_name),
            ("footer", "text", &self.footer),
        ] {
            if let Some(text) = notify::written(text) {
                embed.insert(name.to_owned(), json!({ inner: text }));
            }
        }
        match self.color.as_deref() {
            None | Some([]) => {}
            Some([red, green, blue]) => {
                embed.insert("color".to_owned(), json!(u32::from_be_bytes([0, *red, *green, *blue])));
            }
            Some(other) => {
                let message =
                    format!("property `embedList`: a `color` has 3 parts, red, green and blue, not {}", other.len());
                return Err(Failure::bad_property(message));
            }
        }
        Ok(embed.into())
    }
}

/// The embed of an execution's facts. What is longer than Discord takes is cut: a message about a failure should not fail itself.
pub fn of_facts(facts: &Facts, message: Option<&str>, custom_fields: Vec<(String, String)>) -> Value {
    let mut embed = Map::new();
    embed.insert("title".to_owned(), cut(&facts.title(), TITLE_MAX).into());
    if let Some(link) = &facts.link {
        embed.insert("url".to_owned(), link.as_str().into());
    }
    if let Some(message) = message {
        embed.insert("description".to_owned(), cut(message, DESCRIPTION_MAX).into());
    }
    embed.insert("color".to_owned(), colour(facts.mood()).into());
    let fields = facts.fields().into_iter().chain(custom_fields).take(FIELDS_MAX);
    let fields: Vec<Value> = fields
        .map(|(name, value)| {
            let inline = value.chars().count() <= INLINE_LETTERS;
            json!({"name": cut(&name, FIELD_NAME_MAX), "value": cut(&value, FIELD_VALUE_MAX), "inline": inline})
        })
        .collect();
    embed.insert("fields".to_owned(), fields.into());
    embed.into()
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => text.chars().take(limit - 1).chain(['…']).collect(),
    }
}

fn colour(mood: Mood) -> u32 {
    match mood {
        Mood::Good => 0x2E_9E_5B,
        Mood::Uneasy => 0xE0_A0_30,
        Mood::Bad => 0xD0_3A_3A,
        Mood::Neutral => 0x60_70_80,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use sluice_sdk::from_rendered;

    use super::*;

    fn embed(properties: Value) -> Result<Value, Failure> {
        from_rendered::<Embed>(properties)?.to_json()
    }

    #[test]
    fn embed_is_in_the_words_of_discord() {
        let properties = json!({
            "title": "t", "websiteUrl": "https://example.com", "description": "d", "thumbnail": "https://example.com/a.png",
            "authorName": "a", "color": [255, "128", 0], "footer": "f",
        });
        let expected = json!({
            "title": "t", "url": "https://example.com", "description": "d",
            "thumbnail": {"url": "https://example.com/a.png"}, "author": {"name": "a"}, "footer": {"text": "f"},
            "color": 0xFF_80_00,
        });
        assert_eq!(embed(properties).unwrap(), expected);
        assert_eq!(embed(json!({"title": " ", "color": []})).unwrap(), json!({}));
    }

    #[test]
    fn colour_has_three_parts() {
        assert!(embed(json!({"color": [1, 2]})).unwrap_err().message().contains("has 3 parts"));
        assert!(embed(json!({"color": [1, 2, 256]})).unwrap_err().message().starts_with("property `color[2]`: "));
    }

    #[test]
    fn facts_fit_into_an_embed() {
        let facts = Facts { id: "e1".to_owned(), state: Some("FAILED".to_owned()), ..Facts::default() };
        let many = (0..30).map(|at| (at.to_string(), "v".repeat(2_000))).collect();
        let embed = of_facts(&facts, Some(&"ä".repeat(5_000)), many);
        assert_eq!((&embed["title"], &embed["color"]), (&json!("Execution e1: FAILED"), &json!(0xD0_3A_3A)));
        let length = |value: &Value| value.as_str().map(|text| text.chars().count());
        assert_eq!(length(&embed["description"]), Some(DESCRIPTION_MAX));
        assert_eq!(embed["fields"].as_array().map(Vec::len), Some(FIELDS_MAX));
        assert_eq!(embed["fields"][0], json!({"name": "Execution", "value": "e1", "inline": true}));
        assert_eq!((length(&embed["fields"][2]["value"]), &embed["fields"][2]["inline"]), (Some(1_024), &json!(false)));
    }
}
