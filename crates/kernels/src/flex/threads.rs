//! Work that is split over threads, and memory they write together.
//!
//! How work is split changes no result: every element is computed by one thread, from sums whose order
//! does not depend on the split.

use rayon::prelude::*;

/// Multiplications below which a second thread costs more than it brings: waking one takes as long as
/// some hundred thousand.
const WORTH_A_THREAD: usize = 4_000_000;

/// Into how many parts to split something that takes so many multiplications.
pub(super) fn parts(multiplications: usize) -> usize {
    rayon::current_num_threads().min(multiplications / WORTH_A_THREAD).max(1)
}

/// Runs `work` for `0..count`, several at a time if `multiplications` in all are worth it.
pub(super) fn each(count: usize, multiplications: usize, work: impl Fn(usize) + Send + Sync) {
    if count > 1 && parts(multiplications) > 1 {
        (0..count).into_par_iter().with_max_len(1).for_each(work);
    } else {
        (0..count).for_each(work);
    }
}

/// Memory of which each thread writes a part of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared<F> {
    start: *mut F,
    len: usize,
}

// SAFETY: a pointer and a length; who uses them promises that no two threads use the same elements.
#[expect(unsafe_code, reason = "threads write parts of the same memory")]
unsafe impl<F: Send> Send for Shared<F> {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "threads write parts of the same memory")]
unsafe impl<F: Send> Sync for Shared<F> {}

impl<F> Shared<F> {
    pub(super) fn new(elements: &mut [F]) -> Self {
        Self { start: elements.as_mut_ptr(), len: elements.len() }
    }

    /// The whole capacity of a vector that has no elements yet.
    pub(super) fn unwritten(elements: &mut Vec<F>) -> Self {
        Self { start: elements.as_mut_ptr(), len: elements.capacity() }
    }

    /// Elements `from..from + count`, to write.
    ///
    /// # Safety
    ///
    /// The memory is still there, and nothing else reads or writes these elements meanwhile.
    ///
    /// # Panics
    ///
    /// If they are not within the memory.
    #[inline(always)]
    #[expect(unsafe_code, reason = "threads write parts of the same memory")]
    pub(super) unsafe fn slice_mut<'a>(self, from: usize, count: usize) -> &'a mut [F] {
        assert!(from <= self.len && count <= self.len - from, "a part is within the memory");
        // SAFETY: within the memory, and the caller promises the rest.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), count) }
    }

    /// Elements `from..from + count`, to read.
    ///
    /// # Safety
    ///
    /// The memory is still there, these elements are written, and nothing writes them meanwhile.
    ///
    /// # Panics
    ///
    /// If they are not within the memory.
    #[inline(always)]
    #[expect(unsafe_code, reason = "threads write parts of the same memory")]
    pub(super) unsafe fn slice<'a>(self, from: usize, count: usize) -> &'a [F] {
        assert!(from <= self.len && count <= self.len - from, "a part is within the memory");
        // SAFETY: within the memory, and the caller promises the rest.
        unsafe { std::slice::from_raw_parts(self.start.add(from), count) }
    }
}
