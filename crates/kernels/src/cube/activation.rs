//! What the gates of all cells pass their sums through, in single precision.

use cubecl::prelude::*;

/// `1 / (1 + e^-a)`, without an `e^a` beyond the largest number.
#[cube]
pub(super) fn sigmoid(a: f32) -> f32 {
    let e = (0.0f32 - a.abs()).exp();
    let s = 1.0f32 / (1.0f32 + e);
    if a < 0.0f32 { e * s } else { s }
}

/// The derivative of [`sigmoid`] where it is `s`.
#[cube]
pub(super) fn through_sigmoid(s: f32) -> f32 {
    s * (1.0f32 - s)
}

/// The derivative of the hyperbolic tangent where it is `y`.
#[cube]
pub(super) fn through_tanh(y: f32) -> f32 {
    1.0f32 - y * y
}
