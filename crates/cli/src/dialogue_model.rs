//! A model of conversations with all it takes to train, measure and talk to it.

use std::fmt::Debug;

use anyhow::{Context, bail, ensure};
use burn::prelude::*;
use recurrent_generative::{
    DialogueModel, DialogueOrder, Dialogues, Hred, HredConfig, KlTerm, Latent, MeasuredTexts, Turn,
    Vhred, VhredConfig,
};
use recurrent_seq2seq::{
    CrossEntropy,
    search::{Hypothesis, Limits},
};
use recurrent_text::{Dialogue, Tokenizer};
use recurrent_training::{Moment, OutOfRange, Scores};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    decode::{Search, written},
    dialogue_files::{CutTurns, DialoguesConfig},
    experiment::{EvaluationConfig, Experiment, TokensConfig},
    folder::{ModelFolder, Part},
    gallery, latent_pictures,
    replies::{self, Replies},
    report::{Example, Measured, Unit},
    task::{Learned, Task, Validation, same_wiring},
    tokens::{TokenSource, read_tokenizer},
};

/// What `config.json` calls a hierarchical encoder–decoder.
pub const HRED: &str = "hred";

/// What it calls one with a latent variable.
pub const VHRED: &str = "vhred";

/// Worked examples after a training.
const EXAMPLES: usize = 10;

/// The most tokens of a reply, if nothing else is said.
pub const LONGEST: usize = 40;

/// What `config.json` says of a model of conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About<C> {
    /// Sizes and kinds.
    pub config: C,
    /// Ids.
    pub vocabulary: usize,
}

/// Sizes and kinds of one sort of model of conversations.
pub trait DialogueConfig:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + 'static
{
    /// The model.
    type Model: DialogueModel;

    /// What `config.json` calls it.
    const KIND: &'static str;

    /// The kinds of models that it can begin with.
    const BEGINS_WITH: &'static [&'static str];

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

    /// A model that begins with what another folder holds.
    ///
    /// # Errors
    ///
    /// If its weights are of no use to this one.
    fn begin_with(
        &self,
        folder: &ModelFolder,
        vocabulary: usize,
        device: &Device,
    ) -> anyhow::Result<Self::Model>;

    /// What is measured in the end beside `measured`, which is measured after every epoch.
    fn more_scores(
        model: &Self::Model,
        measured: &MeasuredTexts,
        batches: &Dialogues,
        evaluation: &EvaluationConfig,
        at: &Moment,
    ) -> Scores;
}

impl DialogueConfig for HredConfig {
    type Model = Hred;
    const KIND: &'static str = HRED;
    const BEGINS_WITH: &'static [&'static str] = &[HRED];

    fn validate(&self, vocabulary: usize) -> Result<(), OutOfRange> {
        self.validate(vocabulary)
    }

    fn draw(&self, vocabulary: usize, device: &Device) -> Hred {
        self.init(vocabulary, device)
    }

    fn wiring(&self) -> Self {
        let loss = CrossEntropy::default();
        Self { dropout: 0.0, word_dropout: 0.0, loss, ..self.clone() }
    }

    fn begin_with(
        &self,
        folder: &ModelFolder,
        vocabulary: usize,
        device: &Device,
    ) -> anyhow::Result<Hred> {
        folder.expect_kind(Self::BEGINS_WITH)?;
        let there: About<Self> = folder.model()?;
        same_wiring("model.hred", &self.wiring(), &there.config.wiring())?;
        Ok(folder.load_weights(self.draw(vocabulary, device))?)
    }

    fn more_scores(
        _: &Hred,
        _: &MeasuredTexts,
        _: &Dialogues,
        _: &EvaluationConfig,
        _: &Moment,
    ) -> Scores {
        Scores::new()
    }
}

impl DialogueConfig for VhredConfig {
    type Model = Vhred;
    const KIND: &'static str = VHRED;
    const BEGINS_WITH: &'static [&'static str] = &[VHRED, HRED];

    fn validate(&self, vocabulary: usize) -> Result<(), OutOfRange> {
        self.validate(vocabulary)
    }

    fn draw(&self, vocabulary: usize, device: &Device) -> Vhred {
        self.init(vocabulary, device)
    }

    fn wiring(&self) -> Self {
        Self { hred: self.hred.wiring(), kl: KlTerm::default(), ..self.clone() }
    }

    /// From a model of its own kind, or from one without a latent variable.
    fn begin_with(
        &self,
        folder: &ModelFolder,
        vocabulary: usize,
        device: &Device,
    ) -> anyhow::Result<Vhred> {
        folder.expect_kind(Self::BEGINS_WITH)?;
        let drawn = self.draw(vocabulary, device);
        if folder.kind() == Some(VHRED) {
            let there: About<Self> = folder.model()?;
            same_wiring("model.vhred", &self.wiring(), &there.config.wiring())?;
            return Ok(folder.load_weights(drawn)?);
        }
        let there: About<HredConfig> = folder.model()?;
        same_wiring("model.vhred.hred", &self.hred.wiring(), &there.config.wiring())?;
        let made_from = self.made_from == recurrent_generative::MadeFrom::Both;
        ensure!(made_from, "`model.vhred.made_from` must be \"both\" to begin with a {HRED}");
        let trained = folder.load_weights(self.hred.draw(vocabulary, device))?;
        Ok(drawn.with_hred(&trained))
    }

    fn more_scores(
        model: &Vhred,
        measured: &MeasuredTexts,
        batches: &Dialogues,
        evaluation: &EvaluationConfig,
        at: &Moment,
    ) -> Scores {
        let with = |latent| model.measure_with(latent, batches, &mut at.rng()).exp();
        let scores = Scores::new()
            .with("ppl_posterior", (measured.reconstruction / measured.tokens as f64).exp())
            .with("ppl_prior", with(Latent::Prior))
            .with("ppl_zero", with(Latent::Zero));
        match evaluation.importance {
            None => scores,
            Some(samples) => {
                let iw = model.measure_importance(batches, samples, &mut at.rng());
                scores.with("iw_ppl", iw.exp())
            }
        }
    }
}

