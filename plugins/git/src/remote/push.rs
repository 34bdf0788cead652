//! Pushing: one branch moves from what it was to a new commit, or does not. gitoxide does not push, so the command, the pack behind it and
//! the report are written and read here (`gitprotocol-pack`, "Pushing Data To a Server").

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use gix_hash::ObjectId;
use gix_packetline::blocking_io::encode;
use gix_transport::Service;
use gix_transport::client::blocking_io::{ReadlineBufRead, Transport as _};
use gix_transport::client::{MessageKind, WriteMode};
use sluice_sdk::{Context, Failure};

use super::fetch::Said;
use super::{agent, greet};
use crate::access::Access;
use crate::failures::{self, Trouble, chain, fault};

/// Longest report that is read.
const REPORT_BYTES_MAX: u64 = 1 << 20;

/// One branch that moves.
#[derive(Clone, Copy, Debug)]
pub struct Push<'a> {
    /// Its short name.
    pub branch: &'a str,
    /// What it is; `None`: it is not there.
    pub old: Option<ObjectId>,
    pub new: ObjectId,
    /// The objects that the server does not have.
    pub pack: &'a [u8],
}

/// Moves a branch. With [`failures::REJECTED`] somebody else was faster and nothing has changed.
pub fn push(access: &Access, push: &Push<'_>, cx: &Context) -> Result<(), Failure> {
    let trouble = Trouble::default();
    let url = access.url.to_string();
    let (mut transport, handshake) = greet(access, Service::ReceivePack, &trouble)?;
    let null = ObjectId::null(gix_hash::Kind::Sha1);
    let reference = format!("refs/heads/{}", push.branch);
    let refs = handshake.refs.as_deref().unwrap_or_default();
    let there = refs.iter().find_map(|one| {
        let (name, object, _) = one.unpack();
        (*name == *reference.as_str()).then(|| object.map(ToOwned::to_owned)).flatten()
    });
    if there != push.old {
        return Err(moved(&url, push.branch));
    }
    let has = |name: &str| handshake.capabilities.contains(name);
    if !has("report-status") {
        let message = format!("`{url}` does not say what becomes of a push; hint: a server of Git 1.1 or newer does");
        return Err(fault(failures::PROTOCOL, message));
    }
    let mut capabilities = vec!["report-status".to_owned()];
    for name in ["side-band-64k", "atomic", "ofs-delta"] {
        if has(name) {
            capabilities.push(name.to_owned());
        }
    }
    if has("object-format") {
        capabilities.push("object-format=sha1".to_owned());
    }
    let (name, value) = agent();
    capabilities.push(format!("{name}={}", value.unwrap_or_default()));
    let command = format!("{} {} {reference}\0 {}", push.old.unwrap_or(null), push.new, capabilities.join(" "));
    let broken = |error: &dyn std::error::Error| {
        trouble.or(|| {
            let message =
                format!("`{url}` broke off while taking a push: {}; what became of it is not known", chain(error));
            Failure::new(failures::PROTOCOL, message)
        })
    };
    cx.debug(format!("push of {} bytes to `{reference}` of `{url}`", push.pack.len()));
    let writer = transport.request(WriteMode::Binary, MessageKind::Flush, false).map_err(|error| broken(&error))?;
    let (mut writer, mut reader) = writer.into_parts();
    let sent = encode::data_to_write(command.as_bytes(), &mut writer)
        .and_then(|_| encode::flush_to_write(&mut writer))
        .and_then(|_| writer.write_all(push.pack));
    sent.map_err(|error| broken(&error))?;
    drop(writer);
    let said = Said::default();
    let report = if has("side-band-64k") {
        let words = said.clone();
        reader.set_progress_handler(Some(Box::new(move |_, text| {
            words.hear(true, text);
            ControlFlow::Continue(())
        })));
        let mut bytes = Vec::new();
        let read = reader.by_ref().take(REPORT_BYTES_MAX).read_to_end(&mut bytes);
        read.map_err(|error| broken(&error)).and_then(|_| lines(&bytes).map_err(|error| broken(&error)))?
    } else {
        let mut lines = Vec::new();
        while let Some(line) = reader.readline() {
            let line = line.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
            match line.as_bstr() {
                Some(text) => lines.push(text.to_string()),
                None => break,
            }
        }
        lines
    };
    judge(&report, &reference, push.branch, &url, &said.errors())
}

