//! `recurrent evaluate`: how good a model, or an ensemble, is on a file of examples.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, bail};
use burn::prelude::*;
use recurrent_generative::SequenceVaeConfig;
use recurrent_seq2seq::{LanguageModelConfig, search::Sampling};
use recurrent_text::{Group, JsonLines, Pair, PairFiles, Parallel, Plain, Tsv};
use recurrent_training::{Moment, Scores};
use serde_json::Value;

use super::{dialogues, pictures, series};
use crate::{
    any_translator::AnyTranslator,
    args,
    comparison::{self, OfLength, Row, Way},
    data::{Count, ExampleSet, read},
    decode::Search,
    experiment::{EvaluationConfig, Experiment, ModelConfig},
    folder::{ModelFolder, Part},
    language_matrix::{self, Asked},
    metric::Metric,
    report::{Measured, show_examples, show_measured, show_scores},
    task::{Task, measured},
    terminal::Stream,
    text_model::{self, TextConfig, TextModel, TextTask},
    text_to_text::{TextToText, Written},
    text_vae,
};

/// See [`args::Evaluate`].
///
/// # Errors
///
/// If a model or the file is not whole, or something cannot be measured.
pub fn run(arguments: &args::Evaluate, out: &mut dyn Write) -> anyhow::Result<()> {
    let device = arguments.device.open()?;
    let folder = ModelFolder::open(&arguments.models[0])?;
    let experiment = trained_with(&folder)?;
    if experiment.data.dialogues.is_none() && arguments.vectors.is_some() {
        bail!("--vectors: {} is no model of conversations", folder.path().display());
    }
    if let Some(pictures) = &experiment.data.pictures {
        return pictures::evaluate(arguments, pictures, &experiment, out);
    }
    if let Some(dialogues) = &experiment.data.dialogues {
        return dialogues::evaluate(arguments, dialogues, &experiment, out);
    }
    if experiment.data.series.is_some() {
        return series::evaluate(arguments, &experiment, out);
    }
    if let Some(labels) = &arguments.labels {
        let (labels, path) = (labels.display(), folder.path().display());
        bail!("--labels {labels}: {path} is a model of texts, labels are of pictures");
    }
    if !experiment.data.pairs.is_empty() {
        return evaluate_languages(arguments, &experiment, &device, out);
    }
    for (flag, language) in
        [("--from", &arguments.from), ("--to", &arguments.to), ("--pivot", &arguments.pivot)]
    {
        if let Some(language) = language {
            bail!("{flag} {language}: {} is a model of one pair", folder.path().display());
        }
    }
    let trained = experiment.data.train.as_ref();
    let trained = trained.with_context(|| format!("{}/training.toml", folder.path().display()))?;
    if let Some(text_model::KIND | text_vae::SEQUENCE_VAE) = folder.kind() {
        if let Some(targets) = &arguments.targets {
            let (targets, path) = (targets.display(), folder.path().display());
            bail!("--targets {targets}: {path} is a model of texts without a source");
        }
        something_is_drawn(arguments)?;
        let files = as_trained(&arguments.data, trained)?;
        let pairs = read("--data", &files, &experiment.data)?;
        let measured = evaluate_texts(arguments, &experiment, &pairs, &device)?;
        return show_set(&measured, pairs.count(), arguments, out);
    }
    let pairs = match parallel(arguments, &experiment)? {
        Some(pairs) => pairs,
        None => read("--data", &as_trained(&arguments.data, trained)?, &experiment.data)?,
    };
    evaluate_pairs(arguments, &experiment, &pairs, &device, out)
}

/// The lines of `--data` and of `--targets`, if those are given.
fn parallel(
    arguments: &args::Evaluate,
    experiment: &Experiment,
) -> anyhow::Result<Option<Vec<Pair>>> {
    let Some(target) = arguments.targets.clone() else { return Ok(None) };
    let files = PairFiles::Parallel(Parallel { source: arguments.data.clone(), target });
    read("--data", &files, &experiment.data).map(Some)
}

/// Refuses a folder for pictures of which there would be none.
fn something_is_drawn(arguments: &args::Evaluate) -> anyhow::Result<()> {
    if arguments.pictures.is_some() && !arguments.compares() && arguments.by_length.is_none() {
        bail!(
            "--pictures has nothing to draw without --by-length, several --beam, --temperature or \
             penalties"
        );
    }
    Ok(())
}

