//! Which commands and options there are.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use clap::{Args, Parser, Subcommand, ValueEnum};
use recurrent_kernels::{Products, set_products};
use recurrent_seq2seq::search::Sampling;

use crate::{
    device::{DeviceError, DeviceName},
    settings::Set,
};

/// Recurrent sequence models, and models of pictures: train them on your data, and use them.
#[derive(Debug, Parser)]
#[command(name = "recurrent", version, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do; without it, how to start is shown.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model as a configuration says
    Train(Train),
    /// Measure how good a model is on a file of examples
    Evaluate(Evaluate),
    /// Turn lines of text into other lines of text: standard input to standard output
    Translate(Translate),
    /// Show how likely a model finds given outputs: lines of source, tab and target on standard input,
    /// log-probabilities in nats on standard output
    Score(Score),
    /// Let a language model write, or a variational autoencoder write or draw
    Generate(Generate),
    /// Say how a series goes on, or what goes with it: a table of numbers on standard input, one on
    /// standard output
    Forecast(Forecast),
    /// Search for the settings of an echo state network that are best on a series
    Search(Search),
    /// Talk to a model of conversations: a line a turn, on a terminal or a pipe
    Chat(Chat),
    /// Show how a model cuts lines of text: standard input to standard output
    Tokenize(Tokenize),
    /// Show what a model folder holds
    Inspect(Inspect),
    /// List the devices that models can run on
    Devices(Devices),
    /// Make a model smaller: weights of eight bits, to write with on the CPU
    Quantize(Quantize),
    /// Take weights from PyTorch, or hand them over
    Convert(Convert),
}

/// `train`.
#[derive(Debug, Args)]
pub struct Train {
    /// What to train and on what, a TOML file
    #[arg(value_name = "CONFIG.toml")]
    pub config: PathBuf,
    /// Where to compute
    #[command(flatten)]
    pub device: OnDevice,
    /// The model folder to write; by default the configuration's name without `.toml`, in `models`
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the training in the model folder, from its newest checkpoint
    #[arg(long)]
    pub resume: bool,
    /// Begin with the weights and the tokens of this model, which has the same sizes
    #[arg(long, value_name = "MODEL", conflicts_with = "resume")]
    pub init: Option<PathBuf>,
    /// Another value for a key of the configuration, as in `--set training.epochs=3`; may be
    /// repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<Set>,
    /// How results are shown
    #[command(flatten)]
    pub format: Format,
}

impl Train {
    /// The model folder: what `--out` says, or `models/NAME` for `NAME.toml`.
    pub fn folder(&self) -> PathBuf {
        let named = || Path::new("models").join(self.config.file_stem().unwrap_or_default());
        self.out.clone().unwrap_or_else(named)
    }

    /// The command that goes on with a training that was stopped, in the folder `path`.
    pub fn to_resume(&self, path: &Path) -> String {
        let mut words = vec![
            "recurrent".to_owned(),
            "train".to_owned(),
            self.config.display().to_string(),
            "--resume".to_owned(),
            "--out".to_owned(),
            path.display().to_string(),
        ];
        if self.device.name != DeviceName::default() {
            words.extend(["--device".to_owned(), self.device.name.to_string()]);
        }
        if self.device.precision == Precision::Half {
            words.extend(["--precision".to_owned(), "half".to_owned()]);
        }
        words.extend(self.sets.iter().flat_map(|set| ["--set".to_owned(), set.to_string()]));
        if self.format.json {
            words.push("--json".to_owned());
        }
        let words = words.iter().map(String::as_str);
        shlex::try_join(words).expect("no argument has a zero byte")
    }
}

