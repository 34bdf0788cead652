//! Runs one CGI program for one request: body in, head and body out, piece by piece. Whoever goes away takes the program with them; a program that
//! has ended is waited for.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use futures::StreamExt as _;
use futures::stream;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::group::Group;
use super::requests::Chunks;

/// The longest head of an answer, in bytes.
const HEAD_MAX: usize = 16 << 10;
/// How much of an answer is read at a time.
const PIECE_BYTES: usize = 32 << 10;
/// How many pieces wait for a client that reads slowly: they are all that is in memory.
const PIECES_MAX: usize = 4;
/// How much is kept of what a program complains about.
const COMPLAINT_MAX: usize = 64 << 10;
/// How long a program that has said everything may take to end.
const END_MAX: Duration = Duration::from_secs(5);

/// The programs of a server, and what they complained about.
#[derive(Default)]
pub(super) struct Programs {
    running: Mutex<JoinSet<()>>,
    complaints: Mutex<String>,
}

impl Programs {
    /// What all of them have written to stderr.
    pub fn complaints(&self) -> String {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn complain(&self, complaint: &str) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.len() + complaint.len() <= COMPLAINT_MAX {
            complaints.push_str(complaint);
        }
    }

    /// Remembers who attends to a program, and forgets those who are through.
    fn attended(&self, attendant: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn(attendant);
    }

    /// Waits for all that run now.
    pub async fn end(&self) {
        let mut running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        while running.join_next().await.is_some() {}
    }
}

/// A program that runs.
struct Program {
    child: Child,
    group: Group,
}

impl Program {
    /// Waits for its end, which is near.
    async fn gone(mut self) {
        if tokio::time::timeout(END_MAX, self.child.wait()).await.is_err() {
            self.group.kill();
            let _ = self.child.wait().await;
        }
        self.group.gone();
    }
}

/// The head of an answer.
struct Head {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Starts a program, and hands over its answer once its head is there. An error is in words.
pub(super) async fn run(
    programs: Arc<Programs>,
    program: &Path,
    environment: Vec<(String, String)>,
    body: Chunks,
    ended: watch::Receiver<bool>,
) -> Result<Response<Chunks>, String> {
    let mut command = Command::new(program);
    command.env_clear().envs(environment);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Group::start(&mut command);
    let (child, group) = started.map_err(|error| format!("`{}` cannot be run: {error}", program.display()))?;
    let (head, answered) = oneshot::channel();
    let (out, pieces) = mpsc::channel(PIECES_MAX);
    let owner = programs.clone();
    programs.attended(async move {
        let complaint = attend(Program { child, group }, body, head, out, ended).await;
        owner.complain(&complaint);
    });
    let head = answered.await.map_err(|_| format!("`{}` ended without an answer", program.display()))?;
    let pieces = stream::unfold(pieces, |mut pieces| async move { Some((Ok(pieces.recv().await?), pieces)) });
    let mut response = Response::new(pieces.boxed());
    *response.status_mut() = head.status;
    for (name, value) in head.headers {
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

/// Sees a program through, and says what it complained about.
async fn attend(
    mut program: Program,
    body: Chunks,
    head: oneshot::Sender<Head>,
    out: mpsc::Sender<Bytes>,
    mut ended: watch::Receiver<bool>,
) -> String {
    let child = &mut program.child;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else { return String::new() };
    let mut complaint = Vec::new();
    let is_through = {
        let work = async { tokio::join!(answer(stdout, head, &out), listen(stderr, &mut complaint)) };
        tokio::select! {
            _ = work => true,
            // A body that ends goes on with the work.
            () = feed(stdin, body) => false,
            () = out.closed() => false,
            _ = ended.wait_for(|ended| *ended) => false,
        }
    };
    if !is_through {
        program.group.kill();
    }
    program.gone().await;
    String::from_utf8_lossy(&complaint).into_owned()
}

/// Hands the body over. Returns only where the body breaks off: its program must not take that for its end.
async fn feed(mut stdin: ChildStdin, mut body: Chunks) {
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else { return };
        // A program need not read everything.
        if stdin.write_all(&chunk).await.is_err() {
            break;
        }
    }
    drop(stdin);
    std::future::pending().await
}

/// Reads the head, then passes the body on.
async fn answer(mut stdout: impl AsyncRead + Unpin, head: oneshot::Sender<Head>, out: &mpsc::Sender<Bytes>) {
    let mut begin = Vec::new();
    let rest = loop {
        if let Some((parsed, rest)) = parsed(&begin) {
            if head.send(parsed).is_err() {
                return;
            }
            break rest;
        }
        if begin.len() > HEAD_MAX || !matches!(stdout.read_buf(&mut begin).await, Ok(1..)) {
            return;
        }
    };
    if !rest.is_empty() && out.send(Bytes::from(rest)).await.is_err() {
        return;
    }
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        if !matches!(stdout.read_buf(&mut piece).await, Ok(1..)) || out.send(Bytes::from(piece)).await.is_err() {
            return;
        }
    }
}

/// Keeps the beginning of what a program complains about, and reads on.
async fn listen(mut stderr: impl AsyncRead + Unpin, complaint: &mut Vec<u8>) {
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = stderr.read(&mut piece).await {
        if complaint.len() < COMPLAINT_MAX {
            complaint.extend_from_slice(piece.get(..read).unwrap_or_default());
        }
    }
}

/// The head, and what has come after it.
fn parsed(bytes: &[u8]) -> Option<(Head, Vec<u8>)> {
    let end = |mark: &[u8]| bytes.windows(mark.len()).position(|window| window == mark).map(|at| (at, at + mark.len()));
    let (at, after) = end(b"\r\n\r\n").or_else(|| end(b"\n\n"))?;
    let (head, rest) = (String::from_utf8_lossy(bytes.get(..at)?).into_owned(), bytes.get(after..)?.to_vec());
    let mut parsed = Head { status: StatusCode::OK, headers: Vec::new() };
    for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let number = value.split(' ').next().and_then(|number| number.parse().ok());
            parsed.status = number.unwrap_or(StatusCode::BAD_GATEWAY);
        } else if let (Ok(name), Ok(value)) = (name.parse(), HeaderValue::from_str(value)) {
            parsed.headers.push((name, value));
        }
    }
    Some((parsed, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_no_header() {
        let (head, rest) = parsed(b"Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nno").expect("a head");
        assert_eq!((head.status.as_u16(), rest.as_slice()), (403, &b"no"[..]));
        assert_eq!(head.headers.len(), 1);
        assert!(parsed(b"Content-Type: text/plain\r\n").is_none());
    }
}
