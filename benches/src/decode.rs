//! Writing outputs, the encoder included: greedily and with a beam.

use burn::prelude::*;
use recurrent_cells::AnyCell;
use recurrent_seq2seq::{
    Seq2Seq, Translator,
    search::{Beam, Hypothesis, Limits, beam, greedy},
};
use serde_json::{Value, json};

use crate::{
    case::{Case, Numbers, Work},
    model::Model,
    module::numbers_of,
};

/// A beam of some width over one model; 1 is greedy.
#[derive(Clone, Copy, Debug)]
pub struct DecodeCase {
    /// The model.
    pub model: Model,
    /// Hypotheses of a source.
    pub width: usize,
}

/// GNMT's shape, greedily and with a beam of 5.
pub fn all() -> impl Iterator<Item = DecodeCase> {
    [1, 5].into_iter().map(|width| DecodeCase { model: Model::GNMT, width })
}

/// The same, small, and the other model.
pub fn small() -> impl Iterator<Item = DecodeCase> {
    let models = [Model::GNMT.small(), Model::G2P.small()];
    models.into_iter().flat_map(|model| [1, 5].map(|width| DecodeCase { model, width }))
}

impl DecodeCase {
    /// Outputs that are all as long as the model's targets, so that all sides take as many steps.
    ///
    /// # Panics
    ///
    /// If the model's log-probabilities are not numbers.
    pub fn decode(&self, model: &Seq2Seq<AnyCell>, sources: &[Vec<u32>]) -> Vec<Hypothesis> {
        let generator = model.generator(sources);
        let limits = vec![self.model.steps[1] - 1; sources.len()];
        let limits = Limits::at_most(limits.clone()).at_least(limits);
        let found = if self.width == 1 {
            greedy(&generator, &limits)
        } else {
            let plain = Beam { width: self.width, n_best: 1, ..Beam::default() };
            let plain = Beam { length_penalty: 0.0, coverage_penalty: 0.0, ..plain };
            let best = beam(&generator, &plain, &limits);
            best.map(|found| found.into_iter().flatten().collect())
        };
        found.expect("log-probabilities are numbers")
    }
}

impl Case for DecodeCase {
    fn name(&self) -> String {
        let how = if self.width == 1 { "greedy".to_owned() } else { format!("beam{}", self.width) };
        format!("decode/{}/{how}", self.model.name())
    }

    fn described(&self) -> Value {
        let [sources, _] = self.model.pairs();
        json!({ "family": "decode", "model": self.model, "width": self.width, "sources": sources })
    }

    fn numbers(&self) -> Numbers {
        numbers_of(&self.model.draw(&Device::flex()))
    }

    fn ours(&self, device: &Device) -> Work {
        let (case, model) = (*self, self.model.draw(device));
        let [sources, _] = self.model.pairs();
        // On a thread of the pool, as the command decodes.
        Box::new(move || rayon::scope(|_| drop(case.decode(&model, &sources))))
    }

    /// The tokens, and the log-probability of each output.
    fn results(&self, device: &Device) -> Vec<f64> {
        let [sources, _] = self.model.pairs();
        let outputs = self.decode(&self.model.draw(device), &sources);
        let numbers = |output: Hypothesis| {
            let tokens = output.tokens.iter().map(|id| f64::from(*id)).collect::<Vec<_>>();
            tokens.into_iter().chain([output.score])
        };
        outputs.into_iter().flat_map(numbers).collect()
    }
}
