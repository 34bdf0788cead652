//! Running other programs: always with an error that names the program and what to do, and bounded where a program may hang.
//! It never kills anything but the child that it started.

use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};

/// How often a bounded child is looked at: short beside any limit, long beside the cost of looking.
const POLL: Duration = Duration::from_millis(50);

/// How a bounded run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Bounded {
    Succeeded,
    Failed(String),
    TimedOut,
}

/// Whether `command` succeeds; for questions whose answer may be no, so its output is dropped.
pub fn run_quietly(command: &mut Command) -> Result<bool> {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = silent.status().map_err(|error| cannot_start(silent, &error))?;
    Ok(status.success())
}

/// Runs `command`, its output passed through; anything but success is an error that carries `hint`.
pub fn run(command: &mut Command, what: &str, hint: &str) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().map_err(|error| cannot_start(command, &error))?;
    if !status.success() {
        bail!("{what} failed: `{}` ended with {status}\nhint: {hint}", program(command));
    }
    Ok(())
}

/// Runs `command` and returns what it wrote to stdout; stderr is passed through.
pub fn stdout(command: &mut Command, what: &str, hint: &str) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    if !output.status.success() {
        bail!("{what} failed: `{}` ended with {}\nhint: {hint}", program(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` wrote text that is not UTF-8", program(command)))
}

/// Runs `command` for at most `limit`; then the child is killed and awaited.
pub fn run_bounded(command: &mut Command, limit: Duration) -> Result<Bounded> {
    let mut child = command.stdin(Stdio::null()).spawn().map_err(|error| cannot_start(command, &error))?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a child process")? {
            return Ok(if status.success() { Bounded::Succeeded } else { Bounded::Failed(status.to_string()) });
        }
        if begun.elapsed() >= limit {
            child.kill().context("cannot end a child process that takes too long")?;
            child.wait().context("cannot wait for a child process")?;
            return Ok(Bounded::TimedOut);
        }
        thread::sleep(POLL);
    }
}

/// Whether `program` can be started at all.
pub fn exists(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Error {
    let name = program(command);
    match error.kind() {
        ErrorKind::NotFound => {
            anyhow!("`{name}` is not installed\nhint: install it and see that it is on PATH")
        }
        _ => anyhow!("cannot start `{name}`: {error}"),
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn child_that_hangs_is_ended_at_the_limit() {
        let begun = Instant::now();
        let end = run_bounded(Command::new("sleep").arg("30"), Duration::from_millis(200)).unwrap();
        assert_eq!(end, Bounded::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn exit_code_tells_success_from_failure() {
        let limit = Duration::from_secs(20);
        assert_eq!(run_bounded(&mut Command::new("true"), limit).unwrap(), Bounded::Succeeded);
        assert!(matches!(run_bounded(&mut Command::new("false"), limit).unwrap(), Bounded::Failed(_)));
    }

    #[test]
    fn missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program-here"), "packing", "do this").unwrap_err().to_string();
        assert!(error.contains("`no-such-program-here` is not installed"), "{error}");
    }
}
