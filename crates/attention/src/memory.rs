//! What is looked at, prepared once a source.

use burn::prelude::*;

use crate::{Readers, readers::indices};

/// The rows that queries look at, with what a score needs of them.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The rows, `[B, S, M]`, zero where padded.
    pub values: Tensor<3>,
    /// What the score compares a query with, `[B, S, A]`.
    pub keys: Tensor<3>,
    /// `[B, S]`, true where a row is padding; none if no row is.
    pub pad_mask: Option<Tensor<2, Bool>>,
    /// Which source each row of queries looks at; none if each looks at its own.
    pub readers: Option<Readers>,
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
        Self { keys: key(values.clone()), values, pad_mask, readers: None }
    }

    /// The memory with the given rows of queries in front of it, of those that are there now, in that
    /// order and with repetitions: what a beam needs. Rows of one source share what is there of it;
    /// nothing is copied unless a good part of the sources has no reader left.
    ///
    /// # Panics
    ///
    /// If there is no row, or one that is not there.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let sources = self.values.dims()[0];
        let of = |row: &usize| match &self.readers {
            None => *row,
            Some(readers) => readers.of()[*row],
        };
        let of: Vec<usize> = rows.iter().map(of).collect();
        let stays = match &self.readers {
            None => of.iter().copied().eq(0..sources),
            Some(readers) => readers.of() == of,
        };
        if stays {
            return self.clone();
        }
        let device = self.values.device();
        let mut read = of.clone();
        read.sort_unstable();
        read.dedup();
        if read.len() * 4 > sources * 3 {
            let readers = Some(Readers::new(of, sources, &device));
            return Self { readers, ..self.clone() };
        }
        let new = |source: &usize| read.binary_search(source).expect("it is read");
        let of = of.iter().map(new).collect();
        let kept = indices(&read, &device);
        Self {
            values: self.values.clone().select(0, kept.clone()),
            keys: self.keys.clone().select(0, kept.clone()),
            pad_mask: self.pad_mask.as_ref().map(|mask| mask.clone().select(0, kept)),
            readers: Some(Readers::new(of, read.len(), &device)),
        }
    }
}
