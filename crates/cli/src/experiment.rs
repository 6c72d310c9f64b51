//! What a configuration says: data, tokens, model, training and how results are measured.

use recurrent_generative::{
    AutoencoderConfig, Condition, HredConfig, SequenceVaeConfig, VaeConfig, VhredConfig,
};
use recurrent_gnmt::GnmtConfig;
use recurrent_reservoir::{EsnConfig, search::SearchConfig};
use recurrent_seq2seq::{
    DecoderKind, ForecasterConfig, LanguageModelConfig, Seq2SeqConfig,
    search::{Beam, Pruning},
};
use recurrent_text::{BatchSize, Bucketing, TokenizerConfig};
use recurrent_training::{Direction, OutOfRange, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{
    data::{DataConfig, ExampleKind},
    decode::Search,
    dialogue_files::DialoguesConfig,
    echo_state,
    metric::Metric,
    picture_files::PicturesConfig,
    series_files::SeriesConfig,
    series_model::FreeRun,
    settings::Validate,
};

/// A whole experiment, as a file that people write. `configs/reference.toml` comments every key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What is learned from and measured on.
    pub data: DataConfig,
    /// What a token is. Required for a model of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokensConfig>,
    /// How batches of texts are made.
    #[serde(default = "batches")]
    pub batches: Bucketing,
    /// Which model.
    pub model: ModelConfig,
    /// How it is trained.
    #[serde(default)]
    pub training: TrainConfig,
    /// How its outputs are searched for and measured.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
    /// Settings that `recurrent search` tries; of an echo state network. Training does not look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchConfig>,
}

/// What a token is, on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TokensConfig {
    /// One vocabulary for sources and targets; the only one of a language model.
    Shared(TokenizerConfig),
    /// One for each.
    Separate {
        /// Of the sources.
        source: TokenizerConfig,
        /// Of the targets.
        target: TokenizerConfig,
    },
}

/// Which model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelConfig {
    /// From a text to another.
    Seq2seq(Seq2SeqConfig),
    /// From a text to another, with Google's Neural Machine Translation system.
    Gnmt(GnmtConfig),
    /// Text, token by token. It learns from the targets of its data.
    LanguageModel(LanguageModelConfig),
    /// Texts to codes and back, with a prior from which new texts are drawn. It learns from the targets
    /// of its data.
    SequenceVae(SequenceVaeConfig),
    /// Pictures to codes and back.
    Autoencoder(AutoencoderConfig),
    /// The same with a prior from which new pictures are drawn.
    Vae(VaeConfig),
    /// Conversations, turn by turn.
    Hred(HredConfig),
    /// The same with a latent variable at every turn.
    Vhred(VhredConfig),
    /// A series, step by step: drawn, and fitted by linear regression.
    EchoState(EsnConfig),
    /// A series, step by step: trained by gradient.
    Forecaster(ForecasterConfig),
}

/// How outputs are searched for and measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// What is measured beside the negative log-likelihood `nll` and the perplexity `ppl`.
    pub metrics: Vec<Metric>,
    /// Hypotheses pursued at once when the test set is decoded, above 0; 1 takes the likeliest
    /// token at every step. While training it is always 1.
    pub beam: usize,
    /// `α` of the length penalty, at least 0.
    pub length_penalty: f64,
    /// `β` of the coverage penalty, at least 0; needs attention.
    pub coverage_penalty: f64,
    /// What a beam gives up before its time, in nats; nothing by default.
    pub pruning: Option<Pruning>,
    /// Sources of the validation set that are decoded after every epoch; all by default.
    pub valid_outputs: Option<usize>,
    /// Draws a picture of the importance-weighted bound that is measured in the end, above 0; of a
    /// variational autoencoder. Not measured by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importance: Option<usize>,
    /// How a model of series is measured that goes on by itself. Not measured by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_run: Option<FreeRun>,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            metrics: vec![Metric::ExactMatch],
            beam: 1,
            length_penalty: 0.0,
            coverage_penalty: 0.0,
            pruning: None,
            valid_outputs: None,
            importance: None,
            free_run: None,
        }
    }
}

fn batches() -> Bucketing {
    Bucketing::new(BatchSize::Tokens(8192))
}

impl EvaluationConfig {
    /// How outputs are searched for.
    pub fn search(&self) -> Search {
        match self.beam {
            1 => Search::Greedy,
            width => Search::Beam(Beam {
                length_penalty: self.length_penalty,
                coverage_penalty: self.coverage_penalty,
                pruning: self.pruning,
                ..Beam::new(width)
            }),
        }
    }

