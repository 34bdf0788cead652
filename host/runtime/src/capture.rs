//! Standard output and error of a guest: cut into lines, sent to the log, the tail of standard error kept for a failure.
//!
//! Writing never waits and never fails: what the log's quota refuses is counted and dropped.

use crate::calls::Shared;
use crate::sink::Level;
use crate::tape::Call;
use bytes::Bytes;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// What one `write` may carry: as much as a pipe of the operating system takes at once.
const WRITE_BYTES: usize = 64 << 10;

/// Which of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Error,
}

/// One captured stream. Clones write to the same line buffer.
#[derive(Clone)]
pub(crate) struct Capture(Arc<Lines>);

/// Its line buffer. What is left without a line end is sent when the run is over, however it ended.
struct Lines {
    stream: Stream,
    shared: Arc<Shared>,
    line: Mutex<Vec<u8>>,
}

impl Capture {
    pub(crate) fn new(stream: Stream, shared: Arc<Shared>) -> Self {
        Self(Arc::new(Lines { stream, shared, line: Mutex::default() }))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let rest = std::mem::take(self.line.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.send(&rest);
    }
}

impl Lines {
    fn take(&self, bytes: &[u8]) {
        const OUT: Call = Call::new("wasi:cli/stdout", "write");
        const ERROR: Call = Call::new("wasi:cli/stderr", "write");
        let call = match self.stream {
            Stream::Out => OUT,
            Stream::Error => ERROR,
        };
        self.shared.note(call, &[bytes], || {
            if self.stream == Stream::Error {
                self.shared.keep_stderr(bytes);
            }
            let most = self.shared.limits.log_line_bytes;
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                let whole = piece.last() == Some(&b'\n');
                let room = (most + 1).saturating_sub(line.len());
                line.extend_from_slice(piece.get(..piece.len().min(room)).unwrap_or_default());
                if whole {
                    self.send(&line);
                    line.clear();
                }
            }
        });
    }

    fn send(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        let (level, name) = match self.stream {
            Stream::Out => (Level::Info, "stdout"),
            Stream::Error => (Level::Warn, "stderr"),
        };
        if !text.is_empty() {
            self.shared.log(level, text.to_owned(), vec![("stream".to_owned(), name.to_owned())]);
        }
    }
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Capture {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
