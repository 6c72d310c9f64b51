//! The autoencoder: gradients, its options, and the linear one against principal components.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, check_gradients, drawn, random, redrawn};
use recurrent_training::{
    Decay, InOrder, Learn, Moment, Schedule, TrainConfig, Training, Warmup, validation_loss,
};
use rstest::rstest;

use crate::{
    Activation, Autoencoder, AutoencoderConfig, DecoderWeights, Noise, PictureBatch,
    PrincipalComponents, Reconstruction, Sparsity,
};

const AT: Moment = Moment { seed: 1, epoch: 1, step: 0 };

fn config() -> AutoencoderConfig {
    AutoencoderConfig {
        d_hidden: vec![5, 4],
        activation: Activation::Tanh,
        d_code: 3,
        ..AutoencoderConfig::default()
    }
}

fn batch() -> PictureBatch {
    let values = (0..12).map(|n| (n as f32 * 0.7).sin().abs()).collect();
    PictureBatch { values, width: 6, labels: None }
}

fn model(config: &AutoencoderConfig) -> Autoencoder {
    drawn(config.init(6, &Device::flex().autodiff()), DType::F64)
}

/// every parameter, for every kind.
#[rstest]
#[case(config())]
#[case(AutoencoderConfig { decoder: DecoderWeights::Tied, ..config() })]
#[case(AutoencoderConfig { reconstruction: Reconstruction::SquaredError, ..config() })]
#[case(AutoencoderConfig { d_hidden: vec![], decoder: DecoderWeights::Tied, ..config() })]
#[case(AutoencoderConfig { noise: Noise::Gaussian { sigma: 0.5 }, ..config() })]
#[case(AutoencoderConfig { noise: Noise::Masking { share: 0.5 }, ..config() })]
#[case(AutoencoderConfig { sparsity: Sparsity::Absolute { weight: 0.3 }, ..config() })]
#[case(AutoencoderConfig {
    code: Activation::Sigmoid,
    sparsity: Sparsity::Rare { target: 0.1, weight: 2.0 },
    ..config()
})]
fn gradients_match_finite_differences(#[case] config: AutoencoderConfig) {
    check_gradients(&model(&config), 1e-6, |model| model.learn(&batch(), None, &AT).0.sum);
}

/// A tied model is one whose layers back are the transposes of those there.
#[test]
fn tied_weights_are_transposes() {
    let tied = model(&AutoencoderConfig { decoder: DecoderWeights::Tied, ..config() });
    let mut own = model(&config());
    let back = |w: &crate::Dense| w.w.clone().map(|w| w.map(|w| w.transpose()));
    own.encoder = tied.encoder.clone();
    own.code = tied.code.clone();
    own.decoder.layers[0].w = back(&tied.code);
    own.decoder.layers[1].w = back(&tied.encoder.layers[1]);
    own.output.w = back(&tied.encoder.layers[0]);
    own.output.b = tied.output.b.clone();
    for (own, tied) in own.decoder.layers.iter_mut().zip(&tied.decoder.layers) {
        own.b = tied.b.clone();
    }
    let x = random([4, 6], 3, DType::F64, &Device::flex().autodiff());
    assert_close(&tied.reconstruct(x.clone()), own.reconstruct(x).to_data(), 1e-12);
    let parameters = |config: &AutoencoderConfig| model(config).num_params();
    let weights = 6 * 5 + 5 * 4 + 4 * 3;
    let tied = AutoencoderConfig { decoder: DecoderWeights::Tied, ..config() };
    assert_eq!(parameters(&config()) - parameters(&tied), weights);
}