    fn validate(&self) -> Result<(), OutOfRange> {
        let at_least = |field: &str, least: f64, value: f64| {
            let holds = |value: &f64| value.is_finite() && *value >= least;
            OutOfRange::check(field, value, holds, &format!("at least {least}"))
        };
        at_least("evaluation.beam", 1.0, self.beam as f64)?;
        at_least("evaluation.length_penalty", 0.0, self.length_penalty)?;
        at_least("evaluation.coverage_penalty", 0.0, self.coverage_penalty)?;
        if let Some(pruning) = self.pruning {
            at_least("evaluation.pruning.token", 0.0, pruning.token)?;
            at_least("evaluation.pruning.finished", 0.0, pruning.finished)?;
        }
        let counts = [("valid_outputs", self.valid_outputs), ("importance", self.importance)];
        counts
            .into_iter()
            .filter_map(|(key, count)| Some((key, count?)))
            .try_for_each(|(key, count)| at_least(&format!("evaluation.{key}"), 1.0, count as f64))
    }
}

impl Validate for Experiment {
    fn validate(&self) -> Result<(), OutOfRange> {
        self.evaluation.validate()?;
        if self.learns_from() != ExampleKind::Series {
            let free = self.evaluation.free_run.map(|_| "something");
            absent("evaluation.free_run", free, "left out for all but models of series")?;
        }
        self.training.validate().map_err(|wrong| wrong.under("training"))?;
        let kind = self.learns_from();
        self.data.validate(kind)?;
        self.validate_metric()?;
        match kind {
            ExampleKind::Pairs => self.validate_texts()?,
            ExampleKind::Pictures => self.validate_pictures()?,
            ExampleKind::Dialogues => self.validate_dialogues()?,
            ExampleKind::Series => self.validate_series()?,
        }
        self.validate_model()?;
        self.validate_search()
    }
}

impl Experiment {
    /// What the model learns from: a language model from whatever texts there are.
    pub fn learns_from(&self) -> ExampleKind {
        match self.model {
            ModelConfig::LanguageModel(_) if self.data.dialogues.is_some() => {
                ExampleKind::Dialogues
            }
            ModelConfig::Seq2seq(_)
            | ModelConfig::Gnmt(_)
            | ModelConfig::LanguageModel(_)
            | ModelConfig::SequenceVae(_) => ExampleKind::Pairs,
            ModelConfig::Autoencoder(_) | ModelConfig::Vae(_) => ExampleKind::Pictures,
            ModelConfig::Hred(_) | ModelConfig::Vhred(_) => ExampleKind::Dialogues,
            ModelConfig::EchoState(_) | ModelConfig::Forecaster(_) => ExampleKind::Series,
        }
    }

    /// Which conversations.
    ///
    /// # Errors
    ///
    /// If it is not said.
    pub fn dialogues(&self) -> Result<&DialoguesConfig, OutOfRange> {
        let range = "given for a model of conversations";
        let dialogues = self.data.dialogues.as_ref();
        dialogues.ok_or_else(|| OutOfRange::new("data.dialogues", "nothing", range))
    }

    /// What is only said of conversations, and what is never said of them.
    fn validate_dialogues(&self) -> Result<(), OutOfRange> {
        let shared = matches!(self.tokens()?, TokensConfig::Shared(_));
        let range = "`shared`: a conversation has one vocabulary";
        OutOfRange::check("tokens", "separate", |_| shared, range)?;
        let range = "left out for a model of conversations, which has `data.dialogues.batch`";
        absent("batches", (self.batches != batches()).then_some("something"), range)?;
        self.validate_no_outputs("left out for a model of conversations")?;
        if let ModelConfig::Vhred(_) = self.model {
            return Ok(());
        }
        let range = "left out for a model without a latent variable to draw";
        absent("evaluation.importance", self.evaluation.importance, range)
    }

    /// Refuses what is only said of outputs that are compared with a reference.
    fn validate_no_outputs(&self, range: &str) -> Result<(), OutOfRange> {
        let given = [
            ("metrics", self.evaluation.metrics != EvaluationConfig::default().metrics),
            ("valid_outputs", self.evaluation.valid_outputs.is_some()),
            ("coverage_penalty", self.evaluation.coverage_penalty != 0.0),
        ];
        given.into_iter().try_for_each(|(key, given)| {
            absent(&format!("evaluation.{key}"), given.then_some("something"), range)
        })
    }

    /// Refuses what is only said of texts, of the evaluation all but what is `usual`.
    fn validate_no_texts(&self, usual: &EvaluationConfig, range: &str) -> Result<(), OutOfRange> {
        let given = [
            ("tokens", self.tokens.is_some()),
            ("batches", self.batches != batches()),
            ("evaluation", self.evaluation != *usual),
        ];
        given
            .into_iter()
            .try_for_each(|(key, given)| absent(key, given.then_some("something"), range))
    }

