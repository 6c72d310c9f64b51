//! From ids to vectors.
//!
//! ```text
//! e_t = E[x_t]               E is [V, d];  0 for <pad>
//! e_t = √d · E[x_t]          scaled
//! ```
//!
//! The row of `<pad>` begins at 0 and has no gradient as it is read. In a table that is the output layer as
//! well it is learned there, as the weights of a token that is never the next one.
//!
//! A table that is the output layer as well has small numbers, so that logits are small at the start.
//! What reads them then hears tokens next to nothing, and learns late; scaled, a vector that is read is
//! as large as one of a table of its own.
//!
//! Source of the scale: Vaswani et al. (2017), Attention Is All You Need, section 3.4.

use burn::{
    module::Param,
    nn::Initializer,
    prelude::*,
    tensor::{TensorData, module::embedding},
};
use recurrent_text::PAD;
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

/// Sizes and initial values of an [`Embedding`].
#[derive(Config, Debug)]
pub struct EmbeddingConfig {
    /// Ids, `V`.
    pub vocabulary: usize,
    /// Features of a vector, `d`.
    pub d_embedding: usize,
    /// How the vectors are drawn, all but that of `<pad>`. Where they are the weights of an output
    /// layer as well they should be smaller: [`tied`](Self::tied).
    #[config(default = "Initializer::Normal { mean: 0.0, std: 1.0 }")]
    pub initializer: Initializer,
    /// What vectors are multiplied by as they are read.
    #[config(default = "EmbeddingScale::Plain")]
    pub scale: EmbeddingScale,
}

/// What the vectors of a table are multiplied by as they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingScale {
    /// Nothing.
    #[default]
    Plain,
    /// The root of their features, `√d`.
    Sqrt,
}

/// A vector for each id. That of `<pad>` is read as zero and gets no gradient by that.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `E`, `[V, d]`.
    pub e: Param<Tensor<2>>,
    /// What vectors are multiplied by as they are read.
    #[module(skip)]
    pub scale: EmbeddingScale,
}

impl EmbeddingScale {
    /// Only a table that is the output layer as well is scaled.
    ///
    /// # Errors
    ///
    /// If it is one.
    pub fn must_be_plain(self) -> Result<(), OutOfRange> {
        let range = "\"plain\" where no embedding is the output layer";
        OutOfRange::check("embedding_scale", "sqrt", |_| self == Self::Plain, range)
    }

    /// The factor for vectors of `d` features.
    pub fn factor(self, d_embedding: usize) -> f64 {
        match self {
            Self::Plain => 1.0,
            Self::Sqrt => (d_embedding as f64).sqrt(),
        }
    }
}

impl EmbeddingConfig {
    /// Vectors that are the weights of an output layer as well: of length 1, so that logits are small
    /// and all tokens about as likely at the start.
    pub fn tied(vocabulary: usize, d_embedding: usize) -> Self {
        let std = 1.0 / (d_embedding as f64).sqrt();
        Self::new(vocabulary, d_embedding).with_initializer(Initializer::Normal { mean: 0.0, std })
    }

    /// Draws the vectors.
    pub fn init(&self, device: &Device) -> Embedding {
        let shape = [self.vocabulary, self.d_embedding];
        let drawn = self.initializer.init(shape, device).into_value().detach();
        Embedding { e: Param::from_tensor(without_padding(drawn).detach()), scale: self.scale }
    }
}

impl Embedding {
    /// Ids, `V`.
    pub fn vocabulary(&self) -> usize {
        self.e.dims()[0]
    }

    /// Features of a vector, `d`.
    pub fn d_embedding(&self) -> usize {
        self.e.dims()[1]
    }

    /// The vectors of `ids`, `[B, T]` to `[B, T, d]`: zero for `<pad>`.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let padding = ids.clone().equal_elem(PAD as i32).unsqueeze_dim::<3>(2);
        let vectors = embedding(self.e.val(), ids);
        let mask = padding.expand(vectors.dims());
        let vectors = vectors.mask_fill(mask, 0.0);
        match self.scale {
            EmbeddingScale::Plain => vectors,
            EmbeddingScale::Sqrt => vectors * self.scale.factor(self.d_embedding()),
        }
    }
}

/// `e` with zeros in the row of `<pad>`.
fn without_padding(e: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = e.dims();
    let keep: Vec<f32> = (0..rows).map(|id| f32::from(u8::from(id != PAD as usize))).collect();
    let keep = Tensor::<2>::from_data(TensorData::new(keep, [rows, 1]), (&e.device(), e.dtype()));
    e * keep.expand([rows, columns])
}

#[cfg(test)]
mod tests {
    use recurrent_testkit::{assert_close, in_f64};

    use super::*;

    /// Scaled, a vector that is read has the root of its features times the numbers of the table, and so
    /// has its gradient.
    #[test]
    fn scaled_vectors_by_hand() {
        let device = Device::flex().autodiff();
        let table =
            in_f64(EmbeddingConfig::tied(5, 4).with_scale(EmbeddingScale::Sqrt).init(&device));
        let ids = Tensor::<2, Int>::from_data([[4, 0]], &device);
        let vectors = table.forward(ids);
        let row = table.e.val().inner().narrow(0, 4, 1) * 2.0;
        assert_close(
            &vectors.clone().narrow(1, 0, 1).squeeze_dim::<2>(1).inner(),
            row.to_data(),
            1e-12,
        );
        let gradients = vectors.sum().backward();
        let expected = [[0.0; 4], [0.0; 4], [0.0; 4], [0.0; 4], [2.0; 4]];
        assert_close(&table.e.val().grad(&gradients).unwrap(), expected, 1e-12);
    }

    /// The padding row is zero before and gets no gradient, the others get theirs.
    #[test]
    fn padding_is_zero_and_stays_there() {
        let device = Device::flex().autodiff();
        let table = in_f64(EmbeddingConfig::new(5, 3).init(&device));
        let ids = Tensor::<2, Int>::from_data([[4, 0, 4], [1, 0, 0]], &device);
        let vectors = table.forward(ids);
        assert_close(&vectors.clone().narrow(1, 2, 1).narrow(0, 1, 1), [[[0.0; 3]]], 0.0);
        let gradients = vectors.sum().backward();
        let expected = [[0.0; 3], [1.0; 3], [0.0; 3], [0.0; 3], [2.0; 3]];
        assert_close(&table.e.val().grad(&gradients).unwrap(), expected, 1e-12);
    }
}