/// `evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// Model folders; several vote as an ensemble
    #[arg(required = true, value_name = "MODEL")]
    pub models: Vec<PathBuf>,
    /// The examples, in the format that the model was trained on; of pictures, an IDX file
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// What the sources are to be turned into, line by line, where `--data` is a text of sources alone
    #[arg(long, value_name = "FILE")]
    pub targets: Option<PathBuf>,
    /// What the pictures show, an IDX file; for a model of pictures
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Where to compute
    #[command(flatten)]
    pub device: OnDevice,
    /// How many outputs are pursued at once; 1 takes the likeliest token at every step. Several, as
    /// in `1,2,5`, are compared
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub beam: Vec<NonZeroUsize>,
    /// How much longer outputs are preferred, `α` of the length penalty. Several, as in `0,0.6,1`, are
    /// compared
    #[arg(long, value_name = "ALPHA", value_delimiter = ',', value_parser = penalty, allow_negative_numbers = true)]
    pub length_penalty: Vec<f64>,
    /// How much outputs are preferred that look at all of their source, `β` of the coverage penalty.
    /// Several, as in `0,0.2`, are compared
    #[arg(long, value_name = "BETA", value_delimiter = ',', value_parser = penalty, allow_negative_numbers = true)]
    pub coverage_penalty: Vec<f64>,
    /// For a model of several languages: measure only what is read in this one
    #[arg(long, value_name = "LANGUAGE")]
    pub from: Option<String>,
    /// For a model of several languages: measure only what is written in this one
    #[arg(long, value_name = "LANGUAGE")]
    pub to: Option<String>,
    /// For a model of several languages: measure the way through this one as well, in two steps
    #[arg(long, value_name = "LANGUAGE")]
    pub pivot: Option<String>,
    /// Draw one output for each source by its probability, at this temperature. Several, as in
    /// `0.5,1`, are compared
    #[arg(long, value_name = "T", value_delimiter = ',', value_parser = temperature, allow_negative_numbers = true)]
    pub temperature: Vec<f64>,
    /// Measure every model by itself and compare them, instead of as an ensemble
    #[arg(long)]
    pub each: bool,
    /// Show the scores by the length of the source, so many tokens at a time
    #[arg(long, value_name = "TOKENS")]
    pub by_length: Option<NonZeroUsize>,
    /// Draw what is compared into this folder, or what a model of pictures makes
    #[arg(long, value_name = "DIR")]
    pub pictures: Option<PathBuf>,
    /// For a model of conversations: vectors of words, in the text format of word2vec or GloVe, to
    /// measure how near replies are to what was said
    #[arg(long, value_name = "FILE")]
    pub vectors: Option<PathBuf>,
    /// How results are shown
    #[command(flatten)]
    pub format: Format,
}

impl Evaluate {
    /// Whether several ways to search are compared.
    pub fn compares(&self) -> bool {
        let penalties = [self.length_penalty.len(), self.coverage_penalty.len()];
        let several = penalties.into_iter().any(|count| count > 1);
        several || self.beam.len() + self.temperature.len() > 1
    }
}

/// `forecast`.
#[derive(Debug, Args)]
pub struct Forecast {
    /// The model folder, of a model of series
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// How many steps the model goes on for by itself behind the last row; for a model that says what it
    /// hears next. Without it, and for other models, there is a row for every row that is read; a network
    /// with feedback hears the truth during its wash-out, if the columns that it says are there, and then
    /// itself
    #[arg(long, value_name = "N")]
    pub steps: Option<NonZeroUsize>,
    /// Where to compute; an echo state network computes on the CPU
    #[command(flatten)]
    pub device: OnDevice,
    /// Draw the end of what was read and the forecast into this file, an SVG
    #[arg(long, value_name = "FILE.svg")]
    pub picture: Option<PathBuf>,
    /// How results are shown
    #[command(flatten)]
    pub format: Format,
}

