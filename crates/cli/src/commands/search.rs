//! `recurrent search`: settings of an echo state network, tried by the hundred.

use std::{
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, bail};
use recurrent_reservoir::{
    EsnConfig, Series,
    search::{Outcome, Parameter, SearchConfig, Space, Trial, best, folds, with_values},
};
use serde::Serialize;

use crate::{
    args,
    atomic::{make_folder, write_atomically},
    echo_state,
    experiment::{Experiment, ModelConfig},
    picture::{self, Axis, DotPanel},
    series_files::{Heard, Steps},
    series_model::{FreeRun, measure, said},
    settings,
    terminal::{Align, Stream, Table},
};

/// The files of a search.
const BEST: &str = "best.toml";
const TRIALS: &str = "trials.csv";
const PICTURE: &str = "search.svg";

/// See [`args::Search`].
///
/// # Errors
///
/// If the configuration has nothing to search for, the series cannot be read, every setting failed, or a file cannot
/// be written.
pub fn run(arguments: &args::Search, out: &mut dyn Write) -> anyhow::Result<()> {
    let experiment: Experiment = settings::read_valid(&arguments.config, &arguments.sets)?;
    let shown = arguments.config.display();
    let ModelConfig::EchoState(config) = &experiment.model else {
        bail!(
            "{shown}: `model.echo_state` is missing: settings are searched for an echo state network"
        );
    };
    let search = experiment.search.as_ref();
    let search =
        search.with_context(|| format!("{shown}: `search` is missing: what to search for"))?;
    let folder = arguments.folder();
    if [BEST, TRIALS].iter().any(|file| folder.join(file).exists()) {
        bail!("{} has the result of another search: `--out` names a folder", folder.display());
    }
    let free = experiment.evaluation.free_run;
    let lead_in = echo_state::lead_in(config, free);
    // What the network is measured on in the end is not looked at.
    let (heard, data) = experiment.series()?.read(lead_in)?;
    let parts = Parts::new(&heard, &data.train, search.folds, (lead_in, free))?;
    let name = free.map_or_else(|| "nrmse".to_owned(), |free| free.name());

    // Better now than after the last trial.
    make_folder(&folder)?;
    let mut told =
        Told { folder: &folder, name: &name, of: search.trials, trials: Vec::new(), failure: None };
    let trials = search.run(
        config,
        |config| parts.loss(config),
        |trial| told.hear(trial, arguments, out),
    )?;
    told.write()?;
    let Some(best) = best(&trials) else {
        let why = failure(&trials[0]).unwrap_or_default();
        bail!("all {} settings failed, the first: {why}", trials.len());
    };
    let found = Experiment {
        model: ModelConfig::EchoState(with_values(config, &best.values)),
        search: None,
        ..experiment.clone()
    };
    write_atomically(&folder.join(PICTURE), draw(search, &trials, &name)?.as_bytes())?;
    write_atomically(&folder.join(BEST), settings::to_toml(&found)?.as_bytes())?;
    // Nothing that was found is lost because nobody listens.
    if let Some(error) = told.failure {
        return Err(error);
    }
    let best_file = folder.join(BEST).display().to_string();
    if arguments.format.json {
        let json = serde_json::json!({ "event": "best", "trial": best, "config": best_file });
        return Ok(writeln!(out, "{json}")?);
    }
    let styles = Stream::Stdout.styles();
    writeln!(out, "{}", styles.bold(&format!("The best of {} settings", trials.len())))?;
    let mut table = Table::new([Align::Left, Align::Right]);
    for (parameter, value) in &best.values {
        table.row([parameter.name().to_owned(), short(*value)]);
    }
    table.row([name, best.loss().map_or_else(String::new, short)]);
    write!(out, "{table}")?;
    writeln!(out, "\nTrain it with `recurrent train {best_file}`.")?;
    Ok(writeln!(
        out,
        "All settings are in {}, as a picture in {PICTURE}.",
        folder.join(TRIALS).display()
    )?)
}

/// Four digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size != 0.0 && !(1e-3..1e5).contains(&size) => format!("{value:.3e}"),
        _ => format!("{value:.4}"),
    }
}

/// The parts of a series that networks learn from and are measured on.
struct Parts<'a> {
    heard: &'a Heard,
    /// For each fold: what is learned from, and what is measured on.
    folds: Vec<(Vec<(Series, Series)>, Steps)>,
    free: Option<FreeRun>,
}

