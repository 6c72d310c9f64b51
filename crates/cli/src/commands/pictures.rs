//! What `recurrent evaluate` and `recurrent generate` do with models of pictures.

use std::{io::Write, path::Path};

use anyhow::{Context, bail};
use burn::prelude::*;
use recurrent_generative::{AutoencoderConfig, VaeConfig};
use recurrent_training::Moment;

use super::evaluate::show_set;
use crate::{
    args,
    atomic::{make_folder, write_atomically},
    data::ExampleSet,
    experiment::{Experiment, ModelConfig},
    folder::ModelFolder,
    gallery::write_into,
    picture::Grid,
    picture_files::{IdxFiles, PicturesConfig},
    picture_model::{About, PictureTask, VAE, load},
    terminal::grouped,
};

/// Pictures of a row of the grid.
const ACROSS: usize = 10;

/// Codes that are decoded at once.
const AT_ONCE: usize = 500;

/// Measures a model of pictures.
///
/// # Errors
///
/// If the model or a file is not whole, one does not fit the other, or an option is for texts.
pub fn evaluate(
    arguments: &args::Evaluate,
    files: &PicturesConfig,
    experiment: &Experiment,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let [path] = arguments.models.as_slice() else {
        bail!("models of pictures are evaluated one at a time");
    };
    refuse_texts(arguments, path, "pictures")?;
    let device = arguments.device.open()?;
    let folder = ModelFolder::open(path)?;
    let set = IdxFiles { images: arguments.data.clone(), labels: arguments.labels.clone() };
    let pictures = set.read("--data")?;
    let count = ExampleSet::count(&pictures);
    let at = Moment { seed: experiment.training.seed, epoch: 0, step: 0 };
    let (measured, drawings) = match &experiment.model {
        ModelConfig::Autoencoder(_) => {
            let (about, model) = load::<AutoencoderConfig>(&folder, &device)?;
            let task = PictureTask::of(about, files, &experiment.evaluation);
            task.fits(&pictures, "--data")?;
            task.looked_at(&model, &pictures, &at)?
        }
        ModelConfig::Vae(_) => {
            let (about, model) = load::<VaeConfig>(&folder, &device)?;
            let task = PictureTask::of(about, files, &experiment.evaluation);
            task.fits(&pictures, "--data")?;
            task.looked_at(&model, &pictures, &at)?
        }
        ModelConfig::Seq2seq(_)
        | ModelConfig::Gnmt(_)
        | ModelConfig::LanguageModel(_)
        | ModelConfig::SequenceVae(_)
        | ModelConfig::Hred(_)
        | ModelConfig::Vhred(_)
        | ModelConfig::EchoState(_)
        | ModelConfig::Forecaster(_) => {
            bail!("{}/training.toml is not of a model of pictures", path.display())
        }
    };
    show_set(&measured, count, arguments, out)?;
    match &arguments.pictures {
        Some(folder) => Ok(write_into(&drawings, folder)?),
        None => Ok(()),
    }
}

/// Options that are for models of texts, of which one of `what` is none.
pub(super) fn refuse_texts(
    arguments: &args::Evaluate,
    path: &Path,
    what: &str,
) -> anyhow::Result<()> {
    let given = [
        ("--targets", arguments.targets.is_some()),
        ("--beam", !arguments.beam.is_empty()),
        ("--length-penalty", !arguments.length_penalty.is_empty()),
        ("--coverage-penalty", !arguments.coverage_penalty.is_empty()),
        ("--temperature", !arguments.temperature.is_empty()),
        ("--from", arguments.from.is_some()),
        ("--to", arguments.to.is_some()),
        ("--pivot", arguments.pivot.is_some()),
        ("--each", arguments.each),
        ("--by-length", arguments.by_length.is_some()),
    ];
    refuse(&given, path, what)
}

fn refuse(given: &[(&str, bool)], path: &Path, what: &str) -> anyhow::Result<()> {
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => {
            bail!("{flag} is for models of texts, and {} is a model of {what}", path.display())
        }
    }
}

/// Draws pictures from the prior.
///
/// # Errors
///
/// If the model is no variational autoencoder, an option is for texts, it does not know the label, or
/// a file cannot be written.
pub fn generate(
    arguments: &args::Generate,
    folder: &ModelFolder,
    device: &Device,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    folder.expect_kind(&[VAE])?;
    let path = arguments.model.display();
    let drawing = arguments.drawing;
    let given = [
        ("--prompt", arguments.prompt.is_some()),
        ("--length", arguments.length.is_some()),
        ("--between", arguments.between.is_some()),
        ("--beam", arguments.beam.is_some()),
        ("--temperature", drawing.temperature != 1.0),
        ("--top-k", drawing.top_k.is_some()),
        ("--top-p", drawing.top_p.is_some()),
    ];
    refuse(&given, &arguments.model, "pictures")?;
    let to = arguments.out.as_deref();
    let to = to.with_context(|| format!("--out DIR is missing: {path} draws pictures"))?;
    let (About { rows, columns, classes, .. }, model) = load::<VaeConfig>(folder, device)?;
    match arguments.label {
        Some(label) if classes == 0 => {
            bail!("--label {label}: {path} is not told what a picture shows")
        }
        Some(label) if label >= classes => {
            bail!("--label {label}: {path} knows labels below {classes}")
        }
        _ => {}
    }
    let label = |n: usize| arguments.label.unwrap_or(n % classes.max(1));
    let count = arguments.count.get();
    let labels: Vec<usize> = (0..count).map(label).collect();
    let mut rng = Moment { seed: drawing.seed, epoch: 0, step: 0 }.rng();
    let mut values = Vec::new();
    for labels in labels.chunks(AT_ONCE) {
        let codes = model.prior(labels.len(), &mut rng);
        let drawn = recurrent_generative::PictureModel::pictures_of(&model, &codes, Some(labels));
        values.extend(drawn);
    }
    make_folder(to)?;
    let digits = count.to_string().len();
    let mut files = Vec::with_capacity(count);
    for (n, picture) in values.chunks(rows * columns).enumerate() {
        let file = to.join(format!("{:0digits$}.png", n + 1));
        write_atomically(&file, &Grid::one([rows, columns], picture).png())?;
        files.push(file.display().to_string());
    }
    let (grid, all) = (Grid { rows, columns, across: ACROSS.min(count), values }, "grid.png");
    write_atomically(&to.join(all), &grid.png())?;
    if arguments.format.json {
        let mut json =
            serde_json::json!({ "pictures": files, "grid": to.join(all).display().to_string() });
        if classes > 0 {
            json["labels"] = labels.into();
        }
        return Ok(writeln!(out, "{json}")?);
    }
    let (shown, count) = (to.display(), grouped(count));
    Ok(writeln!(out, "{shown} has {count} pictures, and grid.png with all of them")?)
}
