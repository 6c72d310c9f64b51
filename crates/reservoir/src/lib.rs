//! Echo state networks: recurrent networks of which only the readout is learned, by linear regression.
//!
//! A [`Reservoir`] is drawn and never trained; an [`EchoStateNetwork`] is one or several with a readout. All of it is
//! in double precision on the CPU, and the same seed gives the same numbers on any number of threads.
//!
//! ```
//! use recurrent_reservoir::{EsnConfig, ReservoirConfig, Series, metrics::nrmse, signals};
//!
//! // The next value of a chaotic series.
//! let series = Series::of(signals::mackey_glass(17, 2000, 1));
//! let [u, d] = series.ahead(1);
//! let config = EsnConfig {
//!     reservoirs: vec![ReservoirConfig { units: 100, ..ReservoirConfig::default() }],
//!     ..EsnConfig::default()
//! };
//! let mut network = config.init(1, 1)?;
//! network.fit(&[(u.slice(0..1500), d.slice(0..1500))])?;
//!
//! let mut state = network.start();
//! network.run(&u.slice(0..1500), &mut state)?;
//! let y = network.run(&u.slice(1500..1999), &mut state)?;
//! assert!(nrmse(y.values(), d.slice(1500..1999).values()) < 0.01);
//! # Ok::<(), recurrent_reservoir::ReservoirError>(())
//! ```
//!
//! *Invariant:* no file, no clock; randomness only from a seed that is given.

mod blocks;
pub mod cell;
pub mod classifier;
pub mod error;
pub mod esn;
pub mod features;
pub mod intrinsic_plasticity;
pub mod lms;
pub mod mackey_glass;
pub mod matrix;
pub mod memory_capacity;
pub mod metrics;
pub mod nvar;
mod one_thread;
pub mod online;
pub mod partial_fit;
pub mod reservoir;
pub mod ridge;
pub mod rls;
pub mod search;
pub mod series;
pub mod signals;
pub mod spectrum;

pub use classifier::{ClassStates, Classifier, ClassifierConfig, ensemble_scores};
pub use error::ReservoirError;
pub use esn::{
    Arrangement, EchoStateNetwork, EsnConfig, EsnState, OutputActivation, Selection, Solver,
};
pub use features::{Features, FeaturesConfig};
pub use intrinsic_plasticity::{Excitability, IntrinsicPlasticity};
pub use lms::{LeastMeanSquares, LmsConfig, LmsRule};
pub use matrix::{InputTopology, Topology, recurrent_weights};
pub use nvar::{Nvar, NvarConfig, NvarState, Predicts};
pub use online::OnlineReadout;
pub use partial_fit::PartialFit;
pub use reservoir::{OneOrEach, Reservoir, ReservoirActivation, ReservoirConfig};
pub use ridge::{Design, LeftOut, Normal, Readout};
pub use rls::{RecursiveLeastSquares, RlsConfig};
pub use series::Series;
pub use spectrum::{EchoStates, Spectrum};

#[cfg(test)]
mod tests;