impl<'a> Parts<'a> {
    fn new(
        heard: &'a Heard,
        train: &Steps,
        count: usize,
        (lead_in, free): (usize, Option<FreeRun>),
    ) -> anyhow::Result<Self> {
        let steps = train.u.steps();
        let cut = |from: usize, to: usize| (train.u.slice(from..to), train.d.slice(from..to));
        let mut all = Vec::new();
        for part in folds(steps, count) {
            // Only what is behind the part and what is before it: each goes on without a gap.
            let others = [(0, part.start), (part.end, steps)];
            let learned = others.into_iter().filter(|(from, to)| from < to);
            let learned = learned.map(|(from, to)| cut(from, to)).collect();
            // The first part has nothing before it: its own first steps are heard.
            let from = part.start.saturating_sub(lead_in);
            let (u, d) = cut(from, part.end);
            let lead_in = lead_in.min(u.steps());
            let measured = Steps { u, d, lead_in };
            if measured.count() == 0 {
                bail!(
                    "`search.folds` is {count}: a part of {} steps is heard before it is measured",
                    part.len()
                );
            }
            free.map_or(Ok(()), |free| free.check(heard, &measured))?;
            measured.check_change(&heard.targets)?;
            all.push((learned, measured));
        }
        Ok(Self { heard, folds: all, free })
    }

    /// The mean over all folds.
    fn loss(&self, config: &EsnConfig) -> anyhow::Result<f64> {
        let [inputs, outputs] = self.heard.sizes();
        let mut network = config.init(inputs, outputs)?;
        let mut sum = 0.0;
        for (learned, measured) in &self.folds {
            network.fit(learned)?;
            let y = said(&network, measured)?;
            let scores = measure(&network, self.heard, (measured, &y), self.free.as_ref())?;
            // The last is that of the free run, where there is one.
            sum += scores.iter().last().map_or(f64::NAN, |(_, score)| score);
        }
        Ok(sum / self.folds.len() as f64)
    }
}

/// A trial as `--json` shows it.
#[derive(Serialize)]
struct Event<'a> {
    event: &'static str,
    number: usize,
    #[serde(flatten)]
    trial: &'a Trial,
}

/// What is told of the trials while they are made.
struct Told<'a> {
    folder: &'a Path,
    name: &'a str,
    of: usize,
    trials: Vec<Trial>,
    /// The first time that it could not be told.
    failure: Option<anyhow::Error>,
}

/// So many trials are written at a time.
const WRITTEN: usize = 8;

impl Told<'_> {
    fn hear(&mut self, trial: &Trial, arguments: &args::Search, out: &mut dyn Write) {
        self.trials.push(trial.clone());
        if self.failure.is_some() {
            return;
        }
        let told = match self.trials.len() % WRITTEN {
            0 => self.write(),
            _ => Ok(()),
        };
        self.failure = told.and_then(|()| self.say(trial, arguments, out)).err();
    }

    /// The table as it is so far.
    fn write(&self) -> anyhow::Result<()> {
        Ok(write_atomically(&self.folder.join(TRIALS), &table(&self.trials, self.name)?)?)
    }

    fn say(
        &self,
        trial: &Trial,
        arguments: &args::Search,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let number = self.trials.len();
        if arguments.format.json {
            let event = Event { event: "trial", number, trial };
            return Ok(writeln!(out, "{}", serde_json::to_string(&event)?)?);
        }
        let losses = self.trials.iter().filter_map(Trial::loss);
        let least = short(losses.fold(f64::INFINITY, f64::min));
        let loss = trial.loss().map_or_else(|| "failed".to_owned(), short);
        let line = format!("trial {number}/{}  {} {loss}  best {least}", self.of, self.name);
        match Stream::Stderr.is_terminal() {
            // One line that changes.
            true if number < self.of => write!(io::stderr(), "\r{line}\x1b[K")?,
            true => writeln!(io::stderr(), "\r{line}\x1b[K")?,
            false => writeln!(io::stderr(), "{line}")?,
        }
        Ok(())
    }
}

/// Why a setting could not be tried.
fn failure(trial: &Trial) -> Option<&str> {
    match &trial.outcome {
        Outcome::Loss(_) => None,
        Outcome::Failed(why) => Some(why),
    }
}

/// All trials as CSV.
fn table(trials: &[Trial], name: &str) -> anyhow::Result<Vec<u8>> {
    let mut to = csv::Writer::from_writer(Vec::new());
    let names = trials.iter().flat_map(|trial| trial.values.keys()).map(|key| key.name());
    let count = trials.first().map_or(0, |trial| trial.values.len());
    to.write_record(names.take(count).chain([name, "failure"]))?;
    for trial in trials {
        let values = trial.values.values().map(f64::to_string);
        let loss = trial.loss().map_or_else(String::new, |loss| loss.to_string());
        let why = failure(trial).unwrap_or_default().to_owned();
        to.write_record(values.chain([loss, why]))?;
    }
    Ok(to.into_inner()?)
}

fn draw(
    search: &SearchConfig,
    trials: &[Trial],
    name: &str,
) -> Result<String, picture::PictureError> {
    let panel = |(parameter, space): (&Parameter, &Space)| {
        let point = |trial: &Trial| Some((trial.values[parameter], trial.loss()?));
        DotPanel {
            label: parameter.name().to_owned(),
            axis: match space {
                Space::LogUniform(_) => Axis::Logarithm,
                Space::Uniform(_) | Space::Choice(_) => Axis::Even,
            },
            points: trials.iter().filter_map(point).collect(),
        }
    };
    let panels: Vec<DotPanel> = search.space.iter().map(panel).collect();
    picture::dots("What came of each setting", name, &panels)
}