/// From one text to one other.
fn evaluate_pairs(
    arguments: &args::Evaluate,
    experiment: &Experiment,
    pairs: &[Pair],
    device: &Device,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    something_is_drawn(arguments)?;
    let rows = rows(arguments, experiment, pairs, device)?;
    if let [row] = rows.as_slice() {
        show(&row.measured, &rows, arguments, pairs.len(), out)?;
    } else {
        show_comparison(&rows, arguments, pairs.len(), out)?;
    }
    if let Some(folder) = &arguments.pictures {
        comparison::draw(&rows, folder)?;
    }
    Ok(())
}

/// Every model, or the ensemble of all, with every search.
fn rows(
    arguments: &args::Evaluate,
    experiment: &Experiment,
    pairs: &[Pair],
    device: &Device,
) -> anyhow::Result<Vec<Row>> {
    let ways = ways(arguments, &experiment.evaluation)?;
    let together = match arguments.each {
        true => 1,
        false => arguments.models.len(),
    };
    let mut rows = Vec::new();
    for paths in arguments.models.chunks(together) {
        let (texts, models) = load_ensemble(paths, device)?;
        let likelihood = match models.as_slice() {
            [model] => likelihood(&texts, experiment, model, pairs)?,
            // An ensemble has no loss to learn by.
            _ => Scores::new(),
        };
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        for &way in &ways {
            let search = search(way, experiment);
            let metrics = experiment.evaluation.metrics.as_slice();
            let start = Instant::now();
            let (measured, groups, outputs) =
                measured(&texts, &models, pairs, (search, metrics), likelihood.clone())?;
            let seconds = start.elapsed().as_secs_f64();
            let tokens = outputs.iter().map(|written| written[0].hypothesis.tokens.len() + 1).sum();
            let by_length = match arguments.by_length {
                Some(step) => by_length(&texts, step.get(), &groups, &outputs, metrics)?,
                None => Vec::new(),
            };
            rows.push(Row { model: names.join(" + "), way, measured, seconds, tokens, by_length });
        }
    }
    Ok(rows)
}

/// Every way to search that is asked for: every beam with every penalty, and every temperature. By
/// default what the configuration says.
///
/// # Errors
///
/// If a penalty is asked for that no beam is wide enough for.
fn ways(arguments: &args::Evaluate, evaluation: &EvaluationConfig) -> anyhow::Result<Vec<Way>> {
    let or = |given: &[f64], default: f64| match given {
        [] => vec![default],
        given => given.to_vec(),
    };
    let alphas = or(&arguments.length_penalty, evaluation.length_penalty);
    let betas = or(&arguments.coverage_penalty, evaluation.coverage_penalty);
    let mut widths: Vec<usize> = arguments.beam.iter().map(|width| width.get()).collect();
    let penalties = arguments.length_penalty.len() + arguments.coverage_penalty.len();
    if widths.is_empty() && (arguments.temperature.is_empty() || penalties > 0) {
        widths.push(evaluation.beam);
    }
    let act = |values: &[f64]| values.iter().any(|value| *value != 0.0);
    let asked = [act(&arguments.length_penalty), act(&arguments.coverage_penalty)];
    penalties_act(widths.iter().copied().max().unwrap_or(1), asked)?;
    let mut ways = Vec::new();
    for width in widths {
        for &length_penalty in &alphas {
            for &coverage_penalty in &betas {
                ways.push(Way::Beam { width, length_penalty, coverage_penalty });
            }
        }
    }
    ways.extend(arguments.temperature.iter().copied().map(Way::Temperature));
    Ok(ways)
}

/// Refuses penalties, of lengths and of coverage, that a beam of one makes nothing of.
///
/// # Errors
///
/// Names the first that was asked for.
pub fn penalties_act(width: usize, asked: [bool; 2]) -> anyhow::Result<()> {
    let flags = ["--length-penalty", "--coverage-penalty"].into_iter().zip(asked);
    match flags.into_iter().find(|(_, asked)| *asked && width == 1) {
        Some((flag, _)) => bail!("{flag} does nothing with a beam of 1: give a wider --beam"),
        None => Ok(()),
    }
}

fn search(way: Way, experiment: &Experiment) -> Search {
    match way {
        Way::Beam { width, length_penalty, coverage_penalty } => {
            let evaluation = EvaluationConfig {
                beam: width,
                length_penalty,
                coverage_penalty,
                ..experiment.evaluation.clone()
            };
            evaluation.search()
        }
        Way::Temperature(temperature) => Search::Sample(Sampling {
            temperature,
            seed: experiment.training.seed,
            ..Sampling::default()
        }),
    }
}

