//! The operations on Burn's CPU backend, over plain slices. `f16` and `bf16` take the composed path.
//!
//! Everything is made of one tile ([`tile`]): a few rows times one panel of the weights, summed in
//! registers. The weights are laid out in panels once for as long as they live ([`panels`]); the panels
//! of a recurrence hold all gates of the same units, so that the point-wise part follows while the sums
//! are at hand. Each thread takes its own sequences through all steps ([`rows`]); the gradient of the
//! weights is one product over all steps at the end ([`product`]). Which vector instructions there are
//! is found out at run time ([`simd`]).

mod activations;
mod additive_score;
mod cross_entropy;
mod gru;
mod layer_norm;
mod layer_norm_lstm;
mod layers;
mod lstm;
mod optimizer;
mod panels;
mod product;
mod project;
mod real;
mod rnn;
mod rows;
mod simd;
pub(crate) mod slices;
pub(crate) mod threads;
mod tile;
pub(crate) mod wide;

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::{DType, TensorData},
};

use crate::{
    Lengths, composed,
    gru::{Reset, Update},
    lstm::Gates,
    ops::{Course, SequenceOps},
    rnn::Activation,
};
pub(crate) use product::{lower_gram, outer_rows};
use real::Real;
#[cfg(test)]
pub(crate) use simd::{Isa, forced};

/// The elements of a tensor in row-major order, copied only if it is a view.
struct Elements<F>(FloatTensor<Flex>, std::marker::PhantomData<F>);

impl<F: Real> Elements<F> {
    fn of(tensor: &FloatTensor<Flex>) -> Self {
        Self(tensor.to_contiguous(), std::marker::PhantomData)
    }

    fn get(&self) -> &[F] {
        self.0.as_slice().expect("a contiguous tensor of this dtype")
    }
}

fn tensor<F: Real>(elements: Vec<F>, shape: &[usize]) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(elements, shape.to_vec()))
}

/// What a forward pass leaves behind, beside its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Nothing,
    /// What the backward pass needs.
    Activations,
}

/// `T`, `B` and `H` of a call.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    steps: usize,
    batch: usize,
    hidden: usize,
}

impl Sizes {
    fn new(lengths: &Lengths, w_h: &FloatTensor<Flex>) -> Self {
        Self { steps: lengths.steps(), batch: lengths.batch(), hidden: w_h.shape()[0] }
    }

    /// Elements of one state of all sequences.
    fn state(self) -> usize {
        self.batch * self.hidden
    }

    /// The place of a row at step `t` among all rows of all steps.
    fn row(self, t: usize, row: usize) -> usize {
        t * self.batch + row
    }

    /// Where the state `n` of a row starts.
    fn at(self, n: usize, row: usize) -> usize {
        self.row(n, row) * self.hidden
    }

    /// The part of `values` that belongs to step or state `n`, `blocks` blocks wide.
    fn range(self, n: usize, blocks: usize) -> std::ops::Range<usize> {
        let width = blocks * self.state();
        n * width..(n + 1) * width
    }
}

/// A vector whose first `len` elements were all written through [`threads::Shared`].
///
/// # Panics
///
/// If there is no room for so many.
#[expect(unsafe_code, reason = "several threads have filled the memory, piece by piece")]
fn finished<F: Real>(mut elements: Vec<F>, len: usize) -> Vec<F> {
    assert!(len <= elements.capacity(), "there is room for what was written");
    // SAFETY: there is room, and the callers' passes write every element once: each row is in one
    // share, and a share writes all steps of its rows, those that are padding too. The tests compare
    // every element with a recurrence that is written in another way.
    unsafe { elements.set_len(len) };
    elements
}

/// Runs `$f::<f32>` or `$f::<f64>`; other dtypes run `$composed`.
macro_rules! by_dtype {
    ($tensor:expr, $f:path, $args:tt, $composed:expr) => {
        match $tensor.dtype() {
            DType::F32 => by_dtype!(@call $f, f32, $args),
            DType::F64 => by_dtype!(@call $f, f64, $args),
            _ => $composed,
        }
    };
    (@call $f:path, $ty:ty, ($($arg:expr),*)) => {{
        use $f as run;
        run::<$ty>($($arg),*)
    }};
}

impl SequenceOps for Flex {
    fn project_sequence(
        x: FloatTensor<Self>,
        w_x: FloatTensor<Self>,
        b: FloatTensor<Self>,
        lengths: Lengths,
    ) -> FloatTensor<Self> {
        by_dtype!(
            x,
            project::forward,
            (&x, &w_x, &b, &lengths),
            composed::project::forward::<Self>(x, w_x, b, &lengths)
        )
    }

    fn project_input_gradient(
        grad: FloatTensor<Self>,
        w_x: FloatTensor<Self>,
        lengths: Lengths,
    ) -> FloatTensor<Self> {
        by_dtype!(
            grad,
            project::input_gradient,
            (&grad, &w_x, &lengths),
            composed::project::input_gradient::<Self>(grad, w_x, &lengths)
        )
    }

    fn project_weight_gradients(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        lengths: Lengths,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        by_dtype!(
            grad,
            project::weight_gradients,
            (&grad, &x, &lengths),
            composed::project::weight_gradients::<Self>(grad, x, &lengths)
        )
    }

    fn rnn_sequence(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        activation: Activation,
        course: Course,
    ) -> FloatTensor<Self> {
        by_dtype!(
            x,
            rnn::forward,
            (&x, &w_h, &h0, activation, &course),
            composed::rnn::forward::<Self>(x, w_h, h0, activation, &course)
        )
    }

