//! What [`ManyToOne`](crate::ManyToOne) and [`Tagger`](crate::Tagger) share: something that reads
//! whole sequences, and a linear layer over what it makes of them.
//!
//! ```text
//! x_t    = E[id_t], or the vector of step t                  [B, T, D]
//! h      = encoder(dropout(x))                               [B, T, M]
//! scores = dropout(·) · W_o + b_o                            W_o is [M, K], b_o is [K]
//! ```

use burn::{
    module::Param,
    nn::{Dropout, DropoutConfig, Initializer, Linear},
    prelude::*,
};
use recurrent_cells::{AnyCell, Cell, CellKind};
use serde::{Deserialize, Serialize};

use crate::{
    Embedding, EmbeddingConfig, Encoded, Encoder, EncoderConfig, OutOfRange, Sequences,
    config::{at_least_one, cell_fits, share},
};

/// What a head reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InputConfig {
    /// Ids, each as a vector that is learned.
    Ids {
        /// Features of a token's vector.
        d_embedding: usize,
    },
    /// Vectors of real numbers, as they are.
    Series,
}

/// From a step of a sequence to a vector.
#[derive(Module, Debug)]
pub enum Input {
    /// Looks ids up.
    Ids(Embedding),
    /// Takes vectors of so many features as they are.
    Series(usize),
}

/// Something that reads whole sequences, and a linear layer.
#[derive(Module, Debug)]
pub struct SequenceHead<C: Cell> {
    /// From a step to a vector.
    pub input: Input,
    /// The layers that read.
    pub encoder: Encoder<C>,
    /// Dropout on what the encoder and the linear layer read.
    pub dropout: Dropout,
    /// `W_o`, `[M, K]`, and `b_o`, `[K]`.
    pub linear: Linear,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self::Ids { d_embedding: 64 }
    }
}

/// Checks what the configs of all heads have in common. `size` and `outputs` are as for
/// [`SequenceHead::init`].
pub(crate) fn head_fits(
    input: InputConfig,
    encoder: &EncoderConfig,
    cell: &CellKind,
    dropout: f64,
    [size, outputs]: [usize; 2],
) -> Result<(), OutOfRange> {
    if let InputConfig::Ids { d_embedding } = input {
        at_least_one("input.ids.d_embedding", d_embedding)?;
    }
    at_least_one("encoder.layers", encoder.layers)?;
    at_least_one("encoder.d_hidden", encoder.d_hidden)?;
    cell_fits(cell)?;
    share("dropout", dropout)?;
    at_least_one("the size of the input", size)?;
    at_least_one("the outputs", outputs)
}

impl SequenceHead<AnyCell> {
    /// Draws a head over an input of the given size, ids or features of a vector, with `outputs`
    /// scores, `K`. The linear layer has small weights, so that all classes are about as likely at
    /// the start.
    pub(crate) fn init(
        input: InputConfig,
        encoder: &EncoderConfig,
        cell: &CellKind,
        dropout: f64,
        [size, outputs]: [usize; 2],
        device: &Device,
    ) -> Self {
        let (input, d_input) = match input {
            InputConfig::Ids { d_embedding } => {
                let embedding = EmbeddingConfig::new(size, d_embedding).init(device);
                (Input::Ids(embedding), d_embedding)
            }
            InputConfig::Series => (Input::Series(size), size),
        };
        // So small that all answers are about as likely at the start, however wide the layers are.
        let width = 0.5 / (encoder.d_output() as f64).sqrt();
        let small = Initializer::Uniform { min: -width, max: width };
        let weight = small.init([encoder.d_output(), outputs], device).into_value().detach();
        let bias = Param::from_tensor(Tensor::zeros([outputs], device));
        Self {
            input,
            encoder: encoder.init(cell, d_input, dropout, device),
            dropout: DropoutConfig::new(dropout).init(),
            linear: Linear { weight: Param::from_tensor(weight), bias: Some(bias) },
        }
    }
}

impl<C: Cell> SequenceHead<C> {
    /// Where the head is.
    pub fn device(&self) -> Device {
        self.linear.weight.val().device()
    }

    /// Scores a step or a sequence has, `K`.
    pub fn outputs(&self) -> usize {
        self.linear.weight.dims()[1]
    }

    /// Reads the sequences.
    ///
    /// # Panics
    ///
    /// If these are ids and the head reads vectors, or the other way round, or the vectors have other
    /// features.
    pub fn read(&self, sequences: &Sequences) -> Encoded<C::State> {
        let device = self.device();
        let x = match (&self.input, sequences) {
            (Input::Ids(embedding), Sequences::Ids(ids)) => embedding.forward(ids.tensor(&device)),
            (Input::Series(features), Sequences::Series(series)) => {
                let x = series.tensor(&device, self.linear.weight.val().dtype());
                assert_shape!(x, [sequences.batch(), series.steps(), *features]);
                x
            }
            (Input::Ids(_), Sequences::Series(_)) => panic!("the head reads ids, got vectors"),
            (Input::Series(_), Sequences::Ids(_)) => panic!("the head reads vectors, got ids"),
        };
        self.encoder.forward(self.dropout.forward(x), &sequences.lengths())
    }

    /// The scores of what has been read, `[.., M]` to `[.., K]`.
    pub fn scores<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.linear.forward(self.dropout.forward(x))
    }
}
