//! A sequence-to-sequence model with all it takes to use it: texts in, texts out.

use anyhow::{Context, ensure};
use burn::prelude::*;
use recurrent_cells::AnyCell;
use recurrent_seq2seq::{
    Seq2Seq, Seq2SeqConfig,
    search::{Hypothesis, LengthRatio},
};
use recurrent_text::{Group, Pair, TokenizerConfig, UNK};
use recurrent_training::Scores;
use serde::{Deserialize, Serialize};

use crate::{
    decode::{Decoding, Search},
    examples::{Examples, Tokenizers},
    experiment::TokensConfig,
    folder::ModelFolder,
    metric::Metric,
};

/// What `config.json` calls a sequence-to-sequence model.
pub const KIND: &str = "seq2seq";

/// What `config.json` says of a sequence-to-sequence model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Sizes and kinds.
    pub config: Seq2SeqConfig,
    /// Ids of the source and of the target.
    pub vocabulary: [usize; 2],
    /// How long outputs get.
    pub length_ratio: LengthRatio,
    /// The most tokens of a source that the model has learned from.
    pub longest_source: usize,
}

/// A model that turns texts into texts, and its tokenisers.
#[derive(Clone, Debug)]
pub struct TextToText {
    /// What it is.
    pub about: About,
    /// Texts to ids and back.
    pub tokenizers: Tokenizers,
}

/// A text that a model has written, and how.
#[derive(Clone, Debug)]
pub struct Written {
    /// The text.
    pub text: String,
    /// The ids and what search knows about them.
    pub hypothesis: Hypothesis,
}

impl TextToText {
    /// Learns tokens and lengths from the pairs that the model is to learn from.
    ///
    /// # Errors
    ///
    /// If tokenisers cannot be made of the pairs, or the model is out of its ranges.
    pub fn learn(
        config: &Seq2SeqConfig,
        tokens: &TokensConfig,
        pairs: &[Pair],
    ) -> anyhow::Result<Self> {
        ensure!(
            pairs.iter().any(|pair| !pair.source.is_empty()),
            "`data.train` has no sources: a sequence-to-sequence model learns from pairs"
        );
        let tokenizers = learn_tokenizers(tokens, pairs)?;
        let examples = Examples::new(pairs, &tokenizers);
        let about = About {
            config: config.clone(),
            vocabulary: tokenizers.sizes(),
            length_ratio: examples.length_ratio().context("`data.train` has no pairs")?,
            longest_source: examples.longest_source(),
        };
        config.validate(about.vocabulary)?;
        Ok(Self { about, tokenizers })
    }

    /// What a folder says of its model, without the weights.
    ///
    /// # Errors
    ///
    /// If the folder is of another kind of model, or its files do not fit together.
    pub fn open(folder: &ModelFolder) -> anyhow::Result<Self> {
        let kind = folder.kind().unwrap_or_default();
        let path = folder.path().display();
        ensure!(kind == KIND, "{path} holds a model of the kind `{kind}`, needed is `{KIND}`");
        let about: About = folder.model()?;
        let tokenizers = Tokenizers::open(folder)?;
        let (described, found) = (about.vocabulary, tokenizers.sizes());
        ensure!(
            described == found,
            "{path}: config.json is of vocabularies of {described:?} ids, the tokenisers have {found:?}"
        );
        about.config.validate(found).with_context(|| format!("{path}/config.json"))?;
        Ok(Self { about, tokenizers })
    }

    /// A model and its weights from a folder.
    ///
    /// # Errors
    ///
    /// If a file of it is missing, damaged, or does not fit the others.
    pub fn load(
        path: &std::path::Path,
        device: &Device,
    ) -> anyhow::Result<(Self, Seq2Seq<AnyCell>)> {
        let folder = ModelFolder::open(path)?;
        let model = Self::open(&folder)?;
        let weights = folder.load_weights(model.init(device))?;
        Ok((model, weights))
    }

