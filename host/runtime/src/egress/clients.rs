//! Pooled clients: one per (address policy, TLS identity, CA, proxy, version, connect timeout), so that connections are reused between
//! runs that may reach the same places, and never between others.

use super::options::{ClientOptions, Version};
use super::outside::{Door, Outside};
use super::words;
use crate::grants::AddressPolicy;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Clients at one time; each keeps connections and, with TLS, the trusted certificates. The longest unused goes first.
const CLIENTS: usize = 64;
/// To connect, where nobody says otherwise.
const CONNECT: Duration = Duration::from_secs(30);
/// Idle connections kept per host.
const IDLE_PER_HOST: usize = 16;
/// How long an idle connection is kept: below what most servers and balancers keep theirs.
const IDLE: Duration = Duration::from_secs(50);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    addresses: AddressPolicy,
    options: ClientOptions,
}

#[derive(Default)]
struct Kept {
    clients: HashMap<Key, (u64, reqwest::Client)>,
    clock: u64,
}

/// All clients of this process.
pub(crate) struct Clients {
    kept: Mutex<Kept>,
    outside: Arc<dyn Outside>,
    refused: Arc<AtomicU64>,
}

impl Clients {
    pub(crate) fn new(outside: Arc<dyn Outside>) -> Self {
        // Another part of the process may have chosen a provider already; any is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { kept: Mutex::default(), outside, refused: Arc::default() }
    }

    /// Connections that stood and were refused all the same.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The client for requests with these settings to these addresses.
    pub(super) async fn client(
        &self,
        addresses: &AddressPolicy,
        settings: &super::Settings,
        connect_timeout: Option<Duration>,
    ) -> Result<reqwest::Client, String> {
        let mut options = settings.client.clone();
        if let Some(asked) = connect_timeout {
            // Whole seconds, or every guest's arithmetic would make a client of its own.
            options.connect_timeout = Some(Duration::from_secs(asked.as_secs().clamp(1, 600)));
        }
        let key = Key { addresses: addresses.clone(), options };
        if let Some(client) = self.kept(&key) {
            return Ok(client);
        }
        // Reading the machine's certificates takes some milliseconds of file IO.
        let (made, door) = (key.clone(), self.door(&key));
        let client = tokio::task::spawn_blocking(move || build(&made, &door))
            .await
            .map_err(|cause| format!("the client could not be made: {cause}"))??;
        self.keep(key, client.clone());
        Ok(client)
    }

    /// What a client's names and connections go through.
    fn door(&self, key: &Key) -> Door {
        // With a proxy the names that are resolved here are the proxy's, which was granted by name; the target is resolved over there.
        let addresses = if key.options.proxy.is_some() { AddressPolicy::special() } else { key.addresses.clone() };
        Door { addresses, outside: self.outside.clone(), refused: self.refused.clone() }
    }

    fn kept(&self, key: &Key) -> Option<reqwest::Client> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let now = kept.clock;
        kept.clients.get_mut(key).map(|(used, client)| {
            *used = now;
            client.clone()
        })
    }

    fn keep(&self, key: Key, client: reqwest::Client) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.clients.len() >= CLIENTS {
            let oldest = kept.clients.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                kept.clients.remove(&oldest);
            }
        }
        let now = kept.clock;
        kept.clients.insert(key, (now, client));
    }
}

fn build(key: &Key, door: &Door) -> Result<reqwest::Client, String> {
    let plain = builder(key, door)?.build();
    plain
        .or_else(|cause| {
            // A machine without certificates can still speak HTTP, and HTTPS with a CA of its own; without one, HTTPS fails by itself.
            tracing::warn!(
                cause = words::chain(&cause),
                "no client with this machine's certificates: only given CAs are trusted"
            );
            // Both were made of the same before.
            match (certificates(key), builder(key, door)) {
                (Ok(given), Ok(builder)) => builder.tls_certs_only(given).build(),
                _ => Err(cause),
            }
        })
        .map_err(|cause| format!("the client could not be made: {}", words::chain(&cause)))
}

fn certificates(key: &Key) -> Result<Vec<reqwest::Certificate>, String> {
    match &key.options.ca_pem {
        Some(pem) => reqwest::Certificate::from_pem_bundle(pem.as_bytes())
            .map_err(|_| "`ca-pem` holds no certificate".to_owned()),
        None => Ok(Vec::new()),
    }
}

fn builder(key: &Key, door: &Door) -> Result<reqwest::ClientBuilder, String> {
    let options = &key.options;
    let mut builder = reqwest::Client::builder()
        .dns_resolver(door.clone())
        .connector_layer(door.clone())
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(options.connect_timeout.unwrap_or(CONNECT))
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE)
        .tls_danger_accept_invalid_certs(options.insecure);
    if let Some(proxy) = &options.proxy {
        let mut all =
            reqwest::Proxy::all(proxy.url.clone()).map_err(|_| "the proxy's `url` cannot be used".to_owned())?;
        if let Some((name, password)) = &proxy.credentials {
            all = all.basic_auth(name, password);
        }
        builder = builder.proxy(all);
    }
    let given = certificates(key)?;
    if !given.is_empty() {
        builder = builder.tls_certs_merge(given);
    }
    if let Some(pem) = &options.client_pem {
        let identity =
            reqwest::Identity::from_pem(pem.as_bytes()).map_err(|_| "`client-pem` cannot be used".to_owned())?;
        builder = builder.identity(identity);
    }
    Ok(match options.version {
        Version::Agreed => builder,
        Version::One => builder.http1_only(),
        Version::Two => builder.http2_prior_knowledge(),
    })
}
