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
