//! The command line: what can be asked, and the help that teaches it. Decides nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use catalog::Action;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs declarative YAML flows in which every task is a sandboxed, versioned WebAssembly component.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, after_help = "Start here:  sluice run examples/hello.yaml")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Folders of published plugins, searched in order. Default: `registry` beside the program's sources or in the working
    /// directory, then the data directory's own.
    #[arg(long = "registry", value_name = "DIR", env = "SLUICE_REGISTRY", global = true)]
    pub registries: Vec<PathBuf>,
    /// Where Sluice keeps what it makes: compiled plugins, installed plugins, the store.
    #[arg(long, value_name = "DIR", env = "SLUICE_DATA_DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// What plugins may do: the policy file. Default: `policy.yaml` in the data directory, else the standard profile.
    #[arg(long, value_name = "FILE", env = "SLUICE_POLICY", global = true)]
    pub policy: Option<PathBuf>,
    /// The configuration file, as Kestra has it. Read of it is `kestra.ai`: the providers of models that the server itself may ask.
    #[arg(long, value_name = "FILE", env = "SLUICE_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// How much the program itself says on standard error: `warn`, `info`, `debug`, or a filter such as `sluice_server=debug`.
    #[arg(long, value_name = "FILTER", env = "SLUICE_LOG", default_value = "warn", global = true)]
    pub log: String,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one flow here and now, and show what happens.
    Run(Run),
    /// Serve the HTTP API.
    Server(Server),
    /// Look at flows.
    #[command(subcommand)]
    Flow(Flow),
    /// Look at and make plugins.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Set, list and delete secrets of namespaces on a server, and make the keys they are sealed with.
    #[command(subcommand)]
    Secret(Secret),
    /// Look at the providers of models that the configuration names.
    #[command(subcommand)]
    Ai(Ai),
    /// Look at and mend a store that no server has open.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Say what the code of a refusal or failure means, and what to do about it; without a code, list all of them.
    Explain {
        #[arg(value_name = "CODE")]
        code: Option<String>,
    },
    /// Compiles one component: how Sluice calls itself, in a child process of its own.
    #[command(hide = true)]
    CompilePlugin {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Exit codes:
  0  the execution ended SUCCESS, WARNING or SKIPPED
  1  it ended otherwise
  2  it could not be started: the flow or an input is wrong

Examples:
  sluice run examples/hello.yaml -i name=Ada
  sluice run flow.yaml -i file=@data.csv --output json
  sluice run flow.yaml --allow-net 127.0.0.1:8000")]
pub struct Run {
    /// The flow, a YAML file; `-` reads standard input.
    pub file: PathBuf,
    /// An input, as NAME=VALUE; `NAME=@PATH` takes the content of a file. May be repeated.
    #[arg(short, long = "input", value_name = "NAME=VALUE")]
    pub inputs: Vec<String>,
    /// A label of the execution, as KEY=VALUE. May be repeated.
    #[arg(short, long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
    /// A packed component to use beside the registries, for trying a plugin that is not published. May be repeated.
    #[arg(long = "plugin", value_name = "FILE")]
    pub plugins: Vec<PathBuf>,
    /// Lets the flow's tasks reach this address even where the default policy would not (loopback, private networks). May be
    /// repeated; `HOST:*` means every port.
    #[arg(long, value_name = "HOST:PORT")]
    pub allow_net: Vec<String>,
    /// Keep what happens in a store in this folder, which `sluice server --store` can serve. By default the store is a temporary one.
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// How to show the run.
    #[arg(long, value_enum, default_value_t = Output::Auto)]
    pub output: Output,
}

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A live tree on a terminal, else plain lines.
    Auto,
    /// One line per event.
    Plain,
    /// One JSON document at the end: the execution as the API shows it, with its logs and its lock.
    Json,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The API is Kestra 1.0's, under /api/v1/main. On a loopback address no login is asked for; any other address
needs --username and --password, or the server does not start."
)]
pub struct Server {
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS", env = "SLUICE_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub credentials: Credentials,
    /// The folder of the store: flows, executions, logs, files. Default: `store` in the data directory.
    #[arg(long, value_name = "DIR", env = "SLUICE_STORE")]
    pub store: Option<PathBuf>,
    /// Flows to save at start. May be repeated.
    #[arg(long = "flow", value_name = "FILE")]
    pub flows: Vec<PathBuf>,
    /// Lets tasks reach this address even where the default policy would not. May be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    pub allow_net: Vec<String>,
    /// Where plugins may be installed from by name, over the API. May be repeated.
    #[arg(long = "plugin-source", value_name = "URL")]
    pub plugin_sources: Vec<String>,
    #[command(flatten)]
    pub trust: TrustFile,
}

