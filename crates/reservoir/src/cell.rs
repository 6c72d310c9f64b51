//! A reservoir as a layer that can be trained.
//!
//! A reservoir is a network of leaky units whose weights nobody has trained. As a [`LeakyCell`] the same weights run
//! on any backend of Burn, and learn by back-propagation:
//!
//! ```text
//! h' = (1 − a) ⊙ h + a ⊙ f( u · W_inᵀ + h · Wᵀ + b )
//! ```

use burn::{module::Param, prelude::*, tensor::TensorData};
use recurrent_cells::{Average, Leak, LeakyCell};
use recurrent_kernels::{
    Activation,
    sparse::{Squash, Weights},
};

use crate::{Reservoir, ReservoirError};

impl Reservoir {
    /// The same units as a cell, in the device's dtype; all weights of `W` are there and can be learned, those that
    /// were zero too.
    ///
    /// # Errors
    ///
    /// If outputs are fed back, or what is kept of a state is not what the leak rate leaves: no cell does that.
    pub fn cell(&self, device: &Device) -> Result<LeakyCell, ReservoirError> {
        let units = &self.units;
        if self.fed_back > 0 {
            let range = "0 for a cell, which hears only its input";
            return Err(ReservoirError::out_of_range("feedback_scaling", self.fed_back, range));
        }
        for (keep, gain) in units.keep.iter().zip(&units.gain) {
            if (keep + gain - 1.0).abs() > 1e-12 {
                return Err(ReservoirError::out_of_range("keep", keep, "1 − leak for a cell"));
            }
        }
        let transposed = |weights: &Weights<f64>| {
            let (rows, columns) = (weights.rows(), weights.columns());
            let mut values = vec![0.0; rows * columns];
            for (row, column, value) in weights.entries() {
                values[column * rows + row] = value;
            }
            Param::from_data(TensorData::new(values, [columns, rows]), device)
        };
        let vector = |values: &[f64]| Param::from_data(values, device);
        Ok(LeakyCell {
            w_x: transposed(&units.w_in),
            w_h: transposed(&units.w),
            b: vector(&units.b),
            leak: Leak::Fixed(vector(&units.gain).set_require_grad(false)),
            average: Average::Output,
            activation: match units.squash {
                Squash::Tanh => Activation::Tanh,
                Squash::Identity => Activation::Identity,
            },
        })
    }
}
