//! The scores of a step, on the host.

use burn::{
    prelude::*,
    tensor::{DType, TensorData},
};
use rayon::prelude::*;

use super::{
    Scores,
    normal::{Exponential, log_mean_exp, log_sum_exp},
};

/// What scores are whose numbers are somewhere else.
pub(super) enum Kind {
    LogProbs,
    Logits,
    Mean(Vec<Self>),
}

impl Kind {
    /// The kind of `scores`; their tensors go behind those in `tensors`.
    pub(super) fn split(scores: Scores, tensors: &mut Vec<Tensor<2>>) -> Self {
        match scores {
            Scores::LogProbs(log_probs) => {
                tensors.push(log_probs);
                Self::LogProbs
            }
            Scores::Logits(logits) => {
                tensors.push(logits);
                Self::Logits
            }
            Scores::Mean(members) => {
                Self::Mean(members.into_iter().map(|scores| Self::split(scores, tensors)).collect())
            }
        }
    }

    /// The log-probabilities, out of what has become of the tensors, in their order and in rows of
    /// `width`.
    pub(super) fn read(
        &self,
        tensors: &mut dyn Iterator<Item = TensorData>,
        width: usize,
    ) -> Numbers {
        if let Self::Mean(members) = self {
            let members = members.iter().map(|member| member.read(tensors, width)).collect();
            return Numbers::mean(members);
        }
        let data = tensors.next().expect("every tensor has become data");
        if data.dtype() == DType::F64 {
            let numbers = data.try_into_vec().expect("the type was looked at");
            Numbers::F64(Rows::new(self, numbers, width))
        } else {
            Numbers::F32(Rows::new(self, floats(data), width))
        }
    }
}

/// Log-probabilities, as many bits as the model gave.
pub(super) enum Numbers {
    F32(Rows<f32>),
    F64(Rows<f64>),
}

impl Numbers {
    /// The log-probabilities of a row, written into `into`.
    pub(super) fn row(&self, row: usize, into: &mut Vec<f64>) {
        into.clear();
        match self {
            Self::F32(rows) => rows.write(row, into),
            Self::F64(rows) => rows.write(row, into),
        }
    }

    /// The logarithms of the mean probabilities of `members`.
    fn mean(members: Vec<Self>) -> Self {
        if members.iter().any(|member| matches!(member, Self::F64(_))) {
            return Self::F64(Rows::mean(members.into_iter().map(Self::double).collect()));
        }
        let single = |member| match member {
            Self::F32(rows) => Some(rows),
            Self::F64(_) => None,
        };
        Self::F32(Rows::mean(members.into_iter().filter_map(single).collect()))
    }

    fn double(self) -> Rows<f64> {
        match self {
            Self::F32(Rows { numbers, width, above }) => {
                Rows { numbers: numbers.into_iter().map(f64::from).collect(), width, above }
            }
            Self::F64(rows) => rows,
        }
    }
}

/// Numbers in rows of `width`, log-probabilities once what is above them is taken off.
pub(super) struct Rows<T> {
    numbers: Vec<T>,
    width: usize,
    /// One a row; none where nothing is above.
    above: Option<Vec<f64>>,
}

impl<T: Exponential + Send + Sync> Rows<T> {
    /// Log-probabilities as they are, or logits.
    fn new(kind: &Kind, numbers: Vec<T>, width: usize) -> Self {
        let sums = || {
            let rows = numbers.par_chunks(width).with_min_len(rows_a_thread(width));
            rows.map(log_sum_exp).collect()
        };
        Self { above: matches!(kind, Kind::Logits).then(sums), width, numbers }
    }

    fn write(&self, row: usize, into: &mut Vec<f64>) {
        let above = self.above(row);
        into.extend(self.row(row).iter().map(|x| (*x).into() - above));
    }

    fn row(&self, row: usize) -> &[T] {
        &self.numbers[row * self.width..(row + 1) * self.width]
    }

    fn above(&self, row: usize) -> f64 {
        self.above.as_ref().map_or(0.0, |above| above[row])
    }

    /// # Panics
    ///
    /// If there are no members, or they are not of one shape.
    fn mean(members: Vec<Self>) -> Self {
        let width = members[0].width;
        let mut numbers = vec![T::ZERO; members[0].numbers.len()];
        let rows = numbers.par_chunks_mut(width).with_min_len(rows_a_thread(width));
        rows.enumerate().for_each(|(row, mean)| {
            let logs = members.iter().map(|member| (member.row(row), member.above(row)));
            log_mean_exp(&logs.collect::<Vec<_>>(), mean);
        });
        Self { numbers, width, above: None }
    }
}

/// So many rows are worth a thread of their own. No sum is split, so the number of threads does not
/// change a bit.
fn rows_a_thread(width: usize) -> usize {
    (1_usize << 15).div_ceil(width)
}

/// Numbers of the right type are not converted one by one.
pub(super) fn floats(data: TensorData) -> Vec<f32> {
    let floats =
        if data.dtype() == DType::F32 { data.try_into_vec() } else { data.try_into_vec_as() };
    floats.expect("numbers convert to numbers")
}
