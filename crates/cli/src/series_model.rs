//! Models of series: what they hear and say, how far they are from the truth, and how they go on by
//! themselves.

use anyhow::{Context, bail};
use recurrent_reservoir::{Series, metrics::variance};
use recurrent_training::{OutOfRange, Scores};
use serde::{Deserialize, Serialize};

use crate::{
    folder::ModelFolder,
    picture::{self, Curve, Panel},
    series_files::{Heard, Steps, unscaled},
};

/// Steps that are heard before anything is measured, if nothing else is said.
pub const LEAD_IN: usize = 100;

/// Steps of a picture.
const SHOWN: usize = 300;

/// How well a model goes on by itself: what is measured of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeRun {
    /// Steps that it goes on for, above 0; the last of them is compared.
    pub steps: usize,
    /// From how many places, evenly over the steps that are measured, above 0.
    #[serde(default = "fifty")]
    pub starts: usize,
    /// Steps that it hears before each.
    #[serde(default = "lead_in")]
    pub lead_in: usize,
}

fn fifty() -> usize {
    50
}

fn lead_in() -> usize {
    LEAD_IN
}

/// What `config.json` says of a model of series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About<C> {
    /// Sizes and kinds.
    pub config: C,
    /// What it hears and says.
    pub heard: Heard,
}

/// What says a row for every row that it hears. Rows are in the model's units.
pub trait SeriesModel {
    /// Where it is in a series.
    type State: Clone;

    /// Before the first step.
    fn start(&self) -> Self::State;

    /// Hears rows `[T, K]`, and the truth `[T, L]` in the place of what it would have said, which comes back.
    ///
    /// # Errors
    ///
    /// If something is not finite.
    fn hear(&self, u: &Series, d: &Series, state: &mut Self::State) -> anyhow::Result<Series>;

    /// What it says to rows `[T, K]`, `[T, L]`; a model that hears its own outputs hears these.
    ///
    /// # Errors
    ///
    /// If something is not finite.
    fn say(&self, u: &Series, state: &mut Self::State) -> anyhow::Result<Series>;

    /// Goes on by itself from the row `[K]`: everything that it says is the next that it hears.
    ///
    /// # Errors
    ///
    /// If something is not finite.
    fn go_on(&self, from: &[f64], steps: usize, state: &mut Self::State) -> anyhow::Result<Series>;
}

/// What was said, if all of it are numbers.
///
/// # Errors
///
/// If something is not finite.
pub fn finite(said: Series) -> anyhow::Result<Series> {
    match said.values().iter().position(|number| !number.is_finite()) {
        None => Ok(said),
        Some(n) => {
            let (number, step) = (said.values()[n], n / said.columns() + 1);
            bail!("the model says {number} to row {step}, expected a finite number")
        }
    }
}

impl FreeRun {
    pub(crate) fn validate(&self) -> Result<(), OutOfRange> {
        for (field, value) in [("steps", self.steps), ("starts", self.starts)] {
            OutOfRange::check(field, value, |value| *value > 0, "above 0")?;
        }
        Ok(())
    }

    /// What the measure is called.
    pub fn name(&self) -> String {
        format!("nrmse_{}", self.steps)
    }

    /// Refuses a model that cannot go on by itself, and a set with too few steps.
    ///
    /// # Errors
    ///
    /// If it hears other columns than it says, or there are fewer steps than it is to go on for.
    pub fn check(&self, heard: &Heard, steps: &Steps) -> Result<(), OutOfRange> {
        let range = "left out for a model that hears something else than what it says a step later";
        OutOfRange::check("evaluation.free_run", "something", |_| heard.goes_on(), range)?;
        let range = format!("at most {}, the steps that are measured", steps.count());
        OutOfRange::check("evaluation.free_run.steps", self.steps, |n| *n <= steps.count(), &range)
    }
}

/// What a model says to the steps that are measured.
///
/// # Errors
///
/// If it says something that is not finite.
pub fn said<M: SeriesModel>(model: &M, Steps { u, d, lead_in }: &Steps) -> anyhow::Result<Series> {
    let mut state = model.start();
    model.hear(&u.slice(0..*lead_in), &d.slice(0..*lead_in), &mut state)?;
    model.say(&u.slice(*lead_in..u.steps()), &mut state)
}

