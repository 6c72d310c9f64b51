//! Writing outputs, the encoder included: greedily and with a beam.

use burn::prelude::*;
use recurrent::any_translator::AnyTranslator;
use recurrent_seq2seq::{
    Translator,
    search::{Beam, Hypothesis, Limits, beam, greedy},
};
use serde_json::{Value, json};

use crate::{
    case::{Case, Numbers, OnProcessor, Work},
    model::Model,
};

/// A beam of some width over one model; 1 is greedy.
#[derive(Clone, Copy, Debug)]
pub struct DecodeCase {
    /// The model.
    pub model: Model,
    /// In what our side keeps its weights; a peer has floats.
    pub weights: Weights,
    /// Hypotheses of a source.
    pub width: usize,
}

/// In what weights are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// As they are drawn.
    Float,
    /// Rounded to 8 bits, as GNMT alone can have them; then it computes on the CPU, whatever the device.
    Int8,
}

/// GNMT, greedily and with a beam of 5: the wide one with a batch and with one sentence, and both
/// with weights of 8 bits as well; the deep one with a batch.
pub fn all() -> impl Iterator<Item = DecodeCase> {
    let wide = [Model::GNMT, Model::GNMT.alone()];
    let wide = wide.into_iter().flat_map(|model| {
        [Weights::Float, Weights::Int8].into_iter().flat_map(move |weights| both(model, weights))
    });
    wide.chain(both(Model::DEEP_GNMT, Weights::Float))
}

/// The same, small, and the other model. Weights of 8 bits are not what a peer has, so that they are
/// compared in a test.
pub fn small() -> impl Iterator<Item = DecodeCase> {
    let gnmt = all().filter(|case| case.weights == Weights::Float).map(|case| {
        let Model { batch, .. } = case.model;
        let small = case.model.small();
        DecodeCase { model: if batch == 1 { small.alone() } else { small }, ..case }
    });
    gnmt.chain(both(Model::G2P.small(), Weights::Float))
}

fn both(model: Model, weights: Weights) -> impl Iterator<Item = DecodeCase> {
    [1, 5].into_iter().map(move |width| DecodeCase { model, weights, width })
}

impl DecodeCase {
    /// Outputs that are all as long as the model's targets, so that all sides take as many steps.
    ///
    /// # Panics
    ///
    /// If the model's log-probabilities are not numbers.
    pub fn decode(&self, model: &impl Translator, sources: &[Vec<u32>]) -> Vec<Hypothesis> {
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

    fn translator(&self, device: &Device) -> AnyTranslator {
        match self.weights {
            Weights::Float => self.model.draw(device).into(),
            Weights::Int8 => AnyTranslator::QuantizedGnmt(self.model.quantized()),
        }
    }
}

impl Case for DecodeCase {
    fn name(&self) -> String {
        let mut name = format!("decode/{}", self.model.name());
        if self.model.batch == 1 {
            name.push_str("/one");
        }
        if self.weights == Weights::Int8 {
            name.push_str("/int8");
        }
        match self.width {
            1 => name + "/greedy",
            width => format!("{name}/beam{width}"),
        }
    }

    fn described(&self) -> Value {
        let [sources, _] = self.model.pairs();
        json!({ "family": "decode", "model": self.model, "width": self.width, "sources": sources })
    }

    fn numbers(&self) -> Numbers {
        self.model.draw(&Device::flex()).numbers()
    }

    fn on_processor(&self) -> OnProcessor {
        match self.weights {
            Weights::Float => OnProcessor::None,
            Weights::Int8 => OnProcessor::Ours,
        }
    }

    fn ours(&self, device: &Device) -> Work {
        let (case, model) = (*self, self.translator(device));
        let [sources, _] = self.model.pairs();
        // On a thread of the pool, as the command decodes.
        Box::new(move || rayon::scope(|_| drop(case.decode(&model, &sources))))
    }

    fn single_precision(&self, device: &Device) -> Option<Work> {
        let floats = Self { weights: Weights::Float, ..*self };
        (self.weights == Weights::Int8).then(|| floats.ours(device))
    }

    /// The tokens, and the log-probability of each output.
    fn results(&self, device: &Device) -> Vec<f64> {
        let [sources, _] = self.model.pairs();
        let outputs = self.decode(&self.translator(device), &sources);
        let numbers = |output: Hypothesis| {
            let tokens = output.tokens.iter().map(|id| f64::from(*id)).collect::<Vec<_>>();
            tokens.into_iter().chain([output.score])
        };
        outputs.into_iter().flat_map(numbers).collect()
    }
}

#[cfg(test)]
mod tests {
    use recurrent_seq2seq::search::forced;

    use super::*;
    use crate::model::Wiring;

    fn is_gnmt(case: &DecodeCase) -> bool {
        case.model.wiring == Wiring::Gnmt
    }

    /// With weights of 8 bits it writes as much, and what it says of its tokens the floats say, too, as
    /// far as 8 bits go.
    #[test]
    fn eight_bits_do_the_same_work() {
        let device = Device::flex();
        for floats in small().filter(is_gnmt) {
            let case = DecodeCase { weights: Weights::Int8, ..floats };
            let (name, [sources, _]) = (case.name(), case.model.pairs());
            let found = case.decode(&case.translator(&device), &sources);
            let tokens: Vec<_> = found.iter().map(|output| output.tokens.clone()).collect();
            let steps = case.model.steps[1] - 1;
            assert!(tokens.iter().all(|tokens| tokens.len() == steps), "{name}");
            let exact = floats.translator(&device);
            let exact = forced(&exact.generator(&sources), &tokens).unwrap();
            for (found, exact) in found.iter().zip(&exact) {
                for (a, b) in found.token_log_probs.iter().zip(&exact.token_log_probs) {
                    // A model that is drawn otherwise is off by 0.2 and more.
                    assert!((a - b).abs() < 0.1, "{name}: {a} for {b}");
                }
            }
            case.single_precision(&device).expect("there is a side in floats")();
        }
    }

    /// So what is compared of a beam is also that rows move with all that belongs to them.
    #[test]
    fn a_small_beam_finds_what_greedy_search_misses() {
        let device = Device::flex();
        for beam in small().filter(is_gnmt).filter(|case| case.width > 1) {
            let greedy = DecodeCase { width: 1, ..beam };
            assert_ne!(beam.results(&device), greedy.results(&device), "{}", beam.name());
        }
    }
}
