//! What a provider is shown: a key, a signature, or a token that somebody gives for one. Every secret in here is the placeholder that the host
//! gave the plugin in its place.

use std::fmt;

use llm::http::{self, Auth, HttpRequest};
use serde_json::Value;
use sluice_sdk::http::{Body, Headers, Redirects, Request, Timeouts, Url, bearer, encode_form};
use sluice_sdk::{Failure, secrets};

use crate::aws;
use crate::connection::Connection;

/// Where Microsoft gives tokens.
const ENTRA: &str = "https://login.microsoftonline.com";
/// What a token of Microsoft is to be good for.
const ENTRA_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// Where a machine of Google's gets the tokens of its own service account. Reaching it takes a grant of its own.
const METADATA: &str = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";
/// Longest answer that is read.
const TOKEN_MAX_BYTES: usize = 64 * 1024;

/// What a provider is shown.
#[derive(Clone, Default)]
pub enum Credential {
    #[default]
    None,
    /// An API key.
    Key(String),
    /// A token that is sent as it is.
    Token(String),
    Aws {
        access_key_id: String,
        secret_access_key: String,
        session_token: Option<String>,
    },
    /// The JSON of a service account of Google's.
    ServiceAccount(String),
    /// The service account of the machine.
    Metadata,
    /// An application at Microsoft's Entra.
    Entra {
        tenant_id: String,
        client_id: String,
        client_secret: String,
        /// Another place than Microsoft's own.
        authority: Option<String>,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Key(_) => "Key",
            Self::Token(_) => "Token",
            Self::Aws { .. } => "Aws",
            Self::ServiceAccount(_) => "ServiceAccount",
            Self::Metadata => "Metadata",
            Self::Entra { .. } => "Entra",
        })
    }
}

impl Credential {
    /// A key, where one is given.
    pub fn key(key: Option<String>) -> Self {
        key.filter(|key| !key.trim().is_empty()).map_or(Self::None, Self::Key)
    }

    pub(crate) fn kind(&self) -> http::Credential {
        match self {
            Self::None => http::Credential::None,
            Self::Key(_) | Self::Aws { .. } | Self::ServiceAccount(_) | Self::Metadata => http::Credential::Key,
            Self::Token(_) | Self::Entra { .. } => http::Credential::Token,
        }
    }
}

/// Puts into the headers what the request asks for.
pub fn authorize(connection: &Connection, request: &HttpRequest, headers: &mut Headers) -> Result<(), Failure> {
    match (&request.auth, &connection.credential) {
        (Auth::None, _) | (_, Credential::None) => {}
        (Auth::SigV4 { service, region }, Credential::Aws { access_key_id, secret_access_key, session_token }) => {
            let keys = aws::Keys { access_key_id, secret_access_key, session_token: session_token.as_deref() };
            aws::sign(&keys, request, (service, region), headers)?;
        }
        (Auth::GoogleJwt { scope }, Credential::ServiceAccount(account)) => {
            let scopes = [(*scope).to_owned()];
            let asked = google::TokenRequest {
                service_account: account,
                scopes: &scopes,
                subject: None,
                timeouts: connection.timeouts(),
            };
            headers.set("authorization", bearer(&asked.send()?.text));
        }
        (Auth::GoogleJwt { .. }, Credential::Metadata) => {
            let asked = Request::get(METADATA)?.header("metadata-flavor", "Google");
            headers.set("authorization", bearer(&token(asked, connection.timeouts(), "Google's metadata service")?));
        }
        (Auth::Bearer, Credential::Entra { tenant_id, client_id, client_secret, authority }) => {
            let authority = authority.as_deref().unwrap_or(ENTRA).trim_end_matches('/');
            let url = Url::parse(&format!("{authority}/{}/oauth2/v2.0/token", encode_form(tenant_id)))?;
            let form = Body::form([
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", client_secret),
                ("scope", ENTRA_SCOPE),
            ]);
            let asked =
                Request::new("POST", url)?.header("content-type", "application/x-www-form-urlencoded").body(form);
            headers.set("authorization", bearer(&token(asked, connection.timeouts(), "Microsoft Entra")?));
        }
        (Auth::Bearer, Credential::Key(key) | Credential::Token(key)) => headers.set("authorization", bearer(key)),
        (Auth::Header(name), Credential::Key(key) | Credential::Token(key)) => headers.set(name, key),
        (auth, credential) => {
            return Err(Failure::bad_property(format!("{credential:?} is no credential for {auth:?}")));
        }
    }
    Ok(())
}

/// The `access_token` of an OAuth answer. What is said of a refusal is never an echo of what was sent.
fn token(request: Request, timeouts: Timeouts, whose: &str) -> Result<String, Failure> {
    let mut response = request.timeouts(timeouts).redirects(Redirects::Return).send()?;
    let status = response.status();
    let answer: Value = serde_json::from_slice(&response.read_start(TOKEN_MAX_BYTES)?).unwrap_or_default();
    if let (200, Some(token)) = (status, answer.get("access_token").and_then(Value::as_str)) {
        return Ok(token.to_owned());
    }
    let said = ["error_description", "error"].iter().find_map(|name| answer.get(*name)?.as_str());
    let said = said.map_or_else(|| format!("status {status}"), |said| said.chars().take(500).collect());
    let later = status == 429 || status >= 500;
    Err(Failure::new("LLM_AUTH", format!("{whose} gives no token: {said}")).retryable(later))
}

/// Whether the host holds what this stands for: the name of a secret or a placeholder.
pub(crate) fn signed(name: &str, parameters: &Value, data: &[u8]) -> Result<Vec<u8>, Failure> {
    secrets::sign(name, "aws-sigv4", parameters, data)
}
