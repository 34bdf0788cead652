//! Who has the rights of a user of this server: on loopback everybody on this machine, else whoever knows the name and the password. It keeps
//! no password, only a digest.

use std::net::SocketAddr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// How whoever asks shows who they are.
#[derive(Clone)]
pub enum Access {
    /// Nobody is asked. A server is open on a loopback address alone.
    Open,
    /// A name and a password; what is kept is the sha256 of `name:password`.
    Basic(Arc<[u8; 32]>),
}

/// Why a server does not start on an address.
#[derive(Debug, thiserror::Error)]
#[error(
    "refusing to listen on `{address}` without credentials: everybody who can reach it could run flows\n  hint: set SLUICE_USERNAME and SLUICE_PASSWORD, or listen on 127.0.0.1"
)]
pub struct Unprotected {
    address: SocketAddr,
}

impl Access {
    /// What is configured, wherever it is asked for.
    pub fn of(credentials: Option<(&str, &str)>) -> Self {
        match credentials {
            Some((name, password)) => Self::Basic(Arc::new(fingerprint(format!("{name}:{password}").as_bytes()))),
            None => Self::Open,
        }
    }

    /// What an address needs, given what is configured.
    pub fn for_address(address: SocketAddr, credentials: Option<(&str, &str)>) -> Result<Self, Unprotected> {
        match credentials.is_some() || address.ip().is_loopback() {
            true => Ok(Self::of(credentials)),
            false => Err(Unprotected { address }),
        }
    }

    /// Whether these, `name:password`, are the credentials of this server. Digests are compared, so that the time taken says nothing about the
    /// password.
    pub(crate) fn knows(&self, pair: &[u8]) -> bool {
        matches!(self, Self::Basic(expected) if fingerprint(pair) == **expected)
    }
}

fn fingerprint(pair: &[u8]) -> [u8; 32] {
    Sha256::digest(pair).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("a socket address")
    }

    #[test]
    fn open_only_on_loopback() {
        assert!(matches!(Access::for_address(address("127.0.0.1:0"), None), Ok(Access::Open)));
        assert!(matches!(Access::for_address(address("[::1]:0"), None), Ok(Access::Open)));
        let refused = Access::for_address(address("0.0.0.0:8080"), None).err().expect("must refuse").to_string();
        assert!(refused.contains("0.0.0.0:8080") && refused.contains("SLUICE_PASSWORD"), "{refused}");
        assert!(matches!(Access::for_address(address("0.0.0.0:1"), Some(("a", "b"))), Ok(Access::Basic(_))));
    }

    #[test]
    fn nobody_is_known_where_nobody_is_asked() {
        assert!(Access::of(Some(("a", "b:c"))).knows(b"a:b:c"));
        assert!(!Access::of(Some(("a", "b"))).knows(b"a:"));
        assert!(!Access::Open.knows(b":"));
    }
}
