//! Layers of which every output sees every input.
//!
//! ```text
//! y = φ(x · W + b)               W is [I, O], b is [O]
//! y = φ(x · Wᵀ + b)              tied to a layer W, [O, I]
//! ```

use burn::{
    module::Param,
    nn::Initializer,
    prelude::*,
    tensor::activation::{relu, sigmoid, tanh},
};
use recurrent_kernels::linear;
use serde::{Deserialize, Serialize};

/// What is made of the sums of a layer, `φ`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The sums themselves.
    Linear,
    /// What is above zero.
    #[default]
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Sigmoid,
}

/// One layer, without its activation.
#[derive(Module, Debug)]
pub struct Dense {
    /// `W`, `[I, O]`; none if it is that of another layer.
    pub w: Option<Param<Tensor<2>>>,
    /// `b`, `[O]`.
    pub b: Param<Tensor<1>>,
}

/// Layers with an activation behind each.
#[derive(Module, Debug)]
pub struct DenseStack {
    /// The layers, the first to read first.
    pub layers: Vec<Dense>,
    /// What is behind each.
    #[module(skip)]
    pub activation: Activation,
}

impl Activation {
    /// `φ` of `x`.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Linear => x,
            Self::Relu => relu(x),
            Self::Tanh => tanh(x),
            Self::Sigmoid => sigmoid(x),
        }
    }
}

impl Dense {
    /// A layer from `d_input` to `d_output` features: Glorot's weights, no bias.
    pub fn new(d_input: usize, d_output: usize, device: &Device) -> Self {
        let glorot = Initializer::XavierUniform { gain: 1.0 };
        let drawn = glorot.init_with([d_input, d_output], Some(d_input), Some(d_output), device);
        let w = Param::from_tensor(drawn.into_value().detach());
        Self { w: Some(w), ..Self::tied(d_output, device) }
    }

    /// A layer that has the weights of another one, and a bias of its own.
    pub fn tied(d_output: usize, device: &Device) -> Self {
        Self { w: None, b: Param::from_tensor(Tensor::zeros([d_output], device)) }
    }

    /// `x`, `[B, I]`, to `[B, O]`.
    ///
    /// # Panics
    ///
    /// If the features do not fit, or the layer is tied.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let w = self.w.as_ref().expect("a tied layer needs the other one");
        linear(x, w.val(), Some(self.b.val()))
    }

    /// `x`, `[B, I]`, to `[B, O]`, by the weights of `other`, `[O, I]`.
    ///
    /// # Panics
    ///
    /// If the features do not fit, or the other layer is tied as well.
    pub fn forward_tied(&self, x: Tensor<2>, other: &Self) -> Tensor<2> {
        let w = other.w.as_ref().expect("the other layer has weights");
        linear(x, w.val().transpose(), Some(self.b.val()))
    }
}

impl DenseStack {
    /// Layers from each of `widths` to the next.
    pub fn new(widths: &[usize], activation: Activation, device: &Device) -> Self {
        let layers = widths.windows(2).map(|pair| Dense::new(pair[0], pair[1], device));
        Self { layers: layers.collect(), activation }
    }

    /// `x`, `[B, I]`, through all layers.
    ///
    /// # Panics
    ///
    /// If the features do not fit.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.layers.iter().fold(x, |x, layer| self.activation.forward(layer.forward(x)))
    }
}
