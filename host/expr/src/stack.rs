//! How much stack is in use: recursion here is bounded by counts that people understand, and by this, which does not
//! depend on how large a compiler makes its frames.

/// Stack that parsing or evaluating may take: half of what a thread has at least.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// About where the stack is now.
#[inline(never)]
pub(crate) fn pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

/// Bytes between here and an earlier place.
pub(crate) fn used_since(start: usize) -> usize {
    pointer().abs_diff(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn used_below(start: usize, frames: usize) -> usize {
        let frame = std::hint::black_box([0_u8; 1024]);
        match frames {
            0 => used_since(start),
            _ => used_below(start, frames - 1) + usize::from(frame[0]),
        }
    }

    #[test]
    fn deeper_calls_use_more() {
        let start = pointer();
        let (few, many) = (used_below(start, 1), used_below(start, 100));
        assert!(few < many && many > 100 * 1024 && many < MAX_BYTES, "{few} {many}");
    }
}
