//! A model that writes texts without a source, with all it takes to train, measure and use it.

use std::{fmt::Debug, path::Path};

use anyhow::{Context, bail, ensure};
use burn::prelude::*;
use recurrent_cells::AnyCell;
use recurrent_seq2seq::{
    CrossEntropy, LanguageModel, LanguageModelConfig, TextBatch,
    search::{Limits, Sampling, sample},
};
use recurrent_text::{Pair, Tokenizer};
use recurrent_training::{Learn, Moment, OutOfRange, Scores, validation_loss};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    examples::TextBatches,
    experiment::{EvaluationConfig, Experiment, TokensConfig},
    folder::{ModelFolder, Part},
    report::{Example, Measured},
    task::{Learned, Task, Validation, same_wiring},
    text_to_text::Written,
    tokens::{TokenSource, read_tokenizer},
};

/// What `config.json` calls a language model.
pub const KIND: &str = "language_model";

/// Worked examples after a training.
pub(crate) const EXAMPLES: usize = 10;

/// What `config.json` says of a model that writes texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About<C = LanguageModelConfig> {
    /// Sizes and kinds.
    pub config: C,
    /// Ids.
    pub vocabulary: usize,
    /// The most tokens of a text that the model has learned from.
    pub longest: usize,
}

/// Sizes and kinds of one sort of model that writes texts.
pub trait TextConfig: Clone + Debug + PartialEq + Serialize + DeserializeOwned + 'static {
    /// The model.
    type Model: Learn<Batch = TextBatch>;

    /// What `config.json` calls it.
    const KIND: &'static str;

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    fn validate(&self, vocabulary: usize) -> Result<(), OutOfRange>;

    /// A model as it is drawn.
    fn draw(&self, vocabulary: usize, device: &Device) -> Self::Model;

    /// What decides what weights mean, with the default for all that only says how they are learned.
    fn wiring(&self) -> Self;

    /// What is measured after every epoch.
    fn scores(model: &Self::Model, batches: &TextBatches, at: &Moment) -> Scores;

    /// What is measured in the end of `texts`, which `batches` are of, and what the model writes.
    ///
    /// # Errors
    ///
    /// If it does not give numbers.
    fn looked_at(
        text: &TextModel<Self>,
        model: &Self::Model,
        texts: &[&str],
        batches: &TextBatches,
        evaluation: &EvaluationConfig,
        at: &Moment,
    ) -> anyhow::Result<Measured>;
}

impl TextConfig for LanguageModelConfig {
    type Model = LanguageModel<AnyCell>;
    const KIND: &'static str = KIND;

    fn validate(&self, vocabulary: usize) -> Result<(), OutOfRange> {
        self.validate(vocabulary)
    }

    fn draw(&self, vocabulary: usize, device: &Device) -> LanguageModel<AnyCell> {
        self.init(vocabulary, device)
    }

    fn wiring(&self) -> Self {
        Self { dropout: 0.0, loss: CrossEntropy::default(), ..self.clone() }
    }

    fn scores(model: &LanguageModel<AnyCell>, batches: &TextBatches, at: &Moment) -> Scores {
        validation_loss(model, batches, at).scores()
    }

    fn looked_at(
        text: &TextModel,
        model: &LanguageModel<AnyCell>,
        _: &[&str],
        batches: &TextBatches,
        _: &EvaluationConfig,
        at: &Moment,
    ) -> anyhow::Result<Measured> {
        let sampling = Sampling { seed: at.seed, count: EXAMPLES, ..Sampling::default() };
        let texts = text.write(model, "", &sampling, text.about.longest)?;
        let examples = texts.into_iter().map(|one| Example::unasked(one.text)).collect();
        let scores = Self::scores(model, batches, at);
        Ok(Measured { scores, examples, ..Measured::default() })
    }
}

/// A model that writes texts, and its tokeniser.
#[derive(Clone, Debug)]
pub struct TextModel<C = LanguageModelConfig> {
    /// What it is.
    pub about: About<C>,
    /// Texts to ids and back.
    pub tokenizer: Tokenizer,
}

