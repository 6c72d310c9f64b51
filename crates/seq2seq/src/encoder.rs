//! From a source to what a decoder starts from and looks at.
//!
//! ```text
//! e_t = E[x_t]                     E is [V, d]
//! h^1 = RNN^1(e),  h^l = RNN^l(dropout(h^{l−1}))       each [B, S, M]
//! ```
//!
//! The thought vector is the final state of every layer; the memory of an attention is `h^L`.
//! Layers read forward, backward, or both ways; a backward layer starts at the last real step of
//! each source, so that reading backward *is* the reversal of the source inside its length.
//!
//! Sources: Sutskever, Vinyals & Le (2014), Sequence to Sequence Learning with Neural Networks,
//! section 3.3 on reversal; Bahdanau, Cho & Bengio (2015), section 3.2 on both ways.

use burn::{
    nn::{Dropout, DropoutConfig},
    prelude::*,
};
use recurrent_cells::{AnyCell, Bidirectional, Cell, CellKind, Direction, Layer, Lengths, unroll};
use serde::{Deserialize, Serialize};

/// Which way layers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// From the first step to the last.
    Forward,
    /// From the last step to the first.
    Backward,
    /// Both, side by side: twice the features.
    Both,
}

/// One layer that reads a whole sequence.
#[derive(Module, Debug)]
pub enum Reader<C: Cell> {
    /// From the first step to the last.
    Forward(C),
    /// From the last step to the first.
    Backward(C),
    /// Both.
    Both(Bidirectional<C>),
}

/// Layers that read a source, each over the outputs of the one below.
#[derive(Module, Debug)]
pub struct Encoder<C: Cell> {
    /// The layers, bottom first.
    pub layers: Vec<Reader<C>>,
    /// Dropout between two layers.
    pub dropout: Dropout,
}

/// What an encoder makes of a batch of sources.
#[derive(Clone, Debug)]
pub struct Encoded<S> {
    /// The outputs of the topmost layer, `[B, S, M]`, zero at padded steps.
    pub outputs: Tensor<3>,
    /// The final states of every layer, bottom first: one, or forward and backward.
    pub last: Vec<Vec<S>>,
}

impl Reading {
    /// Draws a layer that reads this way.
    pub fn init(
        self,
        cell: &CellKind,
        d_input: usize,
        d_hidden: usize,
        device: &Device,
    ) -> Reader<AnyCell> {
        let draw = || cell.init(d_input, d_hidden, device);
        match self {
            Self::Forward => Reader::Forward(draw()),
            Self::Backward => Reader::Backward(draw()),
            Self::Both => Reader::Both(Bidirectional::new(draw(), draw())),
        }
    }

    /// How many networks read.
    pub fn directions(self) -> usize {
        if self == Self::Both { 2 } else { 1 }
    }
}

impl<C: Cell> Reader<C> {
    /// Features of an output.
    pub fn d_output(&self) -> usize {
        match self {
            Self::Forward(cell) | Self::Backward(cell) => cell.d_hidden(),
            Self::Both(both) => 2 * both.forward.d_hidden(),
        }
    }

    /// The outputs, `[B, S, M]`, and the final states: one, or forward and backward.
    pub fn forward(&self, x: Tensor<3>, lengths: &Lengths) -> (Tensor<3>, Vec<C::State>) {
        let one_way = |cell: &C, x, direction| {
            let (y, last) = unroll(cell, x, None, lengths, direction);
            (y, vec![last])
        };
        match self {
            Self::Forward(cell) => one_way(cell, x, Direction::Forward),
            Self::Backward(cell) => one_way(cell, x, Direction::Backward),
            Self::Both(both) => {
                let (y, last) = Layer::forward(both, x, None, lengths);
                (y, vec![last.forward, last.backward])
            }
        }
    }
}

impl<C: Cell> Encoder<C> {
    /// `layers`, bottom first, with a share `dropout` of the values between them dropped.
    ///
    /// # Panics
    ///
    /// If there is no layer, or the rate is outside `[0, 1)`.
    pub fn new(layers: Vec<Reader<C>>, dropout: f64) -> Self {
        assert!(!layers.is_empty(), "an encoder has at least one layer, got none");
        Self { layers, dropout: DropoutConfig::new(dropout).init() }
    }

    /// Features of an output, `M`.
    pub fn d_output(&self) -> usize {
        self.layers.last().expect("an encoder has layers").d_output()
    }

    /// Reads `x`, `[B, S, d]`.
    pub fn forward(&self, x: Tensor<3>, lengths: &Lengths) -> Encoded<C::State> {
        let mut outputs = x;
        let mut last = Vec::with_capacity(self.layers.len());
        for (n, layer) in self.layers.iter().enumerate() {
            if n > 0 {
                outputs = self.dropout.forward(outputs);
            }
            let (above, states) = layer.forward(outputs, lengths);
            last.push(states);
            outputs = above;
        }
        Encoded { outputs, last }
    }
}
