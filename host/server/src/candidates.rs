//! Components that somebody wants installed, before they are: who signed them, and whether they can run here at all.

use catalog::{Delivery, Manifest, Offer, Published, Trust, Verified};
use runtime::PluginSource;

use crate::error::Error;
use crate::installation::refused;
use crate::runs::Runs;
use crate::sources::Fetched;

/// A component that is to be looked at.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub component: Vec<u8>,
    /// Names it in messages and in the journal.
    pub origin: String,
    /// The text of its signature's file.
    pub signature: Option<String>,
    pub from: Delivery,
    /// Why what it asks for is approved; `None`: it is held if it asks for more than others.
    pub approval: Option<String>,
}

impl Candidate {
    /// What came from a source.
    pub fn fetched(fetched: Fetched, approval: Option<String>) -> Self {
        let Fetched { component, signature, origin, is_remote } = fetched;
        let from = if is_remote { Delivery::Remote } else { Delivery::Local };
        Self { component, origin, signature, from, approval }
    }
}

/// Looks at a packed component and compiles it, so that one that nobody vouches for or that cannot run is refused before it is installed.
pub async fn look_at(runtime: &dyn Runs, trust: &Trust, candidate: Candidate) -> Result<(Offer, Manifest), Error> {
    let Candidate { component, origin, signature, from, approval } = candidate;
    let published = Published::of(&component, None, &origin).map_err(refused)?;
    let verified = trust.verify(&published, &component, signature.as_deref(), from).map_err(refused)?;
    let signed = match verified {
        Verified::Signed(signed) => Some(signed),
        Verified::Unsigned => None,
        Verified::Warned(warning) => {
            tracing::warn!(%origin, "{warning}");
            None
        }
    };
    let manifest = published.manifest;
    let (plugin, version) = (manifest.name.as_str(), manifest.version.to_string());
    let source = PluginSource::of_bytes(plugin, &version, component.as_slice());
    runtime.prepare(&source).await.map_err(|message| {
        let message = format!("plugin `{plugin}` {version} cannot run here: {message}");
        Error::Invalid { code: "PLUGIN_CANNOT_RUN", message, issues: Vec::new() }
    })?;
    Ok((Offer { component, provenance: None, origin, signed, approval }, manifest))
}
