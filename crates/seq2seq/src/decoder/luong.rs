//! Luong's decoder: it steps, asks with the new state, and mixes the answer in.
//!
//! ```text
//! s_t  = RNN(E[y_{t−1}], s_{t−1})                   or RNN([E[y_{t−1}] ; h~_{t−1}], s_{t−1})
//! c_t  = attend(s_t)
//! h~_t = tanh([c_t ; s_t] · W_c)                    the readout, [B, R]
//! ```
//!
//! Without input feeding no step waits for an attention, so all steps are done at once.
//!
//! Source: Luong, Pham & Manning (2015), Effective Approaches to Attention-based Neural Machine
//! Translation, section 3, and 3.3 on input feeding.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_attention::{Attention, attend};
use recurrent_cells::{Cell, Layer, Lengths, Stack, Stream};
use recurrent_kernels::{linear, tanh};
use serde::{Deserialize, Serialize};

use super::{Decoded, DecoderState, Source, Stepped, ahead::Ahead};

/// Whether a step is given the attentional vector of the step before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feeding {
    /// It is not: all steps of a known target can be done at once.
    None,
    /// It is, beside the token: the decoder knows where it has looked.
    Input,
}

/// A decoder that asks with the state after its step.
#[derive(Module, Debug)]
pub struct LuongDecoder<C: Cell> {
    /// The recurrent layers.
    pub rnn: Stack<C>,
    /// How the source is looked at.
    pub attention: Attention,
    /// `W_c`, `[M + H, R]`.
    pub w_c: Param<Tensor<2>>,
    /// Whether the attentional vector is fed back.
    #[module(skip)]
    pub feeding: Feeding,
}

impl<C: Cell> LuongDecoder<C> {
    /// Draws a readout of `d_readout` features over the given layers, for a memory of `d_memory`.
    pub fn new(
        rnn: Stack<C>,
        attention: Attention,
        feeding: Feeding,
        [d_memory, d_readout]: [usize; 2],
        device: &Device,
    ) -> Self {
        let rows = d_memory + rnn.layers.last().expect("a stack has layers").d_hidden();
        let xavier = Initializer::XavierUniform { gain: 1.0 };
        let drawn = xavier.init_with([rows, d_readout], Some(rows), Some(d_readout), device);
        Self { rnn, attention, w_c: Param::from_tensor(drawn.into_value().detach()), feeding }
    }

    /// What is fed to the first step: zeros.
    pub(super) fn nothing_fed(&self, batch: usize, device: &Device) -> Option<Tensor<2>> {
        let w_c = self.w_c.val();
        let zeros = || Tensor::zeros([batch, w_c.dims()[1]], (device, w_c.dtype()));
        (self.feeding == Feeding::Input).then(zeros)
    }

    pub(super) fn step(
        &self,
        y: Tensor<2>,
        state: DecoderState<C::State>,
        source: &Source,
    ) -> Stepped<C::State> {
        let x = match state.fed {
            None => y,
            Some(fed) => Tensor::cat(vec![y, fed], 1),
        };
        let (s, layers) = self.rnn.stream(x, state.layers);
        let Decoded { readout, weights } = self.mix(s.unsqueeze_dim(1), source);
        let readout: Tensor<2> = readout.squeeze_dim(1);
        let fed = (self.feeding == Feeding::Input).then(|| readout.clone());
        Stepped {
            readout,
            weights: weights.map(|weights| weights.squeeze_dim(1)),
            state: DecoderState { layers, fed },
        }
    }

    /// The steps one after the other, each given the attentional vector of the one before.
    pub(super) fn fed_sequence(
        &self,
        y: Tensor<3>,
        state: DecoderState<C::State>,
        source: &Source,
    ) -> Decoded {
        let (mut layers, fed) = (state.layers, state.fed);
        let mut fed = fed.expect("a decoder with feeding starts with something fed");
        let (steps, ahead) = Ahead::new(&self.rnn, y, &layers);
        let (mut readouts, mut weights) = (Vec::new(), Vec::new());
        for step in steps {
            let (s, next) = ahead.step(step, fed, layers);
            let mixed = self.mix(s.unsqueeze_dim(1), source);
            fed = mixed.readout.clone().squeeze_dim(1);
            readouts.push(mixed.readout);
            weights.extend(mixed.weights);
            layers = next;
        }
        Decoded { readout: Tensor::cat(readouts, 1), weights: Some(Tensor::cat(weights, 1)) }
    }

    pub(super) fn sequence(
        &self,
        y: Tensor<3>,
        state: DecoderState<C::State>,
        source: &Source,
        lengths: &Lengths,
    ) -> Decoded {
        let (s, _) = self.rnn.forward(y, state.layers, lengths);
        self.mix(s, source)
    }

    /// Asks with `s`, `[B, T, H]`, and mixes the answers in.
    fn mix(&self, s: Tensor<3>, source: &Source) -> Decoded {
        let asked = attend(&self.attention, s.clone(), source.memory());
        let both = Tensor::cat(vec![asked.context, s], 2);
        Decoded { readout: tanh(linear(both, self.w_c.val(), None)), weights: Some(asked.weights) }
    }
}
