//! One short program per model; see the files beside `Cargo.toml`.

pub mod plot;
mod start;
pub mod vowels;

pub use start::start;
