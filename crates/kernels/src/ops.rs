//! The backend extension: what a backend can do with a whole sequence.
//!
//! Every method has a default composed of Burn's own operations (`composed/`), so
//! a backend joins with an empty `impl`. `*_sequence` is the differentiable entry; the others are
//! its two halves and never run on an autodiff backend.
//!
//! Layout inside: time-major, contiguous or not. `x` is `[T, B, G]` with the input side of every
//! step already projected (`G` is `H` times the number of gates), states are `[B, H]`, and a
//! sequence of states is `[T + 1, B, H]` with the initial state included, in the order of
//! [`Direction::steps`]. A sequence carries its state through its padding.

#![expect(clippy::too_many_arguments, reason = "an operation names its tensors one by one")]

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

use crate::{
    Direction, Lengths,
    checkpointed::{Layer, Recurrence},
    composed,
    gru::{Reset, Update},
    lstm::Gates,
    rnn::Activation,
};

#[cfg(feature = "fusion")]
use burn::backend::fusion::custom::TensorSpec;

/// Which steps are run and in which order.
#[derive(Clone, Debug)]
pub struct Course {
    /// The true length of every sequence.
    pub lengths: Lengths,
    /// Which way they are read.
    pub direction: Direction,
}

/// Recurrences over whole sequences. Called through [`rnn_sequence`](crate::rnn_sequence),
/// [`lstm_sequence`](crate::lstm_sequence),
/// [`layer_norm_lstm_sequence`](crate::layer_norm_lstm_sequence) and
/// [`gru_sequence`](crate::gru_sequence), which say what each operand means.
#[backend_extension(
    Flex,
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda")),
    Autodiff,
    Fusion: cfg(feature = "fusion"),
)]
pub trait SequenceOps: Backend {
    /// The input side of all steps, `[T, B, I]` to `[T, B, G]`, zero at padded ones.
    #[fusion(dtype = x, shape = spec::projected(x, w_x))]
    fn project_sequence(
        x: FloatTensor<Self>,
        w_x: FloatTensor<Self>,
        b: FloatTensor<Self>,
        lengths: Lengths,
    ) -> FloatTensor<Self> {
        composed::project::forward::<Self>(x, w_x, b, &lengths)
    }

    /// The gradient of `x`.
    #[fusion(dtype = grad, shape = spec::unprojected(grad, w_x))]
    fn project_input_gradient(
        grad: FloatTensor<Self>,
        w_x: FloatTensor<Self>,
        lengths: Lengths,
    ) -> FloatTensor<Self> {
        composed::project::input_gradient::<Self>(grad, w_x, &lengths)
    }

    /// The gradients of `(w_x, b)`.
    #[fusion(meta = spec::project_weight_gradients)]
    fn project_weight_gradients(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        lengths: Lengths,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::project::weight_gradients::<Self>(grad, x, &lengths)
    }

    /// Input side and recurrence: states `[T + 1, B, H]` and behind them the final cell, which without
    /// one is anything. Only a backend that keeps something for a backward pass has chunks.
    #[fusion(dtype = x, shape = spec::states_and_cell(x, h0))]
    fn checkpointed_sequence(
        x: FloatTensor<Self>,
        w_x: FloatTensor<Self>,
        b: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        peephole: FloatTensor<Self>,
        b_h: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        c0: FloatTensor<Self>,
        recurrence: Recurrence,
        course: Course,
        _every: usize,
    ) -> FloatTensor<Self> {
        Layer::<Self> { w_x, b, w_h, peephole, b_h, recurrence }.forward(x, [h0, c0], course)
    }

    /// States `[T + 1, B, H]`.
    #[fusion(dtype = x, shape = spec::states(x, h0))]
    fn rnn_sequence(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        activation: Activation,
        course: Course,
    ) -> FloatTensor<Self> {
        composed::rnn::forward::<Self>(x, w_h, h0, activation, &course)
    }

    /// Gradients of `(x, w_h, h0)`.
    #[fusion(meta = spec::rnn_backward)]
    fn rnn_backward(
        grad: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        states: FloatTensor<Self>,
        activation: Activation,
        course: Course,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::rnn::backward::<Self>(grad, w_h, states, activation, &course)
    }

    /// States `[T + 1, B, H]` and behind them the final cell: `[T + 2, B, H]`.
    #[fusion(dtype = x, shape = spec::states_and_cell(x, h0))]
    fn lstm_sequence(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        peephole: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        c0: FloatTensor<Self>,
        gates: Gates,
        course: Course,
    ) -> FloatTensor<Self> {
        Self::lstm_forward(x, w_h, peephole, h0, c0, gates, course).0
    }

    /// As [`lstm_sequence`](Self::lstm_sequence), with what the backward pass needs: the activated
    /// gates `[T, B, G]` and the cells `[T + 1, B, H]`.
    #[fusion(meta = spec::lstm_forward)]
    fn lstm_forward(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        peephole: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        c0: FloatTensor<Self>,
        gates: Gates,
        course: Course,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::lstm::forward::<Self>(x, w_h, peephole, h0, c0, gates, &course)
    }

