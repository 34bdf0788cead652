//! Compiling, in a child process of the same binary: a hostile component can use up the child, never the server.
//!
//! The child reads one component, writes native code to one file, and ends. It has limits of its own on time and memory.

use crate::cache::Cache;
use crate::errors::Error;
use crate::{engine, inspect};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// Time for a Rust guest many times over; a Python guest needs 18 s on two busy cores.
pub const COMPILE_TIME: Duration = Duration::from_secs(120);
/// Processor seconds of the child, over all its threads: four times the wall clock.
const CHILD_CPU_SECONDS: u64 = 480;
/// Address space of the child: a Python guest needs 350 MB resident, more reserved.
const CHILD_ADDRESS_BYTES: u64 = 16 << 30;
/// The child's exit code for a component that no compiler could take: the plugin's fault, where any other is the host's.
const BAD_COMPONENT: u8 = 2;
/// Words of a failing child that are kept.
const CHILD_WORDS_BYTES: u64 = 8 << 10;

/// Where code is compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// In a child: `program arguments… INPUT OUTPUT`, which must end in [`child_main`].
    Child {
        /// The binary, as a rule the running one.
        program: PathBuf,
        /// What comes before the two files: the hidden subcommand.
        arguments: Vec<OsString>,
        /// Wall clock of one compilation.
        time: Duration,
    },
    /// In this process, unlimited: for tests and benches, whose components are their own.
    InProcess,
}

impl Compiler {
    /// A child of the running binary, whose command line routes `subcommand` to [`child_main`].
    pub fn child(subcommand: &str) -> Result<Self, Error> {
        let program =
            std::env::current_exe().map_err(|cause| Error::host("the running binary cannot be found", cause))?;
        Ok(Self::Child { program, arguments: vec![subcommand.into()], time: COMPILE_TIME })
    }
}

/// Compiles into the cache. The bytes were inspected and their digest checked.
pub(crate) async fn compile(
    compiler: &Compiler,
    cache: &Cache,
    plugin: &str,
    wasm: &[u8],
    digest: &str,
    compatibility: &str,
) -> Result<(), Error> {
    let draft = cache.draft()?;
    match compiler {
        Compiler::InProcess => {
            tracing::info!(plugin, "compiling inside this process, without limits, as it was told to");
            let (bytes, name) = (wasm.to_vec(), plugin.to_owned());
            let code = tokio::task::spawn_blocking(move || native_code(&name, &bytes))
                .await
                .map_err(|cause| failed(plugin, format!("the compiler panicked: {cause}")))??;
            draft.as_file().write_all(&code).map_err(|cause| Error::io(draft.path(), cause))?;
        }
        Compiler::Child { program, arguments, time } => {
            let input = cache.draft()?;
            input.as_file().write_all(wasm).map_err(|cause| Error::io(input.path(), cause))?;
            in_child(program, arguments, *time, plugin, input.path(), draft.path()).await?;
        }
    }
    cache.keep(draft, digest, compatibility)?;
    Ok(())
}

async fn in_child(
    program: &Path,
    arguments: &[OsString],
    time: Duration,
    plugin: &str,
    input: &Path,
    output: &Path,
) -> Result<(), Error> {
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .arg(input)
        .arg(output)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| Error::io(program, cause))?;
    let words = child.stderr.take();
    let ended = tokio::time::timeout(time, async {
        let mut text = Vec::new();
        if let Some(mut words) = words {
            let _ = (&mut words).take(CHILD_WORDS_BYTES).read_to_end(&mut text).await;
            // What is over the limit is read and dropped, lest the child wait for a reader.
            let _ = tokio::io::copy(&mut words, &mut tokio::io::sink()).await;
        }
        (child.wait().await, text)
    })
    .await;
    match ended {
        Err(_) => {
            // Dropping the child kills it; say why.
            Err(failed(plugin, format!("it took longer than {} s", time.as_secs())))
        }
        Ok((Err(cause), _)) => Err(Error::host("the compiling child was lost", cause)),
        Ok((Ok(status), _)) if status.success() => Ok(()),
        Ok((Ok(status), text)) => {
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            let why = if text.is_empty() { format!("the compiler ended with {status}") } else { text };
            Err(if status.code() == Some(i32::from(BAD_COMPONENT)) { bad(plugin, why) } else { failed(plugin, why) })
        }
    }
}

fn failed(plugin: &str, why: String) -> Error {
    Error::Compile {
        plugin: plugin.to_owned(),
        why,
        hint: "the component may be damaged or too large; build it again, smaller, or raise the compile limits"
            .to_owned(),
    }
}

fn bad(plugin: &str, why: String) -> Error {
    let hint = "build it again with the toolchain of the SDK".to_owned();
    Error::BadComponent { plugin: plugin.to_owned(), why, hint }
}

fn native_code(plugin: &str, wasm: &[u8]) -> Result<Vec<u8>, Error> {
    engine::compiling_engine()?.precompile_component(wasm).map_err(|cause| bad(plugin, format!("{cause:#}")))
}

/// The child's whole life: `INPUT OUTPUT` as arguments. Words about a failure go to standard error.
pub fn child_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match child(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The parent knows which plugin it was and puts its own words around these.
            let (words, code) = match error {
                Error::BadComponent { why, .. } => (why, ExitCode::from(BAD_COMPONENT)),
                other => (other.to_string(), ExitCode::FAILURE),
            };
            let _ = writeln!(std::io::stderr(), "{words}");
            code
        }
    }
}

fn child(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Error> {
    let mut arguments = arguments.into_iter();
    let (Some(input), Some(output), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err(Error::host("compiling", "expected the arguments INPUT OUTPUT"));
    };
    limit(rustix::process::Resource::Cpu, CHILD_CPU_SECONDS)?;
    limit(rustix::process::Resource::As, CHILD_ADDRESS_BYTES)?;
    limit(rustix::process::Resource::Core, 0)?;
    let wasm = std::fs::read(&input).map_err(|cause| Error::io(&input, cause))?;
    inspect::inspect("at hand", &wasm)?;
    let code = native_code("at hand", &wasm)?;
    std::fs::write(&output, code).map_err(|cause| Error::io(&output, cause))
}

fn limit(resource: rustix::process::Resource, most: u64) -> Result<(), Error> {
    let now = rustix::process::getrlimit(resource);
    let wanted = now.maximum.map_or(most, |already| already.min(most));
    rustix::process::setrlimit(resource, rustix::process::Rlimit { current: Some(wanted), maximum: Some(wanted) })
        .map_err(|cause| Error::host("limiting the compiler", cause))
}
