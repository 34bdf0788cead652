//! From arguments and environment to a node. The only place where the environment is read.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use catalog::{Catalog, Check, Host, Origin, Source, Trust};
use expr::Value;
use runtime::{Compiler, Config, Runtime};
use server::{ENCRYPTION_KEY_BYTES, Entropy as _, Fetcher, ModelProvider, Node, Policies, Times};
use store::embedded::{EmbeddedStore, Options, Report};
use tracing_subscriber::EnvFilter;

use crate::args::{Global, TrustFile};

/// What secrets in the environment begin with; the value is base64 (Kestra's convention).
const SECRET_PREFIX: &str = "SECRET_";
/// What variables in the environment begin with that flows may see as `envs.*` (Kestra's convention).
const ENV_PREFIX: &str = "KESTRA_";
/// The keys that stored secrets are sealed with, in base64, the one that seals first.
const KEY_VARIABLE: &str = "SLUICE_ENCRYPTION_KEY";
/// The file of the data directory that has it otherwise.
const KEY_FILE: &str = "encryption.key";
/// Where Google's own libraries look for the file of a service account.
const GOOGLE_CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Largest configuration file.
const CONFIGURATION_BYTES_MAX: u64 = 1 << 20;
/// The subcommand Sluice compiles plugins with.
const COMPILE: &str = "compile-plugin";

/// The program's own log, on standard error.
pub fn logging(filter: &str) -> Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("`{filter}` is not a log filter"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    Ok(())
}

/// Where Sluice keeps what it makes.
pub fn data_dir(global: &Global) -> PathBuf {
    if let Some(chosen) = &global.data_dir {
        return chosen.clone();
    }
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("XDG_DATA_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/share")))
        .map_or_else(|| PathBuf::from(".sluice"), |base| base.join("sluice"))
}

/// The plugins that flows can use.
pub fn catalog(global: &Global, files: &[PathBuf]) -> Result<Catalog> {
    let mut sources = Vec::new();
    let shipped = match global.registries.as_slice() {
        [] => default_registries(),
        chosen => {
            for folder in chosen {
                if !folder.is_dir() {
                    return Err(anyhow!("registry `{}` is not a folder", folder.display()));
                }
            }
            chosen.to_vec()
        }
    };
    sources.extend(shipped.into_iter().map(|root| Source::Folder { origin: Origin::Shipped, root }));
    sources.push(Source::Folder { origin: Origin::Installed, root: data_dir(global).join("plugins") });
    for file in files {
        if !file.is_file() {
            return Err(anyhow!("plugin `{}` is not a file", file.display()));
        }
        sources.push(Source::File(file.clone()));
    }
    let host = Host {
        version: env!("CARGO_PKG_VERSION").parse().context("this program's version is not a version")?,
        built_in: Vec::new(),
    };
    let catalog = Catalog::open(sources, host, Check::Sizes);
    for problem in catalog.problems() {
        // A file that somebody named must work; a registry's other plugins do without a broken one.
        if problem.origin == Origin::AdHoc {
            return Err(anyhow!("plugin `{}`: {}", problem.path.display(), problem.error));
        }
        tracing::warn!(path = %problem.path.display(), "{}", problem.error);
    }
    Ok(catalog)
}

/// What an operator allows plugins: of the file that is named, else of `policy.yaml` in the data directory, if there is one.
pub fn policies(global: &Global) -> Result<Policies> {
    let file = global.policy.clone().unwrap_or_else(|| data_dir(global).join("policy.yaml"));
    if global.policy.is_none() && !file.exists() {
        return Ok(Policies::default());
    }
    Ok(Policies::read(&file)?)
}

