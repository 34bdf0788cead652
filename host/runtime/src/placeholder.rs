//! What stands for a secret while a guest has it: a word that survives URLs, headers, JSON and host names, and that the host finds again
//! wherever it turns up. Which secret it is, only the server knows.

use bytes::{Bytes, BytesMut};

/// What every placeholder begins with.
pub const PREFIX: &str = "sluicesecret";
/// Lower-case hexadecimal digits behind the prefix: 128 random bits.
pub const DIGITS: usize = 32;
/// Bytes of a placeholder.
pub const LENGTH: usize = PREFIX.len() + DIGITS;

/// The first text in these bytes that has the shape of a placeholder, from `from` on: where it begins.
pub fn find(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let found = rest.windows(LENGTH).position(is_placeholder)?;
    Some(from + found)
}

/// Whether these bytes have the shape of a placeholder.
pub fn is_placeholder(bytes: &[u8]) -> bool {
    bytes.strip_prefix(PREFIX.as_bytes()).is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(is_digit))
}

const fn is_digit(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Whether more bytes could make a placeholder of these.
fn may_begin(bytes: &[u8]) -> bool {
    let (word, digits) = bytes.split_at(bytes.len().min(PREFIX.len()));
    PREFIX.as_bytes().starts_with(word) && digits.len() < DIGITS && digits.iter().all(is_digit)
}

/// Looks for placeholders in what goes by in pieces, and holds back only what may be the beginning of one.
#[derive(Default)]
pub(crate) struct Watch {
    held: BytesMut,
}

impl Watch {
    /// The next piece: what may go on, or the placeholder that came to light. Nothing of it has gone on.
    pub(crate) fn pass(&mut self, piece: &Bytes) -> Result<Bytes, String> {
        if self.held.is_empty() && !piece.contains(&PREFIX.as_bytes()[0]) {
            return Ok(piece.clone());
        }
        self.held.extend_from_slice(piece);
        if let Some(at) = find(&self.held, 0) {
            let found = self.held.get(at..at + LENGTH).unwrap_or_default();
            return Err(String::from_utf8_lossy(found).into_owned());
        }
        let tail = self.held.len().saturating_sub(LENGTH - 1);
        let end = (tail..self.held.len()).find(|at| self.held.get(*at..).is_some_and(may_begin));
        Ok(self.held.split_to(end.unwrap_or(self.held.len())).freeze())
    }

    /// What was held back until the end.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.held.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "sluicesecret00112233445566778899aabbccddeeff";

    #[test]
    fn placeholders_are_found_in_pieces_of_any_size() {
        let text = format!("before sluicesecret s {ONE} after");
        for size in 1..text.len() {
            let (mut watch, mut passed) = (Watch::default(), Vec::new());
            let found = text.as_bytes().chunks(size).find_map(|piece| {
                watch.pass(&Bytes::copy_from_slice(piece)).map(|bytes| passed.extend_from_slice(&bytes)).err()
            });
            assert_eq!(found.as_deref(), Some(ONE), "{size}");
            assert!(b"before sluicesecret s ".starts_with(&passed), "{size}");
        }
    }

    #[test]
    fn everything_else_passes_whole() {
        let text = "sluice sluicesecretx sluicesecret0011 sluicesecret".repeat(3);
        for size in 1..60 {
            let (mut watch, mut passed) = (Watch::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                passed.extend_from_slice(&watch.pass(&Bytes::copy_from_slice(piece)).expect("none is in it"));
            }
            passed.extend_from_slice(&watch.rest());
            assert_eq!(String::from_utf8(passed).expect("text"), text, "{size}");
        }
    }
}
