//! Where tokens are issued: Entra's for client credentials, Google's for a service account's assertion.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::super::faults::json_response;
use super::super::{Incoming, Shared};
use super::{AZURE_SCOPE, jwt, rsa};

/// How long a token is valid, in seconds.
const LIFE: u64 = 3_599;

/// An answer, and whether the credential was right.
pub type Answered = (Response<Body>, bool);

/// `POST /google/token`.
pub fn google(shared: &Shared, incoming: &Incoming) -> Answered {
    let refused = |error: &str, description: &str| {
        let body = json!({ "error": error, "error_description": description });
        (json_response(400, &body), false)
    };
    let form = incoming.form();
    if form.get("grant_type").map(String::as_str) != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
        return refused("unsupported_grant_type", "Invalid grant_type: it has to be that of an assertion");
    }
    let account = &shared.credentials.account;
    let public_key = rsa::public();
    let expected = jwt::Expected {
        email: &account.email,
        key_id: &account.key_id,
        audience: &format!("{}/google/token", shared.origin),
        public_key: &public_key,
        now: jiff::Timestamp::now().as_second(),
    };
    match jwt::scope(form.get("assertion").map(String::as_str).unwrap_or_default(), &expected) {
        Err(wrong) => refused(if wrong.contains("scope") { "invalid_scope" } else { "invalid_grant" }, &wrong),
        Ok(scope) => {
            let token = shared.credentials.issue("ya29.c.", &scope);
            (json_response(200, &bearer(&token)), true)
        }
    }
}

/// `POST /entra/{tenant}/oauth2/v2.0/token`.
pub fn entra(shared: &Shared, tenant: &str, incoming: &Incoming) -> Answered {
    let entra = &shared.credentials.entra;
    let refused = |status: u16, error: &str, code: u32, description: &str| {
        let body = json!({ "error": error, "error_description": format!("AADSTS{code}: {description}"),
            "error_codes": [code], "timestamp": "2026-01-01 00:00:00Z", "trace_id": "0", "correlation_id": "0" });
        (json_response(status, &body), false)
    };
    let form = incoming.form();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if tenant != entra.tenant {
        return refused(
            400,
            "invalid_request",
            90_002,
            "Tenant not found. Check to make sure you have the correct tenant ID.",
        );
    }
    if field("grant_type") != "client_credentials" {
        return refused(400, "unsupported_grant_type", 70_003, "The app requested an unsupported grant type.");
    }
    if field("client_id") != entra.client_id {
        return refused(400, "unauthorized_client", 700_016, "The application was not found in the directory.");
    }
    if field("client_secret") != entra.client_secret {
        return refused(
            401,
            "invalid_client",
            7_000_215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
        );
    }
    if field("scope") != AZURE_SCOPE {
        return refused(
            400,
            "invalid_scope",
            70_011,
            "The provided value for the input parameter 'scope' is not valid.",
        );
    }
    let token = shared.credentials.issue("eyJ0eXAiOiJKV1Qi.", AZURE_SCOPE);
    let mut body = bearer(&token);
    body["ext_expires_in"] = LIFE.into();
    (json_response(200, &body), true)
}

fn bearer(token: &str) -> Value {
    json!({ "access_token": token, "expires_in": LIFE, "token_type": "Bearer" })
}
