//! Packets of git's protocol, as far as faults have to know them: where one ends, and which bytes of an answer are the pack.

/// The longest packet, its length included.
pub(super) const PACKET_MAX: usize = 65_520;
/// What a packet of a band carries at most: length and band go off.
const BAND_MAX: usize = PACKET_MAX - 5;
/// Between lists.
pub(super) const FLUSH: &[u8] = b"0000";

/// A packet.
pub(super) fn packet(payload: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", payload.len() + 4).into_bytes();
    packet.extend_from_slice(payload);
    packet
}

/// Bytes on a band: 1 is the pack, 2 is for people, 3 is an error.
pub(super) fn banded(band: u8, bytes: &[u8]) -> Vec<u8> {
    bytes.chunks(BAND_MAX).flat_map(|chunk| packet(&[&[band], chunk].concat())).collect()
}

/// What the first packet is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First<'a> {
    /// More bytes are needed.
    Partial,
    Packet(&'a [u8], &'a [u8]),
    /// One that is only a length, `0000` as a rule, and what follows it.
    Special(&'a [u8]),
    /// These are no packets.
    Foreign,
}

/// Takes a packet off.
pub(super) fn first(bytes: &[u8]) -> First<'_> {
    let Some((length, rest)) = bytes.split_at_checked(4) else { return First::Partial };
    match parsed(length) {
        None => First::Foreign,
        Some(length) if length < 4 => First::Special(rest),
        Some(length) => match rest.split_at_checked(length - 4) {
            None => First::Partial,
            Some((payload, rest)) => First::Packet(payload, rest),
        },
    }
}

fn parsed(length: &[u8]) -> Option<usize> {
    let length = usize::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()?;
    (length <= PACKET_MAX).then_some(length)
}

/// Turns one byte of the pack around in an answer that goes by piece by piece.
pub(super) struct Flip {
    /// Which byte, counted from the pack's first.
    at: u64,
    seen: u64,
    place: Place,
}

/// Where in an answer the next byte is.
enum Place {
    Length(Vec<u8>),
    /// The first byte of a packet says what the others are.
    First(usize),
    Other(usize),
    Pack(usize),
    /// A pack that is in no packets: nobody asked for bands.
    Bare,
}

impl Flip {
    pub fn new(at: u64) -> Self {
        Self { at, seen: 0, place: Place::Length(Vec::new()) }
    }

    pub fn apply(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.step(byte);
        }
    }

    fn step(&mut self, byte: &mut u8) {
        let place = std::mem::replace(&mut self.place, Place::Bare);
        self.place = match place {
            Place::Length(mut length) => {
                length.push(*byte);
                self.lengthened(length)
            }
            // Lines of text begin with a letter.
            Place::First(left) if *byte == 1 => next(Place::Pack, left),
            Place::First(left) | Place::Other(left) => next(Place::Other, left),
            Place::Pack(left) => {
                self.pass(byte);
                next(Place::Pack, left)
            }
            Place::Bare => {
                self.pass(byte);
                Place::Bare
            }
        };
    }

    fn lengthened(&mut self, length: Vec<u8>) -> Place {
        if length.len() < 4 {
            return Place::Length(length);
        }
        match parsed(&length) {
            Some(length) if length > 4 => Place::First(length - 4),
            Some(_) => Place::Length(Vec::new()),
            None => {
                self.seen = 4;
                Place::Bare
            }
        }
    }

    fn pass(&mut self, byte: &mut u8) {
        if self.seen == self.at {
            *byte ^= 0x55;
        }
        self.seen += 1;
    }
}

/// The place after one more of so many bytes.
fn next(place: fn(usize) -> Place, left: usize) -> Place {
    match left {
        0 | 1 => Place::Length(Vec::new()),
        left => place(left - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where an answer differs once a byte of its pack is turned around, whatever pieces it comes in.
    fn flipped(answer: &[u8], at: u64) -> Vec<usize> {
        let mut found = None;
        for size in [1, 3, answer.len()] {
            let (mut changed, mut flip) = (answer.to_vec(), Flip::new(at));
            changed.chunks_mut(size).for_each(|piece| flip.apply(piece));
            let places: Vec<usize> = (0..answer.len()).filter(|at| changed[*at] != answer[*at]).collect();
            assert_eq!(*found.get_or_insert(places.clone()), places);
        }
        found.expect("it was tried")
    }

    #[test]
    fn bytes_of_the_pack_are_counted_through_packets() {
        let packets = [packet(b"packfile\n"), banded(2, b"Counting"), banded(1, b"PACK"), banded(1, b"xy")].concat();
        let answer = [&packets, FLUSH].concat();
        let place = |what: &[u8]| answer.windows(what.len()).position(|window| window == what).expect("it is there");
        assert_eq!(flipped(&answer, 0), [place(b"PACK")]);
        assert_eq!(flipped(&answer, 3), [place(b"PACK") + 3]);
        assert_eq!(flipped(&answer, 5), [place(b"xy") + 1]);
        assert_eq!(flipped(&answer, 6), [0; 0]);
    }

    #[test]
    fn bare_packs_are_counted_too() {
        assert_eq!(flipped(b"0008NAK\nPACK1234", 6), [14]);
    }

    #[test]
    fn first_packet_is_taken_off() {
        assert_eq!(first(b"0006hirest"), First::Packet(b"hi", b"rest"));
        assert_eq!(first(b"0000rest"), First::Special(b"rest"));
        assert_eq!(first(b"0006h"), First::Partial);
        assert_eq!(first(b"\x1f\x8bzz"), First::Foreign);
    }
}
