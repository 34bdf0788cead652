//! Filters that write values in another notation: JSON, Ion, base64, URL encoding, digests.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::error::Error;
use crate::eval::print::{print_json, string_of};
use crate::eval::{Args, Evaluator};
use crate::ion;
use crate::text::TextBuilder;
use crate::value::Value;

/// JSON text; secrets stay spans.
pub(super) fn to_json(evaluator: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    evaluator.charge_print(input)?;
    let mut out = TextBuilder::default();
    print_json(&mut out, input)?;
    evaluator.charge_bytes(out.size_bytes())?;
    Ok(Value::Text(out.finish()))
}

pub(super) fn to_ion(evaluator: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    evaluator.charge_print(input)?;
    let mut out = String::new();
    ion::write(&mut out, input)?;
    Ok(out.into())
}

pub(super) fn base64_encode(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    Ok(STANDARD.encode(string_of(input)?).into())
}

pub(super) fn base64_decode(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    let bytes = STANDARD.decode(string_of(input)?.trim()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Value::from).ok_or_else(|| Error::invalid("the input of `base64decode` is no base64 of UTF-8 text"))
}

fn hex(bytes: impl AsRef<[u8]>) -> Value {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

pub(super) fn md5(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    Ok(hex(Md5::digest(string_of(input)?)))
}

pub(super) fn sha1(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    Ok(hex(Sha1::digest(string_of(input)?)))
}

pub(super) fn sha256(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    Ok(hex(Sha256::digest(string_of(input)?)))
}

pub(super) fn sha512(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    Ok(hex(Sha512::digest(string_of(input)?)))
}

/// As HTML forms do it: a space becomes `+`.
pub(super) fn url_encode(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    let mut out = String::new();
    for byte in string_of(input)?.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    Ok(out.into())
}

pub(super) fn url_decode(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    let text = string_of(input)?;
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let code = digit(bytes.next()).zip(digit(bytes.next())).map(|(high, low)| (high * 16 + low) as u8);
                code.ok_or_else(|| Error::invalid("`%` in the input of `urldecode` needs two hex digits"))?
            }
            other => other,
        });
    }
    Ok(String::from_utf8_lossy(&out).into_owned().into())
}
