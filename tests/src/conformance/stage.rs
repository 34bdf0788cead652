//! Where cases are played: one runtime and one catalog for all, and a node of its own for each, since many flows share their ids.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use catalog::{Catalog, Check, Host, Origin, Source};
use expr::Value;
use model::ids::{Namespace, TENANT};
use runtime::{Compiler, Runtime};
use serde_json::Value as Json;
use server::{Clock, Node, SystemClock};
use store::embedded::{EmbeddedStore, Options};
use store::rows::{File, Kv, NamespaceKey};
use store::{Batch, Store};

use super::{Case, Miss, beyond};

/// What variables of the environment begin with that flows may see.
const ENV_PREFIX: &str = "KESTRA_";

/// Everything the nodes of all cases share.
pub struct Stage {
    runtime: Arc<Runtime>,
    catalog: Catalog,
    scratch: PathBuf,
}

impl Stage {
    /// Opens it over a registry, or over single plugin files. `work` keeps compiled code from one run to the next.
    pub fn open(work: &Path, registry: &Path, files: &[PathBuf]) -> Result<Self> {
        // rustls is built with one provider; saying so twice is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut sources: Vec<Source> = files.iter().cloned().map(Source::File).collect();
        if registry.is_dir() {
            sources.push(Source::Folder { origin: Origin::Shipped, root: registry.to_owned() });
        }
        ensure!(
            !sources.is_empty(),
            "there is no registry `{}`\n  hint: name packed plugins in SLUICE_TEST_PLUGINS",
            registry.display()
        );
        let version = env!("CARGO_PKG_VERSION").parse().context("this crate's version is not a version")?;
        let catalog = Catalog::open(sources, Host { version, built_in: Vec::new() }, Check::Sizes);
        if let Some(problem) = catalog.problems().first() {
            bail!("plugin `{}`: {}", problem.path.display(), problem.error);
        }
        let runtime = Runtime::new(runtime::Config::new(work.join("compiled"), Compiler::InProcess))?;
        Ok(Self { runtime, catalog, scratch: work.join("scratch") })
    }

    /// A node set up as the case asks, and the folder of its store, which goes with it.
    pub(super) async fn node(&self, case: &Case) -> Result<(Arc<Node>, tempfile::TempDir), Miss> {
        let folder = tempfile::tempdir().map_err(|error| Miss::Wrong(format!("no folder: {error}")))?;
        let opened = EmbeddedStore::open_folder(folder.path(), Options::default());
        let (store, _) = opened.map_err(|error| Miss::Wrong(format!("no store: {error}")))?;
        let node = self.node_on(case, Arc::new(store), Arc::new(SystemClock)).await?;
        Ok((node, folder))
    }

    /// The same on any store, by any clock.
    pub(super) async fn node_on(
        &self,
        case: &Case,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Node>, Miss> {
        let config =
            server::Config::new(store.clone(), self.runtime.clone(), self.catalog.clone(), self.scratch.clone());
        let mut config = server::Config { clock, ..config };
        for (key, value) in &case.config {
            match key.as_str() {
                "env" => config.environment = environment(value),
                "secrets" => config.secrets = texts(value),
                "kestra.variables.globals" => config.globals = value_of(value).as_map().cloned().unwrap_or_default(),
                // There are none to be found, as there are none for who has not made any.
                "kestra.templates.enabled" => {}
                other => return beyond(format!("the setting `{other}`")),
            }
        }
        let node = Node::open(config).await.map_err(|error| Miss::Wrong(format!("no node: {error}")))?;
        for (kind, content) in &case.setup {
            match kind.as_str() {
                "kv" => store_kv(store.as_ref(), content).await?,
                other => return beyond(format!("the setup `{other}`")),
            }
        }
        if let Some(files) = case.files.get("namespace_files") {
            store_files(store.as_ref(), case.namespace(), files).await?;
        }
        Ok(node)
    }
}

/// Puts files of a namespace in place: text by path.
async fn store_files(store: &dyn Store, namespace: &str, files: &Json) -> Result<(), Miss> {
    let now = jiff::Timestamp::now();
    let failed = |error: store::Error| Miss::Wrong(format!("the store: {error}"));
    let mut batch = Batch::new();
    for (path, text) in texts(files) {
        let mut blob = store.write_blob(now).await.map_err(failed)?;
        blob.write(text.into()).await.map_err(failed)?;
        let folder = namespace.replace('.', "/");
        batch.put(File {
            path: format!("{TENANT}/{folder}/_files/{}", path.trim_start_matches('/')).into(),
            content: blob.finish().await.map_err(failed)?,
            created: now,
            updated: now,
            metadata: BTreeMap::new(),
        });
    }
    store.commit(batch).await.map(|_| ()).map_err(failed)
}

fn texts(entries: &Json) -> BTreeMap<String, String> {
    let entries = entries.as_object().into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn environment(entries: &Json) -> BTreeMap<String, String> {
    let texts = texts(entries).into_iter();
    texts.map(|(name, value)| (name.trim_start_matches(ENV_PREFIX).to_ascii_lowercase(), value)).collect()
}

async fn store_kv(store: &dyn Store, content: &Json) -> Result<(), Miss> {
    let now = jiff::Timestamp::now();
    let mut batch = Batch::new();
    for (namespace, pairs) in content.as_object().into_iter().flatten() {
        for (key, value) in pairs.as_object().into_iter().flatten() {
            batch.put(Kv {
                place: NamespaceKey::main(Namespace::trusted(namespace.as_str())),
                key: key.as_str().into(),
                revision: 1,
                value: value_of(value),
                declared: None,
                description: None,
                created: now,
                updated: now,
                expires: None,
            });
        }
    }
    store.commit(batch).await.map(|_| ()).map_err(|error| Miss::Wrong(format!("the store: {error}")))
}

/// A JSON value as expressions see it; numbers are always finite in JSON.
pub(super) fn value_of(value: &Json) -> Value {
    Value::from_json(value).unwrap_or_default()
}
