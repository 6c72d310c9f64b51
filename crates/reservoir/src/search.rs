//! Search for the settings of a network: drawn at random, or where those that were good so far lie densest.
//!
//! ```text
//! x* = argmax_x  l(x) / g(x)          l: the density of the best tenth of the settings tried, g: of the others
//! ```
//!
//! Settings are tried a fixed number at a time, side by side, and what comes of them is heard of in their order: the
//! same seed finds the same on any number of cores.
//!
//! Sources: J. Bergstra & Y. Bengio (2012), Random Search for Hyper-Parameter Optimization; J. Bergstra, R. Bardenet,
//! Y. Bengio & B. Kégl (2011), Algorithms for Hyper-Parameter Optimization (TPE).

use std::{collections::BTreeMap, fmt::Display, ops::Range};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{EsnConfig, OneOrEach, ReservoirError, Selection, error::check};

/// A setting that is searched for. What is said of reservoirs holds for all reservoirs of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// Units of each reservoir.
    Units,
    /// `ρ(W)`.
    SpectralRadius,
    /// The leak rate `a`.
    Leak,
    /// `s_in`.
    InputScaling,
    /// `s_b`.
    BiasScaling,
    /// `s_fb`.
    FeedbackScaling,
    /// The share of weights of `W`.
    Density,
    /// `s` of the noise.
    Noise,
    /// `λ`.
    Regularization,
}

/// Which values a setting may have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Space {
    /// From one number to another, evenly.
    Uniform([f64; 2]),
    /// The same, evenly in the logarithm; both above 0.
    LogUniform([f64; 2]),
    /// One of some.
    Choice(Vec<f64>),
}

/// How settings are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Drawn, each by itself.
    Random,
    /// A quarter drawn, the others by the tree-structured Parzen estimator.
    #[default]
    Tpe,
}

/// What is searched for, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// Settings that are tried, above 0.
    #[serde(default = "hundred")]
    pub trials: usize,
    /// How they are chosen.
    #[serde(default)]
    pub method: Method,
    /// Into how many parts the series is cut, each of which is measured on by networks that learned from the
    /// others; at least 2.
    #[serde(default = "three")]
    pub folds: usize,
    /// How many networks are drawn for every setting and fold, above 0: a good setting is not a lucky draw.
    #[serde(default = "one")]
    pub draws: usize,
    /// What settings are drawn with.
    #[serde(default = "one_seed")]
    pub seed: u64,
    /// The values that each setting may have, at least one setting.
    pub space: BTreeMap<Parameter, Space>,
}

fn hundred() -> usize {
    100
}

fn three() -> usize {
    3
}

fn one() -> usize {
    1
}

fn one_seed() -> u64 {
    1
}

/// A setting and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The values.
    pub values: BTreeMap<Parameter, f64>,
    /// How far from the truth it is.
    pub outcome: Outcome,
}

/// What came of a setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The mean over all folds and draws.
    Loss(f64),
    /// It could not be tried.
    Failed(String),
}

impl Method {
    /// How many settings are tried before the next are chosen; the same on every machine.
    fn at_once(self) -> usize {
        match self {
            // They have nothing to do with each other.
            Self::Random => 64,
            Self::Tpe => 8,
        }
    }
}

impl Trial {
    /// The loss; none if it failed.
    pub fn loss(&self) -> Option<f64> {
        match self.outcome {
            Outcome::Loss(loss) => Some(loss),
            Outcome::Failed(_) => None,
        }
    }
}

impl Parameter {
    /// Its name, as configurations have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::SpectralRadius => "spectral_radius",
            Self::Leak => "leak",
            Self::InputScaling => "input_scaling",
            Self::BiasScaling => "bias_scaling",
            Self::FeedbackScaling => "feedback_scaling",
            Self::Density => "density",
            Self::Noise => "noise",
            Self::Regularization => "regularization",
        }
    }

    /// `config` with this value.
    fn set(self, config: &mut EsnConfig, value: f64) {
        if self == Self::Regularization {
            config.regularization = value;
            config.selection = Selection::Given;
        }
        for reservoir in &mut config.reservoirs {
            match self {
                Self::Units => reservoir.units = value.round() as usize,
                Self::SpectralRadius => reservoir.spectral_radius = value,
                Self::Leak => reservoir.leak = OneOrEach::One(value),
                Self::InputScaling => reservoir.input_scaling = OneOrEach::One(value),
                Self::BiasScaling => reservoir.bias_scaling = value,
                Self::FeedbackScaling => reservoir.feedback_scaling = value,
                Self::Density => reservoir.density = value,
                Self::Noise => reservoir.noise = value,
                Self::Regularization => {}
            }
        }
    }
}

