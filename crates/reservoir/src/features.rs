//! What a readout sees of a step.
//!
//! ```text
//! z(n) = [1; u(n); x(n); x(n)²]
//! ```

use serde::{Deserialize, Serialize};

/// What there is beside the constant and the states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeaturesConfig {
    /// Nothing.
    States,
    /// The inputs `u(n)`, what is fed back aside.
    #[default]
    Inputs,
    /// The squares of the states.
    Squares,
    /// The inputs and the squares.
    InputsAndSquares,
}

impl FeaturesConfig {
    fn has_inputs(self) -> bool {
        matches!(self, Self::Inputs | Self::InputsAndSquares)
    }

    fn has_squares(self) -> bool {
        matches!(self, Self::Squares | Self::InputsAndSquares)
    }
}

/// Where the parts of `z` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    inputs: usize,
    units: usize,
    squares: usize,
}

impl Features {
    /// For so many inputs and units.
    pub fn new(config: FeaturesConfig, inputs: usize, units: usize) -> Self {
        Self {
            inputs: if config.has_inputs() { inputs } else { 0 },
            units,
            squares: if config.has_squares() { units } else { 0 },
        }
    }

    /// `F`.
    pub fn count(&self) -> usize {
        1 + self.inputs + self.units + self.squares
    }

    /// Where the states begin.
    pub fn states(&self) -> usize {
        1 + self.inputs
    }

    /// Fills in all but the states, which are there: `z [M, F]` and `u [M, K]`.
    pub(crate) fn complete(&self, z: &mut [f64], u: &[f64], inputs: usize) {
        let (first, units) = (self.states(), self.units);
        for (z, u) in z.chunks_exact_mut(self.count()).zip(u.chunks_exact(inputs)) {
            z[0] = 1.0;
            z[1..=self.inputs].copy_from_slice(&u[..self.inputs]);
            if self.squares > 0 {
                let (states, squares) = z[first..].split_at_mut(units);
                for (square, x) in squares.iter_mut().zip(states) {
                    *square = *x * *x;
                }
            }
        }
    }
}
