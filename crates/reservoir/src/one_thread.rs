//! Work that gives the same bits on every machine.

/// Does work whose sums would have another order with more threads: the same seed gives the same readout on every
/// machine.
pub(crate) fn on_one_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(work),
        // Without another thread it is done on this one.
        Err(_) => work(),
    }
}
