//! What goes wrong, by name, and the errors that come of it. In which words is each provider's own; how an answer is put on the wire is `delivery`.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// Something that goes wrong, by name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    // Errors, in the provider's own words.
    WrongKey,
    UnknownModel,
    BadRequest,
    ContextTooLong,
    QuotaExhausted,
    ContentFilter,
    RateLimited {
        #[serde(default)]
        hint: Hint,
        #[serde(default = "a_second")]
        after_ms: u64,
    },
    Internal,
    Overloaded,
    // The same in other places.
    /// An error in the body of a 200.
    ErrorInBody,
    /// The same beside what was said until then: OpenRouter's alone.
    ErrorInChoice,
    /// An error in the midst of a stream.
    ErrorInStream,
    // What is no answer of a provider.
    Hang,
    HtmlError {
        status: u16,
    },
    NotJson,
    // What happens to an answer.
    /// Each byte is a piece of its own.
    EveryByte,
    /// Comments before and between the events of a stream.
    KeepAlive,
    /// Blank lines before a body.
    BlankLines,
    /// The connection ends before the answer does.
    Truncated,
    /// A frame's checksum is wrong.
    WrongCrc,
    /// An answer that stops without a word.
    EmptyStop,
    /// Fields and events that nobody knows.
    UnknownFields,
    /// Pieces with a wait before each.
    Drip {
        delay_ms: u64,
    },
}

/// How somebody who asks too often is told when to ask again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hint {
    /// As the provider does it.
    #[default]
    Own,
    None,
    /// `Retry-After` with seconds.
    RetryAfter,
    /// `Retry-After` with a date.
    RetryAfterDate,
    /// `retry-after-ms`.
    RetryAfterMs,
    /// Google's `RetryInfo`.
    RetryInfo,
    /// `x-ratelimit-reset-*`.
    Reset,
    /// In the sentence alone.
    Text,
}

fn a_second() -> u64 {
    1_000
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no credential.
    NoKey,
    /// The credential that came.
    WrongKey(String),
    UnknownModel(String),
    Bad(Bad),
    ContextTooLong,
    QuotaExhausted,
    ContentFilter,
    RateLimited(Wait),
    Internal,
    Overloaded,
}

/// What is wrong with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bad {
    pub message: String,
    /// The parameter it is about.
    pub param: Option<String>,
    /// The provider's code, where it has one for this.
    pub code: Option<&'static str>,
    /// Where it is not the one that the provider has for bad requests.
    pub status: Option<u16>,
}

/// When to ask again, and how that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub hint: Hint,
    pub after_ms: u64,
}

/// An answer that is an error.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Trouble {
    /// A bad request.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::Bad(Bad { message: message.into(), ..Bad::default() })
    }

    /// A bad request, with the parameter it is about.
    pub fn about(param: &str, message: impl Into<String>) -> Self {
        Self::Bad(Bad { message: message.into(), param: Some(param.to_owned()), ..Bad::default() })
    }

    /// The same with the provider's code.
    pub fn coded(self, code: &'static str) -> Self {
        match self {
            Self::Bad(bad) => Self::Bad(Bad { code: Some(code), ..bad }),
            other => other,
        }
    }

    /// The error of a fault.
    pub fn of(fault: &Fault, model: &str) -> Option<Self> {
        Some(match fault {
            Fault::WrongKey => Self::WrongKey("sk-wrong-key-of-a-script".into()),
            Fault::UnknownModel => Self::UnknownModel(model.to_owned()),
            Fault::BadRequest => Self::bad("the request is not what it should be"),
            Fault::ContextTooLong => Self::ContextTooLong,
            Fault::QuotaExhausted => Self::QuotaExhausted,
            Fault::ContentFilter => Self::ContentFilter,
            Fault::RateLimited { hint, after_ms } => Self::RateLimited(Wait { hint: *hint, after_ms: *after_ms }),
            Fault::Internal => Self::Internal,
            Fault::Overloaded => Self::Overloaded,
            _ => return None,
        })
    }
}

impl Wait {
    /// The hint, with the provider's own in place of `Own`.
    pub fn or(self, own: Hint) -> Self {
        Self { hint: if self.hint == Hint::Own { own } else { self.hint }, ..self }
    }

    pub fn seconds(self) -> u64 {
        self.after_ms.div_ceil(1_000)
    }

    /// The time to ask again.
    pub fn at(self) -> jiff::Timestamp {
        jiff::Timestamp::now() + jiff::SignedDuration::from_millis(i64::try_from(self.after_ms).unwrap_or(0))
    }

    /// What a sentence says of it.
    pub fn sentence(self) -> String {
        match self.hint {
            Hint::Text => format!(" Please try again in {}s.", self.after_ms as f64 / 1_000.0),
            _ => String::new(),
        }
    }

    /// The headers that say it.
    pub fn headers(self) -> Vec<(String, String)> {
        let header = |name: &str, value: String| vec![(name.to_owned(), value)];
        match self.hint {
            Hint::Own | Hint::None | Hint::RetryInfo | Hint::Text => Vec::new(),
            Hint::RetryAfter => header("retry-after", self.seconds().to_string()),
            Hint::RetryAfterMs => {
                let seconds = header("retry-after", self.seconds().to_string());
                [header("retry-after-ms", self.after_ms.to_string()), seconds].concat()
            }
            Hint::RetryAfterDate => {
                // The server's clock is what the date is compared with.
                let now = jiff::Timestamp::now();
                let date = |at: jiff::Timestamp| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                let then = now + jiff::SignedDuration::from_secs(i64::try_from(self.seconds()).unwrap_or(0));
                [header("date", date(now)), header("retry-after", date(then))].concat()
            }
            Hint::Reset => [
                header("x-ratelimit-limit-requests", "60".into()),
                header("x-ratelimit-remaining-requests", "0".into()),
                header("x-ratelimit-reset-requests", format!("{}ms", self.after_ms)),
            ]
            .concat(),
        }
    }
}

impl Failure {
    /// One without further headers.
    pub fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    /// The same with headers.
    pub fn with(mut self, headers: Vec<(String, String)>) -> Self {
        self.headers.extend(headers);
        self
    }

    pub fn into_response(self) -> Response<Body> {
        let mut response = json_response(self.status, &self.body);
        for (name, value) in self.headers {
            let header = (HeaderName::try_from(name), HeaderValue::try_from(value));
            let (Ok(name), Ok(value)) = header else { continue };
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// A body of JSON.
pub(super) fn json_response(status: u16, body: &Value) -> Response<Body> {
    response(status, "application/json", Body::from(body.to_string()))
}

/// A body of another kind.
pub(super) fn response(status: u16, media_type: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(media_type) = HeaderValue::from_str(media_type) {
        response.headers_mut().insert("content-type", media_type);
    }
    response
}
