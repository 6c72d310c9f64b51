//! Memory that is given back is kept for what comes next.

use std::hint::black_box;

/// Just under the largest block that the C library of Linux serves from its heap.
const BLOCK: usize = (32 << 20) - (8 << 10);

/// Keeps the heap from shrinking and growing at every step.
///
/// Every step of a model makes and drops tensors of a few megabytes. The C library of Linux asks the
/// system for each block of that size and gives it back afterwards, and the system clears it page by
/// page: up to half of the time of a small model. It stops doing so for blocks as large as the largest
/// that it has seen come back, so it is shown one. Nothing is written into it, so it costs nothing.
/// Elsewhere this does no harm.
pub fn settle() {
    drop(black_box(Vec::<u8>::with_capacity(BLOCK)));
}