/// `search`.
#[derive(Debug, Args)]
pub struct Search {
    /// The network, the series and, under `search`, the settings to search for, a TOML file
    #[arg(value_name = "CONFIG.toml")]
    pub config: PathBuf,
    /// The folder to write: the best setting as a configuration for `recurrent train`, all settings as a
    /// table and as a picture; by default the configuration's name without `.toml`, in `searches`
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Another value for a key of the configuration, as in `--set search.trials=30`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<Set>,
    /// How results are shown
    #[command(flatten)]
    pub format: Format,
}

impl Search {
    /// The folder: what `--out` says, or `searches/NAME` for `NAME.toml`.
    pub fn folder(&self) -> PathBuf {
        let named = || Path::new("searches").join(self.config.file_stem().unwrap_or_default());
        self.out.clone().unwrap_or_else(named)
    }
}

/// `translate`.
#[derive(Debug, Args)]
#[command(mut_arg("temperature", |argument| argument.requires("sample")))]
#[command(mut_arg("top_k", |argument| argument.requires("sample")))]
#[command(mut_arg("top_p", |argument| argument.requires("sample")))]
#[command(mut_arg("seed", |argument| argument.requires("sample")))]
pub struct Translate {
    /// Model folders; several vote as an ensemble
    #[arg(required = true, value_name = "MODEL")]
    pub models: Vec<PathBuf>,
    /// Where to compute
    #[command(flatten)]
    pub device: OnDevice,
    /// How many outputs are pursued at once; 1 takes the likeliest token at every step
    #[arg(long, value_name = "N")]
    pub beam: Option<NonZeroUsize>,
    /// How many outputs are shown for each line, with their scores
    #[arg(long, value_name = "N", conflicts_with = "sample")]
    pub n_best: Option<NonZeroUsize>,
    /// How much longer outputs are preferred, `α` of the length penalty; as in training by default
    #[arg(long, value_name = "ALPHA", conflicts_with = "sample", value_parser = penalty, allow_negative_numbers = true)]
    pub length_penalty: Option<f64>,
    /// How much outputs are preferred that look at all of their source, `β` of the coverage penalty; as
    /// in training by default
    #[arg(long, value_name = "BETA", conflicts_with = "sample", value_parser = penalty, allow_negative_numbers = true)]
    pub coverage_penalty: Option<f64>,
    /// Which language to write, for a model of several
    #[arg(long, value_name = "LANGUAGE")]
    pub to: Option<String>,
    /// Write this language first and translate that, for a model of several
    #[arg(long, value_name = "LANGUAGE", requires = "to")]
    pub pivot: Option<String>,
    /// What stands in the place of an unknown token
    #[arg(long, value_enum, default_value_t)]
    pub unknown: UnknownTokens,
    /// Draw outputs by their probabilities, instead of searching for the likeliest
    #[arg(long, conflicts_with = "beam")]
    pub sample: bool,
    /// Draw which input tokens each output token looked at, one picture for each line, into this
    /// folder
    #[arg(long, value_name = "DIR")]
    pub attention: Option<PathBuf>,
    /// Write which source word each target word looked at most, into this file: for each line pairs
    /// such as `0-1`, source first, counted from 0 (the format of Pharaoh, and of fast_align)
    #[arg(long, value_name = "FILE")]
    pub alignments: Option<PathBuf>,
    /// How results are shown
    #[command(flatten)]
    pub format: Format,
    // Last, because its heading would hold for all that follows.
    /// How tokens are drawn
    #[command(flatten)]
    pub drawing: Drawing,
}

/// What becomes of unknown tokens in outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum UnknownTokens {
    /// Nothing.
    #[default]
    Drop,
    /// The source word that was looked at most.
    Copy,
}

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, Args, PartialEq)]
#[command(next_help_heading = "Drawing")]
pub struct Drawing {
    /// Below 1 makes likely tokens likelier, above 1 evens out
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature, allow_negative_numbers = true)]
    pub temperature: f64,
    /// Draw only from the K likeliest tokens
    #[arg(long, value_name = "K")]
    pub top_k: Option<NonZeroUsize>,
    /// Draw only from the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", value_parser = probability, allow_negative_numbers = true)]
    pub top_p: Option<f64>,
    /// The same seed draws the same tokens
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl Drawing {
    /// One output, drawn this way.
    pub fn sampling(self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k.map(NonZeroUsize::get),
            top_p: self.top_p,
            seed: self.seed,
            count: 1,
        }
    }
}

