//! `recurrent forecast`: how a series goes on, or what goes with it.

use std::{
    io::{self, Write},
    num::NonZeroUsize,
    path::Path,
};

use anyhow::{Context, bail, ensure};
use recurrent_cells::AnyCell;
use recurrent_reservoir::{EchoStateNetwork, EsnConfig, Series};
use recurrent_seq2seq::{Forecaster, ForecasterConfig};

use crate::{
    args,
    atomic::write_atomically,
    echo_state,
    folder::ModelFolder,
    forecaster,
    picture::{self, Curve, Panel},
    series_files::{self, Heard, NamedSeries, unscaled},
    series_model::{About, FreeRun, SeriesModel},
};

/// Steps of what was read that are drawn in front of a forecast.
const DRAWN: usize = 200;

/// What errors call what is read.
const INPUT: &str = "standard input";

/// A model of series of any kind.
#[derive(Debug)]
pub enum AnySeriesModel {
    /// One that was drawn and fitted.
    EchoState(Box<About<EsnConfig>>, Box<EchoStateNetwork>),
    /// One that was trained by gradient.
    Forecaster(Box<About<ForecasterConfig>>, Box<Forecaster<AnyCell>>),
}

impl AnySeriesModel {
    /// The model of a folder.
    ///
    /// # Errors
    ///
    /// If it is not whole, not of a kind for series, or of a kind that does not run on the device.
    pub fn load(path: &Path, on: &args::OnDevice) -> anyhow::Result<Self> {
        let folder = ModelFolder::open(path)?;
        folder.expect_kind(&[echo_state::KIND, forecaster::KIND])?;
        if folder.kind() == Some(echo_state::KIND) {
            echo_state::on_cpu(on)?;
            let (about, network) = echo_state::load(&folder)?;
            return Ok(Self::EchoState(Box::new(about), Box::new(network)));
        }
        let (about, model) = forecaster::load(&folder, &on.open()?)?;
        Ok(Self::Forecaster(Box::new(about), Box::new(model)))
    }

    /// What it hears and says.
    pub fn heard(&self) -> &Heard {
        match self {
            Self::EchoState(about, _) => &about.heard,
            Self::Forecaster(about, _) => &about.heard,
        }
    }

    /// Steps that it hears before it is measured, as after its training.
    pub fn lead_in(&self, free: Option<FreeRun>) -> usize {
        match self {
            Self::EchoState(about, _) => echo_state::lead_in(&about.config, free),
            Self::Forecaster(..) => forecaster::lead_in(free),
        }
    }

    /// Steps that it has to hear before it can be believed.
    pub fn washout(&self) -> usize {
        match self {
            Self::EchoState(about, _) => about.config.washout,
            Self::Forecaster(..) => 0,
        }
    }
}

/// See [`args::Forecast`].
///
/// # Errors
///
/// If the model is not whole or of another kind, or the input is not what it hears.
pub fn run(arguments: &args::Forecast, out: &mut dyn Write) -> anyhow::Result<()> {
    let model = AnySeriesModel::load(&arguments.model, &arguments.device)?;
    let heard = model.heard();
    let shown = arguments.model.display();
    if arguments.steps.is_some() && !heard.goes_on() {
        bail!(
            "--steps: {shown} does not hear what it says a step later, so it cannot go on by itself; without \
             --steps there is a row for every row that is read"
        );
    }
    let read = series_files::read(io::stdin().lock(), INPUT)?;
    let u = heard.inputs_of(&read, INPUT)?;
    let (steps, washout) = (u.steps(), model.washout());
    ensure!(
        steps > washout,
        "{INPUT} has {steps} rows, expected more than the {washout} that the model has to hear first"
    );
    let pair = [&u, &truth(heard, &read, washout)];
    let said = match &model {
        AnySeriesModel::EchoState(_, network) => said(network.as_ref(), pair, arguments.steps)?,
        AnySeriesModel::Forecaster(_, model) => said(model.as_ref(), pair, arguments.steps)?,
    };
    let said = unscaled(&said, &heard.targets);
    if let Some(path) = &arguments.picture {
        let before = arguments.steps.map(|_| unscaled(&u, &heard.inputs));
        write_atomically(path, draw(heard, before.as_ref(), &said)?.as_bytes())?;
    }
    if arguments.format.json {
        let names: Vec<&str> = heard.targets.iter().map(|column| column.name.as_str()).collect();
        let rows: Vec<&[f64]> = (0..said.steps()).map(|t| said.row(t)).collect();
        return Ok(writeln!(out, "{}", serde_json::json!({ "columns": names, "rows": rows }))?);
    }
    Ok(series_files::write(&said, &heard.targets, heard.named, out)?)
}

