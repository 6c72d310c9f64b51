//! Recurrences whose weights never change: leaky units with sparse or dense weights, on plain slices.
//!
//! ```text
//! x~(t) = f( b + W_in · u(t) + W · x(t−1) + ν(t) )
//! x(t)  = keep ⊙ x(t−1) + gain ⊙ x~(t)
//! ```
//!
//! No tensor and no graph: what is not learned needs neither. [`LeakyUnits::sequence`] runs one sequence,
//! on several threads where the units are many; [`LeakyUnits::batch`] runs many beside each other, a
//! register of sequences at a time, so that every weight is read once for all of them.
//!
//! A sum has the same order whatever the instruction set and the number of threads, and products are
//! joined with sums explicitly, so results are the same to the bit on every machine that computes in IEEE
//! numbers. With sparse weights, and fewer than 16 inputs, a batch has the same bits as its sequences one
//! after the other; else they differ by rounding.

mod leaky;
mod matrix;
mod number;

pub use leaky::{LeakyUnits, Rows, Squash};
pub use matrix::{SparseError, SparseMatrix, Weights};
pub use number::Number;

#[cfg(test)]
mod tests;
