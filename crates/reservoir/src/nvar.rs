//! Next-generation reservoirs: a linear readout of delayed inputs and of their products, without any network.
//!
//! ```text
//! l(n) = [u(n); u(n−s); …; u(n−(k−1)s)]                                           [K·k]
//! z(n) = [1; l(n) in the monomials of each order: l_i · l_j, i ≤ j, …]            [F]
//! y(n) = W_out z(n)          or          y(n) = u(n) + W_out z(n)
//! ```
//!
//! `k` delays of `s` steps. Of order `p` there are `C(K·k + p − 1, p)` different monomials; order 1 are the delayed
//! inputs themselves. Nothing is drawn, so there is no seed; the first `(k − 1) s` steps of a series have no features.
//! It is the nonlinear vector autoregression that a linear reservoir with a polynomial readout comes down to.
//!
//! *When to use it:* where the next value is a smooth function of a few before it, as it is of sampled flows. It has
//! few settings and learns from a few hundred steps. The features grow with the power `p` of the inputs and delays,
//! so that long memories and many columns are for reservoirs.
//!
//! *What to mind:* of a flow without noise, an input is nearly a function of the one before it. With a small `λ` the
//! weights of both then cancel each other, foretell the next step very well, and make a free run leave at once. The
//! error of a free run is what `λ` is to be chosen by.
//!
//! Sources: D. J. Gauthier, E. Bollt, A. Griffith & W. A. S. Barbosa (2021), Next Generation Reservoir Computing,
//! Nature Communications 12; E. Bollt (2021), On Explaining the Surprising Success of Reservoir Computing Forecaster
//! of Chaos?, Chaos 31.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    Readout, ReservoirError, Series, Solver,
    ridge::{Design, Normal},
    series::{check_change, check_pair, free_run},
};

/// Features that a regression is still made with.
const MOST_FEATURES: usize = 20_000;

/// Steps whose features are held at once.
const CHUNK: usize = 2048;

/// What the readout's sum is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predicts {
    /// The output itself.
    #[default]
    Value,
    /// What the output is beyond the newest input: there are as many outputs as inputs. Of a flow in small steps it
    /// is nearer to a polynomial, and a large `λ` gives persistence, not the mean.
    Change,
}

/// Delays and products.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NvarConfig {
    /// `k`, how many inputs are seen of each column, the newest one included; from 1 to 10,000.
    pub delays: usize,
    /// `s`, steps between two of them, from 1 to 10,000.
    pub stride: usize,
    /// The orders of monomials beside the constant, rising, each from 1 to 20.
    pub orders: Vec<usize>,
    /// What the readout's sum is.
    pub predicts: Predicts,
    /// `λ`, at least 0.
    pub regularization: f64,
    /// How the regression is solved.
    pub solver: Solver,
}

impl Default for NvarConfig {
    fn default() -> Self {
        Self {
            delays: 2,
            stride: 1,
            orders: vec![1, 2],
            predicts: Predicts::Value,
            regularization: 1e-6,
            solver: Solver::Cholesky,
        }
    }
}

impl NvarConfig {
    /// How many features there are for so many inputs, `1 + Σ_p C(K·k + p − 1, p)`; nothing if they are beyond
    /// counting.
    pub fn features(&self, inputs: usize) -> Option<usize> {
        let linear = inputs.checked_mul(self.delays)?;
        self.orders.iter().try_fold(1, |sum: usize, p| sum.checked_add(monomials(linear, *p)?))
    }

