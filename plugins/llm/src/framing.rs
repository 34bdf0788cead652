//! A stream of bytes as the frames that a provider puts its events in. Bytes come in any cut: a frame is given out when its last byte is there.

mod events;
mod frames;
mod lines;

use crate::ProviderError;

/// Longest frame, in bytes. An event is a few words; one with a whole answer in it has a few hundred KiB.
const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What the event is called; empty where the framing has no names.
    pub name: String,
    pub data: String,
}

/// How a provider cuts its stream.
#[derive(Debug)]
pub enum Framing {
    /// Server-sent events.
    Events(events::Events),
    /// A JSON value a line.
    Lines(lines::Lines),
    /// AWS event stream.
    Frames(frames::Frames),
}

impl Framing {
    pub fn events() -> Self {
        Self::Events(events::Events::default())
    }

    pub fn json_lines() -> Self {
        Self::Lines(lines::Lines::default())
    }

    pub fn aws() -> Self {
        Self::Frames(frames::Frames::default())
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, ProviderError> {
        match self {
            Self::Events(events) => events.push(bytes),
            Self::Lines(lines) => {
                let lines = lines.push(bytes)?;
                Ok(lines.into_iter().filter_map(of_line).collect())
            }
            Self::Frames(frames) => frames.push(bytes),
        }
    }

    /// What the end of the stream completes. An event without its empty line counts: if it was cut, its JSON is as well.
    pub fn finish(&mut self) -> Result<Vec<Frame>, ProviderError> {
        match self {
            Self::Events(events) => events.finish(),
            Self::Lines(lines) => Ok(lines.finish()?.into_iter().filter_map(of_line).collect()),
            Self::Frames(frames) => frames.finish(),
        }
    }
}

fn of_line(line: String) -> Option<Frame> {
    (!line.trim().is_empty()).then_some(Frame { name: String::new(), data: line })
}
