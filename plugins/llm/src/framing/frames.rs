//! AWS event stream: binary frames with two checksums. Layout, big-endian: length of all, length of headers, CRC of both; headers;
//! payload; CRC of everything before.

use super::{FRAME_BYTES_MAX, Frame};
use crate::ProviderError;

const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;

#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, ProviderError> {
        self.bytes.extend_from_slice(bytes);
        let mut frames = Vec::new();
        let mut read = 0;
        while let Some(length) = whole(self.bytes.get(read..).unwrap_or_default())? {
            frames.push(parse(self.bytes.get(read..read + length).unwrap_or_default())?);
            read += length;
        }
        self.bytes.drain(..read);
        Ok(frames)
    }

    pub fn finish(&mut self) -> Result<Vec<Frame>, ProviderError> {
        match self.bytes.is_empty() {
            true => Ok(Vec::new()),
            false => Err(ProviderError::new(crate::Kind::Truncated, "the stream ended inside a frame")),
        }
    }
}

/// The length of the first frame, if all of it is there. A length is believed only after its checksum.
fn whole(bytes: &[u8]) -> Result<Option<usize>, ProviderError> {
    let (Some(length), Some(checksum)) = (number(bytes, 0), number(bytes, 8)) else {
        return Ok(None);
    };
    if bytes.get(..8).map(crc32fast::hash) != Some(checksum) {
        return Err(ProviderError::malformed("the checksum of a frame's head is wrong"));
    }
    let length = length as usize;
    if !(PRELUDE_BYTES + CHECKSUM_BYTES..=FRAME_BYTES_MAX).contains(&length) {
        return Err(ProviderError::malformed("a frame of the stream has an impossible length"));
    }
    Ok((bytes.len() >= length).then_some(length))
}

fn parse(frame: &[u8]) -> Result<Frame, ProviderError> {
    let wrong = || ProviderError::malformed("a frame of the stream is malformed");
    let end = frame.len() - CHECKSUM_BYTES;
    if frame.get(..end).map(crc32fast::hash) != number(frame, end) {
        return Err(ProviderError::malformed("the checksum of a frame is wrong"));
    }
    let headers_end = PRELUDE_BYTES + number(frame, 4).ok_or_else(wrong)? as usize;
    let headers = frame.get(PRELUDE_BYTES..headers_end.min(end)).ok_or_else(wrong)?;
    let payload = frame.get(headers_end..end).ok_or_else(wrong)?;
    let data = std::str::from_utf8(payload).map_err(|_| wrong())?.to_owned();
    let name = name(headers).ok_or_else(wrong)?;
    Ok(Frame { name, data })
}

/// The type of the event or of the exception, which are told apart by how they are written: exceptions end with `Exception`.
fn name(mut headers: &[u8]) -> Option<String> {
    let mut found = String::new();
    while let Some((&length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (&kind, rest) = rest.split_first()?;
        let (length, rest) = match kind {
            0 | 1 => (0, rest),
            2 => (1, rest),
            3 => (2, rest),
            4 => (4, rest),
            5 | 8 => (8, rest),
            6 | 7 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            9 => (16, rest),
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        if kind == 7 && matches!(name, b":event-type" | b":exception-type" | b":error-code") {
            found = std::str::from_utf8(value).ok()?.to_owned();
        }
        headers = rest;
    }
    Some(found)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
        let length = (PRELUDE_BYTES + headers.len() + payload.len() + CHECKSUM_BYTES) as u32;
        let mut frame = [length.to_be_bytes(), (headers.len() as u32).to_be_bytes()].concat();
        frame.extend(crc32fast::hash(&frame).to_be_bytes());
        frame.extend_from_slice(headers);
        frame.extend_from_slice(payload);
        frame.extend(crc32fast::hash(&frame).to_be_bytes());
        frame
    }

    /// A header of each type before the one that counts.
    fn headers() -> Vec<u8> {
        let mut headers = Vec::new();
        let sizes = [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)];
        for (kind, size) in sizes {
            headers.extend([1, b'h', kind]);
            headers.extend(vec![0; size]);
        }
        headers.extend([1, b'b', 6, 0, 2, 7, 7]);
        headers.extend([11]);
        headers.extend(b":event-type\x07\x00\x04stop");
        headers
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let bytes = [frame(&headers(), "{\"ü\":1}".as_bytes()), frame(&[], b"")].concat();
        for cut in 0..=bytes.len() {
            let (one, other) = bytes.split_at(cut);
            let mut decoder = Frames::default();
            let mut frames = decoder.push(one).expect("frames");
            frames.extend(decoder.push(other).expect("frames"));
            assert_eq!(decoder.finish(), Ok(Vec::new()));
            let names: Vec<_> = frames.iter().map(|frame| (frame.name.as_str(), frame.data.as_str())).collect();
            assert_eq!(names, [("stop", "{\"ü\":1}"), ("", "")], "cut at {cut}");
        }
    }

    #[test]
    fn flipped_bit_is_found_wherever_it_is() {
        let good = frame(&headers(), b"{}");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(Frames::default().push(&bad).expect_err("a checksum").kind, Kind::Malformed, "byte {at}");
        }
    }

    #[test]
    fn impossible_lengths_are_malformed() {
        for (length, headers) in [(15_u32, 0_u32), (u32::MAX, 0), (16, 1), (16, u32::MAX)] {
            let mut bytes = [length.to_be_bytes(), headers.to_be_bytes()].concat();
            bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
            bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
            assert!(Frames::default().push(&bytes).is_err(), "{length} {headers}");
        }
        assert!(Frames::default().push(&frame(&[5, b'x'], b"")).is_err(), "a header that ends early");
    }

    #[test]
    fn end_inside_a_frame_is_truncated() {
        let mut decoder = Frames::default();
        decoder.push(&frame(&[], b"{}")[..10]).expect("nothing yet");
        assert_eq!(decoder.finish().expect_err("cut").kind, Kind::Truncated);
    }
}
