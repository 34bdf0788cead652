//! Why a run has no outputs, in words a person understands. The raw text of the engine never reaches a user alone.

use crate::bindings::exports::sluice::task::run as task;
use crate::calls::{Shared, cut};
use crate::services::HostError;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// A guest's `code`; longer ones are cut.
const CODE_BYTES: usize = 128;
/// A guest's `message`; longer ones are cut.
const MESSAGE_BYTES: usize = 16 << 10;
/// A guest's `details`; longer ones are dropped, for half a JSON text is none.
const DETAILS_BYTES: usize = 256 << 10;
/// Frames kept of a backtrace.
const FRAMES: usize = 24;

/// Whose fault it was and of what kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The plugin said so itself.
    Guest,
    /// The wall clock ran out.
    Deadline,
    /// Somebody asked for the end.
    Cancelled,
    /// A limit other than time.
    Limit,
    /// The guest panicked, trapped or exited.
    Trap,
    /// The host refused what the run has no right to.
    Denied,
    /// The component does not fit this host.
    Link,
    /// What the guest handed back is not what was agreed.
    BadOutput,
    /// The host failed. Another attempt may succeed.
    Host,
}

/// One frame of the guest's stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The function, demangled.
    pub function: String,
    /// The source file, where the component has line tables.
    pub file: Option<String>,
    /// From 1.
    pub line: Option<u32>,
}

/// Why a run has no outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault it was.
    pub class: Class,
    /// Stable and open: the guest's own, or one of the host's (`DEADLINE`, `MEMORY_LIMIT`, `PANIC`, …).
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// Whether another attempt may succeed; `None`: not known.
    pub retryable: Option<bool>,
    /// A JSON object of whatever else helps.
    pub details: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// The guest's stack, innermost first, where it trapped.
    pub frames: Vec<Frame>,
    /// The tail of what the guest wrote to standard error, where it trapped.
    pub stderr: Option<String>,
}

impl Failure {
    /// A failure with nothing but words.
    pub fn new(class: Class, code: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.to_owned(),
            message: message.into(),
            retryable: None,
            details: None,
            hint: None,
            frames: Vec::new(),
            stderr: None,
        }
    }

    /// The host failed; another attempt may succeed.
    pub fn host(message: impl Into<String>) -> Self {
        Self { retryable: Some(true), ..Self::new(Class::Host, "HOST", message) }
    }

    /// A refused host call, where the whole answer is a failure.
    pub fn denied(error: HostError) -> Self {
        Self { retryable: Some(false), ..Self::new(Class::Denied, &error.code, error.message) }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn never_again(mut self) -> Self {
        self.retryable = Some(false);
        self
    }

    pub(crate) fn deadline(limit: std::time::Duration) -> Self {
        Self::new(Class::Deadline, "DEADLINE", format!("the run took longer than its limit of {}", seconds(limit)))
            .hint("give the task a longer `timeout`, or have the plugin do less in one run")
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(Class::Cancelled, "CANCELLED", "the run was ended on request").never_again()
    }

    pub(crate) fn input_too_large(size: usize, limit: usize) -> Self {
        Self::new(Class::Limit, "INPUT_LIMIT", format!("the input has {size} bytes, more than the limit of {limit}"))
            .hint("pass large data as a file of the internal storage")
            .never_again()
    }

    pub(crate) fn output_too_large(size: usize, limit: usize) -> Self {
        Self::new(
            Class::Limit,
            "OUTPUT_LIMIT",
            format!("the outputs have {size} bytes, more than the limit of {limit}"),
        )
        .hint("have the plugin write large results to a file and return its URI")
        .never_again()
    }

    pub(crate) fn bad_output(why: impl std::fmt::Display) -> Self {
        Self::new(Class::BadOutput, "BAD_OUTPUT", format!("the plugin handed back what is not the agreed JSON: {why}"))
            .hint("this is a fault of the plugin; tell its author, or pin another version")
            .never_again()
    }

    /// What the guest itself answered, within bounds.
    pub(crate) fn of_guest(said: task::Failure) -> Self {
        let task::Failure { mut code, mut message, retryable, details } = said;
        cut(&mut code, CODE_BYTES);
        cut(&mut message, MESSAGE_BYTES);
        if code.trim().is_empty() {
            code = "FAILED".to_owned();
        }
        let details = details.filter(|text| text.len() <= DETAILS_BYTES && is_json(text, '{'));
        Self { retryable, details, ..Self::new(Class::Guest, &code, message) }
    }

    /// A guest's own words, with what the host refused before it said them: a language with exceptions makes of a refusal what it
    /// likes (`MemoryError: `), and the plugin's code must stay the plugin's.
    pub(crate) fn after(mut self, shared: &Shared) -> Self {
        if self.hint.is_none() {
            let refused_memory = memory_words(shared).map(|words| format!("before that, {words}; {MEMORY_HINT}"));
            // Where the plugin hands on what it was told, that is enough.
            let untold = |denial: &String| !self.message.contains(denial.as_str());
            let denied =
                || shared.last_denial().filter(untold).map(|denial| format!("before that, the host refused: {denial}"));
            self.hint = refused_memory.or_else(denied);
        }
        self
    }

    /// What went wrong before guest code ran.
    pub(crate) fn of_error(error: &crate::Error) -> Self {
        let text = error.to_string();
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        let base = match error {
            crate::Error::Host { .. } | crate::Error::Io { .. } => Self::host(message),
            crate::Error::Link { .. } => Self::new(Class::Link, "LINK", message).never_again(),
            crate::Error::BadComponent { .. } => Self::new(Class::Link, "BAD_COMPONENT", message).never_again(),
            crate::Error::Digest { .. } => Self::new(Class::Link, "WRONG_DIGEST", message).never_again(),
            crate::Error::Compile { .. } => Self::new(Class::Host, "COMPILE", message),
            crate::Error::Describe(failure) => (**failure).clone(),
        };
        Self { hint: hint.or(base.hint.clone()), ..base }
    }

    /// A trap, an exit or an error of a host function.
    pub(crate) fn of_trap(error: &wasmtime::Error, shared: &Shared) -> Self {
        let frames = frames(error);
        let stderr = Some(shared.stderr_tail()).filter(|tail| !tail.is_empty());
        let mut failure = classify(error, shared, stderr.as_deref());
        if let Some(own) = frames.iter().find(|frame| frame.is_own()) {
            failure.message = format!("{} (at {})", failure.message, own.place());
        }
        failure.frames = frames;
        failure.stderr = stderr;
        failure.after(shared)
    }
}

