//! Keys as bytes that sort as their parts do. Stored by the embedded backend: the encoding never changes.
//!
//! Text: its bytes, with 0 written as `00 ff`, ended by `00 01`; so a text sorts before every longer one that begins
//! with it. Numbers: big-endian. Times: nanoseconds in 96 bits, shifted so that they sort as unsigned; "newest
//! first" is their complement.

use jiff::Timestamp;
use smallvec::SmallVec;

/// A key. Nearly all are so short that they are kept in place: a search through many then stays within the nodes of the tree.
pub type KeyBuf = SmallVec<[u8; IN_PLACE]>;

const IN_PLACE: usize = 40;

/// A key of bytes. `from` and `clone` of a small vector copy byte by byte, which is what lists would spend their time on.
pub fn key_of(bytes: &[u8]) -> KeyBuf {
    KeyBuf::from_slice(bytes)
}

/// A key being written.
#[derive(Clone, Debug)]
pub struct KeyBytes(KeyBuf);

const TEXT_END: [u8; 2] = [0, 1];
const TEXT_ZERO: [u8; 2] = [0, 0xff];

impl KeyBytes {
    /// Begins with a tag.
    pub fn new(tag: u8) -> Self {
        Self::suffix().byte(tag)
    }

    /// Begins with nothing: what stands after a prefix.
    pub fn suffix() -> Self {
        Self(KeyBuf::new())
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn byte(mut self, byte: u8) -> Self {
        self.push(&[byte]);
        self
    }

    pub fn u32(mut self, number: u32) -> Self {
        self.push(&number.to_be_bytes());
        self
    }

    pub fn u64(mut self, number: u64) -> Self {
        self.push(&number.to_be_bytes());
        self
    }

    /// A whole text.
    pub fn text(self, text: &str) -> Self {
        let mut this = self.text_start(text);
        this.push(&TEXT_END);
        this
    }

    /// What every text that begins so begins with.
    pub fn text_start(mut self, text: &str) -> Self {
        // Hardly any text has a zero: then all of it is one part.
        for (number, part) in text.as_bytes().split(|byte| *byte == 0).enumerate() {
            if number > 0 {
                self.push(&TEXT_ZERO);
            }
            self.push(part);
        }
        self
    }

    /// A time, oldest first.
    pub fn oldest(self, at: Timestamp) -> Self {
        self.raw(&nanos(at))
    }

    /// A time, newest first.
    pub fn newest(self, at: Timestamp) -> Self {
        self.raw(&nanos(at).map(|byte| !byte))
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.push(bytes);
        self
    }

    pub fn done(self) -> KeyBuf {
        self.0
    }

    pub fn into_vec(self) -> Vec<u8> {
        self.0.into_vec()
    }
}

fn nanos(at: Timestamp) -> [u8; 12] {
    // 80 bits hold every timestamp; half of 96 makes the earliest positive.
    let [_, _, _, _, bytes @ ..] = (at.as_nanosecond() + (1 << 95)).to_be_bytes();
    bytes
}

/// The first key after all that begin with `prefix`; `None`: there is none.
pub fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// How long the first `count` texts of a key are, their ends included.
pub fn texts_len(key: &[u8], count: usize) -> Option<usize> {
    let mut at = 0;
    for _ in 0..count {
        at += key.get(at..)?.windows(2).position(|pair| pair == TEXT_END)? + TEXT_END.len();
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        KeyBytes::suffix().text(text).into_vec()
    }

    #[test]
    fn texts_sort_as_texts() {
        let sorted = ["", "\0", "\0\u{1}", "\0a", "a", "a\0", "a\0b", "a\u{1}", "ab", "b", "é"];
        for pair in sorted.windows(2) {
            assert!(text(pair[0]) < text(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn long_keys_are_as_short_ones() {
        for len in [0, 1, IN_PLACE - 3, IN_PLACE - 2, IN_PLACE - 1, IN_PLACE, IN_PLACE + 1, 3 * IN_PLACE] {
            let text = "x".repeat(len);
            let key = KeyBytes::new(9).text(&text).u32(7);
            let expected = [&[9][..], text.as_bytes(), &TEXT_END, &7_u32.to_be_bytes()].concat();
            assert_eq!((&*key.clone().done(), key.into_vec()), (&*expected, expected.clone()));
        }
    }

    #[test]
    fn texts_are_told_apart_from_what_follows() {
        let key = KeyBytes::suffix().text("a\0b").text("").text("c").byte(7).into_vec();
        assert_eq!(texts_len(&key, 3), Some(key.len() - 1));
        assert_eq!(texts_len(&key, 4), None);
    }

    #[test]
    fn times_sort_both_ways() {
        let times: Vec<Timestamp> = [-377_705_000_000_000_000_000, -1, 0, 1, 999, 253_402_000_000_000_000_000i128]
            .into_iter()
            .map(|at| Timestamp::from_nanosecond(at).unwrap())
            .collect();
        for pair in times.windows(2) {
            assert!(KeyBytes::suffix().oldest(pair[0]).done() < KeyBytes::suffix().oldest(pair[1]).done());
            assert!(KeyBytes::suffix().newest(pair[0]).done() > KeyBytes::suffix().newest(pair[1]).done());
        }
    }

    #[test]
    fn end_of_a_prefix() {
        assert_eq!(after_prefix(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after_prefix(&[1, 0xff]), Some(vec![2]));
        assert_eq!(after_prefix(&[0xff, 0xff]), None);
    }
}
