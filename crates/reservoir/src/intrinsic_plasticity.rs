//! Intrinsic plasticity: each unit shifts and scales its sum until its outputs are distributed as they should be.
//!
//! ```text
//! x~ = tanh(g v + c)          v = W_in u(n) + W x(n−1) + b          g = 1, c = 0 at first
//! Δc = −η ( −μ/σ² + x~/σ² · (2σ² + 1 − x~² + μ x~) )
//! Δg = η/g + Δc · v
//! ```
//!
//! `μ` and `σ` are the mean and the deviation of the normal distribution that is aimed at. The rule is the gradient
//! of the Kullback–Leibler divergence between what comes out and that distribution, a step of the series at a time;
//! it sees no targets. What is learned is [folded](Excitability::fold_into) into the weights, `W ← g W`,
//! `W_in ← g W_in`, `b ← g b + c` by rows, so that an adapted reservoir is one like any other. Its spectral radius
//! is no longer the one that was asked for; [`Reservoir::spectrum`] tells it.
//!
//! Source: B. Schrauwen, M. Wardermann, D. Verstraeten, J. J. Steil & D. Stroobandt (2008), Improving Reservoirs Using
//! Intrinsic Plasticity, Neurocomputing 71, section 2.2 (there `g` and `c` are `a` and `b`).

use recurrent_kernels::sparse::{LeakyUnits, Rows, SparseMatrix, Squash, Weights};
use serde::{Deserialize, Serialize};

use crate::{Arrangement, EchoStateNetwork, Reservoir, ReservoirError, Series, error::check};

/// What outputs should be distributed like, and how fast they get there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntrinsicPlasticity {
    /// `μ`, in (−1, 1).
    pub mean: f64,
    /// `σ`, in (0, 1]; outputs are within ±1.
    pub deviation: f64,
    /// `η`, above 0.
    pub learning_rate: f64,
    /// How often the series are gone through, at least once.
    pub epochs: usize,
}

impl Default for IntrinsicPlasticity {
    fn default() -> Self {
        Self { mean: 0.0, deviation: 0.3, learning_rate: 1e-3, epochs: 5 }
    }
}

/// How excitable each unit is.
#[derive(Clone, Debug, PartialEq)]
pub struct Excitability {
    /// `g`, `[N]`, above 0.
    pub gain: Vec<f64>,
    /// `c`, `[N]`.
    pub bias: Vec<f64>,
}

impl IntrinsicPlasticity {
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn validate(&self) -> Result<(), ReservoirError> {
        check("mean", self.mean, |mean| mean > -1.0 && mean < 1.0, "in (−1, 1)")?;
        check("deviation", self.deviation, |sigma| sigma > 0.0 && sigma <= 1.0, "in (0, 1]")?;
        check("learning_rate", self.learning_rate, |eta| eta > 0.0, "above 0")?;
        check("epochs", self.epochs as f64, |epochs| epochs > 0.0, "at least 1")
    }

    /// What the units of a reservoir become while they hear some series, each from a state of zeros: `[T, K]`, what
    /// is fed back behind each row.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range, the units are linear, or a series has other columns or is not finite; or at
    /// the first step at which a gain leaves its range, as it does where the learning rate is too large.
    pub fn learn(
        &self,
        reservoir: &Reservoir,
        series: &[Series],
    ) -> Result<Excitability, ReservoirError> {
        self.validate()?;
        let units = &reservoir.units;
        if units.squash != Squash::Tanh {
            return Err(ReservoirError::out_of_range("activation", "identity", "tanh"));
        }
        for (n, u) in series.iter().enumerate() {
            u.check_columns("the input", units.inputs(), n)?;
        }
        let n = units.units();
        let mut learned = Excitability { gain: vec![1.0; n], bias: vec![0.0; n] };
        let mut v = vec![0.0; n];
        let mut recurrent = vec![0.0; n];
        for epoch in 0..self.epochs {
            for (series, u) in series.iter().enumerate() {
                let mut x = vec![0.0; n];
                for step in 0..u.steps() {
                    units.w_in.product(u.row(step), &mut v);
                    units.w.product(&x, &mut recurrent);
                    for ((v, recurrent), b) in v.iter_mut().zip(&recurrent).zip(&units.b) {
                        *v += recurrent + b;
                    }
                    self.step(units, &v, &mut x, &mut learned);
                    if let Some(unit) = learned.out_of_range() {
                        return Err(ReservoirError::GainRanAway {
                            unit,
                            gain: learned.gain[unit],
                            bias: learned.bias[unit],
                            epoch,
                            series,
                            step,
                            learning_rate: self.learning_rate,
                        });
                    }
                }
            }
        }
        Ok(learned)
    }

