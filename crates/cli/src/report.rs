//! What is shown of a model after it was trained or evaluated.

use std::{io::Write, path::Path};

use recurrent_generative::{Collapse, LatentReport};
use recurrent_training::{AverageRecord, EpochRecord, Monitor, Scores};
use serde::Serialize;

use crate::{
    dialogue_files::CutTurns,
    picture::{self, Curve, Panel, PictureError},
    terminal::{Align, Stream, Table, grouped},
};

/// What was measured of a model, and what it wrote.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    /// What was measured.
    #[serde(serialize_with = "as_object")]
    pub scores: Scores,
    /// What its likelihoods and errors are counted in.
    #[serde(skip)]
    pub unit: Unit,
    /// Texts that are worth looking at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
    /// What a latent variable is used for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latent: Option<LatentReport>,
}

/// What likelihoods and errors are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// A token at a time.
    #[default]
    NatsAToken,
    /// A token at a time, and what the two parts of a bound are, a text at a time.
    NatsAText,
    /// A picture at a time.
    NatsAPicture,
    /// Squared, and a picture at a time.
    SquaresAPicture,
    /// Deviations of what would have been right.
    Deviations,
}

impl Unit {
    /// What stands behind a score of this name; nothing behind those that are shares, or have none.
    fn of(self, score: &str) -> &'static str {
        match (self, score) {
            (Self::NatsAToken | Self::NatsAText, "nll") => " nats a token",
            (Self::NatsAText, "reconstruction" | "kl") => " nats a text",
            (Self::NatsAToken | Self::NatsAText, _) => "",
            (Self::NatsAPicture, _) => " nats a picture",
            (Self::SquaresAPicture, _) => " squared, a picture",
            (Self::Deviations, _) => "",
        }
    }
}

/// One text that a model has written.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// What it was written for; empty for a text without a source.
    pub source: String,
    /// What the model wrote.
    pub output: String,
    /// What would have been right.
    pub references: Vec<String>,
}

impl Example {
    /// A text that was written for nothing.
    pub fn unasked(output: String) -> Self {
        Self { source: String::new(), output, references: Vec::new() }
    }
}

/// A training and its result, as `metrics.json` has it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was measured on: `test` or `valid`.
    pub set: &'static str,
    /// What was measured, and worked examples.
    #[serde(flatten)]
    pub measured: Measured,
    /// Examples that were too long to be learned from.
    #[serde(skip_serializing_if = "is_nothing")]
    pub left_out: usize,
    /// Turns of conversations that were learned from in part alone; none for other models, or where
    /// nothing is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<CutTurns>,
    /// The epoch whose weights these are; none if they are the mean of several.
    pub best_epoch: Option<usize>,
    /// The mean of the last epochs, if the configuration asks for one, and what validation measured
    /// of it.
    #[serde(serialize_with = "average_as_object")]
    pub average: Option<AverageRecord>,
    /// Epochs trained.
    pub epochs: usize,
    /// Optimiser steps taken.
    pub steps: usize,
    /// Numbers in the model.
    pub parameters: usize,
    /// Seconds that training took since it was last started, validation included.
    pub seconds: f64,
    /// Files in the folder's `pictures`.
    pub pictures: Vec<String>,
    /// What validation measured after every epoch.
    pub history: Vec<serde_json::Value>,
}

/// Scores as a JSON object.
pub(crate) fn as_object<S: serde::Serializer>(scores: &Scores, to: S) -> Result<S::Ok, S::Error> {
    scores.to_json().serialize(to)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_nothing(count: &usize) -> bool {
    *count == 0
}

fn average_as_object<S: serde::Serializer>(
    average: &Option<AverageRecord>,
    to: S,
) -> Result<S::Ok, S::Error> {
    average.as_ref().map(AverageRecord::to_json).serialize(to)
}

impl Report {
    /// Shows the scores, the examples and where the model is.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn show(&self, folder: &Path, out: &mut dyn Write) -> std::io::Result<()> {
        let styles = Stream::Stdout.styles();
        writeln!(
            out,
            "{} parameters, {} epochs{}, {:.0} s",
            grouped(self.parameters),
            self.epochs,
            self.best(),
            self.seconds
        )?;
        if let Some(cut) = &self.cut {
            writeln!(out, "{cut}")?;
        }
        writeln!(out, "\n{}", styles.bold(&format!("On the {} set", self.set)))?;
        show_measured(&self.measured, out)?;
        let (shown, pictures) = (folder.display(), self.pictures.join(", "));
        writeln!(out, "\nThe model is in {shown}, pictures of it in {shown}/pictures: {pictures}.")
    }

    /// Whose weights the model has.
    fn best(&self) -> String {
        let mean = self.average.as_ref().map(|AverageRecord { first, last, .. }| {
            format!("the mean of epochs {first} to {last}")
        });
        match (self.best_epoch, mean) {
            (Some(epoch), Some(mean)) => format!(", the best was {epoch}, better than {mean}"),
            (Some(epoch), None) => format!(", the best was {epoch}"),
            (None, Some(mean)) => format!(", the best was {mean}"),
            (None, None) => String::new(),
        }
    }
}

