//! `multipart/form-data` (RFC 7578) made of pieces, so that files are streamed. Names are quoted as browsers do it.

use super::Body;
use crate::Failure;

/// A part of a form.
pub struct Part {
    name: String,
    file_name: Option<String>,
    content_type: Option<String>,
    body: Body,
}

impl Part {
    /// A field with a text.
    pub fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), file_name: None, content_type: None, body: Body::bytes(value.into()) }
    }

    /// A file of the internal storage.
    pub fn file(name: impl Into<String>, file_name: impl Into<String>, uri: &str) -> Result<Self, Failure> {
        let body = Body::file(uri)?;
        Ok(Self {
            name: name.into(),
            file_name: Some(file_name.into()),
            content_type: Some("application/octet-stream".to_owned()),
            body,
        })
    }

    fn head(&self, boundary: &str) -> String {
        let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&self.name));
        if let Some(file_name) = &self.file_name {
            head.push_str(&format!("; filename=\"{}\"", quoted(file_name)));
        }
        if let Some(content_type) = &self.content_type {
            head.push_str(&format!("\r\nContent-Type: {content_type}"));
        }
        head.push_str("\r\n\r\n");
        head
    }
}

/// A form of several parts.
pub struct Multipart {
    boundary: String,
    parts: Vec<Part>,
}

impl Multipart {
    /// An empty form. `seed` makes the boundary: the idempotency key of the run, so that a repeated request is the same, byte for byte.
    pub fn new(seed: &str) -> Self {
        let seed: String = seed.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        Self { boundary: format!("sluice-form-{seed}"), parts: Vec::new() }
    }

    /// Adds a part.
    pub fn push(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// The value of the request's `Content-Type`.
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// The body.
    pub fn into_body(self) -> Body {
        let mut body = Body::empty();
        for part in self.parts {
            body.append(Body::bytes(part.head(&self.boundary)));
            body.append(part.body);
            body.append(Body::bytes("\r\n"));
        }
        body.append(Body::bytes(format!("--{}--\r\n", self.boundary)));
        body
    }
}

fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