/// `config` with some values in the place of its own.
#[must_use]
pub fn with_values(config: &EsnConfig, values: &BTreeMap<Parameter, f64>) -> EsnConfig {
    let mut config = config.clone();
    for (parameter, value) in values {
        parameter.set(&mut config, *value);
    }
    config
}

impl Space {
    fn validate(&self, field: &str) -> Result<(), ReservoirError> {
        let value = |numbers: &[f64]| format!("{numbers:?}");
        let fails = |numbers: &[f64], range: &str| {
            Err(ReservoirError::out_of_range(field, value(numbers), range))
        };
        match self {
            Self::Uniform(ends @ [from, to]) => {
                match from.abs() < 1e300 && to.abs() < 1e300 && from < to {
                    true => Ok(()),
                    false => fails(ends, "two numbers, the smaller one first"),
                }
            }
            Self::LogUniform(ends @ [from, to]) => match *from > 0.0 && to.is_finite() && from < to
            {
                true => Ok(()),
                false => fails(ends, "two numbers above 0, the smaller one first"),
            },
            Self::Choice(values) => {
                match !values.is_empty() && values.iter().all(|v| v.is_finite()) {
                    true => Ok(()),
                    false => fails(values, "at least one number"),
                }
            }
        }
    }

    /// Values between which all others lie.
    fn ends(&self) -> Vec<f64> {
        match self {
            Self::Uniform(ends) | Self::LogUniform(ends) => ends.to_vec(),
            Self::Choice(values) => values.clone(),
        }
    }

    /// Where it is even: numbers, their logarithms, or places of a list.
    fn even(&self) -> [f64; 2] {
        match self {
            Self::Uniform(ends) => *ends,
            Self::LogUniform(ends) => ends.map(f64::ln),
            Self::Choice(values) => [0.0, values.len() as f64],
        }
    }

    /// The value of a place where it is even.
    fn value(&self, place: f64) -> f64 {
        match self {
            Self::Uniform([from, to]) => place.clamp(*from, *to),
            Self::LogUniform([from, to]) => place.exp().clamp(*from, *to),
            Self::Choice(values) => values[(place.max(0.0) as usize).min(values.len() - 1)],
        }
    }
}

impl SearchConfig {
    /// Checks every value, those that `config` is to be given among them.
    ///
    /// # Errors
    ///
    /// Names the first setting that is out of its range.
    pub fn validate(&self, config: &EsnConfig) -> Result<(), ReservoirError> {
        let within = |field, count: usize, [from, to]: [f64; 2]| {
            let range = format!("from {from} to {to}");
            check(field, count as f64, |count| (from..=to).contains(&count), &range)
        };
        within("trials", self.trials, [1.0, 1e6])?;
        within("draws", self.draws, [1.0, 1e3])?;
        within("folds", self.folds, [2.0, 1e3])?;
        if self.space.is_empty() {
            return Err(ReservoirError::out_of_range("space", "{}", "at least one setting"));
        }
        for (parameter, space) in &self.space {
            let field = format!("space.{}", parameter.name());
            space.validate(&field)?;
            // What lies between two values that may be may be.
            for value in space.ends() {
                let tried = with_values(config, &BTreeMap::from([(*parameter, value)]));
                tried.validate().map_err(|wrong| match wrong {
                    ReservoirError::OutOfRange { value, range, .. } => {
                        ReservoirError::OutOfRange { field: field.clone(), value, range }
                    }
                    other => other,
                })?;
            }
        }
        Ok(())
    }

