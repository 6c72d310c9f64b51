//! Long sequences: less memory for more time.
//!
//! Training keeps the gates of every step for the backward pass, five to six times what the states
//! take. A cell in here keeps the states alone and computes the gates of a few steps at a time once
//! more: one forward pass more. Results and gradients are the cell's own.
//!
//! Source: Gruslys et al. (2016), Memory-Efficient Backpropagation Through Time; Chen et al. (2016),
//! Training Deep Nets with Sublinear Memory Cost.

use burn::prelude::*;
use recurrent_kernels::{
    CheckpointedOperands, Direction, Gates, Lengths, Recurrence, checkpointed_sequence,
};

use crate::{
    Cell, CoupledLstmCell, Gated, GnmtLstmCell, GruCell, LstmCell, LstmState, Paths,
    PeepholeLstmCell, RnnCell,
};

/// A cell whose whole sequence is one operation, input side included.
pub trait Fused: Cell {
    /// What the operation runs.
    fn recurrence(&self) -> Recurrence;

    /// Its weights, and where it starts.
    fn operands(&self, start: Self::State) -> CheckpointedOperands;

    /// The state at the end.
    fn end(&self, hidden: Tensor<2>, cell: Option<Tensor<2>>) -> Self::State;
}

/// A cell that trains on long sequences with less memory. It saves and loads as the cell.
#[derive(Module, Debug)]
pub struct Checkpointed<C: Fused> {
    /// The cell.
    pub cell: C,
    /// How many steps' gates are kept at a time. About `√T` is a good choice.
    #[module(skip)]
    pub every: usize,
}

impl<C: Fused> Checkpointed<C> {
    /// `cell`, `every` steps at a time.
    ///
    /// # Panics
    ///
    /// If `every` is 0.
    pub fn new(cell: C, every: usize) -> Self {
        assert!(every > 0, "a chunk has at least one step, got 0");
        Self { cell, every }
    }
}

impl<C: Fused> Cell for Checkpointed<C> {
    type State = C::State;

    fn d_input(&self) -> usize {
        self.cell.d_input()
    }

    fn d_hidden(&self) -> usize {
        self.cell.d_hidden()
    }

    fn initial_state(&self, batch: usize) -> C::State {
        self.cell.initial_state(batch)
    }

    fn project(&self, x: Tensor<3>, start: &C::State, lengths: &Lengths) -> Tensor<3> {
        self.cell.project(x, start, lengths)
    }

    fn advance<P: Paths>(&self, projected: Tensor<2>, state: C::State, paths: &P) -> C::State {
        self.cell.advance(projected, state, paths)
    }

    fn output(&self, state: &C::State) -> Tensor<2> {
        self.cell.output(state)
    }

    fn sequence(
        &self,
        projected: Tensor<3>,
        start: C::State,
        lengths: &Lengths,
        direction: Direction,
    ) -> (Tensor<3>, C::State) {
        self.cell.sequence(projected, start, lengths, direction)
    }

    fn run(
        &self,
        x: Tensor<3>,
        start: C::State,
        lengths: &Lengths,
        direction: Direction,
    ) -> (Tensor<3>, C::State) {
        let operands = self.cell.operands(start);
        let course = (lengths, direction);
        let (outputs, hidden, cell) =
            checkpointed_sequence(x, operands, self.cell.recurrence(), course, self.every);
        (outputs, self.cell.end(hidden, cell))
    }
}

impl<C: Fused + Gated> Gated for Checkpointed<C> {}

impl Fused for RnnCell {
    fn recurrence(&self) -> Recurrence {
        Recurrence::Rnn(self.activation)
    }

    fn operands(&self, hidden: Tensor<2>) -> CheckpointedOperands {
        CheckpointedOperands {
            w_x: self.w_x.val(),
            b: self.b.val(),
            w_h: self.w_h.val(),
            peephole: None,
            b_h: None,
            hidden,
            cell: None,
        }
    }

    fn end(&self, hidden: Tensor<2>, _: Option<Tensor<2>>) -> Tensor<2> {
        hidden
    }
}

impl Fused for GruCell {
    fn recurrence(&self) -> Recurrence {
        Recurrence::Gru(self.reset, self.update)
    }

    fn operands(&self, hidden: Tensor<2>) -> CheckpointedOperands {
        CheckpointedOperands {
            w_x: self.w_x.val(),
            b: self.b_x.val(),
            w_h: self.w_h.val(),
            peephole: None,
            b_h: Some(self.b_h.val()),
            hidden,
            cell: None,
        }
    }

    fn end(&self, hidden: Tensor<2>, _: Option<Tensor<2>>) -> Tensor<2> {
        hidden
    }
}

