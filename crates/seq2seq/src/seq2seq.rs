//! An encoder and a decoder: from a sequence to another of any length.
//!
//! ```text
//! memory, thought = encoder(E_src[x_1 … x_S </s>])
//! s_0             = bridge(thought)
//! r_t, s_t        = decoder(E_tgt[y_{t−1}], s_{t−1}, memory)            y_0 = <s>
//! p_t             = softmax(output(r_t))
//! ```
//!
//! Source: Sutskever, Vinyals & Le (2014), Sequence to Sequence Learning with Neural Networks; Cho
//! et al. (2014); with attention, Bahdanau, Cho & Bengio (2015).

use burn::{nn::Dropout, prelude::*};
use rand::RngExt;
use recurrent_cells::{Cell, State};
use recurrent_text::{BOS, PAD};
use recurrent_training::{Learn, Loss, Moment};

use crate::{
    Bridge, CrossEntropy, Decoded, Decoder, DecoderState, Embedding, Encoder, Output, Padded,
    Source, Teacher, Translator,
    rows::index,
    search::{Generator, Predicted, Scores},
};

/// A sequence-to-sequence model.
#[derive(Module, Debug)]
pub struct Seq2Seq<C: Cell> {
    /// `E_src`; none if it is `E_tgt`.
    pub source_embedding: Option<Embedding>,
    /// `E_tgt`.
    pub target_embedding: Embedding,
    /// What reads.
    pub encoder: Encoder<C>,
    /// From the one to the other.
    pub bridge: Bridge,
    /// What writes.
    pub decoder: Decoder<C>,
    /// From readouts to logits.
    pub output: Output,
    /// Dropout on the vectors of tokens and on the readout.
    pub dropout: Dropout,
    /// What is minimised.
    #[module(skip)]
    pub loss: CrossEntropy,
    /// What the decoder reads while it learns.
    #[module(skip)]
    pub teacher: Teacher,
}

/// Sources and targets, line by line, as ids without special ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairBatch {
    /// What is read, `</s>` included.
    pub source: Padded,
    /// What the decoder reads: `<s> y_1 … y_T`.
    pub begun: Padded,
    /// What it is to write: `y_1 … y_T </s>`.
    pub ended: Padded,
}

impl PairBatch {
    /// The pairs of `sources` and `targets`, ids without special ones.
    ///
    /// # Panics
    ///
    /// If there is none, or the two are not of the same number.
    pub fn new<R: AsRef<[u32]>>(sources: &[R], targets: &[R]) -> Self {
        assert_eq!(sources.len(), targets.len(), "each source has a target");
        Self {
            source: Padded::ended(sources),
            begun: Padded::begun(targets),
            ended: Padded::ended(targets),
        }
    }
}

impl<C: Cell> Seq2Seq<C> {
    /// Where the model is.
    pub fn device(&self) -> Device {
        self.target_embedding.e.val().device()
    }

    /// Ids of the target, `V`.
    pub fn vocabulary(&self) -> usize {
        self.target_embedding.vocabulary()
    }

    /// Reads sources, `</s>` included: what the decoder sees of them and the state it starts from.
    pub fn encode(&self, sources: &Padded) -> (Source, DecoderState<C::State>) {
        let device = self.device();
        let (batch, lengths) = (sources.batch(), sources.lengths());
        let embedding = self.source_embedding.as_ref().unwrap_or(&self.target_embedding);
        let x = self.dropout.forward(embedding.forward(sources.tensor(&device)));
        let encoded = self.encoder.forward(x, &lengths);

        let layers = self.decoder.layers();
        let own = layers.iter().map(|cell| cell.initial_state(batch)).collect();
        let layers = self.bridge.forward(&encoded.last, own);
        let thought = || {
            let top = encoded.last.last().expect("an encoder has layers");
            let hidden = top.iter().map(|state| state.parts()[0].1.clone()).collect();
            Tensor::cat(hidden, 1)
        };
        let source = self.decoder.source(encoded.outputs, sources.pad_mask(&device), thought);
        (source, self.decoder.start(layers, batch, &device))
    }

    /// The logits of every next token of the targets, `[B, T, V]`, and where the decoder looked,
    /// `[B, T, S]`, when it reads the true tokens.
    pub fn forced(&self, batch: &PairBatch) -> (Tensor<3>, Option<Tensor<3>>) {
        let Decoded { readout, weights } = self.decoded(batch);
        (self.logits(readout), weights)
    }

    /// What the decoder makes of every step when it reads the true tokens.
    fn decoded(&self, batch: &PairBatch) -> Decoded {
        let (source, start) = self.encode(&batch.source);
        let read = self.target_embedding.forward(batch.begun.tensor(&self.device()));
        let y = self.dropout.forward(read);
        self.decoder.sequence(y, start, &source, &batch.begun.lengths())
    }