    /// Gradients of `(x, w_h, peephole, h0, c0)`.
    #[fusion(meta = spec::lstm_backward)]
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
        composed::lstm::backward::<Self>(
            grad, w_h, peephole, states, activated, cells, gates, &course,
        )
    }

    /// Every row brought to mean 0 and variance 1, then `γ` and `β`: `[T, B, K]`, zero at padded steps.
    #[fusion(dtype = x, shape = spec::same(x))]
    fn layer_norm_sequence(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        lengths: Lengths,
    ) -> FloatTensor<Self> {
        composed::layer_norm::forward::<Self>(x, gamma, beta, epsilon, &lengths)
    }

    /// Gradients of `(x, gamma, beta)`.
    #[fusion(meta = spec::layer_norm_backward)]
    fn layer_norm_backward(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f64,
        lengths: Lengths,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::layer_norm::backward::<Self>(grad, x, gamma, epsilon, &lengths)
    }

    /// States `[T + 1, B, H]` and behind them the final cell: `[T + 2, B, H]`. `norm_h` is `γ_h` over
    /// `β_h`, `[2, 4H]`, and `norm_c` is `[2, H]`.
    #[fusion(dtype = x, shape = spec::states_and_cell(x, h0))]
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
        Self::layer_norm_lstm_forward(x, w_h, norm_h, norm_c, h0, c0, epsilon, course).0
    }

    /// As [`layer_norm_lstm_sequence`](Self::layer_norm_lstm_sequence), with what the backward pass
    /// needs, zero at padded steps: the activated gates `[T, B, 4H]`, the cells `[T + 1, B, H]`, the
    /// recurrent product before `γ_h` and `β_h`, `[T, B, 4H]`, and `[T, B, 3]`: what that was multiplied
    /// by, the mean of the cell, and what the cell was multiplied by.
    #[fusion(meta = spec::layer_norm_lstm_forward)]
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
        let norms = (norm_h, norm_c);
        composed::layer_norm_lstm::forward::<Self>(x, w_h, norms, (h0, c0), epsilon, &course)
    }

    /// Gradients of `(x, w_h, norm_h, norm_c, h0, c0)`.
    #[fusion(meta = spec::layer_norm_lstm_backward)]
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
        let (norms, saved) = ((norm_h, norm_c), (activated, cells, normalised, scales));
        composed::layer_norm_lstm::backward::<Self>(grad, w_h, norms, states, saved, &course)
    }

    /// States `[T + 1, B, H]`.
    #[fusion(dtype = x, shape = spec::states(x, h0))]
    fn gru_sequence(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        b_h: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        reset: Reset,
        update: Update,
        course: Course,
    ) -> FloatTensor<Self> {
        Self::gru_forward(x, w_h, b_h, h0, reset, update, course).0
    }

    /// As [`gru_sequence`](Self::gru_sequence), with what the backward pass needs: `[T, B, 4H]`,
    /// the activated `r`, `z`, `n` and what the reset gate acted on.
    #[fusion(meta = spec::gru_forward)]
    fn gru_forward(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        b_h: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        reset: Reset,
        update: Update,
        course: Course,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::gru::forward::<Self>(x, w_h, b_h, h0, reset, update, &course)
    }

    /// Gradients of `(x, w_h, b_h, h0)`.
    #[fusion(meta = spec::gru_backward)]
    fn gru_backward(
        grad: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        states: FloatTensor<Self>,
        activated: FloatTensor<Self>,
        reset: Reset,
        update: Update,
        course: Course,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::gru::backward::<Self>(grad, w_h, states, activated, reset, update, &course)
    }
}

#[cfg(feature = "ndarray")]
#[expect(deprecated, reason = "Burn drops ndarray in 0.23; it is asked for by users of 0.22")]
impl SequenceOps for burn::backend::NdArray {}

/// The shapes of the results, for a backend that computes later than it is called.
#[cfg(feature = "fusion")]
mod spec {
    use burn::tensor::Shape;

    use super::{Activation, Course, Gates, Lengths, Reset, TensorSpec, Update};

    pub(super) fn projected(x: &Shape, w_x: &Shape) -> Shape {
        [x[0], x[1], w_x[1]].into()
    }

    pub(super) fn unprojected(grad: &Shape, w_x: &Shape) -> Shape {
        [grad[0], grad[1], w_x[0]].into()
    }

    pub(super) fn project_weight_gradients(
        grad: &TensorSpec,
        x: &TensorSpec,
        _lengths: &Lengths,
    ) -> (TensorSpec, TensorSpec) {
        let (input, width) = (x.shape[2], grad.shape[2]);
        let spec = |shape: Shape| TensorSpec::new(shape, x.dtype);
        (spec([input, width].into()), spec([width].into()))
    }

