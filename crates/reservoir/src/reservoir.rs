//! A reservoir: a recurrent network of leaky units that is drawn and never trained.
//!
//! ```text
//! x~(n) = f( W_in (s_in ⊙ u(n)) + W x(n−1) + s_fb · W_fb y(n−1) + s_b · b + ν(n) )
//! x(n)  = (1 − a) ⊙ x(n−1) + a ⊙ x~(n)
//! ```
//!
//! `u [K]`, `x [N]`, `y [L]`; `W_in [N, K]`, `W [N, N]`, `W_fb [N, L]`, `b [N]`; leak rate `a` in (0, 1], one or one
//! a unit; `f` is tanh or the identity; `ν` is noise, evenly in [−s, s], in training only. In Jaeger's general form
//! (GMD 148, eq. 21) what is kept and what is added are apart: `x(n) = keep · x(n−1) + gain · x~(n)`.
//!
//! Sources: H. Jaeger (2001), The "echo state" approach, GMD Report 148; Jaeger et al. (2007), Optimization and
//! Applications of Echo State Networks with Leaky-Integrator Neurons, Neural Networks 20.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use recurrent_kernels::sparse::{LeakyUnits, Rows, Squash, Weights};
use serde::{Deserialize, Serialize};

use crate::{
    ReservoirError, Spectrum,
    error::check,
    matrix::{InputTopology, Topology, input_weights, recurrent_weights},
    spectrum::{EchoStates, echo_states},
};

/// One number for all, or one for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrEach {
    /// The same for all.
    One(f64),
    /// One for each.
    Each(Vec<f64>),
}

impl OneOrEach {
    /// As many numbers as there are places, or nothing if there are more or fewer.
    fn spread(&self, count: usize) -> Option<Vec<f64>> {
        match self {
            Self::One(number) => Some(vec![*number; count]),
            Self::Each(numbers) => (numbers.len() == count).then(|| numbers.clone()),
        }
    }
}

/// What a sum passes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservoirActivation {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// Nothing: a linear reservoir.
    Identity,
}

/// Sizes of a reservoir and how it is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReservoirConfig {
    /// Units, `N`, at least 1.
    pub units: usize,
    /// Where connections are and how `W` is drawn.
    pub topology: Topology,
    /// The share of weights of `W` that are there, in (0, 1]; for topologies without a pattern of their own.
    pub density: f64,
    /// `ρ(W)`, above 0.
    pub spectral_radius: f64,
    /// The leak rate `a`, in (0, 1], for all units or for each.
    pub leak: OneOrEach,
    /// What is kept of the state, in [0, 1]; by default `1 − a`.
    pub keep: Option<f64>,
    /// `s_in`, for all inputs or for each.
    pub input_scaling: OneOrEach,
    /// How `W_in` is drawn.
    pub input_topology: InputTopology,
    /// The share of weights of `W_in` that are there, in (0, 1].
    pub input_density: f64,
    /// `s_b`, at least 0.
    pub bias_scaling: f64,
    /// `s_fb`, at least 0; with 0 nothing is fed back.
    pub feedback_scaling: f64,
    /// `s` of the noise while training, at least 0.
    pub noise: f64,
    /// `f`.
    pub activation: ReservoirActivation,
}

impl Default for ReservoirConfig {
    fn default() -> Self {
        Self {
            units: 200,
            topology: Topology::Uniform,
            density: 0.1,
            spectral_radius: 0.9,
            leak: OneOrEach::One(1.0),
            keep: None,
            input_scaling: OneOrEach::One(1.0),
            input_topology: InputTopology::Uniform,
            input_density: 1.0,
            bias_scaling: 0.0,
            feedback_scaling: 0.0,
            noise: 0.0,
            activation: ReservoirActivation::Tanh,
        }
    }
}

impl ReservoirConfig {
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn validate(&self) -> Result<(), ReservoirError> {
        check("units", self.units as f64, |units| units > 0.0, "at least 1")?;
        let share = |field, value: f64| {
            check(field, value, |value| value > 0.0 && value <= 1.0, "in (0, 1]")
        };
        share("density", self.density)?;
        share("input_density", self.input_density)?;
        let rates = match &self.leak {
            OneOrEach::One(rate) => std::slice::from_ref(rate),
            OneOrEach::Each(rates) => rates,
        };
        rates.iter().try_for_each(|rate| share("leak", *rate))?;
        if let Some(keep) = self.keep {
            check("keep", keep, |keep| (0.0..=1.0).contains(&keep), "in [0, 1]")?;
        }
        let radius = self.spectral_radius;
        check("spectral_radius", radius, |radius| radius > 0.0, "above 0")?;
        let scalings = match &self.input_scaling {
            OneOrEach::One(scaling) => std::slice::from_ref(scaling),
            OneOrEach::Each(scalings) => scalings,
        };
        let finite = |scaling: &f64| check("input_scaling", *scaling, |_| true, "a finite number");
        scalings.iter().try_for_each(finite)?;
        let not_negative = [
            ("bias_scaling", self.bias_scaling),
            ("feedback_scaling", self.feedback_scaling),
            ("noise", self.noise),
        ];
        not_negative.into_iter().try_for_each(|(field, value)| {
            check(field, value, |value| (0.0..=1e6).contains(&value), "from 0 to 1e6")
        })
    }

