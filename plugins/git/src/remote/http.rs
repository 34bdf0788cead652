//! gitoxide's idea of an HTTP client, over the host's requests. A request is sent when its answer is first read: gitoxide writes the body
//! to the one handle and reads from the other, and a guest has one thread.

use std::cell::RefCell;
use std::io::{self, BufRead, Cursor, Read, Write};
use std::rc::Rc;

use gix_transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};
use sluice_sdk::Failure;
use sluice_sdk::http::{Body, Headers, Redirects, Request, Response, Url, code};

use crate::access::Access;
use crate::failures::{self, Trouble, fault};

/// Bytes of an answer that is no answer, for its words.
const TOLD_BYTES: usize = 300;
/// Bytes of a body that are read in one piece.
const READ_BYTES: usize = 64 * 1024;

/// One repository, asked over HTTP.
pub struct Client {
    access: Access,
    trouble: Trouble,
    /// Where the repository has moved to.
    moved: Option<String>,
}

impl Client {
    pub fn new(access: Access, trouble: Trouble) -> Self {
        Self { access, trouble, moved: None }
    }

    fn request(
        &self,
        method: &str,
        url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Request, Failure> {
        let url = Url::parse(url)?;
        let mut request = Request::new(method, url.clone())?.timeouts(self.access.timeouts);
        for header in headers {
            if let Some((name, value)) = header.as_ref().split_once(':') {
                request.headers_mut().append(name, value.trim());
            }
        }
        // Who a repository has moved to is not told what the flow says to the old one.
        if let Some(authorization) = self.access.authorization.as_ref().filter(|_| url.same_origin(&self.access.url)) {
            request.headers_mut().set("authorization", authorization.as_str());
        }
        Ok(match &self.access.egress {
            Some(egress) => request.egress(egress.clone()),
            None => request,
        })
    }

    fn fail(&self, failure: Failure) -> gix_error::Error {
        self.trouble.keep(failure.clone());
        gix_error::Error::from_error(io::Error::other(failure))
    }
}

/// An answer that may be read on.
fn accepted(mut response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status == 200 {
        return Ok(response);
    }
    let url = response.url().to_string();
    let words = response.read_start(TOLD_BYTES).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let words = words.split(['\n', '<']).find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let said = if words.is_empty() { String::new() } else { format!(": {}", words.escape_debug()) };
    Err(match status {
        401 => fault(
            failures::AUTH,
            format!(
                "`{url}` answers 401, it does not take these credentials{said}; hint: look at `username` and `password` (a token)"
            ),
        ),
        403 => fault(
            failures::FORBIDDEN,
            format!(
                "`{url}` answers 403{said}; hint: these credentials may not do this, look at what the token may do"
            ),
        ),
        404 | 410 => fault(
            failures::NOT_FOUND,
            format!(
                "`{url}` answers {status}: there is no such repository, or one has to say who asks; hint: look at `url`, and at `username` and `password`"
            ),
        ),
        429 | 500..=599 => Failure::new(failures::SERVER, format!("`{url}` answers {status}{said}")).retryable(true),
        _ => fault(failures::PROTOCOL, format!("`{url}` answers {status}, which is no answer of a Git server{said}")),
    })
}

/// Failures of the way, in this plugin's words where a user knows them better so.
fn of_the_way(failure: Failure, url: &Url) -> Failure {
    match failure.code() {
        code::DNS => {
            fault(code::DNS, format!("no host `{}`: {}; hint: look at `url`", url.authority(), failure.message()))
        }
        _ => failure,
    }
}

/// A header of an answer as a line.
fn lines(headers: &Headers) -> Vec<u8> {
    let mut text = String::new();
    for (name, value) in headers.iter() {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push('\n');
    }
    text.into_bytes()
}

impl Http for Client {
    type Headers = HeaderLines;
    type ResponseBody = Answer;
    type PostBody = Written;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix_error::Result<GetResponse<Self::Headers, Self::ResponseBody>> {
        let mut asked_url = String::new();
        let asked = self.request("GET", url, headers).and_then(|request| {
            let url = Url::parse(url)?;
            asked_url = url.to_string();
            request.send().map_err(|failure| of_the_way(failure, &url)).and_then(accepted)
        });
        let response = asked.map_err(|failure| self.fail(failure))?;
        let came_from = response.url().to_string();
        if came_from != asked_url {
            let tail = url.strip_prefix(base_url).unwrap_or_default();
            match came_from.strip_suffix(tail).filter(|_| !tail.is_empty()) {
                Some(base) => self.moved = Some(base.trim_end_matches('/').to_owned()),
                None => {
                    let message = format!(
                        "`{url}` leads to `{came_from}`, which is no Git repository; hint: look at `url`, and whether one has to say who asks"
                    );
                    return Err(self.fail(fault(failures::PROTOCOL, message)));
                }
            }
        }
        let exchange =
            Rc::new(RefCell::new(Exchange { state: State::Answered(response), trouble: self.trouble.clone() }));
        Ok(GetResponse { headers: HeaderLines::of(&exchange), body: Answer::of(exchange) })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix_error::Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>> {
        // A repository that moves is told of at the first question.
        let request = self.request("POST", url, headers).map(|request| request.redirects(Redirects::Return));
        let request = request.map_err(|failure| self.fail(failure))?;
        let state = State::Waiting { request: Some(Box::new(request)), body: Vec::new() };
        let exchange = Rc::new(RefCell::new(Exchange { state, trouble: self.trouble.clone() }));
        Ok(PostResponse {
            post_body: Written(exchange.clone()),
            headers: HeaderLines::of(&exchange),
            body: Answer::of(exchange),
        })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix_error::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.moved.clone()
    }
}

/// One question and its answer.
struct Exchange {
    state: State,
    trouble: Trouble,
}

enum State {
    Waiting { request: Option<Box<Request>>, body: Vec<u8> },
    Answered(Response),
    Failed,
}

impl Exchange {
    /// The answer; the question is sent if it is not yet.
    fn answer(&mut self) -> io::Result<&mut Response> {
        if let State::Waiting { request, body } = &mut self.state {
            let (request, body) = (request.take(), std::mem::take(body));
            self.state = State::Failed;
            let request = request.ok_or_else(|| io::Error::other("the request was sent already"))?;
            let response = request.body(Body::bytes(body)).send().and_then(accepted);
            self.state = State::Answered(response.inspect_err(|failure| self.trouble.keep(failure.clone()))?);
        }
        match &mut self.state {
            State::Answered(response) => Ok(response),
            _ => Err(io::Error::other("the request has failed")),
        }
    }
}

/// The body of a question.
pub struct Written(Rc<RefCell<Exchange>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0.borrow_mut().state {
            State::Waiting { body, .. } => body.extend_from_slice(bytes),
            _ => return Err(io::Error::other("the request was sent already")),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The header of an answer.
pub struct HeaderLines {
    exchange: Rc<RefCell<Exchange>>,
    lines: Option<Cursor<Vec<u8>>>,
}

impl HeaderLines {
    fn of(exchange: &Rc<RefCell<Exchange>>) -> Self {
        Self { exchange: exchange.clone(), lines: None }
    }

    fn ready(&mut self) -> io::Result<&mut Cursor<Vec<u8>>> {
        if self.lines.is_none() {
            self.lines = Some(Cursor::new(lines(self.exchange.borrow_mut().answer()?.headers())));
        }
        self.lines.as_mut().ok_or_else(|| io::Error::other("there is no answer"))
    }
}

impl Read for HeaderLines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.ready()?.read(buffer)
    }
}

impl BufRead for HeaderLines {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.ready()?.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(lines) = &mut self.lines {
            lines.consume(amount);
        }
    }
}

/// The body of an answer.
pub struct Answer {
    exchange: Rc<RefCell<Exchange>>,
    buffer: Vec<u8>,
    at: usize,
}

impl Answer {
    fn of(exchange: Rc<RefCell<Exchange>>) -> Self {
        Self { exchange, buffer: Vec::new(), at: 0 }
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Answer {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.buffer.len() {
            let mut exchange = self.exchange.borrow_mut();
            let piece = exchange.answer()?.read_piece(READ_BYTES);
            self.buffer = piece.inspect_err(|failure| exchange.trouble.keep(failure.clone()))?;
            self.at = 0;
        }
        Ok(self.buffer.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at = self.at.saturating_add(amount).min(self.buffer.len());
    }
}