/// `generate`.
#[derive(Debug, Args)]
#[command(mut_arg("temperature", |argument| argument.conflicts_with_all(["between", "beam"])))]
#[command(mut_arg("top_k", |argument| argument.conflicts_with_all(["between", "beam"])))]
#[command(mut_arg("top_p", |argument| argument.conflicts_with_all(["between", "beam"])))]
#[command(mut_arg("seed", |argument| argument.conflicts_with("between")))]
pub struct Generate {
    /// The model folder
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Where to compute
    #[command(flatten)]
    pub device: OnDevice,
    /// What the text begins with; nothing by default
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// How many texts are written, or pictures drawn
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    pub count: NonZeroUsize,
    /// The most tokens of a text; 500 by default
    #[arg(long, value_name = "N")]
    pub length: Option<NonZeroUsize>,
    /// Write what stands between these two texts, from the one to the other; for a variational autoencoder
    /// of texts
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], conflicts_with = "count")]
    pub between: Option<Vec<String>>,
    /// How many texts there are from the one to the other, both ends included, from 2 to 1000
    #[arg(long, value_name = "N", default_value = "7", requires = "between", value_parser = steps)]
    pub steps: usize,
    /// How many texts are pursued at once for each code, instead of drawing one; 1 takes the likeliest
    /// token at every step. As in training for `--between`; for a variational autoencoder of texts
    #[arg(long, value_name = "N")]
    pub beam: Option<NonZeroUsize>,
    /// Where pictures go; for a model of pictures
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What the pictures show, for a model that is told; all it knows in turn by default
    #[arg(long, value_name = "LABEL")]
    pub label: Option<usize>,
    /// How results are shown
    #[command(flatten)]
    pub format: Format,
    /// How tokens are drawn
    #[command(flatten)]
    pub drawing: Drawing,
}

/// `chat`.
#[derive(Debug, Args)]
#[command(mut_arg("temperature", |argument| argument.requires("sample")))]
#[command(mut_arg("top_k", |argument| argument.requires("sample")))]
#[command(mut_arg("top_p", |argument| argument.requires("sample")))]
pub struct Chat {
    /// The model folder
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Where to compute
    #[command(flatten)]
    pub device: OnDevice,
    /// How many replies are pursued at once; 1 takes the likeliest token at every step
    #[arg(long, value_name = "N")]
    pub beam: Option<NonZeroUsize>,
    /// Draw replies by their probabilities, instead of searching for the likeliest
    #[arg(long, conflicts_with = "beam")]
    pub sample: bool,
    /// The most tokens of a reply
    #[arg(long, value_name = "N", default_value = "40")]
    pub longest: NonZeroUsize,
    /// How many replies `/z` shows
    #[arg(long, value_name = "N", default_value = "5")]
    pub replies: NonZeroUsize,
    /// How results are shown
    #[command(flatten)]
    pub format: Format,
    /// How tokens, and latent variables, are drawn
    #[command(flatten)]
    pub drawing: Drawing,
}

/// `score`.
#[derive(Debug, Args)]
pub struct Score {
    /// Model folders; several vote as an ensemble
    #[arg(required = true, value_name = "MODEL")]
    pub models: Vec<PathBuf>,
    /// Where to compute
    #[command(flatten)]
    pub device: OnDevice,
    /// Which language the targets are in, for a model of several
    #[arg(long, value_name = "LANGUAGE")]
    pub to: Option<String>,
    /// How results are shown
    #[command(flatten)]
    pub format: Format,
}

