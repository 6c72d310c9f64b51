//! `recurrent evaluate`: how good a model, or an ensemble, is on a file of examples.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use burn::prelude::*;
use recurrent_cells::AnyCell;
use recurrent_seq2seq::Seq2Seq;
use recurrent_text::{JsonLines, Pair, PairFiles, Plain, Tsv};
use recurrent_training::{Moment, Scores, validation_loss};

use super::train::read;
use crate::{
    args,
    experiment::{Experiment, ModelConfig},
    folder::{ModelFolder, Part},
    report::{Measured, show_examples, show_scores},
    task::{Language, Task, Translation, measured},
    terminal::Stream,
    text_model,
    text_to_text::TextToText,
};

/// See [`args::Evaluate`].
///
/// # Errors
///
/// If a model or the file is not whole, or something cannot be measured.
pub fn run(arguments: &args::Evaluate, out: &mut dyn Write) -> anyhow::Result<()> {
    let device = arguments.device.name.open()?;
    let folder = ModelFolder::open(&arguments.models[0])?;
    let mut experiment = trained_with(&folder)?;
    let files = as_trained(&arguments.data, &experiment.data.train)?;
    let pairs = read("--data", &files, &experiment.data)?;
    if let Some(width) = arguments.beam {
        experiment.evaluation.beam = width.get();
    }
    let measured = if folder.kind() == Some(text_model::KIND) {
        evaluate_language(arguments, &experiment, &pairs, &device)?
    } else {
        let (texts, models) = load_ensemble(&arguments.models, &device)?;
        let scores = match models.as_slice() {
            [model] => likelihood(&texts, &experiment, model, &pairs)?,
            // An ensemble has no loss to learn by.
            _ => Scores::new(),
        };
        measured(&texts, &models, &pairs, &experiment.evaluation, scores)?.0
    };
    show(&measured, arguments, pairs.len(), out)
}

/// How likely the targets are, as it was measured after training.
fn likelihood(
    texts: &TextToText,
    experiment: &Experiment,
    model: &Seq2Seq<AnyCell>,
    pairs: &[Pair],
) -> anyhow::Result<Scores> {
    let moment = Moment { seed: experiment.training.seed, epoch: 0, step: 0 };
    let batches = Translation::of(texts.clone(), experiment).batches(pairs, "--data")?;
    Ok(validation_loss(model, &batches, &moment).scores())
}

fn show(
    measured: &Measured,
    arguments: &args::Evaluate,
    pairs: usize,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if arguments.format.json {
        let json = serde_json::json!({
            "models": arguments.models,
            "data": arguments.data,
            "pairs": pairs,
            "scores": measured.scores.to_json(),
            "examples": measured.examples,
        });
        return Ok(writeln!(out, "{json}")?);
    }
    let styles = Stream::Stdout.styles();
    writeln!(out, "{}", styles.bold(&format!("On {}", arguments.data.display())))?;
    show_scores(&measured.scores, out)?;
    writeln!(out, "\n{}", styles.bold("Examples"))?;
    Ok(show_examples(&measured.examples, out)?)
}

fn evaluate_language(
    arguments: &args::Evaluate,
    experiment: &Experiment,
    pairs: &[Pair],
    device: &Device,
) -> anyhow::Result<Measured> {
    let [path] = arguments.models.as_slice() else {
        bail!("language models are evaluated one at a time");
    };
    let (text, model) = text_model::TextModel::load(path, device)?;
    let ModelConfig::LanguageModel(_) = experiment.model else {
        bail!("{}/training.toml is not of a language model", path.display());
    };
    let moment = Moment { seed: experiment.training.seed, epoch: 0, step: 0 };
    let folder = ModelFolder::open(path)?;
    Language::of(text, experiment).report(&model, pairs, &moment, &folder)
}

/// The configuration that a model was trained with.
///
/// # Errors
///
/// If it is not in the folder or not what this program reads.
pub fn trained_with(folder: &ModelFolder) -> anyhow::Result<Experiment> {
    let text = folder.read_text(Part::Training)?;
    let name = || format!("{}/{}", folder.path().display(), Part::Training.file_name());
    toml::from_str(&text).with_context(name)
}

/// Models that write together, and the tokenisers of the first.
///
/// # Errors
///
/// If one is not whole, or does not share its vocabulary with the first.
pub fn load_ensemble(
    paths: &[PathBuf],
    device: &Device,
) -> anyhow::Result<(TextToText, Vec<Seq2Seq<AnyCell>>)> {
    let mut first: Option<TextToText> = None;
    let mut models = Vec::with_capacity(paths.len());
    for path in paths {
        let (texts, model) = TextToText::load(path, device)?;
        if let Some(first) = &first
            && !first.tokenizers.same(&texts.tokenizers)
        {
            let (a, b) = (paths[0].display(), path.display());
            bail!("{b} has other tokens than {a}: models of an ensemble share their vocabulary");
        }
        first.get_or_insert(texts);
        models.push(model);
    }
    Ok((first.context("there is no model")?, models))
}

/// A file in the format that a model was trained on: its columns and fields, where the name of the
/// file allows it.
fn as_trained(path: &Path, trained: &PairFiles) -> anyhow::Result<PairFiles> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let path = path.to_owned();
    if name.ends_with(".jsonl") {
        return Ok(PairFiles::JsonLines(match trained {
            PairFiles::JsonLines(lines) => JsonLines { path, ..lines.clone() },
            _ => JsonLines { path, source: "source".to_owned(), target: "target".to_owned() },
        }));
    }
    if name.ends_with(".tsv") {
        return Ok(PairFiles::Tsv(match trained {
            PairFiles::Tsv(tsv) => Tsv { path, ..tsv.clone() },
            _ => Tsv::new(path),
        }));
    }
    if matches!(trained, PairFiles::Plain(_)) {
        return Ok(PairFiles::Plain(Plain { path }));
    }
    bail!(
        "--data {} must end in .tsv or .jsonl, .gz behind it allowed: pairs in one file",
        path.display()
    )
}
