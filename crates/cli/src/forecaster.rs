//! A model of series that is trained by gradient, with all it takes to train, measure and use it.

use anyhow::{Context, ensure};
use burn::prelude::*;
use recurrent_cells::{AnyCell, Cell};
use recurrent_reservoir::{Series, metrics::rmse};
use recurrent_seq2seq::{Forecaster, ForecasterConfig, WindowBatches, Windows};
use recurrent_training::Moment;

use crate::{
    experiment::Experiment,
    folder::ModelFolder,
    report::{Measured, Unit},
    series_files::{Heard, Steps},
    series_model::{About, FreeRun, LEAD_IN, SeriesModel, draw_forecast, finite, measure, said},
    task::{Learned, Task, Validation, same_wiring},
};

/// What `config.json` calls it.
pub const KIND: &str = "forecaster";

/// Steps that a forecaster hears before it is measured.
pub fn lead_in(free: Option<FreeRun>) -> usize {
    free.map_or(LEAD_IN, |free| free.lead_in.max(LEAD_IN))
}

type State = Vec<<AnyCell as Cell>::State>;

/// Rows as the model reads them.
fn rows(series: &Series) -> recurrent_seq2seq::Series {
    let values: Vec<f32> = series.values().iter().map(|x| *x as f32).collect();
    recurrent_seq2seq::Series::new(&[values], series.columns())
}

impl SeriesModel for Forecaster<AnyCell> {
    type State = State;

    fn start(&self) -> State {
        self.start(1)
    }

    fn hear(&self, u: &Series, _: &Series, state: &mut State) -> anyhow::Result<Series> {
        self.say(u, state)
    }

    fn say(&self, u: &Series, state: &mut State) -> anyhow::Result<Series> {
        let columns = self.b_o.shape().num_elements();
        if u.steps() == 0 {
            return Ok(Series::new(Vec::new(), columns));
        }
        let y = match u.steps() {
            1 => {
                let row = rows(u).tensor(&self.device(), self.dtype()).squeeze_dim(1);
                let (y, next) = self.step(row, state.clone());
                *state = next;
                y.into_data()
            }
            _ => {
                let (y, next) = self.forward(&rows(u), Some(state.clone()));
                *state = next;
                y.into_data()
            }
        };
        finite(Series::new(y.iter::<f64>().collect(), columns))
    }

    fn go_on(&self, from: &[f64], steps: usize, state: &mut State) -> anyhow::Result<Series> {
        let mut u = Series::new(from.to_vec(), from.len());
        let mut said = Vec::new();
        for step in 1..=steps {
            u = self
                .say(&u, state)
                .with_context(|| format!("step {step} of going on by itself"))?;
            said.extend_from_slice(u.values());
        }
        Ok(Series::new(said, from.len()))
    }
}

/// A row for every row of a series.
#[derive(Clone, Debug)]
pub struct ForecasterTask {
    about: About<ForecasterConfig>,
    windows: Windows,
    free: Option<FreeRun>,
}

impl ForecasterTask {
    /// Takes sizes from what the model is to learn from.
    ///
    /// # Errors
    ///
    /// If the model does not fit the series.
    pub fn new(
        config: &ForecasterConfig,
        experiment: &Experiment,
        heard: Heard,
    ) -> anyhow::Result<Self> {
        let about = About { config: config.clone(), heard };
        about
            .config
            .validate(about.heard.sizes())
            .map_err(|wrong| wrong.under("model.forecaster"))?;
        let windows = experiment.series()?.windows.unwrap_or_default();
        Ok(Self { about, windows, free: experiment.evaluation.free_run })
    }

    fn fits(&self, steps: &Steps, key: &str) -> anyhow::Result<()> {
        ensure!(steps.count() > 0, "`data.series.{key}` is 0, expected steps to be measured on");
        let heard = &self.about.heard;
        self.free.map_or(Ok(()), |free| free.check(heard, steps))?;
        Ok(steps.check_change(&heard.targets)?)
    }
}

/// A model and its weights from a folder.
///
/// # Errors
///
/// If a file of it is missing, damaged, or does not fit the others, or it is of another kind.
pub fn load(
    folder: &ModelFolder,
    device: &Device,
) -> anyhow::Result<(About<ForecasterConfig>, Forecaster<AnyCell>)> {
    folder.expect_kind(&[KIND])?;
    let about: About<ForecasterConfig> = folder.model()?;
    let sizes = about.heard.sizes();
    about
        .config
        .validate(sizes)
        .with_context(|| format!("{}/config.json", folder.path().display()))?;
    let model = folder.load_weights(about.config.init(sizes, device))?;
    Ok((about, model))
}

impl Task for ForecasterTask {
    type Model = Forecaster<AnyCell>;
    type Set = Steps;
    type Batches = WindowBatches;

    fn save(&self, folder: &mut ModelFolder) -> anyhow::Result<()> {
        Ok(folder.describe(KIND, &self.about)?)
    }

    fn init(&self, device: &Device) -> Forecaster<AnyCell> {
        self.about.config.init(self.about.heard.sizes(), device)
    }

    fn init_from(
        &self,
        other: &ModelFolder,
        device: &Device,
    ) -> anyhow::Result<Forecaster<AnyCell>> {
        other.expect_kind(&[KIND])?;
        let there: About<ForecasterConfig> = other.model()?;
        let (here, sizes) = (self.about.heard.sizes(), there.heard.sizes());
        ensure!(here == sizes, "columns heard and said are {sizes:?} there and {here:?} here");
        let wiring = |about: &About<ForecasterConfig>| ForecasterConfig {
            dropout: 0.0,
            ..about.config.clone()
        };
        same_wiring("model.forecaster", &wiring(&self.about), &wiring(&there))?;
        Ok(other.load_weights(self.init(device))?)
    }

    fn batches(&self, train: &Steps) -> anyhow::Result<Learned<WindowBatches>> {
        let (steps, needed) = (train.u.steps(), self.windows.steps);
        ensure!(
            steps >= needed,
            "`data.series.windows.steps` is {needed}, expected at most {steps}, the steps to learn from"
        );
        let floats = |series: &Series| series.values().iter().map(|x| *x as f32).collect();
        let (u, d) = (floats(&train.u), floats(&train.d));
        Ok(WindowBatches::new(u, d, self.about.heard.sizes(), self.windows).into())
    }

    fn validation(&self, valid: &Steps) -> anyhow::Result<Validation<Forecaster<AnyCell>>> {
        self.fits(valid, "valid")?;
        let (heard, valid, free) = (self.about.heard.clone(), valid.clone(), self.free);
        Ok(Box::new(move |model, _| {
            let y = said(model, &valid)?;
            // What is learned from, in its units.
            let error = rmse(y.values(), valid.measured().values()).powi(2);
            Ok(measure(model, &heard, (&valid, &y), free.as_ref())?.with("nll", error))
        }))
    }

    fn check(&self, test: &Steps) -> anyhow::Result<()> {
        self.fits(test, "test")
    }

    fn report(
        &self,
        model: &Forecaster<AnyCell>,
        test: &Steps,
        _: &Moment,
        folder: &ModelFolder,
    ) -> anyhow::Result<Measured> {
        let scores =
            measure(model, &self.about.heard, (test, &said(model, test)?), self.free.as_ref())?;
        draw_forecast(model, &self.about.heard, test, folder)?;
        Ok(Measured { scores, unit: Unit::Deviations, ..Measured::default() })
    }
}
