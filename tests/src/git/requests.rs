//! What a request asks for: which repository, which service of it, and which step of a conversation. Remembered as it came.

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use super::packets::{First, PACKET_MAX, first};

/// A body on its way, in either direction.
pub(super) type Chunks = BoxStream<'static, std::io::Result<Bytes>>;

/// A service of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    fn named(name: &str) -> Option<Self> {
        match name {
            "git-upload-pack" => Some(Self::UploadPack),
            "git-receive-pack" => Some(Self::ReceivePack),
            _ => None,
        }
    }
}

/// A step of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `GET …/info/refs`.
    Refs,
    /// `ls-refs` of protocol v2.
    List,
    /// `fetch` of protocol v2, or what is posted to upload-pack without it. A request in gzip is thought to be one.
    Fetch,
    /// What is posted to receive-pack.
    Push,
    /// An empty request by which a client learns whether it may.
    Probe,
    /// Anything else: a file for the dumb protocol, another command.
    Other,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// As it was written, without the query.
    pub path: String,
    pub query: String,
    /// Names are in lower case. Credentials are as they came.
    pub headers: Vec<(String, String)>,
    /// The name that stands in the path, `name.git`.
    pub repository: String,
    pub service: Option<Service>,
    pub step: Step,
    /// Whose credentials they were, if they were right: the name that was sent with them.
    pub user: Option<String>,
    /// What was answered; 0 before that.
    pub status: u16,
}

impl Seen {
    /// The first header of a name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether protocol v2 is asked for.
    pub fn wants_v2(&self) -> bool {
        self.header("git-protocol").is_some_and(|said| said.split(':').any(|word| word == "version=2"))
    }
}

/// A request whose body is looked into at its beginning.
pub(super) struct Incoming {
    pub seen: Seen,
    /// The path as the CGI program has it.
    pub path_info: String,
    pub body: Chunks,
}

/// Where the name of a repository ends.
const TAILS: &[&str] = &["/info/refs", "/git-upload-pack", "/git-receive-pack", "/HEAD", "/objects/", "/info/"];

impl Incoming {
    pub async fn read(head: &Parts, body: Body) -> Self {
        let path_info = decoded(head.uri.path());
        let at = TAILS.iter().find_map(|tail| path_info.find(tail)).unwrap_or(path_info.len());
        let (repository, tail) = path_info.split_at(at);
        let (repository, tail) = (repository.trim_start_matches('/').to_owned(), tail.to_owned());
        let query = head.uri.query().unwrap_or_default().to_owned();
        let (begin, body) = peeked(body).await;
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("service="));
        let service = Service::named(asked.unwrap_or_else(|| tail.trim_start_matches('/')));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
        let step = match (head.method.as_str(), tail.as_str()) {
            ("GET", "/info/refs") => Step::Refs,
            ("POST", "/git-upload-pack" | "/git-receive-pack") => step(&begin, service),
            _ => Step::Other,
        };
        let seen = Seen {
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            query,
            headers: headers.collect(),
            repository,
            service,
            step,
            user: None,
            status: 0,
        };
        Self { seen, path_info, body }
    }
}

/// What a body that begins so wants of a service.
fn step(begin: &[u8], service: Option<Service>) -> Step {
    match (first(begin), service) {
        (First::Special([]), _) => Step::Probe,
        (_, Some(Service::ReceivePack)) => Step::Push,
        (First::Packet(payload, _), _) if payload.starts_with(b"command=ls-refs") => Step::List,
        (First::Packet(payload, _), _) if payload.starts_with(b"command=fetch") => Step::Fetch,
        (First::Packet(payload, _), _) if payload.starts_with(b"command=") => Step::Other,
        _ => Step::Fetch,
    }
}

/// The beginning of a body, a packet at least, and the whole of it.
async fn peeked(body: Body) -> (Vec<u8>, Chunks) {
    let mut rest = body.into_data_stream().map(|chunk| chunk.map_err(std::io::Error::other)).boxed();
    let (mut begin, mut taken) = (Vec::new(), Vec::new());
    // Bounded by the longest packet and one chunk.
    while begin.len() < PACKET_MAX && first(&begin) == First::Partial {
        let Some(chunk) = rest.next().await else { break };
        let is_broken = chunk.is_err();
        if let Ok(chunk) = &chunk {
            begin.extend_from_slice(chunk);
        }
        taken.push(chunk);
        if is_broken {
            break;
        }
    }
    (begin, stream::iter(taken).chain(rest).boxed())
}

/// A path without its percent signs.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((letter, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let number = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (letter, number) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*letter);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
