//! Echo state networks: reservoirs with a linear readout.
//!
//! ```text
//! z(n) = [1; u(n); x(n)]          y(n) = f_out(W_out z(n))
//! ```
//!
//! `x` are the states of all reservoirs; `W_out` is all that is learned, by [ridge](crate::ridge) regression. Where
//! outputs are fed back, training forces the targets upon them: `y(n−1) = d(n−1)`, `y(−1) = 0`.
//!
//! Sources: as of [`reservoir`](crate::reservoir); deep ones: C. Gallicchio, A. Micheli & L. Pedrelli (2017), Deep
//! Reservoir Computing.

use std::ops::Range;

use rand::{SeedableRng, rngs::StdRng};
use rayon::prelude::*;
use recurrent_kernels::sparse::{LeakyUnits, Rows};
use serde::{Deserialize, Serialize};

use crate::{
    Reservoir, ReservoirConfig, ReservoirError, Series,
    error::check,
    features::{Features, FeaturesConfig},
    ridge::{Design, LeftOut, Normal, Readout},
    series::{check_change, check_pair, free_run},
};

/// How several reservoirs stand to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrangement {
    /// Each hears the states of the one before it; the first hears the input. The readout sees all.
    #[default]
    Stacked,
    /// Each hears the input.
    Parallel,
}

/// What the readout's sum passes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputActivation {
    /// Nothing.
    #[default]
    Identity,
    /// The hyperbolic tangent: targets are within (−1, 1), and regression is on their inverse.
    Tanh,
}

/// How the regression is solved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// By Cholesky, from sums over steps that are not kept.
    #[default]
    Cholesky,
    /// By singular values, from all steps: slower, exact to the last digits, and `λ` may be 0.
    Svd,
}

/// Which `λ`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The one of `regularization`.
    #[default]
    Given,
    /// That of several with the least leave-one-out error; by singular values, from all steps.
    LeaveOneOut(Vec<f64>),
    /// That of several with the least error on the last fifth of the steps that are learned from, by readouts of the
    /// others.
    HoldOut(Vec<f64>),
}

fn no_lambda() -> ReservoirError {
    ReservoirError::out_of_range("selection", "[]", "at least one number")
}

/// An echo state network, before it is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EsnConfig {
    /// Its reservoirs, at least one.
    pub reservoirs: Vec<ReservoirConfig>,
    /// How several stand to each other.
    pub arrangement: Arrangement,
    /// What the readout sees beside the states.
    pub features: FeaturesConfig,
    /// `λ`, at least 0.
    pub regularization: f64,
    /// Which `λ` it is.
    pub selection: Selection,
    /// How the regression is solved.
    pub solver: Solver,
    /// `f_out`.
    pub output: OutputActivation,
    /// Steps of each series that are not learned from: what it started from has to be forgotten first.
    pub washout: usize,
    /// What the reservoirs and the noise are drawn with.
    pub seed: u64,
}

impl Default for EsnConfig {
    fn default() -> Self {
        Self {
            reservoirs: vec![ReservoirConfig::default()],
            arrangement: Arrangement::Stacked,
            features: FeaturesConfig::default(),
            regularization: 1e-6,
            selection: Selection::Given,
            solver: Solver::Cholesky,
            output: OutputActivation::Identity,
            washout: 100,
            seed: 1,
        }
    }
}

/// Where a network is in a series: all that the next step needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EsnState {
    /// The states of every reservoir.
    x: Vec<Vec<f64>>,
    /// The last output.
    y: Vec<f64>,
}

impl EsnState {
    /// The states of every reservoir.
    pub fn states(&self) -> &[Vec<f64>] {
        &self.x
    }

    /// The last output.
    pub fn output(&self) -> &[f64] {
        &self.y
    }
}

/// An echo state network.
#[derive(Clone, Debug, PartialEq)]
pub struct EchoStateNetwork {
    config: EsnConfig,
    inputs: usize,
    outputs: usize,
    reservoirs: Vec<Reservoir>,
    features: Features,
    readout: Option<Readout>,
}

