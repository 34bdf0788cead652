//! What leaves a run or a poll: secrets in the places of their placeholders, towards the hosts they may go to, and nothing before all it may
//! depend on is durable. What was put in is what must not be seen in the answer.

mod body;
mod guest;
mod headers;
mod hosts;
pub(super) mod spelling;
mod url;

use std::sync::Arc;

use bytes::Bytes;
use expr::Secret;
use model::ids::Namespace;
use runtime::{Filled, HostError, Needles, RequestHead};

use self::url::Host;
pub(super) use self::url::decoded;
use super::alarms::{About, Alarms, Place};
use super::secret::{name_of, value_of};
use super::secrets::RunSecrets;
use super::{hiding, signing};
use crate::access::Access;
use crate::node::Node;
use crate::secrets::no_secret;
pub(crate) use hosts::Bound;
pub(super) use hosts::Hosts;

/// How long an effect waits before it looks again whether the store has room.
pub(super) const FULL_AGAIN: std::time::Duration = std::time::Duration::from_millis(200);

/// The way out of one run.
pub(super) struct Outgoing {
    node: Arc<Node>,
    secrets: Arc<RunSecrets>,
    /// Of the flow: where secrets are looked for first.
    namespace: Namespace,
    alarms: Arc<Alarms>,
    hosts: Arc<Hosts>,
}

impl Outgoing {
    /// `hosts`: where the secrets of the run's flow may go.
    pub fn new(node: Arc<Node>, hosts: Arc<Hosts>, secrets: Arc<RunSecrets>, about: About) -> Self {
        let namespace = about.flow.namespace.clone();
        let alarms = Arc::new(Alarms::new(node.clone(), secrets.clone(), hosts.clone(), about));
        Self { node, secrets, namespace, alarms, hosts }
    }

    /// The way out of a provider that answers on this run's behalf: with its secrets, to hosts of its own.
    pub fn of_provider(&self, hosts: Arc<Hosts>, plugin: Arc<str>, version: Arc<str>) -> Self {
        let about = About { plugin, version, ..self.alarms.about().clone() };
        Self::new(self.node.clone(), hosts, self.secrets.clone(), about)
    }

    pub fn alarms(&self) -> &Arc<Alarms> {
        &self.alarms
    }

    pub fn secrets(&self) -> &RunSecrets {
        &self.secrets
    }

    /// A secret by its name, or by the placeholder the guest was given.
    pub fn secret(&self, name: &str) -> Result<Secret, HostError> {
        if let Some(secret) = self.secrets.behind(name) {
            return Ok(secret);
        }
        let found = self.node.find_secret(self.namespace.as_str(), name);
        let found = found.ok_or_else(|| HostError::not_found(no_secret(self.namespace.as_str(), name)))?;
        Ok(Secret::new(expr::Origin::Named(found.called), found.value))
    }

    /// A placeholder for a secret by name.
    pub fn handle(&self, name: &str) -> Result<String, HostError> {
        Ok(self.secrets.placeholder_at_start(&self.secret(name)?))
    }

    /// A signature with a secret.
    pub fn sign(&self, name: &str, algorithm: &str, parameters: &str, data: &[u8]) -> Result<Vec<u8>, HostError> {
        signing::sign(&self.secrets, &self.secret(name)?, algorithm, parameters, data)
    }

    /// A field of a structured secret that is no secret itself.
    pub fn field(&self, name: &str, pointer: &str) -> Result<String, HostError> {
        signing::field(&self.secret(name)?, pointer)
    }

    /// A secret in the clear, once the audit log has that it was handed out. From then on it is taken out of what the guest says.
    pub async fn reveal(&self, name: &str) -> Result<Vec<u8>, HostError> {
        let secret = self.secret(name)?;
        let value = value_of(&secret)?.as_bytes().to_vec();
        self.alarms.note(&secret, "secret.reveal").await?;
        self.secrets.remember_revealed(&secret);
        Ok(value)
    }