    /// Which series.
    ///
    /// # Errors
    ///
    /// If it is not said.
    pub fn series(&self) -> Result<&SeriesConfig, OutOfRange> {
        let range = "given for a model of series";
        let series = self.data.series.as_ref();
        series.ok_or_else(|| OutOfRange::new("data.series", "nothing", range))
    }

    fn validate_search(&self) -> Result<(), OutOfRange> {
        let Some(search) = &self.search else { return Ok(()) };
        let ModelConfig::EchoState(config) = &self.model else {
            let range = "left out for all but echo state networks";
            return absent("search", Some("something"), range);
        };
        search.validate(config).map_err(|wrong| echo_state::out_of_range(wrong).under("search"))
    }

    /// What is only said of series, and what is never said of them.
    fn validate_series(&self) -> Result<(), OutOfRange> {
        let range = "left out for a model of series";
        let usual =
            EvaluationConfig { free_run: self.evaluation.free_run, ..EvaluationConfig::default() };
        self.validate_no_texts(&usual, range)?;
        if let Some(free) = &self.evaluation.free_run {
            free.validate().map_err(|wrong| wrong.under("evaluation.free_run"))?;
        }
        if let ModelConfig::EchoState(_) = self.model {
            let range = "left out for an echo state network, which is fitted at once";
            let trained = self.training != TrainConfig::default();
            absent("training", trained.then_some("something"), range)?;
            let windows = self.series()?.windows.is_some();
            absent("data.series.windows", windows.then_some("something"), range)?;
            let range = "0 for an echo state network, which has no epochs to choose from";
            let valid = self.series()?.valid;
            OutOfRange::check("data.series.valid", valid, |valid| *valid == 0, range)?;
        }
        Ok(())
    }

    /// What a token is.
    ///
    /// # Errors
    ///
    /// If it is not said.
    pub fn tokens(&self) -> Result<&TokensConfig, OutOfRange> {
        let range = "given for a model of texts, as `tokens.shared` or `tokens.separate`";
        self.tokens.as_ref().ok_or_else(|| OutOfRange::new("tokens", "nothing", range))
    }

    /// Which pictures.
    ///
    /// # Errors
    ///
    /// If it is not said.
    pub fn pictures(&self) -> Result<&PicturesConfig, OutOfRange> {
        let range = "given for a model of pictures";
        let pictures = self.data.pictures.as_ref();
        pictures.ok_or_else(|| OutOfRange::new("data.pictures", "nothing", range))
    }

    /// What is only said of texts, and what is never said of them.
    fn validate_texts(&self) -> Result<(), OutOfRange> {
        self.validate_coverage()?;
        let several = !self.data.pairs.is_empty();
        let shared = matches!(self.tokens()?, TokensConfig::Shared(_));
        let range = "`shared` for a model of several languages";
        OutOfRange::check("tokens", "separate", |_| shared || !several, range)?;
        let (BatchSize::Tokens(size) | BatchSize::Sentences(size)) = self.batches.size;
        OutOfRange::check("batches.size", size, |size| *size > 0, "above 0")?;
        if let ModelConfig::SequenceVae(_) = self.model {
            let range = "left out for an autoencoder, which writes what it reads";
            absent("data.pairs", several.then_some("something"), range)?;
            return self.validate_no_outputs(range);
        }
        if let ModelConfig::LanguageModel(_) = self.model {
            let range = "left out for a language model, which writes without a source";
            absent("data.pairs", several.then_some("something"), range)?;
            self.validate_no_outputs(range)?;
        }
        let range = "left out for a model of texts, which has no latent variable to draw";
        absent("evaluation.importance", self.evaluation.importance, range)
    }

    /// What is only said of pictures, and what is never said of them.
    fn validate_pictures(&self) -> Result<(), OutOfRange> {
        let range = "left out for a model of pictures";
        let usual = EvaluationConfig {
            importance: self.evaluation.importance,
            ..EvaluationConfig::default()
        };
        self.validate_no_texts(&usual, range)?;
        match &self.model {
            ModelConfig::Autoencoder(_) => {
                let range = "left out for an autoencoder, which is no likelihood";
                absent("evaluation.importance", self.evaluation.importance, range)
            }
            ModelConfig::Vae(VaeConfig { condition: Condition::Label, .. }) => {
                let pictures = self.pictures()?;
                pictures.validate_labels().map_err(|wrong| wrong.under("data.pictures"))
            }
            ModelConfig::Vae(_)
            | ModelConfig::Seq2seq(_)
            | ModelConfig::Gnmt(_)
            | ModelConfig::LanguageModel(_)
            | ModelConfig::SequenceVae(_)
            | ModelConfig::Hred(_)
            | ModelConfig::Vhred(_)
            | ModelConfig::EchoState(_)
            | ModelConfig::Forecaster(_) => Ok(()),
        }
    }

