//! Recurrent cells, from the leaky unit to the LSTM and the GRU, and what is built of them.
//!
//! A [`Cell`] is one step: it takes an input and a [`State`] to the next state. [`unroll`] runs a
//! cell over a padded batch of sequences, in either [`Direction`], and is the only loop over time.
//! A [`Layer`] takes sequences to sequences: every cell is one, and so are [`Residual`],
//! [`Bidirectional`] and [`Stack`]. A [`Stream`] is a layer that can also be run one step at a
//! time, which a bidirectional layer cannot.
//!
//! ```
//! use burn::prelude::*;
//! use recurrent_cells::{Direction, Layer, Lengths, LstmConfig, Stack, unroll};
//!
//! let device = Device::flex();
//! let lengths = Lengths::new([5, 3], 5);
//! let x = Tensor::<3>::zeros([2, 5, 8], &device);
//!
//! // One cell over two sequences, the second of which is padded from its fourth step on.
//! let lstm = LstmConfig::new(8, 16).init(&device);
//! let (y, last) = unroll(&lstm, x.clone(), None, &lengths, Direction::Forward);
//! assert_eq!(y.dims(), [2, 5, 16]);
//! assert_eq!(last.cell.dims(), [2, 16]);
//!
//! // Two layers of it.
//! let stack = Stack::new(vec![lstm, LstmConfig::new(16, 16).init(&device)]).with_dropout(0.2);
//! let (y, states) = stack.forward(x, None, &lengths);
//! assert_eq!((y.dims(), states.len()), ([2, 5, 16], 2));
//! ```
//!
//! Shapes are batch first, `[B, T, ·]`; letters are those of `docs/notation.md`. Weights are
//! `[in, out]` with the gates packed in PyTorch's order. A cell takes its device and its dtype from
//! its weights.
//!
//! *Invariant:* no vocabulary, no loss, no file.

// What a cell can do and how it is run.
mod cell;
mod layer;
mod paths;
mod state;
mod unroll;

// The cells.
mod any_cell;
mod carousel;
mod coupled_lstm;
mod gnmt_lstm;
mod gru;
mod layer_norm_lstm;
mod leaky;
mod lstm;
mod original_lstm;
mod peephole_lstm;
mod projected_lstm;
mod rnn;
mod skip;

// Wrappers over any cell or layer.
mod bidirectional;
mod checkpointed;
mod learned_start;
mod recurrent_dropout;
mod residual;
mod stack;
mod truncated;
mod variational_dropout;
mod zoneout;

mod init;

pub use any_cell::{AnyCell, AnyState, CellKind};
pub use bidirectional::{Bidirectional, BidirectionalState, Merge};
pub use carousel::{CarouselCell, CarouselConfig};
pub use cell::{Cell, Gated};
pub use checkpointed::{Checkpointed, Fused};
pub use coupled_lstm::{CoupledLstmCell, CoupledLstmConfig};
pub use gnmt_lstm::{GnmtLstmCell, GnmtLstmConfig};
pub use gru::{GruCell, GruConfig};
pub use layer::{Layer, Stream};
pub use layer_norm_lstm::{LayerNormLstmCell, LayerNormLstmConfig};
pub use leaky::{Average, Leak, LeakRate, LeakyCell, LeakyConfig};
pub use learned_start::LearnedStart;
pub use lstm::{LstmCell, LstmConfig, LstmState};
pub use original_lstm::{OriginalLstmCell, OriginalLstmConfig, Squash};
pub use paths::{Direct, Paths};
pub use peephole_lstm::{PeepholeLstmCell, PeepholeLstmConfig};
pub use projected_lstm::{ProjectedLstmCell, ProjectedLstmConfig};
pub use recurrent_dropout::RecurrentDropout;
pub use residual::Residual;
pub use rnn::{RnnCell, RnnConfig};
pub use skip::{SkipCell, SkipConfig, SkipState};
pub use stack::Stack;
pub use state::{Part, State};
pub use truncated::Truncated;
pub use unroll::unroll;
pub use variational_dropout::{VariationalDropout, VariationalState};
pub use zoneout::Zoneout;

// These appear in the signatures above.
pub use recurrent_kernels::{
    Activation, CheckpointedOperands, Direction, Gates, Lengths, Recurrence, Reset, Update,
};

#[cfg(test)]
mod tests;

/// Runs the README's program.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