    /// Whether a name and a password, placeholders of secrets in them, are what this server asks for.
    pub fn shows(&self, access: &Access, name: &str, password: &str) -> Result<bool, HostError> {
        let clear = |text: &str| -> Result<Vec<u8>, HostError> {
            let filled = self.secrets.fill(text.as_bytes(), |value| Ok(value.to_owned()))?;
            Ok(filled.map_or_else(|| text.as_bytes().to_vec(), |filled| filled.bytes))
        };
        Ok(access.knows(&[clear(name)?, clear(password)?].join(&b':')))
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

    /// The URL of a secret that is one, in the place of its placeholder.
    pub fn resolve(&self, head: RequestHead) -> Result<RequestHead, HostError> {
        match url::host_of(&self.secrets, &head.url) {
            Host::Plain => Ok(head),
            Host::Whole(secret) => {
                let placeholder = head.url.host_str().map(str::to_owned);
                Ok(RequestHead { placeholder, ..url::resolved(head, &secret)? })
            }
            Host::Misplaced(secret) => {
                self.alarms.raise(&secret, Place::UrlHost, None);
                Err(HostError::not_granted(format!(
                    "secret `{}` stands in the host of a URL, where no secret is put; hint: write the host into the flow, or make the \
                     whole URL the secret",
                    name_of(&secret)
                )))
            }
        }
    }

    /// Puts the values of secrets where their placeholders stand, if they may go to that host.
    pub fn substitute(&self, mut head: RequestHead) -> Result<Filled<RequestHead>, HostError> {
        let whole = head.placeholder.as_ref().and_then(|placeholder| self.secrets.behind(placeholder));
        let mut used: Vec<Secret> = whole.into_iter().collect();
        url::fill(&self.secrets, &mut head.url, &mut used)?;
        headers::fill(&self.secrets, &mut head.headers, &mut used)?;
        let hidden = self.allowed(&used, &head)?;
        Ok(Filled { with: head, hidden })
    }

    /// The same for a whole body.
    pub fn substitute_body(&self, head: &RequestHead, body: &Bytes) -> Result<Option<Filled<Bytes>>, HostError> {
        let Some(filled) = body::fill(&self.secrets, &head.headers, body)? else { return Ok(None) };
        let hidden = self.allowed(&filled.used, head)?;
        Ok(Some(Filled { with: filled.bytes.into(), hidden }))
    }

    /// The refusal of a placeholder in a body that is too long for its value to be put in.
    pub fn refuse_in_body(&self, head: &RequestHead, placeholder: &str) -> Option<HostError> {
        let secret = self.secrets.behind(placeholder)?;
        self.alarms.raise(&secret, Place::Body, head.url.host_str());
        Some(HostError::limit(format!(
            "secret `{}` stands in a body that is too long to put it in: the request is broken off; hint: send it in a header",
            name_of(&secret)
        )))
    }

    /// Puts secrets into the options of requests. `proxy`: who is sent the text; without one it goes nowhere.
    pub fn substitute_text(&self, text: &str, proxy: Option<&::url::Url>) -> Result<Filled<String>, HostError> {
        let filled = self.secrets.fill(text.as_bytes(), |value| Ok(value.to_owned()))?;
        let Some(filled) = filled else { return Ok(Filled { with: text.to_owned(), hidden: Needles::default() }) };
        let mut hidden = Needles::default();
        if let Some(proxy) = proxy {
            for secret in &filled.used {
                let may = Hosts::may_go_to_proxy(&|name| self.node.bound_hosts(name), secret, proxy);
                may.map_err(|refused| self.refused(refused, secret, proxy))?;
            }
            hidden = hiding::needles(&self.secrets, &filled.used);
        }
        Ok(Filled { with: String::from_utf8_lossy(&filled.bytes).into_owned(), hidden })
    }

    /// Whether all of these may go where the request goes; if so, what must not be seen in the answer.
    fn allowed(&self, used: &[Secret], head: &RequestHead) -> Result<Needles, HostError> {
        for secret in used {
            let may = self.hosts.may_go(&|name| self.node.bound_hosts(name), secret, &head.url);
            may.map_err(|refused| self.refused(refused, secret, &head.url))?;
        }
        Ok(hiding::needles(&self.secrets, used))
    }

    fn refused(&self, refused: hosts::Refused, secret: &Secret, url: &::url::Url) -> HostError {
        if refused.astray {
            self.alarms.raise(secret, Place::Request, url.host_str());
        }
        refused.error
    }
}
