//! From a turn to a vector.
//!
//! ```text
//! h_n = RNN(E[w_n], h_{n−1})                h_0 = 0 at every turn
//! u   = h_N,  or [→h_N ; ←h_1]              read both ways
//! u   = sqrt(1/N Σ_n h_n²)                  pooled, each way by itself
//! ```
//!
//! Source: Serban et al. (2016), Building End-To-End Dialogue Systems Using Generative Hierarchical
//! Neural Network Models, section 4 and 4.1 (both ways, pooled).

use burn::prelude::*;
use recurrent_cells::{AnyCell, CellKind, Lengths, State};
use recurrent_seq2seq::{Encoder, EncoderConfig};
use serde::{Deserialize, Serialize};

/// What stands for a turn that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Summary {
    /// The last state of each reading.
    #[default]
    Last,
    /// The root of the mean square of all states of each reading.
    Pooled,
}

/// Reads turns.
#[derive(Module, Debug)]
pub struct TurnEncoder {
    /// The recurrent layers.
    pub rnn: Encoder<AnyCell>,
    /// What stands for a turn.
    #[module(skip)]
    pub summary: Summary,
}

impl TurnEncoder {
    /// Draws an encoder of vectors of `d_input` features.
    ///
    /// # Panics
    ///
    /// If there is no layer, or `dropout` is outside `[0, 1)`.
    pub fn new(
        config: &EncoderConfig,
        cell: &CellKind,
        d_input: usize,
        (summary, dropout): (Summary, f64),
        device: &Device,
    ) -> Self {
        Self { rnn: config.init(cell, d_input, dropout, device), summary }
    }

    /// Features of a vector, `q`: twice the state's if turns are read both ways.
    pub fn d_output(&self) -> usize {
        self.rnn.d_output()
    }

    /// The vectors of the tokens of turns, `[R, N, d]`, to one each, `[R, q]`.
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn forward(&self, x: Tensor<3>, lengths: &Lengths) -> Tensor<2> {
        let encoded = self.rnn.forward(x, lengths);
        match self.summary {
            Summary::Last => {
                let top = encoded.last.last().expect("an encoder has layers");
                Tensor::cat(top.iter().map(|state| state.parts()[0].1.clone()).collect(), 1)
            }
            Summary::Pooled => {
                let h = encoded.outputs;
                let counts: Vec<f32> =
                    lengths.as_slice().iter().map(|n| (*n).max(1) as f32).collect();
                let counts = Tensor::<1>::from_data(counts.as_slice(), (&h.device(), h.dtype()));
                let sums: Tensor<2> = h.square().sum_dim(1).squeeze_dim(1);
                // Of nothing read the root has no slope.
                (sums / counts.unsqueeze_dim(1) + 1e-12).sqrt()
            }
        }
    }
}