/// Steps whose features are held at once.
const CHUNK: usize = 2048;

/// Series that run beside each other.
const BESIDE: usize = 32;

/// What is used again from some steps to the next.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// The features `[T, F]`.
    z: Vec<f64>,
    /// What a reservoir hears, where that is not the input as it is.
    heard: Vec<f64>,
}

/// `0..steps` in pieces of `most`, the last with what is left.
fn chunks(steps: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..steps).step_by(most).map(move |first| first..steps.min(first + most))
}

impl EsnConfig {
    /// Checks every value, and that they fit together.
    ///
    /// # Errors
    ///
    /// Names the first setting that is out of its range.
    pub fn validate(&self) -> Result<(), ReservoirError> {
        if self.reservoirs.is_empty() {
            return Err(ReservoirError::out_of_range("reservoirs", "[]", "at least one"));
        }
        for (n, reservoir) in self.reservoirs.iter().enumerate() {
            reservoir.validate().map_err(|wrong| wrong.under(&format!("reservoirs[{n}]")))?;
        }
        let lambda = self.regularization;
        check("regularization", lambda, |lambda| lambda >= 0.0, "at least 0")?;
        match &self.selection {
            Selection::Given => Ok(()),
            Selection::LeaveOneOut(several) | Selection::HoldOut(several) => {
                if several.is_empty() {
                    return Err(no_lambda());
                }
                several.iter().try_for_each(|lambda| {
                    check("selection", *lambda, |lambda| lambda >= 0.0, "at least 0")
                })
            }
        }
    }

    /// A network for series of `inputs` columns and targets of `outputs`.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range, or no matrix is drawn that can be scaled.
    pub fn init(&self, inputs: usize, outputs: usize) -> Result<EchoStateNetwork, ReservoirError> {
        self.validate()?;
        let (mut reservoirs, mut heard) = (Vec::new(), inputs);
        for (n, config) in self.reservoirs.iter().enumerate() {
            let seed = self.seed.wrapping_add(n as u64 * 0x9e37_79b9);
            let reservoir = config
                .init(heard, outputs, seed)
                .map_err(|wrong| wrong.under(&format!("reservoirs[{n}]")))?;
            if self.arrangement == Arrangement::Stacked {
                heard = reservoir.size();
            }
            reservoirs.push(reservoir);
        }
        EchoStateNetwork::of(self.clone(), [inputs, outputs], reservoirs, None)
    }
}

