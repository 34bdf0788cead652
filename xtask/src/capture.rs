//! Puts what `sluice` really prints into README.md: each block between `<!-- capture: ARGUMENTS -->` and `<!-- /capture -->` becomes the
//! output of that run. Never writes anything a program did not print.

use std::env;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress::say;

/// The file with the blocks.
const README: &str = "README.md";
const BEGIN: &str = "<!-- capture: ";
const END: &str = "<!-- /capture -->";

/// Runs every capture of the README and writes it back.
pub fn run() -> Result<()> {
    let text =
        fs::read_to_string(README).with_context(|| format!("cannot read `{README}`; hint: run it at the root"))?;
    let written = replace(&text, output)?;
    fs::write(README, written).with_context(|| format!("cannot write `{README}`"))
}

/// The text with every block replaced by what `print` gives for its arguments.
fn replace(text: &str, print: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(BEGIN) {
        let (before, block) = rest.split_at(begin);
        let Some((head, body)) = block.split_once(" -->\n") else { bail!("a capture in `{README}` has no ` -->`") };
        let Some(end) = body.find(END) else { bail!("`{head} -->` in `{README}` has no `{END}`") };
        let arguments = head.trim_start_matches(BEGIN);
        out.push_str(before);
        out.push_str(&format!(
            "{head} -->\n```console\n$ sluice {arguments}\n{}\n```\n{END}",
            print(arguments)?.trim_end()
        ));
        rest = body.get(end + END.len()..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

fn output(arguments: &str) -> Result<String> {
    say(format!("capturing `sluice {arguments}`"));
    let mut command = match env::var_os("SLUICE_BIN") {
        Some(program) => Command::new(program),
        None => {
            let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.args(["run", "--quiet", "--release", "--package", "sluice-cli", "--"]);
            cargo
        }
    };
    let output = command.args(arguments.split_whitespace()).output().context("`sluice` cannot be run")?;
    // A flow that fails is a fair thing to show; one that could not be started is not.
    if output.status.code().is_none_or(|code| code > 1) {
        bail!("`sluice {arguments}` could not run:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_replaced_and_the_rest_is_kept() {
        let text = "a\n<!-- capture: run x -->\nold\n<!-- /capture -->\nb\n";
        let once = replace(text, |arguments| Ok(format!("out of {arguments}\n"))).expect("well-formed");
        assert_eq!(
            once,
            "a\n<!-- capture: run x -->\n```console\n$ sluice run x\nout of run x\n```\n<!-- /capture -->\nb\n"
        );
        assert_eq!(replace(&once, |arguments| Ok(format!("out of {arguments}\n"))).expect("well-formed"), once);
        assert!(replace("<!-- capture: x -->\n", |_| Ok(String::new())).is_err());
    }
}
