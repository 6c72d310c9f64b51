//! What is different between kinds of models when they are trained from a configuration.

use anyhow::bail;
use burn::prelude::*;
use recurrent_seq2seq::Translator;
use recurrent_text::{Group, Pair, group_references};
use recurrent_training::{Batches, Learn, Moment, Scores, validation_loss};
use serde::Serialize;

use crate::{
    any_translator::TranslatorConfig,
    data::ExampleSet,
    decode::Search,
    dialogue_files::CutTurns,
    examples::PairBatches,
    experiment::Experiment,
    folder::ModelFolder,
    metric::Metric,
    picture,
    report::{Example, Measured},
    settings::{self, Difference},
    text_to_text::{TextToText, Written},
    tokens::TokenSource,
};

/// Worked examples after a training.
const EXAMPLES: usize = 10;

/// Pictures of attention after a training.
const PICTURES: usize = 5;

/// What validation does with a model at the end of an epoch.
pub type Validation<M> =
    Box<dyn FnMut(&M, &Moment) -> Result<Scores, Box<dyn std::error::Error + Send + Sync>>>;

/// What a model learns from.
#[derive(Clone, Debug)]
pub struct Learned<B> {
    /// All of it.
    pub batches: B,
    /// Examples that are too long and were left out.
    pub left_out: usize,
    /// What of turns was cut; none where nothing can be.
    pub cut: Option<CutTurns>,
}

impl<B> From<B> for Learned<B> {
    fn from(batches: B) -> Self {
        Self { batches, left_out: 0, cut: None }
    }
}

/// A kind of model, with its data turned into ids.
pub trait Task {
    /// The model.
    type Model: Learn;

    /// Examples, as files have them.
    type Set: ExampleSet;

    /// Batches of what it learns from.
    type Batches: Batches<Batch = <Self::Model as Learn>::Batch>;

    /// Writes everything but the weights into a model folder.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    fn save(&self, folder: &mut ModelFolder) -> anyhow::Result<()>;

    /// A model as it is drawn.
    fn init(&self, device: &Device) -> Self::Model;

    /// A model with the weights of another one that has the same tokens.
    ///
    /// # Errors
    ///
    /// If the other one is of another kind or has other sizes, or is not whole.
    fn init_from(&self, other: &ModelFolder, device: &Device) -> anyhow::Result<Self::Model>;

    /// Batches of the examples that the model learns from.
    ///
    /// # Errors
    ///
    /// If batches cannot be made of them.
    fn batches(&self, train: &Self::Set) -> anyhow::Result<Learned<Self::Batches>>;

    /// What is measured on `valid` at the end of every epoch.
    ///
    /// # Errors
    ///
    /// If it cannot be measured on them.
    fn validation(&self, valid: &Self::Set) -> anyhow::Result<Validation<Self::Model>>;

    /// Whether [`report`](Self::report) can be made of `test`: found out before training.
    ///
    /// # Errors
    ///
    /// If it cannot.
    fn check(&self, _test: &Self::Set) -> anyhow::Result<()> {
        Ok(())
    }

    /// What is measured on `test` in the end, and what is worth looking at: pictures go into the
    /// folder.
    ///
    /// # Errors
    ///
    /// If something cannot be measured or written.
    fn report(
        &self,
        model: &Self::Model,
        test: &Self::Set,
        at: &Moment,
        folder: &ModelFolder,
    ) -> anyhow::Result<Measured>;
}

/// Refuses weights of another wiring than `here`: shapes alone do not tell all of them apart. `path` is
/// where the configuration has it, such as `model.vae`.
///
/// # Errors
///
/// Names the first key that is different.
pub fn same_wiring<C: Serialize>(path: &str, here: &C, there: &C) -> anyhow::Result<()> {
    match settings::first_difference(here, there)? {
        None => Ok(()),
        Some(Difference { key, first, second }) => {
            bail!("`{path}.{key}` is {second} there and {first} here")
        }
    }
}

/// From a text to another.
#[derive(Clone, Debug)]
pub struct Translation<C> {
    config: C,
    texts: TextToText,
    experiment: Experiment,
}

impl<C: TranslatorConfig> Translation<C> {
    /// Learns from what the model is to learn from how long outputs are, and tokens unless there are any.
    ///
    /// # Errors
    ///
    /// If the model or the tokens do not fit the data.
    pub fn new(
        config: &C,
        experiment: &Experiment,
        train: &[Pair],
        tokens: TokenSource,
    ) -> anyhow::Result<Self> {
        let (architecture, languages) = (config.clone().into(), experiment.data.languages()?);
        let tokens = (experiment.tokens()?, tokens);
        let texts = TextToText::learn(architecture, tokens, &languages, train)?;
        Ok(Self { config: config.clone(), texts, experiment: experiment.clone() })
    }
}

impl<C: TranslatorConfig> Task for Translation<C> {
    type Model = C::Model;
    type Set = Vec<Pair>;
    type Batches = PairBatches;

    fn save(&self, folder: &mut ModelFolder) -> anyhow::Result<()> {
        self.texts.save(folder)
    }

    fn init(&self, device: &Device) -> Self::Model {
        self.config.draw(self.texts.about.vocabulary, device)
    }

    fn init_from(&self, other: &ModelFolder, device: &Device) -> anyhow::Result<Self::Model> {
        let there = TextToText::open(other)?;
        let [here, there] = [&self.texts, &there].map(|texts| texts.about.config.wiring());
        same_wiring("model", &here, &there)?;
        Ok(other.load_weights(self.init(device))?)
    }