    /// The logits when each token read is the true one with probability `truth`, and else the most
    /// likely one of the step before that an output can have.
    pub(crate) fn sampled(&self, batch: &PairBatch, truth: f64, at: &Moment) -> Tensor<3> {
        let device = self.device();
        let (source, mut state) = self.encode(&batch.source);
        let mut rng = at.rng();
        let mut logits: Vec<Tensor<3>> = Vec::with_capacity(batch.begun.steps());
        for true_ids in batch.begun.tensor(&device).iter_dim(1) {
            let ids = match logits.last() {
                None => true_ids,
                Some(last) => {
                    let own = likeliest(last.clone().detach());
                    let coins = (0..batch.begun.batch()).map(|_| rng.random::<f64>() >= truth);
                    let coins: Vec<bool> = coins.collect();
                    let coins = Tensor::<1, Bool>::from_data(coins.as_slice(), &device);
                    true_ids.mask_where(coins.unsqueeze_dim(1), own)
                }
            };
            let y = self.dropout.forward(self.target_embedding.forward(ids));
            let stepped = self.decoder.step(y.squeeze_dim(1), state, &source);
            logits.push(self.logits(stepped.readout.unsqueeze_dim(1)));
            state = stepped.state;
        }
        Tensor::cat(logits, 1)
    }

    fn logits(&self, readout: Tensor<3>) -> Tensor<3> {
        self.output.forward(self.dropout.forward(readout), &self.target_embedding)
    }
}

/// The likeliest ids by `[B, 1, V]` logits, `[B, 1]`, but for `<pad>` and `<s>`, which no search writes.
fn likeliest(logits: Tensor<3>) -> Tensor<2, Int> {
    let vocabulary = logits.dims()[2];
    let never: Vec<bool> = (0..vocabulary as u32).map(|id| id == PAD || id == BOS).collect();
    let never = Tensor::<1, Bool>::from_data(never.as_slice(), &logits.device());
    let never = never.unsqueeze::<3>().expand(logits.dims());
    logits.mask_fill(never, f32::NEG_INFINITY).argmax(2).squeeze_dim(2)
}

impl<C: Cell + 'static> Learn for Seq2Seq<C> {
    type Batch = PairBatch;
    type Carried = ();

    fn learn(&self, batch: &PairBatch, _: Option<()>, at: &Moment) -> (Loss, ()) {
        let device = self.device();
        let truth = self.teacher.truth(at.step);
        if device.is_autodiff() && truth < 1.0 {
            let logits = self.sampled(batch, truth, at);
            let (targets, mask) = (batch.ended.tensor(&device), batch.ended.pad_mask(&device));
            return (self.loss.loss(logits, targets, mask, batch.ended.tokens()), ());
        }
        let readouts = self.dropout.forward(self.decoded(batch).readout);
        let (output, embedding) = (&self.output, &self.target_embedding);
        (self.loss.of_readouts(readouts, output, embedding, &batch.ended), ())
    }
}

impl<C: Cell> Translator for Seq2Seq<C> {
    type Generator<'m>
        = Seq2SeqGenerator<'m, C>
    where
        Self: 'm;

    fn generator<R: AsRef<[u32]>>(&self, sources: &[R]) -> Seq2SeqGenerator<'_, C> {
        let padded = Padded::ended(sources);
        let (source, start) = self.encode(&padded);
        let lengths = padded.lengths().as_slice().to_vec();
        Seq2SeqGenerator { model: self, source, start, lengths }
    }
}

/// A [`Seq2Seq`] in front of its encoded sources, as a [`Generator`].
#[derive(Debug)]
pub struct Seq2SeqGenerator<'m, C: Cell> {
    model: &'m Seq2Seq<C>,
    source: Source,
    start: DecoderState<C::State>,
    lengths: Vec<usize>,
}

impl<C: Cell> Seq2SeqGenerator<'_, C> {
    /// Tokens of every source, `</s>` included.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }
}

impl<C: Cell> Generator for Seq2SeqGenerator<'_, C> {
    /// What the rows look at moves with them.
    type State = (Source, DecoderState<C::State>);

    fn sources(&self) -> usize {
        self.lengths.len()
    }

    fn vocabulary(&self) -> usize {
        self.model.vocabulary()
    }

    fn source_lengths(&self) -> Option<Vec<usize>> {
        self.source.memory.is_some().then(|| self.lengths.clone())
    }

    fn start(&self) -> Self::State {
        (self.source.clone(), self.start.clone())
    }

    fn step(&self, last: &[u32], (source, state): Self::State) -> Predicted<Self::State> {
        let model = self.model;
        let last: Vec<[u32; 1]> = last.iter().map(|id| [*id]).collect();
        let ids = Padded::new(&last).tensor(&model.device());
        let y = model.target_embedding.forward(ids).squeeze_dim(1);
        let stepped = model.decoder.step(y, state, &source);
        let logits = model.logits(stepped.readout.unsqueeze_dim(1));
        Predicted {
            scores: Scores::Logits(logits.squeeze_dim(1)),
            weights: stepped.weights,
            state: (source, stepped.state),
        }
    }

    fn reorder(&self, (source, state): Self::State, rows: &[usize]) -> Self::State {
        (source.select(rows), state.select(index(rows, &self.model.device())))
    }
}
