//! Who may do what with a server: names, passwords and tokens of HTTP Basic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::requests::{Seen, Service};

/// Somebody a server knows.
#[derive(Clone, Debug)]
pub struct Account {
    /// Nobody in particular: a token, which fits any name.
    user: Option<String>,
    password: String,
    may_push: bool,
}

impl Account {
    pub fn new(user: &str, password: &str) -> Self {
        Self { user: Some(user.to_owned()), password: password.to_owned(), may_push: true }
    }

    /// A token that stands in place of a password, whatever the name before it.
    pub fn token(token: &str) -> Self {
        Self { user: None, password: token.to_owned(), may_push: true }
    }

    /// The same who may only read.
    pub fn reader(self) -> Self {
        Self { may_push: false, ..self }
    }
}

/// What follows from a request's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Served, by name if a name was needed.
    Served(Option<String>),
    /// 401: who are you?
    Unknown,
    /// 403: not you.
    Forbidden,
}

/// Looks a request's credentials up. Without accounts everybody is served; a public server asks nobody who only reads.
pub(super) fn verdict(accounts: &[Account], is_public: bool, seen: &Seen) -> Verdict {
    let pushes = seen.service == Some(Service::ReceivePack);
    if accounts.is_empty() {
        return Verdict::Served(None);
    }
    let Some(sent) = seen.header("authorization") else {
        return if is_public && !pushes { Verdict::Served(None) } else { Verdict::Unknown };
    };
    let Some((user, password)) = basic(sent) else { return Verdict::Unknown };
    let fits =
        |account: &&Account| account.password == password && account.user.as_ref().is_none_or(|known| *known == user);
    match accounts.iter().find(fits) {
        None => Verdict::Unknown,
        Some(account) if pushes && !account.may_push => Verdict::Forbidden,
        Some(_) => Verdict::Served(Some(user)),
    }
}

/// Name and password.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| (user.to_owned(), password.to_owned()))
}
