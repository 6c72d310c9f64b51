//! Several models that write one output together.
//!
//! ```text
//! P(i) = 1/M · Σ_m P_m(i)
//! ```
//!
//! Source: Sutskever et al. (2014), Sequence to Sequence Learning with Neural Networks, section
//! 3.6, whose best results are those of ensembles.

use burn::prelude::*;
use thiserror::Error;

use super::{Generator, Predicted, Scores};

/// Why generators cannot write together.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EnsembleError {
    /// No generator.
    #[error("an ensemble needs at least one model")]
    Nothing,
    /// A generator over other ids than the first.
    #[error("model {model} of the ensemble has {got} ids, the first has {expected}")]
    Vocabulary {
        /// The index of the model.
        model: usize,
        /// Its ids.
        got: usize,
        /// Those of the first.
        expected: usize,
    },
    /// A generator with other sources than the first.
    #[error("model {model} of the ensemble has other sources than the first")]
    Sources {
        /// The index of the model.
        model: usize,
    },
}

/// Several generators with the same ids and the same sources, as one: the mean of their
/// probabilities, and of their weights if all of them look at the sources.
#[derive(Clone, Debug)]
pub struct Ensemble<G> {
    members: Vec<G>,
}

impl<G: Generator> Ensemble<G> {
    /// The generators as one.
    ///
    /// # Errors
    ///
    /// If there is none, or one has not as many ids or other sources than the first.
    pub fn new(members: Vec<G>) -> Result<Self, EnsembleError> {
        let first = members.first().ok_or(EnsembleError::Nothing)?;
        let expected = first.vocabulary();
        let looking: Vec<_> = members.iter().filter_map(Generator::source_lengths).collect();
        let lengths = looking.first();
        for (model, member) in members.iter().enumerate() {
            let got = member.vocabulary();
            if got != expected {
                return Err(EnsembleError::Vocabulary { model, got, expected });
            }
            let others = member.source_lengths();
            if member.sources() != first.sources()
                || (others.is_some() && others.as_ref() != lengths)
            {
                return Err(EnsembleError::Sources { model });
            }
        }
        Ok(Self { members })
    }
}

impl<G: Generator> Generator for Ensemble<G> {
    type State = Vec<G::State>;

    fn sources(&self) -> usize {
        self.members[0].sources()
    }

    fn vocabulary(&self) -> usize {
        self.members[0].vocabulary()
    }

    fn source_lengths(&self) -> Option<Vec<usize>> {
        let lengths: Option<Vec<_>> = self.members.iter().map(Generator::source_lengths).collect();
        lengths?.into_iter().next()
    }

    fn start(&self) -> Self::State {
        self.members.iter().map(Generator::start).collect()
    }

    fn step(&self, last: &[u32], state: Self::State) -> Predicted<Self::State> {
        let members = self.members.iter().zip(state);
        let mut scores = Vec::new();
        let mut weights = Vec::new();
        let mut states = Vec::new();
        for predicted in members.map(|(member, state)| member.step(last, state)) {
            scores.push(predicted.scores);
            weights.push(predicted.weights);
            states.push(predicted.state);
        }
        let weights: Option<Vec<_>> = weights.into_iter().collect();
        Predicted {
            scores: Scores::Mean(scores),
            weights: weights
                .map(|weights| Tensor::stack::<3>(weights, 0).mean_dim(0).squeeze_dim(0)),
            state: states,
        }
    }

    fn reorder(&self, state: Self::State, rows: &[usize]) -> Self::State {
        self.members.iter().zip(state).map(|(member, state)| member.reorder(state, rows)).collect()
    }
}