/// noise is for learning alone, and what is reported has no penalty in it.
#[test]
fn what_is_measured_has_no_noise_and_no_penalty() {
    let noisy = AutoencoderConfig {
        noise: Noise::Masking { share: 0.9 },
        sparsity: Sparsity::Absolute { weight: 10.0 },
        ..config()
    };
    let noisy = model(&noisy).valid();
    let loss = noisy.learn(&batch(), None, &AT).0;
    let clean = noisy.error(batch().tensor(&noisy.code.w.as_ref().unwrap().val()));
    assert_close(&loss.nll, clean.sum().to_data(), 1e-12);
    let learned: f64 = loss.sum.into_scalar();
    assert!(learned > loss.nll.into_scalar::<f64>());
}

/// The penalty on codes that are on more often than wished, by its formula.
#[test]
fn rare_codes_by_hand() {
    let rare = AutoencoderConfig {
        code: Activation::Sigmoid,
        sparsity: Sparsity::Rare { target: 0.2, weight: 3.0 },
        ..config()
    };
    let model = model(&rare).valid();
    let x = batch().tensor(&model.code.w.as_ref().unwrap().val());
    let z: Vec<f64> = model.encode(x).into_data().iter().collect();
    let coin = |on: f64| 0.2 * (0.2 / on).ln() + 0.8 * (0.8 / (1.0 - on)).ln();
    let by_hand: f64 = (0..3).map(|j| 2.0 * 3.0 * coin((z[j] + z[3 + j]) / 2.0)).sum();
    let loss = model.learn(&batch(), None, &AT).0;
    assert_close(&(loss.sum - loss.nll), [by_hand], 1e-10);
}

/// VA-6: trained to its end, a linear autoencoder is as good as as many principal components.
#[test]
fn va_6_linear_codes_reach_the_principal_components() {
    let values: Vec<f32> = {
        // Eight features that three causes explain, more or less.
        let device = Device::flex();
        let causes = random([200, 3], 1, DType::F32, &device);
        let mixed = causes.matmul(random([3, 8], 2, DType::F32, &device));
        let noise = random([200, 8], 3, DType::F32, &device) * 0.2;
        (mixed + noise).into_data().iter().collect()
    };
    let config = AutoencoderConfig {
        d_hidden: vec![],
        activation: Activation::Linear,
        d_code: 2,
        reconstruction: Reconstruction::SquaredError,
        ..AutoencoderConfig::default()
    };
    let device = Device::flex().autodiff();
    let batch = PictureBatch { values: values.clone(), width: 8, labels: None };
    let settings = TrainConfig {
        epochs: 2,
        learning_rate: 3e-2,
        schedule: Schedule { warmup: Warmup::None, decay: Decay::Linear },
        ..TrainConfig::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let batches = InOrder(vec![batch; 400]);
    let measured = InOrder(batches.0[..1].to_vec());
    let validate =
        move |model: &Autoencoder, at: &Moment| Ok(validation_loss(model, &measured, at).scores());
    let folder = folder.path().to_owned();
    let training =
        Training::new(redrawn(config.init(8, &device), 1), batches, validate, settings, folder);
    let trained = training.run().unwrap();
    let reached = trained.history.last().unwrap().scores.get("nll").unwrap();
    let best = PrincipalComponents::of(&values, 8, 2).error(&values);
    assert!(reached < 1.01 * best && reached > 0.999 * best, "{reached} against {best}");
}

#[rstest]
#[case(AutoencoderConfig { d_code: 0, ..config() }, "`d_code` must be at least 1, got 0")]
#[case(AutoencoderConfig { d_hidden: vec![3, 0], ..config() }, "`d_hidden[1]` must be at least 1, got 0")]
#[case(
    AutoencoderConfig { noise: Noise::Masking { share: 1.0 }, ..config() },
    "`noise.masking.share` must be in [0, 1), got 1"
)]
#[case(
    AutoencoderConfig { sparsity: Sparsity::Rare { target: 0.1, weight: 1.0 }, ..config() },
    "`code` must be \"sigmoid\" for codes that are to be rarely on, got linear"
)]
fn what_does_not_fit_is_named(#[case] config: AutoencoderConfig, #[case] message: &str) {
    assert_eq!(config.validate().unwrap_err().to_string(), message);
}
