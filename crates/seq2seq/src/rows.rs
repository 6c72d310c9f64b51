//! Rows of a batch, by their numbers on the host.

use burn::prelude::*;

/// `rows` for a selection on `device`, `[B']`.
pub(crate) fn index(rows: &[usize], device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
    Tensor::from_data(rows.as_slice(), device)
}
