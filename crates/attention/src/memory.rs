//! What is looked at, prepared once a source.

use burn::prelude::*;

/// The rows that queries look at, with what a score needs of them.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The rows, `[B, S, M]`, zero where padded.
    pub values: Tensor<3>,
    /// What the score compares a query with, `[B, S, A]`.
    pub keys: Tensor<3>,
    /// `[B, S]`, true where a row is padding; none if no row is.
    pub pad_mask: Option<Tensor<2, Bool>>,
}

impl Memory {
    /// `values`, `[B, S, M]`, and the keys that `key` makes of them. Whatever stands in padded rows
    /// is not read.
    ///
    /// # Panics
    ///
    /// If the mask is not `[B, S]`.
    pub(crate) fn new(
        values: Tensor<3>,
        pad_mask: Option<Tensor<2, Bool>>,
        key: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Self {
        let [batch, rows, _] = values.dims();
        let values = match &pad_mask {
            None => values,
            Some(mask) => {
                assert_shape!(mask, [batch, rows]);
                let mask = mask.clone().unsqueeze_dim::<3>(2).expand(values.dims());
                values.mask_fill(mask, 0.0)
            }
        };
        Self { keys: key(values.clone()), values, pad_mask }
    }

    /// The memories of the given sources, in that order and with repetitions: what a beam needs.
    /// `rows` is `[B']`.
    #[must_use]
    pub fn select(&self, rows: Tensor<1, Int>) -> Self {
        Self {
            values: self.values.clone().select(0, rows.clone()),
            keys: self.keys.clone().select(0, rows.clone()),
            pad_mask: self.pad_mask.as_ref().map(|mask| mask.clone().select(0, rows)),
        }
    }
}
