//! What one run may use. Every number has a name and a reason; hitting one ends the run, never the process.

use crate::calls::Shared;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// 256 MiB over all memories of a run: a Python guest needs 60 MiB, and 64 runs at once must fit a small server.
pub const MEMORY_BYTES: usize = 256 << 20;
/// Elements over all tables of a run: a Python guest has 30 thousand, and an element costs 8 or 16 host bytes.
pub const TABLE_ELEMENTS: usize = 400_000;
/// Core instances of a run: a Python guest has 14, and composed components multiply.
pub const INSTANCES: usize = 200;
/// Linear memories of a run: one per composed component, with room.
pub const MEMORIES: usize = 32;
/// Tables of a run.
pub const TABLES: usize = 200;
/// An hour: a task that may run longer says so by its own timeout.
pub const WALL: Duration = Duration::from_secs(3600);
/// The input is properties, not data; data goes through files.
pub const INPUT_BYTES: usize = 16 << 20;
/// Outputs are kept with the execution and rendered later; data goes through files.
pub const OUTPUT_BYTES: usize = 1 << 20;
/// Lines of log a run may write before the rest is only counted.
pub const LOG_LINES: u64 = 20_000;
/// One line; the rest of it is cut.
pub const LOG_LINE_BYTES: usize = 16 << 10;
/// All lines of a run together.
pub const LOG_BYTES: u64 = 8 << 20;
/// Fields of a line, tags of a measurement.
pub const FIELDS: usize = 32;
/// Measurements of a run before the rest is only counted.
pub const METRICS: u64 = 10_000;
/// Progress notes of a run before the rest is dropped.
pub const PROGRESS: u64 = 10_000;
/// The tail of standard error kept for the failure: a panic and its backtrace fit.
pub const STDERR_TAIL_BYTES: usize = 4 << 10;
/// Bytes one host call may hand over (strings and lists together): a chunk of a file is 1 MiB at most, outputs too.
pub const CALL_BYTES: usize = 32 << 20;
/// Handles a guest may hold at once: streams, fields, requests.
pub const HANDLES: usize = 4_096;
/// Random bytes of one call.
pub const RANDOM_BYTES: u64 = 1 << 20;
/// One read of the internal storage.
pub const FILE_READ_BYTES: u32 = 1 << 20;
/// Bytes a run may write to its working directory, deleted ones too: a large repository several times over, and no disk.
pub const WORKING_DIR_BYTES: u64 = 8 << 30;
/// Files, folders and links a run may make in its working directory: a large repository has a hundred thousand.
pub const WORKING_DIR_ENTRIES: u64 = 500_000;
/// Bytes a run may write to the internal storage: what a disk of usual size has room for some times.
pub const STORAGE_BYTES: u64 = 16 << 30;
/// Files a run may make in the internal storage: as many as a task may leave values.
pub const STORAGE_FILES: u64 = 20_000;
/// Body of one request.
pub const HTTP_REQUEST_BYTES: u64 = 1 << 30;
/// Body of one response.
pub const HTTP_RESPONSE_BYTES: u64 = 1 << 30;
/// Requests of a run.
pub const HTTP_REQUESTS: u64 = 10_000;
/// Requests of a run at one time: as many as a browser opens to several hosts.
pub const HTTP_CONCURRENT: usize = 32;
/// Head of a request or response: names and values.
pub const HTTP_HEADER_BYTES: usize = 128 << 10;
/// Option sets of `egress.options` in one run: each may cost a client of its own.
pub const EGRESS_OPTIONS: usize = 16;
/// Programs running at once for one run.
pub const PROCESSES: usize = 8;

/// What one run may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes summed over all linear memories.
    pub memory_bytes: usize,
    /// Elements summed over all tables.
    pub table_elements: usize,
    /// Wall clock over instantiation, guest and host calls. `None`: no deadline.
    pub wall: Option<Duration>,
    /// Bytes of the input.
    pub input_bytes: usize,
    /// Bytes of the outputs.
    pub output_bytes: usize,
    /// Lines of log.
    pub log_lines: u64,
    /// Bytes of one line.
    pub log_line_bytes: usize,
    /// Bytes of all lines.
    pub log_bytes: u64,
    /// Bytes one host call may hand over.
    pub call_bytes: usize,
    /// Handles at once.
    pub handles: usize,
    /// Random bytes of one call.
    pub random_bytes: u64,
    /// Bytes written to the working directory.
    pub working_dir_bytes: u64,
    /// Entries made in the working directory.
    pub working_dir_entries: u64,
    /// Bytes written to the internal storage.
    pub storage_bytes: u64,
    /// Files made in the internal storage.
    pub storage_files: u64,
    /// Body of one request.
    pub http_request_bytes: u64,
    /// Body of one response.
    pub http_response_bytes: u64,
    /// Requests of the run.
    pub http_requests: u64,
    /// Requests at one time.
    pub http_concurrent: usize,
    /// Programs at one time.
    pub processes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: MEMORY_BYTES,
            table_elements: TABLE_ELEMENTS,
            wall: Some(WALL),
            input_bytes: INPUT_BYTES,
            output_bytes: OUTPUT_BYTES,
            log_lines: LOG_LINES,
            log_line_bytes: LOG_LINE_BYTES,
            log_bytes: LOG_BYTES,
            call_bytes: CALL_BYTES,
            handles: HANDLES,
            random_bytes: RANDOM_BYTES,
            working_dir_bytes: WORKING_DIR_BYTES,
            working_dir_entries: WORKING_DIR_ENTRIES,
            storage_bytes: STORAGE_BYTES,
            storage_files: STORAGE_FILES,
            http_request_bytes: HTTP_REQUEST_BYTES,
            http_response_bytes: HTTP_RESPONSE_BYTES,
            http_requests: HTTP_REQUESTS,
            http_concurrent: HTTP_CONCURRENT,
            processes: PROCESSES,
        }
    }
}

/// Counts memories and tables of one store. It refuses by answering `false`, as a full machine would, and remembers that it did.
pub(crate) struct Limiter {
    memory_bytes: usize,
    table_elements: usize,
    shared: Arc<Shared>,
}

impl Limiter {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { memory_bytes: 0, table_elements: 0, shared }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        let marks = &self.shared.marks;
        if total > self.shared.limits.memory_bytes || maximum.is_some_and(|most| desired > most) {
            marks.memory_refused.fetch_max(total as u64, Ordering::Relaxed);
            return Ok(false);
        }
        self.memory_bytes = total;
        marks.memory_peak.fetch_max(total as u64, Ordering::Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_sub(current).saturating_add(desired);
        if total > self.shared.limits.table_elements || maximum.is_some_and(|most| desired > most) {
            self.shared.marks.table_refused.fetch_max(total as u64, Ordering::Relaxed);
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}
