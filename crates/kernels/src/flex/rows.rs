//! The sequences of a batch have nothing to do with each other: large batches are split into rows
//! that run on threads of their own, for the whole sequence. Where they are split depends on the
//! sizes alone, and sums over the parts are taken in their order, so the number of threads does not
//! change a bit.

use std::ops::Range;

use burn::{
    backend::{Flex, ops::FloatTensorOps, tensor::FloatTensor},
    tensor::Slice,
};
use rayon::prelude::*;

use super::product::PARALLEL;
use crate::{Lengths, ops::Course};

/// About how many rows are a part.
const ROWS: usize = 64;

/// The parts of a batch of `batch` rows whose steps each multiply `[batch, hidden]` by
/// `[hidden, width]`: one where the work is small.
pub(super) fn parts(batch: usize, hidden: usize, width: usize) -> Vec<Range<usize>> {
    let wanted = (batch + ROWS / 2) / ROWS;
    let count = if batch * hidden * width < PARALLEL { 1 } else { wanted.max(1) };
    let cut = |n: usize| n * batch / count;
    (0..count).map(|n| cut(n)..cut(n + 1)).collect()
}

/// Runs every part, on as many threads as there are; the results in the order of the parts.
pub(super) fn each<T: Send>(
    parts: &[Range<usize>],
    run: impl Fn(&Range<usize>) -> T + Send + Sync,
) -> Vec<T> {
    parts.par_iter().map(run).collect()
}

/// The course of some rows.
pub(super) fn course(course: &Course, rows: &Range<usize>) -> Course {
    let lengths = course.lengths.as_slice()[rows.clone()].to_vec();
    Course { lengths: Lengths::new(lengths, course.lengths.steps()), direction: course.direction }
}

/// Some rows of a tensor whose dimension `dim` is the batch.
pub(super) fn of(tensor: &FloatTensor<Flex>, dim: usize, rows: &Range<usize>) -> FloatTensor<Flex> {
    let mut slices = vec![Slice::full(); dim];
    slices.push(Slice::from(rows.clone()));
    Flex::float_slice(tensor.clone(), &slices)
}

/// The parts of a tensor put together again.
pub(super) fn joined(parts: Vec<FloatTensor<Flex>>, dim: usize) -> FloatTensor<Flex> {
    Flex::float_cat(parts, dim)
}

/// The sum of the parts, in their order.
pub(super) fn summed(parts: Vec<FloatTensor<Flex>>) -> FloatTensor<Flex> {
    let sum = parts.into_iter().reduce(Flex::float_add);
    sum.expect("a batch has at least one part")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_rows_once_and_are_about_as_large() {
        for batch in [1, 31, 64, 95, 96, 128, 200, 1000] {
            let parts = parts(batch, 1000, 4000);
            assert_eq!(
                parts.iter().flat_map(Clone::clone).collect::<Vec<_>>(),
                (0..batch).collect::<Vec<_>>()
            );
            assert!(parts.iter().all(|part| parts.len() == 1 || part.len() >= ROWS / 2));
        }
        let whole = 0..128;
        assert_eq!(parts(128, 10, 40), [whole]);
    }
}
