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

use rand::{SeedableRng, rngs::StdRng};
use recurrent_kernels::sparse::{LeakyUnits, Rows};
use serde::{Deserialize, Serialize};

use crate::{
    Reservoir, ReservoirConfig, ReservoirError, Series,
    error::check,
    features::{Features, FeaturesConfig},
    ridge::{Design, Normal, Readout},
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
        check("regularization", lambda, |lambda| lambda >= 0.0, "at least 0")
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
        let units = reservoirs.iter().map(Reservoir::size).sum();
        let features = Features::new(self.features, inputs, units);
        Ok(EchoStateNetwork {
            config: self.clone(),
            inputs,
            outputs,
            reservoirs,
            features,
            readout: None,
        })
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
    pub fn with_readout(self, readout: Readout) -> Self {
        assert_eq!(readout.features, self.features.count(), "a weight for every feature");
        assert_eq!(readout.outputs(), self.outputs, "a row for every output");
        Self { readout: Some(readout), ..self }
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

    /// Learns the readout from pairs of inputs and targets. Nothing but `W_out` changes. With the Cholesky solver
    /// no more than 2,048 steps' features are held at once.
    ///
    /// # Errors
    ///
    /// If a series has other columns, is too short or not finite, the targets never change, or the regression has
    /// no solution.
    pub fn fit(&mut self, series: &[(Series, Series)]) -> Result<(), ReservoirError> {
        self.check(series)?;
        let (f, l) = (self.features.count(), self.outputs);
        let lambda = self.config.regularization;
        let mut rng = StdRng::seed_from_u64(self.config.seed ^ 0x006e_6f69_7365);
        let readout = match self.config.solver {
            Solver::Cholesky => {
                let mut sums = Normal::new(f, l);
                self.harvest(series, &mut rng, |z, y| sums.add(z, y))?;
                sums.solve(lambda)?
            }
            Solver::Svd => {
                let mut rows = Design::new(f, l);
                self.harvest(series, &mut rng, |z, y| rows.add(z, y))?;
                rows.solve(lambda)?
            }
        };
        self.readout = Some(readout);
        Ok(())
    }

    /// Hands the features and targets of all steps behind the wash-out to `take`, some at a time, with the targets
    /// forced upon what is fed back.
    fn harvest(
        &self,
        series: &[(Series, Series)],
        rng: &mut StdRng,
        mut take: impl FnMut(&[f64], &[f64]),
    ) -> Result<(), ReservoirError> {
        let f = self.features.count();
        for (u, d) in series {
            let mut state = self.start();
            for first in (0..u.steps()).step_by(CHUNK) {
                let steps = first..u.steps().min(first + CHUNK);
                let (u, d) = (u.slice(steps.clone()), d.slice(steps.clone()));
                let z = self.states(&u, Some(&d), Some(rng), &mut state);
                let skipped = self.config.washout.saturating_sub(first).min(steps.len());
                let targets = self.before_output(&d.values()[skipped * self.outputs..])?;
                take(&z[skipped * f..], &targets);
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
        Ok(Series::new(self.states(u, Some(d), None, state), self.features.count()))
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
        for (n, targets) in targets.chunks(CHUNK * l).enumerate() {
            let steps = n * CHUNK..n * CHUNK + targets.len() / l;
            let z = self.states(&u.slice(steps.clone()), Some(&d.slice(steps)), None, state);
            z.chunks_exact(f).zip(targets.chunks_exact(l)).for_each(|(z, d)| take(z, d));
        }
        Ok(())
    }

    /// Runs over inputs, its own outputs fed back where there is feedback. The state goes on from where it was.
    ///
    /// # Errors
    ///
    /// If it has not been fitted, or the inputs have other columns or are not finite.
    pub fn run(&self, u: &Series, state: &mut EsnState) -> Result<Series, ReservoirError> {
        let readout = self.readout.as_ref().ok_or(ReservoirError::NotFitted)?;
        self.check_inputs(u, 0)?;
        let mut outputs = Vec::with_capacity(u.steps() * self.outputs);
        let at_once = if self.has_feedback() { 1 } else { CHUNK };
        for first in (0..u.steps()).step_by(at_once) {
            let u = u.slice(first..u.steps().min(first + at_once));
            let z = self.states(&u, None, None, state);
            for z in z.chunks_exact(self.features.count()) {
                outputs.extend(readout.apply(z).map(|sum| self.output(sum)));
            }
            state.y.copy_from_slice(&outputs[outputs.len() - self.outputs..]);
        }
        Ok(Series::new(outputs, self.outputs))
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
        for first in (0..u.steps()).step_by(CHUNK) {
            let steps = first..u.steps().min(first + CHUNK);
            self.states(&u.slice(steps.clone()), Some(&d.slice(steps)), None, state);
        }
        Ok(())
    }

    /// Goes on by itself: every output is the next input.
    ///
    /// # Errors
    ///
    /// If it has not been fitted, or has not as many outputs as inputs.
    pub fn generate(
        &self,
        first: &[f64],
        steps: usize,
        state: &mut EsnState,
    ) -> Result<Series, ReservoirError> {
        if self.inputs != self.outputs {
            let (inputs, outputs) = (self.inputs, self.outputs);
            return Err(ReservoirError::OpenLoop { outputs, inputs });
        }
        let mut u = first.to_vec();
        let mut outputs = Vec::with_capacity(steps * self.outputs);
        for _ in 0..steps {
            u = self.run(&Series::new(u, self.inputs), state)?.values().to_vec();
            outputs.extend_from_slice(&u);
        }
        Ok(Series::new(outputs, self.outputs))
    }

    /// The features `[T, F]` of some steps. What is fed back are targets, or else the last output, which is for one
    /// step.
    fn states(
        &self,
        u: &Series,
        targets: Option<&Series>,
        mut noise: Option<&mut StdRng>,
        state: &mut EsnState,
    ) -> Vec<f64> {
        let (steps, f) = (u.steps(), self.features.count());
        let mut z = vec![0.0; steps * f];
        let mut offset = self.features.states();
        let mut below: Option<(usize, usize)> = None;
        for (reservoir, x) in self.reservoirs.iter().zip(&mut state.x) {
            let mut heard = Vec::with_capacity(steps * reservoir.units.inputs());
            for t in 0..steps {
                match below {
                    Some((from, size)) if self.config.arrangement == Arrangement::Stacked => {
                        heard.extend_from_slice(&z[t * f + from..][..size]);
                    }
                    _ => heard.extend_from_slice(u.row(t)),
                }
                if reservoir.fed_back > 0 {
                    match (t, targets) {
                        (0, _) | (_, None) => heard.extend_from_slice(&state.y),
                        (t, Some(targets)) => heard.extend_from_slice(targets.row(t - 1)),
                    }
                }
            }
            let rows = Rows { elements: &mut z, stride: f, offset };
            reservoir.harvest(&heard, noise.as_deref_mut(), x, rows);
            below = Some((offset, reservoir.size()));
            offset += reservoir.size();
        }
        if let Some(targets) = targets.filter(|_| steps > 0) {
            state.y.copy_from_slice(targets.row(steps - 1));
        }
        self.features.complete(&mut z, u.values(), self.inputs);
        z
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
        let (_, first) = series.first().ok_or(ReservoirError::Nothing)?;
        for (n, (u, d)) in series.iter().enumerate() {
            self.check_pair(u, d, n)?;
            let (steps, washout) = (u.steps(), self.config.washout);
            if steps <= washout {
                return Err(ReservoirError::Short { series: n, steps, washout });
            }
        }
        for column in 0..self.outputs {
            let value = first.row(0)[column];
            let same = |d: &Series| (0..d.steps()).all(|t| d.row(t)[column] == value);
            if series.iter().all(|(_, d)| same(d)) {
                return Err(ReservoirError::Constant { column, value });
            }
        }
        Ok(())
    }

    fn check_pair(&self, u: &Series, d: &Series, series: usize) -> Result<(), ReservoirError> {
        self.check_inputs(u, series)?;
        let (found, expected) = (d.columns(), self.outputs);
        if found != expected {
            return Err(ReservoirError::Columns { what: "the targets", found, expected });
        }
        d.check_finite(series)?;
        let (inputs, targets) = (u.steps(), d.steps());
        match inputs == targets {
            true => Ok(()),
            false => Err(ReservoirError::Steps { series, inputs, targets }),
        }
    }

    fn check_inputs(&self, u: &Series, series: usize) -> Result<(), ReservoirError> {
        let (found, expected) = (u.columns(), self.inputs);
        match found == expected {
            true => u.check_finite(series),
            false => Err(ReservoirError::Columns { what: "the input", found, expected }),
        }
    }
}