    /// Writes everything but the weights.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, folder: &mut ModelFolder) -> anyhow::Result<()> {
        folder.describe(KIND, &self.about)?;
        self.tokenizers.save(folder)
    }

    /// A model as it is drawn.
    pub fn init(&self, device: &Device) -> Seq2Seq<AnyCell> {
        self.about.config.init(self.about.vocabulary, device)
    }

    /// What the models write for `sources`, best first. What is drawn for a source depends on its
    /// number.
    ///
    /// # Errors
    ///
    /// If the search is out of its ranges, or a model does not give numbers.
    pub fn write(
        &self,
        models: &[Seq2Seq<AnyCell>],
        sources: &[(u64, &str)],
        search: Search,
    ) -> anyhow::Result<Vec<Vec<Written>>> {
        let encode =
            |(number, text): &(u64, &str)| (*number, self.tokenizers.source().encode(text));
        let ids: Vec<(u64, Vec<u32>)> = sources.iter().map(encode).collect();
        let decoding = Decoding { models, ratio: self.about.length_ratio, search };
        let found = decoding.outputs(&ids)?.into_iter();
        let written = found.map(|hypotheses| {
            hypotheses.into_iter().map(|hypothesis| Written {
                text: self.tokenizers.target().decode(&hypothesis.tokens),
                hypothesis,
            })
        });
        Ok(written.map(Iterator::collect).collect())
    }

    /// What the models write for the source of every group, and `scores` with what `metrics` say of
    /// it.
    ///
    /// # Errors
    ///
    /// If the search is out of its ranges, or there is nothing to measure.
    pub fn measure(
        &self,
        models: &[Seq2Seq<AnyCell>],
        groups: &[Group],
        search: Search,
        metrics: &[Metric],
        scores: Scores,
    ) -> anyhow::Result<(Vec<Vec<Written>>, Scores)> {
        let sources = groups.iter().zip(0..).map(|(group, n)| (n, group.source.as_str()));
        let written = self.write(models, &sources.collect::<Vec<_>>(), search)?;
        let scores = self.score(groups.iter().zip(&written), metrics, scores)?;
        Ok((written, scores))
    }

    /// `scores` with what `metrics` say of the best output of every group.
    ///
    /// # Errors
    ///
    /// If there is nothing to measure.
    pub fn score<'a>(
        &self,
        written: impl Iterator<Item = (&'a Group, &'a Vec<Written>)>,
        metrics: &[Metric],
        scores: Scores,
    ) -> anyhow::Result<Scores> {
        let normalize = |text: &String| self.tokenizers.target().normalize(text);
        let (outputs, references): (Vec<String>, Vec<Vec<String>>) = written
            .map(|(group, written)| {
                (written[0].text.clone(), group.targets.iter().map(normalize).collect())
            })
            .unzip();
        metrics.iter().try_fold(scores, |scores, metric| {
            Ok(scores.with(metric.name(), metric.measure(&outputs, &references)?))
        })
    }

    /// The tokens of a source as they are shown, `</s>` included.
    pub fn source_tokens(&self, text: &str) -> Vec<String> {
        shown(&self.tokenizers.source().encode(text), self.tokenizers.source())
    }

    /// The tokens of an output as they are shown, `</s>` included.
    pub fn target_tokens(&self, ids: &[u32]) -> Vec<String> {
        shown(ids, self.tokenizers.target())
    }

    /// The parts of a source that the model has never seen.
    pub fn unknown(&self, text: &str) -> usize {
        self.tokenizers.source().encode(text).into_iter().filter(|id| *id == UNK).count()
    }
}

fn shown(ids: &[u32], tokenizer: &recurrent_text::Tokenizer) -> Vec<String> {
    let token = |id: &u32| tokenizer.vocabulary().token(*id).unwrap_or_default().to_owned();
    ids.iter().map(token).chain(["</s>".to_owned()]).collect()
}

fn learn_tokenizers(tokens: &TokensConfig, pairs: &[Pair]) -> anyhow::Result<Tokenizers> {
    let sources = || pairs.iter().map(|pair| pair.source.as_str());
    let targets = || pairs.iter().map(|pair| pair.target.as_str());
    let train = |key: &str, config: &TokenizerConfig, texts: &mut dyn Iterator<Item = &str>| {
        config.train(texts).with_context(|| format!("`{key}`"))
    };
    match tokens {
        TokensConfig::Shared(config) => {
            let both = train("tokens.shared", config, &mut sources().chain(targets()))?;
            Ok(Tokenizers::Shared(both))
        }
        TokensConfig::Separate { source, target } => Ok(Tokenizers::Separate {
            source: train("tokens.separate.source", source, &mut sources())?,
            target: train("tokens.separate.target", target, &mut targets())?,
        }),
    }
}
