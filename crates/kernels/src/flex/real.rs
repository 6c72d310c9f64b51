//! The two element types of the CPU path, and their activations.
//!
//! In `f32` the activations are polynomials without branches, so that loops over them become vector
//! instructions; in `f64` they are the standard library's. The polynomials are those of the Cephes
//! library (Moshier 1989); both activations stay within 2e-7 of the true value, and `tanh` within
//! 4e-7 relative to it.

use burn::tensor::Element;

/// `f32` or `f64`.
pub(super) trait Real: num_traits::Float + Element + bytemuck::Pod {
    /// `1 / (1 + e^-a)`.
    fn sigmoid(self) -> Self;

    /// The hyperbolic tangent of `a`.
    fn squashed(self) -> Self;

    /// The derivative of a sigmoid whose value is `self`.
    fn through_sigmoid(self) -> Self {
        self * (Self::one() - self)
    }

    /// The derivative of a hyperbolic tangent whose value is `self`.
    fn through_tanh(self) -> Self {
        Self::one() - self * self
    }
}

impl Real for f64 {
    fn sigmoid(self) -> Self {
        1.0 / (1.0 + (-self).exp())
    }

    fn squashed(self) -> Self {
        self.tanh()
    }
}

impl Real for f32 {
    #[inline]
    fn sigmoid(self) -> Self {
        1.0 / (1.0 + exponential(-self))
    }

    #[inline]
    fn squashed(self) -> Self {
        let a = self.abs();
        let square = self * self;
        let near = horner(
            square,
            [-5.704_989e-3, 2.063_909e-2, -5.373_971_6e-2, 0.133_314_42, -0.333_332_8],
        );
        let near = near * square * self + self;
        let far = (1.0 - 2.0 / (exponential(2.0 * a) + 1.0)).copysign(self);
        if a < 0.625 { near } else { far }
    }
}

/// `e^a`, held to what a power of two can be made of: `e^±87`.
#[inline]
pub(super) fn exponential(a: f32) -> f32 {
    // Adding this leaves the nearest whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let a = a.clamp(-87.0, 87.0);
    let shifted = a * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = a - n * LN_2_HIGH - n * LN_2_LOW;
    let p =
        horner(r, [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5]);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    (p * r * r + r + 1.0) * power
}

/// `c_0 · x^(n−1) + … + c_(n−1)`.
#[inline]
fn horner<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    coefficients.into_iter().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every 1009th number there is, and the corners.
    fn numbers() -> impl Iterator<Item = f32> {
        let corners = [0.0, -0.0, 0.625, 88.0, -88.0, 1e30, -1e30, f32::INFINITY, -f32::INFINITY];
        let swept = (0..u32::MAX).step_by(1009).map(f32::from_bits);
        swept.filter(|a| !a.is_nan()).chain(corners)
    }

    #[test]
    fn tanh_is_within_its_bound_everywhere() {
        for a in numbers() {
            let expected = f64::from(a).tanh();
            let error = (f64::from(a.squashed()) - expected).abs();
            assert!(error <= 4e-7 * expected.abs() && error <= 2e-7, "{a:e}: {error:e}");
        }
    }

    #[test]
    fn sigmoid_is_within_its_bound_everywhere() {
        for a in numbers() {
            let expected = f64::from(a).sigmoid();
            let error = (f64::from(a.sigmoid()) - expected).abs();
            assert!(error <= 2e-7, "{a:e}: {error:e}");
        }
    }

    #[test]
    fn what_is_not_a_number_stays_none() {
        assert!(f32::NAN.sigmoid().is_nan() && f32::NAN.squashed().is_nan());
    }
}