/// Conversations to tokens and back.
#[derive(Clone, Debug)]
pub struct Talker<C> {
    /// What it is.
    pub about: About<C>,
    /// Turns to ids and back.
    pub tokenizer: Tokenizer,
}

impl<C: DialogueConfig> Talker<C> {
    /// A model and its weights from a folder.
    ///
    /// # Errors
    ///
    /// If a file of it is missing, damaged, or does not fit the others, or it is of another kind.
    pub fn load(folder: &ModelFolder, device: &Device) -> anyhow::Result<(Self, C::Model)> {
        folder.expect_kind(&[C::KIND])?;
        let about: About<C> = folder.model()?;
        let shown = folder.path().display();
        let tokenizer = read_tokenizer(folder, Part::Tokenizer)?;
        let (described, found) = (about.vocabulary, tokenizer.size());
        ensure!(
            described == found,
            "{shown}: config.json is of a vocabulary of {described} ids, the tokeniser has {found}"
        );
        about.config.validate(found).with_context(|| format!("{shown}/config.json"))?;
        let model = folder.load_weights(about.config.draw(found, device))?;
        Ok((Self { about, tokenizer }, model))
    }

    /// Turns as ids, without special ones.
    pub fn turns(&self, dialogues: &[Dialogue]) -> Vec<Vec<Turn>> {
        let turns = |dialogue: &Dialogue| {
            dialogue.turns.iter().map(|turn| self.tokenizer.encode(turn)).collect()
        };
        dialogues.iter().map(turns).collect()
    }

    /// One reply behind each of the contexts, `[R, s]`, of at most `longest` tokens.
    ///
    /// # Errors
    ///
    /// If the search is out of its ranges, or the model does not give numbers.
    pub fn replies(
        &self,
        model: &C::Model,
        contexts: &Tensor<2>,
        how: (&Search, usize),
        at: &Moment,
    ) -> anyhow::Result<Vec<String>> {
        let found = self.all_replies(model, contexts, how, at)?;
        Ok(found.into_iter().filter_map(|replies| replies.into_iter().next()).collect())
    }

    /// All that search finds behind each of the contexts, `[R, s]`, best first: several replies of a beam.
    ///
    /// # Errors
    ///
    /// As [`replies`](Self::replies).
    pub fn all_replies(
        &self,
        model: &C::Model,
        contexts: &Tensor<2>,
        (search, longest): (&Search, usize),
        at: &Moment,
    ) -> anyhow::Result<Vec<Vec<String>>> {
        let rows = contexts.dims()[0];
        let generator = model.generator(contexts, &mut at.rng());
        let limits = Limits::at_most(vec![longest; rows]);
        let numbers: Vec<u64> = (0..rows as u64).map(|row| at.mixed().wrapping_add(row)).collect();
        let found = written(&generator, search, &limits, &numbers)?;
        let text = |output: &Hypothesis| self.tokenizer.decode(&output.tokens);
        Ok(found.iter().map(|outputs| outputs.iter().map(text).collect()).collect())
    }
}

/// Models of conversations.
#[derive(Clone, Debug)]
pub struct DialogueTask<C> {
    talker: Talker<C>,
    files: DialoguesConfig,
    evaluation: EvaluationConfig,
}

impl<C: DialogueConfig> DialogueTask<C> {
    /// Learns tokens from what the model is to learn from, unless there are any.
    ///
    /// # Errors
    ///
    /// If the model or the tokens do not fit the data.
    pub fn new(
        config: &C,
        experiment: &Experiment,
        train: &[Dialogue],
        tokens: TokenSource,
    ) -> anyhow::Result<Self> {
        let tokenizer = tokenizer(experiment, train, tokens, C::BEGINS_WITH)?;
        let about = About { config: config.clone(), vocabulary: tokenizer.size() };
        config.validate(about.vocabulary)?;
        Self::of(Talker { about, tokenizer }, experiment)
    }