/// What is to be said to the first `rows` of what was read; nothing where the columns that are said are not there.
fn truth(heard: &Heard, read: &NamedSeries, rows: usize) -> Series {
    let Ok(d) = heard.targets_of(read, INPUT) else {
        return Series::new(Vec::new(), heard.targets.len());
    };
    let end = d.steps().min(heard.ahead + rows);
    d.slice(heard.ahead.min(end)..end)
}

/// Going on by itself behind the last row, or else a row for every row, of which the first hear the truth as they do
/// when a model is [measured](crate::series_model::said).
fn said<M: SeriesModel>(
    model: &M,
    [u, truth]: [&Series; 2],
    steps: Option<NonZeroUsize>,
) -> anyhow::Result<Series> {
    let mut state = model.start();
    if let Some(steps) = steps {
        // What it would have said is what came next.
        let [before, next] = u.ahead(1);
        model.hear(&before, &next, &mut state)?;
        return model.go_on(u.row(u.steps() - 1), steps.get(), &mut state);
    }
    let first = truth.steps();
    let taught = model.hear(&u.slice(0..first), truth, &mut state)?;
    let behind = || format!("behind the first {first} rows");
    let alone = model.say(&u.slice(first..u.steps()), &mut state).with_context(behind)?;
    Ok(Series::new([taught.values(), alone.values()].concat(), truth.columns()))
}

/// A panel for each column: the end of what was read, and what is said.
fn draw(heard: &Heard, before: Option<&Series>, said: &Series) -> anyhow::Result<String> {
    let panel = |(n, name): (usize, &str)| {
        let read = before.map_or_else(Vec::new, |series| series.column(n));
        let read = &read[read.len().saturating_sub(DRAWN)..];
        let curve = |name: &str, from: usize, values: &[f64]| Curve {
            name: name.to_owned(),
            points: values.iter().enumerate().map(|(t, x)| ((from + t) as f64, *x)).collect(),
        };
        let forecast = curve("forecast", read.len(), &said.column(n));
        let curves = match read.is_empty() {
            true => vec![forecast],
            false => vec![curve("read", 0, read), forecast],
        };
        Panel { label: name.to_owned(), curves }
    };
    let names = heard.targets.iter().map(|column| column.name.as_str());
    let panels: Vec<Panel> = names.enumerate().map(panel).collect();
    Ok(picture::curves("Forecast", "step", &panels)?)
}

#[cfg(test)]
mod tests {
    use recurrent_reservoir::{ReservoirConfig, signals};

    use super::*;
    use crate::{series_files::Steps, series_model};

    /// A network that hears its own outputs, and a series that it has not learned from.
    fn fed_back() -> (EchoStateNetwork, Series) {
        let reservoir = ReservoirConfig {
            units: 50,
            bias_scaling: 0.2,
            feedback_scaling: 0.5,
            ..ReservoirConfig::default()
        };
        let config = EsnConfig { reservoirs: vec![reservoir], ..EsnConfig::default() };
        let series = Series::of(signals::mackey_glass(17, 900, 1));
        let mut network = config.init(1, 1).unwrap();
        let [u, d] = series.slice(0..700).ahead(1);
        network.fit(&[(u, d)]).unwrap();
        (network, series.slice(700..900))
    }

    /// ESN-7: the truth is forced upon it until the series ends, and from there on it hears itself.
    #[test]
    fn a_network_with_feedback_is_taught_until_it_goes_on_by_itself() {
        let (network, u) = fed_back();
        let nothing = Series::new(Vec::new(), 1);
        let found = said(&network, [&u, &nothing], NonZeroUsize::new(20)).unwrap();

        let [before, next] = u.ahead(1);
        let last = u.slice(199..200);
        let go_on = |mut state| {
            let mut row = last.clone();
            let mut step = || {
                row = network.run(&row, &mut state).unwrap();
                row.values()[0]
            };
            Series::of((0..20).map(|_| step()).collect())
        };
        let mut taught = network.start();
        network.warm_up(&before, &next, &mut taught).unwrap();
        assert_eq!(found, go_on(taught));
        let mut untaught = network.start();
        network.run(&before, &mut untaught).unwrap();
        assert_ne!(found, go_on(untaught));
    }

    /// ESN-7: row by row it says what it says when it is measured.
    #[test]
    fn a_network_with_feedback_is_taught_first_and_then_measured() {
        let (network, series) = fed_back();
        let [u, d] = series.ahead(1);
        let truth = d.slice(0..30);
        let found = said(&network, [&u, &truth], None).unwrap();
        assert_eq!(found.steps(), 199);
        let taught = network.run_taught(&u.slice(0..30), &truth, &mut network.start()).unwrap();
        assert_eq!(found.slice(0..30), taught);
        let steps = Steps { u: u.clone(), d, lead_in: 30 };
        assert_eq!(found.slice(30..199), series_model::said(&network, &steps).unwrap());
        let untaught = said(&network, [&u, &Series::new(Vec::new(), 1)], None).unwrap();
        assert_ne!(found.row(30), untaught.row(30));
    }
}