/// The providers of models that a configuration file names. Texts in it may be `${NAME}` or `${NAME:default}`, of the environment.
pub fn model_providers(file: &Path) -> Result<Vec<ModelProvider>> {
    let place = file.display();
    let size = std::fs::metadata(file).with_context(|| format!("cannot read the configuration `{place}`"))?.len();
    if size > CONFIGURATION_BYTES_MAX {
        return Err(anyhow!("the configuration `{place}` has more than {CONFIGURATION_BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the configuration `{place}`"))?;
    let read = model::read_yaml(&text).map_err(|error| anyhow!("the configuration `{place}` is no YAML: {error}"))?;
    let mut missing = Vec::new();
    let filled = filled(&read, &mut missing);
    if !missing.is_empty() {
        return Err(anyhow!("the configuration `{place}` needs the environment variables {}", missing.join(", ")));
    }
    let problems = |problems: Vec<String>| anyhow!("the configuration `{place}`:\n  {}", problems.join("\n  "));
    let mut providers = server::model_providers(&filled).map_err(problems)?;
    for provider in providers.iter_mut().filter(|one| one.type_name.ends_with(".GoogleVertexAI")) {
        // Where Google's own libraries look for a service account.
        let Some(path) = std::env::var_os(GOOGLE_CREDENTIALS) else { continue };
        let shown = Path::new(&path).display().to_string();
        let account =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read the service account `{shown}`"))?;
        provider.or_property("serviceAccount", &account);
    }
    Ok(providers)
}

/// A configuration with what the environment has. What it has not is noted.
fn filled(value: &Value, missing: &mut Vec<String>) -> Value {
    match value {
        Value::Text(_) => match value.as_str() {
            Some(text) if text.contains("${") => Value::from(filled_text(text, missing)),
            _ => value.clone(),
        },
        Value::List(items) => Value::list(items.iter().map(|item| filled(item, missing))),
        Value::Map(entries) => {
            let filled: expr::Map = entries.iter().map(|(key, item)| (key.clone(), filled(item, missing))).collect();
            Value::from(filled)
        }
        other => other.clone(),
    }
}

fn filled_text(text: &str, missing: &mut Vec<String>) -> String {
    let mut pieces = text.split("${");
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((name, rest)) = piece.split_once('}') else {
            filled.push_str("${");
            filled.push_str(piece);
            continue;
        };
        let (name, default) = name.split_once(':').map_or((name, None), |(name, default)| (name, Some(default)));
        match (std::env::var(name.trim()), default) {
            (Ok(value), _) => filled.push_str(&value),
            (Err(_), Some(default)) => filled.push_str(default),
            (Err(_), None) => missing.push(format!("`{}`", name.trim())),
        }
        filled.push_str(rest);
    }
    filled
}

/// The registry that comes with Sluice: beside the program, in the working directory, or where it was built from.
fn default_registries() -> Vec<PathBuf> {
    let beside =
        std::env::current_exe().ok().and_then(|program| program.parent().map(|folder| folder.join("registry")));
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../registry");
    let candidates = [beside, Some(PathBuf::from("registry")), Some(built)];
    candidates.into_iter().flatten().find(|folder| folder.is_dir()).into_iter().collect()
}

/// What runs components.
pub fn runtime(global: &Global) -> Result<Arc<Runtime>> {
    // rustls is built with one provider; saying so twice is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let compiler = Compiler::child(COMPILE)?;
    Ok(Runtime::new(Config::new(data_dir(global).join("compiled"), compiler))?)
}

/// What fetches plugins from elsewhere.
pub fn fetcher() -> Result<Fetcher> {
    // rustls is built with one provider; saying so twice is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Fetcher::new(Times::default())?)
}

/// Whose signatures are good for which plugins.
pub fn trust(global: &Global, chosen: &TrustFile) -> Result<Trust> {
    let path = chosen.path.clone().unwrap_or_else(|| data_dir(global).join("trust.yaml"));
    let place = path.display().to_string();
    let size = match std::fs::metadata(&path) {
        Ok(meta) => meta.len(),
        // One that is named has to be there.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && chosen.path.is_none() => {
            return Ok(Trust::nobody(&place));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read the trust file `{place}`")),
    };
    if size > catalog::TRUST_BYTES_MAX {
        return Err(anyhow!("the trust file `{place}` has more than {} bytes", catalog::TRUST_BYTES_MAX));
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read the trust file `{place}`"))?;
    Ok(Trust::parse(&text, &place)?)
}

/// The store of this process.
pub struct Kept {
    store: Arc<EmbeddedStore>,
    report: Report,
    /// Removed with everything in it when this is dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl Kept {
    /// Opens the store in a folder; `None`: in one that is gone at the end.
    pub fn open(global: &Global, folder: Option<&Path>) -> Result<Self> {
        let (path, temporary) = match folder {
            Some(folder) => (folder.to_owned(), None),
            None => {
                let runs = data_dir(global).join("runs");
                let made = std::fs::create_dir_all(&runs).and_then(|()| tempfile::tempdir_in(&runs));
                let made = made.with_context(|| format!("cannot make a folder in `{}`", runs.display()))?;
                (made.path().to_owned(), Some(made))
            }
        };
        let (store, report) = EmbeddedStore::open_folder(&path, Options::default())
            .map_err(|error| anyhow!("cannot open the store `{}`: {error}", path.display()))?;
        Ok(Self { store: Arc::new(store), report, _temporary: temporary })
    }

    /// The store.
    pub fn store(&self) -> &dyn store::Store {
        self.store.as_ref()
    }

    /// What was found and done when it was opened.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Ends the node, then the store: all of it is safe when this returns.
    pub async fn end(self, node: Arc<Node>) -> Result<()> {
        node.shutdown().await;
        drop(node);
        match Arc::into_inner(self.store) {
            Some(store) => tokio::task::spawn_blocking(move || store.close()).await?.context("closing the store"),
            // Somebody still reads. Dropping it writes what is waiting; the next start reads a longer journal.
            None => Ok(()),
        }
    }
}

/// A node of its own, in this process.
pub async fn node(global: &Global, kept: &Kept, plugins: &[PathBuf], allow_net: &[String]) -> Result<Arc<Node>> {
    Ok(Node::open(config(global, kept, plugins, allow_net)?).await?)
}

/// What a node is made of.
pub fn config(global: &Global, kept: &Kept, plugins: &[PathBuf], allow_net: &[String]) -> Result<server::Config> {
    let rules = allow_net.iter().map(|text| server::allow_net(text).map_err(|error| anyhow!(error)));
    let allow_net = rules.collect::<Result<Vec<_>>>()?;
    let scratch = data_dir(global).join("scratch");
    Ok(server::Config {
        policies: policies(global)?,
        allow_net,
        secrets: secrets()?,
        encryption_keys: encryption_keys(global)?,
        environment: environment(),
        model_providers: global.config.as_deref().map(model_providers).transpose()?.unwrap_or_default(),
        ..server::Config::new(kept.store.clone(), runtime(global)?, catalog(global, plugins)?, scratch)
    })
}

fn secrets() -> Result<BTreeMap<String, String>> {
    let mut secrets = BTreeMap::new();
    for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with(SECRET_PREFIX)) {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(value.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| anyhow!("the environment variable `{name}` is not base64 of text\n  hint: {name}=$(printf %s VALUE | base64)"))?;
        let name = name.trim_start_matches(SECRET_PREFIX).to_ascii_uppercase();
        secrets.insert(name, bytes);
    }
    Ok(secrets)
}

