//! Proof for `wit/`: an answer that is still being sent is read in pieces, each shown as it comes. The other tasks end in the ways a
//! run can end badly. Nothing here waits for more than it was given.

use std::io::Read as _;

use sluice_sdk::http::Request;
use sluice_sdk::prelude::*;

/// Larger than any piece the test sends, so that pieces are what the host hands over and not what the buffer cuts.
const BUFFER_BYTES: usize = 64 * 1024;

#[properties]
pub struct Stream {
    /// What to read.
    url: String,
}

#[outputs]
pub struct Streamed {
    status: u16,
    pieces: u64,
    text: String,
}

/// Logs each piece of a response as it comes.
#[task("proof.http.Stream")]
pub fn stream(properties: Stream, cx: &Context) -> Result<Streamed, Failure> {
    let mut response = Request::get(&properties.url)?.send()?;
    cx.info(format!("status {}", response.status()));
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut answer = Streamed { status: response.status(), pieces: 0, text: String::new() };
    loop {
        let length = response.read(&mut buffer)?;
        if length == 0 {
            return Ok(answer);
        }
        let piece = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        cx.info(format!("piece {piece}"));
        answer.pieces += 1;
        answer.text.push_str(&piece);
    }
}

#[properties]
pub struct Nothing {}

/// Fails with everything a failure has.
#[task("proof.http.Fail")]
pub fn fail(_: Nothing, _: &Context) -> Result<(), Failure> {
    Err(Failure::new("PROOF", "this run was to fail").retryable(true))
}

/// Never ends.
#[task("proof.http.Spin")]
pub fn spin(_: Nothing, _: &Context) -> Result<(), Failure> {
    loop {
        std::hint::spin_loop();
    }
}

/// Takes memory until there is none.
#[task("proof.http.Eat")]
pub fn eat(_: Nothing, _: &Context) -> Result<(), Failure> {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(vec![1; 1 << 20]);
        std::hint::black_box(&taken);
    }
}

plugin! {
    tasks: [stream, fail, spin, eat],
    title: "Proof: streamed HTTP",
    effects: Effects::None,
}
