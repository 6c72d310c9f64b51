//! Learning from series that are handed over in parts, so that none has to be in memory as a whole.
//!
//! ```
//! use recurrent_reservoir::{EsnConfig, Series, signals};
//!
//! let [u, d] = Series::of(signals::mackey_glass(17, 3000, 1)).ahead(1);
//! let network = EsnConfig::default().init(1, 1)?;
//! let mut fit = network.partial_fit();
//! for first in (0..2900).step_by(100) {
//!     fit.add(&u.slice(first..first + 100), &d.slice(first..first + 100))?;
//! }
//! let readout = fit.solve(1e-6)?;
//! let network = network.with_readout(readout);
//! # assert!(network.readout().is_some());
//! # Ok::<(), recurrent_reservoir::ReservoirError>(())
//! ```

use rand::rngs::StdRng;

use crate::{EchoStateNetwork, EsnState, Normal, Readout, ReservoirError, Series, esn::Workspace};

/// A fit in parts. It keeps the sums of the normal equations and the state of the network, and no step: with `F`
/// features it takes as much memory after a million steps as after one.
///
/// What it learns is what [`EchoStateNetwork::fit`] learns by Cholesky from the same series, up to rounding.
#[derive(Debug)]
pub struct PartialFit<'a> {
    network: &'a EchoStateNetwork,
    sums: Normal,
    noise: StdRng,
    state: EsnState,
    /// Steps of the present series.
    heard: usize,
    /// Which series this is, from 0.
    series: usize,
    /// The first target of each output, and whether there was another since.
    targets: Vec<(f64, bool)>,
    work: Workspace,
}

impl EchoStateNetwork {
    /// Begins a fit to series that come in parts.
    pub fn partial_fit(&self) -> PartialFit<'_> {
        let (features, outputs) = self.shape();
        PartialFit {
            network: self,
            sums: Normal::new(features, outputs),
            noise: self.noise(),
            state: self.start(),
            heard: 0,
            series: 0,
            targets: Vec::new(),
            work: Workspace::default(),
        }
    }
}

impl PartialFit<'_> {
    /// The next steps of the present series, inputs and targets.
    ///
    /// # Errors
    ///
    /// If they have other columns, are not finite or of different lengths, or a target is beyond what the readout
    /// can give. The step of a number that is none counts from the beginning of these.
    pub fn add(&mut self, u: &Series, d: &Series) -> Result<(), ReservoirError> {
        self.network.check_pair(u, d, self.series)?;
        if self.targets.is_empty() && d.steps() > 0 {
            self.targets = d.row(0).iter().map(|value| (*value, false)).collect();
        }
        for row in d.values().chunks_exact(d.columns()) {
            for ((first, changed), value) in self.targets.iter_mut().zip(row) {
                *changed |= first != value;
            }
        }
        let Self { network, sums, noise, state, heard, work, .. } = self;
        let mut take = |z: &[f64], y: &[f64]| sums.add(z, y);
        network.harvest_one([u, d], state, heard, noise, work, &mut take)
    }

    /// The present series ends: the next steps are those of another, and are washed out again.
    ///
    /// # Errors
    ///
    /// If it was not longer than the wash-out.
    pub fn end_series(&mut self) -> Result<(), ReservoirError> {
        let (steps, washout) = (self.heard, self.network.config().washout);
        if steps <= washout {
            return Err(ReservoirError::Short { series: self.series, steps, washout });
        }
        self.state = self.network.start();
        self.heard = 0;
        self.series += 1;
        Ok(())
    }

    /// What has been summed up: to be merged with others, or solved for several `λ`.
    pub fn sums(&self) -> &Normal {
        &self.sums
    }

    /// The readout for `λ`. More can be added afterwards.
    ///
    /// # Errors
    ///
    /// If nothing has been added, the present series is not longer than the wash-out, a target has never changed,
    /// or the regression has no solution.
    pub fn solve(&self, lambda: f64) -> Result<Readout, ReservoirError> {
        if self.targets.is_empty() {
            return Err(ReservoirError::Nothing);
        }
        let (steps, washout) = (self.heard, self.network.config().washout);
        if (1..=washout).contains(&steps) {
            return Err(ReservoirError::Short { series: self.series, steps, washout });
        }
        for (column, (value, changed)) in self.targets.iter().enumerate() {
            if !changed {
                return Err(ReservoirError::Constant { column, value: *value });
            }
        }
        self.sums.solve(lambda)
    }
}
