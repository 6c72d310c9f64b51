//! `recurrent forecast`: how a series goes on, or what goes with it.

use std::{
    io::{self, Write},
    path::Path,
};

use anyhow::{bail, ensure};
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
    series_files::{self, Heard, unscaled},
    series_model::{About, SeriesModel},
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
        let (about, model) = forecaster::load(&folder, &on.name.open()?)?;
        Ok(Self::Forecaster(Box::new(about), Box::new(model)))
    }

    /// What it hears and says.
    pub fn heard(&self) -> &Heard {
        match self {
            Self::EchoState(about, _) => &about.heard,
            Self::Forecaster(about, _) => &about.heard,
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
    let said = match &model {
        AnySeriesModel::EchoState(_, network) => said(network.as_ref(), &u, arguments)?,
        AnySeriesModel::Forecaster(_, model) => said(model.as_ref(), &u, arguments)?,
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

fn said<M: SeriesModel>(
    model: &M,
    u: &Series,
    arguments: &args::Forecast,
) -> anyhow::Result<Series> {
    let mut state = model.start();
    let Some(steps) = arguments.steps else { return model.say(u, &mut state) };
    // What it would have said is what came next.
    let [before, next] = u.ahead(1);
    model.hear(&before, &next, &mut state)?;
    model.go_on(u.row(u.steps() - 1), steps.get(), &mut state)
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