/// A model of several languages, from each to each; or one direction of it, where something is compared.
fn evaluate_languages(
    arguments: &args::Evaluate,
    experiment: &Experiment,
    device: &Device,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if let Some(pairs) = parallel(arguments, experiment)? {
        let (Some(to), None, None) = (&arguments.to, &arguments.from, &arguments.pivot) else {
            bail!("--targets of a model of several languages needs --to, no --from and no --pivot");
        };
        let (texts, _) = load_ensemble(&arguments.models[..1], device)?;
        let pairs = language_matrix::ask(&texts, to, pairs)?;
        return evaluate_pairs(arguments, experiment, &pairs, device, out);
    }
    let data = (arguments.data.as_path(), &experiment.data);
    if arguments.compares() || arguments.each || arguments.by_length.is_some() {
        let (Some(from), Some(to), None) = (&arguments.from, &arguments.to, &arguments.pivot)
        else {
            bail!(
                "--each, --by-length and several searches are for one direction of a model of several \
                 languages: --from and --to, and no --pivot"
            );
        };
        let (texts, _) = load_ensemble(&arguments.models[..1], device)?;
        let pairs = language_matrix::asked_pairs(&texts, data, [from, to])?;
        return evaluate_pairs(arguments, experiment, &pairs, device, out);
    }
    let (texts, models) = load_ensemble(&arguments.models, device)?;
    let search = search(ways(arguments, &experiment.evaluation)?.remove(0), experiment);
    let asked = Asked {
        from: arguments.from.as_deref(),
        to: arguments.to.as_deref(),
        pivot: arguments.pivot.as_deref(),
    };
    let metrics = experiment.evaluation.metrics.as_slice();
    let directions = language_matrix::measure(&texts, &models, data, asked, (&search, metrics))?;
    if directions.is_empty() {
        bail!(
            "{} has no two columns of which one is to be read and the other written: {}",
            arguments.data.display(),
            texts.about.languages.join(", ")
        );
    }
    if let Some(folder) = &arguments.pictures {
        language_matrix::draw(&directions, folder)?;
    }
    if arguments.format.json {
        let json = serde_json::json!({
            "models": arguments.models,
            "data": arguments.data,
            "directions": directions.iter().map(|of| of.to_json()).collect::<Vec<_>>(),
        });
        return Ok(writeln!(out, "{json}")?);
    }
    let styles = Stream::Stdout.styles();
    writeln!(out, "{}", styles.bold(&format!("On {}", arguments.data.display())))?;
    Ok(language_matrix::show(&directions, out)?)
}

/// The scores of sources of similar length.
fn by_length(
    texts: &TextToText,
    step: usize,
    groups: &[Group],
    outputs: &[Vec<Written>],
    metrics: &[Metric],
) -> anyhow::Result<Vec<OfLength>> {
    let mut buckets: BTreeMap<usize, Vec<(&Group, &Vec<Written>)>> = BTreeMap::new();
    for pair in groups.iter().zip(outputs) {
        // Without `</s>` and the token that asks for a language.
        let tokens = texts.source_tokens(&pair.0.source).len() - 1 - texts.asks();
        buckets.entry(tokens.saturating_sub(1) / step).or_default().push(pair);
    }
    let bucket = |(n, pairs): (usize, Vec<(&Group, &Vec<Written>)>)| {
        let scores = texts.score(pairs.iter().copied(), metrics, Scores::new())?;
        Ok(OfLength {
            tokens: [n * step + 1, (n + 1) * step],
            sources: pairs.len(),
            scores: scores.iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        })
    };
    buckets.into_iter().map(bucket).collect()
}

/// How likely the targets are, as it was measured after training.
fn likelihood(
    texts: &TextToText,
    experiment: &Experiment,
    model: &AnyTranslator,
    pairs: &[Pair],
) -> anyhow::Result<Scores> {
    let moment = Moment { seed: experiment.training.seed, epoch: 0, step: 0 };
    let batches = texts.all_batches(pairs, &experiment.batches, "--data")?;
    Ok(model.likelihood(&batches, &moment))
}

