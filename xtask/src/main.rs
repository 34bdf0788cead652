//! `cargo xtask`: the chores around the sources. Each command says what it does and ends with a hint when it cannot.
//! It never changes a toolchain (only rustup does) and never changes a published component.

mod capture;
mod check;
mod component;
mod debian;
mod flags;
mod frozen;
mod guests;
mod overlay;
mod pack;
mod process;
mod progress;
mod publish;
mod rustc_wrapper;
mod toolchain;
mod wasm_target;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask <command>

  wasm-target [--overlay] [--packages FOLDER]
      Makes wasm32-wasip2 available: it is there already; or rustup adds it; or a sysroot of the project's own is built
      under target/wasm-sysroot/ from Debian's rust-src and wasi-libc. --overlay builds that sysroot in any case;
      --packages takes the two .deb files from a folder. SLUICE_DEBIAN_MIRROR names a mirror.

  guests [--check] [--overlay] [--no-pack] [NAME...]
      Builds the plugins of plugins/ and the test guests of tests/guests/ (all, or those named). --check compares with
      what is published and committed. --no-pack leaves the manifest out, and needs no built `sluice`.

  publish NAME
      Builds and packs a plugin and puts it into registry/<name>/<version>/, always with the overlay of
      `wasm-target --overlay`, so that anybody can rebuild it bit by bit. Other bytes under a published version are refused.

  frozen [BASE]
      Fails when a published component was modified or deleted since BASE (default: origin/main, else main).

  capture
      Runs what the README shows and puts the output into it.
";

/// What the command line asked for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Help,
    WasmTarget(wasm_target::Options),
    Guests(guests::Options),
    Publish(String),
    Frozen(Option<String>),
    Capture,
}

fn main() -> ExitCode {
    if std::env::var_os(rustc_wrapper::SWITCH).is_some() {
        return rustc_wrapper::main().unwrap_or_else(|error| fail(&error));
    }
    match parse(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Help => {
            help();
            Ok(())
        }
        Command::WasmTarget(options) => wasm_target::run(&options),
        Command::Guests(options) => guests::run(&options),
        Command::Publish(name) => publish::run(&name),
        Command::Frozen(base) => frozen::run(base.as_deref()),
        Command::Capture => capture::run(),
    }
}

#[expect(clippy::print_stderr, reason = "the one place where errors reach the user")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "help is what was asked for")]
fn help() {
    print!("{HELP}");
}

fn parse(args: impl Iterator<Item = String>) -> Result<Command> {
    let mut args = args;
    let Some(command) = args.next() else {
        return Ok(Command::Help);
    };
    let rest: Vec<String> = args.collect();
    if rest.iter().any(|arg| arg == "--help" || arg == "-h") {
        return Ok(Command::Help);
    }
    match command.as_str() {
        "help" | "--help" | "-h" => Ok(Command::Help),
        "wasm-target" => parse_wasm_target(rest),
        "guests" => parse_guests(rest),
        "publish" => parse_publish(rest),
        "frozen" => parse_frozen(rest),
        "capture" if rest.is_empty() => Ok(Command::Capture),
        "capture" => bail!("`capture` takes no arguments"),
        other => bail!(
            "there is no command `{other}`\nhint: there are wasm-target, guests, publish, frozen, capture; `cargo xtask help` tells more"
        ),
    }
}

fn parse_wasm_target(args: Vec<String>) -> Result<Command> {
    let mut options = wasm_target::Options::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--overlay" => options.overlay = true,
            "--packages" => match args.next() {
                Some(folder) => options.packages = Some(folder.into()),
                None => bail!("`--packages` needs a folder\nhint: --packages FOLDER"),
            },
            _ => return Err(unknown("wasm-target", &arg)),
        }
    }
    Ok(Command::WasmTarget(options))
}

fn parse_guests(args: Vec<String>) -> Result<Command> {
    let mut options = guests::Options::default();
    for arg in args {
        match arg.as_str() {
            "--check" => options.check = true,
            "--overlay" => options.overlay = true,
            "--no-pack" => options.no_pack = true,
            flag if flag.starts_with('-') => return Err(unknown("guests", flag)),
            _ => options.names.push(arg),
        }
    }
    Ok(Command::Guests(options))
}

fn parse_publish(args: Vec<String>) -> Result<Command> {
    match args.as_slice() {
        [flag] if flag.starts_with('-') => Err(unknown("publish", flag)),
        [name] => Ok(Command::Publish(name.clone())),
        names => bail!("`publish` takes one plugin, not {}\nhint: cargo xtask publish NAME", names.len()),
    }
}

fn parse_frozen(args: Vec<String>) -> Result<Command> {
    match args.as_slice() {
        [] => Ok(Command::Frozen(None)),
        [base] if !base.starts_with('-') => Ok(Command::Frozen(Some(base.clone()))),
        [flag] => Err(unknown("frozen", flag)),
        _ => bail!("`frozen` takes at most one commit\nhint: cargo xtask frozen [BASE]"),
    }
}

fn unknown(command: &str, arg: &str) -> anyhow::Error {
    anyhow::anyhow!("`{command}` does not know `{arg}`\nhint: `cargo xtask help` lists what it takes")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(line: &str, expected: &Command) {
        assert_eq!(&parse(line.split_whitespace().map(str::to_owned)).unwrap(), expected, "{line}");
    }

    fn refused(line: &str, words: &str) {
        let error = parse(line.split_whitespace().map(str::to_owned)).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("hint:"), "{line}: {error}");
    }

    #[test]
    fn command_lines_are_understood() {
        check("", &Command::Help);
        check("guests --help", &Command::Help);
        check(
            "wasm-target --overlay --packages debs",
            &Command::WasmTarget(wasm_target::Options { overlay: true, packages: Some("debs".into()) }),
        );
        let names = vec!["core".to_owned(), "http".to_owned()];
        check(
            "guests --check core http",
            &Command::Guests(guests::Options { check: true, names, ..Default::default() }),
        );
        check("publish core", &Command::Publish("core".into()));
        check("frozen HEAD~3", &Command::Frozen(Some("HEAD~3".into())));
    }

    #[test]
    fn wrong_command_lines_are_refused_with_a_hint() {
        refused("guest", "no command `guest`");
        refused("guests --chek", "`--chek`");
        refused("wasm-target --packages", "needs a folder");
        refused("publish", "one plugin, not 0");
        refused("publish a b", "one plugin, not 2");
        refused("frozen a b", "at most one");
    }
}