impl Frame {
    /// Whether it is of the plugin's own sources, not of a library or the language's runtime.
    pub fn is_own(&self) -> bool {
        const FOREIGN: [&str; 7] =
            ["/rustc/", "/.cargo/", "/cargo/registry", "/rustlib/", "library/std/", "library/core/", "library/alloc/"];
        self.file.as_deref().is_some_and(|file| !FOREIGN.iter().any(|part| file.contains(part)) && !is_glue(file))
    }

    fn place(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (Some(file), None) => file.clone(),
            (None, _) => self.function.clone(),
        }
    }
}

/// Allocators and start-up code that a C library puts beneath every guest.
fn is_glue(file: &str) -> bool {
    ["wasi-libc", "libc-bottom-half", "libc-top-half", "dlmalloc"].iter().any(|part| file.contains(part))
}

const MEMORY_HINT: &str = "raise the memory limit of the task, or have the plugin work in pieces";

/// What the guest wanted and could not have, if it did.
fn memory_words(shared: &Shared) -> Option<String> {
    let wanted = shared.marks.memory_refused.load(Ordering::Relaxed);
    let limit = mebibytes(shared.limits.memory_bytes as u64);
    (wanted > 0).then(|| format!("the plugin asked for {} of memory, its limit is {limit}", mebibytes(wanted)))
}

fn classify(error: &wasmtime::Error, shared: &Shared, stderr: Option<&str>) -> Failure {
    let marks = &shared.marks;
    if let Some(words) = memory_words(shared) {
        return Failure::new(Class::Limit, "MEMORY_LIMIT", words).hint(MEMORY_HINT).never_again();
    }
    let table = marks.table_refused.load(Ordering::Relaxed);
    if table > 0 {
        return Failure::new(
            Class::Limit,
            "TABLE_LIMIT",
            format!("the plugin asked for {table} table elements, its limit is {}", shared.limits.table_elements),
        )
        .never_again();
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return Failure::new(
            Class::Trap,
            "EXIT",
            format!("the plugin ended itself (exit status {status}) in place of an answer"),
        );
    }
    if let Some(full) = error.downcast_ref::<ResourceTableError>() {
        return match full {
            ResourceTableError::Full => Failure::new(
                Class::Limit,
                "HANDLE_LIMIT",
                format!("the plugin holds more than {} handles", shared.limits.handles),
            )
            .hint("the plugin must drop streams, headers and requests it no longer needs"),
            other => Failure::new(Class::Trap, "BAD_HANDLE", format!("the plugin used a handle wrongly: {other}")),
        }
        .never_again();
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return of_wasm_trap(*trap, stderr);
    }
    if error.downcast_ref::<crate::wasi::TooMuchRandom>().is_some() {
        return Failure::new(
            Class::Limit,
            "RANDOM_LIMIT",
            format!("the plugin asked for more than {} random bytes at once", shared.limits.random_bytes),
        )
        .never_again();
    }
    let text = format!("{:#}", error.root_cause());
    if text.contains("fuel allocated for hostcalls") {
        return Failure::new(
            Class::Limit,
            "CALL_LIMIT",
            format!("one call between plugin and host carried more than {} bytes", shared.limits.call_bytes),
        )
        .hint("hand large data over in pieces, or as a file")
        .never_again();
    }
    if let Some(much) = text.strip_prefix("resource limit exceeded: ") {
        return Failure::new(Class::Limit, "INSTANCE_LIMIT", format!("the component is too large for one run: {much}"))
            .hint("build the plugin of fewer parts, or as several plugins")
            .never_again();
    }
    if text.contains("total size of fields exceeds limit") {
        let most = crate::limits::HTTP_HEADER_BYTES;
        return Failure::new(
            Class::Limit,
            "HEADER_LIMIT",
            format!("the headers of one request have more than {most} bytes"),
        )
        .hint("send large data in the body")
        .never_again();
    }
    if text.contains("resource count too high") || text.contains("resource handles") {
        return Failure::new(Class::Limit, "INSTANCE_LIMIT", format!("the component is too large for one run: {text}"))
            .never_again();
    }
    Failure::new(Class::Trap, "TRAP", format!("the plugin stopped: {text}"))
}

