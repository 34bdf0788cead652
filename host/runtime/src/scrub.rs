//! Takes what must not be seen out of texts and streams. Which needles there are, and in which spellings, is for whoever makes them; of a
//! stream no more is held back than may be the beginning of one.

use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is shown where nothing better can be.
pub const MASK: &str = "******";

/// One spelling of what must not be seen, and what is shown in its place.
#[derive(Clone)]
pub struct Needle {
    /// Its bytes. They may be a secret: there is no `Debug`.
    pub hidden: Vec<u8>,
    /// What takes their place.
    pub shown: Vec<u8>,
    /// Set when it was met.
    pub met: Arc<AtomicBool>,
}

/// All that must not be seen.
#[derive(Clone, Default)]
pub struct Needles {
    /// Longest first: of two that begin alike, the longer one is meant.
    all: Vec<Needle>,
}

impl Needles {
    /// Without those that hide nothing, and each once.
    pub fn new(needles: impl IntoIterator<Item = Needle>) -> Self {
        let mut all: Vec<Needle> = needles.into_iter().filter(|needle| !needle.hidden.is_empty()).collect();
        all.sort_by(|left, right| right.hidden.len().cmp(&left.hidden.len()).then(left.hidden.cmp(&right.hidden)));
        all.dedup_by(|left, right| left.hidden == right.hidden);
        Self { all }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if other.is_empty() { self } else { Self::new(self.all.into_iter().chain(other.all)) }
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The bytes without what must not be seen; `None`: they had none of it.
    pub fn hide(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut scrubber = Scrubber::new(self.clone());
        let mut seen = scrubber.pass(bytes).to_vec();
        seen.extend_from_slice(&scrubber.rest());
        scrubber.found.then_some(seen)
    }

    /// The text without what must not be seen. Needles are text, so what is left is.
    pub fn hide_in(&self, text: &str) -> Option<String> {
        self.hide(text.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn begins(&self, byte: u8) -> bool {
        self.all.iter().any(|needle| needle.hidden.first() == Some(&byte))
    }
}

/// Scrubs what goes by in pieces.
pub(crate) struct Scrubber {
    needles: Needles,
    /// Which bytes a needle begins with: most bytes of most answers begin none.
    begins: [bool; 256],
    held: BytesMut,
    found: bool,
}

/// What is known of a place in a stream.
enum Place {
    Plain,
    /// A needle of this length.
    Needle(usize, Vec<u8>),
    /// Maybe, once more has come.
    Open,
}

impl Scrubber {
    pub(crate) fn new(needles: Needles) -> Self {
        let begins = std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(|byte| needles.begins(byte)));
        Self { needles, begins, held: BytesMut::new(), found: false }
    }

    /// The next piece, and what of all so far may be seen.
    pub(crate) fn pass(&mut self, piece: &[u8]) -> Bytes {
        self.held.extend_from_slice(piece);
        self.look(false)
    }

    /// What was held back, once nothing comes any more.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.look(true)
    }

    fn look(&mut self, ended: bool) -> Bytes {
        let mut seen = BytesMut::with_capacity(self.held.len());
        let mut at = 0;
        while let Some(byte) = self.held.get(at) {
            if !self.begins.get(usize::from(*byte)).is_some_and(|begins| *begins) {
                seen.extend_from_slice(&[*byte]);
                at += 1;
                continue;
            }
            match self.place(self.held.get(at..).unwrap_or_default(), ended) {
                Place::Open => break,
                Place::Needle(length, shown) => {
                    seen.extend_from_slice(&shown);
                    at += length;
                    self.found = true;
                }
                Place::Plain => {
                    seen.extend_from_slice(&[*byte]);
                    at += 1;
                }
            }
        }
        let _ = self.held.split_to(at);
        seen.freeze()
    }

    fn place(&self, rest: &[u8], ended: bool) -> Place {
        for needle in &self.needles.all {
            if rest.starts_with(&needle.hidden) {
                needle.met.store(true, Ordering::Relaxed);
                return Place::Needle(needle.hidden.len(), needle.shown.clone());
            }
            if !ended && needle.hidden.starts_with(rest) {
                return Place::Open;
            }
        }
        Place::Plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needles(pairs: &[(&str, &str)]) -> Needles {
        let needle = |(hidden, shown): &(&str, &str)| Needle {
            hidden: (*hidden).into(),
            shown: (*shown).into(),
            met: Arc::default(),
        };
        Needles::new(pairs.iter().map(needle))
    }

    #[test]
    fn needles_are_hidden_in_pieces_of_any_size() {
        let check = |pairs: &[(&str, &str)], text: &str, expected: &str| {
            for size in 1..=text.len() {
                let mut scrubber = Scrubber::new(needles(pairs));
                let mut seen = Vec::new();
                for piece in text.as_bytes().chunks(size) {
                    seen.extend_from_slice(&scrubber.pass(piece));
                }
                seen.extend_from_slice(&scrubber.rest());
                assert_eq!(String::from_utf8(seen).expect("text"), expected, "{size}");
            }
        };
        check(&[("hunter2", "X")], "a hunter2 hunter hunthunter2", "a X hunter huntX");
        check(&[("abc", "1"), ("abcdef", "2")], "abcdef abcde abc", "2 1de 1");
        check(&[("aab", "X")], "aaab aaa", "aX aaa");
        check(&[], "nothing is hidden", "nothing is hidden");
    }

    #[test]
    fn only_what_may_match_is_held_back() {
        let mut scrubber = Scrubber::new(needles(&[("secret", "X")]));
        assert_eq!(scrubber.pass(b"all of it "), "all of it ");
        assert_eq!(scrubber.pass(b"and sec"), "and ");
        assert_eq!(scrubber.pass(b"ond"), "second");
    }

    #[test]
    fn texts_without_needles_are_left_alone() {
        let one = needles(&[("secret", "X")]).and(needles(&[("word", "Y")]));
        assert_eq!(one.hide_in("a secret word").as_deref(), Some("a X Y"));
        assert_eq!(one.hide_in("nothing"), None);
        assert!(needles(&[("", "X")]).is_empty());
    }
}
