//! What a conversation was about so far.
//!
//! ```text
//! ũ_m = u_m,  or tanh(u_m · W_d + b_d)
//! c_m = RNN(ũ_m, c_{m−1})            c_0 = 0
//! c_m = ũ_m                           of the last turn alone: a sequence-to-sequence model
//! ```
//!
//! Source: Serban et al. (2016), section 4.

use burn::prelude::*;
use recurrent_cells::{AnyCell, AnyState, Cell, CellKind, Layer, Lengths, State};
use serde::{Deserialize, Serialize};

use crate::{Activation, Dense};

/// What a reply looks back on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ContextKind {
    /// All turns so far, by a recurrent network over their vectors.
    Rnn {
        /// Features of its state, `s`, at least 1.
        d_hidden: usize,
    },
    /// The last turn alone.
    LastTurn,
}

/// What is done to the vector of a turn before the context takes it in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextInput {
    /// Nothing.
    #[default]
    Plain,
    /// A layer with tanh, of the same width.
    Dense,
}

/// From the vectors of turns to those of conversations.
#[derive(Module, Debug)]
pub struct Context {
    /// `W_d`, `b_d`.
    pub input: Option<Dense>,
    /// The recurrent network; none where the last turn is all.
    pub cell: Option<AnyCell>,
    /// Features of the vector of a turn, `q`.
    #[module(skip)]
    pub d_turn: usize,
}

impl Context {
    /// Draws a context of turns of `d_turn` features.
    ///
    /// # Panics
    ///
    /// If there is no feature.
    pub fn new(
        kind: ContextKind,
        input: ContextInput,
        cell: &CellKind,
        d_turn: usize,
        device: &Device,
    ) -> Self {
        Self {
            input: match input {
                ContextInput::Plain => None,
                ContextInput::Dense => Some(Dense::new(d_turn, d_turn, device)),
            },
            cell: match kind {
                ContextKind::Rnn { d_hidden } => Some(cell.init(d_turn, d_hidden, device)),
                ContextKind::LastTurn => None,
            },
            d_turn,
        }
    }

    /// Features of a context, `s`.
    pub fn d_output(&self) -> usize {
        self.cell.as_ref().map_or(self.d_turn, Cell::d_hidden)
    }

    /// What `batch` conversations are about before they begin; on the device and in the dtype of `like`
    /// where there are no weights to tell.
    pub fn start(&self, batch: usize, like: &Tensor<2>) -> AnyState {
        match &self.cell {
            Some(cell) => cell.initial_state(batch),
            None => {
                let like = (&like.device(), like.dtype());
                AnyState::Hidden(Tensor::zeros([batch, self.d_turn], like))
            }
        }
    }

    /// The vector of a state, `[B, s]`: what a reply is made from.
    pub fn vector(&self, state: &AnyState) -> Tensor<2> {
        state.parts()[0].1.clone()
    }

    /// The vectors of turns, `[B, M, q]`, and a state to the vectors behind each turn, `[B, M, s]`, and
    /// the state behind the last of each conversation.
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn forward(
        &self,
        u: Tensor<3>,
        start: AnyState,
        lengths: &Lengths,
    ) -> (Tensor<3>, AnyState) {
        let [batch, turns, width] = u.dims();
        let u = match &self.input {
            None => u,
            Some(layer) => {
                let sums = layer.forward(u.reshape([batch * turns, width]));
                Activation::Tanh.forward(sums).reshape([batch, turns, width])
            }
        };
        match &self.cell {
            Some(cell) => cell.forward(u, start, lengths),
            None => {
                // In front of the first turn, the start; behind the last real one, that one.
                let all =
                    Tensor::cat(vec![self.vector(&start).unsqueeze_dim::<3>(1), u.clone()], 1);
                let all = all.reshape([batch * (turns + 1), width]);
                let place = |(b, length): (usize, &usize)| (b * (turns + 1) + length) as i32;
                let last: Vec<i32> = lengths.as_slice().iter().enumerate().map(place).collect();
                let last = Tensor::<1, Int>::from_data(last.as_slice(), &all.device());
                (u, AnyState::Hidden(all.select(0, last)))
            }
        }
    }
}
