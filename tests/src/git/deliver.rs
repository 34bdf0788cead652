//! What happens to the body of an answer on its way out, and bodies that git would never send. Nothing is kept but the piece that goes by.

use std::sync::Arc;

use axum::body::Bytes;
use futures::StreamExt as _;
use futures::stream;

use super::faults::{Endless, Fault, Gate};
use super::packets::{FLUSH, Flip, banded, packet};
use super::requests::Chunks;

/// Where an answer without an end ends nevertheless, in bytes: far above what a client may take, far below what a disk has.
const ENDLESS_MAX: u64 = 1 << 30;
/// How much of one comes at a time.
const PIECE_BYTES: usize = 32 << 10;

/// A body with the faults that bodies have.
pub(super) fn faulty(mut body: Chunks, faults: &[Fault], gate: &Gate) -> Chunks {
    for fault in faults {
        body = match fault {
            Fault::Cut(after) => cut(body, *after, End::Broken),
            Fault::Short(after) => cut(body, *after, End::Clean),
            Fault::Flip(at) => flipped(body, *at),
            Fault::Drip => dripped(body),
            Fault::Hang(after) => held(body, *after, gate.clone()),
            _ => body,
        };
    }
    body
}

#[derive(Clone, Copy)]
enum End {
    Broken,
    Clean,
}

fn cut(body: Chunks, after: u64, end: End) -> Chunks {
    let cut = stream::unfold(Some((body, after)), move |state| async move {
        let (mut body, left) = state?;
        if left == 0 {
            // What was sent before is to be on its way.
            tokio::task::yield_now().await;
            return match end {
                End::Broken => Some((Err(std::io::Error::other("the answer was cut off")), None)),
                End::Clean => None,
            };
        }
        let mut chunk = match body.next().await? {
            Ok(chunk) => chunk,
            Err(error) => return Some((Err(error), None)),
        };
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - chunk.len() as u64;
        Some((Ok(chunk), Some((body, left))))
    });
    cut.boxed()
}

fn flipped(body: Chunks, at: u64) -> Chunks {
    let mut flip = Flip::new(at);
    let flipped = body.map(move |chunk| {
        let mut bytes = chunk?.to_vec();
        flip.apply(&mut bytes);
        Ok(Bytes::from(bytes))
    });
    flipped.boxed()
}

fn dripped(body: Chunks) -> Chunks {
    let drops = body.flat_map(|chunk| {
        let (bytes, error) = match chunk {
            Ok(bytes) => (bytes, None),
            Err(error) => (Bytes::new(), Some(error)),
        };
        let drops = (0..bytes.len()).map(move |at| Ok(bytes.slice(at..=at)));
        stream::iter(drops.chain(error.map(Err)))
    });
    let drops = drops.then(|drop| async {
        // Each is on its way before the next one comes.
        tokio::task::yield_now().await;
        drop
    });
    drops.boxed()
}

fn held(body: Chunks, after: u64, gate: Gate) -> Chunks {
    let held = stream::unfold((body, Some(after)), move |(mut body, left)| {
        let gate = gate.clone();
        async move {
            let left = match left {
                Some(0) => {
                    gate.pass().await;
                    None
                }
                left => left,
            };
            let chunk = body.next().await?;
            let (Some(left), Ok(bytes)) = (left, &chunk) else { return Some((chunk, (body, left))) };
            let now = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let (begin, rest) = (bytes.slice(..now), bytes.slice(now..));
            let body = stream::iter((!rest.is_empty()).then_some(Ok(rest))).chain(body).boxed();
            Some((Ok(begin), (body, Some(left - now as u64))))
        }
    });
    held.boxed()
}

/// How an answer to `fetch` says that a pack comes.
fn begin(is_v2: bool) -> Vec<u8> {
    packet(if is_v2 { b"packfile\n" } else { b"NAK\n" })
}

/// An answer to `fetch` that is this pack.
pub(super) fn pack(pack: &Arc<Vec<u8>>, is_v2: bool) -> Chunks {
    let (pack, whole) = (pack.clone(), pack.len());
    let pieces = (0..whole.div_ceil(PIECE_BYTES)).map(move |at| {
        let from = at * PIECE_BYTES;
        banded(1, pack.get(from..whole.min(from + PIECE_BYTES)).unwrap_or_default())
    });
    let pieces = [begin(is_v2)].into_iter().chain(pieces).chain([FLUSH.to_vec()]);
    stream::iter(pieces.map(|piece| Ok(Bytes::from(piece)))).boxed()
}

/// An answer to `fetch` that goes on until nobody listens.
pub(super) fn endless(endless: Endless, is_v2: bool) -> Chunks {
    let zeros = vec![0; PIECE_BYTES];
    // Version 2, one object.
    let header = b"PACK\x00\x00\x00\x02\x00\x00\x00\x01".to_vec();
    let (first, again) = match endless {
        Endless::Zeros => (banded(1, &header), banded(1, &zeros)),
        Endless::Blob => {
            let first = [header, object_header(3, u64::MAX >> 8), vec![0x78, 0x01]].concat();
            // A stored block that is not the last one: its length, and the length's complement.
            let block = [&[0x00, 0x00, 0x80, 0xff, 0x7f], zeros.as_slice()].concat();
            (banded(1, &first), banded(1, &block))
        }
        Endless::Progress => (Vec::new(), banded(2, b"remote: Counting objects\r").repeat(PIECE_BYTES / 32)),
    };
    let again = Bytes::from(again);
    let times = ENDLESS_MAX / PIECE_BYTES as u64;
    let first = [begin(is_v2), first].concat();
    let pieces = [Bytes::from(first)].into_iter().chain((0..times).map(move |_| again.clone()));
    stream::iter(pieces.map(Ok)).boxed()
}

/// Kind and length of an object in a pack.
fn object_header(kind: u8, mut length: u64) -> Vec<u8> {
    let mut bytes = vec![(kind << 4) | (length & 0x0f) as u8];
    length >>= 4;
    while length > 0 {
        if let Some(last) = bytes.last_mut() {
            *last |= 0x80;
        }
        bytes.push((length & 0x7f) as u8);
        length >>= 7;
    }
    bytes
}
