//! What went wrong on the way out: a code for the guest, a sentence for the person.

use super::address::{self, Class};
use crate::calls::Shared;
use crate::services::HostError;
use crate::sink::Level;
use std::error::Error as StdError;
use std::net::IpAddr;
use wasmtime_wasi_http::Error;

/// How deep causes are followed.
const CAUSES: usize = 16;

/// A name that leads only to addresses this run may not reach.
#[derive(Debug, thiserror::Error)]
#[error("`{host}` leads to {ip}, which this run may not reach")]
pub(super) struct Prohibited {
    pub(super) host: String,
    pub(super) ip: IpAddr,
}

/// A name without an address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unresolved(pub(super) String);

/// The refusal of an address.
pub(super) fn prohibited(host: &str, ip: IpAddr) -> HostError {
    let (what, hint) = match address::classify(ip) {
        Class::Public => ("not granted", "grant the network to it"),
        Class::Special(_) => {
            ("in a special range", "an operator opens it by name: `network: [\"HOST:PORT\"]` in the policy")
        }
        Class::Metadata => {
            ("a metadata service", "grant its address itself, if a plugin shall have the machine's credentials")
        }
        Class::Unusable => ("no destination", "name another host"),
    };
    let range = match address::classify(ip) {
        Class::Special(name) => format!(" ({name})"),
        _ => String::new(),
    };
    HostError::not_granted(format!("`{host}` is at {ip}, {what}{range}: refused; hint: {hint}"))
}

/// The client's error as the guest's code; the person reads the causes in the log.
pub(super) fn explain(shared: &Shared, host: &str, cause: &reqwest::Error) -> Error {
    if let Some(found) = find::<Prohibited>(cause) {
        shared.denied(&prohibited(host, found.ip).message);
        return Error::DestinationIpProhibited;
    }
    // Not the client's own words: they have the whole URL, with the secrets in it.
    let why = cause.source().map_or_else(|| "no cause is known".to_owned(), chain);
    shared.log(Level::Debug, format!("the request to `{host}` failed: {why}"), Vec::new());
    if find::<Unresolved>(cause).is_some() {
        return Error::DnsError { rcode: None, info_code: None };
    }
    if let Some(tls) = find::<rustls::Error>(cause).or_else(|| find::<std::io::Error>(cause).and_then(tls_within)) {
        return match tls {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => Error::TlsCertificateError,
            _ => Error::TlsProtocolError,
        };
    }
    if let Some(io) = find::<std::io::Error>(cause) {
        match io.kind() {
            std::io::ErrorKind::ConnectionRefused => return Error::ConnectionRefused,
            std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::BrokenPipe
            | std::io::ErrorKind::UnexpectedEof => {
                return Error::ConnectionTerminated;
            }
            std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
                return Error::DestinationUnavailable;
            }
            _ => {}
        }
    }
    match (cause.is_timeout(), cause.is_connect()) {
        (true, true) => Error::ConnectionTimeout,
        (true, false) => Error::ConnectionReadTimeout,
        (false, true) => Error::DestinationUnavailable,
        (false, false) => Error::HttpProtocolError,
    }
}

/// A TLS error arrives inside IO errors, which hide it from `source`: one within the other where a client's connector wraps it once more.
fn tls_within(io: &std::io::Error) -> Option<&rustls::Error> {
    let inner = io.get_ref()?;
    inner.downcast_ref::<rustls::Error>().or_else(|| tls_within(inner.downcast_ref::<std::io::Error>()?))
}

/// An error and its causes on one line.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    causes(error).iter().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    causes(error).into_iter().find_map(|error| error.downcast_ref::<T>())
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut causes = vec![error];
    let mut at = error;
    while let Some(next) = at.source().filter(|_| causes.len() < CAUSES) {
        causes.push(next);
        at = next;
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_tls_is_found_however_often_it_is_wrapped() {
        let once = std::io::Error::other(rustls::Error::DecryptError);
        assert!(tls_within(&once).is_some());
        assert!(tls_within(&std::io::Error::other(once)).is_some());
        assert!(tls_within(&std::io::Error::from(std::io::ErrorKind::ConnectionReset)).is_none());
        assert!(tls_within(&std::io::Error::other("no more than words")).is_none());
    }
}
