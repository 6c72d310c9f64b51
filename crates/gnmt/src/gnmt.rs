//! The whole model: tokens in, logits out.
//!
//! ```text
//! v_t = clip(yⁿ_t · W_s + b_s, ±γ)          p_t = softmax(v_t)
//! ```
//!
//! Source: Wu et al. (2016), section 3, and equation 13 for the bound of the logits.

use burn::prelude::*;
use recurrent_attention::Score;
use recurrent_cells::{AnyCell, Cell, State};
use recurrent_seq2seq::{
    CrossEntropy, Decoded, DecoderState, Embedding, Output, Padded, PairBatch, Source, Translator,
    search::{Generator, Predicted, Scores},
};
use recurrent_training::{Learn, Loss, Moment};

use crate::{Clip, GnmtDecoder, GnmtEncoder, Refinement, Start};

type CellState = <AnyCell as Cell>::State;

/// Google's Neural Machine Translation system.
#[derive(Module, Debug)]
pub struct Gnmt {
    /// `E_src`; none if it is `E_tgt`.
    pub source_embedding: Option<Embedding>,
    /// `E_tgt`.
    pub target_embedding: Embedding,
    /// What reads.
    pub encoder: GnmtEncoder,
    /// What writes.
    pub decoder: GnmtDecoder,
    /// From the topmost layer to logits.
    pub output: Output,
    /// What the decoder starts from.
    #[module(skip)]
    pub start: Start,
    /// How `δ` moves while the model learns; outside of training it is the last one.
    #[module(skip)]
    pub clip: Option<Clip>,
    /// `γ`.
    #[module(skip)]
    pub logit_clip: Option<f64>,
    /// Whether the model learns from its own outputs as well.
    #[module(skip)]
    pub refinement: Option<Refinement>,
    /// What is minimised.
    #[module(skip)]
    pub loss: CrossEntropy,
}

impl Gnmt {
    /// Where the model is.
    pub fn device(&self) -> Device {
        self.target_embedding.e.val().device()
    }

    /// Ids of the target, `V`.
    pub fn vocabulary(&self) -> usize {
        self.target_embedding.vocabulary()
    }

    /// The same model, of which nothing is dropped while it learns.
    pub(crate) fn without_dropout(&self) -> Self {
        let mut model = self.clone();
        model.encoder.dropout.prob = 0.0;
        model.decoder.dropout.prob = 0.0;
        model
    }

    /// Reads sources, `</s>` included: what the decoder sees of them and the state it starts from.
    pub fn encode(&self, sources: &Padded) -> (Source, DecoderState<CellState>) {
        let device = self.device();
        let embedding = self.source_embedding.as_ref().unwrap_or(&self.target_embedding);
        let x = embedding.forward(sources.tensor(&device));
        let encoded = self.encoder.forward(x, &sources.lengths());
        let layers = match self.start {
            Start::Encoder => encoded.last,
            Start::Zero => {
                let cells = std::iter::once(&self.decoder.first).chain(&self.decoder.upper);
                cells.map(|cell| cell.initial_state(sources.batch())).collect()
            }
        };
        let memory = self.decoder.attention.memory(encoded.outputs, sources.pad_mask(&device));
        (Source { memory: Some(memory), thought: None }, self.decoder.start(layers))
    }

    /// What the topmost layer puts out at every step when the decoder reads the true tokens, and where
    /// it looked.
    pub fn decoded(&self, batch: &PairBatch) -> Decoded {
        let (source, start) = self.encode(&batch.source);
        let y = self.target_embedding.forward(batch.begun.tensor(&self.device()));
        self.decoder.forward(y, start, &source, &batch.begun.lengths()).0
    }

    /// The logits of every next token of the targets, `[B, T, V]`, and where the decoder looked,
    /// `[B, T, S]`, when it reads the true tokens.
    pub fn forced(&self, batch: &PairBatch) -> (Tensor<3>, Option<Tensor<3>>) {
        let Decoded { readout, weights } = self.decoded(batch);
        (self.logits(readout), weights)
    }

    fn logits(&self, readout: Tensor<3>) -> Tensor<3> {
        let logits = self.output.forward(readout, &self.target_embedding);
        match self.logit_clip {
            None => logits,
            Some(gamma) => logits.clamp(-gamma, gamma),
        }
    }