impl<C: TextConfig> TextModel<C> {
    /// Learns lengths from the targets of `pairs`, and tokens unless there are any.
    ///
    /// # Errors
    ///
    /// If there is no tokeniser, or the model is out of its ranges.
    pub fn learn(
        config: &C,
        (tokens, source): (&TokensConfig, TokenSource),
        pairs: &[Pair],
    ) -> anyhow::Result<Self> {
        let TokensConfig::Shared(tokens) = tokens else {
            bail!("a model without a source has one vocabulary: `tokens` must be `shared`");
        };
        let texts = || pairs.iter().map(|pair| pair.target.as_str());
        let tokenizer = source.tokenizer(tokens, texts(), &[C::KIND])?;
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
    pub fn load(path: &Path, device: &Device) -> anyhow::Result<(Self, C::Model)> {
        let folder = ModelFolder::open(path)?;
        folder.expect_kind(&[C::KIND])?;
        let shown = path.display();
        let about: About<C> = folder.model()?;
        let tokenizer = read_tokenizer(&folder, Part::Tokenizer)?;
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
        folder.describe(C::KIND, &self.about)?;
        Ok(folder.write(Part::Tokenizer, self.tokenizer.to_json().as_bytes())?)
    }

    /// A model as it is drawn.
    pub fn init(&self, device: &Device) -> C::Model {
        self.about.config.draw(self.about.vocabulary, device)
    }

    /// A model with the weights of another one that has the same tokens.
    ///
    /// # Errors
    ///
    /// If the other one is of another kind, has other sizes, or is not whole.
    pub fn init_from(&self, other: &ModelFolder, device: &Device) -> anyhow::Result<C::Model> {
        other.expect_kind(&[C::KIND])?;
        let [here, there] = [&self.about, &other.model()?].map(|about| about.config.wiring());
        same_wiring(&format!("model.{}", C::KIND), &here, &there)?;
        Ok(other.load_weights(self.init(device))?)
    }
}

impl TextModel {
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
    ) -> anyhow::Result<Vec<Written>> {
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
        let written = written.into_iter().flatten();
        let written =
            written.map(|hypothesis| Written { text: text(&hypothesis.tokens), hypothesis });
        Ok(written.collect())
    }
}

/// Text, token by token.
#[derive(Clone, Debug)]
pub struct TextTask<C> {
    text: TextModel<C>,
    experiment: Experiment,
}

impl<C: TextConfig> TextTask<C> {
    /// Learns from what the model is to learn from how long texts are, and tokens unless there are any.
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
        let text = TextModel::learn(config, (experiment.tokens()?, tokens), train)?;
        Ok(Self::of(text, experiment))
    }

    /// Of a model that was trained before.
    pub fn of(text: TextModel<C>, experiment: &Experiment) -> Self {
        Self { text, experiment: experiment.clone() }
    }

    /// The ids of the targets of `pairs`.
    fn ids(&self, pairs: &[Pair]) -> Vec<Vec<u32>> {
        pairs.iter().map(|pair| self.text.tokenizer.encode(&pair.target)).collect()
    }

    /// Batches of all targets of `pairs`, which an error calls `key`: for what is measured.
    fn texts(&self, pairs: &[Pair], key: &str) -> anyhow::Result<TextBatches> {
        TextBatches::of_all(self.ids(pairs), &self.experiment.batches)
            .with_context(|| format!("`{key}` cannot be used"))
    }
}

impl<C: TextConfig> Task for TextTask<C> {
    type Model = C::Model;
    type Set = Vec<Pair>;
    type Batches = TextBatches;

    fn save(&self, folder: &mut ModelFolder) -> anyhow::Result<()> {
        self.text.save(folder)
    }

    fn init(&self, device: &Device) -> C::Model {
        self.text.init(device)
    }

    fn init_from(&self, other: &ModelFolder, device: &Device) -> anyhow::Result<C::Model> {
        self.text.init_from(other, device)
    }

    fn batches(&self, train: &Vec<Pair>) -> anyhow::Result<Learned<TextBatches>> {
        let batches = TextBatches::new(self.ids(train), &self.experiment.batches)
            .context("`data.train` cannot be used")?;
        Ok(Learned { left_out: batches.left_out(), ..batches.into() })
    }

    fn check(&self, test: &Vec<Pair>) -> anyhow::Result<()> {
        self.texts(test, "data.test").map(|_| ())
    }

    fn validation(&self, pairs: &Vec<Pair>) -> anyhow::Result<Validation<C::Model>> {
        let batches = self.texts(pairs, "data.valid")?;
        Ok(Box::new(move |model, at| Ok(C::scores(model, &batches, at))))
    }

    fn report(
        &self,
        model: &C::Model,
        pairs: &Vec<Pair>,
        at: &Moment,
        _: &ModelFolder,
    ) -> anyhow::Result<Measured> {
        let batches = self.texts(pairs, "data.test")?;
        let texts: Vec<&str> = pairs.iter().map(|pair| pair.target.as_str()).collect();
        C::looked_at(&self.text, model, &texts, &batches, &self.experiment.evaluation, at)
    }
}
