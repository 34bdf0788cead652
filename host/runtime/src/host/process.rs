//! `sluice:host/process`: programs on the host, by granted name. A program lives at most as long as the run that started it.
//!
//! It gets the working directory, the environment the guest names and nothing of the host's.

use super::answer;
use crate::bindings::sluice::host::{errors::Error, process};
use crate::calls::Opaque;
use crate::grants::Need;
use crate::services::{Effect, HostError};
use crate::state::State;
use crate::tape::Call;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use wasmtime::component::Resource;

/// One `read`: as much as a pipe holds.
const READ_BYTES: usize = 64 << 10;
/// Arguments of a program.
const ARGUMENTS: usize = 4_096;

const fn call(function: &'static str) -> Call {
    Call::new("sluice:host/process", function)
}

/// What the guest asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    program: String,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

/// A running program. Dropping it ends it and its children.
pub struct Child {
    child: tokio::process::Child,
    group: Option<rustix::process::Pid>,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    error: Option<ChildStderr>,
}

impl Child {
    /// The program and everything it started that stayed in its group.
    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.start_kill();
    }

    /// Whatever comes first; `None` when both have ended.
    async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let (mut from_output, mut from_error) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
        while self.output.is_some() || self.error.is_some() {
            let (stream, read, mut bytes) = tokio::select! {
                read = read_some(&mut self.output, &mut from_output), if self.output.is_some() => (1, read, std::mem::take(&mut from_output)),
                read = read_some(&mut self.error, &mut from_error), if self.error.is_some() => (2, read, std::mem::take(&mut from_error)),
            };
            if read > 0 {
                bytes.truncate(read);
                return Some((stream, bytes));
            }
            match stream {
                1 => self.output = None,
                _ => self.error = None,
            }
            (from_output, from_error) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
        }
        None
    }
}

/// A broken pipe is an end like any other.
async fn read_some(stream: &mut Option<impl tokio::io::AsyncRead + Unpin>, bytes: &mut [u8]) -> usize {
    match stream {
        Some(stream) => stream.read(bytes).await.unwrap_or(0),
        None => 0,
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spec_of(text: &str) -> Result<Spec, HostError> {
    let spec: Spec = serde_json::from_str(text)
        .map_err(|cause| HostError::bad_argument(format!("the specification of a program: {cause}")))?;
    if spec.program.is_empty() || spec.program.contains(['/', '\0']) {
        return Err(HostError::bad_argument(format!(
            "`{}` is no program's name: it may not be empty or a path",
            spec.program.escape_debug()
        )));
    }
    if spec.arguments.len() > ARGUMENTS {
        return Err(HostError::limit(format!("a program has at most {ARGUMENTS} arguments")));
    }
    Ok(spec)
}

impl process::Host for State {
    async fn start(&mut self, spec: String) -> wasmtime::Result<Result<Resource<Child>, Error>> {
        let shared = self.shared.clone();
        let parsed = spec_of(&spec);
        // A text that names no program needs the leave of one that nobody grants.
        let program = parsed.as_ref().map(|spec| spec.program.clone()).unwrap_or_default();
        let need = if parsed.is_ok() { Need::Process(&program) } else { Need::Nothing };
        let work = async {
            let spec = parsed?;
            let running = shared.marks.processes.load(Ordering::Relaxed);
            if running >= shared.limits.processes as u64 {
                return Err(HostError::limit(format!(
                    "at most {} programs run at once; hint: drop those that ended",
                    shared.limits.processes
                )));
            }
            let directory = shared
                .working_dir
                .clone()
                .ok_or_else(|| HostError::not_granted("the run has no working directory for a program"))?;
            shared.services.before_effect(Effect::Process { program: spec.program.clone() }).await?;
            start(&spec, &directory).map(Opaque)
        };
        match shared.perform(call("start"), &[spec.as_bytes()], need, work).await {
            Ok(Opaque(child)) => {
                shared.marks.processes.fetch_add(1, Ordering::Relaxed);
                Ok(Ok(self.table.push(child)?))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }
}

fn start(spec: &Spec, directory: &std::path::Path) -> Result<Child, HostError> {
    let mut command = tokio::process::Command::new(&spec.program);
    command
        .args(&spec.arguments)
        .env_clear()
        // Programs are found where the host finds them; nothing else of its environment is handed on.
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs(&spec.environment)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|cause| HostError::not_found(format!("program `{}` cannot be started: {cause}", spec.program)))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    Ok(Child { group, input: child.stdin.take(), output: child.stdout.take(), error: child.stderr.take(), child })
}

impl process::HostChild for State {
    async fn read(&mut self, this: Resource<Child>) -> wasmtime::Result<Result<Option<(u8, Vec<u8>)>, Error>> {
        let shared = self.shared.clone();
        let child = self.table.get_mut(&this)?;
        let work = async { Ok(child.read().await) };
        answer(shared.perform(call("child.read"), &[], Need::Nothing, work).await)
    }

    async fn write(&mut self, this: Resource<Child>, bytes: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        let shared = self.shared.clone();
        let child = self.table.get_mut(&this)?;
        let work = async {
            let input = child.input.as_mut().ok_or_else(|| HostError::bad_argument("the program's input is closed"))?;
            input
                .write_all(&bytes)
                .await
                .map_err(|cause| HostError::host(format!("the program takes no more input: {cause}")))
        };
        answer(shared.perform(call("child.write"), &[&bytes], Need::Nothing, work).await)
    }

    async fn close_input(&mut self, this: Resource<Child>) -> wasmtime::Result<()> {
        let child = self.table.get_mut(&this)?;
        self.shared.note(call("child.close-input"), &[], || drop(child.input.take()));
        Ok(())
    }

    async fn wait(&mut self, this: Resource<Child>) -> wasmtime::Result<Result<Option<i32>, Error>> {
        let shared = self.shared.clone();
        let child = self.table.get_mut(&this)?;
        let work = async {
            let status =
                child.child.wait().await.map_err(|cause| HostError::host(format!("the program was lost: {cause}")))?;
            // Its group's number may be another's from now on, so what it left behind ends here.
            child.kill();
            Ok(status.code())
        };
        answer(shared.perform(call("child.wait"), &[], Need::Nothing, work).await)
    }

    async fn kill(&mut self, this: Resource<Child>) -> wasmtime::Result<()> {
        let child = self.table.get_mut(&this)?;
        self.shared.note(call("child.kill"), &[], || child.kill());
        Ok(())
    }

    async fn drop(&mut self, this: Resource<Child>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        self.shared.marks.processes.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}
