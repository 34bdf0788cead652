//! Where names become addresses and addresses connections: both are checked here, one after the other, for every client.
//!
//! What the resolver hands out is what is dialled: there is no second lookup in which a name could mean something else. And when a
//! connection stands, its other end is looked at once more before a byte of a request goes over it. That refuses nothing as long as all before
//! it is right; it is there for the day it is not.

use super::words::{Prohibited, Unresolved};
use crate::grants::AddressPolicy;
use crate::services::Soon;
use http::Extensions;
use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

/// To resolve a name.
const RESOLVE: Duration = Duration::from_secs(15);
/// Addresses of one name that are looked at.
const ADDRESSES: usize = 64;

/// The world outside, as far as tests play it.
pub trait Outside: std::fmt::Debug + Send + Sync {
    /// All addresses of a name, in the order they are tried.
    fn resolve(&self, name: String) -> Soon<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }

    /// An address of a name was admitted: it is dialled next.
    fn admitted(&self, name: &str, address: IpAddr) {
        let _ = (name, address);
    }

    /// A connection stands; it is checked next.
    fn connected(&self, peer: SocketAddr) {
        let _ = peer;
    }
}

/// As it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Internet;

impl Outside for Internet {}

/// What the names and connections of one client go through.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) addresses: AddressPolicy,
    pub(super) outside: Arc<dyn Outside>,
    pub(super) refused: Arc<AtomicU64>,
}

impl Resolve for Door {
    fn resolve(&self, name: Name) -> Resolving {
        let (door, name) = (self.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let found = tokio::time::timeout(RESOLVE, door.outside.resolve(name.clone()))
                .await
                .map_err(|_| Unresolved(format!("resolving `{name}` took longer than {} s", RESOLVE.as_secs())))?
                .map_err(|cause| Unresolved(format!("`{name}` cannot be resolved: {cause}")))?;
            let all = found.get(..ADDRESSES.min(found.len())).unwrap_or_default();
            let good: Vec<IpAddr> = all.iter().copied().filter(|ip| door.addresses.admits(*ip)).collect();
            good.iter().for_each(|ip| door.outside.admitted(&name, *ip));
            match (good.is_empty(), all.first()) {
                (false, _) => Ok(Box::new(good.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs),
                (true, Some(bad)) => Err(Prohibited { host: name, ip: *bad }.into()),
                (true, None) => Err(Unresolved(format!("`{name}` has no address")).into()),
            }
        })
    }
}

impl Door {
    /// The other end of a connection that stands.
    fn check(&self, connection: &impl Connection) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let mut about = Extensions::new();
        connection.connected().get_extras(&mut about);
        let Some(peer) = about.get::<HttpInfo>().map(HttpInfo::remote_addr) else {
            // It is gone already, or is nothing that has an address.
            return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        };
        self.outside.connected(peer);
        if self.addresses.admits(peer.ip()) {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%peer, "a connection led to where its run may not go, and was refused before it was used");
        Err(Prohibited { host: peer.ip().to_string(), ip: peer.ip() }.into())
    }
}

impl<S> Layer<S> for Door {
    type Service = Checking<S>;

    fn layer(&self, inner: S) -> Checking<S> {
        Checking { inner, door: self.clone() }
    }
}

/// A connector whose connections are checked.
#[derive(Clone)]
pub(super) struct Checking<S> {
    inner: S,
    door: Door,
}

impl<S, Target> Service<Target> for Checking<S>
where
    S: Service<Target, Error = Box<dyn StdError + Send + Sync>>,
    S::Future: Send + 'static,
    S::Response: Connection + Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Soon<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let (connecting, door) = (self.inner.call(target), self.door.clone());
        Box::pin(async move {
            let connection = connecting.await?;
            door.check(&connection)?;
            Ok(connection)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Answers each lookup with the same list.
    #[derive(Debug, Default)]
    struct Played {
        answers: Vec<IpAddr>,
        connected: Mutex<Vec<SocketAddr>>,
    }

    impl Outside for Played {
        fn resolve(&self, _: String) -> Soon<'static, std::io::Result<Vec<IpAddr>>> {
            let answers = self.answers.clone();
            Box::pin(async move { Ok(answers) })
        }

        fn connected(&self, peer: SocketAddr) {
            self.connected.lock().expect("not poisoned").push(peer);
        }
    }

    fn door(answers: &[&str]) -> (Door, Arc<Played>) {
        let answers = answers.iter().map(|ip| ip.parse().expect("an address")).collect();
        let played = Arc::new(Played { answers, ..Played::default() });
        (Door { addresses: AddressPolicy::default(), outside: played.clone(), refused: Arc::default() }, played)
    }

    #[tokio::test]
    async fn of_several_addresses_only_those_are_dialled_that_may_be() {
        let handed_out = async |answers: &[&str]| {
            let found = door(answers).0.resolve("mixed.test".parse().expect("a name")).await;
            found.map(|all| all.map(|address| address.ip().to_string()).collect::<Vec<_>>()).map_err(|e| e.to_string())
        };
        assert_eq!(handed_out(&["127.0.0.1", "192.0.32.10", "::1", "10.0.0.1"]).await, Ok(vec!["192.0.32.10".into()]));
        assert_eq!(
            handed_out(&["10.0.0.1", "169.254.169.254"]).await,
            Err("`mixed.test` leads to 10.0.0.1, which this run may not reach".to_owned())
        );
        assert_eq!(handed_out(&[]).await, Err("`mixed.test` has no address".to_owned()));
    }

    #[tokio::test]
    async fn a_connection_to_a_refused_address_is_never_used() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (door, played) = door(&[]);
        // An address in the URL passes no resolver: only the connection itself is left to be looked at.
        let client = reqwest::Client::builder().no_proxy().connector_layer(door.clone()).build().expect("a client");
        let failed = client.get(format!("http://{address}/")).send().await.expect_err("it is refused");
        assert!(super::super::words::chain(&failed).contains("which this run may not reach"), "{failed:?}");
        assert_eq!(*played.connected.lock().expect("not poisoned"), [address]);
        assert_eq!(door.refused.load(Ordering::Relaxed), 1);
        let (mut stream, _) = listener.accept().await.expect("it came");
        let mut bytes = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await;
        assert!(bytes.is_empty(), "{read:?}");
    }
}
