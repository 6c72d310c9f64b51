//! What writes the target, token by token.
//!
//! A decoder is one [`step`](Decoder::step): the vector of the last token and a state to a readout,
//! from which the [`Output`](crate::Output) makes logits, and the next state. While it learns, the
//! true tokens are known ahead and [`sequence`](Decoder::sequence) does all steps, at once where
//! the architecture allows it.
//!
//! | decoder | sees the source through | in |
//! |---|---|---|
//! | [`ThoughtDecoder`] | the state it starts from | `thought.rs` |
//! | [`BahdanauDecoder`] | attention, asked with the state before the step | `bahdanau.rs` |
//! | [`LuongDecoder`] | attention, asked with the state after the step | `luong.rs` |

mod ahead;
mod bahdanau;
mod luong;
mod thought;

use burn::prelude::*;
use recurrent_attention::Memory;
use recurrent_cells::{Cell, Lengths, Part, State};

use crate::rows::index;

pub use bahdanau::{BahdanauDecoder, Readout};
pub use luong::{Feeding, LuongDecoder};
pub use thought::{Context, ThoughtDecoder};

/// What a decoder sees of its sources beside the state it starts from.
#[derive(Clone, Debug)]
pub struct Source {
    /// What attention looks at; none for a decoder without.
    pub memory: Option<Memory>,
    /// The thought vector, `[B, M]`, for a decoder that is given it at every step.
    pub thought: Option<Tensor<2>>,
}

impl Source {
    /// What the rows `rows` see, in that order and with repetitions. Rows of one source share its
    /// memory.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let thought = |c: &Tensor<2>| c.clone().select(0, index(rows, &c.device()));
        Self {
            memory: self.memory.as_ref().map(|memory| memory.select(rows)),
            thought: self.thought.as_ref().map(thought),
        }
    }

    fn memory(&self) -> &Memory {
        self.memory.as_ref().expect("a decoder with attention has a memory")
    }
}

/// What one step of a decoder hands to the next.
#[derive(Clone, Debug)]
pub struct DecoderState<S> {
    /// The states of the layers, bottom first.
    pub layers: Vec<S>,
    /// The last attentional vector, `[B, R]`, where it is fed back.
    pub fed: Option<Tensor<2>>,
}

impl<S: State> State for DecoderState<S> {
    fn map(self, f: &mut dyn FnMut(Part, Tensor<2>) -> Tensor<2>) -> Self {
        let layers = self.layers.map(f);
        Self { layers, fed: self.fed.map(|fed| f(Part::Hidden, fed)) }
    }

    fn zip(self, other: Self, f: &mut dyn FnMut(Part, Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        let layers = self.layers.zip(other.layers, f);
        let fed = self.fed.zip(other.fed).map(|(a, b)| f(Part::Hidden, a, b));
        Self { layers, fed }
    }

    fn map_constants(self, f: &mut dyn FnMut(Tensor<2>) -> Tensor<2>) -> Self {
        Self { layers: self.layers.map_constants(f), fed: self.fed }
    }
}

/// One step of a decoder.
#[derive(Clone, Debug)]
pub struct Stepped<S> {
    /// What the logits are made of, `[B, R]`.
    pub readout: Tensor<2>,
    /// Where it looked, `[B, S]`; none without attention.
    pub weights: Option<Tensor<2>>,
    /// What the next step starts from.
    pub state: DecoderState<S>,
}

/// All steps of a decoder.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// What the logits are made of, `[B, T, R]`.
    pub readout: Tensor<3>,
    /// Where it looked, `[B, T, S]`; none without attention.
    pub weights: Option<Tensor<3>>,
}

/// Any decoder.
#[derive(Module, Debug)]
pub enum Decoder<C: Cell> {
    /// Sutskever et al. and Cho et al.
    Thought(ThoughtDecoder<C>),
    /// Bahdanau et al.
    Bahdanau(BahdanauDecoder<C>),
    /// Luong et al.
    Luong(LuongDecoder<C>),
}

impl<C: Cell> Decoder<C> {
    /// The recurrent layers, bottom first.
    pub fn layers(&self) -> &[C] {
        match self {
            Self::Thought(decoder) => &decoder.rnn.layers,
            Self::Bahdanau(decoder) => &decoder.rnn.layers,
            Self::Luong(decoder) => &decoder.rnn.layers,
        }
    }

    /// What the decoder looks at, prepared once: `outputs` of an encoder, `[B, S, M]`, and where
    /// they are padding. `thought` is `[B, M]`.
    pub fn source(
        &self,
        outputs: Tensor<3>,
        pad_mask: Option<Tensor<2, Bool>>,
        thought: impl FnOnce() -> Tensor<2>,
    ) -> Source {
        use recurrent_attention::Score;
        let looks = |memory| Source { memory: Some(memory), thought: None };
        match self {
            Self::Thought(decoder) => {
                let every_step = decoder.context == Context::EveryStep;
                Source { memory: None, thought: every_step.then(thought) }
            }
            Self::Bahdanau(decoder) => looks(decoder.attention.memory(outputs, pad_mask)),
            Self::Luong(decoder) => looks(decoder.attention.memory(outputs, pad_mask)),
        }
    }

    /// The state in front of the first token, with the given states of the layers.
    pub fn start(
        &self,
        layers: Vec<C::State>,
        batch: usize,
        device: &Device,
    ) -> DecoderState<C::State> {
        let fed = match self {
            Self::Luong(decoder) => decoder.nothing_fed(batch, device),
            Self::Thought(_) | Self::Bahdanau(_) => None,
        };
        DecoderState { layers, fed }
    }

    /// One step: the vector of the last token, `[B, d]`, and a state.
    pub fn step(
        &self,
        y: Tensor<2>,
        state: DecoderState<C::State>,
        source: &Source,
    ) -> Stepped<C::State> {
        match self {
            Self::Thought(decoder) => decoder.step(y, state, source),
            Self::Bahdanau(decoder) => decoder.step(y, state, source),
            Self::Luong(decoder) => decoder.step(y, state, source),
        }
    }

    /// All steps: the vectors of the tokens, `[B, T, d]`. What comes out at padded steps is of no
    /// meaning.
    pub fn sequence(
        &self,
        y: Tensor<3>,
        state: DecoderState<C::State>,
        source: &Source,
        lengths: &Lengths,
    ) -> Decoded {
        match self {
            Self::Thought(decoder) => decoder.sequence(y, state, source, lengths),
            Self::Luong(decoder) if decoder.feeding == Feeding::None => {
                decoder.sequence(y, state, source, lengths)
            }
            Self::Bahdanau(decoder) => decoder.sequence(y, state, source),
            Self::Luong(decoder) => decoder.fed_sequence(y, state, source),
        }
    }

    /// All steps, one after the other, as they are decoded: what [`sequence`](Self::sequence) is held
    /// to.
    #[cfg(test)]
    pub(crate) fn step_by_step(
        &self,
        y: Tensor<3>,
        mut state: DecoderState<C::State>,
        source: &Source,
    ) -> Decoded {
        let (mut readouts, mut weights) = (Vec::new(), Vec::new());
        for y_t in crate::steps::steps(y) {
            let stepped = self.step(y_t, state, source);
            readouts.push(stepped.readout);
            weights.extend(stepped.weights);
            state = stepped.state;
        }
        Decoded {
            readout: Tensor::stack(readouts, 1),
            weights: (!weights.is_empty()).then(|| Tensor::stack(weights, 1)),
        }
    }
}
