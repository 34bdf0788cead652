//! `sluice server`: a node behind the HTTP API, until somebody asks it to end.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use server::{Access, Node, PluginSource, Save};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Global, Server};
use crate::setup::{self, Kept};

/// Exit code for a store that failed under the server: whoever supervises it should start it again.
const STORE_FAILED: u8 = 74;

pub async fn serve(global: &Global, arguments: &Server) -> Result<ExitCode> {
    let credentials = arguments.credentials.pair();
    // Looked at first: a server that must not be reached without a password never opens its door.
    let access = Access::for_address(arguments.listen, credentials)?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on `{}`; hint: --listen chooses another address", arguments.listen))?;
    let address = listener.local_addr()?;
    let folder = arguments.store.clone().unwrap_or_else(|| setup::data_dir(global).join("store"));
    let kept = Kept::open(global, Some(&folder))?;
    let sources = arguments.plugin_sources.iter().map(|text| PluginSource::parse(text));
    let config = server::Config {
        access,
        plugin_sources: sources.collect::<Result<_, _>>()?,
        trust: setup::trust(global, &arguments.trust)?,
        ..setup::config(global, &kept, &[], &arguments.allow_net)?
    };
    let node = Node::open(config).await?;
    for file in &arguments.flows {
        let source =
            std::fs::read_to_string(file).with_context(|| format!("cannot read the flow `{}`", file.display()))?;
        match node.save_flow(&source, Save::Any).await {
            Ok(saved) => tracing::info!(flow = %saved.flow.key, revision = saved.flow.revision, "flow saved"),
            Err(error) => {
                for issue in error.issues() {
                    crate::complain(&format!("{}:{issue}", file.display()));
                }
                anyhow::bail!("`{}` was not saved: {error}", file.display());
            }
        }
    }
    // Before anybody can know that it is there, and end it.
    let end = asked_to_end()?;
    crate::print(&format!("sluice {} listens on http://{address}", env!("CARGO_PKG_VERSION")));
    crate::print(&format!("store `{}`: {}", folder.display(), kept.report()));
    tokio::select! {
        // Ends with the node, and not before.
        () = node.notice_plugins() => {}
        served = server::http::serve(listener, node.clone(), end) => served?,
        // Nothing can be written any more, an end in good order least of all. What was acknowledged is on the disk.
        reason = node.failed() => {
            crate::complain(&format!("error: the store has failed: {reason}"));
            return Ok(ExitCode::from(STORE_FAILED));
        }
    }
    crate::print("ending: waiting for running work");
    kept.end(node).await?;
    Ok(ExitCode::SUCCESS)
}

/// Returns when the process is told to end.
fn asked_to_end() -> Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
