//! The sequence operations on Burn's CPU backend, over plain slices: one matrix product a step into
//! a buffer that is made once, the point-wise part in one pass, one product for the weight
//! gradient of all steps. `f16` and `bf16` take the composed path.

mod activations;
mod cross_entropy;
mod gru;
mod layers;
mod lstm;
mod optimizer;
mod product;
mod real;
mod rnn;
mod rows;
mod wide;

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
use real::Real;

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

/// `T`, `B` and `H` of a call.
#[derive(Clone, Copy)]
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

    /// The part of `values` that belongs to step or state `n`, `blocks` blocks wide.
    fn range(self, n: usize, blocks: usize) -> std::ops::Range<usize> {
        let width = blocks * self.state();
        n * width..(n + 1) * width
    }
}

/// The two neighbours `before` and `after` of `values`, one to read and one to write.
fn neighbours<F>(values: &mut [F], sizes: Sizes, before: usize, after: usize) -> (&[F], &mut [F]) {
    let cut = before.max(after) * sizes.state();
    let (low, high) = values.split_at_mut(cut);
    if before < after {
        (&low[sizes.range(before, 1)], &mut high[..sizes.state()])
    } else {
        (&high[..sizes.state()], &mut low[sizes.range(after, 1)])
    }
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

    fn lstm_forward(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        peephole: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        c0: FloatTensor<Self>,
        gates: Gates,
        course: Course,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        by_dtype!(
            x,
            lstm::forward,
            (&x, &w_h, &peephole, &h0, &c0, gates, &course),
            composed::lstm::forward::<Self>(x, w_h, peephole, h0, c0, gates, &course)
        )
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

    fn gru_forward(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        b_h: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        reset: Reset,
        update: Update,
        course: Course,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        by_dtype!(
            x,
            gru::forward,
            (&x, &w_h, &b_h, &h0, reset, update, &course),
            composed::gru::forward::<Self>(x, w_h, b_h, h0, reset, update, &course)
        )
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
            (&grad, &w_h, &states, &activated, reset, update, &course),
            composed::gru::backward::<Self>(grad, w_h, states, activated, reset, update, &course)
        )
    }
}