    pub(super) fn same(x: &Shape) -> Shape {
        x.clone()
    }

    pub(super) fn layer_norm_backward(
        _grad: &TensorSpec,
        x: &TensorSpec,
        gamma: &TensorSpec,
        _epsilon: &f64,
        _lengths: &Lengths,
    ) -> (TensorSpec, TensorSpec, TensorSpec) {
        (x.clone(), gamma.clone(), gamma.clone())
    }

    pub(super) fn states(x: &Shape, h0: &Shape) -> Shape {
        [x[0] + 1, h0[0], h0[1]].into()
    }

    pub(super) fn states_and_cell(x: &Shape, h0: &Shape) -> Shape {
        [x[0] + 2, h0[0], h0[1]].into()
    }

    /// The gradients of `x`, `w_h` and one state, for `states` of `rows` rows.
    fn gradients(
        w_h: &TensorSpec,
        states: &TensorSpec,
        steps: usize,
    ) -> (TensorSpec, TensorSpec, TensorSpec) {
        let (batch, hidden, gates) = (states.shape[1], states.shape[2], w_h.shape[1]);
        let spec = |shape: Shape| TensorSpec::new(shape, w_h.dtype);
        let x = spec([steps, batch, gates].into());
        (x, w_h.clone(), spec([batch, hidden].into()))
    }

    pub(super) fn rnn_backward(
        _grad: &TensorSpec,
        w_h: &TensorSpec,
        states: &TensorSpec,
        _activation: &Activation,
        course: &Course,
    ) -> (TensorSpec, TensorSpec, TensorSpec) {
        gradients(w_h, states, course.lengths.steps())
    }

    pub(super) fn lstm_forward(
        x: &TensorSpec,
        _w_h: &TensorSpec,
        _peephole: &TensorSpec,
        h0: &TensorSpec,
        _c0: &TensorSpec,
        _gates: &Gates,
        _course: &Course,
    ) -> (TensorSpec, TensorSpec, TensorSpec) {
        let spec = |shape: Shape| TensorSpec::new(shape, x.dtype);
        let packed = spec(states_and_cell(&x.shape, &h0.shape));
        (packed, x.clone(), spec(states(&x.shape, &h0.shape)))
    }

    pub(super) fn lstm_backward(
        _grad: &TensorSpec,
        w_h: &TensorSpec,
        peephole: &TensorSpec,
        states: &TensorSpec,
        _activated: &TensorSpec,
        _cells: &TensorSpec,
        _gates: &Gates,
        course: &Course,
    ) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
        let (x, w_h, state) = gradients(w_h, states, course.lengths.steps());
        (x, w_h, peephole.clone(), state.clone(), state)
    }

    pub(super) fn layer_norm_lstm_forward(
        x: &TensorSpec,
        _w_h: &TensorSpec,
        _norm_h: &TensorSpec,
        _norm_c: &TensorSpec,
        h0: &TensorSpec,
        _c0: &TensorSpec,
        _epsilon: &f64,
        _course: &Course,
    ) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
        let spec = |shape: Shape| TensorSpec::new(shape, x.dtype);
        let packed = spec(states_and_cell(&x.shape, &h0.shape));
        let cells = spec(states(&x.shape, &h0.shape));
        let scales = spec([x.shape[0], x.shape[1], 3].into());
        (packed, x.clone(), cells, x.clone(), scales)
    }

    pub(super) fn layer_norm_lstm_backward(
        _grad: &TensorSpec,
        w_h: &TensorSpec,
        norm_h: &TensorSpec,
        norm_c: &TensorSpec,
        states: &TensorSpec,
        _activated: &TensorSpec,
        _cells: &TensorSpec,
        _normalised: &TensorSpec,
        _scales: &TensorSpec,
        course: &Course,
    ) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
        let (x, w_h, state) = gradients(w_h, states, course.lengths.steps());
        (x, w_h, norm_h.clone(), norm_c.clone(), state.clone(), state)
    }

    pub(super) fn gru_forward(
        x: &TensorSpec,
        _w_h: &TensorSpec,
        _b_h: &TensorSpec,
        h0: &TensorSpec,
        _reset: &Reset,
        _update: &Update,
        _course: &Course,
    ) -> (TensorSpec, TensorSpec) {
        let spec = |shape: Shape| TensorSpec::new(shape, x.dtype);
        let activated = spec([x.shape[0], h0.shape[0], 4 * h0.shape[1]].into());
        (spec(states(&x.shape, &h0.shape)), activated)
    }

    pub(super) fn gru_backward(
        _grad: &TensorSpec,
        w_h: &TensorSpec,
        states: &TensorSpec,
        _activated: &TensorSpec,
        _reset: &Reset,
        _update: &Update,
        course: &Course,
    ) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
        let (x, w_h, state) = gradients(w_h, states, course.lengths.steps());
        let b_h = TensorSpec::new([w_h.shape[1]].into(), w_h.dtype);
        (x, w_h, b_h, state)
    }
}