fn of_wasm_trap(trap: Trap, stderr: Option<&str>) -> Failure {
    match trap {
        Trap::StackOverflow => Failure::new(Class::Limit, "STACK_OVERFLOW", "the plugin's calls nest too deep")
            .hint("look for a recursion without end in the plugin"),
        Trap::UnreachableCodeReached => match stderr.and_then(panic_line) {
            Some(line) => Failure::new(Class::Trap, "PANIC", format!("the plugin panicked: {line}")),
            None => Failure::new(Class::Trap, "PANIC", "the plugin gave up (it executed `unreachable`)"),
        },
        // Where a language keeps a stack of its own below its data, a recursion without end ends so as well.
        Trap::MemoryOutOfBounds => {
            Failure::new(Class::Trap, "TRAP", format!("the plugin did what WebAssembly forbids: {trap}"))
                .hint("look for a recursion without end, or a wrong pointer, in the plugin")
        }
        Trap::Interrupt => Failure::new(Class::Cancelled, "CANCELLED", "the run was interrupted"),
        other => Failure::new(Class::Trap, "TRAP", format!("the plugin did what WebAssembly forbids: {other}")),
    }
}

/// What a panic says: Rust's message is on the line after `panicked at …`, in older and other runtimes on the last line.
fn panic_line(stderr: &str) -> Option<String> {
    let mut lines = stderr.lines().map(str::trim);
    let said = lines
        .by_ref()
        .find(|line| line.contains("panicked at"))
        .and_then(|_| lines.next())
        .filter(|line| !line.is_empty() && !line.starts_with("note:"));
    let mut text = said.or_else(|| stderr.lines().map(str::trim).rfind(|line| !line.is_empty()))?.to_owned();
    cut(&mut text, 512);
    Some(text)
}

fn frames(error: &wasmtime::Error) -> Vec<Frame> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let mut frames = Vec::new();
    for frame in backtrace.frames() {
        let plain = frame.func_name().unwrap_or("<unnamed>").to_owned();
        if frame.symbols().is_empty() {
            frames.push(Frame { function: plain.clone(), file: None, line: None });
        }
        for symbol in frame.symbols() {
            frames.push(Frame {
                function: symbol.name().unwrap_or(&plain).to_owned(),
                file: symbol.file().map(str::to_owned),
                line: symbol.line(),
            });
        }
        if frames.len() >= FRAMES {
            break;
        }
    }
    frames.truncate(FRAMES);
    frames
}

/// Whether a text is JSON and begins as an object (`{`) or list (`[`) must.
pub(crate) fn is_json(text: &str, first: char) -> bool {
    text.trim_start().starts_with(first) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

fn seconds(duration: std::time::Duration) -> String {
    if duration.as_secs() > 0 { format!("{} s", duration.as_secs()) } else { format!("{} ms", duration.as_millis()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_text_is_found() {
        let check = |stderr: &str, expected: Option<&str>| assert_eq!(panic_line(stderr).as_deref(), expected);
        check("thread 'main' panicked at src/lib.rs:3:5:\nno such thing\nnote: run with x", Some("no such thing"));
        check("something\nlast words\n", Some("last words"));
        check("", None);
    }

    #[test]
    fn guest_failure_is_bounded() {
        let failure = Failure::of_guest(task::Failure {
            code: "X".repeat(1000),
            message: String::new(),
            retryable: Some(true),
            details: Some("not json".to_owned()),
        });
        assert!(failure.code.len() <= CODE_BYTES + '…'.len_utf8());
        assert_eq!(failure.details, None);
        assert_eq!(failure.retryable, Some(true));
    }

    #[test]
    fn json_shape_is_checked() {
        assert!(is_json(" {\"a\":1}", '{'));
        assert!(!is_json("[1]", '{'));
        assert!(!is_json("{", '{'));
    }
}
