//! What a node is made of. Composed by whoever starts it (the cli, a test); nothing here reads the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use catalog::{Catalog, Trust};
use runtime::{Limits, NetworkRule};
use store::Store;
use store::rows::NodeId;

use crate::access::Access;
use crate::ai::ModelProvider;
use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, SystemEntropy};
use crate::policy::Policies;
use crate::runs::Runs;
use crate::sources::{PluginSource, Times};

/// Long enough for most tasks, and shorter than what supervisors wait before they kill (systemd 90 s, Kubernetes 30 s).
const GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// One execution in memory takes some tens of kilobytes.
const LIVE_MAX: usize = 20_000;

/// Everything a node needs.
pub struct Config {
    pub store: Arc<dyn Store>,
    /// Its name among the nodes of one store.
    pub node: NodeId,
    /// What runs components.
    pub runtime: Arc<dyn Runs>,
    pub catalog: Catalog,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Where working directories of running tasks are made.
    pub scratch: PathBuf,
    /// Task runs at once.
    pub workers: usize,
    /// Most executions in memory at once: more are refused, to be asked for again. What sleeps or is paused for a minute is not in memory.
    pub live_max: usize,
    /// How long running work may go on when the node is told to end. What still runs then is given back, for the next start.
    pub grace: std::time::Duration,
    /// What every run may use at most.
    pub limits: Limits,
    /// What an operator allows plugins.
    pub policies: Policies,
    /// Where plugins may be installed from by name.
    pub plugin_sources: Vec<PluginSource>,
    /// Whose signatures are good for which plugins.
    pub trust: Trust,
    /// How long what is fetched from there may take.
    pub fetch_times: Times,
    /// Addresses that tasks may reach beyond what the policy says.
    pub allow_net: Vec<NetworkRule>,
    /// `secret()` by upper-case name, in clear.
    pub secrets: BTreeMap<String, String>,
    /// The first seals the secrets that are stored, the others open what they have sealed before. Without one a node draws its own, and what
    /// it stored sealed is lost to the next.
    pub encryption_keys: Vec<[u8; crate::ENCRYPTION_KEY_BYTES]>,
    /// `envs.*` by lower-case name.
    pub environment: BTreeMap<String, String>,
    /// `globals.*`.
    pub globals: expr::Map,
    /// Who has the rights of a user of this server: over HTTP, and as whom a run may act.
    pub access: Access,
    /// Providers of models that the server itself may ask.
    pub model_providers: Vec<ModelProvider>,
}

impl Config {
    /// Defaults for everything that has one.
    pub fn new(store: Arc<dyn Store>, runtime: Arc<dyn Runs>, catalog: Catalog, scratch: PathBuf) -> Self {
        // Guests wait more than they compute; but every running one holds its memory.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            store,
            node: NodeId("node".into()),
            runtime,
            catalog,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            scratch,
            workers: (cores * 8).clamp(16, 128),
            live_max: LIVE_MAX,
            grace: GRACE,
            limits: Limits::default(),
            policies: Policies::default(),
            plugin_sources: Vec::new(),
            trust: Trust::nobody("trust.yaml"),
            fetch_times: Times::default(),
            allow_net: Vec::new(),
            secrets: BTreeMap::new(),
            encryption_keys: Vec::new(),
            environment: BTreeMap::new(),
            globals: expr::Map::new(),
            access: Access::Open,
            model_providers: Vec::new(),
        }
    }
}
