//! One short program per model; see the files beside `Cargo.toml`.

pub mod plot;
mod start;

pub use start::start;
