//! Memory that is given back is kept for what comes next.

/// Keeps the heap from shrinking and growing at every step. For programs, once, before anything else.
///
/// Every step of a model makes and drops tensors of some megabytes. The C library of Linux (glibc) asks
/// the system for each block of that size and gives it back afterwards, and the system clears it page by
/// page when it comes again: a tenth to a half of the time of a step. From here on it keeps up to 2 GiB
/// that are free. Other C libraries and systems are left as they are.
pub fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The largest block that is served from memory that is kept, if the library lets us choose it.
        const LARGEST: libc::c_int = 1 << 30;
        /// What every version lets us choose.
        const ALWAYS_POSSIBLE: libc::c_int = 32 << 20;
        // SAFETY: sets numbers of the allocator under its own lock; what they mean changes for later
        // calls only.
        #[expect(unsafe_code, reason = "a setting of the C library")]
        unsafe {
            if libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST) == 0 {
                libc::mallopt(libc::M_MMAP_THRESHOLD, ALWAYS_POSSIBLE);
            }
            libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        }
    }
}
