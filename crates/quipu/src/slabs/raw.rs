//! Zeros from the system, and advice to it: the `unsafe` of the slabs.

use std::sync::atomic::AtomicU64;

/// So many words of zeros, which take no memory before they are touched.
#[allow(unsafe_code)]
pub(super) fn zeroed(words: usize) -> Box<[AtomicU64]> {
    let words = Box::<[AtomicU64]>::new_zeroed_slice(words);
    // SAFETY: an atomic has the representation of its integer, for which zeros are a value.
    unsafe { words.assume_init() }
}

/// Asks the system to back this memory with huge pages, where it has any that lie within. Whether it does changes
/// nothing but time.
#[allow(unsafe_code)]
pub(crate) fn advise_huge<T>(memory: &[T]) {
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]
    {
        const PAGE: usize = 4096;
        let (start, len) = (memory.as_ptr(), size_of_val(memory));
        let skipped = start.addr().next_multiple_of(PAGE) - start.addr();
        let whole = len.saturating_sub(skipped) / PAGE * PAGE;
        // SAFETY: the range lies within memory that is borrowed, and advice of this kind changes neither what it
        // holds nor who may touch it. Where the system's pages are larger, or it knows no such advice, it refuses.
        unsafe {
            let start = start.cast::<u8>().wrapping_add(skipped);
            libc::madvise(start.cast_mut().cast(), whole, libc::MADV_HUGEPAGE);
        }
    }
    #[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(miri))))]
    let _ = memory;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_changes_nothing() {
        for len in [0, 1, 4095, 10_000, 5 << 20] {
            let memory = vec![7_u8; len];
            advise_huge(&memory);
            assert!(memory.iter().all(|&byte| byte == 7));
        }
    }
}
