//! Request bodies as a list of pieces: bytes in memory, files of the internal storage, readers. Files are read while they are sent.

use std::io::Read;

use serde::Serialize;

use super::encode_form;
use crate::{Failure, files};

/// Bytes read from a file or a reader at once.
const PIECE_BYTES: usize = 64 * 1024;

enum Piece {
    Bytes(Vec<u8>),
    File {
        uri: String,
        size: u64,
    },
    /// `None` once it has been sent: a reader cannot be sent twice.
    Reader(Option<Box<dyn Read>>),
}

/// What a request carries.
#[derive(Default)]
pub struct Body {
    pieces: Vec<Piece>,
}

/// Whether whoever receives a body wants more of it.
pub(crate) enum Sink {
    /// Go on.
    Open,
    /// The other side has closed; the response says why.
    Closed,
}

impl Body {
    /// Nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { pieces: vec![Piece::Bytes(bytes.into())] }
    }

    /// A value as JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, Failure> {
        serde_json::to_vec(value)
            .map(Self::bytes)
            .map_err(|error| Failure::bad_property(format!("the request body is no JSON: {error}")))
    }

    /// A form, URL-encoded.
    pub fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs: Vec<String> =
            fields.into_iter().map(|(name, value)| format!("{}={}", encode_form(name), encode_form(value))).collect();
        Self::bytes(pairs.join("&"))
    }

    /// A file of the internal storage.
    pub fn file(uri: &str) -> Result<Self, Failure> {
        Ok(Self { pieces: vec![Piece::File { uri: uri.to_owned(), size: files::size(uri)? }] })
    }

    /// Whatever a reader gives. Its length is not known beforehand, and it cannot be sent again after a redirect.
    pub fn reader(reader: impl Read + 'static) -> Self {
        Self { pieces: vec![Piece::Reader(Some(Box::new(reader)))] }
    }

    /// Puts another body behind this one.
    pub fn append(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The length in bytes, where it is known.
    pub fn length(&self) -> Option<u64> {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Bytes(bytes) => Some(bytes.len() as u64),
                Piece::File { size, .. } => Some(*size),
                Piece::Reader(_) => None,
            })
            .sum()
    }

    /// Whether it can be sent once more.
    pub fn is_repeatable(&self) -> bool {
        !self.pieces.iter().any(|piece| matches!(piece, Piece::Reader(_)))
    }

    /// Hands the body over in pieces until all is sent or the sink is closed.
    pub(crate) fn send(&mut self, sink: &mut dyn FnMut(&[u8]) -> Result<Sink, Failure>) -> Result<Sink, Failure> {
        for piece in &mut self.pieces {
            let state = match piece {
                Piece::Bytes(bytes) => sink(bytes)?,
                Piece::File { uri, .. } => copy(&mut files::open(uri)?, sink)?,
                Piece::Reader(reader) => match reader.take() {
                    Some(mut reader) => copy(&mut reader, sink)?,
                    None => {
                        return Err(Failure::new("HTTP_REDIRECT", "the request body is a stream and was sent already"));
                    }
                },
            };
            if let Sink::Closed = state {
                return Ok(Sink::Closed);
            }
        }
        Ok(Sink::Open)
    }
}

fn copy(reader: &mut dyn Read, sink: &mut dyn FnMut(&[u8]) -> Result<Sink, Failure>) -> Result<Sink, Failure> {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let count = reader.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(Sink::Open);
        };
        if let Sink::Closed = sink(bytes)? {
            return Ok(Sink::Closed);
        }
    }
}
