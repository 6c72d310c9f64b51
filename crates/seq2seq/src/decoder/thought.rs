//! The decoder that sees its source through a vector of fixed size.
//!
//! ```text
//! s_0 = bridge(thought)
//! s_t = RNN(E[y_{t−1}], s_{t−1})                    r_t = s_t
//! s_t = RNN([E[y_{t−1}] ; c], s_{t−1})              r_t = [s_t ; c]       given c at every step
//! ```
//!
//! Sources: Sutskever, Vinyals & Le (2014), section 2; with `c`, Cho et al. (2014), Learning Phrase
//! Representations using RNN Encoder–Decoder, section 2.2.

use burn::prelude::*;
use recurrent_cells::{Cell, Layer, Lengths, Stack, Stream};
use serde::{Deserialize, Serialize};

use super::{Decoded, DecoderState, Source, Stepped};

/// When a decoder is given the thought vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// As its initial state alone (Sutskever et al.).
    Start,
    /// At every step as well, beside the token and in the readout (Cho et al.).
    EveryStep,
}

/// A decoder without attention.
#[derive(Module, Debug)]
pub struct ThoughtDecoder<C: Cell> {
    /// The recurrent layers.
    pub rnn: Stack<C>,
    /// When it is given the thought vector.
    #[module(skip)]
    pub context: Context,
}

impl<C: Cell> ThoughtDecoder<C> {
    pub(super) fn step(
        &self,
        y: Tensor<2>,
        state: DecoderState<C::State>,
        source: &Source,
    ) -> Stepped<C::State> {
        let beside = |x: Tensor<2>| match &source.thought {
            None => x,
            Some(c) => Tensor::cat(vec![x, c.clone()], 1),
        };
        let (s, layers) = self.rnn.stream(beside(y), state.layers);
        Stepped { readout: beside(s), weights: None, state: DecoderState { layers, fed: None } }
    }

    pub(super) fn sequence(
        &self,
        y: Tensor<3>,
        state: DecoderState<C::State>,
        source: &Source,
        lengths: &Lengths,
    ) -> Decoded {
        let steps = lengths.steps();
        let beside = |x: Tensor<3>| match &source.thought {
            None => x,
            Some(c) => Tensor::cat(vec![x, c.clone().unsqueeze_dim(1).repeat_dim(1, steps)], 2),
        };
        let (s, _) = self.rnn.forward(beside(y), state.layers, lengths);
        Decoded { readout: beside(s), weights: None }
    }
}