/// The LSTMs differ in their gates and in having peepholes.
macro_rules! fused_lstm {
    ($cell:ty, $gates:expr, $peephole:expr) => {
        impl Fused for $cell {
            fn recurrence(&self) -> Recurrence {
                let gates: fn(&Self) -> Gates = $gates;
                Recurrence::Lstm(gates(self))
            }

            fn operands(&self, start: LstmState) -> CheckpointedOperands {
                let peephole: fn(&Self) -> Option<Tensor<2>> = $peephole;
                CheckpointedOperands {
                    w_x: self.w_x.val(),
                    b: self.b.val(),
                    w_h: self.w_h.val(),
                    peephole: peephole(self),
                    b_h: None,
                    hidden: start.hidden,
                    cell: Some(start.cell),
                }
            }

            fn end(&self, hidden: Tensor<2>, cell: Option<Tensor<2>>) -> LstmState {
                LstmState { hidden, cell: cell.expect("an LSTM has a cell") }
            }
        }
    };
}

fused_lstm!(LstmCell, |_| Gates::Forget, |_| None);
fused_lstm!(CoupledLstmCell, |_| Gates::Coupled, |_| None);
fused_lstm!(PeepholeLstmCell, |_| Gates::Peephole, |cell| Some(cell.p.val()));
fused_lstm!(GnmtLstmCell, |cell| Gates::Gnmt { clip: cell.clip }, |_| None);

#[cfg(test)]
mod tests {
    use burn::tensor::DType;
    use recurrent_testkit::{assert_close, random};

    use super::*;
    use crate::{
        GnmtLstmConfig, GruConfig, LstmConfig, PeepholeLstmConfig, Reset, RnnConfig, State, unroll,
    };

    /// Outputs, final state and all gradients are those of the cell, however the steps are cut.
    fn check<C: Fused>(cell: C) {
        let cell = recurrent_testkit::in_f64(cell);
        let device = cell.devices()[0].clone();
        let leaf = |shape, seed| random(shape, seed, DType::F64, &device).require_grad();
        for lengths in [Lengths::full(3, 7), Lengths::new([7, 0, 4], 7), Lengths::new([1, 2, 5], 7)]
        {
            for direction in [Direction::Forward, Direction::Backward] {
                let record = |every: Option<usize>| {
                    let x: Tensor<3> = leaf([3, 7, 2], 1);
                    let mut starts = Vec::new();
                    let start = cell.initial_state(3).map(&mut |_, part| {
                        let part = random(part.dims(), 2, DType::F64, &device).require_grad();
                        starts.push(part.clone());
                        part
                    });
                    let (y, end) = match every {
                        None => unroll(&cell, x.clone(), start, &lengths, direction),
                        Some(every) => {
                            let cell = Checkpointed::new(cell.clone(), every);
                            unroll(&cell, x.clone(), start, &lengths, direction)
                        }
                    };
                    let mut loss = (y.clone() * random(y.dims(), 3, DType::F64, &device)).sum();
                    let _ = end.map(&mut |_, part| {
                        let weights = random(part.dims(), 4, DType::F64, &device);
                        loss = loss.clone() + (part.clone() * weights).sum();
                        part
                    });
                    let gradients = loss.clone().backward();
                    let operands = cell.operands(cell.initial_state(3));
                    let mut found = vec![loss.reshape([1, 1]), y.reshape([3, -1])];
                    found.push(x.grad(&gradients).expect("tracked").reshape([3, -1]));
                    found.extend(starts.iter().map(|part| part.grad(&gradients).expect("tracked")));
                    let weights = [Some(operands.w_x), Some(operands.w_h), operands.peephole];
                    found.extend(
                        weights.into_iter().flatten().map(|w| w.grad(&gradients).expect("tracked")),
                    );
                    let biases = [Some(operands.b), operands.b_h].into_iter().flatten();
                    found.extend(biases.map(|b| b.grad(&gradients).expect("tracked").unsqueeze()));
                    found
                };
                let expected = record(None);
                for every in [1, 2, 3, 7, 10] {
                    for (actual, expected) in record(Some(every)).iter().zip(&expected) {
                        assert_close(actual, expected.to_data(), 1e-11);
                    }
                }
            }
        }
    }

    #[test]
    fn cutting_a_sequence_changes_nothing() {
        let device = Device::flex().autodiff();
        check(RnnConfig::new(2, 3).init(&device));
        check(LstmConfig::new(2, 3).init(&device));
        check(PeepholeLstmConfig::new(2, 3).init(&device));
        check(GnmtLstmConfig::new(2, 3).init(&device));
        check(GnmtLstmConfig::new(2, 3).with_clip(Some(0.3)).init(&device));
        check(GruConfig::new(2, 3).init(&device));
        check(GruConfig::new(2, 3).with_reset(Reset::BeforeProduct).init(&device));
    }

    #[test]
    #[should_panic(expected = "a chunk has at least one step, got 0")]
    fn an_empty_chunk_is_refused() {
        Checkpointed::new(LstmConfig::new(2, 3).init(&Device::flex()), 0);
    }
}