/// `tokenize`.
#[derive(Debug, Args)]
pub struct Tokenize {
    /// The model folder
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Whose tokens
    #[arg(long, value_enum, default_value_t)]
    pub side: Side,
    /// Show their numbers
    #[arg(long)]
    pub ids: bool,
}

/// A side of a pair; a language model has one for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// What is read.
    #[default]
    Source,
    /// What is written.
    Target,
}

/// `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The model folder
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Draw which layer reads what into this SVG file; of a GNMT
    #[arg(long, value_name = "FILE")]
    pub wiring: Option<PathBuf>,
    /// How results are shown
    #[command(flatten)]
    pub format: Format,
}

/// `quantize`.
#[derive(Debug, Args)]
pub struct Quantize {
    /// The model folder; of a GNMT
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The model folder to write; by default the model's with `-int8` behind its name
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How results are shown
    #[command(flatten)]
    pub format: Format,
}

/// `devices`.
#[derive(Debug, Args)]
pub struct Devices {
    /// How results are shown
    #[command(flatten)]
    pub format: Format,
}

/// `convert`.
#[derive(Debug, Args)]
pub struct Convert {
    /// Which way.
    #[command(subcommand)]
    pub way: Conversion,
}

/// Which way weights go.
#[derive(Debug, Subcommand)]
pub enum Conversion {
    /// Put weights that PyTorch saved into a model folder of the same sizes
    FromPytorch {
        /// What `torch.save(model.state_dict(), …)` or safetensors wrote
        #[arg(value_name = "WEIGHTS")]
        weights: PathBuf,
        /// The model folder that gets the weights
        #[arg(value_name = "MODEL")]
        model: PathBuf,
        /// What the keys of the weights begin with, as in `model.encoder`
        #[arg(long, value_name = "PREFIX", default_value = "")]
        prefix: String,
    },
    /// Write the weights of a model for PyTorch's `load_state_dict`
    ToPytorch {
        /// The model folder
        #[arg(value_name = "MODEL")]
        model: PathBuf,
        /// The file to write
        #[arg(value_name = "OUT.safetensors")]
        out: PathBuf,
    },
}

/// Where a model runs.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct OnDevice {
    /// Where to compute: `flex`, `ndarray`, `wgpu`, `vulkan` or `cuda`, the last three also with a
    /// number as in `cuda:1`; `recurrent devices` lists what there is
    #[arg(long = "device", value_name = "D", default_value_t)]
    pub name: DeviceName,
    /// How precisely a GPU multiplies matrices; all else is in single precision
    #[arg(long, value_name = "P", default_value = "full")]
    pub precision: Precision,
}

/// How precisely matrices are multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// In single precision
    #[default]
    Full,
    /// Rounded to f16 before they are multiplied, on a GPU that has it
    Half,
}

impl OnDevice {
    /// The device, ready to compute in the precision that was asked for.
    ///
    /// # Errors
    ///
    /// If there is no such device, or it has no products in half precision.
    pub fn open(self) -> Result<Device, DeviceError> {
        let device = self.name.open()?;
        let products = match self.precision {
            Precision::Full => Products::Full,
            Precision::Half => Products::Half,
        };
        set_products(&device, products)
            .map_err(|why| DeviceError::Precision { name: self.name, why })?;
        Ok(device)
    }
}

/// How results are shown.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Format {
    /// Results as JSON, for other programs
    #[arg(long)]
    pub json: bool,
}

fn temperature(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if f64::is_finite(value) && value > 0.0 => Ok(value),
        _ => Err("must be a number above 0".to_owned()),
    }
}

/// The most texts or pictures that are asked for at once.
const MOST: usize = 1_000_000;

fn count(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(value) if value.get() <= MOST => Ok(value),
        _ => Err(format!("must be a whole number from 1 to {MOST}")),
    }
}

fn steps(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(value) if (2..=1000).contains(&value) => Ok(value),
        _ => Err("must be a whole number from 2 to 1000".to_owned()),
    }
}

