//! The models that are set side by side.

use recurrent_cells::{GruConfig, LeakRate, LeakyConfig, LstmConfig, RnnConfig, SkipConfig};

use crate::train::{Fit, Training};

/// Units of every model, `H`.
const HIDDEN: usize = 32;

/// The delays of the skip connections, in steps.
const DELAYS: [usize; 2] = [1, 10];

/// The longest time constant that the leaky units start from, in steps.
const LONGEST: f64 = 50.0;

/// Trains every model on one task.
pub(crate) fn fit_all(training: &Training) -> Vec<Fit> {
    let (d, h) = (training.task.d_input(), HIDDEN);
    let leak = LeakRate::Learned { longest: LONGEST };
    let told = |fit: Fit| {
        let task = training.task.name();
        eprintln!("{task}: {}, {:.1} s, loss {:.5}", fit.name, fit.seconds, fit.last().loss);
        fit
    };
    vec![
        told(training.fit("tanh", |device| RnnConfig::new(d, h).init(device))),
        told(training.fit("leaky", |device| LeakyConfig::new(d, h, leak).init(device))),
        told(
            training
                .fit("skip {1, 10}", |device| SkipConfig::new(d, h, DELAYS.to_vec()).init(device)),
        ),
        told(training.fit("GRU", |device| GruConfig::new(d, h).init(device))),
        told(training.fit("LSTM", |device| LstmConfig::new(d, h).init(device))),
    ]
}
