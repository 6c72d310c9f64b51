//! Attention of every step of a decoder over a memory, with gradients of all that goes in.

use burn::prelude::*;
use recurrent_attention::{Attention, AttentionConfig, Score, attend};
use serde_json::{Value, json};

use crate::{
    case::{Case, Numbers, Work, uniform},
    module::{numbers_of, redrawn},
};

/// Which score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `v · tanh(q · W_q + h · W_m)`.
    Additive,
    /// `q · W · h`.
    Multiplicative,
}

/// All steps of one attention.
#[derive(Clone, Copy, Debug)]
pub struct AttentionCase {
    kind: Kind,
    /// `[B, S, T, H]`.
    shape: [usize; 4],
}

/// Both scores in one shape.
pub fn all() -> impl Iterator<Item = AttentionCase> {
    both([32, 25, 25, 256])
}

/// Both scores in a small shape.
pub fn small() -> impl Iterator<Item = AttentionCase> {
    both([3, 5, 4, 6])
}

fn both(shape: [usize; 4]) -> impl Iterator<Item = AttentionCase> {
    [Kind::Additive, Kind::Multiplicative]
        .into_iter()
        .map(move |kind| AttentionCase { kind, shape })
}

impl AttentionCase {
    fn attention(&self, device: &Device) -> Attention {
        let h = self.shape[3];
        let config = match self.kind {
            Kind::Additive => AttentionConfig::Additive { d_attention: h },
            Kind::Multiplicative => AttentionConfig::General,
        };
        redrawn(config.init(h, h, device), 1.0)
    }

    fn inputs(&self) -> [TensorData; 2] {
        let [b, s, t, h] = self.shape;
        [uniform(&[b, s, h], 1.0, 1), uniform(&[b, t, h], 1.0, 2)]
    }
}

/// Contexts for `queries` over `values`.
fn contexts(attention: &Attention, values: Tensor<3>, queries: Tensor<3>) -> Tensor<3> {
    attend(attention, queries, &attention.memory(values, None)).context
}

impl Case for AttentionCase {
    fn name(&self) -> String {
        let [b, s, t, h] = self.shape;
        let kind = match self.kind {
            Kind::Additive => "additive",
            Kind::Multiplicative => "multiplicative",
        };
        format!("attention/{kind}/{b}x{s}x{t}x{h}")
    }

    fn described(&self) -> Value {
        json!({ "family": "attention", "additive": self.kind == Kind::Additive })
    }

    fn numbers(&self) -> Numbers {
        let mut numbers = numbers_of(&self.attention(&Device::flex()));
        let [values, queries] = self.inputs();
        numbers.extend([("values".to_owned(), values), ("queries".to_owned(), queries)]);
        numbers
    }

    fn ours(&self, device: &Device) -> Work {
        let device = device.clone().autodiff();
        let attention = self.attention(&device);
        let inputs = self.inputs().map(|data| Tensor::<3>::from_data(data, &device));
        Box::new(move || {
            let [values, queries] = inputs.clone().map(|input| input.detach().require_grad());
            drop(contexts(&attention, values, queries).square().sum().backward());
        })
    }

    fn results(&self, device: &Device) -> Vec<f64> {
        let device = device.clone().autodiff();
        let inputs = self.inputs().map(|data| Tensor::<3>::from_data(data, &device).require_grad());
        let [values, queries] = inputs.clone();
        let context = contexts(&self.attention(&device), values, queries);
        let gradients = context.clone().square().sum().backward();
        let of_inputs = inputs.map(|input| input.grad(&gradients).expect("inputs are tracked"));
        let all = [context].into_iter().chain(of_inputs);
        all.flat_map(|tensor| tensor.into_data().iter().collect::<Vec<f64>>()).collect()
    }
}
