//! A filter of the keys of a run: tells for most keys that are not in it that they are not, without reading anything.

/// Bits for each key: about one in a hundred absent keys is not recognised.
const BITS_PER_KEY: u64 = 10;
/// Places looked at for each key: what fits that many bits best.
const PLACES: u64 = 7;

/// The filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Vec<u8>);

impl Filter {
    /// A filter of the keys with these hashes.
    pub fn new(hashes: &[u64]) -> Self {
        let bytes = (hashes.len() as u64 * BITS_PER_KEY).div_ceil(8).max(8);
        let mut filter = Self(vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)]);
        for hash in hashes {
            for (byte, bit) in filter.places(*hash) {
                if let Some(byte) = filter.0.get_mut(byte) {
                    *byte |= bit;
                }
            }
        }
        filter
    }

    /// The stored form.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the stored form.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Whether the key with this hash may be there.
    pub fn may_have(&self, hash: u64) -> bool {
        self.places(hash).into_iter().all(|(byte, bit)| self.0.get(byte).is_some_and(|found| found & bit != 0))
    }

    fn places(&self, hash: u64) -> [(usize, u8); PLACES as usize] {
        let bits = self.0.len() as u64 * 8;
        // Two halves of one hash make all places.
        let (start, step) = (hash, (hash >> 32) | 1);
        std::array::from_fn(|number| {
            let bit = start.wrapping_add((number as u64).wrapping_mul(step)) % bits.max(1);
            ((bit / 8) as usize, 1 << (bit % 8))
        })
    }
}

/// The hash of a key. Stored with the filters: it never changes (FNV-1a, mixed at the end).
pub fn hash(key: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_keys_and_few_others() {
        let key = |n: u32| hash(format!("execution/{n}").as_bytes());
        let filter = Filter::new(&(0..10_000).map(key).collect::<Vec<_>>());
        assert!((0..10_000).all(|n| filter.may_have(key(n))));
        let wrong = (10_000..20_000).filter(|n| filter.may_have(key(*n))).count();
        assert!(wrong < 300, "{wrong} of 10,000");
        assert!(!Filter::new(&[]).may_have(key(1)));
    }
}
