//! The variational autoencoder: gradients through its noise, its bounds, and what collapse looks like.

use burn::{
    optim::{AdamConfig, GradientsParams},
    prelude::*,
    tensor::DType,
};
use recurrent_testkit::{assert_close, check_gradients, drawn, random, redrawn};
use recurrent_training::{InOrder, Learn, Moment, TrainConfig, Training, validation_loss};
use rstest::rstest;

use crate::{
    Activation, Annealing, Bound, Collapse, Condition, FreeBits, KlTerm, Latents, Likelihood,
    Parts, PictureBatch, Vae, VaeConfig, one_hot, vae::log_mean_exp,
};

const AT: Moment = Moment { seed: 1, epoch: 1, step: 3 };

fn config() -> VaeConfig {
    VaeConfig {
        d_hidden: vec![5, 4],
        activation: Activation::Tanh,
        d_latent: 2,
        ..VaeConfig::default()
    }
}

fn batch() -> PictureBatch {
    let values = (0..18).map(|n| (n as f32 * 0.7).sin().abs()).collect();
    PictureBatch { values, width: 6, labels: Some(vec![2, 0, 1]) }
}

fn model(config: &VaeConfig) -> Vae {
    drawn(config.init(6, 3, &Device::flex().autodiff()), DType::F64)
}

/// VA-3, VH-9, X-1: with the same noise, gradients are those of finite differences; for both
/// likelihoods, both bounds, told and not.
#[rstest]
#[case(config())]
#[case(VaeConfig { likelihood: Likelihood::Gaussian { sigma: 0.4 }, ..config() })]
#[case(VaeConfig { condition: Condition::Label, ..config() })]
#[case(VaeConfig { bound: Bound::Elbo { samples: 3 }, ..config() })]
#[case(VaeConfig { bound: Bound::Importance { samples: 4 }, ..config() })]
#[case(VaeConfig {
    kl: KlTerm {
        beta: 2.0,
        annealing: Annealing::Linear { steps: 6.0 },
        free_bits: Some(FreeBits { nats: 0.01, groups: 2 }),
    },
    ..config()
})]
fn gradients_match_finite_differences(#[case] config: VaeConfig) {
    check_gradients(&model(&config), 1e-6, |model| model.learn(&batch(), None, &AT).0.sum);
}

/// VA-3: without noise a draw is the mean.
#[test]
fn va_3_without_noise_a_draw_is_the_mean() {
    let posterior = model(&config()).valid().parts_of(&batch(), &mut AT.rng()).posterior;
    let drawn = posterior.at(posterior.mean.zeros_like());
    assert_close(&drawn, posterior.mean.to_data(), 0.0);
    let moved = posterior.at(posterior.mean.ones_like());
    let deviation = (posterior.log_variance.clone() * 0.5).exp();
    assert_close(&(moved - posterior.mean), deviation.into_data(), 1e-12);
}

/// The bound by its formulas, in `f64`, with the model's own codes.
#[test]
fn both_parts_by_hand() {
    let model = model(&config()).valid();
    let x = batch().tensor(&model.like());
    let Parts { reconstruction, kl, posterior } = model.parts(x.clone(), None, 1, &mut AT.rng());
    let logits = model.decode(posterior.sample(&mut AT.rng()), None);
    let numbers = |x: Tensor<2>| x.into_data().iter::<f64>().collect::<Vec<f64>>();
    let (x, l) = (numbers(x), numbers(logits));
    let nats = |n: usize| (1.0 + l[n].exp()).ln() - x[n] * l[n];
    let by_hand: Vec<f64> = (0..3).map(|row| (row * 6..row * 6 + 6).map(nats).sum()).collect();
    assert_close(&reconstruction, by_hand.as_slice(), 1e-10);
    let (mean, log_variance) = (numbers(posterior.mean), numbers(posterior.log_variance));
    let nats = mean.iter().zip(&log_variance).map(|(m, v)| 0.5 * (m * m + v.exp() - 1.0 - v));
    let total: f64 = nats.sum();
    assert_close(&kl.sum(), [total], 1e-10);
    // A normal likelihood, likewise.
    let normal = Likelihood::Gaussian { sigma: 0.5 };
    let like = (&Device::flex(), DType::F64);
    let (x, y) = ([[0.2, 1.0]], [[0.5, -1.0]]);
    let nll = normal.nll(Tensor::from_data(x, like), Tensor::from_data(y, like));
    let density = |x: f64, y: f64| {
        let z = (x - y) / 0.5;
        0.5 * z * z + (0.5 * std::f64::consts::TAU.sqrt()).ln()
    };
    assert_close(&nll, [density(0.2, 0.5) + density(1.0, -1.0)], 1e-10);
}

/// VH-5: what is reported does not depend on what the divergence weighs.
#[test]
fn what_is_reported_has_beta_1() {
    let weighted = VaeConfig {
        kl: KlTerm { beta: 5.0, annealing: Annealing::Linear { steps: 10.0 }, ..KlTerm::default() },
        ..config()
    };
    let nll = |config: &VaeConfig| {
        let model = model(config).valid();
        model.learn(&batch(), None, &AT).0.nll
    };
    assert_close(&nll(&weighted), nll(&config()).to_data(), 0.0);
}

