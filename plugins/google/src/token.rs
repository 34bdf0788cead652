//! Access tokens of service accounts. All that is known of one is its name and where it asks; nothing here may show an assertion or a token.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use sluice_sdk::http::{Body, Redirects, Request, Timeouts};
use sluice_sdk::{Failure, secrets};

use crate::jwt::Claims;
use crate::{AUTH, Refusal, private_url};

/// Where a service account asks whose JSON does not say.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// The kind of grant that is asked for (RFC 7523).
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Longest answer that is read.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct TokenRequest<'a> {
    /// What holds the service account's JSON: the placeholder that the plugin was given in place of it, or the name of a secret.
    pub service_account: &'a str,
    /// What the token is to be good for, as URLs.
    pub scopes: &'a [String],
    /// The user in whose name the service account acts, where its domain lets it.
    pub subject: Option<&'a str>,
    /// How long asking may take.
    pub timeouts: Timeouts,
}

/// A token, to be sent as `sluice_sdk::http::bearer` writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The token itself.
    pub text: String,
    /// How long it is good for.
    pub lifetime: Duration,
    /// The name of the service account: whom to share things with.
    pub email: String,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("email", &self.email).field("lifetime", &self.lifetime).finish()
    }
}

impl TokenRequest<'_> {
    /// Asks for a token.
    pub fn send(&self) -> Result<AccessToken, Failure> {
        if self.scopes.is_empty() {
            return Err(Failure::bad_property("a token without scopes is good for nothing: name one"));
        }
        let account = Account::read(self.service_account.trim())?;
        let url = private_url(&account.token_uri)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = Claims {
            email: &account.email,
            key_id: account.key_id.as_deref(),
            audience: &account.token_uri,
            scopes: self.scopes,
            subject: self.subject.map(str::trim).filter(|subject| !subject.is_empty()),
            now_s: now.as_secs(),
        };
        let assertion = claims.signed(account.secret).map_err(unusable)?;

        // Nobody but whom it is written for gets to see an assertion: no redirect is followed.
        let request = Request::new("POST", url)?.timeouts(self.timeouts).redirects(Redirects::Return);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let form = Body::form([("grant_type", GRANT_TYPE), ("assertion", assertion.as_str())]);
        let mut response = request.body(form).send()?;
        if !(200..300).contains(&response.status()) {
            let refusal = without(Refusal::read(&mut response), &assertion);
            return Err(refusal.into_failure(AUTH, &format!("Google gives `{}` no token", account.email)));
        }
        let answer = response.read_bytes(ANSWER_MAX_BYTES)?;
        account.token(&serde_json::from_slice(&answer).unwrap_or_default())
    }
}

/// A refusal without what was sent. What is not in Google's words may be an echo of it, cut anywhere.
fn without(mut refusal: Refusal, assertion: &str) -> Refusal {
    refusal.message = match &refusal.reason {
        Some(_) => refusal.message.replace(assertion, "…"),
        None => String::new(),
    };
    refusal
}

/// What may be known of a service account.
struct Account<'a> {
    secret: &'a str,
    email: String,
    token_uri: String,
    key_id: Option<String>,
}

impl<'a> Account<'a> {
    fn read(secret: &'a str) -> Result<Self, Failure> {
        // A text of which only parts are secret: what the host would find first in it is not the whole.
        if secret.starts_with('{') {
            return Err(Failure::new(
                AUTH,
                "the service account is a JSON with secrets in it: make the whole JSON one secret, or write all of it as it is",
            )
            .retryable(false));
        }
        let Value::String(email) =
            secrets::field(secret, "/client_email").map_err(|failure| no_email(secret, failure))?
        else {
            return Err(unusable(Failure::new("BAD_ARGUMENT", "its `client_email` is no text")));
        };
        let text =
            |pointer: &str| secrets::field(secret, pointer).ok().and_then(|value| value.as_str().map(str::to_owned));
        Ok(Self {
            secret,
            email,
            token_uri: text("/token_uri").unwrap_or_else(|| TOKEN_URI.to_owned()),
            key_id: text("/private_key_id"),
        })
    }

    /// The token in an answer, which is never shown: it may be in there under another name.
    fn token(self, answer: &Value) -> Result<AccessToken, Failure> {
        let Some(text) = answer.get("access_token").and_then(Value::as_str) else {
            let message = format!("`{}` answered without an `access_token`", self.token_uri);
            return Err(Failure::new(AUTH, message).retryable(false));
        };
        let lifetime_s = answer.get("expires_in").and_then(Value::as_u64).unwrap_or_default();
        Ok(AccessToken { text: text.to_owned(), lifetime: Duration::from_secs(lifetime_s), email: self.email })
    }
}

/// Why there is no name. Other kinds of credentials are told by their type.
fn no_email(secret: &str, failure: Failure) -> Failure {
    match secrets::field(secret, "/type").as_ref().map(Value::as_str) {
        Ok(Some(kind)) if kind != "service_account" => {
            let message = format!("credentials of type `{kind}` are given, and the key of a service account is wanted");
            Failure::new(AUTH, message).retryable(false)
        }
        _ => unusable(failure),
    }
}

/// What the host says of a secret that does not fit. A grant that is missing stays what it is.
fn unusable(failure: Failure) -> Failure {
    match failure.code() {
        "BAD_ARGUMENT" | "NOT_FOUND" => {
            Failure::new(AUTH, format!("the service account cannot be used: {}", failure.message())).retryable(false)
        }
        _ => failure,
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