/// The keys that stored secrets are sealed with, the one that seals first: from the environment, else a file of the data directory, which is
/// made when it is not there. Several stand behind each other, with white space or commas between them.
fn encryption_keys(global: &Global) -> Result<Vec<[u8; ENCRYPTION_KEY_BYTES]>> {
    let path = data_dir(global).join(KEY_FILE);
    let (text, place) = match std::env::var(KEY_VARIABLE) {
        Ok(text) => (text, format!("the environment variable `{KEY_VARIABLE}`")),
        Err(_) => (key_file(&path)?, format!("`{}`", path.display())),
    };
    let written: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty()).collect();
    let keys = written.iter().map(|key| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(key).unwrap_or_default();
        <[u8; ENCRYPTION_KEY_BYTES]>::try_from(bytes).ok()
    });
    let keys: Option<Vec<_>> = keys.collect();
    keys.filter(|keys| !keys.is_empty()).ok_or_else(|| {
        anyhow!("{place} is not base64 of {ENCRYPTION_KEY_BYTES} bytes, once or several times\n  hint: make one with `openssl rand -base64 {ENCRYPTION_KEY_BYTES}`")
    })
}

/// Puts a new key in front of the others in the key file.
pub fn new_key(global: &Global) -> Result<PathBuf> {
    if std::env::var_os(KEY_VARIABLE).is_some() {
        return Err(anyhow!(
            "the keys come from the environment variable `{KEY_VARIABLE}`\n  hint: put a new one in front of it, `NEW,OLD`"
        ));
    }
    let path = data_dir(global).join(KEY_FILE);
    let said = || format!("the encryption key `{}`", path.display());
    let before = key_file(&path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    // Beside it and then in its place: whatever happens, a file with the former keys is there. Readable for its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(said)?;
    std::io::Write::write_all(&mut file, format!("{}\n{}\n", drawn_key(), before.trim()).as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .with_context(said)?;
    file.persist(&path).map_err(|error| error.error).with_context(said)?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(said)?;
    Ok(path)
}

/// A new key, in base64.
fn drawn_key() -> String {
    let numbers = [server::SystemEntropy.number(), server::SystemEntropy.number()];
    let key: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(key)
}

fn key_file(path: &Path) -> Result<String> {
    let said = || format!("the encryption key `{}`", path.display());
    match std::fs::read_to_string(path) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(said),
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(said)?;
    // Written beside and linked into place: of two that start at once both use the key of the first.
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(said)?;
    std::io::Write::write_all(&mut file, drawn_key().as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .with_context(said)?;
    match file.persist_noclobber(path) {
        // A key that a power cut takes back would take what is sealed with it.
        Ok(_) => std::fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(said)?,
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.error).with_context(said),
    }
    std::fs::read_to_string(path).with_context(said)
}

fn environment() -> BTreeMap<String, String> {
    let known = std::env::vars()
        .filter_map(|(name, value)| name.strip_prefix(ENV_PREFIX).map(|name| (name.to_ascii_lowercase(), value)));
    known.collect()
}