    /// One step: the new states, and then the new gains and biases.
    fn step(
        &self,
        units: &LeakyUnits<f64>,
        v: &[f64],
        x: &mut [f64],
        Excitability { gain, bias }: &mut Excitability,
    ) {
        let rates = units.keep.iter().zip(&units.gain);
        let learned = gain.iter_mut().zip(bias);
        for (((v, x), (g, c)), (keep, rate)) in v.iter().zip(x).zip(learned).zip(rates) {
            let y = (*g * v + *c).tanh();
            let [dg, dc] = self.gradient(*v, *g, y);
            *g += self.learning_rate * dg;
            *c += self.learning_rate * dc;
            *x = keep * *x + rate * y;
        }
    }

    /// `Δg / η` and `Δc / η` of a unit whose sum is `v` and whose output is `y`.
    pub(crate) fn gradient(&self, v: f64, g: f64, y: f64) -> [f64; 2] {
        let (mu, s2) = (self.mean, self.deviation * self.deviation);
        let dc = mu / s2 - y / s2 * (2.0 * s2 + 1.0 - y * y + mu * y);
        [1.0 / g + dc * v, dc]
    }
}

impl Excitability {
    /// The first unit whose gain is not above 0, or that has a number that is none.
    fn out_of_range(&self) -> Option<usize> {
        let holds = |(g, c): (&f64, &f64)| *g > 0.0 && g.is_finite() && c.is_finite();
        self.gain.iter().zip(&self.bias).position(|unit| !holds(unit))
    }

    /// A reservoir whose units are as excitable without any more parameters.
    ///
    /// # Panics
    ///
    /// If there is not a gain and a bias for every unit.
    #[must_use]
    pub fn fold_into(&self, reservoir: &Reservoir) -> Reservoir {
        let LeakyUnits { w, w_in, b, .. } = &reservoir.units;
        let Self { gain, bias } = self;
        assert!(gain.len() == b.len() && bias.len() == b.len(), "a gain and a bias for every unit");
        let b = b.iter().zip(gain).zip(bias).map(|((b, g), c)| g * b + c).collect();
        let units = LeakyUnits {
            w: by_rows(w, gain),
            w_in: by_rows(w_in, gain),
            b,
            ..reservoir.units.clone()
        };
        Reservoir { units, ..reservoir.clone() }
    }
}

/// `diag(g) · W`.
fn by_rows(w: &Weights<f64>, g: &[f64]) -> Weights<f64> {
    let scaled = w.entries().map(|(row, column, value)| (row, column, g[row] * value));
    match w {
        Weights::Dense { columns, .. } => {
            Weights::dense(scaled.map(|(_, _, value)| value).collect(), *columns)
        }
        Weights::Sparse(_) => Weights::Sparse(
            SparseMatrix::new(w.rows(), w.columns(), scaled).expect("the places of a matrix"),
        ),
    }
}

impl EchoStateNetwork {
    /// The same network with reservoirs that have adapted themselves to some series, and without a readout: pairs of
    /// inputs and targets, of which only those that are fed back are heard. Of stacked reservoirs each hears the one
    /// before it as that has become.
    ///
    /// # Errors
    ///
    /// As [`IntrinsicPlasticity::learn`], or if inputs and targets have different lengths.
    pub fn adapt(
        self,
        plasticity: &IntrinsicPlasticity,
        series: &[(Series, Series)],
    ) -> Result<Self, ReservoirError> {
        for (n, (u, d)) in series.iter().enumerate() {
            self.check_pair(u, d, n)?;
        }
        let stacked = self.config().arrangement == Arrangement::Stacked;
        let mut below: Vec<Series> = series.iter().map(|(u, _)| u.clone()).collect();
        let mut adapted = Vec::with_capacity(self.reservoirs().len());
        for reservoir in self.reservoirs() {
            let targets = series.iter().map(|(_, d)| d);
            let heard: Vec<Series> =
                below.iter().zip(targets).map(|(u, d)| with_feedback(reservoir, u, d)).collect();
            let reservoir = plasticity.learn(reservoir, &heard)?.fold_into(reservoir);
            if stacked {
                below = heard.iter().map(|u| states(&reservoir, u)).collect();
            }
            adapted.push(reservoir);
        }
        Ok(self.with_reservoirs(adapted))
    }
}

/// What a reservoir hears: inputs, and behind them the targets of the step before if it is fed back.
fn with_feedback(reservoir: &Reservoir, u: &Series, d: &Series) -> Series {
    if reservoir.fed_back == 0 {
        return u.clone();
    }
    let silence = vec![0.0; d.columns()];
    let mut rows = Vec::with_capacity(u.values().len() + d.values().len());
    for t in 0..u.steps() {
        rows.extend_from_slice(u.row(t));
        rows.extend_from_slice(t.checked_sub(1).map_or(silence.as_slice(), |t| d.row(t)));
    }
    Series::new(rows, u.columns() + d.columns())
}

/// The states of a reservoir that hears a series from the beginning.
fn states(reservoir: &Reservoir, u: &Series) -> Series {
    let n = reservoir.size();
    let mut elements = vec![0.0; u.steps() * n];
    let rows = Rows { elements: &mut elements, stride: n, offset: 0 };
    reservoir.harvest(u.values(), None, &mut vec![0.0; n], rows);
    Series::new(elements, n)
}