/// How far a model is from the truth: `nrmse` of what it [`said`] to every step, `y`, and of what it says after
/// it went on by itself.
///
/// ```text
/// NRMSE = √( mean over columns of  mean (y − d)² / var(d) )
/// ```
///
/// # Errors
///
/// If it says something that is not finite.
pub fn measure<M: SeriesModel>(
    model: &M,
    heard: &Heard,
    (steps, y): (&Steps, &Series),
    free: Option<&FreeRun>,
) -> anyhow::Result<Scores> {
    let Steps { d, lead_in, .. } = steps;
    let d_measured = steps.measured();
    let scores = Scores::new().with("nrmse", nrmse(y, &d_measured, &d_measured));
    let Some(free) = free else { return Ok(scores) };
    let (mut said, mut truth) = (Vec::new(), Vec::new());
    for n in 0..free.starts {
        let last = steps.count() - free.steps;
        let at = lead_in + n * last / (free.starts - 1).max(1);
        let y = free_run(model, heard, steps, (at, free))?;
        said.extend_from_slice(y.row(free.steps - 1));
        truth.extend_from_slice(d.row(at + free.steps - 1));
    }
    let columns = d.columns();
    let (said, truth) = (Series::new(said, columns), Series::new(truth, columns));
    Ok(scores.with(&free.name(), nrmse(&said, &truth, &d_measured)))
}

/// What a model says from the step `at` on, once it has heard those before.
fn free_run<M: SeriesModel>(
    model: &M,
    heard: &Heard,
    Steps { u, d, .. }: &Steps,
    (at, free): (usize, &FreeRun),
) -> anyhow::Result<Series> {
    let before = at.saturating_sub(free.lead_in)..at;
    let mut state = model.start();
    model.hear(&u.slice(before.clone()), &d.slice(before), &mut state)?;
    match heard.goes_on() {
        true => model.go_on(u.row(at), free.steps, &mut state),
        // Drawn, and not measured.
        false => model.say(&u.slice(at..at + free.steps), &mut state),
    }
}

/// Over the variance of `all`.
fn nrmse(y: &Series, d: &Series, all: &Series) -> f64 {
    let of = |column: usize| {
        let (y, d) = (y.column(column), d.column(column));
        recurrent_reservoir::metrics::rmse(&y, &d).powi(2) / variance(&all.column(column))
    };
    ((0..d.columns()).map(of).sum::<f64>() / d.columns() as f64).sqrt()
}

/// A picture of what a model says against the truth, from the first step that is measured on: by itself if it
/// can, otherwise to what it hears.
///
/// # Errors
///
/// If it says something that is not finite, or nothing can be drawn.
pub fn draw_forecast<M: SeriesModel>(
    model: &M,
    heard: &Heard,
    steps: &Steps,
    folder: &ModelFolder,
) -> anyhow::Result<()> {
    let shown = steps.count().min(SHOWN);
    let free = FreeRun { steps: shown, starts: 1, lead_in: steps.lead_in };
    let said = free_run(model, heard, steps, (steps.lead_in, &free))?;
    let said = unscaled(&said, &heard.targets);
    let first = steps.lead_in;
    let truth = unscaled(&steps.d.slice(first..first + shown), &heard.targets);
    let curve = |name: &str, series: &Series, column: usize| Curve {
        name: name.to_owned(),
        points: (1..).map(f64::from).zip(series.column(column)).collect(),
    };
    let panels = heard.targets.iter().enumerate().map(|(n, column)| Panel {
        label: column.name.clone(),
        curves: vec![curve("truth", &truth, n), curve("forecast", &said, n)],
    });
    let title = match heard.goes_on() {
        true => "Forecast: the model hears nothing but itself",
        false => "What the model says to what it hears",
    };
    let svg = picture::curves(title, "step", &panels.collect::<Vec<_>>())?;
    folder.write_picture("forecast", &svg).context("the forecast cannot be drawn")?;
    Ok(())
}
