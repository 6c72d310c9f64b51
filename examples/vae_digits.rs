//! Draws digits that nobody wrote: a variational autoencoder learns 8,000 handwritten ones, and codes
//! drawn from its prior become new ones.
//!
//! Pictures are grey, so the bound is a loss and no likelihood (see `reconstruction.rs`). After Kingma &
//! Welling (2014), Auto-Encoding Variational Bayes; the digits are those of `data/README.md`.
//!
//! Run with `cargo run --release --example vae_digits -- [--epochs N] [--hidden N] [--latent N] [--seed N]
//! [--out DIR]`.
//!
//! Expect, in some ten seconds on one CPU core, a bound of 119.8 to 120.6 nats a digit of the test set (seeds 1
//! to 3), reconstruction 96.6 to 97.5 and divergence 22.9 to 24.0 of it, with 20 of 20 dimensions used.
//! `digits.png` has a hundred new digits, `again.png` digits above what the model makes of them. The same seed
//! gives the same numbers on the CPU.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
};

use burn::prelude::*;
use clap::Parser;
use recurrent::{idx, picture::Grid};
use recurrent_examples::start;
use recurrent_generative::{
    Distortion, PictureBatches, PictureModel, Pictures, Shown, Vae, VaeConfig,
};
use recurrent_training::{Moment, Scores, TrainConfig, Training};

/// Pictures of a batch.
const BATCH: usize = 100;
/// Digits in a row.
const ACROSS: usize = 10;

fn main() -> ExitCode {
    let options = Options::parse();
    start(|| run(&options))
}

/// Draws digits that nobody wrote.
#[derive(Parser)]
struct Options {
    /// How often the digits are gone through
    #[arg(long, default_value_t = 10)]
    epochs: usize,
    /// Hidden features of the encoder and of the decoder
    #[arg(long, default_value_t = 400)]
    hidden: usize,
    /// Dimensions of the latent variable
    #[arg(long, default_value_t = 20)]
    latent: usize,
    /// Of the weights and of all that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where pictures go
    #[arg(long, default_value = "target/vae_digits")]
    out: PathBuf,
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let folder = Path::new("data/mnist-10k");
    let read = |set: &str| idx::read(&folder.join(format!("{set}-images-idx3-ubyte.gz")), None);
    let (train, test) = (read("train")?, read("test")?);
    let model = learn(options, train)?;
    let at = Moment { seed: options.seed, epoch: 0, step: 0 };
    let batches = PictureBatches::fixed(test.clone(), BATCH, Shown::Grey);
    let bound = model.measure(&batches, &mut at.rng());
    let latent = bound.latents.report();
    println!(
        "-ELBO {:.1} nats a digit of the test set: reconstruction {:.1}, divergence {:.1}; {} of {} \
         dimensions are used",
        bound.nll(),
        bound.reconstruction,
        bound.kl,
        latent.active_units,
        options.latent
    );
    let Pictures { rows, columns, .. } = test;
    let write = |name: &str, values: Vec<f32>| -> Result<(), Box<dyn Error>> {
        let file = options.out.join(name);
        std::fs::write(&file, Grid { rows, columns, across: ACROSS, values }.png())?;
        println!("{}", file.display());
        Ok(())
    };
    std::fs::create_dir_all(&options.out)?;
    let codes = model.prior(ACROSS * ACROSS, &mut at.rng());
    write("digits.png", model.pictures_of(&codes, None))?;
    let some = PictureBatches::fixed(test.first(ACROSS), ACROSS, Shown::Grey);
    let some = some.all().next().ok_or("there are no digits")?;
    let again = model.pictures_of(&model.codes_of(&some), None);
    write("again.png", [some.values, again].concat())
}

/// Learns from `train`, and keeps the epoch that knows the first hundred of it best: nothing is chosen by the
/// digits that the model is measured on.
fn learn(options: &Options, train: Pictures) -> Result<Vae, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    device.seed(options.seed);
    let config = VaeConfig {
        d_hidden: vec![options.hidden],
        d_latent: options.latent,
        ..VaeConfig::default()
    };
    config.validate()?;
    let model = config.init(train.width(), 0, &device);
    let known = PictureBatches::fixed(train.first(BATCH), BATCH, Shown::Grey);
    let validate = move |model: &Vae, at: &Moment| {
        Ok(Scores::new().with("nll", model.measure(&known, &mut at.rng()).nll()))
    };
    let batches = PictureBatches::drawn(train, BATCH, Shown::Grey, Distortion::default());
    let settings =
        TrainConfig { seed: options.seed, epochs: options.epochs, ..TrainConfig::default() };
    let folder = tempfile::tempdir()?;
    let training = Training::new(model, batches, validate, settings, folder.path().to_owned());
    Ok(training.run()?.model)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten epochs on a thousand digits, a hundred steps, leave the bound far below that of a model that knows
    /// nothing, 784 · ln 2 = 543 nats.
    #[test]
    fn digits_are_learned() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/mnist-10k");
        let train = idx::read(&folder.join("train-images-idx3-ubyte.gz"), None).unwrap();
        let out = PathBuf::new();
        let options = Options { epochs: 10, hidden: 100, latent: 5, seed: 1, out };
        let some = train.first(1000);
        let batches = PictureBatches::fixed(some.clone(), BATCH, Shown::Grey);
        let model = learn(&options, some).unwrap();
        let at = Moment { seed: 1, epoch: 0, step: 0 };
        let nll = model.measure(&batches, &mut at.rng()).nll();
        assert!(nll < 240.0, "{nll}");
    }
}
