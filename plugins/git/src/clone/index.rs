//! Git's index (`gitformat-index`, version 2): what is checked out, by name and mode. Times are left at zero, so `git` looks at each file once and finds
//! it unchanged.

use gix_hash::Kind as Hash;
use sluice_sdk::Failure;

use super::checkout::Checkout;
use crate::failures::{self, chain, fault};
use crate::objects::tree::LeafKind;

/// Bytes of an entry before its name.
const HEAD_BYTES: usize = 62;
/// Longest name that the flags of an entry say the length of.
const NAME_BYTES_MAX: usize = 0xfff;

/// The index of a checkout.
pub fn encoded(checkout: &Checkout<'_>) -> Result<Vec<u8>, Failure> {
    let mut entries: Vec<_> = checkout.entries.iter().collect();
    entries.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(entries.len() * 100);
    bytes.extend_from_slice(b"DIRC");
    bytes.extend_from_slice(&2_u32.to_be_bytes());
    bytes.extend_from_slice(&count.to_be_bytes());
    for entry in entries {
        let mode: u32 = match entry.kind {
            LeafKind::File => 0o100_644,
            LeafKind::Program => 0o100_755,
            LeafKind::Link => 0o120_000,
            LeafKind::Submodule => 0o160_000,
        };
        let start = bytes.len();
        // Created, changed (seconds and nanoseconds each), device, inode.
        bytes.extend_from_slice(&[0; 24]);
        bytes.extend_from_slice(&mode.to_be_bytes());
        // User, group, size.
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(entry.id.as_slice());
        let length = entry.path.len().min(NAME_BYTES_MAX) as u16;
        bytes.extend_from_slice(&length.to_be_bytes());
        debug_assert_eq!(bytes.len() - start, HEAD_BYTES);
        bytes.extend_from_slice(entry.path.as_bytes());
        // One to eight zeros, to a multiple of eight.
        let length = bytes.len() - start;
        bytes.resize(start + (length + 8) / 8 * 8, 0);
    }
    let mut hasher = gix_hash::hasher(Hash::Sha1);
    hasher.update(&bytes);
    let digest = hasher
        .try_finalize()
        .map_err(|error| fault(failures::CORRUPT, format!("the index cannot be hashed: {}", chain(&error))))?;
    bytes.extend_from_slice(digest.as_slice());
    Ok(bytes)
}
