//! The tape of a run: every host call in order. Today it counts and keeps a running digest; recording hangs in here later.
//!
//! Nothing is ever put on a tape in the clear: arguments and results arrive as bytes to be digested.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Which host call. Both names as WIT has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// `sluice:host/kv`, `wasi:http/outgoing-handler`, …
    pub interface: &'static str,
    /// `get`, `handle`, …
    pub function: &'static str,
}

impl Call {
    /// A call by its names.
    pub const fn new(interface: &'static str, function: &'static str) -> Self {
        Self { interface, function }
    }
}

/// What the tape of a run says in short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TapeSummary {
    /// Host calls in all.
    pub calls: u64,
    /// Host calls by `interface#function`.
    pub by_function: BTreeMap<String, u64>,
    /// Over all (number, interface, function, digest of arguments, of result, of bodies), in hexadecimal. Calls are numbered as the guest
    /// made them; when their answers came makes no difference.
    pub digest: String,
}

/// One call's place on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence(u64);

#[derive(Default)]
struct Inner {
    next: u64,
    counts: BTreeMap<Call, u64>,
    sum: [u8; 32],
}

impl Inner {
    /// Adds an entry; the order of entries makes no difference, for each carries its number.
    fn add(&mut self, sequence: u64, parts: &[&[u8]]) {
        let mut hasher = Sha256::new();
        hasher.update(sequence.to_le_bytes());
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        for (sum, byte) in self.sum.iter_mut().zip(hasher.finalize()) {
            *sum ^= byte;
        }
    }
}

/// The recorder of one run. Shared by everything that answers the guest.
#[derive(Default)]
pub(crate) struct Tape(Mutex<Inner>);

impl Tape {
    /// A call begins. `arguments` are digested in order, each with its length.
    pub(crate) fn begin(&self, call: Call, arguments: &[&[u8]]) -> Sequence {
        let digest = digest_of(arguments);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = inner.next;
        inner.next += 1;
        *inner.counts.entry(call).or_default() += 1;
        inner.add(sequence, &[b"call", call.interface.as_bytes(), call.function.as_bytes(), &digest]);
        Sequence(sequence)
    }

    /// A call ended with this result.
    pub(crate) fn end(&self, Sequence(sequence): Sequence, result: &[&[u8]]) {
        let digest = digest_of(result);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(sequence, &[b"result", &digest]);
    }

    /// A streamed body of a call ended; `digest` is over its bytes.
    pub(crate) fn body(&self, Sequence(sequence): Sequence, which: &[u8], digest: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(sequence, &[b"body", which, digest]);
    }

    /// What was on it so far.
    pub(crate) fn summary(&self) -> TapeSummary {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        TapeSummary {
            calls: inner.next,
            by_function: inner
                .counts
                .iter()
                .map(|(call, count)| (format!("{}#{}", call.interface, call.function), *count))
                .collect(),
            digest: hex(&inner.sum),
        }
    }
}

fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Call = Call::new("sluice:host/kv", "get");

    #[test]
    fn same_calls_give_the_same_digest() {
        let of = |argument: &[u8], result: &[u8]| {
            let tape = Tape::default();
            let sequence = tape.begin(GET, &[argument]);
            tape.end(sequence, &[result]);
            tape.summary()
        };
        assert_eq!(of(b"a", b"1"), of(b"a", b"1"));
        assert_ne!(of(b"a", b"1").digest, of(b"a", b"2").digest);
        assert_ne!(of(b"a", b"1").digest, of(b"b", b"1").digest);
        assert_eq!(of(b"a", b"1").by_function.get("sluice:host/kv#get"), Some(&1));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(digest_of(&[b"ab", b"c"]), digest_of(&[b"a", b"bc"]));
    }
}
