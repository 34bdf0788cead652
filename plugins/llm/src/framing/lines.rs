//! Bytes as lines, which end with LF, CR LF or CR. Text is only made of whole lines, so no letter is ever cut.

use super::FRAME_BYTES_MAX;
use crate::ProviderError;

#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_return: bool,
}

impl Lines {
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, ProviderError> {
        let mut lines = Vec::new();
        for &byte in bytes {
            let continues = std::mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n';
            match byte {
                b'\n' if continues => {}
                b'\n' | b'\r' => lines.push(self.take()?),
                _ if self.line.len() >= FRAME_BYTES_MAX => {
                    return Err(ProviderError::malformed("a line of the stream is too long"));
                }
                _ => self.line.push(byte),
            }
        }
        Ok(lines)
    }

    /// The last line, if nothing ended it.
    pub fn finish(&mut self) -> Result<Option<String>, ProviderError> {
        match self.line.is_empty() {
            true => Ok(None),
            false => self.take().map(Some),
        }
    }

    fn take(&mut self) -> Result<String, ProviderError> {
        String::from_utf8(std::mem::take(&mut self.line))
            .map_err(|_| ProviderError::malformed("a line of the stream is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_line_ends_one_line() {
        let text = "a\r\nü\rc\n\n\r\nd".as_bytes();
        for cut in 0..=text.len() {
            let (one, other) = text.split_at(cut);
            let mut decoder = Lines::default();
            let mut lines = decoder.push(one).expect("UTF-8");
            lines.extend(decoder.push(other).expect("UTF-8"));
            lines.extend(decoder.finish().expect("UTF-8"));
            assert_eq!(lines, ["a", "ü", "c", "", "", "d"], "cut at {cut}");
        }
    }

    #[test]
    fn broken_or_endless_line_is_malformed() {
        assert!(Lines::default().push(b"\xff\n").is_err());
        assert!(Lines::default().push(&vec![b'x'; FRAME_BYTES_MAX + 1]).is_err());
    }
}
