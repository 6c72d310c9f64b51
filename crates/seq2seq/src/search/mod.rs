//! The search for the best output.

mod generator;

pub use generator::{Generator, Predicted};
