//! Sequences that are too long to keep everything their backward pass needs.

use burn::{
    backend::{Backend, Dispatch, TensorMetadata, tensor::FloatTensor},
    prelude::*,
    tensor::Slice,
};

use crate::{
    Activation, Direction, Gates, Lengths, Reset, Update,
    ops::{Course, SequenceOps},
    sequence::{Sequence, time_major},
};

/// Which recurrence a layer runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recurrence {
    /// That of [`rnn_sequence`](crate::rnn_sequence).
    Rnn(Activation),
    /// That of [`lstm_sequence`](crate::lstm_sequence).
    Lstm(Gates),
    /// That of [`gru_sequence`](crate::gru_sequence).
    Gru(Reset, Update),
}

/// Weights and initial state of [`checkpointed_sequence`].
#[derive(Clone, Debug)]
pub struct CheckpointedOperands {
    /// `W_x`, `[I, G]`.
    pub w_x: Tensor<2>,
    /// `b`, `[G]`.
    pub b: Tensor<1>,
    /// `W_h`, `[H, G]`.
    pub w_h: Tensor<2>,
    /// `p_i`, `p_f`, `p_o`, `[3, H]`, of an LSTM with peepholes.
    pub peephole: Option<Tensor<2>>,
    /// `b_h`, `[G]`, of a GRU.
    pub b_h: Option<Tensor<1>>,
    /// `h` before the first step, `[B, H]`.
    pub hidden: Tensor<2>,
    /// `c` before the first step, `[B, H]`, of an LSTM.
    pub cell: Option<Tensor<2>>,
}

/// Input side and recurrence of a whole sequence, `every` steps at a time: the forward pass keeps the
/// states alone, and the backward pass runs each chunk once more to have the rest.
///
/// What is kept besides input and states falls from `T` steps' gates (five to six times the states) to
/// `every` steps', for one more forward pass. Results and gradients are those of
/// [`project_sequence`](crate::project_sequence) and the recurrence.
///
/// # Shapes
///
/// - `x`: `[B, T, I]`
/// - outputs: `[B, T, H]`, zero at padded steps; final states: `[B, H]`
///
/// # Panics
///
/// If `every` is 0, a shape is wrong, an operand is missing or too many, or the bound of
/// [`Gates::Gnmt`] is not above 0.
pub fn checkpointed_sequence(
    x: Tensor<3>,
    operands: CheckpointedOperands,
    recurrence: Recurrence,
    (lengths, direction): (&Lengths, Direction),
    every: usize,
) -> (Tensor<3>, Tensor<2>, Option<Tensor<2>>) {
    let CheckpointedOperands { w_x, b, w_h, peephole, b_h, hidden, cell } = operands;
    let ([batch, steps], [input, width]) = ([lengths.batch(), lengths.steps()], w_x.dims());
    let h = w_h.dims()[0];
    assert!(every > 0, "a chunk has at least one step, got 0");
    if let Recurrence::Lstm(gates) = recurrence {
        gates.assert_clip();
    }
    assert_shape!(x, [batch, steps, input]);
    assert_shape!(b, [width]);
    assert_shape!(w_h, [h, width]);
    assert_shape!(hidden, [batch, h]);
    assert_eq!(
        (peephole.is_some(), b_h.is_some(), cell.is_some()),
        (
            recurrence == Recurrence::Lstm(Gates::Peephole),
            matches!(recurrence, Recurrence::Gru(..)),
            matches!(recurrence, Recurrence::Lstm(_))
        ),
        "peepholes, recurrent bias and cell are given exactly where {recurrence:?} has them"
    );
    // An operation has a fixed number of operands; nobody reads those a recurrence does not have.
    let (device, dtype) = (w_h.device(), w_h.dtype());
    let zeros = |rows| Tensor::<2>::zeros([rows, h], (&device, dtype));
    let peephole = peephole.unwrap_or_else(|| zeros(3));
    let b_h = b_h.unwrap_or_else(|| Tensor::zeros([width], (&device, dtype)));
    let has_cell = cell.is_some();
    let cell = cell.unwrap_or_else(|| zeros(batch));
    assert_shape!(peephole, [3, h]);
    assert_shape!(b_h, [width]);
    assert_shape!(cell, [batch, h]);

    let course = Course { lengths: lengths.clone(), direction };
    let packed = Tensor::<3>::from_dispatch(<Dispatch as SequenceOps>::checkpointed_sequence(
        time_major(x),
        w_x.into_dispatch(),
        b.into_dispatch(),
        w_h.into_dispatch(),
        peephole.into_dispatch(),
        b_h.into_dispatch(),
        hidden.into_dispatch(),
        cell.into_dispatch(),
        recurrence,
        course.clone(),
        every,
    ));
    let cell = packed.clone().narrow(0, steps + 1, 1).squeeze_dim(0);
    let sequence = Sequence::new(packed, &course);
    (sequence.outputs(), sequence.last(), has_cell.then_some(cell))
}

