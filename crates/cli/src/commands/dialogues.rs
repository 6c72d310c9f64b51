//! What `recurrent evaluate` does with models of conversations.

use std::io::Write;

use anyhow::{Context, bail};
use burn::prelude::*;
use recurrent_generative::{HredConfig, VhredConfig};
use recurrent_seq2seq::LanguageModelConfig;
use recurrent_text::{Dialogue, DialogueFile, WordVectors};
use recurrent_training::Moment;

use super::evaluate::show_set;
use crate::{
    args,
    data::ExampleSet,
    dialogue_files::{self, DialoguesConfig},
    dialogue_model::{DialogueConfig, DialogueTask, Talker},
    experiment::{Experiment, ModelConfig},
    flat_model::FlatTask,
    folder::ModelFolder,
    gallery::write_into,
    latent_pictures::drawings,
    replies::Replies,
    report::Measured,
    task::Task,
    text_model::TextModel,
};

/// Measures a model of conversations.
///
/// # Errors
///
/// If the model or a file is not whole, or an option is for other models.
pub fn evaluate(
    arguments: &args::Evaluate,
    files: &DialoguesConfig,
    experiment: &Experiment,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let [path] = arguments.models.as_slice() else {
        bail!("models of conversations are evaluated one at a time");
    };
    refuse_others(arguments)?;
    if arguments.pictures.is_some() && !matches!(experiment.model, ModelConfig::Vhred(_)) {
        bail!("--pictures: {} has no latent variable to draw", path.display());
    }
    let device = arguments.device.open()?;
    let folder = ModelFolder::open(path)?;
    let file = DialogueFile { path: arguments.data.clone(), ..files.test_or_valid().clone() };
    let dialogues = dialogue_files::read(&file, "--data")?;
    let vectors = arguments.vectors.as_deref().map(WordVectors::read).transpose();
    let vectors = vectors.context("--vectors")?;
    let mut experiment = experiment.clone();
    if let Some(width) = arguments.beam.first() {
        experiment.evaluation.beam = width.get();
    }
    let job = Job { experiment: &experiment, dialogues: &dialogues, vectors: vectors.as_ref() };
    let measured = match &experiment.model {
        ModelConfig::Hred(_) => job.measured::<HredConfig>(&folder, &device)?,
        ModelConfig::Vhred(_) => job.measured::<VhredConfig>(&folder, &device)?,
        ModelConfig::LanguageModel(_) => {
            let given = [
                ("--vectors", arguments.vectors.is_some()),
                ("--beam", !arguments.beam.is_empty()),
            ];
            if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
                bail!("{flag}: {} is a language model and gives no replies", path.display());
            }
            let (text, model) = TextModel::<LanguageModelConfig>::load(path, &device)?;
            FlatTask::of(text, &experiment)?.report(&model, &dialogues, &job.moment(), &folder)?
        }
        ModelConfig::Seq2seq(_)
        | ModelConfig::Gnmt(_)
        | ModelConfig::SequenceVae(_)
        | ModelConfig::Autoencoder(_)
        | ModelConfig::Vae(_)
        | ModelConfig::EchoState(_)
        | ModelConfig::Forecaster(_) => {
            bail!("{}/training.toml is not of a model of conversations", path.display())
        }
    };
    show_set(&measured, dialogues.count(), arguments, out)?;
    match (&arguments.pictures, &measured.latent) {
        (Some(folder), Some(latent)) => Ok(write_into(&drawings(latent)?, folder)?),
        _ => Ok(()),
    }
}

struct Job<'a> {
    experiment: &'a Experiment,
    dialogues: &'a Vec<Dialogue>,
    vectors: Option<&'a WordVectors>,
}

impl Job<'_> {
    fn moment(&self) -> Moment {
        Moment { seed: self.experiment.training.seed, epoch: 0, step: 0 }
    }

    fn measured<C: DialogueConfig>(
        &self,
        folder: &ModelFolder,
        device: &Device,
    ) -> anyhow::Result<Measured> {
        let (talker, model) = Talker::<C>::load(folder, device)?;
        let task = DialogueTask::of(talker, self.experiment)?;
        let (measured, replies) = task.measured(&model, self.dialogues, &self.moment())?;
        self.with_nearness(measured, &replies)
    }

    /// With the metrics that need vectors of words.
    fn with_nearness(&self, mut measured: Measured, replies: &Replies) -> anyhow::Result<Measured> {
        let Some(vectors) = self.vectors else { return Ok(measured) };
        let near = replies.nearness(vectors).context("--vectors")?;
        measured.scores = measured
            .scores
            .with("average", near.average)
            .with("greedy", near.greedy)
            .with("extrema", near.extrema);
        Ok(measured)
    }
}

/// Options that are for other models.
fn refuse_others(arguments: &args::Evaluate) -> anyhow::Result<()> {
    let given = [
        ("--targets", arguments.targets.is_some()),
        ("--labels", arguments.labels.is_some()),
        ("--length-penalty", !arguments.length_penalty.is_empty()),
        ("--coverage-penalty", !arguments.coverage_penalty.is_empty()),
        ("--temperature", !arguments.temperature.is_empty()),
        ("--from", arguments.from.is_some()),
        ("--to", arguments.to.is_some()),
        ("--pivot", arguments.pivot.is_some()),
        ("--each", arguments.each),
        ("--by-length", arguments.by_length.is_some()),
        ("several --beam", arguments.beam.len() > 1),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => bail!(
            "{flag}: {} is a model of conversations, which is measured without",
            arguments.models[0].display()
        ),
    }
}
