//! What leaves a run or a poll: secrets in the places of their placeholders, towards the hosts they may go to, and nothing before all it may
//! depend on is durable.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::flow::Flow;
use runtime::{HostError, RequestHead};

use super::secrets::RunSecrets;
use crate::node::Node;

/// How long an effect waits before it looks again whether the store has room.
pub(super) const FULL_AGAIN: std::time::Duration = std::time::Duration::from_millis(200);

/// The way out of one run.
pub(super) struct Outgoing {
    node: Arc<Node>,
    secrets: Arc<RunSecrets>,
    /// Of the flow: where secrets are looked for first.
    namespace: String,
    /// Hosts that stand in the flow's source: the only ones that a secret without a binding may go to.
    literal_hosts: BTreeSet<String>,
}

impl Outgoing {
    /// For a run of a flow.
    pub fn new(node: Arc<Node>, flow: &Flow, secrets: Arc<RunSecrets>) -> Self {
        let namespace = flow.key.namespace.to_string();
        Self { node, secrets, namespace, literal_hosts: literal_hosts(&flow.source) }
    }

    pub fn secrets(&self) -> &RunSecrets {
        &self.secrets
    }

    /// A placeholder for a secret by name.
    pub fn handle(&self, name: String) -> Result<String, HostError> {
        let Some(found) = self.node.find_secret(&self.namespace, &name) else {
            return Err(HostError::not_found(format!(
                "there is no secret `{name}` for namespace `{}`",
                self.namespace
            )));
        };
        let secret = expr::Secret::new(expr::Origin::Named(found.called), found.value);
        Ok(self.secrets.placeholder(&secret))
    }

    /// Waits until all that was committed is durable; the run's own deadline bounds the wait for a disk that is full.
    pub async fn gate(&self) -> Result<(), HostError> {
        loop {
            match self.node.store.durable(self.node.store.head()).await {
                Err(store::Error::Full { .. }) => tokio::time::sleep(FULL_AGAIN).await,
                done => return done.map_err(|error| HostError::host(error.to_string())),
            }
        }
    }

    /// Puts the values of secrets where their placeholders stand, if they may go to that host.
    pub fn substitute(&self, mut head: RequestHead) -> Result<RequestHead, HostError> {
        let mut found = false;
        let failed = |error: expr::Error| HostError::host(error.to_string());
        if let Some(clear) = self.secrets.reveal(head.url.as_str()).map_err(failed)? {
            found = true;
            head.url = url::Url::parse(&clear)
                .map_err(|error| HostError::bad_argument(format!("the URL with its secret is not valid: {error}")))?;
        }
        for value in head.headers.values_mut() {
            let Ok(text) = value.to_str() else { continue };
            if let Some(clear) = self.secrets.reveal(text).map_err(failed)? {
                found = true;
                *value = http::HeaderValue::from_str(&clear)
                    .map_err(|_| HostError::bad_argument("a secret in a header has characters no header may have"))?;
                value.set_sensitive(true);
            }
        }
        if found {
            self.may_carry_secrets(&head.url)?;
            // A compressed answer could not be looked through for the secret.
            head.headers.remove(http::header::ACCEPT_ENCODING);
        }
        Ok(head)
    }

    /// A secret goes only to a host that stands in the flow's source, and only over TLS or within this machine.
    fn may_carry_secrets(&self, url: &url::Url) -> Result<(), HostError> {
        let name = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let local = match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.scheme() != "https" && !local {
            return Err(HostError::not_granted(format!(
                "a secret is not sent to `{name}` without TLS; hint: use https"
            )));
        }
        if !self.literal_hosts.contains(&name) {
            return Err(HostError::not_granted(format!(
                "a secret is not sent to `{name}`: the flow's source does not name it; hint: write the host of the URL into the flow"
            )));
        }
        Ok(())
    }
}

/// Hosts of the URLs that stand in a source as they are.
fn literal_hosts(source: &str) -> BTreeSet<String> {
    let starts = source.match_indices("://").map(|(at, _)| at);
    starts
        .filter_map(|at| {
            let scheme = source.get(..at)?.rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
            let rest = source.get(at..)?;
            let end = rest.get(3..)?.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '/' | '?' | '#'))?;
            let url = url::Url::parse(&format!("{scheme}{}", rest.get(..end + 3)?)).ok()?;
            // Only names and addresses: an expression in the place of a host names nothing.
            let plain = |host: &&str| host.chars().all(|c| c.is_ascii_alphanumeric() || ".-[]:".contains(c));
            url.host_str().filter(plain).map(str::to_ascii_lowercase)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_in_the_source_are_found() {
        let check = |source: &str, expected: &[&str]| {
            assert_eq!(literal_hosts(source).iter().map(String::as_str).collect::<Vec<_>>(), expected);
        };
        check("uri: https://api.example.com/v1/{{ inputs.id }}\n", &["api.example.com"]);
        check("uri: \"https://API.example.com:8443?x=1\"\n", &["api.example.com"]);
        check("uri: \"https://{{ inputs.host }}/x\"\n", &[]);
        check("uri: https://user@evil.example/\n", &["evil.example"]);
        check("nothing here", &[]);
    }
}
