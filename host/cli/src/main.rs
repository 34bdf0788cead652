//! The one binary, `sluice`: parses arguments, composes configuration, prints. Only here the environment is read and the process ends.

mod ai;
mod approvals;
mod args;
mod check;
mod client;
mod explain;
mod flow;
mod install;
mod plugin;
mod run;
mod screen;
mod secret;
mod serve;
mod setup;
mod sources;
mod store;
mod tree;
mod versions;

use std::io::Write as _;
use std::process::ExitCode;

use args::{Cli, Command};
use catalog::{Action, Which};
use clap::Parser as _;
use client::Client;
use server::Verdict;

/// Small things are allocated on one thread and freed on another all the time, which costs the allocator of glibc a third of a commit.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // How Sluice calls itself: before anything else is set up, because this process lives under tight limits.
    if let Command::CompilePlugin { arguments } = cli.command {
        return runtime::compile::child_main(arguments);
    }
    if let Err(error) = setup::logging(&cli.global.log) {
        complain(&format!("error: {error:#}"));
        return ExitCode::from(2);
    }
    let workers = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(workers) => workers,
        Err(error) => {
            complain(&format!("error: cannot start threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = workers.block_on(async {
        match &cli.command {
            Command::Run(arguments) => run::run(&cli.global, arguments).await,
            Command::Server(arguments) => serve::serve(&cli.global, arguments).await,
            Command::Flow(args::Flow::Validate { files, json }) => flow::validate(&cli.global, files, *json).await,
            Command::Flow(args::Flow::Grants { file }) => flow::grants(&cli.global, file),
            Command::Flow(args::Flow::Schema { output }) => flow::schema(&cli.global, output.as_deref()),
            Command::Flow(args::Flow::Check(arguments)) => check::check(&cli.global, arguments),
            Command::Flow(args::Flow::Lock { at, json }) => versions::lock(at, *json).await,
            Command::Flow(args::Flow::Upgrade(arguments)) => versions::upgrade(arguments).await,
            Command::Flow(args::Flow::Rollback { at, revision }) => versions::roll_back(at, *revision).await,
            Command::Plugin(args::Plugin::Outdated(remote)) => versions::outdated(&Client::new(remote)?).await,
            Command::Plugin(args::Plugin::Why { plugin, remote }) => versions::why(&Client::new(remote)?, plugin).await,
            Command::Plugin(args::Plugin::Pin(arguments)) => versions::decide(Action::Pin, arguments).await,
            Command::Plugin(args::Plugin::Yank(arguments)) => versions::decide(Action::Yank, arguments).await,
            Command::Plugin(args::Plugin::Block(arguments)) => versions::decide(Action::Block, arguments).await,
            Command::Plugin(args::Plugin::Lift { action, plugin, remote }) => {
                versions::lift(&Client::new(remote)?, *action, plugin).await
            }
            Command::Plugin(args::Plugin::Rules(remote)) => versions::listed(&Client::new(remote)?, "rules").await,
            Command::Plugin(args::Plugin::Audit(remote)) => versions::listed(&Client::new(remote)?, "audit").await,
            Command::Plugin(args::Plugin::List { all, json, elsewhere }) => {
                let which = if *all { Which::All } else { Which::RunHere };
                plugin::list(&cli.global, which, *json, elsewhere.remote()).await
            }
            Command::Plugin(args::Plugin::Resolve { plugins, elsewhere }) => {
                plugin::resolve(&cli.global, plugins, elsewhere.remote()).await
            }
            Command::Plugin(args::Plugin::Grants { plugin, namespace, json }) => {
                approvals::grants(&cli.global, plugin, namespace, *json)
            }
            Command::Plugin(args::Plugin::Approve(arguments)) => {
                approvals::decide(&cli.global, Verdict::Approve, arguments).await
            }
            Command::Plugin(args::Plugin::Withdraw(arguments)) => {
                approvals::decide(&cli.global, Verdict::Withdraw, arguments).await
            }
            Command::Plugin(args::Plugin::Search(arguments)) => sources::search(arguments).await,
            Command::Plugin(args::Plugin::Index { folder, base_url }) => sources::index(folder, base_url.as_deref()),
            Command::Plugin(args::Plugin::Install(arguments)) => install::install(&cli.global, arguments).await,
            Command::Plugin(args::Plugin::Uninstall { plugin, store, elsewhere }) => match elsewhere.remote() {
                Some(remote) => install::uninstall_there(&Client::new(&remote)?, plugin).await,
                None => install::uninstall(&cli.global, plugin, store.as_deref()).await,
            },
            Command::Plugin(args::Plugin::Pack { file, out }) => plugin::pack(&cli.global, file, out.as_deref()).await,
            Command::Secret(args::Secret::Set(arguments)) => secret::set(arguments).await,
            Command::Secret(args::Secret::List { namespace, remote }) => {
                secret::list(&Client::new(remote)?, namespace).await
            }
            Command::Secret(args::Secret::Delete { secret, remote }) => {
                secret::delete(&Client::new(remote)?, secret).await
            }
            Command::Secret(args::Secret::NewKey) => secret::new_key(&cli.global),
            Command::Ai(args::Ai::Check(arguments)) => ai::check(&cli.global, arguments).await,
            Command::Explain { code } => explain::explain(code.as_deref()),
            Command::Store(command) => store::run(&cli.global, command),
            Command::CompilePlugin { .. } => Ok(ExitCode::SUCCESS),
        }
    });
    outcome.unwrap_or_else(|error| {
        complain(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

/// Prints a line on standard output. A reader that went away is no error of ours.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line on standard error.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
