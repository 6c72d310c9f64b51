//! A variational autoencoder of texts: what is measured of it, and what it writes.

use burn::prelude::*;
use recurrent_generative::{KlTerm, MeasuredTexts, SequenceVae, SequenceVaeConfig};
use recurrent_seq2seq::{
    CrossEntropy, TextBatch,
    search::{Hypothesis, Limits, Sampling},
};
use recurrent_training::{Moment, OutOfRange, Scores};

use crate::{
    decode::{Search, written},
    examples::TextBatches,
    experiment::EvaluationConfig,
    report::{Example, Measured, Unit},
    text_model::{EXAMPLES, TextConfig, TextModel},
    text_to_text::Written,
};

/// What `config.json` calls a variational autoencoder of texts.
pub const SEQUENCE_VAE: &str = "sequence_vae";

/// Codes of which texts are written at once.
const AT_ONCE: usize = 256;

impl TextConfig for SequenceVaeConfig {
    type Model = SequenceVae;
    const KIND: &'static str = SEQUENCE_VAE;

    fn validate(&self, _: usize) -> Result<(), OutOfRange> {
        self.validate()
    }

    fn draw(&self, vocabulary: usize, device: &Device) -> SequenceVae {
        self.init(vocabulary, device)
    }

    fn wiring(&self) -> Self {
        Self {
            dropout: 0.0,
            word_dropout: 0.0,
            kl: KlTerm::default(),
            loss: CrossEntropy::default(),
            ..self.clone()
        }
    }

    fn scores(model: &SequenceVae, batches: &TextBatches, at: &Moment) -> Scores {
        scores(&model.measure(batches, &mut at.rng()))
    }

    /// Some texts again from their codes, and as many from the prior.
    fn looked_at(
        text: &TextModel<Self>,
        model: &SequenceVae,
        texts: &[&str],
        batches: &TextBatches,
        evaluation: &EvaluationConfig,
        at: &Moment,
    ) -> anyhow::Result<Measured> {
        let measured = model.measure(batches, &mut at.rng());
        let mut scores = scores(&measured);
        if let Some(samples) = evaluation.importance {
            let iw = model.measure_importance(batches, samples, &mut at.rng());
            scores = scores.with("iw_ppl", iw.exp());
        }
        let (count, longest) = (EXAMPLES / 2, text.about.longest);
        let some = texts.iter().step_by((texts.len() / count).max(1)).take(count);
        let some: Vec<&str> = some.copied().collect();
        let again = text.again(model, &some, (&evaluation.search(), longest))?;
        let again = some.iter().zip(again).map(|(text, output)| Example {
            source: (*text).to_owned(),
            output: output.text,
            references: Vec::new(),
        });
        let sampling = Sampling { seed: at.seed, ..Sampling::default() };
        let drawn = text.drawn(model, count, (&Search::Sample(sampling), longest), at)?;
        let examples =
            again.chain(drawn.into_iter().map(|one| Example::unasked(one.text))).collect();
        let latent = measured.latents.map(|latents| latents.report());
        Ok(Measured { scores, unit: Unit::NatsAText, examples, latent })
    }
}

fn scores(measured: &MeasuredTexts) -> Scores {
    Scores::new()
        .with("nll", measured.nll())
        .with("ppl", measured.nll().exp())
        .with("reconstruction", measured.reconstruction_a_text())
        .with("kl", measured.kl_a_text())
}

impl TextModel<SequenceVaeConfig> {
    /// What is written for each of the codes, `[B, Z]`, of at most `longest` tokens; the first of them has
    /// the number `first`, by which is drawn.
    fn written(
        &self,
        model: &SequenceVae,
        codes: Tensor<2>,
        first: u64,
        (search, longest): (&Search, usize),
    ) -> anyhow::Result<Vec<Written>> {
        let rows = codes.dims()[0];
        let numbers: Vec<u64> = (first..first + rows as u64).collect();
        let limits = Limits::at_most(vec![longest; rows]);
        let found = written(&model.generator(codes), search, &limits, &numbers)?;
        let best = found.into_iter().filter_map(|outputs| outputs.into_iter().next());
        let text = |hypothesis: Hypothesis| {
            let text = self.tokenizer.decode(&hypothesis.tokens);
            Written { text, hypothesis }
        };
        Ok(best.map(text).collect())
    }

    /// Every text again, from the mean of its posterior.
    ///
    /// # Errors
    ///
    /// If the search is out of its ranges, or the model does not give numbers.
    pub fn again(
        &self,
        model: &SequenceVae,
        texts: &[&str],
        how: (&Search, usize),
    ) -> anyhow::Result<Vec<Written>> {
        let ids: Vec<Vec<u32>> = texts.iter().map(|text| self.tokenizer.encode(text)).collect();
        let codes = model.encode(&TextBatch::sentences(&ids).targets).mean;
        self.written(model, codes, 0, how)
    }

    /// `count` texts, each for a code from the prior.
    ///
    /// # Errors
    ///
    /// If the search is out of its ranges, or the model does not give numbers.
    pub fn drawn(
        &self,
        model: &SequenceVae,
        count: usize,
        how: (&Search, usize),
        at: &Moment,
    ) -> anyhow::Result<Vec<Written>> {
        let mut rng = at.rng();
        let mut texts = Vec::with_capacity(count);
        while texts.len() < count {
            let codes = model.draw(AT_ONCE.min(count - texts.len()), &mut rng);
            texts.extend(self.written(model, codes, texts.len() as u64, how)?);
        }
        Ok(texts)
    }

    /// `steps` texts on the way from a text to another, both ends included.
    ///
    /// # Errors
    ///
    /// If the search is out of its ranges, or the model does not give numbers.
    ///
    /// # Panics
    ///
    /// If there are fewer than two steps.
    pub fn between(
        &self,
        model: &SequenceVae,
        ends: [&str; 2],
        steps: usize,
        how: (&Search, usize),
    ) -> anyhow::Result<Vec<Written>> {
        let [from, to] = ends.map(|text| self.tokenizer.encode(text));
        self.written(model, model.between([&from, &to], steps), 0, how)
    }
}
