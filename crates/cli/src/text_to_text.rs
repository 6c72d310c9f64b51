//! A model that turns texts into texts with all it takes to use it.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use burn::prelude::*;
use recurrent_seq2seq::{
    Translator,
    search::{Hypothesis, LengthRatio},
};
use recurrent_text::{Bucketing, Group, Pair, TargetLanguages, TokenizerConfig, UNK};
use recurrent_training::Scores;
use serde::{Deserialize, Serialize};

use crate::{
    any_translator::{AnyTranslator, Architecture},
    decode::{Decoding, Search},
    examples::{Examples, PairBatches, Tokenizers},
    experiment::TokensConfig,
    folder::ModelFolder,
    metric::Metric,
    tokens::TokenSource,
};

/// What `config.json` says of a model that turns texts into texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About<C = Architecture> {
    /// Sizes and kinds.
    pub config: C,
    /// Ids of the source and of the target.
    pub vocabulary: [usize; 2],
    /// How long outputs get.
    pub length_ratio: LengthRatio,
    /// The most tokens of a source that the model has learned from.
    pub longest_source: usize,
    /// The languages that the model can be asked for; none where it is of one pair.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
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

impl<C> About<C> {
    fn with_config<D>(self, change: impl FnOnce(C) -> D) -> About<D> {
        let Self { config, vocabulary, length_ratio, longest_source, languages } = self;
        About { config: change(config), vocabulary, length_ratio, longest_source, languages }
    }
}

impl TextToText {
    /// Learns lengths from the pairs that the model is to learn from, and tokens unless there are any.
    ///
    /// # Errors
    ///
    /// If there are no tokenisers, they do not know all `languages`, or the model is out of its ranges.
    pub fn learn(
        config: Architecture,
        (tokens, source): (&TokensConfig, TokenSource),
        languages: &TargetLanguages,
        pairs: &[Pair],
    ) -> anyhow::Result<Self> {
        ensure!(
            pairs.iter().any(|pair| !pair.source.is_empty()),
            "`data.train` has no sources: a sequence-to-sequence model learns from pairs"
        );
        let (tokenizers, languages, longest) = match source {
            TokenSource::Data => {
                let tokenizers = learn_tokenizers(tokens, languages, pairs)?;
                (tokenizers, languages.codes().to_vec(), 0)
            }
            TokenSource::Model(folder) => {
                let Self { about, tokenizers } = Self::open(folder)?;
                all_known(languages.codes(), &about.languages, folder)?;
                (tokenizers, about.languages, about.longest_source)
            }
        };
        let examples = Examples::new(pairs, &tokenizers);
        let about = About {
            config,
            vocabulary: tokenizers.sizes(),
            length_ratio: examples.length_ratio().context("`data.train` has no pairs")?,
            longest_source: examples.longest_source().max(longest),
            languages,
        };
        about.config.validate(about.vocabulary)?;
        Ok(Self { about, tokenizers })
    }

    /// What a folder says of its model, without the weights.
    ///
    /// # Errors
    ///
    /// If the folder is of another kind of model, or its files do not fit together.
    pub fn open(folder: &ModelFolder) -> anyhow::Result<Self> {
        let path = folder.path().display();
        let about = match folder.kind() {
            Some(Architecture::SEQ2SEQ) => {
                About::with_config(folder.model()?, Architecture::Seq2seq)
            }
            Some(Architecture::GNMT) => About::with_config(folder.model()?, Architecture::Gnmt),
            Some(Architecture::QUANTIZED_GNMT) => {
                About::with_config(folder.model()?, Architecture::QuantizedGnmt)
            }
            kind => bail!(
                "{path} holds a model of the kind `{}`, needed is one that turns texts into texts: {}",
                kind.unwrap_or_default(),
                [Architecture::SEQ2SEQ, Architecture::GNMT, Architecture::QUANTIZED_GNMT]
                    .map(|kind| format!("`{kind}`"))
                    .join(", ")
            ),
        };
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
    pub fn load(path: &Path, device: &Device) -> anyhow::Result<(Self, AnyTranslator)> {
        let folder = ModelFolder::open(path)?;
        let texts = Self::open(&folder)?;
        let model = texts.about.config.load(texts.about.vocabulary, &folder, device)?;
        Ok((texts, model))
    }

    /// Writes everything but the weights.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, folder: &mut ModelFolder) -> anyhow::Result<()> {
        let about = self.about.clone();
        match &self.about.config {
            Architecture::Seq2seq(config) => {
                folder.describe(Architecture::SEQ2SEQ, &about.with_config(|_| config))?;
            }
            Architecture::Gnmt(config) => {
                folder.describe(Architecture::GNMT, &about.with_config(|_| config))?;
            }
            Architecture::QuantizedGnmt(config) => {
                folder.describe(Architecture::QUANTIZED_GNMT, &about.with_config(|_| config))?;
            }
        }
        self.tokenizers.save(folder)
    }

    /// Batches of `pairs`, which an error calls `key`.
    ///
    /// # Errors
    ///
    /// If batches cannot be made of them.
    pub fn batches(
        &self,
        pairs: &[Pair],
        bucketing: &Bucketing,
        key: &str,
    ) -> anyhow::Result<PairBatches> {
        let examples = Examples::new(pairs, &self.tokenizers);
        PairBatches::new(examples, bucketing).with_context(|| format!("`{key}` cannot be used"))
    }

