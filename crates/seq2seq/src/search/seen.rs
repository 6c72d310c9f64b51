//! What one step of a generator says, on the host.

use burn::{
    prelude::*,
    tensor::{DType, TensorData, Transaction},
};

use rayon::prelude::*;

use super::{
    Generator, Scores, SearchError,
    normal::{Exponential, log_sum_exp},
};

/// Numbers of a step, as many bits as the model gave.
enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// One step, on the host.
pub(super) struct Seen {
    /// How many steps were before.
    pub(super) step: usize,
    vocabulary: usize,
    scores: Numbers,
    /// What is above the log-probabilities in each row; none if the numbers are log-probabilities.
    above: Option<Vec<f64>>,
}

/// Where all rows looked in one step, `[R, S]`.
pub(super) struct Looks {
    positions: usize,
    weights: Vec<f32>,
}

impl Looks {
    /// The first `length` positions of a row.
    pub(super) fn row(&self, row: usize, length: usize) -> &[f32] {
        &self.weights[row * self.positions..][..length]
    }
}

impl Seen {
    /// One step of `generator` for rows with these last tokens, read in one go.
    ///
    /// # Panics
    ///
    /// If what the generator says has the wrong shape.
    pub(super) fn step<G: Generator>(
        generator: &G,
        step: usize,
        last: &[u32],
        state: G::State,
    ) -> (Self, Option<Looks>, G::State) {
        let vocabulary = generator.vocabulary();
        let predicted = generator.step(last, state);
        let (scores, normal) = match predicted.scores {
            Scores::LogProbs(log_probs) => (log_probs, true),
            Scores::Logits(logits) => (logits, false),
        };
        assert_shape!(scores, [last.len(), vocabulary]);
        let transaction = Transaction::default().register(scores);
        let (transaction, positions) = match predicted.weights {
            None => (transaction, 0),
            Some(weights) => {
                let [_, positions] = weights.dims();
                assert_shape!(weights, [last.len(), positions]);
                (transaction.register(weights), positions)
            }
        };
        // Data may be read lazily, after later steps have reused its memory: it becomes a vector at
        // once.
        let mut read = transaction.execute().into_iter();
        let scores = Numbers::of(read.next().expect("one was registered"));
        let looks = read.next().map(|data| Looks { positions, weights: floats(data) });
        let above = (!normal).then(|| scores.log_sums(vocabulary));
        (Self { step, vocabulary, scores, above }, looks, predicted.state)
    }

    /// The log-probabilities of a row, written into `into`.
    ///
    /// # Errors
    ///
    /// If one is NaN or `+∞`; the error says that the row is of `source`.
    pub(super) fn read(
        &self,
        row: usize,
        source: usize,
        into: &mut Vec<f64>,
    ) -> Result<(), SearchError> {
        let range = row * self.vocabulary..(row + 1) * self.vocabulary;
        let above = self.above.as_ref().map_or(0.0, |above| above[row]);
        into.clear();
        match &self.scores {
            Numbers::F32(numbers) => {
                into.extend(numbers[range].iter().map(|n| f64::from(*n) - above));
            }
            Numbers::F64(numbers) => into.extend(numbers[range].iter().map(|n| n - above)),
        }
        // Without a way out in between, so that the loop is vectorised.
        let broken =
            into.iter().fold(false, |broken, n| broken | n.is_nan() | (*n == f64::INFINITY));
        if broken {
            return Err(SearchError::NotANumber { output: source, step: self.step });
        }
        Ok(())
    }
}

impl Numbers {
    fn of(data: TensorData) -> Self {
        if data.dtype() == DType::F64 {
            Self::F64(data.try_into_vec().expect("the type was looked at"))
        } else {
            Self::F32(floats(data))
        }
    }

    /// The logarithm of the sum of the exponentials of each row of `width` numbers.
    fn log_sums(&self, width: usize) -> Vec<f64> {
        match self {
            Self::F32(numbers) => log_sums(numbers, width),
            Self::F64(numbers) => log_sums(numbers, width),
        }
    }
}

/// Rows are split over threads where there are many numbers; no sum is.
fn log_sums<T: Exponential + Sync>(numbers: &[T], width: usize) -> Vec<f64> {
    const PARALLEL: usize = 1 << 16;
    if numbers.len() < PARALLEL {
        return numbers.chunks(width).map(log_sum_exp).collect();
    }
    let rows = (PARALLEL / 4).div_ceil(width);
    numbers.par_chunks(width).with_min_len(rows).map(log_sum_exp).collect()
}

fn floats(data: TensorData) -> Vec<f32> {
    // Numbers of the right type are not converted one by one.
    let floats =
        if data.dtype() == DType::F32 { data.try_into_vec() } else { data.try_into_vec_as() };
    floats.expect("numbers convert to numbers")
}
