//! Which optimizer takes the steps.
//!
//! ```text
//! sgd       w ← w − η g
//! momentum  v ← μ v + g                              w ← w − η v     (first v = g)
//! adam      m ← β₁ m + (1 − β₁) g    m̂ = m / (1 − β₁ᵗ)
//!           v ← β₂ v + (1 − β₂) g²   v̂ = v / (1 − β₂ᵗ)   w ← w − η m̂ / (√v̂ + ε)
//! adam_w    w ← (1 − η λ) w, then as adam
//! adagrad   s ← s + g²                               w ← w − η g / (√s + ε)
//! adadelta  s ← ρ s + (1 − ρ) g²     Δ = g √(u + ε) / √(s + ε)
//!           u ← ρ u + (1 − ρ) Δ²                     w ← w − η Δ
//! rms_prop  s ← ρ s + (1 − ρ) g²                     w ← w − η g / (√s + ε)
//! ```
//!
//! Sources: Kingma & Ba (2015), Adam; Loshchilov & Hutter (2019), Decoupled Weight Decay
//! Regularization; Duchi, Hazan & Singer (2011), Adaptive Subgradient Methods; Zeiler (2012),
//! ADADELTA; Tieleman & Hinton (2012), lecture 6.5. Burn's own default of ε, 1e-5, is not used.

use burn::optim::{AdaGradConfig, ModuleOptimizer, RmsPropConfig};
use serde::{Deserialize, Serialize};

use crate::{
    OutOfRange,
    adadelta::Adadelta,
    adam::AdamOptimizer,
    descent::{Descent, Rolling},
};

/// Which optimizer takes the steps, with its own numbers. In a file either a name, for the default
/// numbers, or a table: `optimizer = "adam"` or `optimizer = { adam = { beta_2 = 0.98 } }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Gradient descent.
    Sgd {},
    /// Gradient descent with momentum.
    Momentum(Momentum),
    /// Adam, with bias correction.
    Adam(Adam),
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Adagrad.
    Adagrad(Adagrad),
    /// Adadelta; its learning rate is 1 in the paper.
    Adadelta(AdadeltaConfig),
    /// RMSProp, without momentum.
    RmsProp(RmsProp),
    /// Adam first, then gradient descent with a rate of its own, as GNMT was trained.
    AdamThenSgd(AdamThenSgd),
}

macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $default:expr,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: f64,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }
    };
}

numbers!(
    /// Numbers of [`OptimizerConfig::Momentum`].
    Momentum {
        /// `μ`, from 0 to below 1. Default 0.9.
        momentum: 0.9,
    }
);

numbers!(
    /// Numbers of [`OptimizerConfig::Adam`].
    Adam {
        /// `β₁`, from 0 to below 1. Default 0.9.
        beta_1: 0.9,
        /// `β₂`, from 0 to below 1. Default 0.999.
        beta_2: 0.999,
        /// `ε`, above 0, outside the root. Default 1e-8.
        epsilon: 1e-8,
    }
);

numbers!(
    /// Numbers of [`OptimizerConfig::AdamW`].
    AdamW {
        /// `β₁`, from 0 to below 1. Default 0.9.
        beta_1: 0.9,
        /// `β₂`, from 0 to below 1. Default 0.999.
        beta_2: 0.999,
        /// `ε`, above 0, outside the root. Default 1e-8.
        epsilon: 1e-8,
        /// `λ`, at least 0. Default 0.01.
        weight_decay: 0.01,
    }
);

numbers!(
    /// Numbers of [`OptimizerConfig::Adagrad`].
    Adagrad {
        /// `ε`, above 0, outside the root. Default 1e-10.
        epsilon: 1e-10,
    }
);

numbers!(
    /// Numbers of [`OptimizerConfig::Adadelta`].
    AdadeltaConfig {
        /// `ρ`, from 0 to below 1. Default 0.95.
        rho: 0.95,
        /// `ε`, above 0, inside the roots. Default 1e-6.
        epsilon: 1e-6,
    }
);

numbers!(
    /// Numbers of [`OptimizerConfig::RmsProp`].
    RmsProp {
        /// `ρ`, from 0 to below 1. Default 0.99.
        rho: 0.99,
        /// `ε`, above 0, outside the root. Default 1e-8.
        epsilon: 1e-8,
    }
);

/// Numbers of [`OptimizerConfig::AdamThenSgd`]. The schedule holds for Adam; gradient descent has
/// the rate given here. Defaults: Wu et al. (2016), Google's Neural Machine Translation System,
/// section 5, for English to French.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamThenSgd {
    /// Adam's numbers.
    pub adam: Adam,
    /// Steps of Adam, above 0. Default 60 000.
    pub switch_step: usize,
    /// Learning rate of gradient descent, above 0. Default 0.5.
    pub sgd_rate: f64,
    /// The step from which that rate is halved. Default 1 200 000.
    pub halve_from: usize,
    /// Steps between two halvings, above 0; the first is this long after `halve_from`. Default
    /// 200 000.
    pub halve_every: usize,
}

