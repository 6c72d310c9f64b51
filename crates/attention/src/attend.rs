//! From scores to a context, for every kind of score.

use burn::{
    module::ModuleDisplay,
    prelude::*,
    tensor::{DType, activation::softmax},
};

use crate::Memory;

/// How relevant each row of a memory is to a query.
pub trait Score: Module + ModuleDisplay {
    /// Prepares `values`, `[B, S, M]`, once for all queries. `pad_mask` is `[B, S]`, true where a
    /// row is padding.
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    fn memory(&self, values: Tensor<3>, pad_mask: Option<Tensor<2, Bool>>) -> Memory;

    /// The scores of every row for every query: `queries` `[B, T, Q]` to `[B, T, S]`.
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    fn score(&self, queries: Tensor<3>, memory: &Memory) -> Tensor<3>;
}

/// What queries got to see, and where they looked.
#[derive(Clone, Debug)]
pub struct Attended {
    /// `c`, `[B, T, M]`.
    pub context: Tensor<3>,
    /// `α`, `[B, T, S]`: each row of it sums to 1 and is exactly 0 on padding. A memory that is all
    /// padding has weights and a context of 0.
    pub weights: Tensor<3>,
}

/// Looks at `memory` with every query of `[B, T, Q]`; one query a sequence is `T = 1`. Where rows of
/// queries share memories, there are as many rows as [readers](Memory::readers).
///
/// # Panics
///
/// If a shape is wrong, or the batch of the queries is not that of the memory.
pub fn attend<S: Score>(score: &S, queries: Tensor<3>, memory: &Memory) -> Attended {
    let Some(readers) = &memory.readers else {
        return attend_in_place(score, queries, memory);
    };
    let Attended { context, weights } = attend_in_place(score, readers.gather(queries), memory);
    Attended { context: readers.scatter(context), weights: readers.scatter(weights) }
}

/// The queries of a memory stand in front of it.
fn attend_in_place<S: Score>(score: &S, queries: Tensor<3>, memory: &Memory) -> Attended {
    let [batch, rows, _] = memory.values.dims();
    let [_, steps, width] = queries.dims();
    assert_shape!(queries, [batch, steps, width]);
    let scores = score.score(queries, memory);
    assert_shape!(scores, [batch, steps, rows]);
    let weights = match &memory.pad_mask {
        None => softmax(scores, 2),
        Some(mask) => {
            let mask = mask.clone().unsqueeze_dim::<3>(1).expand(scores.dims());
            let lowest = lowest(scores.dtype());
            softmax(scores.mask_fill(mask.clone(), lowest), 2).mask_fill(mask, 0.0)
        }
    };
    Attended { context: weights.clone().matmul(memory.values.clone()), weights }
}

/// A score below every other, and finite: GPUs have no `−∞` literal, and a memory that is all
/// padding must not become NaN.
fn lowest(dtype: DType) -> f64 {
    if dtype == DType::F16 { -6e4 } else { -1e9 }
}