    /// Of a model that was trained before.
    ///
    /// # Errors
    ///
    /// If the configuration is not of a model of conversations.
    pub fn of(talker: Talker<C>, experiment: &Experiment) -> anyhow::Result<Self> {
        let files = experiment.dialogues()?.clone();
        Ok(Self { talker, files, evaluation: experiment.evaluation.clone() })
    }

    fn fixed(&self, dialogues: &[Dialogue]) -> Dialogues {
        let DialoguesConfig { batch, turns, .. } = self.files;
        Dialogues::new(self.talker.turns(dialogues), batch, turns, DialogueOrder::Sorted)
    }

    /// What is measured of a model on conversations, and what it replies in them.
    ///
    /// # Errors
    ///
    /// If nothing can be written, or the search is out of its ranges.
    pub fn measured(
        &self,
        model: &C::Model,
        dialogues: &[Dialogue],
        at: &Moment,
    ) -> anyhow::Result<(Measured, Replies)> {
        let batches = self.fixed(dialogues);
        let measured = model.measure(&batches, &mut at.rng());
        let mut scores = scores(&measured);
        let more = C::more_scores(model, &measured, &batches, &self.evaluation, at);
        for (name, value) in more.iter() {
            scores = scores.with(name, value);
        }
        let how = (&self.evaluation.search(), LONGEST);
        let replies = replies::of(&self.talker, model, (dialogues, &batches), how, at)?;
        for (name, value) in replies.scores().iter() {
            scores = scores.with(name, value);
        }
        let examples = replies.spread(EXAMPLES).map(|reply| Example {
            source: reply.heard.clone(),
            output: reply.written.clone(),
            references: vec![reply.said.clone()],
        });
        let measured = Measured {
            scores,
            unit: Unit::NatsAToken,
            examples: examples.collect(),
            latent: measured.latents.map(|latents| latents.report()),
        };
        Ok((measured, replies))
    }
}

/// The tokeniser that the turns of `train` give, or that of a model of one of `kinds`.
///
/// # Errors
///
/// If it is not said which, or there is none.
pub fn tokenizer(
    experiment: &Experiment,
    train: &[Dialogue],
    source: TokenSource,
    kinds: &[&str],
) -> anyhow::Result<Tokenizer> {
    let TokensConfig::Shared(tokens) = experiment.tokens()? else {
        bail!("a model of conversations has one vocabulary: `tokens` must be `shared`");
    };
    let turns = train.iter().flat_map(|dialogue| dialogue.turns.iter().map(String::as_str));
    source.tokenizer(tokens, turns, kinds)
}

fn scores(measured: &MeasuredTexts) -> Scores {
    let scores = Scores::new().with("nll", measured.nll()).with("ppl", measured.nll().exp());
    match measured.latents {
        None => scores,
        Some(_) => scores.with("kl", measured.kl_a_text()),
    }
}

impl<C: DialogueConfig> Task for DialogueTask<C> {
    type Model = C::Model;
    type Set = Vec<Dialogue>;
    type Batches = Dialogues;

    fn save(&self, folder: &mut ModelFolder) -> anyhow::Result<()> {
        folder.describe(C::KIND, &self.talker.about)?;
        Ok(folder.write(Part::Tokenizer, self.talker.tokenizer.to_json().as_bytes())?)
    }

    fn init(&self, device: &Device) -> C::Model {
        let About { config, vocabulary } = &self.talker.about;
        config.draw(*vocabulary, device)
    }

    fn init_from(&self, other: &ModelFolder, device: &Device) -> anyhow::Result<C::Model> {
        let About { config, vocabulary } = &self.talker.about;
        config.begin_with(other, *vocabulary, device)
    }

    fn batches(&self, train: &Vec<Dialogue>) -> anyhow::Result<Learned<Dialogues>> {
        let DialoguesConfig { batch, turns, longest, .. } = self.files;
        let mut said = self.talker.turns(train);
        let cut = longest.map(|longest| CutTurns::cut(&mut said, longest));
        let batches = Dialogues::new(said, batch, turns, DialogueOrder::Shuffled);
        Ok(Learned { cut, ..batches.into() })
    }

    fn validation(&self, valid: &Vec<Dialogue>) -> anyhow::Result<Validation<C::Model>> {
        let batches = self.fixed(valid);
        Ok(Box::new(move |model, at| Ok(scores(&model.measure(&batches, &mut at.rng())))))
    }

    fn report(
        &self,
        model: &C::Model,
        test: &Vec<Dialogue>,
        at: &Moment,
        folder: &ModelFolder,
    ) -> anyhow::Result<Measured> {
        let (measured, _) = self.measured(model, test, at)?;
        if let Some(latent) = &measured.latent {
            gallery::write(&latent_pictures::drawings(latent)?, folder)?;
        }
        Ok(measured)
    }
}
