//! A generator whose every number depends on the source and on all tokens before, so that a row
//! that was moved to a wrong place is seen.

use std::{cell::RefCell, rc::Rc};

use burn::{
    prelude::*,
    tensor::{DType, TensorData},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use recurrent_text::{BOS, PAD};

use crate::search::{Generator, Predicted, Scores};

type Says = Rc<dyn Fn(usize, &[u32]) -> Vec<f64>>;
type Looks = Rc<dyn Fn(usize, &[u32]) -> Vec<f32>>;

/// Log-probabilities and weights by a rule.
#[derive(Clone)]
pub(super) struct Table {
    /// The numbers that the rules know the sources by.
    sources: Vec<usize>,
    vocabulary: usize,
    says: Says,
    looks: Option<Looks>,
    /// How many rows each step had.
    pub(super) rows: RefCell<Vec<usize>>,
}

/// The source of a row, and its tokens with `<s>`.
#[derive(Clone)]
pub(super) struct Row {
    source: usize,
    before: Vec<u32>,
}

impl Table {
    pub(super) fn new(
        sources: usize,
        vocabulary: usize,
        says: impl Fn(usize, &[u32]) -> Vec<f64> + 'static,
    ) -> Self {
        let rows = RefCell::default();
        Self { sources: (0..sources).collect(), vocabulary, says: Rc::new(says), looks: None, rows }
    }

    /// Six ids, and probabilities of no rule at all.
    pub(super) fn drawn(seed: u64, sources: usize) -> Self {
        Self::new(sources, 6, move |source, before| {
            let mut rng = rng(seed, source, before);
            log_softmax((0..6).map(|_| rng.random_range(-2.0..2.0)).collect())
        })
    }

    /// The same, often sure of the next token: what looks bad early may be the best in the end.
    pub(super) fn sure(seed: u64, sources: usize) -> Self {
        Self::new(sources, 6, move |source, before| {
            let mut rng = rng(seed, source, before);
            let mut logits: Vec<f64> = (0..6).map(|_| rng.random_range(-8.0..8.0)).collect();
            (logits[PAD as usize], logits[BOS as usize]) = (-9.0, -9.0);
            log_softmax(logits)
        })
    }

    /// The same over sources of so many tokens, which it looks at.
    pub(super) fn looking(self, seed: u64, lengths: &[usize]) -> Self {
        let lengths = lengths.to_vec();
        let looks = move |source: usize, before: &[u32]| {
            let mut rng = rng(!seed, source, before);
            let drawn: Vec<f32> =
                (0..lengths[source]).map(|_| rng.random_range(0.0f32..1.0).powi(4)).collect();
            let sum: f32 = drawn.iter().sum();
            drawn.iter().map(|weight| weight / sum).collect()
        };
        self.looking_by(looks)
    }

    /// The same with weights by a rule.
    pub(super) fn looking_by(self, looks: impl Fn(usize, &[u32]) -> Vec<f32> + 'static) -> Self {
        Self { looks: Some(Rc::new(looks)), ..self }
    }

    /// The same with some of the sources.
    pub(super) fn only(&self, sources: &[usize]) -> Self {
        Self { sources: sources.to_vec(), rows: RefCell::default(), ..self.clone() }
    }

    /// What it says for source number `source` after `before`, which has no `<s>`.
    pub(super) fn log_probs(&self, source: usize, before: &[u32]) -> Vec<f64> {
        (self.says)(source, before)
    }

    pub(super) fn is_looking(&self) -> bool {
        self.looks.is_some()
    }

    /// Where it looks meanwhile.
    pub(super) fn weights(&self, source: usize, before: &[u32]) -> Vec<f32> {
        (self.looks.as_ref().expect("looking"))(source, before)
    }
}

impl Generator for Table {
    type State = Vec<Row>;

    fn sources(&self) -> usize {
        self.sources.len()
    }

    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn source_lengths(&self) -> Option<Vec<usize>> {
        let looks = self.looks.as_ref()?;
        Some(self.sources.iter().map(|source| looks(*source, &[]).len()).collect())
    }

    fn start(&self) -> Vec<Row> {
        self.sources.iter().map(|source| Row { source: *source, before: Vec::new() }).collect()
    }

    fn step(&self, last: &[u32], mut state: Vec<Row>) -> Predicted<Vec<Row>> {
        assert_eq!(last.len(), state.len());
        self.rows.borrow_mut().push(last.len());
        for (row, token) in state.iter_mut().zip(last) {
            assert!(!row.before.is_empty() || *token == BOS, "<s> is at the start");
            row.before.push(*token);
        }
        let says = state.iter().map(|row| (self.says)(row.source, &row.before[1..]));
        let scores = Scores::LogProbs(tensor(says.collect(), self.vocabulary, DType::F64));
        let weights = self.looks.as_ref().map(|looks| {
            let look = |row: &Row| looks(row.source, &row.before[1..]);
            let weights: Vec<Vec<f32>> = state.iter().map(look).collect();
            let longest = self.source_lengths().into_iter().flatten().max();
            tensor(weights, longest.expect("a source"), DType::F32)
        });
        Predicted { scores, weights, state }
    }

    fn reorder(&self, state: Vec<Row>, rows: &[usize]) -> Vec<Row> {
        rows.iter().map(|row| state[*row].clone()).collect()
    }
}

/// Does not say how long its sources are.
pub(super) struct Forgetful(pub(super) Table);

impl Generator for Forgetful {
    type State = Vec<Row>;

    fn sources(&self) -> usize {
        self.0.sources()
    }

    fn vocabulary(&self) -> usize {
        self.0.vocabulary()
    }

    fn start(&self) -> Vec<Row> {
        self.0.start()
    }

    fn step(&self, last: &[u32], state: Vec<Row>) -> Predicted<Vec<Row>> {
        self.0.step(last, state)
    }

    fn reorder(&self, state: Vec<Row>, rows: &[usize]) -> Vec<Row> {
        self.0.reorder(state, rows)
    }
}

/// Rows padded with 0 to `width`.
fn tensor<E: burn::tensor::Element>(rows: Vec<Vec<E>>, width: usize, dtype: DType) -> Tensor<2> {
    let shape = [rows.len(), width];
    let padded = |mut row: Vec<E>| {
        row.resize(width, 0.elem());
        row
    };
    let numbers: Vec<E> = rows.into_iter().flat_map(padded).collect();
    Tensor::from_data(TensorData::new(numbers, shape), (&Device::flex(), dtype))
}

pub(super) fn log_softmax(scores: Vec<f64>) -> Vec<f64> {
    let sum: f64 = scores.iter().map(|score| score.exp()).sum();
    scores.iter().map(|score| score - sum.ln()).collect()
}

/// Fowler, Noll and Vo's hash of all that a number may depend on.
fn rng(seed: u64, source: usize, before: &[u32]) -> StdRng {
    let all = [seed, source as u64].into_iter().chain(before.iter().map(|token| u64::from(*token)));
    let hash = all.fold(0xcbf2_9ce4_8422_2325, |hash: u64, number| {
        (hash ^ number.wrapping_add(1)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
    });
    StdRng::seed_from_u64(hash)
}
