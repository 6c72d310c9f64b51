//! One answer to a whole sequence: a class, or real numbers.
//!
//! ```text
//! h = encoder(x)                                             [B, T, M]
//! last   p = [→h_n ; ←h_1]                                   what each direction ends with
//! mean   p = 1/n Σ_{t ≤ n} h_t                               n real steps
//! max    p = max_{t ≤ n} h_t                                 feature by feature
//! o = p · W_o + b_o                                          [B, K]
//!
//! classes   loss = Σ_b −log softmax(o_b)(y_b)
//! values    loss = Σ_b 1/K ‖o_b − y_b‖²
//! ```
//!
//! Padded steps are in none of these. A sequence without a step is pooled to zeros, or with `last` to
//! what the layers start from.
//!
//! Sources: for the last state, Sutskever, Vinyals & Le (2014), Sequence to Sequence Learning with
//! Neural Networks; for the mean and the maximum over time, Collobert et al. (2011), Natural Language
//! Processing (Almost) from Scratch; Conneau et al. (2017), Supervised Learning of Universal Sentence
//! Representations.

use burn::{
    prelude::*,
    tensor::{TensorData, activation::softmax},
};
use recurrent_cells::{AnyCell, Cell, CellKind, Lengths};
use recurrent_training::{Learn, Loss, Moment};
use serde::{Deserialize, Serialize};

use crate::{
    CrossEntropy, Encoded, EncoderConfig, InputConfig, OutOfRange, Reader, SequenceHead, Sequences,
    sequence_head::head_fits,
};

/// Sizes and kinds of a [`ManyToOne`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ManyToOneConfig {
    /// What is read.
    pub input: InputConfig,
    /// The layers that read.
    pub encoder: EncoderConfig,
    /// The cell of all layers.
    pub cell: CellKind,
    /// Share of the values dropped while learning, in `[0, 1)`: of the input, between layers, and of
    /// what the linear layer reads.
    pub dropout: f64,
    /// How a sequence becomes one vector.
    pub pooling: Pooling,
    /// What is asked.
    pub answer: Answer,
}

/// How the outputs of all steps become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// What each direction ends with: forward at the last real step, backward at the first.
    #[default]
    Last,
    /// The mean over real steps.
    Mean,
    /// The maximum over real steps, feature by feature.
    Max,
}

/// What is asked of a sequence, and how an answer is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Which class it is of, by cross-entropy.
    #[default]
    Class,
    /// Real numbers, by the mean squared error.
    Values,
}

/// A model with one answer to a whole sequence.
#[derive(Module, Debug)]
pub struct ManyToOne<C: Cell> {
    /// What reads and what scores.
    pub head: SequenceHead<C>,
    /// How a sequence becomes one vector.
    #[module(skip)]
    pub pooling: Pooling,
    /// What is asked.
    #[module(skip)]
    pub answer: Answer,
}

/// Sequences and the answers to them.
#[derive(Clone, Debug, PartialEq)]
pub struct AnsweredBatch {
    /// What is read.
    pub sequences: Sequences,
    /// What should come out.
    pub answers: Answers,
}

/// The answers to a batch of sequences.
#[derive(Clone, Debug, PartialEq)]
pub enum Answers {
    /// The class of each, `[B]`, from 0.
    Classes(Vec<u32>),
    /// The numbers of each, `[B, K]`, row by row.
    Values(Vec<f32>),
}

impl Default for ManyToOneConfig {
    fn default() -> Self {
        Self {
            input: InputConfig::default(),
            encoder: EncoderConfig::default(),
            cell: CellKind::Lstm,
            dropout: 0.0,
            pooling: Pooling::default(),
            answer: Answer::default(),
        }
    }
}

impl ManyToOneConfig {
    /// Checks every value, for an input of the given size (ids, or features of a vector) and so many
    /// outputs (classes, or numbers of an answer).
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self, size: usize, outputs: usize) -> Result<(), OutOfRange> {
        head_fits(self.input, &self.encoder, &self.cell, self.dropout, [size, outputs])
    }

    /// Draws a model for an input of the given size (ids, or features of a vector) and so many outputs
    /// (classes, or numbers of an answer).
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse.
    pub fn init(&self, size: usize, outputs: usize, device: &Device) -> ManyToOne<AnyCell> {
        if let Err(error) = self.validate(size, outputs) {
            panic!("{error}");
        }
        let sizes = [size, outputs];
        let Self { input, encoder, cell, dropout, .. } = self;
        ManyToOne {
            head: SequenceHead::init(*input, encoder, cell, *dropout, sizes, device),
            pooling: self.pooling,
            answer: self.answer,
        }
    }
}

