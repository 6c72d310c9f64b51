//! Logarithms of sums and means of exponentials: what logits are above log-probabilities, and the
//! mean of several models.
//!
//! ```text
//! log P(i) = x_i − log Σ_j e^(x_j)          log Σ_j e^(x_j) = m + log Σ_j e^(x_j − m),  m = max_j x_j
//! log P(i) = log 1/M Σ_m P_m(i)             over M models, in the same way
//! ```
//!
//! Loops are over lanes that have nothing to do with each other, so that they become vector
//! instructions; the order of the sums is the same on every machine and with any number of threads.

use std::ops::{Add, Sub};

/// `ln 2`, in two parts, the first with few enough bits that its multiples are exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// Lanes of a loop.
const LANES: usize = 16;

/// A number with an exponential that vector instructions can do.
pub(super) trait Exponential:
    Copy + PartialOrd + Into<f64> + From<f32> + Add<Output = Self> + Sub<Output = Self>
{
    /// Below every number.
    const LOWEST: Self;
    /// Adds nothing.
    const ZERO: Self;

    /// The nearest number.
    fn of(number: f64) -> Self;

    /// `e^self`, for numbers that are not above 0.
    fn exponential(self) -> Self;

    /// `log self`, for numbers above 0.
    fn logarithm(self) -> Self;
}

impl Exponential for f64 {
    const LOWEST: Self = Self::NEG_INFINITY;
    const ZERO: Self = 0.0;

    fn of(number: f64) -> Self {
        number
    }

    fn exponential(self) -> Self {
        self.exp()
    }

    fn logarithm(self) -> Self {
        self.ln()
    }
}

impl Exponential for f32 {
    const LOWEST: Self = Self::NEG_INFINITY;
    const ZERO: Self = 0.0;

    fn of(number: f64) -> Self {
        number as Self
    }

    /// Within 2e-7 of the true value, relative to it, down to `e^-87`, and that below. The polynomial
    /// is that of the Cephes library (Moshier 1989).
    #[inline]
    fn exponential(self) -> Self {
        // Adding this leaves the nearest whole number in the lowest bits.
        const ROUND: f32 = 12_582_912.0;
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

    /// Within 2e-7 of the true value for numbers from 1e-3 to 1. The polynomial is that of the Cephes
    /// library.
    #[inline]
    fn logarithm(self) -> Self {
        const P: [f32; 9] = [
            7.037_684e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_7e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ];
        // √½: what is left of a number without its power of two is between that and √2.
        const ROOT: u32 = 0x3f35_04f3;
        let above = self.to_bits().wrapping_sub(ROOT);
        let n = ((above as i32) >> 23) as Self;
        let r = Self::from_bits((above & 0x007f_ffff).wrapping_add(ROOT)) - 1.0;
        let p = P.iter().fold(0.0, |sum, c| sum * r + c);
        // The last term is 0, but NaN where the number is.
        p * r * r * r + n * LN_2_LOW - 0.5 * r * r + r + n * LN_2_HIGH + 0.0 * self
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

/// The logarithms of the mean of what `logs` are logarithms of, once the number beside each is taken off
/// it. Where all are `−∞` it is that; where one is NaN or `+∞` it is NaN.
///
/// # Panics
///
/// If there is nothing to take the mean of, or lengths differ.
pub(super) fn log_mean_exp<T: Exponential>(logs: &[(&[T], f64)], mean: &mut [T]) {
    const CHUNK: usize = 16 * LANES;
    assert!(!logs.is_empty(), "a mean is of something");
    let count = T::of((logs.len() as f64).ln());
    for (chunk, mean) in mean.chunks_mut(CHUNK).enumerate() {
        let part = |(row, above): &(&[T], f64)| -> [T; CHUNK] {
            let (row, above) = (&row[chunk * CHUNK..][..mean.len()], T::of(*above));
            let mut logs = [T::LOWEST; CHUNK];
            logs.iter_mut().zip(row).for_each(|(log, x)| *log = *x - above);
            logs
        };
        let mut highest = [T::LOWEST; CHUNK];
        let mut all = [T::ZERO; CHUNK];
        for logs in logs.iter().map(part) {
            for ((highest, all), log) in highest.iter_mut().zip(&mut all).zip(&logs) {
                *highest = if *log > *highest { *log } else { *highest };
                *all = *all + *log;
            }
        }
        let mut sums = [T::ZERO; CHUNK];
        for logs in logs.iter().map(part) {
            for ((sum, highest), log) in sums.iter_mut().zip(&highest).zip(&logs) {
                *sum = *sum + (*log - *highest).exponential();
            }
        }
        for (((mean, sum), highest), all) in mean.iter_mut().zip(&sums).zip(&highest).zip(&all) {
            let log = *highest + sum.logarithm() - count;
            *mean = if *highest == T::LOWEST { *all } else { log };
        }
    }
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
    fn logarithms_are_within_their_bound() {
        for n in 1..=100_000 {
            let a = n as f32 * 1e-3;
            let error = f64::from(a.logarithm()) - f64::from(a).ln();
            assert!(error.abs() <= 2e-7 * f64::from(a).ln().abs().max(1.0), "{a}: {error:e}");
        }
        assert!(f32::NAN.logarithm().is_nan());
    }

    /// Against the formula, with what one model or all never say, and rows that are not normal.
    #[test]
    fn means_are_those_of_the_formula() {
        let no = f32::NEG_INFINITY;
        for length in [3, 16, 300] {
            let row = |seed: f32| -> Vec<f32> {
                let mut row: Vec<f32> =
                    (0..length).map(|k| (k as f32 * seed).sin() * 20.0 - 30.0).collect();
                row[0] = no;
                row
            };
            let (mut a, b, c) = (row(0.3), row(0.7), row(1.1));
            a[1] = no;
            let logs = [(a.as_slice(), 2.0), (b.as_slice(), -1.0), (c.as_slice(), 0.5)];
            let mut mean = vec![0.0; length];
            log_mean_exp(&logs, &mut mean);
            assert_eq!(mean[0], no);
            for (j, mean) in mean.iter().enumerate().skip(1) {
                let sum: f64 =
                    logs.iter().map(|(row, above)| (f64::from(row[j]) - above).exp()).sum();
                assert!((f64::from(*mean) - (sum / 3.0).ln()).abs() < 1e-5, "{j}");
            }
        }
        for bad in [f32::NAN, f32::INFINITY] {
            let mut mean = [0.0; 1];
            log_mean_exp(&[(&[bad], 0.0), (&[no], 0.0)], &mut mean);
            assert!(mean[0].is_nan() || mean[0] == f32::INFINITY);
        }
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