fn moved(url: &str, branch: &str) -> Failure {
    let message = format!("branch `{branch}` of `{url}` has moved since it was fetched; hint: run the task again");
    Failure::new(failures::REJECTED, message).retryable(true)
}

/// The lines of a report: packets in the first band.
fn lines(mut bytes: &[u8]) -> io::Result<Vec<String>> {
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the report is cut off");
    let mut lines = Vec::new();
    while let Some((length, rest)) = bytes.split_at_checked(4) {
        let length =
            std::str::from_utf8(length).ok().and_then(|text| usize::from_str_radix(text, 16).ok()).ok_or_else(cut)?;
        if length < 4 {
            bytes = rest;
            continue;
        }
        let (line, rest) = rest.split_at_checked(length - 4).ok_or_else(cut)?;
        lines.push(String::from_utf8_lossy(line).trim_end().to_owned());
        bytes = rest;
    }
    Ok(lines)
}

/// What became of the push.
fn judge(report: &[String], reference: &str, branch: &str, url: &str, said: &str) -> Result<(), Failure> {
    let words = if said.is_empty() { String::new() } else { format!(": {}", said.escape_debug()) };
    let unpacked = report.iter().find_map(|line| line.trim().strip_prefix("unpack "));
    match unpacked {
        Some("ok") => {}
        Some(why) => {
            let message = format!("`{url}` cannot use the objects of a push: {}{words}", why.escape_debug());
            return Err(fault(failures::REFUSED, message));
        }
        None => {
            let message = format!("`{url}` does not say what became of a push{words}");
            return Err(Failure::new(failures::PROTOCOL, message));
        }
    }
    for line in report {
        let line = line.trim();
        if line == format!("ok {reference}") {
            return Ok(());
        }
        if let Some(why) = line.strip_prefix(&format!("ng {reference}")) {
            let why = why.trim();
            // What real servers say when another push was faster.
            let faster = [
                "fetch first",
                "non-fast-forward",
                "stale info",
                "failed to update ref",
                "cannot lock ref",
                "incorrect old value",
            ];
            if faster.iter().any(|words| why.contains(words)) || said.contains("cannot lock ref") {
                return Err(moved(url, branch));
            }
            let message = format!(
                "`{url}` refuses the push to `{branch}`: {}{words}; hint: the branch may be protected, push to another one and open a request",
                why.escape_debug()
            );
            return Err(fault(failures::REFUSED, message));
        }
    }
    Err(Failure::new(failures::PROTOCOL, format!("`{url}` does not say what became of `{branch}`{words}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(report: &[&str], said: &str) -> String {
        let report: Vec<String> = report.iter().map(|line| (*line).to_owned()).collect();
        match judge(&report, "refs/heads/main", "main", "https://git.example/r", said) {
            Ok(()) => "ok".to_owned(),
            Err(failure) => failure.code().to_owned(),
        }
    }

    #[test]
    fn a_report_says_what_became_of_a_push() {
        assert_eq!(judged(&["unpack ok", "ok refs/heads/main"], ""), "ok");
        assert_eq!(judged(&["unpack ok", "ng refs/heads/main fetch first"], ""), failures::REJECTED);
        assert_eq!(judged(&["unpack ok", "ng refs/heads/main failed to update ref"], ""), failures::REJECTED);
        assert_eq!(judged(&["unpack ok", "ng refs/heads/main pre-receive hook declined"], "no"), failures::REFUSED);
        assert_eq!(judged(&["unpack index-pack abnormal exit"], ""), failures::REFUSED);
        assert_eq!(judged(&["unpack ok", "ok refs/heads/other"], ""), failures::PROTOCOL);
        assert_eq!(judged(&[], "fatal: no"), failures::PROTOCOL);
    }

    #[test]
    fn lines_are_packets() {
        assert_eq!(
            lines(b"000eunpack ok\n0017ok refs/heads/main\n0000").expect("whole"),
            ["unpack ok", "ok refs/heads/main"]
        );
        assert!(lines(b"000eunp").is_err());
        assert!(lines(b"zzzz").is_err());
    }
}
