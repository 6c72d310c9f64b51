//! One label a step.
//!
//! ```text
//! h   = encoder(x)                                           [B, T, M]
//! o_t = h_t · W_o + b_o                                      [B, T, K]
//! loss = Σ_{b,t not padding} −log softmax(o_{b,t})(y_{b,t})
//! ```
//!
//! With an encoder that reads both ways every label sees the whole sequence; labels do not see each
//! other.
//!
//! Source: Graves & Schmidhuber (2005), Framewise Phoneme Classification with Bidirectional LSTM.

use burn::{prelude::*, tensor::activation::softmax};
use recurrent_cells::{AnyCell, Cell, CellKind};
use recurrent_training::{Learn, Loss, Moment};
use serde::{Deserialize, Serialize};

use crate::{
    CrossEntropy, EncoderConfig, InputConfig, OutOfRange, Padded, SequenceHead, Sequences,
    config::share, sequence_head::head_fits,
};

/// Sizes and kinds of a [`Tagger`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaggerConfig {
    /// What is read.
    pub input: InputConfig,
    /// The layers that read.
    pub encoder: EncoderConfig,
    /// The cell of all layers.
    pub cell: CellKind,
    /// Share of the values dropped while learning, in `[0, 1)`: of the input, between layers, and of
    /// what the linear layer reads.
    pub dropout: f64,
    /// What is minimised.
    pub loss: CrossEntropy,
}

/// A model that gives every step a label.
#[derive(Module, Debug)]
pub struct Tagger<C: Cell> {
    /// What reads and what scores.
    pub head: SequenceHead<C>,
    /// What is minimised.
    #[module(skip)]
    pub loss: CrossEntropy,
}

/// Sequences and the labels of their steps.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedBatch {
    /// What is read.
    pub sequences: Sequences,
    /// The label of every step, from 0: rows as long as the sequences.
    pub labels: Padded,
}

impl Default for TaggerConfig {
    fn default() -> Self {
        Self {
            input: InputConfig::default(),
            encoder: EncoderConfig::default(),
            cell: CellKind::Lstm,
            dropout: 0.0,
            loss: CrossEntropy::default(),
        }
    }
}

impl TaggerConfig {
    /// Checks every value, for an input of the given size (ids, or features of a vector) and so many
    /// labels.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self, size: usize, labels: usize) -> Result<(), OutOfRange> {
        share("loss.label_smoothing", self.loss.label_smoothing)?;
        head_fits(self.input, &self.encoder, &self.cell, self.dropout, [size, labels])
    }

    /// Draws a model for an input of the given size (ids, or features of a vector) and so many labels.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse.
    pub fn init(&self, size: usize, labels: usize, device: &Device) -> Tagger<AnyCell> {
        if let Err(error) = self.validate(size, labels) {
            panic!("{error}");
        }
        let Self { input, encoder, cell, dropout, loss } = self;
        let sizes = [size, labels];
        let head = SequenceHead::init(*input, encoder, cell, *dropout, sizes, device);
        Tagger { head, loss: *loss }
    }
}

impl<C: Cell> Tagger<C> {
    /// The logits of the labels of every step, `[B, T, K]`. Those of padded steps mean nothing.
    ///
    /// # Panics
    ///
    /// If the sequences are not what the model reads.
    pub fn forward(&self, sequences: &Sequences) -> Tensor<3> {
        let encoded = self.head.read(sequences);
        self.head.scores(encoded.outputs)
    }

    /// The probabilities of the labels of every step, `[B, T, K]`. Those of padded steps mean
    /// nothing. Meant for a model from [`valid`](Module::valid), which drops nothing.
    ///
    /// # Panics
    ///
    /// If the sequences are not what the model reads.
    pub fn probabilities(&self, sequences: &Sequences) -> Tensor<3> {
        softmax(self.forward(sequences), 2)
    }

    /// The likeliest label of every real step, the lowest of equals. Meant for a model from
    /// [`valid`](Module::valid).
    ///
    /// # Panics
    ///
    /// If the sequences are not what the model reads.
    pub fn predict(&self, sequences: &Sequences) -> Vec<Vec<u32>> {
        let lengths = sequences.lengths();
        let labels: Tensor<2, Int> = self.forward(sequences).argmax(2).squeeze_dim(2);
        let labels: Vec<u32> = labels.into_data().iter::<u32>().collect();
        let rows = labels.chunks(lengths.steps()).zip(lengths.as_slice());
        rows.map(|(row, length)| row[..*length].to_vec()).collect()
    }
}

impl<C: Cell + 'static> Learn for Tagger<C> {
    type Batch = TaggedBatch;
    type Carried = ();

    /// # Panics
    ///
    /// If the sequences are not what the model reads, or the labels are not as long.
    fn learn(&self, batch: &TaggedBatch, _: Option<()>, _: &Moment) -> (Loss, ()) {
        let TaggedBatch { sequences, labels } = batch;
        assert_eq!(sequences.lengths(), labels.lengths(), "a label for each step");
        let logits = self.forward(sequences);
        let device = logits.device();
        let (targets, mask) = (labels.tensor(&device), labels.pad_mask(&device));
        (self.loss.loss(logits, targets, mask, labels.tokens()), ())
    }
}

#[cfg(test)]
mod tests;
