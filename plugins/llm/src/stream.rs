//! A streamed answer: bytes in any cut become parts, and at the end the whole answer.

use crate::build::Builder;
use crate::dialect::Codec;
use crate::framing::{Frame, Framing};
use crate::message::{Answer, Part};
use crate::{Kind, ProviderError};

/// Reads the body of a response whose status says success; others are for `decode_response`.
#[derive(Debug)]
pub struct StreamDecoder {
    codec: &'static Codec,
    framing: Framing,
    builder: Builder,
    failed: Option<ProviderError>,
}

impl StreamDecoder {
    pub fn new(codec: &'static Codec) -> Self {
        Self { codec, framing: codec.framing(), builder: Builder::new(codec.dialect), failed: None }
    }

    /// The parts that these bytes complete. After an error there are no more; `finish` says which it was.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Part> {
        if self.failed.is_none() {
            let frames = self.framing.push(bytes);
            self.read(frames);
        }
        self.builder.take_parts()
    }

    /// Whether reading on is of no use.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The parts that only the end completes, and the answer or what went wrong. Who said why it ended has given a whole answer, even if what it cost
    /// is lost.
    pub fn finish(mut self) -> (Vec<Part>, Result<Answer, ProviderError>) {
        if self.failed.is_none() {
            let frames = self.framing.finish();
            self.read(frames);
            // What nothing ended may be cut anywhere. If the answer is there, it was nothing that matters.
            let cut = |error: &ProviderError| matches!(error.kind, Kind::Malformed | Kind::Truncated);
            self.failed = self.failed.take().filter(|error| !cut(error));
        }
        let parts = self.builder.take_parts();
        let answer = match self.failed {
            Some(error) => Err(error),
            None => self.codec.ended(&self.builder).and_then(|()| self.builder.answer()),
        };
        (parts, answer)
    }

    fn read(&mut self, frames: Result<Vec<Frame>, ProviderError>) {
        let read =
            frames.and_then(|frames| frames.iter().try_for_each(|frame| self.codec.event(&mut self.builder, frame)));
        self.failed = read.err();
    }
}
