//! What went wrong with a provider, as a failure of a task: each kind with a code of its own and what to do about it.

use llm::{Kind, ProviderError};
use sluice_sdk::Failure;
use sluice_sdk::http::code;

/// A failure in the provider's words and with ours.
pub fn failure(error: &ProviderError) -> Failure {
    let message = match error.message() {
        "" => "the provider gave no reason".to_owned(),
        words => words.to_owned(),
    };
    let message = hint(error.kind).map_or_else(|| message.clone(), |hint| format!("{message}\nhint: {hint}"));
    let failure = Failure::new(error.code(), message).retryable(error.retryable());
    match error.retry_after_ms() {
        Some(wait) => failure.detail("retryAfterMs", wait),
        None => failure,
    }
}

fn hint(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Auth => "the provider does not take the key: look at the secret behind it, and at what the key may do",
        Kind::UnknownModel => {
            "write the model's name as the provider has it, and look whether the address is the provider's"
        }
        Kind::RateLimited { .. } => "give the task a `retry`, or ask for a higher limit at the provider",
        Kind::QuotaExhausted => "no retry helps: the account has nothing left, or a limit of spending is reached",
        Kind::Overloaded { .. } | Kind::Server => "give the task a `retry`",
        Kind::TooLong => "send less, or take a model with a larger context",
        Kind::ContentFilter => "the provider's filter stopped it: say it otherwise",
        Kind::BadRequest | Kind::Malformed | Kind::Truncated => return None,
    })
}

/// What a flow asks of a provider that cannot do it.
pub fn refused(error: &ProviderError) -> Failure {
    failure(error)
}

/// What the network refused, with what that means here.
pub(crate) fn unreachable(failure: Failure, address: &str) -> Failure {
    let hint = match failure.code() {
        code::DNS => "no such host: look at `baseUrl`",
        code::CONNECT => "nobody answers there: is the provider up, and `baseUrl` right?",
        code::TLS => {
            "the certificates do not fit: `caPem` holds whom to trust, `clientPem` this side's certificate and key"
        }
        code::TIMEOUT => "the provider took too long: give the provider a longer `timeout`, or the task a `retry`",
        _ => return failure,
    };
    let message = format!("{} (asked `{address}`)\nhint: {hint}", failure.message());
    let mut changed = Failure::new(failure.code(), message);
    if let Some(retryable) = failure.is_retryable() {
        changed = changed.retryable(retryable);
    }
    failure.details().iter().fold(changed, |changed, (name, value)| changed.detail(name, value))
}
