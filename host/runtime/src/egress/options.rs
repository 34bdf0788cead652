//! What a plugin may ask of its requests (`egress.options`): parsed once, checked once, used by token.

use crate::calls::Shared;
use crate::grants::{AddressPolicy, Need};
use crate::scrub::Needles;
use crate::services::HostError;
use serde::Deserialize;
use std::time::Duration;

/// The JSON object of options; certificates included.
const OPTIONS_BYTES: usize = 256 << 10;
/// The longest any timeout may be: a day, for nobody waits longer.
const LONGEST_MS: u64 = 86_400_000;

/// As the guest writes it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Written {
    connect_timeout_ms: Option<u64>,
    timeout_ms: Option<u64>,
    idle_timeout_ms: Option<u64>,
    ca_pem: Option<String>,
    client_pem: Option<String>,
    insecure: bool,
    proxy: Option<WrittenProxy>,
    http_version: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenProxy {
    url: String,
    username: Option<String>,
    password: Option<String>,
}

/// Which version of HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Version {
    /// What both sides like best.
    #[default]
    Agreed,
    One,
    Two,
}

/// A proxy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Proxy {
    pub(super) url: url::Url,
    pub(super) credentials: Option<(String, String)>,
}

/// What makes a client of its own. It may hold secrets: it has no `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct ClientOptions {
    pub(super) connect_timeout: Option<Duration>,
    pub(super) ca_pem: Option<String>,
    pub(super) client_pem: Option<String>,
    pub(super) insecure: bool,
    pub(super) proxy: Option<Proxy>,
    pub(super) version: Version,
}

/// Checked options.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) client: ClientOptions,
    /// From the request to the end of its answer.
    pub(super) timeout: Option<Duration>,
    /// Between pieces of an answer.
    pub(super) idle_timeout: Option<Duration>,
    /// Secrets a proxy is sent, which its answers must not show.
    pub(super) hidden: Needles,
}

impl Settings {
    pub(super) async fn parse(text: &str, shared: &Shared) -> Result<Self, HostError> {
        if text.len() > OPTIONS_BYTES {
            return Err(HostError::limit(format!("egress options have at most {OPTIONS_BYTES} bytes")));
        }
        let written: Written =
            serde_json::from_str(text).map_err(|cause| HostError::bad_argument(format!("egress options: {cause}")))?;
        if written.insecure {
            ask(shared, &Need::InsecureTls)?;
        }
        let mut hidden = Needles::default();
        let proxy = match written.proxy {
            Some(proxy) => Some(checked_proxy(proxy, shared, &mut hidden).await?),
            None => None,
        };
        let version = match written.http_version.as_deref() {
            None => Version::Agreed,
            Some("1.1") => Version::One,
            Some("2") => Version::Two,
            Some(other) => {
                return Err(HostError::bad_argument(format!(
                    "`http-version` is `1.1` or `2`, not `{}`",
                    other.escape_debug()
                )));
            }
        };
        let client = ClientOptions {
            connect_timeout: duration("connect-timeout-ms", written.connect_timeout_ms)?,
            ca_pem: revealed(written.ca_pem, shared).await?,
            client_pem: revealed(written.client_pem, shared).await?,
            insecure: written.insecure,
            proxy,
            version,
        };
        check_pem(&client)?;
        Ok(Self {
            client,
            timeout: duration("timeout-ms", written.timeout_ms)?,
            idle_timeout: duration("idle-timeout-ms", written.idle_timeout_ms)?,
            hidden,
        })
    }
}

fn ask(shared: &Shared, need: &Need<'_>) -> Result<(), HostError> {
    shared.grants.allow(need).inspect_err(|denied| shared.denied(&denied.message))
}

async fn revealed(text: Option<String>, shared: &Shared) -> Result<Option<String>, HostError> {
    match text {
        Some(text) => Ok(Some(shared.services.secrets().substitute_text(text, None).await?.with)),
        None => Ok(None),
    }
}

async fn checked_proxy(proxy: WrittenProxy, shared: &Shared, hidden: &mut Needles) -> Result<Proxy, HostError> {
    let url =
        url::Url::parse(&proxy.url).map_err(|cause| HostError::bad_argument(format!("the proxy's `url`: {cause}")))?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(HostError::bad_argument("the proxy's `url` names no host and port"));
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err(HostError::bad_argument(format!(
            "a proxy is reached by `http` or `https`, not `{}`",
            url.scheme()
        )));
    }
    ask(shared, &Need::Proxy(&format!("{host}:{port}")))?;
    // A name is looked at when it is resolved, an address nowhere else before it is dialled.
    let literal = match url.host() {
        Some(url::Host::Ipv4(ip)) => Some(std::net::IpAddr::V4(ip)),
        Some(url::Host::Ipv6(ip)) => Some(std::net::IpAddr::V6(ip)),
        _ => None,
    };
    if let Some(ip) = literal.filter(|ip| !AddressPolicy::special().admits(*ip)) {
        let refused = super::words::prohibited(host, ip);
        shared.denied(&refused.message);
        return Err(refused);
    }
    let credentials = match (proxy.username, proxy.password) {
        (None, None) => None,
        (name, password) => {
            let mut clear = [name.unwrap_or_default(), password.unwrap_or_default()];
            for text in &mut clear {
                let filled = shared.services.secrets().substitute_text(std::mem::take(text), Some(&url)).await?;
                *text = filled.with;
                *hidden = std::mem::take(hidden).and(filled.hidden);
            }
            Some(clear.into())
        }
    };
    Ok(Proxy { url, credentials })
}

fn duration(name: &str, milliseconds: Option<u64>) -> Result<Option<Duration>, HostError> {
    match milliseconds {
        Some(value) if value == 0 || value > LONGEST_MS => {
            Err(HostError::bad_argument(format!("`{name}` is between 1 and {LONGEST_MS}, not {value}")))
        }
        other => Ok(other.map(Duration::from_millis)),
    }
}

/// Says now what would otherwise fail the first request. The PEM itself is never repeated: it may be a secret.
fn check_pem(client: &ClientOptions) -> Result<(), HostError> {
    if let Some(pem) = &client.ca_pem {
        let found = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map(|list| list.len()).unwrap_or(0);
        if found == 0 {
            return Err(HostError::bad_argument("`ca-pem` holds no certificate"));
        }
    }
    if let Some(pem) = &client.client_pem
        && reqwest::Identity::from_pem(pem.as_bytes()).is_err()
    {
        return Err(HostError::bad_argument("`client-pem` holds no certificate with its private key"));
    }
    Ok(())
}
