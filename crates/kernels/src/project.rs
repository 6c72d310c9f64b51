//! The input side of all steps of a recurrence at once.

use burn::{backend::Dispatch, prelude::*};

use crate::{Lengths, ops::SequenceOps, sequence::time_major};

/// Multiplies the input of every step by the input weights: what [`rnn_sequence`](crate::rnn_sequence),
/// [`lstm_sequence`](crate::lstm_sequence) and [`gru_sequence`](crate::gru_sequence) go on with.
///
/// ```text
/// x_t · W_x + b
/// ```
///
/// Steps that are padding are neither read nor multiplied: there the result is zero, and so is the
/// gradient.
///
/// # Shapes
///
/// - `x`: `[B, T, I]`
/// - `w_x`: `[I, G]`
/// - `b`: `[G]`, zero if there is none
/// - result: `[B, T, G]`, time-major in memory
///
/// Gradients are of first order only.
///
/// # Panics
///
/// If a shape is wrong or `lengths` is of another batch.
pub fn project_sequence(
    x: Tensor<3>,
    w_x: Tensor<2>,
    b: Option<Tensor<1>>,
    lengths: &Lengths,
) -> Tensor<3> {
    let [input, width] = w_x.dims();
    assert_shape!(x, [lengths.batch(), lengths.steps(), input]);
    let b = b.unwrap_or_else(|| Tensor::zeros([width], (&w_x.device(), w_x.dtype())));
    assert_shape!(b, [width]);
    let projected = Tensor::<3>::from_dispatch(<Dispatch as SequenceOps>::project_sequence(
        time_major(x),
        w_x.into_dispatch(),
        b.into_dispatch(),
        lengths.clone(),
    ));
    projected.swap_dims(0, 1)
}

/// `y = x · W + b` of every row, `x` of `[…, I]` and `y` of `[…, G]`: [`project_sequence`] for what has
/// no padding. On the CPU weights are laid out once for as long as they live, so that a few rows at a
/// time, as in decoding, cost no more than they should.
///
/// # Shapes
///
/// - `x`: `[…, I]`; `w`: `[I, G]`; `b`: `[G]`
/// - result: `[…, G]`
///
/// Gradients are of first order only.
///
/// # Panics
///
/// If a shape is wrong.
pub fn linear<const D: usize>(x: Tensor<D>, w: Tensor<2>, b: Option<Tensor<1>>) -> Tensor<D> {
    let [input, width] = w.dims();
    let mut dims = x.dims();
    let features = dims.last_mut().expect("a tensor with features has an axis for them");
    assert_eq!(*features, input, "rows have as many features as the weights have rows");
    *features = width;
    let rows = dims.iter().take(D - 1).product();
    let x = x.reshape([rows, 1, input]);
    project_sequence(x, w, b, &Lengths::full(rows, 1)).reshape(dims)
}