    /// Batches of all of `pairs`, however long, which an error calls `key`: for what is measured.
    ///
    /// # Errors
    ///
    /// If batches cannot be made of them.
    pub fn all_batches(
        &self,
        pairs: &[Pair],
        bucketing: &Bucketing,
        key: &str,
    ) -> anyhow::Result<PairBatches> {
        let examples = Examples::new(pairs, &self.tokenizers);
        PairBatches::of_all(examples, bucketing).with_context(|| format!("`{key}` cannot be used"))
    }

    /// What the models write for `sources`, best first. What is drawn for a source depends on its
    /// number.
    ///
    /// # Errors
    ///
    /// If the search is out of its ranges, or a model does not give numbers.
    pub fn write<M: Translator>(
        &self,
        models: &[M],
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

    /// The languages that the model, which an error calls `name`, can be asked for; none of a model of
    /// one pair, which is asked for nothing. `--to` says which one it is asked for.
    ///
    /// # Errors
    ///
    /// If `--to` is none of them, or is missing where there are any.
    pub fn languages(
        &self,
        name: &Path,
        to: Option<&String>,
    ) -> anyhow::Result<Option<TargetLanguages>> {
        let (name, known) = (name.display(), &self.about.languages);
        match to {
            None if known.is_empty() => Ok(None),
            None => bail!("{name} writes {}: say which with --to", known.join(", ")),
            Some(to) if known.is_empty() => {
                bail!("--to {to}: {name} is a model of one pair of languages")
            }
            Some(to) if !known.contains(to) => {
                bail!("--to {to}: {name} does not write it, only {}", known.join(", "))
            }
            Some(_) => Ok(Some(TargetLanguages::new(known)?)),
        }
    }

    /// What the models write in `language` for `sources`, best first.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and if the language is none of the model's or a source has the token of
    /// one in it.
    pub fn write_in<M: Translator>(
        &self,
        models: &[M],
        sources: &[String],
        language: &str,
        search: &Search,
    ) -> anyhow::Result<Vec<Vec<Written>>> {
        let languages = TargetLanguages::new(&self.about.languages)?;
        let asked = sources.iter().enumerate().map(|(n, source)| {
            let asked = languages.ask(language, source);
            asked.with_context(|| format!("source {}", n + 1))
        });
        let asked: Vec<String> = asked.collect::<anyhow::Result<_>>()?;
        let numbered: Vec<(u64, &str)> = (0..).zip(asked.iter().map(String::as_str)).collect();
        self.write(models, &numbered, search.clone())
    }

    /// What the models write for the source of every group, and `scores` with what `metrics` say of
    /// it.
    ///
    /// # Errors
    ///
    /// If the search is out of its ranges, or there is nothing to measure.
    pub fn measure<M: Translator>(
        &self,
        models: &[M],
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

    /// Tokens that stand in front of every source to ask for a language: that of the language, and where blanks
    /// are tokens the one behind it; none in a model of one pair.
    pub fn asks(&self) -> usize {
        let Some(language) = self.about.languages.first() else { return 0 };
        let tokens = |text: &str| self.tokenizers.source().encode(text).len();
        tokens(&format!("<2{language}> a")) - tokens("a")
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

/// Tokens as they are shown, with `</s>` behind them.
pub(crate) fn shown(ids: &[u32], tokenizer: &recurrent_text::Tokenizer) -> Vec<String> {
    let token = |id: &u32| tokenizer.vocabulary().token(*id).unwrap_or_default().to_owned();
    ids.iter().map(token).chain(["</s>".to_owned()]).collect()
}

/// Refuses languages that the tokens of a model do not know, and one pair where it is of several.
fn all_known(asked: &[String], known: &[String], folder: &ModelFolder) -> anyhow::Result<()> {
    let path = folder.path().display();
    match asked.iter().find(|code| !known.contains(code)) {
        Some(code) if known.is_empty() => {
            bail!("`data.pairs` asks for `{code}`: {path} is a model of one pair of languages")
        }
        Some(code) => {
            bail!(
                "`data.pairs` asks for `{code}`: {path} does not write it, only {}",
                known.join(", ")
            )
        }
        None if asked.is_empty() && !known.is_empty() => {
            bail!("`data.pairs` is missing: {path} writes {}", known.join(", "))
        }
        None => Ok(()),
    }
}

fn learn_tokenizers(
    tokens: &TokensConfig,
    languages: &TargetLanguages,
    pairs: &[Pair],
) -> anyhow::Result<Tokenizers> {
    let sources = || pairs.iter().map(|pair| pair.source.as_str());
    let targets = || pairs.iter().map(|pair| pair.target.as_str());
    let train = |key: &str, config: &TokenizerConfig, texts: &mut dyn Iterator<Item = &str>| {
        config.train(texts).with_context(|| format!("`{key}`"))
    };
    match tokens {
        TokensConfig::Shared(config) => {
            let mut config = config.clone();
            config.extra.extend(languages.tokens());
            let both = train("tokens.shared", &config, &mut sources().chain(targets()))?;
            Ok(Tokenizers::Shared(both))
        }
        TokensConfig::Separate { source, target } => Ok(Tokenizers::Separate {
            source: train("tokens.separate.source", source, &mut sources())?,
            target: train("tokens.separate.target", target, &mut targets())?,
        }),
    }
}