impl<C: Cell> ManyToOne<C> {
    /// The scores of every sequence, `[B, K]`: logits of classes, or values.
    ///
    /// # Panics
    ///
    /// If the sequences are not what the model reads.
    pub fn forward(&self, sequences: &Sequences) -> Tensor<2> {
        let encoded = self.head.read(sequences);
        self.head.scores(self.pool(encoded, &sequences.lengths()))
    }

    /// What the model answers, `[B, K]`: the probabilities of all classes, or values. Meant for a
    /// model from [`valid`](Module::valid), which drops nothing.
    ///
    /// # Panics
    ///
    /// If the sequences are not what the model reads.
    pub fn predict(&self, sequences: &Sequences) -> Tensor<2> {
        let scores = self.forward(sequences);
        match self.answer {
            Answer::Class => softmax(scores, 1),
            Answer::Values => scores,
        }
    }

    fn pool(&self, encoded: Encoded<C::State>, lengths: &Lengths) -> Tensor<2> {
        match self.pooling {
            Pooling::Last => {
                let reader = self.head.encoder.layers.last().expect("an encoder has layers");
                let states = encoded.last.last().expect("one list of states a layer");
                last(reader, states)
            }
            Pooling::Mean => mean(encoded.outputs, lengths),
            Pooling::Max => max(encoded.outputs, lengths),
        }
    }

    fn loss(&self, scores: Tensor<2>, answers: &Answers) -> Loss {
        let [batch, outputs] = scores.dims();
        let device = scores.device();
        match (self.answer, answers) {
            (Answer::Class, Answers::Classes(classes)) => {
                let outside = classes.iter().find(|class| **class as usize >= outputs);
                assert!(outside.is_none(), "class {outside:?} is not below {outputs}");
                let classes: Vec<i32> = classes.iter().map(|class| *class as i32).collect();
                assert_eq!(classes.len(), batch, "a class for each sequence");
                let classes = TensorData::new(classes, [batch, 1]);
                let targets = Tensor::from_data(classes, &device);
                CrossEntropy::default().loss(scores.unsqueeze_dim(1), targets, None, batch)
            }
            (Answer::Values, Answers::Values(values)) => {
                assert_eq!(values.len(), batch * outputs, "{outputs} values for each sequence");
                let values = TensorData::new(values.clone(), [batch, outputs]);
                let values = Tensor::<2>::from_data(values, (&device, scores.dtype()));
                let sum = (scores - values).square().sum() / outputs as f64;
                Loss { nll: sum.clone().detach(), sum, weight: batch as f64, items: batch }
            }
            (Answer::Class, Answers::Values(_)) => panic!("the model answers with a class"),
            (Answer::Values, Answers::Classes(_)) => panic!("the model answers with values"),
        }
    }
}

impl<C: Cell + 'static> Learn for ManyToOne<C> {
    type Batch = AnsweredBatch;
    type Carried = ();

    /// # Panics
    ///
    /// If sequences or answers are not what the model reads and gives.
    fn learn(&self, batch: &AnsweredBatch, _: Option<()>, _: &Moment) -> (Loss, ()) {
        (self.loss(self.forward(&batch.sequences), &batch.answers), ())
    }
}

/// What a layer shows of its final states, `[B, M]`.
fn last<C: Cell>(reader: &Reader<C>, states: &[C::State]) -> Tensor<2> {
    match reader {
        Reader::Forward(cell) | Reader::Backward(cell) => cell.output(&states[0]),
        Reader::Both(both) => {
            let there = both.forward.output(&states[0]);
            Tensor::cat(vec![there, both.backward.output(&states[1])], 1)
        }
    }
}

/// The mean over real steps of `outputs`, which are zero at the others.
fn mean(outputs: Tensor<3>, lengths: &Lengths) -> Tensor<2> {
    let steps: Vec<f32> = lengths.as_slice().iter().map(|length| (*length).max(1) as f32).collect();
    let steps = TensorData::new(steps, [lengths.batch(), 1]);
    let steps = Tensor::<2>::from_data(steps, (&outputs.device(), outputs.dtype()));
    let sum: Tensor<2> = outputs.sum_dim(1).squeeze_dim(1);
    let shape = sum.dims();
    sum / steps.expand(shape)
}

/// The maximum over real steps, zero where there is none.
fn max(outputs: Tensor<3>, lengths: &Lengths) -> Tensor<2> {
    if lengths.is_full() {
        return outputs.max_dim(1).squeeze_dim(1);
    }
    let device = outputs.device();
    let padded = lengths.pad_mask(&device).unsqueeze_dim::<3>(2).expand(outputs.dims());
    let largest: Tensor<2> = outputs.mask_fill(padded, f64::NEG_INFINITY).max_dim(1).squeeze_dim(1);
    let empty = Tensor::<1, Bool>::from_data(lengths.padded_at(0).as_slice(), &device);
    let empty = empty.unsqueeze_dim::<2>(1).expand(largest.dims());
    largest.mask_fill(empty, 0.0)
}

#[cfg(test)]
mod tests;