/// The weights of a layer, and its state before a chunk.
#[derive(Debug)]
pub(crate) struct Layer<B: Backend> {
    pub(crate) w_x: FloatTensor<B>,
    pub(crate) b: FloatTensor<B>,
    pub(crate) w_h: FloatTensor<B>,
    pub(crate) peephole: FloatTensor<B>,
    pub(crate) b_h: FloatTensor<B>,
    pub(crate) recurrence: Recurrence,
}

impl<B: Backend> Clone for Layer<B> {
    fn clone(&self) -> Self {
        Self {
            w_x: self.w_x.clone(),
            b: self.b.clone(),
            w_h: self.w_h.clone(),
            peephole: self.peephole.clone(),
            b_h: self.b_h.clone(),
            recurrence: self.recurrence,
        }
    }
}

/// The gradients of a chunk, or of all chunks.
pub(crate) struct LayerGradients<B: Backend> {
    pub(crate) x: FloatTensor<B>,
    pub(crate) w_x: FloatTensor<B>,
    pub(crate) b: FloatTensor<B>,
    pub(crate) w_h: FloatTensor<B>,
    pub(crate) peephole: FloatTensor<B>,
    pub(crate) b_h: FloatTensor<B>,
    pub(crate) hidden: FloatTensor<B>,
    pub(crate) cell: FloatTensor<B>,
}

impl<B: Backend + SequenceOps> Layer<B> {
    /// States `[T + 1, B, H]` and behind them the final cell, which without one is anything.
    pub(crate) fn forward(
        &self,
        x: FloatTensor<B>,
        [h, c]: [FloatTensor<B>; 2],
        course: Course,
    ) -> FloatTensor<B> {
        let x = B::project_sequence(x, self.w_x.clone(), self.b.clone(), course.lengths.clone());
        let w_h = self.w_h.clone();
        let states = match self.recurrence {
            Recurrence::Rnn(activation) => B::rnn_sequence(x, w_h, h, activation, course),
            Recurrence::Lstm(gates) => {
                return B::lstm_sequence(x, w_h, self.peephole.clone(), h, c, gates, course);
            }
            Recurrence::Gru(reset, update) => {
                B::gru_sequence(x, w_h, self.b_h.clone(), h, reset, update, course)
            }
        };
        B::float_cat(vec![states, stacked::<B>(c)], 0)
    }

