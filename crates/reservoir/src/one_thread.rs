//! Work that gives the same bits on every machine.

use std::{panic::resume_unwind, thread};

/// Does work whose sums would have another order with more threads: the same seed gives the same readout on every
/// machine.
///
/// This thread does nothing until then. If it is one of a pool, it would otherwise look for other work there, find
/// more of the same kind, and threads would become ever more.
pub(crate) fn on_one_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if rayon::current_num_threads() == 1 {
        return work();
    }
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(1).build() else {
        // Without another thread it is done on this one.
        return work();
    };
    let done = thread::scope(|scope| scope.spawn(|| pool.install(work)).join());
    done.unwrap_or_else(|panic| resume_unwind(panic))
}
