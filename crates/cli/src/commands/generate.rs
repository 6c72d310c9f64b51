//! `recurrent generate`: texts that a language model or a variational autoencoder writes, pictures that
//! one draws.

use std::io::Write;

use anyhow::bail;
use burn::prelude::*;
use recurrent_generative::SequenceVaeConfig;
use recurrent_seq2seq::{
    LanguageModelConfig,
    search::{Ending, Sampling},
};
use recurrent_text::Tokenizer;
use recurrent_training::Moment;
use serde::Serialize;

use super::{evaluate::trained_with, pictures};
use crate::{
    args,
    decode::Search,
    folder::ModelFolder,
    picture_model::{AUTOENCODER, VAE},
    text_model::{self, TextModel},
    text_to_text::{Written, shown},
    text_vae::SEQUENCE_VAE,
};

/// The most tokens of a text, if nothing else is said.
const LENGTH: usize = 500;

/// A text, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Output<'a> {
    text: &'a str,
    /// What of it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    /// What was written behind that, token by token, and how likely it is: of an autoencoder for the
    /// code that it was written from.
    tokens: Vec<String>,
    log_prob: f64,
    token_log_probs: &'a [f64],
    ending: Ending,
}

/// See [`args::Generate`].
///
/// # Errors
///
/// If the model is not whole or can do neither, an option is of the other, or the output cannot be
/// written.
pub fn run(arguments: &args::Generate, out: &mut dyn Write) -> anyhow::Result<()> {
    let device = arguments.device.open()?;
    let folder = ModelFolder::open(&arguments.model)?;
    match folder.kind() {
        Some(VAE | AUTOENCODER) => pictures::generate(arguments, &folder, &device, out),
        Some(SEQUENCE_VAE) => from_codes(arguments, &folder, &device, out),
        _ => {
            folder.expect_kind(&[text_model::KIND, SEQUENCE_VAE, VAE])?;
            from_prompt(arguments, &device, out)
        }
    }
}

/// A language model writes.
fn from_prompt(
    arguments: &args::Generate,
    device: &Device,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (text, model) = TextModel::<LanguageModelConfig>::load(&arguments.model, device)?;
    refuse_pictures(arguments, "a language model")?;
    let given = [("--between", arguments.between.is_some()), ("--beam", arguments.beam.is_some())];
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        let model = arguments.model.display();
        bail!("{flag} is for a variational autoencoder of texts, and {model} is a language model");
    }
    let prompt = arguments.prompt.as_deref().unwrap_or_default();
    let sampling = Sampling { count: arguments.count.get(), ..arguments.drawing.sampling() };
    let texts = text.write(&model, prompt, &sampling, length(arguments))?;
    show(arguments, &text.tokenizer, &texts, out)
}

/// A variational autoencoder of texts writes, from its prior or between two texts.
fn from_codes(
    arguments: &args::Generate,
    folder: &ModelFolder,
    device: &Device,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (text, model) = TextModel::<SequenceVaeConfig>::load(&arguments.model, device)?;
    let what = "a variational autoencoder of texts";
    refuse_pictures(arguments, what)?;
    if arguments.prompt.is_some() {
        let model = arguments.model.display();
        bail!("--prompt is for a language model, and {model} is {what}");
    }
    let search = match (&arguments.between, arguments.beam) {
        (None, None) => Search::Sample(arguments.drawing.sampling()),
        (_, width) => {
            let mut evaluation = trained_with(folder)?.evaluation;
            evaluation.beam = width.map_or(evaluation.beam, std::num::NonZero::get);
            evaluation.search()
        }
    };
    let how = (&search, length(arguments));
    let texts = match arguments.between.as_deref() {
        Some([from, to]) => text.between(&model, [from, to], arguments.steps, how)?,
        _ => {
            let at = Moment { seed: arguments.drawing.seed, epoch: 0, step: 0 };
            text.drawn(&model, arguments.count.get(), how, &at)?
        }
    };
    show(arguments, &text.tokenizer, &texts, out)
}

/// Texts, a line each, what they began with in front.
fn show(
    arguments: &args::Generate,
    tokenizer: &Tokenizer,
    texts: &[Written],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let prompt = arguments.prompt.as_deref().unwrap_or_default();
    for Written { text, hypothesis } in texts {
        let text = format!("{prompt}{text}");
        if arguments.format.json {
            let output = Output {
                text: &text,
                prompt: arguments.prompt.as_deref(),
                tokens: shown(&hypothesis.tokens, tokenizer),
                log_prob: hypothesis.log_prob,
                token_log_probs: &hypothesis.token_log_probs,
                ending: hypothesis.ending,
            };
            writeln!(out, "{}", serde_json::to_string(&output)?)?;
        } else {
            writeln!(out, "{text}")?;
        }
    }
    Ok(())
}

fn length(arguments: &args::Generate) -> usize {
    arguments.length.map_or(LENGTH, std::num::NonZero::get)
}

/// Options that are for a model of pictures.
fn refuse_pictures(arguments: &args::Generate, what: &str) -> anyhow::Result<()> {
    let given = [("--out", arguments.out.is_some()), ("--label", arguments.label.is_some())];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => {
            let model = arguments.model.display();
            bail!("{flag} is for a model of pictures, and {model} is {what}")
        }
    }
}