/// VA-4, VH-8: `IW_K` grows with `K`, and `IW_1` is the bound, in expectation: within four standard
/// errors of paired draws.
#[test]
fn va_4_the_importance_weighted_bound_grows() {
    let model = model(&config()).valid();
    let x = batch().tensor(&model.like()).narrow(0, 0, 1);
    let mut rng = AT.rng();
    let mean_and_error = |numbers: Vec<f64>| {
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let spread = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        (mean, (spread / n).sqrt())
    };
    let rounds = 4000;
    let mut bound = |samples: usize| {
        let w = model
            .log_weights(x.clone(), None, samples * rounds, &mut rng)
            .reshape([rounds, samples]);
        mean_and_error(log_mean_exp(w).into_data().iter().collect())
    };
    let [(one, e1), (five, e5), (fifty, e50)] = [1, 5, 50].map(&mut bound);
    assert!(
        five > one - 4.0 * (e1 + e5) && fifty > five - 4.0 * (e5 + e50),
        "{one} {five} {fifty}"
    );
    assert!(fifty > one, "{one} {fifty}");
    let Parts { reconstruction, kl, .. } = model.parts(x.clone(), None, 20_000, &mut AT.rng());
    let elbo: f64 = -(reconstruction.sum() + kl.sum()).into_scalar::<f64>();
    assert!((one - elbo).abs() < 4.0 * 1.1 * e1, "{one} ± {e1} against {elbo}");
}

/// VA-5: where codes cannot help, because all pictures are alike, the posterior becomes the prior.
#[test]
fn va_5_without_anything_to_tell_the_divergence_is_zero() {
    let device = Device::flex().autodiff();
    let grey = PictureBatch { values: vec![0.5; 64 * 6], width: 6, labels: None };
    let config = VaeConfig { d_hidden: vec![8], ..config() };
    let settings = TrainConfig { epochs: 2, learning_rate: 1e-2, ..TrainConfig::default() };
    let folder = tempfile::tempdir().unwrap();
    let batches = InOrder(vec![grey.clone(); 300]);
    let measured = InOrder(vec![grey.clone()]);
    let validate =
        move |model: &Vae, at: &Moment| Ok(validation_loss(model, &measured, at).scores());
    let folder = folder.path().to_owned();
    let training =
        Training::new(redrawn(config.init(6, 0, &device), 1), batches, validate, settings, folder);
    let model = training.run().unwrap().model;
    let Parts { kl, posterior, .. } = model.parts_of(&grey, &mut AT.rng());
    let mut latents = Latents::default();
    latents.add(&posterior, kl, &mut AT.rng());
    let report = latents.report();
    assert!(report.kl < 1e-2, "{report:?}");
    assert_eq!((report.active_units, report.collapse), (0, Collapse::Whole));
}

/// VA-7: what is decoded from anywhere between two codes is a picture, and so is what the middle of the
/// prior gives; as a model learns it gives back what it is shown better and better.
#[test]
fn va_7_pictures_are_in_range_and_get_better() {
    let untrained = model(&config()).valid();
    let (from, to) = (random([1, 2], 1, DType::F64, &Device::flex()), 5.0);
    let codes = (0..=10)
        .map(|step| from.clone() * (1.0 - f64::from(step) / 10.0) + to * f64::from(step) / 10.0);
    for z in codes.chain([from.zeros_like()]) {
        let picture: Vec<f64> = untrained.pictures(z, None).into_data().iter().collect();
        assert!(picture.iter().all(|p| *p > 0.0 && *p < 1.0), "{picture:?}");
    }
    let mut model = redrawn(config().init(6, 3, &Device::flex().autodiff()), 1);
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let mut means = [0.0; 4];
    for step in 0..400 {
        let at = Moment { step, ..AT };
        let Parts { reconstruction, .. } = model.parts_of(&batch(), &mut at.rng());
        means[step / 100] += f64::from(reconstruction.mean().into_scalar::<f32>()) / 100.0;
        let loss = model.learn(&batch(), None, &at).0;
        let gradients = GradientsParams::from_grads((loss.sum / loss.weight).backward(), &model);
        model = optimizer.step(0.01, model, gradients);
    }
    assert!(means.windows(2).all(|pair| pair[1] < pair[0]), "{means:?}");
}

/// A model that is told draws by what it is told; every row is by itself.
#[test]
fn a_model_that_is_told_listens() {
    let told = model(&VaeConfig { condition: Condition::Label, ..config() }).valid();
    let z = Tensor::<2>::zeros([2, 2], (&Device::flex(), DType::F64));
    let both = told.pictures(z.clone(), Some(&one_hot(&[0, 2], 3, &told.like())));
    let second = told.pictures(z.narrow(0, 0, 1), Some(&one_hot(&[2], 3, &told.like())));
    assert_close(&both.clone().narrow(0, 1, 1), second.to_data(), 1e-12);
    let apart = (both.clone().narrow(0, 0, 1) - both.narrow(0, 1, 1)).abs().max();
    assert!(apart.into_scalar::<f64>() > 1e-3);
}

#[test]
#[should_panic(expected = "the model is told which of 3 things a picture shows")]
fn a_model_that_is_told_needs_to_be() {
    let told = model(&VaeConfig { condition: Condition::Label, ..config() });
    told.pictures(Tensor::zeros([1, 2], (&Device::flex().autodiff(), DType::F64)), None);
}

#[rstest]
#[case(VaeConfig { d_latent: 0, ..config() }, "`d_latent` must be at least 1, got 0")]
#[case(
    VaeConfig { likelihood: Likelihood::Gaussian { sigma: 0.0 }, ..config() },
    "`likelihood.gaussian.sigma` must be above 0, got 0"
)]
#[case(
    VaeConfig {
        bound: Bound::Importance { samples: 5 },
        kl: KlTerm { beta: 2.0, ..KlTerm::default() },
        ..config()
    },
    "`kl` must be left out with `bound.importance`, which has no divergence of its own, got given"
)]
fn what_does_not_fit_is_named(#[case] config: VaeConfig, #[case] message: &str) {
    assert_eq!(config.validate().unwrap_err().to_string(), message);
}
