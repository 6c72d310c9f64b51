//! What reads: one layer both ways, then layers forward, with ways around them from the third on.
//!
//! ```text
//! x¹_t = [LSTM_f(x⁰)_t ; LSTM_b(x⁰)_t]             [B, S, 2H]
//! x²_t = LSTM_2(x¹)_t                              [B, S, H]
//! xⁱ_t = clip(LSTM_i(xⁱ⁻¹)_t + xⁱ⁻¹_t, ±δ)         from the third layer on
//! ```
//!
//! Dropout acts on what an LSTM reads, and so never on the way around it. Only the lowest layer sees
//! what is to come, so that all others can run at once on a machine of their own each.
//!
//! Source: Wu et al. (2016), sections 3.1 to 3.3.

use burn::{nn::Dropout, prelude::*};
use recurrent_cells::{AnyCell, Bidirectional, Cell, Direction, Layer, Lengths, unroll};

use crate::Residual;

/// Reads a source.
#[derive(Module, Debug)]
pub struct GnmtEncoder {
    /// The lowest layer.
    pub both: Bidirectional<AnyCell>,
    /// The others, from the second on.
    pub upper: Vec<AnyCell>,
    /// On what a layer reads.
    pub dropout: Dropout,
    /// Whether there is a way around layers.
    #[module(skip)]
    pub residual: Residual,
    /// `δ` of the residual sums.
    #[module(skip)]
    pub bound: Option<f64>,
}

/// What an encoder makes of a batch of sources.
#[derive(Clone, Debug)]
pub struct GnmtEncoded<S> {
    /// The outputs of the topmost layer, `[B, S, H]`, zero at padded steps.
    pub outputs: Tensor<3>,
    /// The final state of every layer, bottom first; of the lowest layer that of the network that
    /// reads backward.
    pub last: Vec<S>,
}

impl GnmtEncoder {
    /// Reads `x`, `[B, S, H]`.
    ///
    /// # Panics
    ///
    /// If `x` is not of that shape.
    pub fn forward(
        &self,
        x: Tensor<3>,
        lengths: &Lengths,
    ) -> GnmtEncoded<<AnyCell as Cell>::State> {
        let read = self.dropout.forward(x);
        let (mut x, ends) = self.both.forward(read, None, lengths);
        let mut last = vec![ends.backward];
        for (n, cell) in self.upper.iter().enumerate() {
            let read = self.dropout.forward(x.clone());
            let (m, end) = unroll(cell, read, None, lengths, Direction::Forward);
            x = self.residual.around(n + 2, m, x, self.bound);
            last.push(end);
        }
        GnmtEncoded { outputs: x, last }
    }
}
