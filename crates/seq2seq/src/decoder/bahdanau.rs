//! Bahdanau's decoder: it asks before the step and steps with the answer.
//!
//! ```text
//! c_t = attend(s_{t−1})
//! s_t = RNN([E[y_{t−1}] ; c_t], s_{t−1})
//! t~  = s_t · U_o + E[y_{t−1}] · V_o + c_t · C_o          each to 2l features
//! r_t = max(t~_{2j−1}, t~_{2j})                           maxout, l features
//! ```
//!
//! `s` is the output of the topmost layer. The paper's appendix reads out `s_{t−1}` where its
//! section 3 writes `s_t`: [`Readout`] offers both.
//!
//! Source: Bahdanau, Cho & Bengio (2015), Neural Machine Translation by Jointly Learning to Align
//! and Translate, section 3.1 and appendix A.2.2.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_attention::{Attention, attend};
use recurrent_cells::{Cell, Stack, Stream};
use recurrent_kernels::linear;
use serde::{Deserialize, Serialize};

use super::{Decoded, DecoderState, Source, Stepped, ahead::Ahead};

/// Which state is read out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readout {
    /// The state after the step, `s_t`.
    Current,
    /// The state before the step, `s_{t−1}`.
    Previous,
}

/// A decoder that asks with the state before its step.
#[derive(Module, Debug)]
pub struct BahdanauDecoder<C: Cell> {
    /// The recurrent layers.
    pub rnn: Stack<C>,
    /// How the source is looked at.
    pub attention: Attention,
    /// `U_o`, `[H, 2l]`.
    pub u_o: Param<Tensor<2>>,
    /// `V_o`, `[d, 2l]`.
    pub v_o: Param<Tensor<2>>,
    /// `C_o`, `[M, 2l]`.
    pub c_o: Param<Tensor<2>>,
    /// Which state is read out.
    #[module(skip)]
    pub readout: Readout,
}

impl<C: Cell> BahdanauDecoder<C> {
    /// Draws the readout of `d_maxout` features over the given layers, for tokens of `d_embedding`
    /// and a memory of `d_memory` features.
    pub fn new(
        rnn: Stack<C>,
        attention: Attention,
        readout: Readout,
        [d_embedding, d_memory, d_maxout]: [usize; 3],
        device: &Device,
    ) -> Self {
        let d_hidden = rnn.layers.last().expect("a stack has layers").d_hidden();
        let draw = |rows: usize| {
            let xavier = Initializer::XavierUniform { gain: 1.0 };
            let shape = [rows, 2 * d_maxout];
            let drawn = xavier.init_with(shape, Some(rows), Some(2 * d_maxout), device);
            Param::from_tensor(drawn.into_value().detach())
        };
        let (u_o, v_o, c_o) = (draw(d_hidden), draw(d_embedding), draw(d_memory));
        Self { rnn, attention, u_o, v_o, c_o, readout }
    }

    pub(super) fn step(
        &self,
        y: Tensor<2>,
        state: DecoderState<C::State>,
        source: &Source,
    ) -> Stepped<C::State> {
        let stream = |c, layers| self.rnn.stream(Tensor::cat(vec![y.clone(), c], 1), layers);
        let Moved { s, c, weights, layers } = self.advance(state.layers, source, stream);
        let [s, y, c] = [s, y, c].map(|part| part.unsqueeze_dim(1));
        Stepped {
            readout: self.read_out(s, y, c).squeeze_dim(1),
            weights: Some(weights),
            state: DecoderState { layers, fed: None },
        }
    }

    /// The steps one after the other, but the readouts of all of them at once: no step waits for one.
    pub(super) fn sequence(
        &self,
        y: Tensor<3>,
        state: DecoderState<C::State>,
        source: &Source,
    ) -> Decoded {
        let mut layers = state.layers;
        let (mut s, mut c, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let (steps, ahead) = Ahead::new(&self.rnn, y.clone(), &layers);
        for step in steps {
            let moved = self.advance(layers, source, |c, layers| ahead.step(step, c, layers));
            s.push(moved.s);
            c.push(moved.c);
            weights.push(moved.weights);
            layers = moved.layers;
        }
        let readout = self.read_out(Tensor::stack(s, 1), y, Tensor::stack(c, 1));
        Decoded { readout, weights: Some(Tensor::stack(weights, 1)) }
    }

    /// A step without its readout.
    fn advance(
        &self,
        layers: Vec<C::State>,
        source: &Source,
        stream: impl FnOnce(Tensor<2>, Vec<C::State>) -> (Tensor<2>, Vec<C::State>),
    ) -> Moved<C::State> {
        let (top, last) = (self.rnn.layers.last(), layers.last());
        let previous = top.expect("a stack has layers").output(last.expect("one state a layer"));
        let asked = attend(&self.attention, previous.clone().unsqueeze_dim(1), source.memory());
        let c: Tensor<2> = asked.context.squeeze_dim(1);

        let (current, layers) = stream(c.clone(), layers);
        let s = match self.readout {
            Readout::Current => current,
            Readout::Previous => previous,
        };
        Moved { s, c, weights: asked.weights.squeeze_dim(1), layers }
    }

    /// `r`, `[B, T, l]`.
    fn read_out(&self, s: Tensor<3>, y: Tensor<3>, c: Tensor<3>) -> Tensor<3> {
        let t = linear(s, self.u_o.val(), None)
            + linear(y, self.v_o.val(), None)
            + linear(c, self.c_o.val(), None);
        maxout(t)
    }
}

/// What a step comes to.
struct Moved<S> {
    /// The state that is read out, `[B, H]`.
    s: Tensor<2>,
    /// What was seen, `[B, M]`.
    c: Tensor<2>,
    /// Where it was seen, `[B, S]`.
    weights: Tensor<2>,
    layers: Vec<S>,
}

/// The larger of every two neighbours: `[B, T, 2l]` to `[B, T, l]`.
fn maxout(t: Tensor<3>) -> Tensor<3> {
    let [batch, steps, wide] = t.dims();
    t.reshape([batch, steps, wide / 2, 2]).max_dim(3).squeeze_dim(3)
}

#[cfg(test)]
mod tests {
    use recurrent_testkit::assert_close;

    use super::*;

    #[test]
    fn maxout_takes_the_larger_neighbour() {
        let t = Tensor::from_data([[[1.0, 2.0, -3.0, -4.0]]], &Device::flex());
        assert_close(&maxout(t), [[[2.0, -3.0]]], 0.0);
    }
}
