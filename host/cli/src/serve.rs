//! `sluice server`: a node behind the HTTP API, until somebody asks it to end.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use server::Save;
use server::http::auth::Access;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Global, Server};
use crate::setup;

pub async fn serve(global: &Global, arguments: &Server) -> Result<ExitCode> {
    let credentials = arguments.username.as_deref().zip(arguments.password.as_deref());
    // Looked at first: a server that must not be reached without a password never opens its door.
    let access = Access::for_address(arguments.listen, credentials)?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on `{}`; hint: --listen chooses another address", arguments.listen))?;
    let address = listener.local_addr()?;
    let node = setup::node(global, &[], &arguments.allow_net).await?;
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
    crate::print("the store is in memory: what happens here is gone when the server ends");
    server::http::serve(listener, node.clone(), access, end).await?;
    crate::print("ending: waiting for running work");
    node.shutdown().await;
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