impl Default for AdamThenSgd {
    fn default() -> Self {
        Self {
            adam: Adam::default(),
            switch_step: 60_000,
            sgd_rate: 0.5,
            halve_from: 1_200_000,
            halve_every: 200_000,
        }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adam(Adam::default())
    }
}

impl OptimizerConfig {
    /// The optimizer that takes the steps from `step` on, with nothing remembered yet.
    pub(crate) fn at(&self, step: usize) -> ModuleOptimizer {
        match self {
            Self::Sgd {} => Descent.into(),
            Self::Momentum(Momentum { momentum }) => Rolling { momentum: *momentum }.into(),
            Self::Adam(adam) => adam.init(),
            Self::AdamW(AdamW { beta_1, beta_2, epsilon, weight_decay }) => {
                let adam = Adam { beta_1: *beta_1, beta_2: *beta_2, epsilon: *epsilon };
                AdamOptimizer { adam, weight_decay: *weight_decay }.into()
            }
            Self::Adagrad(adagrad) => {
                AdaGradConfig::new().with_epsilon(adagrad.epsilon as f32).init()
            }
            Self::Adadelta(AdadeltaConfig { rho, epsilon }) => {
                Adadelta { rho: *rho, epsilon: *epsilon }.into()
            }
            Self::RmsProp(rms) => RmsPropConfig::new()
                .with_alpha(rms.rho as f32)
                .with_momentum(0.0)
                .with_epsilon(rms.epsilon as f32)
                .init(),
            Self::AdamThenSgd(both) if step < both.switch_step => both.adam.init(),
            Self::AdamThenSgd(_) => Descent.into(),
        }
    }

    /// Whether another optimizer takes over at `step`.
    pub(crate) fn switches_at(&self, step: usize) -> bool {
        matches!(self, Self::AdamThenSgd(both) if both.switch_step == step)
    }

    /// The learning rate of `step`, where the schedule gives `scheduled`.
    pub(crate) fn rate(&self, step: usize, scheduled: f64) -> f64 {
        match self {
            Self::AdamThenSgd(both) if step >= both.switch_step => {
                let halvings = step.saturating_sub(both.halve_from) / both.halve_every;
                both.sgd_rate * 0.5_f64.powf(halvings as f64)
            }
            _ => scheduled,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), OutOfRange> {
        match self {
            Self::Sgd {} => Ok(()),
            Self::Momentum(momentum) => part("optimizer.momentum.momentum", momentum.momentum),
            Self::Adam(adam) => adam.validate(),
            Self::AdamW(adam) => {
                part("optimizer.adam_w.beta_1", adam.beta_1)?;
                part("optimizer.adam_w.beta_2", adam.beta_2)?;
                positive("optimizer.adam_w.epsilon", adam.epsilon)?;
                check("optimizer.adam_w.weight_decay", adam.weight_decay, "at least 0", |x| {
                    x >= 0.0
                })
            }
            Self::Adagrad(adagrad) => positive("optimizer.adagrad.epsilon", adagrad.epsilon),
            Self::Adadelta(adadelta) => {
                part("optimizer.adadelta.rho", adadelta.rho)?;
                positive("optimizer.adadelta.epsilon", adadelta.epsilon)
            }
            Self::RmsProp(rms) => {
                part("optimizer.rms_prop.rho", rms.rho)?;
                positive("optimizer.rms_prop.epsilon", rms.epsilon)
            }
            Self::AdamThenSgd(both) => {
                both.adam.validate()?;
                positive("optimizer.adam_then_sgd.switch_step", both.switch_step as f64)?;
                positive("optimizer.adam_then_sgd.sgd_rate", both.sgd_rate)?;
                positive("optimizer.adam_then_sgd.halve_every", both.halve_every as f64)
            }
        }
    }
}

impl Adam {
    fn init(&self) -> ModuleOptimizer {
        AdamOptimizer { adam: *self, weight_decay: 0.0 }.into()
    }

    fn validate(&self) -> Result<(), OutOfRange> {
        part("optimizer.adam.beta_1", self.beta_1)?;
        part("optimizer.adam.beta_2", self.beta_2)?;
        positive("optimizer.adam.epsilon", self.epsilon)
    }
}

fn part(field: &'static str, value: f64) -> Result<(), OutOfRange> {
    check(field, value, "from 0 to below 1", |x| (0.0..1.0).contains(&x))
}

pub(crate) fn positive(field: &'static str, value: f64) -> Result<(), OutOfRange> {
    check(field, value, "above 0 and finite", |x| x > 0.0)
}

fn check(
    field: &'static str,
    value: f64,
    range: &'static str,
    holds: impl Fn(f64) -> bool,
) -> Result<(), OutOfRange> {
    match value.is_finite() && holds(value) {
        true => Ok(()),
        false => Err(OutOfRange::new(field, value, range)),
    }
}
