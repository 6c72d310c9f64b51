//! The two element types of the CPU path.

use burn::tensor::Element;

/// `f32` or `f64`.
pub(super) trait Real: num_traits::Float + Element + bytemuck::Pod {
    /// `1 / (1 + e^-a)`.
    fn sigmoid(self) -> Self {
        (Self::one() + (-self).exp()).recip()
    }

    /// The derivative of a sigmoid whose value is `self`.
    fn through_sigmoid(self) -> Self {
        self * (Self::one() - self)
    }

    /// The derivative of a hyperbolic tangent whose value is `self`.
    fn through_tanh(self) -> Self {
        Self::one() - self * self
    }
}

impl Real for f32 {}
impl Real for f64 {}
