//! Bodies: a form, a text, or a file of the internal storage.

use serde_json::{Map, Value};
use sluice_sdk::http::{Body, Multipart, Part};
use sluice_sdk::prelude::*;

use crate::options::Charset;

/// Content type that makes a form a multipart one.
const MULTIPART: &str = "multipart/form-data";

/// A body and the content type it brings along.
pub struct Prepared {
    pub body: Body,
    pub content_type: String,
    /// What a log may show of it.
    pub shown: String,
}

/// The body of a form. A value that is the URI of a file, or an object of `name` and `content`, is a file of a multipart form.
pub fn form(fields: &Map<String, Value>, content_type: Option<&str>, seed: &str) -> Result<Prepared, Failure> {
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    let shown = format!("a form of `{}`", names.join("`, `"));
    if !content_type.is_some_and(|content_type| content_type.trim().eq_ignore_ascii_case(MULTIPART)) {
        let texts: Vec<(&str, String)> = fields.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        let body = Body::form(texts.iter().map(|(name, value)| (*name, value.as_str())));
        return Ok(Prepared { body, content_type: "application/x-www-form-urlencoded".to_owned(), shown });
    }
    let mut multipart = Multipart::new(seed);
    for (name, value) in fields {
        multipart.push(part(name, value)?);
    }
    Ok(Prepared { content_type: multipart.content_type(), body: multipart.into_body(), shown })
}

fn part(name: &str, value: &Value) -> Result<Part, Failure> {
    let named = value.get("name").and_then(Value::as_str).zip(value.get("content").and_then(Value::as_str));
    match (value, named) {
        (_, Some((file_name, uri))) => Part::file(name, file_name, uri),
        (Value::String(uri), None) if is_file_uri(uri) => {
            Part::file(name, uri.rsplit('/').next().unwrap_or("file"), uri)
        }
        _ => Ok(Part::text(name, text(value))),
    }
}

/// A text body; a text that is the URI of a file stands for the file.
pub fn text_body(text: &str, content_type: &str, charset: Charset) -> Result<Prepared, Failure> {
    if is_file_uri(text.trim()) {
        let uri = text.trim();
        return Ok(Prepared {
            body: Body::file(uri)?,
            content_type: content_type.to_owned(),
            shown: format!("the file `{uri}`"),
        });
    }
    let bytes = charset
        .encode(text)
        .ok_or_else(|| Failure::bad_property("property `body` has letters that `options.defaultCharset` has not"))?;
    let parameter = match charset {
        Charset::Utf8 => "; charset=UTF-8",
        Charset::Latin1 => "; charset=ISO-8859-1",
        Charset::Ascii => "; charset=US-ASCII",
    };
    let is_text =
        !content_type.contains(';') && (content_type.starts_with("text/") || content_type == "application/json");
    Ok(Prepared {
        body: Body::bytes(bytes),
        content_type: format!("{content_type}{}", if is_text { parameter } else { "" }),
        shown: text.to_owned(),
    })
}

fn is_file_uri(text: &str) -> bool {
    (text.starts_with("kestra:///") || text.starts_with("nsfile:///")) && !text.contains(char::is_whitespace)
}

/// A value as an expression prints it.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