    /// How likely the targets are.
    pub(crate) fn likelihood(&self, batch: &PairBatch) -> Loss {
        let Decoded { readout, .. } = self.decoded(batch);
        match self.logit_clip {
            None => {
                let (output, embedding) = (&self.output, &self.target_embedding);
                self.loss.of_readouts(readout, output, embedding, &batch.ended)
            }
            Some(_) => {
                let device = self.device();
                let (targets, mask) = (batch.ended.tensor(&device), batch.ended.pad_mask(&device));
                self.loss.loss(self.logits(readout), targets, mask, batch.ended.tokens())
            }
        }
    }

    /// The same model with another bound `δ`; as it is if it has none.
    #[must_use]
    pub fn bounded(&self, delta: f64) -> Self {
        let mut model = self.clone();
        if self.clip.is_none() {
            return model;
        }
        let cells = [&mut model.encoder.both.forward, &mut model.encoder.both.backward]
            .into_iter()
            .chain(&mut model.encoder.upper)
            .chain([&mut model.decoder.first])
            .chain(&mut model.decoder.upper);
        for cell in cells {
            if let AnyCell::GnmtLstm(cell) = cell {
                cell.clip = Some(delta);
            }
        }
        model.encoder.bound = Some(delta);
        model.decoder.bound = Some(delta);
        model
    }
}

impl Learn for Gnmt {
    type Batch = PairBatch;
    type Carried = ();

    fn learn(&self, batch: &PairBatch, _: Option<()>, at: &Moment) -> (Loss, ()) {
        if !self.device().is_autodiff() {
            return (self.likelihood(batch), ());
        }
        // A refined model has learned before.
        let delta = |clip: Clip| if self.refinement.is_some() { clip.to } else { clip.at(at.step) };
        let bounded = self.clip.map(|clip| self.bounded(delta(clip)));
        let model = bounded.as_ref().unwrap_or(self);
        let loss = match &self.refinement {
            None => model.likelihood(batch),
            Some(refinement) => refinement.loss(model, batch, at),
        };
        (loss, ())
    }
}

impl Translator for Gnmt {
    type Generator<'m> = GnmtGenerator<'m>;

    fn generator<R: AsRef<[u32]>>(&self, sources: &[R]) -> GnmtGenerator<'_> {
        let padded = Padded::ended(sources);
        let (source, start) = self.encode(&padded);
        let lengths = padded.lengths().as_slice().to_vec();
        GnmtGenerator { model: self, source, start, lengths }
    }
}

/// A [`Gnmt`] in front of its encoded sources, as a [`Generator`].
#[derive(Debug)]
pub struct GnmtGenerator<'m> {
    model: &'m Gnmt,
    source: Source,
    start: DecoderState<CellState>,
    lengths: Vec<usize>,
}

impl Generator for GnmtGenerator<'_> {
    /// What the rows look at moves with them.
    type State = (Source, DecoderState<CellState>);

    fn sources(&self) -> usize {
        self.lengths.len()
    }

    fn vocabulary(&self) -> usize {
        self.model.vocabulary()
    }

    fn source_lengths(&self) -> Option<Vec<usize>> {
        Some(self.lengths.clone())
    }

    fn start(&self) -> Self::State {
        (self.source.clone(), self.start.clone())
    }

    fn step(&self, last: &[u32], (source, state): Self::State) -> Predicted<Self::State> {
        let model = self.model;
        let last: Vec<[u32; 1]> = last.iter().map(|id| [*id]).collect();
        let read = Padded::new(&last);
        let y = model.target_embedding.forward(read.tensor(&model.device()));
        let (decoded, state) = model.decoder.forward(y, state, &source, &read.lengths());
        Predicted {
            scores: Scores::Logits(model.logits(decoded.readout).squeeze_dim(1)),
            weights: decoded.weights.map(|weights| weights.squeeze_dim(1)),
            state: (source, state),
        }
    }

    fn reorder(&self, (source, state): Self::State, rows: &[usize]) -> Self::State {
        let indices: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
        let indices = Tensor::from_data(indices.as_slice(), &self.model.device());
        (source.select(rows), state.select(indices))
    }
}
