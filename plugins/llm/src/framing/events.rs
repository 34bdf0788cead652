//! Server-sent events: fields up to an empty line. Comments, which are how servers keep a connection alive, and unknown fields are dropped.

use super::lines::Lines;
use super::{FRAME_BYTES_MAX, Frame};
use crate::ProviderError;

#[derive(Debug, Default)]
pub struct Events {
    lines: Lines,
    name: String,
    data: Option<String>,
    begun: bool,
}

impl Events {
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, ProviderError> {
        let lines = self.lines.push(bytes)?;
        let mut frames = Vec::new();
        for line in lines {
            self.line(&line, &mut frames)?;
        }
        Ok(frames)
    }

    pub fn finish(&mut self) -> Result<Vec<Frame>, ProviderError> {
        let mut frames = Vec::new();
        if let Some(line) = self.lines.finish()? {
            self.line(&line, &mut frames)?;
        }
        frames.extend(self.take());
        Ok(frames)
    }

    fn line(&mut self, line: &str, frames: &mut Vec<Frame>) -> Result<(), ProviderError> {
        let line = if std::mem::replace(&mut self.begun, true) { line } else { line.trim_start_matches('\u{feff}') };
        if line.is_empty() {
            frames.extend(self.take());
            return Ok(());
        }
        // Some servers answer an error to a request for a stream with bare JSON. No field begins like that.
        if line.starts_with('{') {
            frames.push(Frame { name: String::new(), data: line.to_owned() });
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) if data.len() + value.len() > FRAME_BYTES_MAX => {
                    return Err(ProviderError::malformed("an event of the stream is too long"));
                }
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            _ => {}
        }
        Ok(())
    }

    /// The event that is complete; one without data is none, nor is one with none in it, which some send to keep a connection open.
    fn take(&mut self) -> Option<Frame> {
        let name = std::mem::take(&mut self.name);
        self.data.take().filter(|data| !data.trim().is_empty()).map(|data| Frame { name, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, data: &str) -> Frame {
        Frame { name: name.into(), data: data.into() }
    }

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let text = concat!(
            "\u{feff}: keep-alive\r\n\r\nevent: a\r\ndata: {\"ü\":1}\r\n\r\n:\n\ndata:x\ndata: y\nid: 3\nretry: 5\n\n",
            "event: none\n\ndata:\n\ndata: \n\ndata: [DONE]"
        )
        .as_bytes();
        let expected = [frame("a", "{\"ü\":1}"), frame("", "x\ny"), frame("", "[DONE]")];
        for cut in 0..=text.len() {
            let (one, other) = text.split_at(cut);
            let mut decoder = Events::default();
            let mut frames = decoder.push(one).expect("events");
            frames.extend(decoder.push(other).expect("events"));
            frames.extend(decoder.finish().expect("events"));
            assert_eq!(frames, expected, "cut at {cut}");
        }
    }

    #[test]
    fn bare_json_is_an_event() {
        let mut decoder = Events::default();
        assert_eq!(decoder.push(b"{\"error\":1}").expect("no event yet"), []);
        assert_eq!(decoder.finish().expect("events"), [frame("", "{\"error\":1}")]);
    }
}