impl EchoStateNetwork {
    /// A network of `inputs` and `outputs` columns whose parts are known.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range, or the parts do not belong together.
    pub fn of(
        config: EsnConfig,
        [inputs, outputs]: [usize; 2],
        reservoirs: Vec<Reservoir>,
        readout: Option<Readout>,
    ) -> Result<Self, ReservoirError> {
        config.validate()?;
        let fits = |what: &'static str, found: usize, expected: usize| match found == expected {
            true => Ok(()),
            false => Err(ReservoirError::Parts { what, found, expected }),
        };
        fits("reservoirs", reservoirs.len(), config.reservoirs.len())?;
        let mut heard = inputs;
        for (reservoir, described) in reservoirs.iter().zip(&config.reservoirs) {
            let LeakyUnits { w, w_in, b, keep, gain, .. } = &reservoir.units;
            let units = described.units;
            for (what, found) in [
                ("rows of W", w.rows()),
                ("columns of W", w.columns()),
                ("rows of W_in", w_in.rows()),
                ("biases", b.len()),
                ("rates of what is kept", keep.len()),
                ("leak rates", gain.len()),
            ] {
                fits(what, found, units)?;
            }
            fits("columns of W_in", w_in.columns(), heard + reservoir.fed_back)?;
            if config.arrangement == Arrangement::Stacked {
                heard = units;
            }
        }
        let units = reservoirs.iter().map(Reservoir::size).sum();
        let features = Features::new(config.features, inputs, units);
        if let Some(readout) = &readout {
            fits("features of the readout", readout.features, features.count())?;
            fits("outputs of the readout", readout.outputs(), outputs)?;
        }
        Ok(Self { config, inputs, outputs, reservoirs, features, readout })
    }

    /// What it was made of.
    pub fn config(&self) -> &EsnConfig {
        &self.config
    }

    /// Columns of the input, `K`.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Columns of the targets, `L`.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Numbers that the readout sees of a step, `F`.
    pub fn feature_count(&self) -> usize {
        self.features.count()
    }

    /// Its reservoirs.
    pub fn reservoirs(&self) -> &[Reservoir] {
        &self.reservoirs
    }

    /// What was learned, after [`fit`](Self::fit).
    pub fn readout(&self) -> Option<&Readout> {
        self.readout.as_ref()
    }

    /// The same network with this readout.
    ///
    /// # Panics
    ///
    /// If the readout has other features or outputs.
    #[must_use]
    pub fn with_readout(mut self, readout: Readout) -> Self {
        self.learn(readout);
        self
    }

    /// The same network with other reservoirs in the place of its own, and without a readout: what was learned is
    /// of the old ones.
    ///
    /// # Panics
    ///
    /// If there are more or fewer, or one has other units, inputs or outputs that are fed back.
    #[must_use]
    pub fn with_reservoirs(self, reservoirs: Vec<Reservoir>) -> Self {
        let shape = |reservoir: &Reservoir| {
            (reservoir.size(), reservoir.inputs(), reservoir.fed_back, reservoir.units.w.rows())
        };
        let same = self.reservoirs.iter().map(shape).eq(reservoirs.iter().map(shape));
        assert!(same, "reservoirs of the same sizes");
        Self { reservoirs, readout: None, ..self }
    }

    /// Takes what was learned elsewhere.
    ///
    /// # Panics
    ///
    /// If the readout has other features or outputs.
    pub(crate) fn learn(&mut self, readout: Readout) {
        assert_eq!(readout.features, self.features.count(), "a weight for every feature");
        assert_eq!(readout.outputs(), self.outputs, "a row for every output");
        self.readout = Some(readout);
    }

    /// Before the first step: all zero.
    pub fn start(&self) -> EsnState {
        let x = self.reservoirs.iter().map(|reservoir| vec![0.0; reservoir.size()]).collect();
        EsnState { x, y: vec![0.0; self.outputs] }
    }

    /// Learns the readout from pairs of inputs and targets, and gives `λ`. Nothing but `W_out` changes. With the
    /// Cholesky solver no more than 2,048 steps' features are held at once.
    ///
    /// # Errors
    ///
    /// If a series has other columns, is too short or not finite, the targets never change, or the regression has
    /// no solution.
    pub fn fit(&mut self, series: &[(Series, Series)]) -> Result<f64, ReservoirError> {
        self.check(series)?;
        let (lambda, readout) = match &self.config.selection {
            Selection::Given => {
                let lambda = self.config.regularization;
                (lambda, self.solve(series, lambda)?)
            }
            Selection::LeaveOneOut(lambdas) => {
                let left_out = self.design(series)?.left_out(lambdas)?;
                // With as many features as steps nothing is left to err on.
                let finite = left_out.into_iter().filter(|left_out| left_out.error.is_finite());
                let best = finite.min_by(|a, b| a.error.total_cmp(&b.error));
                let (features, steps) = (self.features.count(), series.iter());
                let rows = steps.map(|(u, _)| u.steps() - self.config.washout).sum();
                let none = ReservoirError::Underdetermined { features, rows };
                let LeftOut { regularization, readout, .. } = best.ok_or(none)?;
                (regularization, readout)
            }
            Selection::HoldOut(lambdas) => self.held_out(series, lambdas)?,
        };
        self.readout = Some(readout);
        Ok(lambda)
    }

    fn solve(&self, series: &[(Series, Series)], lambda: f64) -> Result<Readout, ReservoirError> {
        match self.config.solver {
            Solver::Cholesky => {
                let mut sums = Normal::new(self.features.count(), self.outputs);
                self.harvest(series, &mut self.noise(), |z, y| sums.add(z, y))?;
                sums.solve(lambda)
            }
            Solver::Svd => self.design(series)?.solve(lambda),
        }
    }

    fn design(&self, series: &[(Series, Series)]) -> Result<Design, ReservoirError> {
        let mut rows = Design::new(self.features.count(), self.outputs);
        self.harvest(series, &mut self.noise(), |z, y| rows.add(z, y))?;
        Ok(rows)
    }

    /// The readouts for several `λ`, by singular values from one factorisation.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    pub(crate) fn readouts(
        &self,
        series: &[(Series, Series)],
        lambdas: &[f64],
    ) -> Result<Vec<Readout>, ReservoirError> {
        self.check(series)?;
        let left_out = self.design(series)?.left_out(lambdas)?;
        Ok(left_out.into_iter().map(|left_out| left_out.readout).collect())
    }

    /// The `λ` with the least error on the last fifth of the steps, by readouts of the others; and the readout that
    /// learned from all with it.
    fn held_out(
        &self,
        series: &[(Series, Series)],
        lambdas: &[f64],
    ) -> Result<(f64, Readout), ReservoirError> {
        let (f, l) = (self.features.count(), self.outputs);
        let steps = series.iter().map(|(u, _)| u.steps() - self.config.washout);
        let learned = steps.sum::<usize>() * 4 / 5;
        let mut sums = Normal::new(f, l);
        self.harvest(series, &mut self.noise(), |z, y| {
            let rows = (learned - sums.rows().min(learned)).min(y.len() / l);
            sums.add(&z[..rows * f], &y[..rows * l]);
        })?;
        let readouts = sums.path(lambdas)?;
        // Once more, because sums of squares would lose the digits in which readouts differ.
        let (mut errors, mut heard) = (vec![0.0; lambdas.len()], 0);
        self.harvest(series, &mut self.noise(), |z, y| {
            for (z, y) in z.chunks_exact(f).zip(y.chunks_exact(l)) {
                heard += 1;
                if heard <= learned {
                    continue;
                }
                for (error, readout) in errors.iter_mut().zip(&readouts) {
                    *error += readout.apply(z).zip(y).map(|(y, d)| (y - d) * (y - d)).sum::<f64>();
                }
            }
        })?;
        let errors = lambdas.iter().zip(errors).filter(|(_, error)| error.is_finite());
        let best = errors.min_by(|a, b| a.1.total_cmp(&b.1));
        let (lambda, _) = best.ok_or_else(no_lambda)?;
        Ok((*lambda, self.solve(series, *lambda)?))
    }

    /// What the noise of a training is drawn with.
    pub(crate) fn noise(&self) -> StdRng {
        StdRng::seed_from_u64(self.config.seed ^ 0x006e_6f69_7365)
    }

    /// How many features there are, and outputs.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.features.count(), self.outputs)
    }

    /// Hands the features and targets of all steps behind the wash-out to `take`, some at a time, with the targets
    /// forced upon what is fed back. Series run beside each other where neither feedback nor noise forbids it.
    fn harvest(
        &self,
        series: &[(Series, Series)],
        rng: &mut StdRng,
        mut take: impl FnMut(&[f64], &[f64]),
    ) -> Result<(), ReservoirError> {
        let mut work = Workspace::default();
        if self.runs_beside(series.len()) && !self.has_noise() {
            let pairs: Vec<(&[f64], &[f64])> =
                series.iter().map(|(u, d)| (u.values(), d.values())).collect();
            for group in pairs.chunks(BESIDE) {
                self.harvest_beside(group, &mut work, &mut take)?;
            }
            return Ok(());
        }
        for (u, d) in series {
            let (mut state, mut heard) = (self.start(), 0);
            self.harvest_one([u, d], &mut state, &mut heard, rng, &mut work, &mut take)?;
        }
        Ok(())
    }

    /// The next steps of one series, of which `heard` have been before.
    pub(crate) fn harvest_one(
        &self,
        [u, d]: [&Series; 2],
        state: &mut EsnState,
        heard: &mut usize,
        rng: &mut StdRng,
        work: &mut Workspace,
        take: &mut impl FnMut(&[f64], &[f64]),
    ) -> Result<(), ReservoirError> {
        let (f, l) = (self.features.count(), self.outputs);
        for steps in chunks(u.steps(), CHUNK) {
            let (u, d) = (u.rows(steps.clone()), d.rows(steps.clone()));
            self.states(u, Some(d), Some(rng), state, work);
            let skipped = self.config.washout.saturating_sub(*heard).min(steps.len());
            let targets = self.before_output(&d[skipped * l..])?;
            take(&work.z[skipped * f..], &targets);
            *heard += steps.len();
        }
        Ok(())
    }

    /// Some whole series beside each other, without feedback and without noise.
    fn harvest_beside(
        &self,
        series: &[(&[f64], &[f64])],
        work: &mut Workspace,
        take: &mut impl FnMut(&[f64], &[f64]),
    ) -> Result<(), ReservoirError> {
        let (k, l, washout) = (self.inputs, self.outputs, self.config.washout);
        let mut states: Vec<EsnState> = series.iter().map(|_| self.start()).collect();
        let longest = series.iter().map(|(u, _)| u.len() / k).max().unwrap_or(0);
        // Cut where the wash-out ends, so that a piece is learned from or not.
        let pieces = chunks(washout.min(longest), CHUNK / BESIDE).chain(
            chunks(longest.saturating_sub(washout), CHUNK / BESIDE)
                .map(|steps| steps.start + washout..steps.end + washout),
        );
        for steps in pieces {
            let of = |values: &[f64], columns: usize| {
                steps.start.min(values.len() / columns)..steps.end.min(values.len() / columns)
            };
            let inputs: Vec<&[f64]> = series
                .iter()
                .map(|(u, _)| {
                    let steps = of(u, k);
                    &u[steps.start * k..steps.end * k]
                })
                .collect();
            self.states_beside(&inputs, &mut states, work);
            if steps.start >= washout {
                let mut targets = Vec::with_capacity(series.len() * steps.len() * l);
                for (_, d) in series {
                    let steps = of(d, l);
                    targets.extend(self.before_output(&d[steps.start * l..steps.end * l])?);
                }
                take(&work.z, &targets);
            }
        }
        Ok(())
    }

    /// The features `z(n)` of every step, `[T, F]`, with the targets forced upon what is fed back; without noise. The
    /// state goes on from where it was.
    ///
    /// # Errors
    ///
    /// If a series has other columns or is not finite, or they have different lengths.
    pub fn features(
        &self,
        u: &Series,
        d: &Series,
        state: &mut EsnState,
    ) -> Result<Series, ReservoirError> {
        self.check_pair(u, d, 0)?;
        let mut work = Workspace::default();
        self.states(u.values(), Some(d.values()), None, state, &mut work);
        Ok(Series::new(work.z, self.features.count()))
    }

    /// Hands the features of every step and what the readout's sum should be there to `take`, with the targets
    /// forced upon what is fed back; without noise.
    pub(crate) fn each_step(
        &self,
        u: &Series,
        d: &Series,
        state: &mut EsnState,
        mut take: impl FnMut(&[f64], &[f64]),
    ) -> Result<(), ReservoirError> {
        self.check_pair(u, d, 0)?;
        let (f, l) = (self.features.count(), self.outputs);
        let targets = self.before_output(d.values())?;
        let mut work = Workspace::default();
        for (steps, targets) in chunks(u.steps(), CHUNK).zip(targets.chunks(CHUNK * l)) {
            self.states(u.rows(steps.clone()), Some(d.rows(steps)), None, state, &mut work);
            let rows = work.z.chunks_exact(f).zip(targets.chunks_exact(l));
            rows.for_each(|(z, d)| take(z, d));
        }
        Ok(())
    }

    /// Runs over inputs, its own outputs fed back where there is feedback. The state goes on from where it was.
    ///
    /// # Errors
    ///
    /// If it has not been fitted, or the inputs have other columns or are not finite.
    pub fn run(&self, u: &Series, state: &mut EsnState) -> Result<Series, ReservoirError> {
        self.run_with(u, state, &mut Workspace::default())
    }

    fn run_with(
        &self,
        u: &Series,
        state: &mut EsnState,
        work: &mut Workspace,
    ) -> Result<Series, ReservoirError> {
        let readout = self.readout.as_ref().ok_or(ReservoirError::NotFitted)?;
        u.check_columns("the input", self.inputs, 0)?;
        let mut outputs = Vec::with_capacity(u.steps() * self.outputs);
        let at_once = if self.has_feedback() { 1 } else { CHUNK };
        for steps in chunks(u.steps(), at_once) {
            self.states(u.rows(steps), None, None, state, work);
            self.read(readout, &work.z, &mut outputs);
            state.y.copy_from_slice(&outputs[outputs.len() - self.outputs..]);
        }
        Ok(Series::new(outputs, self.outputs))
    }

    /// [Runs](Self::run) over many inputs, beside each other; each has a state of its own, and they may have
    /// different lengths.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Panics
    ///
    /// If there are not as many states as inputs.
    pub fn run_all(
        &self,
        u: &[Series],
        states: &mut [EsnState],
    ) -> Result<Vec<Series>, ReservoirError> {
        assert_eq!(u.len(), states.len(), "a state for every input");
        let readout = self.readout.as_ref().ok_or(ReservoirError::NotFitted)?;
        for (n, u) in u.iter().enumerate() {
            u.check_columns("the input", self.inputs, n)?;
        }
        if !self.runs_beside(u.len()) {
            let pairs = u.par_iter().zip(states.par_iter_mut());
            return pairs.map(|(u, state)| self.run(u, state)).collect();
        }
        let mut outputs: Vec<Vec<f64>> =
            u.iter().map(|u| Vec::with_capacity(u.steps() * self.outputs)).collect();
        let mut work = Workspace::default();
        let groups = u.chunks(BESIDE).zip(states.chunks_mut(BESIDE));
        for ((u, states), outputs) in groups.zip(outputs.chunks_mut(BESIDE)) {
            let longest = u.iter().map(Series::steps).max().unwrap_or(0);
            for steps in chunks(longest, CHUNK / BESIDE) {
                let part = |u: &Series| steps.start.min(u.steps())..steps.end.min(u.steps());
                let inputs: Vec<&[f64]> = u.iter().map(|u| u.rows(part(u))).collect();
                self.states_beside(&inputs, states, &mut work);
                let mut rest = work.z.as_slice();
                let parts: Vec<&[f64]> = u
                    .iter()
                    .map(|u| {
                        let (first, behind) = rest.split_at(part(u).len() * self.features.count());
                        rest = behind;
                        first
                    })
                    .collect();
                let each = outputs.par_iter_mut().zip(states.par_iter_mut()).zip(parts);
                each.for_each(|((outputs, state), z)| {
                    self.read(readout, z, outputs);
                    if !z.is_empty() {
                        state.y.copy_from_slice(&outputs[outputs.len() - self.outputs..]);
                    }
                });
            }
        }
        Ok(outputs.into_iter().map(|outputs| Series::new(outputs, self.outputs)).collect())
    }

    /// The outputs for some features.
    fn read(&self, readout: &Readout, z: &[f64], outputs: &mut Vec<f64>) {
        for z in z.chunks_exact(self.features.count()) {
            outputs.extend(readout.apply(z).map(|sum| self.output(sum)));
        }
    }

    /// Hears inputs, and targets in the place of its own outputs: what comes next is said from there.
    ///
    /// # Errors
    ///
    /// If a series has other columns or is not finite, or they have different lengths.
    pub fn warm_up(
        &self,
        u: &Series,
        d: &Series,
        state: &mut EsnState,
    ) -> Result<(), ReservoirError> {
        self.check_pair(u, d, 0)?;
        let mut work = Workspace::default();
        for steps in chunks(u.steps(), CHUNK) {
            self.states(u.rows(steps.clone()), Some(d.rows(steps)), None, state, &mut work);
        }
        Ok(())
    }

    /// Runs over inputs with the truth of every step in the place of its own outputs, as while it is fitted: what it
    /// would have said, `[T, L]`, each row before it hears the truth of that step.
    ///
    /// # Errors
    ///
    /// If it has not been fitted, a series has other columns or is not finite, or they have different lengths.
    pub fn run_taught(
        &self,
        u: &Series,
        d: &Series,
        state: &mut EsnState,
    ) -> Result<Series, ReservoirError> {
        let readout = self.readout.as_ref().ok_or(ReservoirError::NotFitted)?;
        self.check_pair(u, d, 0)?;
        let (mut outputs, mut work) = (Vec::with_capacity(d.values().len()), Workspace::default());
        for steps in chunks(u.steps(), CHUNK) {
            self.states(u.rows(steps.clone()), Some(d.rows(steps)), None, state, &mut work);
            self.read(readout, &work.z, &mut outputs);
        }
        Ok(Series::new(outputs, self.outputs))
    }

    /// Goes on by itself: every output is the next input.
    ///
    /// # Errors
    ///
    /// If it has not been fitted, has not as many outputs as inputs, or what it says grows beyond all numbers.
    pub fn generate(
        &self,
        first: &[f64],
        steps: usize,
        state: &mut EsnState,
    ) -> Result<Series, ReservoirError> {
        let mut work = Workspace::default();
        free_run(first, steps, [self.inputs, self.outputs], |u| self.run_with(u, state, &mut work))
    }

    /// Leaves the features `[T, F]` of some steps in `work.z`. What is fed back are targets, or else the last
    /// output, which is for one step.
    fn states(
        &self,
        u: &[f64],
        targets: Option<&[f64]>,
        mut noise: Option<&mut StdRng>,
        state: &mut EsnState,
        work: &mut Workspace,
    ) {
        let (k, l, f) = (self.inputs, self.outputs, self.features.count());
        let steps = u.len() / k;
        let Workspace { z, heard } = work;
        z.resize(steps * f, 0.0);
        let mut offset = self.features.states();
        let mut below: Option<Range<usize>> = None;
        for (reservoir, x) in self.reservoirs.iter().zip(&mut state.x) {
            let heard = if below.is_none() && reservoir.fed_back == 0 {
                u
            } else {
                heard.clear();
                for t in 0..steps {
                    match &below {
                        Some(below) => heard.extend_from_slice(&z[t * f..][below.clone()]),
                        None => heard.extend_from_slice(&u[t * k..(t + 1) * k]),
                    }
                    if reservoir.fed_back > 0 {
                        heard.extend_from_slice(match (t, targets) {
                            (0, _) | (_, None) => &state.y,
                            (t, Some(targets)) => &targets[(t - 1) * l..t * l],
                        });
                    }
                }
                heard.as_slice()
            };
            let rows = Rows { elements: z, stride: f, offset };
            reservoir.harvest(heard, noise.as_deref_mut(), x, rows);
            below = self.below(offset, reservoir);
            offset += reservoir.size();
        }
        if let Some(targets) = targets.filter(|_| steps > 0) {
            state.y.copy_from_slice(&targets[(steps - 1) * l..]);
        }
        self.features.complete(z, u, k);
    }

    /// As [`states`](Self::states) of several series, one behind the other in `work.z`, without feedback and
    /// without noise.
    fn states_beside(&self, u: &[&[f64]], states: &mut [EsnState], work: &mut Workspace) {
        let (k, f) = (self.inputs, self.features.count());
        let all: usize = u.iter().map(|u| u.len() / k).sum();
        let z = &mut work.z;
        z.resize(all * f, 0.0);
        let mut offset = self.features.states();
        let mut below: Option<Range<usize>> = None;
        for (n, reservoir) in self.reservoirs.iter().enumerate() {
            let copied: Vec<Vec<f64>> = match &below {
                None => Vec::new(),
                Some(below) => {
                    let mut rows = z.chunks_exact(f);
                    let of = |u: &&[f64]| {
                        let rows = rows.by_ref().take(u.len() / k);
                        rows.flat_map(|z| &z[below.clone()]).copied().collect()
                    };
                    u.iter().map(of).collect()
                }
            };
            let heard: Vec<&[f64]> = match below {
                None => u.to_vec(),
                Some(_) => copied.iter().map(Vec::as_slice).collect(),
            };
            let mut rest = z.as_mut_slice();
            let mut rows = Vec::with_capacity(u.len());
            for u in u {
                let (elements, behind) = rest.split_at_mut(u.len() / k * f);
                rows.push(Rows { elements, stride: f, offset });
                rest = behind;
            }
            let mut x: Vec<Vec<f64>> =
                states.iter_mut().map(|state| std::mem::take(&mut state.x[n])).collect();
            reservoir.units.batch(&heard, &mut x, &mut rows);
            states.iter_mut().zip(x).for_each(|(state, x)| state.x[n] = x);
            below = self.below(offset, reservoir);
            offset += reservoir.size();
        }
        let mut rest = z.as_mut_slice();
        for u in u {
            let (z, behind) = rest.split_at_mut(u.len() / k * f);
            self.features.complete(z, u, k);
            rest = behind;
        }
    }

    /// Where in the features the next reservoir finds what it hears, if it does not hear the input.
    fn below(&self, offset: usize, reservoir: &Reservoir) -> Option<Range<usize>> {
        match self.config.arrangement {
            Arrangement::Stacked => Some(offset..offset + reservoir.size()),
            Arrangement::Parallel => None,
        }
    }

    /// Whether so many series can run beside each other, and it is worth while.
    fn runs_beside(&self, series: usize) -> bool {
        series > 1 && !self.has_feedback()
    }

    fn has_noise(&self) -> bool {
        self.reservoirs.iter().any(|reservoir| reservoir.noise > 0.0)
    }

    fn has_feedback(&self) -> bool {
        self.reservoirs.iter().any(|reservoir| reservoir.fed_back > 0)
    }

    fn output(&self, sum: f64) -> f64 {
        match self.config.output {
            OutputActivation::Identity => sum,
            OutputActivation::Tanh => sum.tanh(),
        }
    }

    /// What the readout's sum has to be for these targets.
    fn before_output(&self, targets: &[f64]) -> Result<Vec<f64>, ReservoirError> {
        let inverse = |d: &f64| match self.config.output {
            OutputActivation::Identity => Ok(*d),
            OutputActivation::Tanh if d.abs() < 1.0 => Ok(d.atanh()),
            OutputActivation::Tanh => Err(ReservoirError::BeyondTanh { value: *d }),
        };
        targets.iter().map(inverse).collect()
    }

    fn check(&self, series: &[(Series, Series)]) -> Result<(), ReservoirError> {
        if series.is_empty() {
            return Err(ReservoirError::Nothing);
        }
        for (n, (u, d)) in series.iter().enumerate() {
            self.check_pair(u, d, n)?;
            let (steps, washout) = (u.steps(), self.config.washout);
            if steps <= washout {
                return Err(ReservoirError::Short { series: n, steps, washout });
            }
        }
        check_change(series.iter().map(|(_, d)| d))
    }

    pub(crate) fn check_pair(
        &self,
        u: &Series,
        d: &Series,
        series: usize,
    ) -> Result<(), ReservoirError> {
        check_pair(u, d, [self.inputs, self.outputs], series)
    }
}
