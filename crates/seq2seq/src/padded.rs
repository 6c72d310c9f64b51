//! Sequences of ids, padded into a batch on the host.

use burn::{prelude::*, tensor::TensorData};
use recurrent_cells::Lengths;
use recurrent_kernels::Targets;
use recurrent_text::{BOS, EOS, PAD};

/// Sequences of ids of different lengths, padded on the right with `<pad>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Padded {
    /// `[B, T]`, row by row.
    ids: Vec<i32>,
    lengths: Vec<usize>,
    steps: usize,
}

impl Padded {
    /// `rows` as they are.
    ///
    /// # Panics
    ///
    /// If there is no row, or an id is above 2³¹.
    pub fn new<R: AsRef<[u32]>>(rows: &[R]) -> Self {
        let longest = rows.iter().map(|row| row.as_ref().len()).max();
        Self::to_steps(rows, longest.expect("a batch has at least one row"))
    }

    /// `rows`, padded to `steps` even if the longest is shorter.
    ///
    /// # Panics
    ///
    /// If there is no row, one is longer than `steps`, or an id is above 2³¹.
    pub fn to_steps<R: AsRef<[u32]>>(rows: &[R], steps: usize) -> Self {
        assert!(!rows.is_empty(), "a batch has at least one row");
        let mut ids = Vec::with_capacity(rows.len() * steps);
        for row in rows {
            let row = row.as_ref();
            assert!(row.len() <= steps, "{} ids do not fit into {steps} steps", row.len());
            ids.extend(row.iter().map(|id| i32::try_from(*id).expect("ids are below 2³¹")));
            ids.extend(std::iter::repeat_n(PAD as i32, steps - row.len()));
        }
        Self { ids, lengths: rows.iter().map(|row| row.as_ref().len()).collect(), steps }
    }

    /// `rows` with `</s>` behind each: what an encoder reads, what a decoder is to write.
    pub fn ended<R: AsRef<[u32]>>(rows: &[R]) -> Self {
        let rows: Vec<Vec<u32>> = rows.iter().map(|row| [row.as_ref(), &[EOS]].concat()).collect();
        Self::new(&rows)
    }

    /// `rows` with `<s>` in front of each: what a decoder reads while it learns.
    pub fn begun<R: AsRef<[u32]>>(rows: &[R]) -> Self {
        let rows: Vec<Vec<u32>> = rows.iter().map(|row| [&[BOS], row.as_ref()].concat()).collect();
        Self::new(&rows)
    }

    /// Sequences, `B`.
    pub fn batch(&self) -> usize {
        self.lengths.len()
    }

    /// Steps, `T`.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Ids that are not padding.
    pub fn tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The ids of every sequence, padding left out.
    pub fn rows(&self) -> impl Iterator<Item = Vec<u32>> {
        let rows = self.lengths.iter().enumerate();
        rows.map(|(row, length)| {
            self.ids[row * self.steps..][..*length].iter().map(|id| *id as u32).collect()
        })
    }

    /// The lengths of the sequences.
    pub fn lengths(&self) -> Lengths {
        Lengths::new(self.lengths.clone(), self.steps)
    }

    /// `[B, T]` on `device`.
    pub fn tensor(&self, device: &Device) -> Tensor<2, Int> {
        let shape = [self.batch(), self.steps];
        Tensor::from_data(TensorData::new(self.ids.clone(), shape), device)
    }

    /// The ids as what an output layer should make of the same steps, with label smoothing `ε`.
    ///
    /// # Panics
    ///
    /// If `ε` is not in `[0, 1)`.
    pub fn targets(&self, label_smoothing: f64) -> Targets {
        Targets::new(self.ids.as_slice(), self.lengths(), label_smoothing)
    }

    /// Where it is padding, `[B, T]`, true there; none if it is nowhere.
    pub fn pad_mask(&self, device: &Device) -> Option<Tensor<2, Bool>> {
        let lengths = self.lengths();
        (!lengths.is_full()).then(|| lengths.pad_mask(device))
    }

    /// The same with `extra` columns of padding on the right.
    #[must_use]
    pub fn with_padding(&self, extra: usize) -> Self {
        let steps = self.steps + extra;
        let rows = self.ids.chunks(self.steps.max(1));
        let ids = rows.flat_map(|row| {
            row.iter().copied().chain(std::iter::repeat_n(PAD as i32, extra)).collect::<Vec<_>>()
        });
        Self { ids: ids.collect(), lengths: self.lengths.clone(), steps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_on_the_right() {
        let padded = Padded::ended(&[vec![5, 6], vec![7]]);
        assert_eq!(padded.ids, [5, 6, 3, 7, 3, 0]);
        assert_eq!((padded.batch(), padded.steps(), padded.tokens()), (2, 3, 5));
        let begun = Padded::begun(&[vec![5, 6], vec![7]]);
        assert_eq!(begun.ids, [2, 5, 6, 2, 7, 0]);
        assert_eq!(padded.with_padding(1).ids, [5, 6, 3, 0, 7, 3, 0, 0]);
        assert_eq!(padded.with_padding(1).rows().collect::<Vec<_>>(), [vec![5, 6, 3], vec![7, 3]]);
    }
}