    fn batches(&self, train: &Vec<Pair>) -> anyhow::Result<Learned<PairBatches>> {
        let batches = self.texts.batches(train, &self.experiment.batches, "data.train")?;
        Ok(Learned { left_out: batches.left_out(), ..batches.into() })
    }

    fn check(&self, test: &Vec<Pair>) -> anyhow::Result<()> {
        self.texts.all_batches(test, &self.experiment.batches, "data.test").map(|_| ())
    }

    fn validation(&self, pairs: &Vec<Pair>) -> anyhow::Result<Validation<Self::Model>> {
        let batches = self.texts.all_batches(pairs, &self.experiment.batches, "data.valid")?;
        let mut groups = group_references(pairs);
        if let Some(count) = self.experiment.evaluation.valid_outputs {
            groups = evenly(groups, count);
        }
        let (texts, metrics) = (self.texts.clone(), self.experiment.evaluation.metrics.clone());
        Ok(Box::new(move |model, at| {
            let scores = validation_loss(model, &batches, at).scores();
            if metrics.is_empty() {
                return Ok(scores);
            }
            let models = std::slice::from_ref(model);
            Ok(texts.measure(models, &groups, Search::Greedy, &metrics, scores)?.1)
        }))
    }

    fn report(
        &self,
        model: &Self::Model,
        pairs: &Vec<Pair>,
        at: &Moment,
        folder: &ModelFolder,
    ) -> anyhow::Result<Measured> {
        let evaluation = &self.experiment.evaluation;
        let batches = self.texts.all_batches(pairs, &self.experiment.batches, "data.test")?;
        let scores = validation_loss(model, &batches, at).scores();
        let models = std::slice::from_ref(model);
        let how = (evaluation.search(), evaluation.metrics.as_slice());
        let (measured, groups, outputs) = measured(&self.texts, models, pairs, how, scores)?;
        for (n, (group, written)) in spread(&groups, &outputs, PICTURES).enumerate() {
            if let Some(svg) = attention(&self.texts, &group.source, &written[0])? {
                folder.write_picture(&format!("attention-{}", n + 1), &svg)?;
            }
        }
        Ok(measured)
    }
}

/// What `models` write for all sources of `pairs`, and how good that is.
///
/// # Errors
///
/// If the search is out of its ranges, or there is nothing to measure.
pub fn measured<M: Translator>(
    texts: &TextToText,
    models: &[M],
    pairs: &[Pair],
    (search, metrics): (Search, &[Metric]),
    scores: Scores,
) -> anyhow::Result<(Measured, Vec<Group>, Vec<Vec<Written>>)> {
    let groups = group_references(pairs);
    let (outputs, scores) = texts.measure(models, &groups, search, metrics, scores)?;
    let example = |(group, written): (&Group, &Vec<Written>)| Example {
        source: group.source.clone(),
        output: written[0].text.clone(),
        references: group.targets.clone(),
    };
    let examples = spread(&groups, &outputs, EXAMPLES).map(example).collect();
    Ok((Measured { scores, examples, ..Measured::default() }, groups, outputs))
}

/// `count` of `groups`, or all if there are no more, from the first to the last: each pair of languages
/// has its share.
fn evenly(groups: Vec<Group>, count: usize) -> Vec<Group> {
    let all = groups.len();
    let picked = |n: &usize| n * count / all != (n + 1) * count / all || count >= all;
    groups.into_iter().enumerate().filter(|(n, _)| picked(n)).map(|(_, group)| group).collect()
}

/// `count` of `groups` and their outputs, at equal distances.
fn spread<'a>(
    groups: &'a [Group],
    outputs: &'a [Vec<Written>],
    count: usize,
) -> impl Iterator<Item = (&'a Group, &'a Vec<Written>)> {
    let step = (groups.len() / count).max(1);
    groups.iter().zip(outputs).step_by(step).take(count)
}

/// A picture of where a model looked; none if it does not look.
///
/// # Errors
///
/// If it cannot be drawn.
pub fn attention(
    texts: &TextToText,
    source: &str,
    written: &Written,
) -> Result<Option<String>, picture::PictureError> {
    let hypothesis = &written.hypothesis;
    if hypothesis.weights.is_empty() {
        return Ok(None);
    }
    let read = texts.source_tokens(source);
    let wrote = texts.target_tokens(&hypothesis.tokens);
    picture::attention_map(&read, &wrote, &hypothesis.weights).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_picked_evenly() {
        let groups = |count: usize| -> Vec<Group> {
            let group = |n: usize| Group { source: n.to_string(), targets: Vec::new() };
            (0..count).map(group).collect()
        };
        for (all, count) in [(10, 3), (10, 10), (10, 20), (7, 1), (1000, 800), (0, 5)] {
            let picked = evenly(groups(all), count);
            assert_eq!(picked.len(), count.min(all), "{count} of {all}");
            let numbers = picked.iter().map(|group| group.source.parse::<usize>().unwrap());
            let numbers: Vec<usize> = numbers.collect();
            let gaps: Vec<usize> = numbers.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let (least, most) = (gaps.iter().min(), gaps.iter().max());
            assert!(least.zip(most).is_none_or(|(least, most)| most - least <= 1), "{numbers:?}");
        }
    }
}