#[derive(Debug, Subcommand)]
pub enum Ai {
    /// Ask each provider one small question, and say which do not answer and why. It costs a few tokens.
    Check(AiCheck),
}

/// Which providers are asked.
#[derive(Debug, Args)]
pub struct AiCheck {
    /// Configuration files. Default: the one of `--config`.
    pub files: Vec<PathBuf>,
    /// The id of the one that is asked, of all.
    #[arg(long, value_name = "ID")]
    pub provider: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Flow {
    /// Say everything that is wrong with flows, with line numbers.
    Validate {
        /// YAML files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// One JSON document instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Write the least policy under which a flow can run: a policy file, for `profile: strict`.
    Grants {
        /// A YAML file.
        file: PathBuf,
    },
    /// Write the JSON Schema of flows under the plugins that are installed, for editors.
    Schema {
        /// The file to write. Default: standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Say what becomes of flows made for Kestra: which run as they are, which plugins and features the others lack.
    Check(Check),
    /// Show which plugin version each task of a flow on a server runs on.
    Lock {
        #[command(flatten)]
        at: FlowAt,
        /// The lock as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Move flows on a server to the plugin versions they would run on if they were saved now: a new revision each, and what changed.
    Upgrade(Upgrade),
    /// Make an earlier revision of a flow on a server the newest again, with the plugin versions it had.
    Rollback {
        #[command(flatten)]
        at: FlowAt,
        /// The revision to go back to.
        revision: u32,
    },
}

#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Set a secret; its value is read from standard input, or asked for.
    Set(SecretSet),
    /// List the secrets of a namespace, by name.
    List {
        namespace: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Take a secret away.
    Delete {
        #[arg(value_name = "NAMESPACE/NAME")]
        secret: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Make a new key that secrets are sealed with from the server's next start on. Former keys are kept behind it.
    NewKey,
}

#[derive(Debug, Args)]
pub struct SecretSet {
    #[arg(value_name = "NAMESPACE/NAME")]
    pub secret: String,
    /// Take the value from this file, as it is.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A host the secret may go to: to no other, then. May be repeated.
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// A few words for the list.
    #[arg(long)]
    pub description: Option<String>,
    #[command(flatten)]
    pub remote: Remote,
}

/// Who may ask a server, or who asks it.
#[derive(Debug, Clone, Args)]
pub struct Credentials {
    /// Name for HTTP basic authentication.
    #[arg(long, value_name = "NAME", env = "SLUICE_USERNAME", requires = "password")]
    pub username: Option<String>,
    /// Password for HTTP basic authentication. Prefer the environment variable: arguments are visible to other users.
    #[arg(long, value_name = "PASSWORD", env = "SLUICE_PASSWORD", requires = "username", hide_env_values = true)]
    pub password: Option<String>,
}

impl Credentials {
    /// Both, or neither.
    pub fn pair(&self) -> Option<(&str, &str)> {
        self.username.as_deref().zip(self.password.as_deref())
    }
}

/// Which server is asked.
#[derive(Debug, Clone, Args)]
pub struct Remote {
    /// The server.
    #[arg(long, value_name = "URL", env = "SLUICE_SERVER", default_value = "http://127.0.0.1:8080")]
    pub server: String,
    #[command(flatten)]
    pub credentials: Credentials,
}

/// One flow on a server.
#[derive(Debug, Args)]
pub struct FlowAt {
    #[arg(value_name = "NAMESPACE/ID")]
    pub flow: String,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
pub struct Upgrade {
    /// Which flows.
    #[arg(value_name = "NAMESPACE/ID", required_unless_present = "all", conflicts_with = "all")]
    pub flows: Vec<String>,
    /// Every flow.
    #[arg(long)]
    pub all: bool,
    /// This plugin alone, and if a version is named, to that one.
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub plugin: Option<String>,
    /// Only say what would change.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
pub struct Decide {
    /// The versions: `core@1.0.0`, `'core@<1.1'`.
    #[arg(value_name = "NAME@VERSIONS")]
    pub plugin: String,
    /// Shown to everybody whom it stops.
    #[arg(long)]
    pub reason: String,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Looks at every .yaml and .yml file, at each document in it, and at nothing whose name begins with a dot. Needs no server and
no network, and runs nothing. YAML that is no flow is passed over.

What is said of a flow:
  runs          it can be saved, and runs
  needs-plugins nothing is wrong with it, but plugins it names are not installed
  not-there     it uses what Kestra has and Sluice has not
  invalid       it is wrong in Kestra as well

Exit codes:
  0  no flow is invalid, whatever else they lack
  1  the check itself could not be done: no such folder, or no flow in it
  2  at least one flow is invalid, or a file cannot be read
  3  with --strict: none is invalid, but at least one does not run as it is

Examples:
  sluice flow check my-flows/
  sluice flow check --strict --output json my-flows/ > report.json"
)]
pub struct Check {
    /// Folders of flows, or files.
    #[arg(required = true, value_name = "DIR")]
    pub paths: Vec<PathBuf>,
    /// How to report.
    #[arg(long, value_enum, default_value_t = Report::Text)]
    pub output: Report,
    /// Fail for flows that lack something, too.
    #[arg(long)]
    pub strict: bool,
}

/// How a check is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// Lines: each flow with its problems, then the totals.
    Text,
    /// One JSON document.
    Json,
}

/// Which store.
#[derive(Debug, Args)]
pub struct StoreFolder {
    /// The folder of the store. Default: `store` in the data directory.
    #[arg(long, value_name = "DIR", env = "SLUICE_STORE")]
    pub store: Option<PathBuf>,
    /// One JSON document instead of lines.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Read everything and list all that is not as it was written. Changes nothing.
    Verify(StoreFolder),
    /// Say what is stored and what room it takes.
    Stats(StoreFolder),
    /// Make everything again that is derived: the index, and files that lost their purpose.
    Rebuild(StoreFolder),
    /// Cut a damaged journal where the damage begins. What comes after is given up; the damaged files are kept aside.
    Repair {
        #[command(flatten)]
        folder: StoreFolder,
        /// Do it. Without this, only what would be lost is said.
        #[arg(long)]
        accept_loss: bool,
    },
}

#[derive(Debug, Args)]
#[command(
    after_help = "A signature is looked for beside a component, in FILE.minisig. Without a trust file, files need none, and what comes from a
URL does.

Examples:
  sluice plugin install my.wasm
  sluice plugin install mail@^1 post --from https://plugins.example.com/
  sluice plugin install my.wasm --server http://127.0.0.1:8080
  sluice plugin install mail --server http://127.0.0.1:8080"
)]
pub struct Install {
    /// Packed components; with --from, plugins by name, as NAME or NAME@VERSIONS. With --server, what ends in `.wasm` is a component of this
    /// machine, and all else a name.
    #[arg(required = true, value_name = "FILE or NAME[@VERSIONS]")]
    pub plugins: Vec<String>,
    /// Take plugins from here: the URL of a folder that `sluice plugin index` was run on, or a folder of this machine. With --server: which of
    /// the sources that the server was started with.
    #[arg(long, value_name = "URL or DIR")]
    pub from: Option<String>,
    #[command(flatten)]
    pub trust: TrustFile,
    #[command(flatten)]
    pub elsewhere: Elsewhere,
    /// Approve what they ask for, even if it is more than what is approved.
    #[arg(long)]
    pub approve: bool,
    /// Why that is approved.
    #[arg(long, requires = "approve", default_value = "")]
    pub reason: String,
}

/// Whose signatures are good.
#[derive(Debug, Clone, Args)]
pub struct TrustFile {
    /// Whose signatures are good for which plugins, a YAML file. Default: `trust.yaml` in the data directory.
    #[arg(long = "trust", value_name = "FILE", env = "SLUICE_TRUST")]
    pub path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Search {
    /// Only plugins whose name or title has this in it.
    #[arg(value_name = "TEXT", default_value = "")]
    pub text: String,
    /// The source: the URL of a folder that `sluice plugin index` was run on, or a folder of this machine.
    #[arg(long, value_name = "URL or DIR", required_unless_present = "server", conflicts_with = "server")]
    pub from: Option<String>,
    /// One JSON document instead of lines.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

#[derive(Debug, Args)]
pub struct Approve {
    #[arg(value_name = "NAME@VERSION")]
    pub plugin: String,
    /// Why. It is kept in the registry's journal.
    #[arg(long, default_value = "")]
    pub reason: String,
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// A server in place of this machine's registry.
#[derive(Debug, Clone, Args)]
pub struct Elsewhere {
    /// Have this server do it, in place of doing it in the data directory.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    #[command(flatten)]
    pub credentials: Credentials,
}

impl Elsewhere {
    /// The server, if one is named.
    pub fn remote(&self) -> Option<Remote> {
        let server = self.server.clone()?;
        Some(Remote { server, credentials: self.credentials.clone() })
    }
}

#[derive(Debug, Subcommand)]
pub enum Plugin {
    /// List the plugins that flows can use, with their versions and task types.
    List {
        /// Also versions that need a newer Sluice.
        #[arg(long)]
        all: bool,
        /// One JSON document instead of a table.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        elsewhere: Elsewhere,
    },
    /// Say which version a task would run on if a flow that asks for it were saved now.
    Resolve {
        /// What is asked for; VERSIONS as in a task's `version`, by default LATEST.
        #[arg(required = true, value_name = "NAME[@VERSIONS]")]
        plugins: Vec<String>,
        #[command(flatten)]
        elsewhere: Elsewhere,
    },
    /// List what a source of plugins offers, or all sources of a server.
    Search(Search),
    /// Write the index of a folder of published plugins, so that any web server can offer them.
    Index {
        /// Holds NAME/VERSION/plugin.wasm with its manifest.json, and plugin.wasm.minisig if it is signed.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Where the components will be, if not beside the index.
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
    },
    /// Install packed components, for all flows that are saved from then on. A server with the same data directory notices by itself.
    Install(Install),
    /// Take an installed version away, unless a flow revision or a live execution needs it.
    Uninstall {
        /// What to take away, as NAME@VERSION.
        #[arg(value_name = "NAME@VERSION")]
        plugin: String,
        /// The folder of the store whose flows are looked at. Default: `store` in the data directory.
        #[arg(long, value_name = "DIR", env = "SLUICE_STORE")]
        store: Option<PathBuf>,
        #[command(flatten)]
        elsewhere: Elsewhere,
    },
    /// Show what a version asks for, what of it no approved version does, and what of it the policy grants.
    Grants {
        #[arg(value_name = "NAME@VERSION")]
        plugin: String,
        /// As the policy has it for this namespace; by default, for the server at large.
        #[arg(long, default_value = "", hide_default_value = true)]
        namespace: String,
        /// One JSON document instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Approve what a version asks for: one that asks for more than the approved ones is held until then.
    Approve(Approve),
    /// Take the approval of a version back: it is held until it is approved again, and what is locked to it fails.
    Withdraw(Approve),
    /// List flows on a server that would run on other versions if they were saved now.
    Outdated(Remote),
    /// Say which flow revisions and live executions on a server need the versions of a plugin.
    Why {
        #[arg(value_name = "NAME")]
        plugin: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Have all flows that are saved on a server from now on run on these versions, whatever they ask for.
    Pin(Decide),
    /// Take versions back: no flow is saved with them any more. What is locked to them goes on.
    Yank(Decide),
    /// Forbid versions: as `yank`, and what is locked to them fails.
    Block(Decide),
    /// Lift a pin, a yank or a block.
    Lift {
        #[arg(value_parser = action)]
        action: Action,
        #[arg(value_name = "NAME@VERSIONS")]
        plugin: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the pins, yanks and blocks of a server.
    Rules(Remote),
    /// List who installed, uninstalled, pinned and lifted what on a server, newest first.
    Audit(Remote),
    /// Make a built component into a plugin: ask it what it is, and put the answer into the file.
    Pack {
        /// The component, as `cargo build --target wasm32-wasip2` leaves it.
        file: PathBuf,
        /// Where to write; by default the file itself is replaced.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// As the API names it.
fn action(text: &str) -> Result<Action, String> {
    let known = [Action::Pin, Action::Yank, Action::Block];
    known.into_iter().find(|action| action.as_str() == text).ok_or_else(|| "it is `pin`, `yank` or `block`".to_owned())
}