    /// Runs a chunk once more, and then back. `grad` is `[T + 2, B, H]`, as what `forward` gives.
    pub(crate) fn backward(
        &self,
        x: FloatTensor<B>,
        [h, c]: [FloatTensor<B>; 2],
        grad: FloatTensor<B>,
        course: Course,
    ) -> LayerGradients<B> {
        let lengths = course.lengths.clone();
        let steps = lengths.steps();
        let projected =
            B::project_sequence(x.clone(), self.w_x.clone(), self.b.clone(), lengths.clone());
        let w_h = self.w_h.clone();
        let no_cell = c.clone();
        let states = |grad: &FloatTensor<B>| rows::<B>(grad.clone(), 0, steps + 1);
        let (d, w_h, peephole, b_h, hidden, cell) = match self.recurrence {
            Recurrence::Rnn(activation) => {
                let passed = B::rnn_sequence(projected, w_h.clone(), h, activation, course.clone());
                let (d, w_h, h) = B::rnn_backward(states(&grad), w_h, passed, activation, course);
                (
                    d,
                    w_h,
                    zeros_like::<B>(&self.peephole),
                    zeros_like::<B>(&self.b_h),
                    h,
                    zeros_like::<B>(&no_cell),
                )
            }
            Recurrence::Lstm(gates) => {
                let p = self.peephole.clone();
                let (passed, activated, cells) =
                    B::lstm_forward(projected, w_h.clone(), p.clone(), h, c, gates, course.clone());
                let (d, w_h, p, h, c) =
                    B::lstm_backward(grad, w_h, p, passed, activated, cells, gates, course);
                (d, w_h, p, zeros_like::<B>(&self.b_h), h, c)
            }
            Recurrence::Gru(reset, update) => {
                let b_h = self.b_h.clone();
                let (passed, activated) =
                    B::gru_forward(projected, w_h.clone(), b_h, h, reset, update, course.clone());
                let (d, w_h, b_h, h) =
                    B::gru_backward(states(&grad), w_h, passed, activated, reset, update, course);
                (d, w_h, zeros_like::<B>(&self.peephole), b_h, h, zeros_like::<B>(&no_cell))
            }
        };
        let (w_x, b) = B::project_weight_gradients(d.clone(), x, lengths.clone());
        let x = B::project_input_gradient(d, self.w_x.clone(), lengths);
        LayerGradients { x, w_x, b, w_h, peephole, b_h, hidden, cell }
    }
}

impl<B: Backend> LayerGradients<B> {
    /// Of this chunk and of those that were run before: the weights' add up, the start is this one's.
    pub(crate) fn after(self, later: Option<Self>) -> Self {
        let Some(later) = later else { return self };
        let sum = B::float_add;
        Self {
            w_x: sum(self.w_x, later.w_x),
            b: sum(self.b, later.b),
            w_h: sum(self.w_h, later.w_h),
            peephole: sum(self.peephole, later.peephole),
            b_h: sum(self.b_h, later.b_h),
            ..self
        }
    }
}

/// A chunk of a sequence: steps `from..from + course.lengths.steps()`.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) from: usize,
    pub(crate) course: Course,
}

/// The chunks of `every` steps, in the order in which they are run.
pub(crate) fn chunks(course: &Course, every: usize) -> Vec<Chunk> {
    let steps = course.lengths.steps();
    let chunk = |from: usize| {
        let count = every.min(steps - from);
        let inside = |length: &usize| length.saturating_sub(from).min(count);
        let lengths: Vec<usize> = course.lengths.as_slice().iter().map(inside).collect();
        Chunk { from, course: Course { lengths: Lengths::new(lengths, count), ..course.clone() } }
    };
    let chunks = (0..steps).step_by(every).map(chunk);
    match course.direction {
        Direction::Forward => chunks.collect(),
        Direction::Backward => chunks.rev().collect(),
    }
}

/// Rows `from..from + count` of the first axis of a rank-3 tensor.
pub(crate) fn rows<B: Backend>(
    tensor: FloatTensor<B>,
    from: usize,
    count: usize,
) -> FloatTensor<B> {
    B::float_slice(tensor, &[Slice::from(from..from + count), Slice::full(), Slice::full()])
}

/// `[B, H]` as `[1, B, H]`.
pub(crate) fn stacked<B: Backend>(state: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, hidden] = state.shape().dims();
    B::float_reshape(state, [1, batch, hidden].into())
}

/// State `n` of `[N, B, H]`, as `[B, H]`.
pub(crate) fn state<B: Backend>(states: &FloatTensor<B>, n: usize) -> FloatTensor<B> {
    let [_, batch, hidden] = states.shape().dims();
    B::float_reshape(rows::<B>(states.clone(), n, 1), [batch, hidden].into())
}

/// Zeros where nothing has a gradient.
pub(crate) fn zeros_like<B: Backend>(tensor: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_zeros(tensor.shape(), &tensor.device(), tensor.dtype().into())
}
