//! What a training does to every parameter at every step, each in one pass over its numbers.
//!
//! ```text
//! squares   Σ g²
//! scaled    g ← c g
//! descent   w ← w − η g
//! momentum  v ← μ v + g                              w ← w − η v
//! adam      m ← β₁ m + (1 − β₁) g    m̂ = m / (1 − β₁ᵗ)
//!           v ← β₂ v + (1 − β₂) g²   v̂ = v / (1 − β₂ᵗ)
//!           w ← (1 − η λ) w − η m̂ / (√v̂ + ε)
//! ```
//!
//! On the CPU they work in the memory of their operands where nobody else has it, and a sum is taken
//! of blocks of fixed size, so that the number of threads does not change a bit.
//!
//! Sources: Kingma & Ba (2015), Adam; Loshchilov & Hutter (2019), Decoupled Weight Decay
//! Regularization, for `λ`.

use burn::{backend::Dispatch, prelude::*};

use crate::optimizer_ops::OptimizerOps;

/// The numbers of one step of Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// `η`.
    pub rate: f64,
    /// `β₁`.
    pub beta_1: f64,
    /// `β₂`.
    pub beta_2: f64,
    /// `ε`.
    pub epsilon: f64,
    /// `λ`, 0 for Adam without decoupled weight decay.
    pub weight_decay: f64,
    /// `t`, from 1.
    pub time: usize,
}

/// The same numbers, so that a step is
/// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`, `w ← keep · w − η · (c m / (√v + e))`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamFactors {
    pub(crate) rate: f64,
    pub(crate) beta_1: f64,
    pub(crate) beta_2: f64,
    /// `1 − η λ`.
    pub(crate) keep: f64,
    /// `√(1 − β₂ᵗ) / (1 − β₁ᵗ)`.
    pub(crate) correction: f64,
    /// `ε √(1 − β₂ᵗ)`.
    pub(crate) epsilon: f64,
}

impl AdamStep {
    pub(crate) fn factors(&self) -> AdamFactors {
        let time = i32::try_from(self.time).unwrap_or(i32::MAX);
        let root = (1.0 - self.beta_2.powi(time)).sqrt();
        AdamFactors {
            rate: self.rate,
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            keep: 1.0 - self.rate * self.weight_decay,
            correction: root / (1.0 - self.beta_1.powi(time)),
            epsilon: self.epsilon * root,
        }
    }
}

/// A step of Adam: the parameter `w` and its moments `m` and `v` after it. The first starts from
/// moments of zero. No operand is on an autodiff device.
///
/// # Panics
///
/// If the shapes differ.
pub fn adam_step<const D: usize>(
    w: Tensor<D>,
    [m, v]: [Tensor<D>; 2],
    gradient: Tensor<D>,
    step: AdamStep,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    for other in [&m, &v, &gradient] {
        assert_eq!(w.dims(), other.dims(), "a parameter, its moments and its gradient differ");
    }
    let (w, m, v) = <Dispatch as OptimizerOps>::adam_step(
        w.into_dispatch(),
        m.into_dispatch(),
        v.into_dispatch(),
        gradient.into_dispatch(),
        step,
    );
    (Tensor::from_dispatch(w), [m, v].map(Tensor::from_dispatch))
}

/// A step of gradient descent with momentum: the parameter `w` and its velocity `v` after it. No
/// operand is on an autodiff device.
///
/// # Panics
///
/// If the shapes differ.
pub fn momentum_step<const D: usize>(
    w: Tensor<D>,
    v: Tensor<D>,
    gradient: Tensor<D>,
    momentum: f64,
    rate: f64,
) -> (Tensor<D>, Tensor<D>) {
    for other in [&v, &gradient] {
        assert_eq!(w.dims(), other.dims(), "a parameter, its velocity and its gradient differ");
    }
    let (w, v) = <Dispatch as OptimizerOps>::momentum_step(
        w.into_dispatch(),
        v.into_dispatch(),
        gradient.into_dispatch(),
        momentum,
        rate,
    );
    (Tensor::from_dispatch(w), Tensor::from_dispatch(v))
}

/// A step of gradient descent: `w − η g`. No operand is on an autodiff device.
///
/// # Panics
///
/// If the shapes differ.
pub fn descent_step<const D: usize>(w: Tensor<D>, gradient: Tensor<D>, rate: f64) -> Tensor<D> {
    assert_eq!(w.dims(), gradient.dims(), "a parameter and its gradient differ");
    let (w, gradient) = (w.into_dispatch(), gradient.into_dispatch());
    Tensor::from_dispatch(<Dispatch as OptimizerOps>::descent_step(w, gradient, rate))
}

/// `c · g`, for a tensor that is not on an autodiff device.
pub fn scaled<const D: usize>(gradient: Tensor<D>, c: f64) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as OptimizerOps>::scaled(gradient.into_dispatch(), c))
}

/// `Σ g²`, `[1]`, for a tensor that is not on an autodiff device; on the CPU in double precision from
/// block to block.
pub fn squares<const D: usize>(gradient: Tensor<D>) -> Tensor<1> {
    let [rows, columns] = match gradient.dims().split_last() {
        Some((columns, rows)) => [rows.iter().product(), *columns],
        None => [1, 1],
    };
    let gradient = gradient.reshape([rows, columns]).into_dispatch();
    Tensor::from_dispatch(<Dispatch as OptimizerOps>::squares(gradient))
}