    fn validate_model(&self) -> Result<(), OutOfRange> {
        let shared = !matches!(self.tokens, Some(TokensConfig::Separate { .. }));
        let (key, checked) = match &self.model {
            // Sizes are known when the data is read; here only whether they are the same counts.
            ModelConfig::Seq2seq(config) => {
                ("model.seq2seq", config.validate(if shared { [4, 4] } else { [4, 5] }))
            }
            ModelConfig::Gnmt(config) => {
                ("model.gnmt", config.validate(if shared { [4, 4] } else { [4, 5] }))
            }
            ModelConfig::LanguageModel(config) => {
                let range = "`shared`: a language model has one vocabulary";
                OutOfRange::check("tokens", "separate", |_| shared, range)?;
                ("model.language_model", config.validate(4))
            }
            ModelConfig::SequenceVae(config) => {
                let range = "`shared`: an autoencoder has one vocabulary";
                OutOfRange::check("tokens", "separate", |_| shared, range)?;
                ("model.sequence_vae", config.validate())
            }
            ModelConfig::Autoencoder(config) => ("model.autoencoder", config.validate()),
            ModelConfig::Vae(config) => ("model.vae", config.validate()),
            ModelConfig::Hred(config) => ("model.hred", config.validate(4)),
            ModelConfig::Vhred(config) => ("model.vhred", config.validate(4)),
            ModelConfig::EchoState(config) => {
                ("model.echo_state", config.validate().map_err(echo_state::out_of_range))
            }
            // As for texts: here only whether there may be as many columns on both sides.
            ModelConfig::Forecaster(config) => ("model.forecaster", config.validate([1, 1])),
        };
        checked.map_err(|wrong| wrong.under(key))
    }

    /// A model that looks nowhere covers nothing. Found out here, and not when the test set is
    /// decoded after training.
    fn validate_coverage(&self) -> Result<(), OutOfRange> {
        let ModelConfig::Seq2seq(Seq2SeqConfig { decoder, .. }) = &self.model else {
            return Ok(());
        };
        let looks = !matches!(decoder.kind, DecoderKind::Thought { .. });
        let holds = |value: &f64| looks || *value == 0.0;
        let range = "0 for a decoder without attention";
        OutOfRange::check(
            "evaluation.coverage_penalty",
            self.evaluation.coverage_penalty,
            holds,
            range,
        )
    }

    /// The metric that chooses the best epoch has to be among those that are measured.
    fn validate_metric(&self) -> Result<(), OutOfRange> {
        let metrics = || self.evaluation.metrics.iter().map(|metric| metric.name());
        let free_run = self.evaluation.free_run.map_or_else(String::new, |free| free.name());
        let (names, why) = match self.model {
            ModelConfig::Seq2seq(_) | ModelConfig::Gnmt(_) => {
                (["nll", "ppl"].into_iter().chain(metrics()).collect(), MEASURED)
            }
            ModelConfig::LanguageModel(_) => (vec!["nll", "ppl"], MEASURED),
            ModelConfig::SequenceVae(_) => (vec!["nll", "ppl", "reconstruction", "kl"], ""),
            ModelConfig::Hred(_) => (vec!["nll", "ppl"], ""),
            ModelConfig::Vhred(_) => (vec!["nll", "ppl", "kl"], ""),
            // Nothing is chosen by it.
            ModelConfig::EchoState(_) => return Ok(()),
            ModelConfig::Forecaster(_) => {
                (vec!["nll", "nrmse", &free_run], ": the last where `evaluation.free_run` is given")
            }
            ModelConfig::Autoencoder(_) => (vec!["nll"], ""),
            ModelConfig::Vae(_) => (vec!["nll", "reconstruction", "kl"], ""),
        };
        let name = &self.training.metric.name;
        let range = format!("one of {}{why}", names.join(", "));
        let holds = |name: &&String| names.contains(&name.as_str());
        OutOfRange::check("training.metric.name", name, holds, &range)?;
        // All others are losses and errors.
        let known = self.evaluation.metrics.iter().find(|metric| metric.name() == name);
        let better = known.map_or(Direction::Lowest, |metric| metric.direction());
        let (value, range) = match better {
            Direction::Lowest => ("highest", format!("lowest: less {name} is better")),
            Direction::Highest => ("lowest", format!("highest: more {name} is better")),
        };
        let holds = |_: &&str| self.training.metric.direction == better;
        OutOfRange::check("training.metric.direction", value, holds, &range)
    }
}

/// Where scores of texts come from.
const MEASURED: &str = ": what `evaluation.metrics` measures";

/// Refuses a value where there should be none.
fn absent<T: ToString>(field: &str, value: Option<T>, range: &str) -> Result<(), OutOfRange> {
    value.map_or(Ok(()), |value| Err(OutOfRange::new(field, value, range)))
}
