//! How streams are framed: server-sent events, lines of JSON, a JSON list, and the binary frames of AWS. Knows no provider.

use serde_json::{Map, Value};

/// What a stream is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// `text/event-stream`.
    Events,
    /// `application/x-ndjson`.
    Lines,
    /// A JSON list that grows.
    List,
    /// `application/vnd.amazon.eventstream`.
    Binary,
}

/// One of a stream.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The name of an event, where events have names.
    pub name: Option<String>,
    pub data: Data,
    /// Whether it tells of an error.
    pub is_error: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    Json(Value),
    /// What is no JSON: the mark at the end, a comment.
    Text(&'static str),
}

impl Frame {
    /// One without a name.
    pub fn plain(data: Value) -> Self {
        Self { name: None, data: Data::Json(data), is_error: false }
    }

    /// One whose name is known.
    pub fn named(name: &str, data: Value) -> Self {
        Self { name: Some(name.to_owned()), data: Data::Json(data), is_error: false }
    }

    /// A line as it is.
    pub fn text(text: &'static str) -> Self {
        Self { name: None, data: Data::Text(text), is_error: false }
    }

    /// The same, as an error.
    pub fn error(self) -> Self {
        Self { is_error: true, ..self }
    }
}

impl Framing {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream; charset=utf-8",
            Self::Lines => "application/x-ndjson",
            Self::List => "application/json; charset=UTF-8",
            Self::Binary => "application/vnd.amazon.eventstream",
        }
    }

    /// All frames, each as it goes over the wire.
    pub fn written(self, frames: &[Frame]) -> Vec<Vec<u8>> {
        let last = frames.len().saturating_sub(1);
        let written = frames.iter().enumerate().map(|(at, frame)| match (self, &frame.data) {
            (Self::Events, Data::Text(text)) => format!("{text}\n\n").into_bytes(),
            (Self::Events, Data::Json(json)) => event(frame.name.as_deref(), json),
            (Self::Lines, Data::Text(text)) => format!("{text}\n").into_bytes(),
            (Self::Lines, Data::Json(json)) => format!("{json}\n").into_bytes(),
            (Self::List, Data::Text(text)) => text.as_bytes().to_vec(),
            (Self::List, Data::Json(json)) => {
                let (before, after) = (if at == 0 { "[" } else { "" }, if at == last { "]" } else { ",\r\n" });
                format!("{before}{json}{after}").into_bytes()
            }
            (Self::Binary, Data::Text(_)) => Vec::new(),
            (Self::Binary, Data::Json(json)) => binary(frame, json),
        });
        written.filter(|bytes| !bytes.is_empty()).collect()
    }
}

fn event(name: Option<&str>, json: &Value) -> Vec<u8> {
    match name {
        Some(name) => format!("event: {name}\ndata: {json}\n\n").into_bytes(),
        None => format!("data: {json}\n\n").into_bytes(),
    }
}

/// Lengths, headers, the payload, and two checksums, all big-endian.
fn binary(frame: &Frame, json: &Value) -> Vec<u8> {
    let kind = if frame.is_error { ("exception", ":exception-type") } else { ("event", ":event-type") };
    let name = frame.name.as_deref().unwrap_or_default();
    let mut headers = Vec::new();
    for (header, value) in [(kind.1, name), (":content-type", "application/json"), (":message-type", kind.0)] {
        headers.push(u8::try_from(header.len()).expect("our headers are short"));
        headers.extend_from_slice(header.as_bytes());
        // A text.
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).expect("our headers are short").to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = padded(json).to_string();
    let length = |bytes: usize| u32::try_from(bytes).expect("a frame is small").to_be_bytes();
    // Two lengths, two checksums.
    let mut out = length(16 + headers.len() + payload.len()).to_vec();
    out.extend(length(headers.len()));
    out.extend(crc32(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload.as_bytes());
    out.extend(crc32(&out).to_be_bytes());
    out
}

/// Bedrock hides the length of what was said behind a field of letters.
fn padded(json: &Value) -> Value {
    let mut fields: Map<String, Value> = json.as_object().cloned().unwrap_or_default();
    fields.entry("p").or_insert_with(|| "abcdefghijklmnop".into());
    fields.into()
}

/// The checksum of IEEE 802.3, bit by bit.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let whole = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    });
    !whole
}
