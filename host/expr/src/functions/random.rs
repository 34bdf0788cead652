//! Random things, all made of bytes that the memo answers: a decision that is replayed draws the same again.
use jiff::Timestamp;

use crate::error::Error;
use crate::eval::{Args, Evaluator};
use crate::memo::Call;
use crate::time::format;
use crate::value::Value;

/// Characters of one nano id.
const MAX_NANO_ID: usize = 1_000;
/// Ports outside of what systems hand out themselves and below what they reserve.
const PORTS: (u128, u128) = (32_768, 60_999);
/// 2014-05-13T16:53:20Z, from which a KSUID counts its seconds.
const KSUID_EPOCH: i64 = 1_400_000_000;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE62_LOWER_FIRST: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NANO_ALPHABET: &str = "_-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

fn version4(evaluator: &mut Evaluator<'_>) -> Result<u128, Error> {
    let random = number(&evaluator.random(16)?);
    Ok(random & !(0xF << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62)
}

pub(super) fn uuid(evaluator: &mut Evaluator<'_>, _: &Args) -> Result<Value, Error> {
    let hex = format!("{:032x}", version4(evaluator)?);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or("");
    Ok(format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)).into())
}

fn base62(bytes: &[u8], alphabet: &[u8; 62], width: usize) -> String {
    let mut digits: Vec<u8> = bytes.to_vec();
    let mut out = Vec::new();
    while digits.iter().any(|digit| *digit != 0) {
        let mut rest = 0_u32;
        for digit in &mut digits {
            let current = rest << 8 | u32::from(*digit);
            *digit = (current / 62) as u8;
            rest = current % 62;
        }
        out.push(alphabet.get(rest as usize).copied().unwrap_or(b'0'));
    }
    while out.len() < width {
        out.push(b'0');
    }
    out.iter().rev().map(|byte| char::from(*byte)).collect()
}

/// A short id of 22 letters and digits.
pub(super) fn id(evaluator: &mut Evaluator<'_>, _: &Args) -> Result<Value, Error> {
    let random = version4(evaluator)?.to_be_bytes();
    Ok(base62(&random, BASE62_LOWER_FIRST, 22).into())
}

pub(super) fn ksuid(evaluator: &mut Evaluator<'_>, _: &Args) -> Result<Value, Error> {
    let now = evaluator.ask(Call::new("now"))?;
    let now: Timestamp = format::point(&now, &jiff::tz::TimeZone::UTC, None, "en")?.timestamp();
    let seconds = u32::try_from(now.as_second() - KSUID_EPOCH).unwrap_or(0);
    let mut bytes = seconds.to_be_bytes().to_vec();
    bytes.extend(evaluator.random(16)?);
    Ok(base62(&bytes, BASE62, 27).into())
}

/// A whole number from lower to upper, both included.
pub(super) fn random_int(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let bound = |index: usize| match args.required(index)? {
        Value::Text(_) => Err(Error::invalid_hint("`randomInt` needs numbers, found text", "use `| number`")),
        _ => args.int(index),
    };
    let (lower, upper) = (bound(0)?, bound(1)?);
    if lower > upper {
        return Err(Error::invalid(format!("`lower` {lower} of `randomInt` is above `upper` {upper}")));
    }
    let width = (i128::from(upper) - i128::from(lower) + 1) as u128;
    let offset = number(&evaluator.random(16)?) % width;
    Ok(Value::Int(i64::try_from(i128::from(lower) + offset as i128).unwrap_or(lower)))
}

pub(super) fn random_port(evaluator: &mut Evaluator<'_>, _: &Args) -> Result<Value, Error> {
    let (lowest, highest) = PORTS;
    let port = lowest + number(&evaluator.random(8)?) % (highest - lowest + 1);
    Ok(Value::Int(port as i64))
}

pub(super) fn nano_id(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let length = args.get(0).map_or(Ok(21), |_| args.size(0))?;
    if length == 0 || length > MAX_NANO_ID {
        return Err(Error::invalid(format!("`length` of `nanoId` must be between 1 and {MAX_NANO_ID}")));
    }
    let alphabet: Vec<char> = args.optional_text(1)?.unwrap_or(NANO_ALPHABET.into()).chars().collect();
    if alphabet.is_empty() {
        return Err(Error::invalid("`alphabet` of `nanoId` must not be empty"));
    }
    let random = evaluator.random(length * 4)?;
    let pick = |bytes: &[u8]| alphabet.get((number(bytes) % alphabet.len() as u128) as usize);
    Ok(random.chunks(4).filter_map(pick).collect::<String>().into())
}

#[cfg(test)]
mod tests {
    use super::{BASE62, base62};

    #[test]
    fn short_numbers_are_padded() {
        assert_eq!(base62(&[0, 0, 1], BASE62, 5), "00001");
        assert_eq!(base62(&[0xFF], BASE62, 2), "47");
        assert_eq!(base62(&[], BASE62, 0), "");
    }
}