    fn rnn_backward(
        grad: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        states: FloatTensor<Self>,
        activation: Activation,
        course: Course,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        by_dtype!(
            grad,
            rnn::backward,
            (&grad, &w_h, &states, activation, &course),
            composed::rnn::backward::<Self>(grad, w_h, states, activation, &course)
        )
    }

    fn lstm_sequence(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        peephole: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        c0: FloatTensor<Self>,
        gates: Gates,
        course: Course,
    ) -> FloatTensor<Self> {
        by_dtype!(
            x,
            lstm::forward,
            (&x, &w_h, &peephole, (&h0, &c0), gates, &course, Keep::Nothing),
            return composed::lstm::forward::<Self>(x, w_h, peephole, h0, c0, gates, &course).0
        )
        .states
    }

    fn lstm_forward(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        peephole: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        c0: FloatTensor<Self>,
        gates: Gates,
        course: Course,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let passed = by_dtype!(
            x,
            lstm::forward,
            (&x, &w_h, &peephole, (&h0, &c0), gates, &course, Keep::Activations),
            return composed::lstm::forward::<Self>(x, w_h, peephole, h0, c0, gates, &course)
        );
        let (activated, cells) = passed.saved.expect("gates and cells were asked for");
        (passed.states, activated, cells)
    }

    fn lstm_backward(
        grad: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        peephole: FloatTensor<Self>,
        states: FloatTensor<Self>,
        activated: FloatTensor<Self>,
        cells: FloatTensor<Self>,
        gates: Gates,
        course: Course,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        by_dtype!(
            grad,
            lstm::backward,
            (&grad, &w_h, &peephole, &states, &activated, &cells, gates, &course),
            composed::lstm::backward::<Self>(
                grad, w_h, peephole, states, activated, cells, gates, &course
            )
        )
    }

    fn layer_norm_sequence(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        lengths: Lengths,
    ) -> FloatTensor<Self> {
        by_dtype!(
            x,
            layer_norm::forward,
            (&x, &gamma, &beta, epsilon, &lengths),
            composed::layer_norm::forward::<Self>(x, gamma, beta, epsilon, &lengths)
        )
    }

    fn layer_norm_backward(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f64,
        lengths: Lengths,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        by_dtype!(
            grad,
            layer_norm::backward,
            (&grad, x, &gamma, epsilon, &lengths),
            composed::layer_norm::backward::<Self>(grad, x, gamma, epsilon, &lengths)
        )
    }

    fn layer_norm_lstm_sequence(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        norm_h: FloatTensor<Self>,
        norm_c: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        c0: FloatTensor<Self>,
        epsilon: f64,
        course: Course,
    ) -> FloatTensor<Self> {
        by_dtype!(
            x,
            layer_norm_lstm::forward,
            (&x, &w_h, (&norm_h, &norm_c), (&h0, &c0), epsilon, &course, Keep::Nothing),
            return composed::layer_norm_lstm::forward::<Self>(
                x,
                w_h,
                (norm_h, norm_c),
                (h0, c0),
                epsilon,
                &course
            )
            .0
        )
        .states
    }

    fn layer_norm_lstm_forward(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        norm_h: FloatTensor<Self>,
        norm_c: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        c0: FloatTensor<Self>,
        epsilon: f64,
        course: Course,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let passed = by_dtype!(
            x,
            layer_norm_lstm::forward,
            (&x, &w_h, (&norm_h, &norm_c), (&h0, &c0), epsilon, &course, Keep::Activations),
            return composed::layer_norm_lstm::forward::<Self>(
                x,
                w_h,
                (norm_h, norm_c),
                (h0, c0),
                epsilon,
                &course
            )
        );
        let (activated, cells, normalised, scales) =
            passed.saved.expect("gates, cells and norms were asked for");
        (passed.states, activated, cells, normalised, scales)
    }

    fn layer_norm_lstm_backward(
        grad: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        norm_h: FloatTensor<Self>,
        norm_c: FloatTensor<Self>,
        states: FloatTensor<Self>,
        activated: FloatTensor<Self>,
        cells: FloatTensor<Self>,
        normalised: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        course: Course,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let saved = (activated, cells, normalised, scales);
        by_dtype!(
            grad,
            layer_norm_lstm::backward,
            (&grad, &w_h, (&norm_h, &norm_c), &states, saved, &course),
            composed::layer_norm_lstm::backward::<Self>(
                grad,
                w_h,
                (norm_h, norm_c),
                states,
                saved,
                &course
            )
        )
    }

    fn gru_sequence(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        b_h: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        reset: Reset,
        update: Update,
        course: Course,
    ) -> FloatTensor<Self> {
        by_dtype!(
            x,
            gru::forward,
            (&x, &w_h, &b_h, &h0, (reset, update), &course, Keep::Nothing),
            return composed::gru::forward::<Self>(x, w_h, b_h, h0, reset, update, &course).0
        )
        .0
    }

    fn gru_forward(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        b_h: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        reset: Reset,
        update: Update,
        course: Course,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (states, activated) = by_dtype!(
            x,
            gru::forward,
            (&x, &w_h, &b_h, &h0, (reset, update), &course, Keep::Activations),
            return composed::gru::forward::<Self>(x, w_h, b_h, h0, reset, update, &course)
        );
        (states, activated.expect("gates were asked for"))
    }

    fn gru_backward(
        grad: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        states: FloatTensor<Self>,
        activated: FloatTensor<Self>,
        reset: Reset,
        update: Update,
        course: Course,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        by_dtype!(
            grad,
            gru::backward,
            (&grad, &w_h, &states, &activated, (reset, update), &course),
            composed::gru::backward::<Self>(grad, w_h, states, activated, reset, update, &course)
        )
    }
}
