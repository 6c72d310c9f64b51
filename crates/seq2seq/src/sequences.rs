//! What a head reads, on the host: sequences of ids, or of vectors of real numbers.

use burn::{
    prelude::*,
    tensor::{DType, TensorData},
};
use recurrent_cells::Lengths;

use crate::Padded;

/// A batch of sequences of ids or of vectors.
#[derive(Clone, Debug, PartialEq)]
pub enum Sequences {
    /// Sequences of ids.
    Ids(Padded),
    /// Sequences of vectors.
    Series(Series),
}

/// Sequences of vectors of different lengths, padded on the right.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// `[B, T, D]`, row by row.
    values: Vec<f32>,
    lengths: Vec<usize>,
    features: usize,
}

impl Sequences {
    /// Sequences, `B`.
    pub fn batch(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.batch(),
            Self::Series(series) => series.lengths.len(),
        }
    }

    /// The lengths of the sequences.
    ///
    /// # Panics
    ///
    /// If not one of them has a step.
    pub fn lengths(&self) -> Lengths {
        match self {
            Self::Ids(ids) => ids.lengths(),
            Self::Series(series) => series.lengths(),
        }
    }
}

impl From<Padded> for Sequences {
    fn from(ids: Padded) -> Self {
        Self::Ids(ids)
    }
}

impl From<Series> for Sequences {
    fn from(series: Series) -> Self {
        Self::Series(series)
    }
}

impl Series {
    /// Sequences of vectors of `features` numbers; a row has its vectors one after the other.
    ///
    /// # Panics
    ///
    /// If there is no row or no feature, or a row does not end with a whole vector.
    pub fn new<R: AsRef<[f32]>>(rows: &[R], features: usize) -> Self {
        assert!(features > 0, "a vector has at least one feature");
        let longest = rows.iter().map(|row| row.as_ref().len()).max();
        let longest = longest.expect("a batch has at least one row");
        let mut values = Vec::with_capacity(rows.len() * longest);
        for row in rows {
            let row = row.as_ref();
            let numbers = row.len();
            assert!(numbers.is_multiple_of(features), "{numbers} numbers in vectors of {features}");
            values.extend(row);
            values.extend(std::iter::repeat_n(0.0, longest - numbers));
        }
        let lengths = rows.iter().map(|row| row.as_ref().len() / features).collect();
        Self { values, lengths, features }
    }

    /// Sequences that are padded already: `values` is `[B, T, features]`, row by row. What stands
    /// behind the length of a sequence is never read.
    ///
    /// # Panics
    ///
    /// If there is no sequence or no feature, the numbers do not fill the batch, or a length is above
    /// `T`.
    pub fn padded(values: Vec<f32>, features: usize, lengths: Vec<usize>) -> Self {
        let (numbers, batch) = (values.len(), lengths.len());
        assert!(batch > 0 && features > 0, "a batch has sequences and features");
        let fills = numbers.is_multiple_of(batch * features);
        assert!(fills, "{numbers} numbers do not fill {batch} sequences of {features} features");
        let series = Self { values, lengths, features };
        let _ = series.lengths();
        series
    }

    /// Numbers of a vector, `D`.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Steps, `T`.
    pub fn steps(&self) -> usize {
        self.values.len() / (self.lengths.len() * self.features)
    }

    /// The lengths of the sequences.
    ///
    /// # Panics
    ///
    /// If not one of them has a step.
    pub fn lengths(&self) -> Lengths {
        Lengths::new(self.lengths.clone(), self.steps())
    }

    /// `[B, T, D]` on `device`, with zeros at padded steps whatever stood there.
    pub fn tensor(&self, device: &Device, dtype: DType) -> Tensor<3> {
        let shape = [self.lengths.len(), self.steps(), self.features];
        let values = TensorData::new(self.values.clone(), shape);
        let values = Tensor::<3>::from_data(values, (device, dtype));
        let lengths = self.lengths();
        if lengths.is_full() {
            return values;
        }
        let mask = lengths.pad_mask(device).unsqueeze_dim::<3>(2).expand(shape);
        values.mask_fill(mask, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use recurrent_testkit::assert_close;

    use super::*;

    #[test]
    fn rows_are_padded_on_the_right_and_padding_is_zero() {
        let device = Device::flex();
        let expected = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [0.0, 0.0]]];
        let series = Series::new(&[vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0]], 2);
        assert_close(&series.tensor(&device, DType::F32), expected, 0.0);
        let values = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, f32::NAN, f32::NAN];
        let series = Series::padded(values, 2, vec![2, 1]);
        assert_close(&series.tensor(&device, DType::F64), expected, 0.0);
    }

    #[test]
    #[should_panic(expected = "3 numbers in vectors of 2")]
    fn half_a_vector_is_refused() {
        Series::new(&[vec![1.0, 2.0, 3.0]], 2);
    }

    #[test]
    #[should_panic(expected = "a sequence needs at least one step")]
    fn a_batch_without_a_step_is_refused() {
        Series::padded(Vec::new(), 2, vec![0]);
    }
}