    /// For series of `inputs` columns and targets of `outputs`.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range, there are more than 20,000 features, or a change is to be predicted of
    /// other columns than the inputs'.
    ///
    /// # Panics
    ///
    /// If there are no inputs or no outputs.
    pub fn init(&self, inputs: usize, outputs: usize) -> Result<Nvar, ReservoirError> {
        assert!(inputs > 0 && outputs > 0, "at least one input and one output");
        let wrong = |field, value: &dyn ToString, range| {
            Err(ReservoirError::out_of_range(field, value.to_string(), range))
        };
        for (field, number) in [("delays", self.delays), ("stride", self.stride)] {
            if !(1..=10_000).contains(&number) {
                return wrong(field, &number, "from 1 to 10000");
            }
        }
        let orders = &self.orders;
        let within = orders.iter().all(|order| (1..=20).contains(order));
        if orders.is_empty() || !within || !orders.is_sorted_by(|a, b| a < b) {
            return wrong("orders", &format!("{orders:?}"), "rising numbers from 1 to 20");
        }
        if self.predicts == Predicts::Change && inputs != outputs {
            return Err(ReservoirError::OpenLoop { outputs, inputs });
        }
        match self.features(inputs) {
            Some(features) if features <= MOST_FEATURES => {
                Ok(Nvar { config: self.clone(), inputs, outputs, features, readout: None })
            }
            features => {
                let many =
                    features.map_or("more than can be counted".to_owned(), |f| f.to_string());
                let (delays, orders) = (self.delays, &self.orders);
                let value =
                    format!("{delays} with `orders` {orders:?}, which makes {many} features");
                wrong("delays", &value, "at most 20000 features")
            }
        }
    }
}

/// `C(n + p − 1, p)`.
fn monomials(n: usize, p: usize) -> Option<usize> {
    // Each product of the first factors over the first divisors is a binomial itself, so a division is exact.
    (1..=p).try_fold(1_usize, |count, i| Some(count.checked_mul(n + i - 1)? / i))
}

/// Where it is in a series: the inputs that the next step looks back at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NvarState {
    /// The last `(k − 1) s` inputs, the newest last; fewer at the beginning.
    past: VecDeque<Vec<f64>>,
}

/// A next-generation reservoir.
#[derive(Clone, Debug, PartialEq)]
pub struct Nvar {
    config: NvarConfig,
    inputs: usize,
    outputs: usize,
    features: usize,
    readout: Option<Readout>,
}

impl Nvar {
    /// What it was made of.
    pub fn config(&self) -> &NvarConfig {
        &self.config
    }

    /// Features, `F`.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Steps that have to be heard before there is a feature, `(k − 1) s`.
    pub fn reach(&self) -> usize {
        (self.config.delays - 1) * self.config.stride
    }

    /// What was learned, after [`fit`](Self::fit).
    pub fn readout(&self) -> Option<&Readout> {
        self.readout.as_ref()
    }

    /// The same with this readout.
    ///
    /// # Panics
    ///
    /// If the readout has other features or outputs.
    #[must_use]
    pub fn with_readout(self, readout: Readout) -> Self {
        assert_eq!(readout.features, self.features, "a weight for every feature");
        assert_eq!(readout.outputs(), self.outputs, "a row for every output");
        Self { readout: Some(readout), ..self }
    }

    /// Before the first step: nothing has been heard.
    pub fn start(&self) -> NvarState {
        NvarState { past: VecDeque::with_capacity(self.reach()) }
    }

    /// Learns from pairs of inputs and targets; the first `(k − 1) s` steps of each are not learned from.
    ///
    /// # Errors
    ///
    /// If a series has other columns, is too short or not finite, inputs and targets have different lengths, a
    /// target never changes, or the regression has no solution.
    pub fn fit(&mut self, series: &[(Series, Series)]) -> Result<(), ReservoirError> {
        if series.is_empty() {
            return Err(ReservoirError::Nothing);
        }
        let washout = self.reach();
        for (n, (u, d)) in series.iter().enumerate() {
            check_pair(u, d, [self.inputs, self.outputs], n)?;
            let steps = u.steps();
            if steps <= washout {
                return Err(ReservoirError::Short { series: n, steps, washout });
            }
        }
        check_change(series.iter().map(|(_, d)| d))?;
        let lambda = self.config.regularization;
        let (f, l) = (self.features, self.outputs);
        self.readout = Some(match self.config.solver {
            Solver::Cholesky => {
                let mut sums = Normal::new(f, l);
                self.harvest(series, |z, y| sums.add(z, y));
                sums.solve(lambda)?
            }
            Solver::Svd => {
                let mut rows = Design::new(f, l);
                self.harvest(series, |z, y| rows.add(z, y));
                rows.solve(lambda)?
            }
        });
        Ok(())
    }

