//! What writes: the lowest layer asks, all others are told.
//!
//! ```text
//! y¹_t = LSTM_1(y⁰)_t                                  [B, H]
//! a_t  = attend(q_t, xⁿ)                               [B, H]   q_t = y¹_t or y¹_{t−1}
//! y²_t = LSTM_2([y¹ ; a])_t
//! yⁱ_t = clip(LSTM_i([yⁱ⁻¹ ; a])_t + yⁱ⁻¹_t, ±δ)       from the third layer on
//! ```
//!
//! The attention needs the lowest layer alone, and nothing of what is above it. So while a model
//! learns, each layer runs over the whole sequence before the next one starts, and all steps ask at
//! once; writing is the same with one step. In the wiring where the lowest layer reads the context
//! as well, `y¹_t = LSTM_1([y⁰ ; a])_t`, it alone goes step by step.
//!
//! Source: Wu et al. (2016), sections 3 and 3.3; which query is asked with, and whether the lowest
//! layer reads the context: the public implementations differ, see [`Query`] and
//! [`FirstLayer`](crate::FirstLayer).

use burn::{nn::Dropout, prelude::*};
use recurrent_attention::{Attended, Memory, NormedAdditiveAttention, attend};
use recurrent_cells::{AnyCell, Cell, Direction, Lengths, Stream, unroll};
use recurrent_seq2seq::{Decoded, DecoderState, Source};
use serde::{Deserialize, Serialize};

use crate::{FirstLayer, Residual};

/// What the attention is asked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// The lowest layer after the step, `y¹_t`: TensorFlow's `gnmt_v2` and NVIDIA's.
    #[default]
    Current,
    /// The lowest layer before the step, `y¹_{t−1}`: the paper, and TensorFlow's `gnmt`.
    Previous,
}

/// Writes a target.
#[derive(Module, Debug)]
pub struct GnmtDecoder {
    /// The lowest layer.
    pub first: AnyCell,
    /// How the source is looked at.
    pub attention: NormedAdditiveAttention,
    /// The other layers, from the second on.
    pub upper: Vec<AnyCell>,
    /// On what a layer reads.
    pub dropout: Dropout,
    /// What the attention is asked with.
    #[module(skip)]
    pub query: Query,
    /// What the lowest layer reads.
    #[module(skip)]
    pub first_layer: FirstLayer,
    /// Whether there is a way around layers.
    #[module(skip)]
    pub residual: Residual,
    /// `δ` of the residual sums.
    #[module(skip)]
    pub bound: Option<f64>,
}

type State = <AnyCell as Cell>::State;

/// What the lowest layer and the attention make of a sequence.
struct Asked {
    /// `y¹`, `[B, T, H]`.
    y: Tensor<3>,
    /// `a`, `[B, T, H]`.
    context: Tensor<3>,
    /// `[B, T, S]`.
    weights: Tensor<3>,
    /// After the last step.
    state: State,
    /// `a` of the last step, where the next one reads it.
    fed: Option<Tensor<2>>,
}

impl GnmtDecoder {
    /// The state in front of the first token, with the given states of the layers.
    pub fn start(&self, layers: Vec<State>) -> DecoderState<State> {
        let feeds = (self.first_layer, self.query) == (FirstLayer::Context, Query::Current);
        // Nothing has been looked at yet.
        let fed = feeds.then(|| self.first.output(&layers[0]).zeros_like());
        DecoderState { layers, fed }
    }

    /// All steps of `y`, `[B, T, H]`, the vectors of the tokens that are read; what comes out at
    /// padded steps is of no meaning. Also the state after the last step, which is that of every
    /// sequence only if all are equally long.
    ///
    /// # Panics
    ///
    /// If a shape is wrong, or `source` has no memory.
    pub fn forward(
        &self,
        y: Tensor<3>,
        state: DecoderState<State>,
        source: &Source,
        lengths: &Lengths,
    ) -> (Decoded, DecoderState<State>) {
        let memory = source.memory.as_ref().expect("GNMT looks at its source");
        let mut layers = state.layers.into_iter();
        let first = layers.next().expect("a decoder has layers");
        let asked = match self.first_layer {
            FirstLayer::Token => self.ask_at_once(y, first, memory, lengths),
            FirstLayer::Context => self.ask_by_steps(y, first, state.fed, memory),
        };
        let mut last = vec![asked.state];
        let mut y = asked.y;
        for (n, (cell, start)) in self.upper.iter().zip(layers).enumerate() {
            let read = Tensor::cat(vec![y.clone(), asked.context.clone()], 2);
            let read = self.dropout.forward(read);
            let (m, end) = unroll(cell, read, start, lengths, Direction::Forward);
            y = self.residual.around(n + 2, m, y, self.bound);
            last.push(end);
        }
        let decoded = Decoded { readout: y, weights: Some(asked.weights) };
        (decoded, DecoderState { layers: last, fed: asked.fed })
    }

    /// The lowest layer waits for no attention.
    fn ask_at_once(&self, y: Tensor<3>, start: State, memory: &Memory, lengths: &Lengths) -> Asked {
        let before = self.first.output(&start);
        let read = self.dropout.forward(y);
        let (y, state) = unroll(&self.first, read, start, lengths, Direction::Forward);
        let queries = match self.query {
            Query::Current => y.clone(),
            Query::Previous if lengths.steps() == 1 => before.unsqueeze_dim(1),
            Query::Previous => {
                let earlier = y.clone().narrow(1, 0, lengths.steps() - 1);
                Tensor::cat(vec![before.unsqueeze_dim(1), earlier], 1)
            }
        };
        let Attended { context, weights } = attend(&self.attention, queries, memory);
        Asked { y, context, weights, state, fed: None }
    }

    /// The lowest layer reads the newest context there is: of this step if the attention is asked
    /// with what was before it, else of the step before.
    fn ask_by_steps(
        &self,
        y: Tensor<3>,
        start: State,
        fed: Option<Tensor<2>>,
        memory: &Memory,
    ) -> Asked {
        let look = |query: Tensor<2>| {
            let Attended { context, weights } =
                attend(&self.attention, query.unsqueeze_dim(1), memory);
            (context.squeeze_dim::<2>(1), weights)
        };
        let read = |y: Tensor<2>, a: Tensor<2>, state: State| {
            let read = self.dropout.forward(Tensor::cat(vec![y, a], 1));
            self.first.stream(read, state)
        };
        let (mut state, mut fed) = (start, fed);
        let (mut outputs, mut contexts, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for y_t in recurrent_seq2seq::steps(y) {
            let (output, next, a, looked) = match fed.take() {
                None => {
                    let (a, looked) = look(self.first.output(&state));
                    let (output, next) = read(y_t, a.clone(), state);
                    (output, next, a, looked)
                }
                Some(before) => {
                    let (output, next) = read(y_t, before, state);
                    let (a, looked) = look(output.clone());
                    fed = Some(a.clone());
                    (output, next, a, looked)
                }
            };
            outputs.push(output);
            contexts.push(a);
            weights.push(looked);
            state = next;
        }
        Asked {
            y: Tensor::stack(outputs, 1),
            context: Tensor::stack(contexts, 1),
            weights: Tensor::cat(weights, 1),
            state,
            fed,
        }
    }
}
