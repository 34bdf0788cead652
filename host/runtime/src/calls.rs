//! The one place every host call passes: the granter is asked, the tape turns, then the work is done.
//!
//! A host function that answers a guest without going through here is a bug: rehearsal could not replay it.

use crate::grants::{Grants, Need};
use crate::limits::Limits;
use crate::request::{Cancel, Facts};
use crate::services::{HostError, Services};
use crate::sink::{Level, Line, Sink};
use crate::tape::{Call, Sequence, Tape};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

/// What a run's parts mark while it goes on, readable after the store is gone.
#[derive(Default)]
pub(crate) struct Marks {
    pub(crate) memory_peak: AtomicU64,
    pub(crate) memory_refused: AtomicU64,
    pub(crate) table_refused: AtomicU64,
    pub(crate) ticks: AtomicU64,
    pub(crate) log_lines: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) log_dropped: AtomicU64,
    pub(crate) metrics: AtomicU64,
    pub(crate) progress: AtomicU64,
    pub(crate) ends_in_warning: AtomicBool,
    pub(crate) http_requests: AtomicU64,
    pub(crate) http_bytes_out: AtomicU64,
    pub(crate) http_bytes_in: AtomicU64,
    pub(crate) processes: AtomicU64,
    pub(crate) working_dir_bytes: AtomicU64,
    pub(crate) working_dir_entries: AtomicU64,
    pub(crate) storage_bytes: AtomicU64,
    pub(crate) storage_files: AtomicU64,
}

/// What everything that answers one run shares.
pub(crate) struct Shared {
    pub(crate) facts: Facts,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Limits,
    pub(crate) services: Arc<dyn Services>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) cancel: Cancel,
    pub(crate) deadline: Option<Instant>,
    pub(crate) working_dir: Option<std::path::PathBuf>,
    pub(crate) tape: Tape,
    pub(crate) marks: Marks,
    stderr_tail: Mutex<VecDeque<u8>>,
    last_denial: Mutex<Option<String>>,
}

/// Bytes of a result, for the tape.
pub(crate) trait Recorded {
    /// Feeds its bytes to `take`.
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R;
}

impl Shared {
    pub(crate) fn new(request: &mut crate::Request, deadline: Option<Instant>) -> Self {
        Self {
            facts: std::mem::take(&mut request.facts),
            grants: request.grants.clone(),
            limits: request.limits.clone(),
            services: request.services.clone(),
            sink: request.sink.clone(),
            cancel: request.cancel.clone(),
            deadline,
            working_dir: request.working_dir.clone(),
            tape: Tape::default(),
            marks: Marks::default(),
            stderr_tail: Mutex::default(),
            last_denial: Mutex::default(),
        }
    }

    /// Starts a call: the tape first, so that a refused call is on it too, then the granter.
    pub(crate) fn begin(&self, call: Call, arguments: &[&[u8]], need: Need<'_>) -> (Sequence, Result<(), HostError>) {
        let sequence = self.tape.begin(call, arguments);
        let allowed = self.grants.allow(&need).inspect_err(|denied| self.denied(&denied.message));
        (sequence, allowed)
    }

    /// A call that answers at once and needs nobody's leave.
    pub(crate) fn note<T: Recorded>(&self, call: Call, arguments: &[&[u8]], work: impl FnOnce() -> T) -> T {
        let sequence = self.tape.begin(call, arguments);
        let answer = work();
        answer.parts(|parts| self.tape.end(sequence, parts));
        answer
    }

    /// A call that may wait.
    pub(crate) async fn perform<T: Recorded>(
        &self,
        call: Call,
        arguments: &[&[u8]],
        need: Need<'_>,
        work: impl Future<Output = Result<T, HostError>>,
    ) -> Result<T, HostError> {
        let (sequence, allowed) = self.begin(call, arguments, need);
        let answer = match allowed {
            Ok(()) => work.await,
            Err(denied) => Err(denied),
        };
        match &answer {
            Ok(value) => value.parts(|parts| self.tape.end(sequence, parts)),
            Err(error) => self.tape.end(sequence, &[error.code.as_bytes(), error.message.as_bytes()]),
        }
        answer
    }

    /// Remembers and logs a refusal, so that a guest that swallows it leaves a trace.
    pub(crate) fn denied(&self, message: &str) {
        *self.last_denial.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.to_owned());
        self.log(Level::Warn, message.to_owned(), Vec::new());
    }

    pub(crate) fn last_denial(&self) -> Option<String> {
        self.last_denial.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One line to the sink, cut and counted.
    pub(crate) fn log(&self, level: Level, mut message: String, fields: Vec<(String, String)>) {
        cut(&mut message, self.limits.log_line_bytes);
        let size =
            message.len() as u64 + fields.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
        let lines = self.marks.log_lines.fetch_add(1, Ordering::Relaxed);
        let bytes = self.marks.log_bytes.fetch_add(size, Ordering::Relaxed);
        if lines >= self.limits.log_lines || bytes.saturating_add(size) > self.limits.log_bytes {
            self.marks.log_dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.sink.log(Line { level, message, fields, at: SystemTime::now() });
    }

    /// Keeps the last bytes of standard error.
    pub(crate) fn keep_stderr(&self, bytes: &[u8]) {
        let most = crate::limits::STDERR_TAIL_BYTES;
        let mut tail = self.stderr_tail.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = bytes.len().saturating_sub(most);
        let fresh = bytes.get(skip..).unwrap_or_default();
        let excess = (tail.len() + fresh.len()).saturating_sub(most);
        let excess = excess.min(tail.len());
        tail.drain(..excess);
        tail.extend(fresh);
    }

    /// The tail of standard error as text.
    pub(crate) fn stderr_tail(&self) -> String {
        let tail = self.stderr_tail.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = tail.iter().copied().collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    /// Time left of the wall clock.
    pub(crate) fn remaining(&self) -> Option<std::time::Duration> {
        self.deadline.map(|at| at.saturating_duration_since(Instant::now()))
    }
}

/// Cuts a text at a character boundary.
pub(crate) fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

impl Recorded for () {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&[])
    }
}
impl Recorded for bool {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&[&[u8::from(*self)]])
    }
}
impl Recorded for u32 {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&[&self.to_le_bytes()])
    }
}
impl Recorded for i32 {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&[&self.to_le_bytes()])
    }
}
impl Recorded for u64 {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&[&self.to_le_bytes()])
    }
}
impl Recorded for String {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&[self.as_bytes()])
    }
}
impl Recorded for Vec<u8> {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&[self])
    }
}
impl Recorded for (u8, Vec<u8>) {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&[&[self.0], &self.1])
    }
}
impl Recorded for Vec<String> {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&self.iter().map(String::as_bytes).collect::<Vec<_>>())
    }
}
impl<T: Recorded> Recorded for Option<T> {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        match self {
            Some(value) => value.parts(take),
            None => take(&[]),
        }
    }
}
/// A thing the guest only gets a handle of.
pub(crate) struct Opaque<T>(pub(crate) T);
impl<T> Recorded for Opaque<T> {
    fn parts<R>(&self, take: impl FnOnce(&[&[u8]]) -> R) -> R {
        take(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn cut_keeps_whole_characters() {
        let mut text = "aäb".to_owned();
        cut(&mut text, 2);
        assert_eq!(text, "a…");
        let mut short = "ab".to_owned();
        cut(&mut short, 2);
        assert_eq!(short, "ab");
    }
}