/// Scores, what a latent variable is used for, and examples, where there are any.
///
/// # Errors
///
/// If it cannot be written.
pub fn show_measured(measured: &Measured, out: &mut dyn Write) -> std::io::Result<()> {
    show_scores(&measured.scores, measured.unit, out)?;
    if let Some(latent) = &measured.latent {
        show_latent(latent, out)?;
    }
    if !measured.examples.is_empty() {
        writeln!(out, "\n{}", Stream::Stdout.styles().bold("Examples"))?;
        show_examples(&measured.examples, out)?;
    }
    Ok(())
}

/// A line for each score.
///
/// # Errors
///
/// If it cannot be written.
pub fn show_scores(scores: &Scores, unit: Unit, out: &mut dyn Write) -> std::io::Result<()> {
    let mut table = Table::new([Align::Left, Align::Left]);
    for (name, value) in scores.iter() {
        table.row([name.to_owned(), format!("{}{}", score(name, value), unit.of(name))]);
    }
    write!(out, "{table}")
}

/// What a latent variable is used for, dimension by dimension.
///
/// # Errors
///
/// If it cannot be written.
pub fn show_latent(latent: &LatentReport, out: &mut dyn Write) -> std::io::Result<()> {
    let dimensions = latent.kl_by_dimension.len();
    writeln!(out, "\n{}", Stream::Stdout.styles().bold("The latent variable"))?;
    let by_dimension = latent.kl_by_dimension.iter().map(|kl| format!("{kl:.2}"));
    let mut table = Table::new([Align::Left, Align::Left]);
    table.row(["active units", &format!("{} of {dimensions}", latent.active_units)]);
    table.row(["mutual information", &format!("{:.2} nats", latent.mutual_information)]);
    table.row(["kl by dimension", &by_dimension.collect::<Vec<_>>().join(" ")]);
    write!(out, "{table}")?;
    writeln!(out, "{}", collapse(latent))
}

/// Whether the posterior has collapsed, in words.
pub fn collapse(latent: &LatentReport) -> String {
    let dimensions = latent.kl_by_dimension.len();
    match latent.collapse {
        Collapse::None => {
            "the posterior has not collapsed: every dimension says something".to_owned()
        }
        Collapse::Partial => format!(
            "the posterior has collapsed in part: {} of {dimensions} dimensions are as the prior and say \
             nothing",
            latent.silent()
        ),
        Collapse::Whole => {
            "the posterior has collapsed: it is the prior, and the model does without its \
                            latent variable"
                .to_owned()
        }
    }
}

/// A score as it is shown.
pub fn score(name: &str, value: f64) -> String {
    match name {
        _ if !value.is_finite() => "not finite".to_owned(),
        "nll" | "reconstruction" | "kl" | "iw" | "principal_components" => format!("{value:.4}"),
        "ppl" => format!("{value:.3}"),
        "ppl_posterior" | "ppl_prior" | "ppl_zero" | "iw_ppl" | "length" | "between_draws" => {
            format!("{value:.2}")
        }
        "distinct_1" | "distinct_2" | "average" | "greedy" | "extrema" => format!("{value:.4}"),
        name if name.starts_with("nrmse") => format!("{value:.3e}"),
        "bleu" | "character_bleu" | "chrf" => format!("{value:.2}"),
        _ => format!("{value:.2} %"),
    }
}

/// Source, output and, where the output is another, what would have been right.
///
/// # Errors
///
/// If it cannot be written.
pub fn show_examples(examples: &[Example], out: &mut dyn Write) -> std::io::Result<()> {
    let mut table = Table::new([Align::Left, Align::Left, Align::Left]);
    for example in examples {
        let right = example.references.is_empty() || example.references.contains(&example.output);
        let remark = if right { String::new() } else { format!("not {}", example.references[0]) };
        table.row([example.source.clone(), example.output.clone(), remark]);
    }
    write!(out, "{table}")
}

/// A picture of a training: negative log-likelihood above, the metric that chose the best epoch
/// below. The mean of the last epochs is a level line over those epochs.
///
/// # Errors
///
/// If it cannot be drawn.
pub fn learning_curve(
    history: &[EpochRecord],
    average: Option<&AverageRecord>,
    metric: &Monitor,
) -> Result<String, PictureError> {
    let curve = |name: &str, value: &dyn Fn(&EpochRecord) -> Option<f64>| Curve {
        name: name.to_owned(),
        points: history
            .iter()
            .filter_map(|record| Some((record.epoch as f64, value(record)?)))
            .collect(),
    };
    let validated = |name: &str| {
        let mean = average.and_then(|mean| {
            let value = mean.scores.get(name)?;
            let points = vec![(mean.first as f64, value), (mean.last as f64, value)];
            Some(Curve { name: "mean of epochs".to_owned(), points })
        });
        [curve("validation", &|record| record.scores.get(name))].into_iter().chain(mean)
    };
    let training = curve("training", &|record| Some(record.nll));
    let curves = [training].into_iter().chain(validated("nll")).collect();
    let mut panels = vec![Panel { label: "nll".to_owned(), curves }];
    if metric.name != "nll" {
        let curves = validated(&metric.name).collect();
        panels.push(Panel { label: metric.name.clone(), curves });
    }
    picture::learning_curve("Learning curve", &panels)
}
