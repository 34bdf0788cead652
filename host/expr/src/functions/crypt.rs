//! `encrypt` and `decrypt`: AES-GCM with a key in base64, as Kestra does it: nonce, then ciphertext, in base64.
use aes_gcm::aead::Aead;
use aes_gcm::aead::consts::U12;
use aes_gcm::aes::{Aes128, Aes192, Aes256};
use aes_gcm::{AesGcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;
use crate::eval::print::string_of;
use crate::eval::{Args, Evaluator};
use crate::value::Value;

const NONCE_BYTES: usize = 12;

enum Cipher {
    Aes128(Box<AesGcm<Aes128, U12>>),
    Aes192(Box<AesGcm<Aes192, U12>>),
    Aes256(Box<AesGcm<Aes256, U12>>),
}

fn cipher(args: &Args) -> Result<Cipher, Error> {
    let key = STANDARD.decode(args.text(0)?.trim()).unwrap_or_default();
    let wrong = || {
        let message = format!("argument `key` of `{}` is no base64 of 16, 24 or 32 bytes", args.callee);
        Error::invalid_hint(message, "make one with `openssl rand -base64 32`")
    };
    match key.len() {
        16 => AesGcm::new_from_slice(&key).map(|cipher| Cipher::Aes128(Box::new(cipher))).map_err(|_| wrong()),
        24 => AesGcm::new_from_slice(&key).map(|cipher| Cipher::Aes192(Box::new(cipher))).map_err(|_| wrong()),
        32 => AesGcm::new_from_slice(&key).map(|cipher| Cipher::Aes256(Box::new(cipher))).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// What is encrypted is no secret any more.
pub(super) fn encrypt(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let cipher = cipher(args)?;
    let plain = string_of(args.required(1)?)?;
    let mut out = evaluator.random(NONCE_BYTES)?;
    let nonce = Nonce::<U12>::clone_from_slice(&out);
    let sealed = match &cipher {
        Cipher::Aes128(cipher) => cipher.encrypt(&nonce, plain.as_bytes()),
        Cipher::Aes192(cipher) => cipher.encrypt(&nonce, plain.as_bytes()),
        Cipher::Aes256(cipher) => cipher.encrypt(&nonce, plain.as_bytes()),
    };
    out.extend(sealed.map_err(|_| Error::invalid("the text is too long to encrypt"))?);
    Ok(STANDARD.encode(out).into())
}

/// With a secret key, what comes out is a secret derived from it.
pub(super) fn decrypt(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let cipher = cipher(args)?;
    let bytes = STANDARD.decode(args.text(1)?.trim()).unwrap_or_default();
    let opened = bytes.split_at_checked(NONCE_BYTES).and_then(|(nonce, sealed)| {
        let nonce = Nonce::<U12>::clone_from_slice(nonce);
        match &cipher {
            Cipher::Aes128(cipher) => cipher.decrypt(&nonce, sealed),
            Cipher::Aes192(cipher) => cipher.decrypt(&nonce, sealed),
            Cipher::Aes256(cipher) => cipher.decrypt(&nonce, sealed),
        }
        .ok()
    });
    let text = opened.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Value::from).ok_or_else(|| Error::invalid("`decrypt` cannot open the text with this key"))
}
