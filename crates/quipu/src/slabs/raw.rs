//! Zeros from the system, and advice to it: the `unsafe` of the slabs.

use std::sync::atomic::AtomicU64;

/// So many words of zeros, which take no memory before they are touched.
#[allow(unsafe_code)]
pub(super) fn zeroed(words: usize) -> Box<[AtomicU64]> {
    let words = Box::<[AtomicU64]>::new_zeroed_slice(words);
    // SAFETY: an atomic has the representation of its integer, for which zeros are a value.
    unsafe { words.assume_init() }
}

/// Asks the system to back this memory with huge pages, together with what lies on its first and last page. Whether it
/// does changes nothing but time.
#[allow(unsafe_code)]
pub(crate) fn advise_huge<T>(memory: &[T]) {
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]
    {
        const PAGE: usize = 4096;
        let start = memory.as_ptr().cast::<u8>();
        // Whole pages, or a huge page that ends within the last one would be none.
        let before = start.addr() % PAGE;
        let len = (before + size_of_val(memory)).next_multiple_of(PAGE);
        // SAFETY: each page of the range has bytes that are borrowed, so all are mapped. Advice of this kind changes
        // neither what they hold nor who may touch them. Where the system's pages are larger, or it knows no such
        // advice, it refuses.
        unsafe {
            let start = start.wrapping_sub(before).cast_mut();
            libc::madvise(start.cast(), len, libc::MADV_HUGEPAGE);
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
