//! Hints to the processor, which touch no memory that a program sees.

/// Asks for the cache line of an address, which is needed next. Where there is no such hint, does nothing.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn prefetch(address: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let line = std::ptr::without_provenance(address);
        // SAFETY: every x86-64 has SSE; a prefetch has no effect but on caches, and never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}