    /// Whether outputs are fed back.
    pub fn has_feedback(&self) -> bool {
        self.feedback_scaling > 0.0
    }

    /// A reservoir for `inputs` numbers a step, and `outputs` that are fed back if there is feedback. The same
    /// seed draws the same reservoir on every machine.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range, or no matrix is drawn that can be scaled.
    pub fn init(
        &self,
        inputs: usize,
        outputs: usize,
        seed: u64,
    ) -> Result<Reservoir, ReservoirError> {
        self.validate()?;
        let n = self.units;
        let each = |field: &str, numbers: &OneOrEach, count: usize, of: &str| {
            numbers.spread(count).ok_or_else(|| {
                let OneOrEach::Each(numbers) = numbers else { unreachable!("one is for all") };
                let found = format!("{} numbers", numbers.len());
                ReservoirError::out_of_range(
                    field,
                    found,
                    &format!("one, or one for each of the {count} {of}"),
                )
            })
        };
        let gain = each("leak", &self.leak, n, "units")?;
        let keep = match self.keep {
            Some(keep) => vec![keep; n],
            None => gain.iter().map(|a| 1.0 - a).collect(),
        };
        let s_in = each("input_scaling", &self.input_scaling, inputs, "inputs")?;
        let w = recurrent_weights(self.topology, n, self.density, self.spectral_radius, seed)?;
        // Another stream than that of `W`, so that another density leaves the inputs as they are.
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5bd1_e995_7b93_ca6d);
        let from_input =
            input_weights(n, inputs, self.input_topology, self.input_density, &mut rng);
        let b = (0..n).map(|_| self.bias_scaling * rng.random_range(-1.0..=1.0)).collect();
        let fed_back = if self.has_feedback() { outputs } else { 0 };
        let from_output = input_weights(n, fed_back, InputTopology::Uniform, 1.0, &mut rng);
        let mut w_in = Vec::with_capacity(n * (inputs + fed_back));
        for unit in 0..n {
            let row = &from_input[unit * inputs..(unit + 1) * inputs];
            w_in.extend(row.iter().zip(&s_in).map(|(w, s)| w * s));
            let row = &from_output[unit * fed_back..(unit + 1) * fed_back];
            w_in.extend(row.iter().map(|w| w * self.feedback_scaling));
        }
        let squash = match self.activation {
            ReservoirActivation::Tanh => Squash::Tanh,
            ReservoirActivation::Identity => Squash::Identity,
        };
        let w_in = Weights::dense(w_in, inputs + fed_back);
        Ok(Reservoir {
            units: LeakyUnits { w, w_in, b, keep, gain, squash },
            fed_back,
            noise: self.noise,
        })
    }
}

/// A reservoir as it was drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservoir {
    /// Its numbers. `W_in` has the columns of the input, then those of what is fed back.
    pub units: LeakyUnits<f64>,
    /// How many outputs are fed back.
    pub fed_back: usize,
    /// `s` of the noise while training.
    pub noise: f64,
}

impl Reservoir {
    /// Units, `N`.
    pub fn size(&self) -> usize {
        self.units.units()
    }

    /// Numbers of a step's input, fed back ones aside.
    pub fn inputs(&self) -> usize {
        self.units.inputs() - self.fed_back
    }

    /// `ρ(W)` and `σ_max(W)`, computed.
    ///
    /// # Errors
    ///
    /// If they do not converge.
    pub fn spectrum(&self) -> Result<Spectrum, ReservoirError> {
        Spectrum::of(&self.units.w)
    }

    /// What is known about echo states, outputs that are fed back being inputs. That there are none for zero
    /// input is known of units without biases alone, and of units with rates of their own nothing is.
    ///
    /// # Errors
    ///
    /// If the eigenvalues do not converge.
    pub fn echo_states(&self) -> Result<EchoStates, ReservoirError> {
        let (keep, gain) = (self.units.keep[0], self.units.gain[0]);
        let one_rate = self.units.keep.iter().all(|a| *a == keep)
            && self.units.gain.iter().all(|a| *a == gain);
        if !one_rate {
            return Ok(EchoStates::Unknown);
        }
        let known = echo_states(&self.units.w, keep, gain)?;
        let biased = self.units.b.iter().any(|b| *b != 0.0);
        Ok(if known == EchoStates::Never && biased { EchoStates::Unknown } else { known })
    }

    /// The states of a sequence of inputs `[T, K]`, what is fed back behind each row; they go on from `state`,
    /// which becomes the last of them. Noise is drawn for a training.
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn harvest(
        &self,
        u: &[f64],
        noise: Option<&mut StdRng>,
        state: &mut [f64],
        rows: Rows<'_, f64>,
    ) {
        let drawn = noise.filter(|_| self.noise > 0.0).map(|rng| {
            let count = u.len() / self.units.inputs() * self.size();
            (0..count).map(|_| rng.random_range(-self.noise..=self.noise)).collect::<Vec<f64>>()
        });
        self.units.sequence(u, drawn.as_deref(), state, rows);
    }
}