    /// Tries settings. `loss` is asked for every one of them, with a seed for each of its draws, on several threads;
    /// `tried` is told of each, in their order.
    ///
    /// # Errors
    ///
    /// If a setting of the search is out of its range.
    pub fn run<E: Display>(
        &self,
        config: &EsnConfig,
        loss: impl Fn(&EsnConfig) -> Result<f64, E> + Sync,
        mut tried: impl FnMut(&Trial),
    ) -> Result<Vec<Trial>, ReservoirError> {
        self.validate(config)?;
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut chooser = Chooser::new(self)?;
        let mut trials: Vec<Trial> = Vec::new();
        while trials.len() < self.trials {
            let count = self.method.at_once().min(self.trials - trials.len());
            let chosen: Vec<Vec<f64>> =
                (0..count).map(|_| chooser.choose(trials.len(), &mut rng)).collect();
            let outcomes: Vec<Trial> = chosen
                .par_iter()
                .map(|places| {
                    let values = chooser.values(places);
                    let outcome = self.outcome(&with_values(config, &values), &loss);
                    Trial { values, outcome }
                })
                .collect();
            for (places, trial) in chosen.iter().zip(outcomes) {
                chooser.hear(places, trial.loss());
                tried(&trial);
                trials.push(trial);
            }
        }
        Ok(trials)
    }

    /// The mean of all draws.
    fn outcome<E: Display>(
        &self,
        config: &EsnConfig,
        loss: &(impl Fn(&EsnConfig) -> Result<f64, E> + Sync),
    ) -> Outcome {
        let mut sum = 0.0;
        for draw in 0..self.draws {
            let config =
                EsnConfig { seed: config.seed.wrapping_add(draw as u64), ..config.clone() };
            match loss(&config) {
                Ok(loss) => sum += loss,
                Err(error) => return Outcome::Failed(error.to_string()),
            }
        }
        match sum.is_finite() {
            true => Outcome::Loss(sum / self.draws as f64),
            false => Outcome::Failed("what it says is not finite".to_owned()),
        }
    }
}

/// The trial with the least loss; the first of equals, none if all failed.
pub fn best(trials: &[Trial]) -> Option<&Trial> {
    let loss = |trial: &&Trial| trial.loss().unwrap_or(f64::INFINITY);
    let tried = trials.iter().filter(|trial| trial.loss().is_some());
    tried.min_by(|a, b| loss(a).total_cmp(&loss(b)))
}

/// Parts of `steps` steps, as equal as can be.
pub fn folds(steps: usize, count: usize) -> Vec<Range<usize>> {
    (0..count).map(|n| n * steps / count..(n + 1) * steps / count).collect()
}

/// Chooses settings.
struct Chooser<'a> {
    search: &'a SearchConfig,
    estimators: Vec<tpe::TpeOptimizer>,
}

impl<'a> Chooser<'a> {
    fn new(search: &'a SearchConfig) -> Result<Self, ReservoirError> {
        let estimator = |(parameter, space): (&Parameter, &Space)| {
            let [from, to] = space.even();
            let failed = |_| {
                let field = format!("space.{}", parameter.name());
                ReservoirError::out_of_range(&field, format!("[{from}, {to}]"), "a range")
            };
            let kind = match space {
                Space::Choice(_) => tpe::histogram_estimator(),
                Space::Uniform(_) | Space::LogUniform(_) => tpe::parzen_estimator(),
            };
            Ok(tpe::TpeOptimizer::new(kind, tpe::range(from, to).map_err(failed)?))
        };
        let estimators = search.space.iter().map(estimator).collect::<Result<_, _>>()?;
        Ok(Self { search, estimators })
    }

    /// Places for all settings, after so many trials.
    fn choose(&mut self, tried: usize, rng: &mut StdRng) -> Vec<f64> {
        let search = self.search;
        let informed = search.method == Method::Tpe && tried >= search.trials.div_ceil(4);
        let spaces = search.space.values().zip(&mut self.estimators);
        let place = |(space, estimator): (&Space, &mut tpe::TpeOptimizer)| {
            let [from, to] = space.even();
            let drawn = rng.random_range(from..to);
            match informed {
                // Where an estimator cannot be built, a draw is as good as anything.
                true => estimator.ask(rng).unwrap_or(drawn),
                false => drawn,
            }
        };
        spaces.map(place).collect()
    }

    fn values(&self, places: &[f64]) -> BTreeMap<Parameter, f64> {
        let spaces = self.search.space.iter().zip(places);
        spaces.map(|((parameter, space), place)| (*parameter, space.value(*place))).collect()
    }

    /// What came of places: a loss, or nothing where they failed, which is worse than any.
    fn hear(&mut self, places: &[f64], loss: Option<f64>) {
        for (place, estimator) in places.iter().zip(&mut self.estimators) {
            let heard = estimator.tell(*place, loss.unwrap_or(f64::INFINITY));
            debug_assert!(heard.is_ok(), "a place within the range");
        }
    }
}
