//! The two element types of these recurrences, and a hyperbolic tangent without branches.

use crate::flex::wide::Wide;

/// `f32` or `f64`.
pub trait Number: Wide {
    /// The hyperbolic tangent: in `f64` within four units in the last place, in `f32` within 4e-7 relative
    /// to it. What is not a number stays none.
    fn tangent(self) -> Self;
}

impl Number for f32 {
    #[inline(always)]
    fn tangent(self) -> Self {
        self.squashed()
    }
}

impl Number for f64 {
    // With the sign of `a`, `m / (m + 2)` of `m = e^|2a| − 1 = 2^n · (e^r − 1) + (2^n − 1)`, in which nothing cancels.
    #[inline(always)]
    fn tangent(self) -> Self {
        /// Beyond this it is 1.
        const FAR: f64 = 19.1;
        /// Adding this leaves the nearest whole number in the lowest bits.
        const ROUND: f64 = 6_755_399_441_055_744.0;
        const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
        const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
        /// `1 / 13!` to `1 / 2!`: for `|r| ≤ ln 2 / 2` what is left out is below the last bit.
        const POLYNOMIAL: [f64; 12] = [
            1.0 / 6_227_020_800.0,
            1.0 / 479_001_600.0,
            1.0 / 39_916_800.0,
            1.0 / 3_628_800.0,
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5_040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
        ];
        let size = self.abs();
        let a = if size > FAR { FAR } else { size };
        let twice = a + a;
        let shifted = twice.mul_add(std::f64::consts::LOG2_E, ROUND);
        let n = shifted - ROUND;
        let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, twice));
        let power = Self::from_bits((shifted.to_bits() << 52).wrapping_add(1.0_f64.to_bits()));
        let mut sum = POLYNOMIAL[0];
        for c in &POLYNOMIAL[1..] {
            sum = sum.mul_add(r, *c);
        }
        let near = sum.mul_add(r * r, r);
        let m = power.mul_add(near, power - 1.0);
        (m / (m + 2.0)).copysign(self)
    }
}
