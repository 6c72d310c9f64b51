//! Two recurrent networks that read a sequence in opposite directions.
//!
//! ```text
//! →h_t = cell_f(x_t, →h_{t−1})          ←h_t = cell_b(x_t, ←h_{t+1})
//! y_t  = [→h_t ; ←h_t], or their sum, mean or product
//! ```
//!
//! The backward network starts at the last real step of each sequence, not in its padding. Every
//! output sees the whole sequence, so this is for text that is complete, not for a stream.
//!
//! Sources: Schuster & Paliwal (1997), Bidirectional Recurrent Neural Networks; Graves &
//! Schmidhuber (2005), Framewise Phoneme Classification with Bidirectional LSTM.

use burn::prelude::*;
use recurrent_kernels::{Direction, Lengths};

use crate::{Cell, Layer, Part, State, unroll};

/// How the outputs of the two directions become one.
#[derive(Config, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Side by side, forward first: `[B, T, 2H]`.
    Concat,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// Their elementwise product.
    Product,
}

/// Two cells of one kind over one sequence, as a [`Layer`].
#[derive(Module, Debug)]
pub struct Bidirectional<C: Cell> {
    /// Reads from the first step to the last.
    pub forward: C,
    /// Reads from the last step to the first.
    pub backward: C,
    /// How the outputs become one.
    #[module(skip)]
    pub merge: Merge,
}

impl<C: Cell> Bidirectional<C> {
    /// `forward` and `backward`, merged side by side.
    ///
    /// # Panics
    ///
    /// If the two have different sizes.
    pub fn new(forward: C, backward: C) -> Self {
        let sizes = |cell: &C| (cell.d_input(), cell.d_hidden());
        assert_eq!(sizes(&forward), sizes(&backward), "both directions have the same sizes");
        Self { forward, backward, merge: Merge::Concat }
    }

    /// The same, merged in another way.
    #[must_use]
    pub fn with_merge(self, merge: Merge) -> Self {
        Self { merge, ..self }
    }
}

/// The states of the two directions: `forward` behind the last step, `backward` in front of the
/// first.
#[derive(Clone, Debug)]
pub struct BidirectionalState<S> {
    /// Of the network that reads from the first step to the last.
    pub forward: S,
    /// Of the network that reads from the last step to the first.
    pub backward: S,
}

impl<S: State> State for BidirectionalState<S> {
    fn map(self, f: &mut dyn FnMut(Part, Tensor<2>) -> Tensor<2>) -> Self {
        Self { forward: self.forward.map(f), backward: self.backward.map(f) }
    }

    fn zip(self, other: Self, f: &mut dyn FnMut(Part, Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        Self {
            forward: self.forward.zip(other.forward, f),
            backward: self.backward.zip(other.backward, f),
        }
    }

    fn map_constants(self, f: &mut dyn FnMut(Tensor<2>) -> Tensor<2>) -> Self {
        Self { forward: self.forward.map_constants(f), backward: self.backward.map_constants(f) }
    }
}

impl<C: Cell> Layer for Bidirectional<C> {
    type State = BidirectionalState<C::State>;

    fn start(&self, batch: usize) -> Self::State {
        BidirectionalState {
            forward: self.forward.initial_state(batch),
            backward: self.backward.initial_state(batch),
        }
    }

    fn forward(
        &self,
        x: Tensor<3>,
        start: impl Into<Option<Self::State>>,
        lengths: &Lengths,
    ) -> (Tensor<3>, Self::State) {
        let start = start.into().unwrap_or_else(|| self.start(lengths.batch()));
        let (there, forward) =
            unroll(&self.forward, x.clone(), start.forward, lengths, Direction::Forward);
        let (back, backward) =
            unroll(&self.backward, x, start.backward, lengths, Direction::Backward);
        let y = match self.merge {
            Merge::Concat => Tensor::cat(vec![there, back], 2),
            Merge::Sum => there + back,
            Merge::Mean => (there + back) / 2.0,
            Merge::Product => there * back,
        };
        (y, BidirectionalState { forward, backward })
    }
}
