//! What one step of a generator says, on the host.

use burn::{prelude::*, tensor::Transaction};

use super::{
    Generator, SearchError,
    numbers::{Kind, Numbers, floats},
};

/// One step, on the host.
pub(super) struct Seen {
    /// How many steps were before.
    pub(super) step: usize,
    log_probs: Numbers,
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
        let mut tensors = Vec::new();
        let kind = Kind::split(predicted.scores, &mut tensors);
        let mut transaction = Transaction::default();
        for scores in tensors {
            assert_shape!(scores, [last.len(), vocabulary]);
            transaction = transaction.register(scores);
        }
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
        let log_probs = kind.read(&mut read, vocabulary);
        let looks = read.next().map(|data| Looks { positions, weights: floats(data) });
        (Self { step, log_probs }, looks, predicted.state)
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
        self.log_probs.row(row, into);
        // Without a way out in between, so that the loop is vectorised.
        let broken =
            into.iter().fold(false, |broken, n| broken | n.is_nan() | (*n == f64::INFINITY));
        if broken {
            return Err(SearchError::NotANumber { output: source, step: self.step });
        }
        Ok(())
    }
}
