//! A language model with all it takes to use it.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use burn::prelude::*;
use recurrent_cells::AnyCell;
use recurrent_seq2seq::{
    LanguageModel, LanguageModelConfig,
    search::{Limits, Sampling, sample},
};
use recurrent_text::{Pair, Tokenizer};
use serde::{Deserialize, Serialize};

use crate::{
    experiment::TokensConfig,
    folder::{ModelFolder, Part},
};

/// What `config.json` calls a language model.
pub const KIND: &str = "language_model";

/// What `config.json` says of a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Sizes and kinds.
    pub config: LanguageModelConfig,
    /// Ids.
    pub vocabulary: usize,
    /// The most tokens of a text that the model has learned from.
    pub longest: usize,
}

/// A model that writes texts, and its tokeniser.
#[derive(Clone, Debug)]
pub struct TextModel {
    /// What it is.
    pub about: About,
    /// Texts to ids and back.
    pub tokenizer: Tokenizer,
}

impl TextModel {
    /// Learns tokens and lengths from the targets of `pairs`.
    ///
    /// # Errors
    ///
    /// If a tokeniser cannot be made of them, or the model is out of its ranges.
    pub fn learn(
        config: &LanguageModelConfig,
        tokens: &TokensConfig,
        pairs: &[Pair],
    ) -> anyhow::Result<Self> {
        let TokensConfig::Shared(tokens) = tokens else {
            bail!("a language model has one vocabulary: `tokens` must be `shared`");
        };
        let texts = || pairs.iter().map(|pair| pair.target.as_str());
        let tokenizer = tokens.train(texts()).context("`tokens.shared`")?;
        let longest = texts().map(|text| tokenizer.encode(text).len()).max().unwrap_or(0);
        let about = About { config: config.clone(), vocabulary: tokenizer.size(), longest };
        config.validate(about.vocabulary)?;
        Ok(Self { about, tokenizer })
    }

    /// A model and its weights from a folder.
    ///
    /// # Errors
    ///
    /// If a file of it is missing, damaged, or does not fit the others, or it is of another kind.
    pub fn load(path: &Path, device: &Device) -> anyhow::Result<(Self, LanguageModel<AnyCell>)> {
        let folder = ModelFolder::open(path)?;
        folder.expect_kind(&[KIND])?;
        let shown = path.display();
        let about: About = folder.model()?;
        let name = || format!("{shown}/{}", Part::Tokenizer.file_name());
        let tokenizer =
            Tokenizer::from_json(&folder.read_text(Part::Tokenizer)?).with_context(name)?;
        let (described, found) = (about.vocabulary, tokenizer.size());
        ensure!(
            described == found,
            "{shown}: config.json is of a vocabulary of {described} ids, the tokeniser has {found}"
        );
        about.config.validate(found).with_context(|| format!("{shown}/config.json"))?;
        let model = Self { about, tokenizer };
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
        Ok(folder.write(Part::Tokenizer, self.tokenizer.to_json().as_bytes())?)
    }

    /// A model as it is drawn.
    pub fn init(&self, device: &Device) -> LanguageModel<AnyCell> {
        self.about.config.init(self.about.vocabulary, device)
    }

    /// Texts that go on from `prompt`, which is not repeated, of at most `longest` tokens each.
    ///
    /// # Errors
    ///
    /// If the sampling is out of its ranges, or the model does not give numbers.
    pub fn write(
        &self,
        model: &LanguageModel<AnyCell>,
        prompt: &str,
        sampling: &Sampling,
        longest: usize,
    ) -> anyhow::Result<Vec<String>> {
        let read = self.tokenizer.encode(prompt);
        let generator = model.generator(1).with_prompt(&read);
        let written = sample(&generator, sampling, &Limits::at_most(vec![longest]))?;
        // What stands between prompt and text, a blank say, is there only if both are read at once.
        let shown = self.tokenizer.decode(&read);
        let text = |tokens: &[u32]| {
            let whole = self.tokenizer.decode(&[&read, tokens].concat());
            let rest = whole.strip_prefix(&shown).map(str::to_owned);
            rest.unwrap_or_else(|| self.tokenizer.decode(tokens))
        };
        Ok(written.iter().flatten().map(|found| text(&found.tokens)).collect())
    }
}