/// One model, or one ensemble, with one search; `rows` is that one, if there are lengths.
fn show(
    measured: &Measured,
    rows: &[Row],
    arguments: &args::Evaluate,
    pairs: usize,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let lengths = rows.first().map_or(&[][..], |row| &row.by_length);
    if arguments.format.json {
        let mut json = serde_json::json!({
            "models": arguments.models,
            "data": arguments.data,
            "pairs": pairs,
            "scores": measured.scores.to_json(),
            "examples": measured.examples,
        });
        if !lengths.is_empty() {
            json["by_length"] = comparison::by_length_json(lengths);
        }
        return Ok(writeln!(out, "{json}")?);
    }
    let styles = Stream::Stdout.styles();
    writeln!(out, "{}", styles.bold(&format!("On {}", arguments.data.display())))?;
    show_scores(&measured.scores, measured.unit, out)?;
    if !lengths.is_empty() {
        writeln!(out, "\n{}", styles.bold("By length"))?;
        comparison::show_by_length(rows, out)?;
    }
    if !measured.examples.is_empty() {
        writeln!(out, "\n{}", styles.bold("Examples"))?;
        show_examples(&measured.examples, out)?;
    }
    Ok(())
}

fn show_comparison(
    rows: &[Row],
    arguments: &args::Evaluate,
    pairs: usize,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if arguments.format.json {
        let json = serde_json::json!({
            "models": arguments.models,
            "data": arguments.data,
            "pairs": pairs,
            "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
        });
        return Ok(writeln!(out, "{json}")?);
    }
    let styles = Stream::Stdout.styles();
    writeln!(out, "{}", styles.bold(&format!("On {}", arguments.data.display())))?;
    comparison::show(rows, out)?;
    if arguments.by_length.is_some() {
        writeln!(out, "\n{}", styles.bold("By length"))?;
        comparison::show_by_length(rows, out)?;
    }
    Ok(())
}

/// A model that writes texts without a source.
fn evaluate_texts(
    arguments: &args::Evaluate,
    experiment: &Experiment,
    pairs: &Vec<Pair>,
    device: &Device,
) -> anyhow::Result<Measured> {
    let [path] = arguments.models.as_slice() else {
        bail!("models that write texts without a source are evaluated one at a time");
    };
    let searches = [
        arguments.beam.len(),
        arguments.temperature.len(),
        arguments.length_penalty.len(),
        arguments.coverage_penalty.len(),
        usize::from(arguments.each),
    ];
    let searches = searches.into_iter().any(|given| given > 0);
    if searches || arguments.by_length.is_some() || arguments.pictures.is_some() {
        bail!(
            "--beam, --temperature, penalties, --each, --by-length and --pictures are for models that \
             write a text for a source, and {} writes without one",
            path.display()
        );
    }
    match &experiment.model {
        ModelConfig::LanguageModel(_) => {
            measured_texts::<LanguageModelConfig>(path, experiment, pairs, device)
        }
        ModelConfig::SequenceVae(_) => {
            measured_texts::<SequenceVaeConfig>(path, experiment, pairs, device)
        }
        _ => bail!("{}/training.toml is not of a model that writes texts", path.display()),
    }
}

fn measured_texts<C: TextConfig>(
    path: &Path,
    experiment: &Experiment,
    pairs: &Vec<Pair>,
    device: &Device,
) -> anyhow::Result<Measured> {
    let (text, model) = TextModel::<C>::load(path, device)?;
    let moment = Moment { seed: experiment.training.seed, epoch: 0, step: 0 };
    let folder = ModelFolder::open(path)?;
    TextTask::of(text, experiment).report(&model, pairs, &moment, &folder)
}

/// What was measured on a set of examples.
///
/// # Errors
///
/// If it cannot be written.
pub fn show_set(
    measured: &Measured,
    count: Count,
    arguments: &args::Evaluate,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if arguments.format.json {
        let mut json = serde_json::to_value(measured)?;
        json["models"] = serde_json::to_value(&arguments.models)?;
        json["data"] = serde_json::to_value(&arguments.data)?;
        // As `data.json` has it: `"pictures": 120`.
        if let (Some(json), Value::Object(count)) =
            (json.as_object_mut(), serde_json::to_value(count)?)
        {
            json.extend(count);
        }
        return Ok(writeln!(out, "{json}")?);
    }
    let (styles, data) = (Stream::Stdout.styles(), arguments.data.display());
    writeln!(out, "{}", styles.bold(&format!("On {data}, {count}")))?;
    Ok(show_measured(measured, out)?)
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
) -> anyhow::Result<(TextToText, Vec<AnyTranslator>)> {
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
/// file allows it. All rows of it: a part of the training file is no part of another.
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
            PairFiles::Tsv(tsv) => Tsv { path, part: None, ..tsv.clone() },
            _ => Tsv::new(path),
        }));
    }
    if matches!(trained, PairFiles::Plain(_)) {
        return Ok(PairFiles::Plain(Plain { path }));
    }
    bail!(
        "--data {} must end in .tsv or .jsonl, .gz behind it allowed: pairs in one file; or be a text of sources, with \
         --targets",
        path.display()
    )
}
