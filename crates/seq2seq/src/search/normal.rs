//! Logarithms of sums of exponentials: what logits are above log-probabilities.
//!
//! ```text
//! log P(i) = x_i − log Σ_j e^(x_j)          log Σ_j e^(x_j) = m + log Σ_j e^(x_j − m),  m = max_j x_j
//! ```
//!
//! Loops are over lanes that have nothing to do with each other, so that they become vector
//! instructions; the order of the sums is the same on every machine and with any number of threads.

use std::ops::{Add, Sub};

/// Lanes of a loop.
const LANES: usize = 16;

/// A number with an exponential that vector instructions can do.
pub(super) trait Exponential:
    Copy + PartialOrd + Into<f64> + Add<Output = Self> + Sub<Output = Self>
{
    /// Below every number.
    const LOWEST: Self;
    /// Adds nothing.
    const ZERO: Self;

    /// `e^self`, for numbers that are not above 0.
    fn exponential(self) -> Self;
}

impl Exponential for f64 {
    const LOWEST: Self = Self::NEG_INFINITY;
    const ZERO: Self = 0.0;

    fn exponential(self) -> Self {
        self.exp()
    }
}

impl Exponential for f32 {
    const LOWEST: Self = Self::NEG_INFINITY;
    const ZERO: Self = 0.0;

    /// Within 2e-7 of the true value, relative to it, down to `e^-87`, and that below. The polynomial
    /// is that of the Cephes library (Moshier 1989).
    #[inline]
    fn exponential(self) -> Self {
        // Adding this leaves the nearest whole number in the lowest bits.
        const ROUND: f32 = 12_582_912.0;
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        const P: [f32; 6] =
            [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];
        // Not `max`, which would hide a NaN.
        let a = if self < -87.0 { -87.0 } else { self };
        let shifted = a * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = a - n * LN_2_HIGH - n * LN_2_LOW;
        let p = P.iter().fold(0.0, |sum, c| sum * r + c);
        let power = Self::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
        (p * r * r + r + 1.0) * power
    }
}

/// `log Σ_j e^(x_j)`. NaN if a number is NaN or `+∞`, or all are `−∞`.
pub(super) fn log_sum_exp<T: Exponential>(row: &[T]) -> f64 {
    /// So many numbers are summed with the bits they have.
    const CHUNK: usize = 16 * LANES;
    let highest = highest(row);
    let part = |chunk: &[T]| {
        let mut lanes = [T::ZERO; LANES];
        let whole = chunk.chunks_exact(LANES);
        let rest = whole.remainder();
        for numbers in whole {
            for (lane, x) in lanes.iter_mut().zip(numbers) {
                *lane = *lane + (*x - highest).exponential();
            }
        }
        let rest: f64 = rest.iter().map(|x| (*x - highest).exponential().into()).sum();
        lanes.into_iter().map(Into::into).sum::<f64>() + rest
    };
    let sum: f64 = row.chunks(CHUNK).map(part).sum();
    highest.into() + sum.ln()
}

/// The highest number; `−∞` if there is none. NaN is passed over.
pub(super) fn highest<T: Exponential>(row: &[T]) -> T {
    let higher = |a: T, b: T| if b > a { b } else { a };
    let mut lanes = [T::LOWEST; LANES];
    let whole = row.chunks_exact(LANES);
    let rest = whole.remainder().iter().copied().fold(T::LOWEST, higher);
    for numbers in whole {
        for (lane, x) in lanes.iter_mut().zip(numbers) {
            *lane = higher(*lane, *x);
        }
    }
    lanes.into_iter().fold(rest, higher)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the formula, in rows of all lengths around the number of lanes, with and without what
    /// a model never says.
    #[test]
    fn sums_are_those_of_the_formula() {
        for length in [1, 2, 15, 16, 17, 255, 256, 257, 8000] {
            let mut row: Vec<f32> = (0..length).map(|k| (k as f32 * 0.7).sin() * 30.0).collect();
            if length > 2 {
                row[length / 2] = f32::NEG_INFINITY;
            }
            let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|x| (f64::from(*x) - f64::from(highest)).exp()).sum();
            let expected = f64::from(highest) + sum.ln();
            assert!((log_sum_exp(&row) - expected).abs() < 1e-6, "{length}");
            let double: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
            assert!((log_sum_exp(&double) - expected).abs() < 1e-12, "{length}");
        }
    }

    #[test]
    fn exponentials_are_within_their_bound_everywhere() {
        for n in 0..87_000 {
            let a = n as f32 * -1e-3;
            let expected = f64::from(a).exp();
            assert!((f64::from(a.exponential()) - expected).abs() <= 2e-7 * expected, "{a}");
        }
        assert!(f32::NEG_INFINITY.exponential() < 2e-38 && f32::NAN.exponential().is_nan());
    }

    #[test]
    fn what_is_not_a_number_makes_none() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut row = [0.5_f32; 20];
            row[7] = bad;
            assert!(log_sum_exp(&row).is_nan());
            assert!(log_sum_exp(&row.map(f64::from)).is_nan());
        }
        assert!(log_sum_exp(&[f32::NEG_INFINITY; 3]).is_nan());
    }
}