    /// Hears inputs: what comes next is said from there.
    ///
    /// # Errors
    ///
    /// If the inputs have other columns or are not finite.
    pub fn warm_up(&self, u: &Series, state: &mut NvarState) -> Result<(), ReservoirError> {
        u.check_columns("the input", self.inputs, 0)?;
        // What is older is not looked at.
        let first = u.steps().saturating_sub(self.reach());
        (first..u.steps()).for_each(|t| self.hear(u.row(t), state));
        Ok(())
    }

    /// Runs over inputs. The state goes on from where it was.
    ///
    /// # Errors
    ///
    /// If it has not been fitted, fewer than `(k − 1) s` steps have been heard, or the inputs have other columns
    /// or are not finite.
    pub fn run(&self, u: &Series, state: &mut NvarState) -> Result<Series, ReservoirError> {
        let readout = self.readout.as_ref().ok_or(ReservoirError::NotFitted)?;
        u.check_columns("the input", self.inputs, 0)?;
        let (heard, needed) = (state.past.len(), self.reach());
        if heard < needed {
            return Err(ReservoirError::NotWarm { heard, needed });
        }
        let mut outputs = Vec::with_capacity(u.steps() * self.outputs);
        let mut z = Vec::with_capacity(self.features);
        for t in 0..u.steps() {
            z.clear();
            self.see(u.row(t), state, &mut z);
            match self.config.predicts {
                Predicts::Value => outputs.extend(readout.apply(&z)),
                Predicts::Change => {
                    outputs.extend(readout.apply(&z).zip(u.row(t)).map(|(y, u)| u + y));
                }
            }
            self.hear(u.row(t), state);
        }
        Ok(Series::new(outputs, self.outputs))
    }

    /// Goes on by itself: every output is the next input.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), or if there are not as many outputs as inputs, or what it says grows beyond all
    /// numbers.
    pub fn generate(
        &self,
        first: &[f64],
        steps: usize,
        state: &mut NvarState,
    ) -> Result<Series, ReservoirError> {
        free_run(first, steps, [self.inputs, self.outputs], |u| self.run(u, state))
    }

    /// The features of a step, behind what is in `z`.
    fn see(&self, u: &[f64], state: &NvarState, z: &mut Vec<f64>) {
        let NvarConfig { delays, stride, orders, .. } = &self.config;
        let mut linear = Vec::with_capacity(delays * u.len());
        linear.extend_from_slice(u);
        for delay in 1..*delays {
            linear.extend_from_slice(&state.past[state.past.len() - delay * stride]);
        }
        z.push(1.0);
        orders.iter().for_each(|order| products(&linear, *order, 1.0, z));
    }

    fn hear(&self, u: &[f64], state: &mut NvarState) {
        let reach = self.reach();
        if reach == 0 {
            return;
        }
        if state.past.len() == reach {
            state.past.pop_front();
        }
        state.past.push_back(u.to_vec());
    }

    /// Hands features and targets to `take`, some steps at a time.
    fn harvest(&self, series: &[(Series, Series)], mut take: impl FnMut(&[f64], &[f64])) {
        let (mut z, mut y) = (Vec::new(), Vec::new());
        for (u, d) in series {
            let mut state = self.start();
            for t in 0..u.steps() {
                if t >= self.reach() {
                    self.see(u.row(t), &state, &mut z);
                    match self.config.predicts {
                        Predicts::Value => y.extend_from_slice(d.row(t)),
                        Predicts::Change => {
                            y.extend(d.row(t).iter().zip(u.row(t)).map(|(d, u)| d - u))
                        }
                    }
                }
                self.hear(u.row(t), &mut state);
                if y.len() >= CHUNK * self.outputs {
                    take(&z, &y);
                    z.clear();
                    y.clear();
                }
            }
        }
        take(&z, &y);
    }
}

/// All products of `order` factors out of `of`, each set of factors once, times `sofar`.
fn products(of: &[f64], order: usize, sofar: f64, z: &mut Vec<f64>) {
    match order {
        0 => z.push(sofar),
        _ => {
            for (n, factor) in of.iter().enumerate() {
                products(&of[n..], order - 1, sofar * factor, z);
            }
        }
    }
}