fn penalty(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if f64::is_finite(value) && value >= 0.0 => Ok(value),
        _ => Err("must be a number of at least 0".to_owned()),
    }
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("must be a number above 0 and at most 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_definitions_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    /// What goes on with a training is what began it, as a shell reads it.
    #[test]
    fn a_command_that_resumes_says_all() {
        let line = ["recurrent", "train", "my run.toml", "--set", "training.epochs=3", "--set"];
        let set = "model.seq2seq.cell={ leaky = { longest = 5.0 } }";
        let more = [set, "--json", "--device", "wgpu:1", "--precision", "half"];
        let arguments = Arguments::try_parse_from(line.iter().chain(&more)).unwrap();
        let Some(Command::Train(train)) = arguments.command else { panic!("train") };
        let said = train.to_resume(Path::new("models/it's"));
        let expected = "recurrent train 'my run.toml' --resume --out \"models/it's\" --device wgpu:1 \
                        --precision half --set 'training.epochs=3' --set \
                        'model.seq2seq.cell={ leaky = { longest = 5.0 } }' --json";
        assert_eq!(said, expected);
    }

    #[rstest]
    #[case(&["generate", "m", "--count", "99999999999999999"], "from 1 to 1000000")]
    #[case(&["generate", "m", "--between", "a", "b", "--steps", "9999"], "from 2 to 1000")]
    #[case(&["translate", "m", "--length-penalty", "-1"], "at least 0")]
    #[case(&["train", "a.toml", "--set", "epochs"], "KEY=VALUE")]
    #[case(&["train", "a.toml", "--device", "gpu"], "unknown device `gpu`")]
    #[case(&["translate", "m", "--beam", "0"], "--beam")]
    #[case(&["translate", "m", "--beam", "2", "--sample"], "--sample")]
    #[case(&["translate", "m", "--sample", "--top-p", "1.5"], "above 0 and at most 1")]
    #[case(&["generate", "m", "--temperature", "NaN"], "above 0")]
    #[case(&["translate", "m", "--temperature", "0.5"], "--sample")]
    #[case(&["translate", "m", "--seed", "2"], "--sample")]
    #[case(&["evaluate", "m"], "--data")]
    #[case(&["translate"], "MODEL")]
    fn what_is_wrong_is_named(#[case] arguments: &[&str], #[case] named: &str) {
        let all = ["recurrent"].iter().chain(arguments);
        let error = Arguments::try_parse_from(all).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(named), "{error}");
    }

    #[test]
    fn a_model_is_named_after_its_configuration() {
        let folder = |arguments: &[&str]| {
            let all = ["recurrent", "train", "configs/g2p.toml"].iter().chain(arguments);
            let Some(Command::Train(train)) = Arguments::parse_from(all).command else {
                panic!("it is `train`");
            };
            train.folder()
        };
        assert_eq!(folder(&[]), Path::new("models/g2p"));
        assert_eq!(folder(&["--out", "a/b"]), Path::new("a/b"));
    }

    #[test]
    fn a_language_model_draws_without_being_asked() {
        Arguments::parse_from(["recurrent", "generate", "m", "--top-k", "5"]);
        Arguments::parse_from(["recurrent", "translate", "m"]);
    }

    #[test]
    fn an_ensemble_is_several_folders() {
        let all = ["recurrent", "translate", "a", "b", "--sample", "--top-k", "5", "--seed", "3"];
        let Some(Command::Translate(translate)) = Arguments::parse_from(all).command else {
            panic!("it is `translate`");
        };
        assert_eq!(translate.models.len(), 2);
        assert!(translate.sample);
        let five = NonZeroUsize::new(5);
        let drawing = Drawing { temperature: 1.0, top_k: five, top_p: None, seed: 3 };
        assert_eq!(translate.drawing, drawing);
    }
}
