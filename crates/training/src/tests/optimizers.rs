use burn::{
    module::{Module, Param},
    optim::GradientsParams,
    prelude::*,
};
use rstest::rstest;

use crate::OptimizerConfig;

/// A parameter.
#[derive(Module, Debug)]
struct One {
    weight: Param<Tensor<1>>,
}

const RATE: f64 = 0.1;
const START: f64 = 0.8;

/// The gradient of step `t`, from 1: it changes its sign and size.
fn gradient(t: i32) -> f64 {
    [0.5, -0.3, 0.02, 0.9, -0.4][t as usize - 1]
}

/// The weight after five steps.
fn stepped(optimizer: &OptimizerConfig) -> f64 {
    let device = Device::flex().autodiff();
    let mut model = One { weight: Param::from_data([START], &device) };
    let mut state = optimizer.at(0);
    for t in 1..=5 {
        let mut gradients = GradientsParams::new();
        let value = Tensor::<1>::from_data([gradient(t)], &device.clone().inner());
        gradients.register(model.weight.id, value);
        model = state.step(RATE, model, gradients);
    }
    model.weight.val().into_data().iter::<f64>().next().unwrap()
}

fn sgd() -> f64 {
    (1..=5).fold(START, |w, t| w - RATE * gradient(t))
}

fn momentum() -> f64 {
    let (mut w, mut v) = (START, 0.0);
    for t in 1..=5 {
        v = 0.9 * v + gradient(t);
        w -= RATE * v;
    }
    w
}

fn adam(decay: f64) -> f64 {
    let (mut w, mut m, mut v) = (START, 0.0, 0.0);
    for t in 1..=5 {
        let g = gradient(t);
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        let (m_hat, v_hat) = (m / (1.0 - 0.9_f64.powi(t)), v / (1.0 - 0.999_f64.powi(t)));
        w -= RATE * decay * w;
        w -= RATE * m_hat / (v_hat.sqrt() + 1e-8);
    }
    w
}

fn adagrad() -> f64 {
    let (mut w, mut s) = (START, 0.0);
    for t in 1..=5 {
        s += gradient(t).powi(2);
        w -= RATE * gradient(t) / (s.sqrt() + 1e-10);
    }
    w
}

fn adadelta() -> f64 {
    let (mut w, mut s, mut u) = (START, 0.0_f64, 0.0_f64);
    for t in 1..=5 {
        let g = gradient(t);
        s = 0.95 * s + 0.05 * g * g;
        let delta = g * (u + 1e-6).sqrt() / (s + 1e-6).sqrt();
        u = 0.95 * u + 0.05 * delta * delta;
        w -= RATE * delta;
    }
    w
}

fn rms_prop() -> f64 {
    let (mut w, mut s) = (START, 0.0);
    for t in 1..=5 {
        s = 0.99 * s + 0.01 * gradient(t).powi(2);
        w -= RATE * gradient(t) / (s.sqrt() + 1e-8);
    }
    w
}

/// The equations of `optimizer.rs` in double precision, five steps. Burn keeps `β` in single
/// precision, which is where the tolerance comes from.
#[rstest]
#[case(r#"{ "sgd": {} }"#, sgd())]
#[case(r#"{ "momentum": {} }"#, momentum())]
#[case(r#"{ "adam": {} }"#, adam(0.0))]
#[case(r#"{ "adam_w": { "weight_decay": 0.1 } }"#, adam(0.1))]
#[case(r#"{ "adagrad": {} }"#, adagrad())]
#[case(r#"{ "adadelta": {} }"#, adadelta())]
#[case(r#"{ "rms_prop": {} }"#, rms_prop())]
fn five_steps_by_hand(#[case] optimizer: &str, #[case] expected: f64) {
    let optimizer: OptimizerConfig = serde_json::from_str(optimizer).unwrap();
    let weight = stepped(&optimizer);
    assert!((weight - expected).abs() < 3e-6, "{weight} for {expected}");
}

/// `ε` is 1e-8, not Burn's 1e-5: a gradient of 1e-7 moves the weight by nearly the whole rate.
#[test]
fn adams_epsilon_is_small() {
    let device = Device::flex().autodiff();
    let model = One { weight: Param::from_data([0.0], &device) };
    let mut gradients = GradientsParams::new();
    gradients.register(model.weight.id, Tensor::<1>::from_data([1e-7], &device.clone().inner()));
    let moved = OptimizerConfig::default().at(0).step(RATE, model, gradients);
    let moved: f32 = moved.weight.val().into_scalar();
    assert!((f64::from(moved) + RATE * 1e-7 / (1e-7 + 1e-8)).abs() < 1e-6, "{moved}");
}
